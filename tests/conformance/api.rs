//! The vocabulary of a misbehaving API: a set of records, a way of paging, and what it does wrong.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::support::server::{Answer, Request, ok, status};

/// How the API shows where its next page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// `data` and `next` in the body; the link asks for `p`.
    NextUrl(LinkForm),
    /// A bare list and a Link header.
    LinkHeader,
    OdataV4,
    OdataV3,
    OdataV2,
    /// `data` and the token `next` in the body; sent back as `after`.
    Cursor,
    /// A bare list and the token in `x-next`; sent back as the header `x-after`.
    CursorHeader,
    /// A bare list, of which `after` asks for the ids above it.
    LastRecord,
    /// `data`, of which `offset` and `limit` ask for a stretch.
    Offset,
    /// `data`, of which `page` asks for a page, counted from 1.
    Page,
}

/// How a link is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkForm {
    Absolute,
    /// `/items?p=1`
    Rooted,
    /// `?p=1`
    Query,
    /// `//host/items?p=1`
    WithoutScheme,
}

/// What a counted API answers past its last record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PastEnd {
    EmptyList,
    LastPageAgain,
    FromTheStart,
    Status(u16),
}

/// The rows move while they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    Still,
    /// The record 100 comes to the front after so many pages.
    InsertedAfter(usize),
    /// The first record goes after so many pages.
    DeletedAfter(usize),
}

/// One answer before it is written.
pub(crate) struct Draft {
    pub(crate) records: Value,
    /// Absent = the member or header is left out.
    pub(crate) next: Option<Value>,
    /// Further members beside the list, where the style has room for them.
    pub(crate) members: Map<String, Value>,
    pub(crate) headers: Vec<(String, String)>,
    /// Something else altogether.
    pub(crate) instead: Option<Answer>,
}

type Change = Arc<dyn Fn(usize, &mut Draft) + Send + Sync>;

/// An API and what it does wrong.
#[derive(Clone)]
pub(crate) struct Api {
    style: Style,
    /// The ids of each page; the counted styles read them as one list.
    pages: Vec<Vec<u64>>,
    size: u64,
    past_end: PastEnd,
    moves: Move,
    first: Vec<Answer>,
    changes: Vec<Change>,
}

impl Api {
    /// Ids `0..rows`, so many a page. At least one page, which may be empty.
    pub(crate) fn new(style: Style, rows: u64, size: u64) -> Self {
        let pages = (0..rows.div_ceil(size).max(1)).map(|page| (page * size..rows.min(page * size + size)).collect());
        Api {
            style,
            pages: pages.collect(),
            size,
            past_end: PastEnd::EmptyList,
            moves: Move::Still,
            first: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// Ids counted on over pages of these lengths.
    pub(crate) fn of_pages(style: Style, lengths: &[u64]) -> Self {
        let mut from = 0;
        let pages = lengths.iter().map(|length| {
            from += length;
            (from - length..from).collect()
        });
        Api { pages: pages.collect(), ..Api::new(style, 0, 10) }
    }

    /// The server gives at most so many a page, whatever is asked.
    pub(crate) fn at_most(mut self, size: u64) -> Self {
        self.size = size;
        self
    }

    pub(crate) fn past_end(mut self, past_end: PastEnd) -> Self {
        self.past_end = past_end;
        self
    }

    pub(crate) fn moves(mut self, moves: Move) -> Self {
        self.moves = moves;
        self
    }

    /// The first requests get these answers; then everything is as it should be.
    pub(crate) fn first(mut self, answers: &[Answer]) -> Self {
        self.first = answers.to_vec();
        self
    }

    /// Changes the answer with this number, counted from 0.
    pub(crate) fn at(mut self, page: usize, change: impl Fn(&mut Draft) + Send + Sync + 'static) -> Self {
        self.changes.push(Arc::new(move |number, draft| {
            if number == page {
                change(draft);
            }
        }));
        self
    }

    /// Changes every answer.
    pub(crate) fn all(mut self, change: impl Fn(usize, &mut Draft) + Send + Sync + 'static) -> Self {
        self.changes.push(Arc::new(change));
        self
    }

    /// The token or link of one page is this.
    pub(crate) fn next_at(self, page: usize, next: Value) -> Self {
        self.at(page, move |draft| draft.next = Some(next.clone()))
    }

    pub(crate) fn no_next_at(self, page: usize) -> Self {
        self.at(page, |draft| draft.next = None)
    }

    /// One page holds a further member.
    pub(crate) fn member_at(self, page: usize, name: &'static str, value: Value) -> Self {
        self.at(page, move |draft| drop(draft.members.insert(name.to_owned(), value.clone())))
    }

    /// Every page holds a further member.
    pub(crate) fn member(self, name: &'static str, value: Value) -> Self {
        self.all(move |_, draft| drop(draft.members.insert(name.to_owned(), value.clone())))
    }

    pub(crate) fn header(self, name: &'static str, value: &'static str) -> Self {
        self.all(move |_, draft| draft.headers.push((name.to_owned(), value.to_owned())))
    }

    /// One page's list is this.
    pub(crate) fn records_at(self, page: usize, records: Value) -> Self {
        self.at(page, move |draft| draft.records = records.clone())
    }

    /// One page is answered so, however often it is asked for.
    pub(crate) fn instead_at(self, page: usize, answer: Answer) -> Self {
        self.at(page, move |draft| draft.instead = Some(answer.clone()))
    }

    /// Answers the request with this number.
    pub(crate) fn answer(&self, request: &Request, before: usize) -> Answer {
        if let Some(answer) = self.first.get(before) {
            return answer.clone();
        }
        let number = self.number_of(request, before - self.first.len());
        let mut draft = match self.style {
            Style::Offset => match self.stretch(request, number) {
                Ok(ids) => draft(records(&ids)),
                Err(answer) => return answer,
            },
            Style::Page => match self.numbered(number) {
                Ok(ids) => draft(records(&ids)),
                Err(answer) => return answer,
            },
            Style::LastRecord => draft(records(&self.after(request))),
            _ => Draft { next: Some(self.link(request, number)), ..draft(records(&self.pages[number])) },
        };
        for change in &self.changes {
            change(number, &mut draft);
        }
        self.write(draft, request)
    }

    /// The page of links, tokens and numbers by what was asked; elsewhere the order of asking.
    fn number_of(&self, request: &Request, asked: usize) -> usize {
        let parsed = |text: Option<String>| text.and_then(|text| text.parse().ok()).unwrap_or(0);
        let number: usize = match self.style {
            Style::NextUrl(_) | Style::LinkHeader => parsed(request.param("p")),
            Style::OdataV4 | Style::OdataV3 | Style::OdataV2 => parsed(request.param("$skiptoken")),
            Style::Cursor => parsed(request.param("after")),
            Style::CursorHeader => parsed(request.header("x-after").map(str::to_owned)),
            Style::Page => return parsed(request.param("page")).saturating_sub(1),
            Style::LastRecord | Style::Offset => return asked,
        };
        number.min(self.pages.len() - 1)
    }

    fn link(&self, request: &Request, number: usize) -> Value {
        if number + 1 >= self.pages.len() {
            return Value::Null;
        }
        let (next, host) = (number + 1, request.header("host").unwrap_or_default());
        json!(match self.style {
            Style::NextUrl(LinkForm::Absolute) => format!("http://{host}/items?p={next}"),
            Style::NextUrl(LinkForm::Rooted) | Style::LinkHeader => format!("/items?p={next}"),
            Style::NextUrl(LinkForm::Query) => format!("?p={next}"),
            Style::NextUrl(LinkForm::WithoutScheme) => format!("//{host}/items?p={next}"),
            Style::OdataV4 => format!("items?$skiptoken={next}"),
            Style::OdataV3 | Style::OdataV2 => format!("http://{host}/items?$skiptoken={next}"),
            _ => next.to_string(),
        })
    }

    fn stretch(&self, request: &Request, number: usize) -> Result<Vec<u64>, Answer> {
        let asked = |name: &str| request.param(name).and_then(|text| text.parse::<usize>().ok());
        let mut ids = self.pages.concat();
        match self.moves {
            Move::InsertedAfter(after) if number >= after => ids.insert(0, 100),
            Move::DeletedAfter(after) if number >= after => drop(ids.remove(0)),
            Move::Still | Move::InsertedAfter(_) | Move::DeletedAfter(_) => {}
        }
        let size = asked("limit").unwrap_or(0).min(self.size as usize);
        self.part(&ids, asked("offset").unwrap_or(0), size)
    }

    fn part(&self, ids: &[u64], from: usize, size: usize) -> Result<Vec<u64>, Answer> {
        let from = match self.past_end {
            PastEnd::LastPageAgain => from.min(ids.len().saturating_sub(1) / size * size),
            PastEnd::FromTheStart if !ids.is_empty() => from % ids.len(),
            PastEnd::Status(code) if from >= ids.len() && from > 0 => {
                return Err(status(code, r#"{"message":"there is no such page"}"#));
            }
            PastEnd::EmptyList | PastEnd::FromTheStart | PastEnd::Status(_) => from,
        };
        Ok(ids.iter().skip(from).take(size).copied().collect())
    }

    fn numbered(&self, number: usize) -> Result<Vec<u64>, Answer> {
        let numbers: Vec<u64> = (0..self.pages.len() as u64).collect();
        let page = self.part(&numbers, number, 1)?;
        Ok(page.first().map(|page| self.pages[*page as usize].clone()).unwrap_or_default())
    }

    fn after(&self, request: &Request) -> Vec<u64> {
        let after: Option<u64> = request.param("after").and_then(|text| text.parse().ok());
        let ids = self.pages.concat().into_iter().filter(|id| after.is_none_or(|after| *id > after));
        ids.take(self.size as usize).collect()
    }

    fn write(&self, draft: Draft, request: &Request) -> Answer {
        let Draft { records, mut next, members, headers, instead } = draft;
        if let Some(answer) = instead {
            return answer;
        }
        // Links of a case are written before the server has an address.
        if let Some(Value::String(link)) = &mut next {
            let host = request.header("host").unwrap_or_default();
            *link = link.replace("{host}", host).replace("{port}", host.rsplit(':').next().unwrap_or_default());
        }
        let (list, link) = match self.style {
            Style::OdataV4 => ("value", "@odata.nextLink"),
            Style::OdataV3 => ("value", "odata.nextLink"),
            Style::OdataV2 => ("results", "__next"),
            _ => ("data", "next"),
        };
        let mut body = members;
        body.insert(list.to_owned(), records.clone());
        let in_header = match (self.style, &next) {
            (Style::LinkHeader, Some(Value::String(next))) => Some(("link", format!("<{next}>; rel=\"next\""))),
            (Style::CursorHeader, Some(Value::String(next))) => Some(("x-next", next.clone())),
            _ => None,
        };
        if let Some(next) = next {
            body.insert(link.to_owned(), next);
        }
        let mut answer = match self.style {
            Style::LinkHeader | Style::CursorHeader | Style::LastRecord => ok(records.to_string()),
            Style::OdataV2 => ok(json!({ "d": body }).to_string()),
            _ => ok(Value::Object(body).to_string()),
        };
        for (name, value) in headers {
            answer = answer.with(&name, &value);
        }
        match in_header {
            Some((name, value)) => answer.with(name, &value),
            None => answer,
        }
    }
}

fn draft(records: Value) -> Draft {
    Draft { records, next: None, members: Map::new(), headers: Vec::new(), instead: None }
}

/// Records with these ids.
pub(crate) fn records(ids: &[u64]) -> Value {
    ids.iter().map(|id| json!({ "id": id, "name": format!("n{id}") })).collect()
}
