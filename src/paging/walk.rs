//! One walk through the pages of a slice: the only maker of a `WalkEnd`, and the guards that keep a walk from going
//! round in circles or stopping short in silence.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

pub(crate) use super::error::Error;
use super::{Bounds, CursorFrom, Flag, Paginator, Reading, TotalAt};
use crate::limits::{EMPTY_PAGES_MAX, PAGES_MAX};
use crate::model::incremental::{CursorKind, CursorValue};
use crate::model::json_path::JsonPath;

/// Where the next page is. Never how far earlier runs got: that is a cursor.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum PageToken {
    First,
    /// As the server sent it: absolute or relative to the page it came from.
    Link(String),
    Cursor(String),
    Offset(u64),
    Page(u64),
}

impl fmt::Debug for PageToken {
    /// Links and cursors may carry credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PageToken::First => f.write_str("first page"),
            PageToken::Link(_) => f.write_str("next link"),
            PageToken::Cursor(_) => f.write_str("cursor"),
            PageToken::Offset(offset) => write!(f, "offset {offset}"),
            PageToken::Page(page) => write!(f, "page {page}"),
        }
    }
}

/// What of an answer a paginator needs to see, besides its records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wants {
    /// Places of the next page's URL, the first that is there wins.
    pub next_links: Vec<JsonPath>,
    pub link_header: bool,
    /// Absent = no cursor paging.
    pub cursor: Option<CursorFrom>,
    /// Places of the total, the first that is there wins.
    pub totals: Vec<TotalAt>,
    /// Absent = the API tells no number of pages.
    pub total_pages: Option<JsonPath>,
    /// Absent = the API has no such flag.
    pub has_more: Option<JsonPath>,
    /// When to look for members and headers that tell of further pages where the job does not look.
    pub signs_of_more: Signs,
    /// Place of a value in the last record. Absent = nobody asks for it.
    pub last_value: Option<JsonPath>,
}

/// When signs of further pages are looked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Signs {
    #[default]
    Never,
    /// Where an answer says nothing where the job looks: there they would prove the job wrong.
    AtTheEnd,
    Always,
}

/// What an answer said about paging. Each `Option` is absent when the answer did not say it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PageFacts {
    /// Raw records of the page, before any filter.
    pub records: u64,
    pub next_link: Option<String>,
    pub cursor: Option<String>,
    pub total: Option<u64>,
    pub total_pages: Option<u64>,
    pub has_more: Option<bool>,
    /// What stands at `Wants::last_value`.
    pub last_value: Option<String>,
    /// Where a next link or cursor should stand and something else stands: true, a list, an object without address.
    pub unreadable_next: Option<String>,
    /// A member that says that there is a next page.
    pub sign_of_next: Option<String>,
    /// A member or header with a total above this page's records.
    pub sign_of_total: Option<String>,
    /// Of the records' bytes. Absent = the page is empty.
    pub fingerprint: Option<u64>,
}

/// Why a walk ended; the word in a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndReason {
    NoNextLink,
    EmptyPage,
    ServerFlag,
    TotalReached,
    ShortPage,
    SinglePage,
    /// The last record was older than the cursor of a feed that gives the newest first.
    CursorReached,
    /// A rule of the job says that the answer means the end.
    Rule,
}

/// Proof that a walk saw everything; made by `Walk::accept` alone, and read back from what was kept of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WalkEnd {
    #[serde(rename = "ended")]
    reason: EndReason,
    pages: u64,
    records: u64,
    changed: bool,
}

impl WalkEnd {
    /// Whether the table changed while it was read, which the job allows: rows may be missing or double.
    pub(crate) fn is_changed(&self) -> bool {
        self.changed
    }

    pub(crate) fn reason(&self) -> EndReason {
        self.reason
    }

    pub(crate) fn pages(&self) -> u64 {
        self.pages
    }

    pub(crate) fn records(&self) -> u64 {
        self.records
    }
}

/// What comes after a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    More(PageToken),
    End(WalkEnd),
}

/// Whether the API's own total must equal the records found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TotalProof {
    Required,
    /// The request itself asks for a part (`$top`, `$skip`), so the total speaks of something else.
    Waived,
    /// The table changes while it is read, and the job allows it: a difference is told, no error.
    Flagged,
}

impl Paginator {
    /// What this way of paging needs to see of an answer.
    pub(crate) fn wants(&self) -> Wants {
        let odata_links = || {
            vec![JsonPath::of(&["@odata.nextLink"]), JsonPath::of(&["odata.nextLink"]), JsonPath::of(&["d", "__next"])]
        };
        let odata_totals = || vec![TotalAt::Odata];
        let counted = |bounds: &Bounds| Wants {
            totals: bounds.total.iter().cloned().collect(),
            has_more: bounds.has_more.clone(),
            ..Wants::default()
        };
        match self {
            Paginator::Single => Wants::default(),
            Paginator::Unstated => Wants {
                next_links: odata_links(),
                link_header: true,
                totals: odata_totals(),
                signs_of_more: Signs::Always,
                ..Wants::default()
            },
            Paginator::LinkHeader => Wants { link_header: true, signs_of_more: Signs::AtTheEnd, ..Wants::default() },
            Paginator::Odata => Wants {
                next_links: odata_links(),
                totals: odata_totals(),
                signs_of_more: Signs::AtTheEnd,
                ..Wants::default()
            },
            Paginator::NextUrl { path } => {
                Wants { next_links: vec![path.clone()], signs_of_more: Signs::AtTheEnd, ..Wants::default() }
            }
            Paginator::Cursor { from, has_more, total, .. } => Wants {
                cursor: Some(from.clone()),
                has_more: has_more.clone(),
                signs_of_more: Signs::AtTheEnd,
                totals: total.iter().cloned().collect(),
                ..Wants::default()
            },
            Paginator::Offset { bounds, .. } => counted(bounds),
            Paginator::Page { bounds, total_pages, .. } => {
                Wants { total_pages: total_pages.clone(), ..counted(bounds) }
            }
        }
    }

    /// The token of the first page.
    pub(crate) fn first(&self) -> PageToken {
        match self {
            Paginator::Offset { .. } => PageToken::Offset(0),
            Paginator::Page { first, .. } => PageToken::Page(*first),
            Paginator::Single
            | Paginator::Unstated
            | Paginator::LinkHeader
            | Paginator::Odata
            | Paginator::NextUrl { .. }
            | Paginator::Cursor { .. } => PageToken::First,
        }
    }
}

/// The state of one walk.
#[derive(Debug)]
pub(crate) struct Walk {
    paginator: Paginator,
    proof: TotalProof,
    current: PageToken,
    seen: HashSet<u64>,
    /// Pages by the fingerprint of their records.
    fingerprints: HashMap<u64, u64>,
    pages: u64,
    records: u64,
    empty_in_a_row: u64,
    /// The first total that the API told, and the last. Absent = none so far.
    totals: Option<(u64, u64)>,
    /// Where a feed of the newest first is known from here on. Absent = all is read.
    known_from: Option<(CursorKind, CursorValue)>,
    /// As last told. Absent = not yet.
    total_pages: Option<u64>,
}

impl Walk {
    pub(crate) fn new(paginator: Paginator, proof: TotalProof) -> Self {
        let current = paginator.first();
        let seen = HashSet::from([token_hash(&current)]);
        Walk {
            paginator,
            proof,
            current,
            seen,
            fingerprints: HashMap::new(),
            pages: 0,
            records: 0,
            empty_in_a_row: 0,
            totals: None,
            known_from: None,
            total_pages: None,
        }
    }

    /// Ends the walk at the first page whose last record lies before this value; what comes behind is known.
    pub(crate) fn stop_at_known(&mut self, kind: CursorKind, value: CursorValue) {
        self.known_from = Some((kind, value));
        // The total speaks of the whole feed.
        self.proof = TotalProof::Waived;
    }

    /// Tokens of the pages behind the current one, as far as the API's total tells them; for reading ahead. They are
    /// a guess: what `accept` says counts.
    pub(crate) fn tokens_ahead(&self) -> Vec<PageToken> {
        let total = self.totals.map_or(0, |(_, last)| last);
        match &self.paginator {
            Paginator::Offset { size, reading: Reading::Ahead, .. } => {
                let first = if self.pages == 0 { 0 } else { self.records };
                let first = first.max(match &self.current {
                    PageToken::Offset(offset) => *offset,
                    _ => 0,
                });
                (first..total)
                    .step_by(usize::try_from(*size).unwrap_or(usize::MAX))
                    .skip(1)
                    .map(PageToken::Offset)
                    .collect()
            }
            Paginator::Page { first, size: Some(size), reading: Reading::Ahead, .. } => {
                let current = match &self.current {
                    PageToken::Page(page) => *page,
                    _ => *first,
                };
                let last = first + total.div_ceil(size.size);
                (current + 1..last).map(PageToken::Page).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Takes note of an answer that by a rule of the job holds nothing; only the first may.
    pub(crate) fn accept_nothing(&mut self) -> WalkEnd {
        self.pages += 1;
        self.ended(EndReason::Rule)
    }

    /// Takes note of an answer that by a rule of the job means that the page before was the last one.
    pub(crate) fn accept_end(&mut self) -> Result<Step, Error> {
        self.end(EndReason::Rule)
    }

    /// The page to ask for now.
    pub(crate) fn current(&self) -> &PageToken {
        &self.current
    }

    /// Pages accepted so far.
    pub(crate) fn pages(&self) -> u64 {
        self.pages
    }

    /// Takes note of a page and says what comes next. After `Step::End` or an error the walk is over.
    pub(crate) fn accept(&mut self, facts: &PageFacts) -> Result<Step, Error> {
        self.pages += 1;
        self.records += facts.records;
        if let Some(total) = facts.total {
            self.totals = Some((self.totals.map_or(total, |(first, _)| first), total));
        }
        self.total_pages = facts.total_pages.or(self.total_pages);
        // Any former page, not only the last one: a server may start over, or alternate, under ever new tokens.
        if let Some(fingerprint) = facts.fingerprint
            && let Some(former) = self.fingerprints.insert(fingerprint, self.pages)
        {
            return Err(Error::RepeatedBody { page: self.pages, former });
        }
        if let Some(place) = &facts.unreadable_next {
            return Err(Error::UnreadableNext { page: self.pages, place: place.clone() });
        }
        self.empty_in_a_row = if facts.records == 0 { self.empty_in_a_row + 1 } else { 0 };
        if self.is_known(facts) {
            return self.end(EndReason::CursorReached);
        }
        match self.advance(facts)? {
            Ok(token) => self.go_on(token),
            Err(reason) => self.end(reason),
        }
    }

    fn is_known(&self, facts: &PageFacts) -> bool {
        let Some((kind, known)) = &self.known_from else { return false };
        facts.last_value.as_ref().and_then(|text| kind.read(text)).is_some_and(|last| last < *known)
    }

    /// `Ok` = the next token, `Err` = why there is none.
    fn advance(&self, facts: &PageFacts) -> Result<Result<PageToken, EndReason>, Error> {
        let link = || facts.next_link.clone().map(PageToken::Link);
        Ok(match &self.paginator {
            Paginator::Single => Err(EndReason::SinglePage),
            Paginator::Unstated => match (link(), facts.sign_of_next.as_ref().or(facts.sign_of_total.as_ref())) {
                (Some(token), _) => Ok(token),
                (None, Some(sign)) if self.pages == 1 => return Err(Error::Unstated { sign: sign.clone() }),
                (None, None) if self.pages == 1 => Err(EndReason::SinglePage),
                (None, _) => self.no_next_link(facts)?,
            },
            Paginator::LinkHeader | Paginator::Odata | Paginator::NextUrl { .. } => match link() {
                Some(token) => Ok(token),
                None => self.no_next_link(facts)?,
            },
            Paginator::Cursor { flag: Flag::Required, .. } if facts.has_more.is_none() => {
                return Err(Error::FlagMissing { page: self.pages });
            }
            Paginator::Cursor { from, .. } => match (facts.has_more, &facts.cursor) {
                (Some(false), _) => Err(EndReason::ServerFlag),
                (_, Some(cursor)) => Ok(PageToken::Cursor(cursor.clone())),
                (Some(true), None) => return Err(Error::MoreWithoutPlace { page: self.pages }),
                (None, None) => match from {
                    CursorFrom::LastRecord(_) if facts.records == 0 => Err(EndReason::EmptyPage),
                    CursorFrom::LastRecord(path) => {
                        return Err(Error::NoTokenInRecord { page: self.pages, path: path.to_string() });
                    }
                    CursorFrom::Body(_) | CursorFrom::Header(_) => self.no_next_link(facts)?,
                },
            },
            Paginator::Offset { size, bounds, .. } => match self.counted_end(facts, bounds, Some(*size)) {
                Some(reason) => Err(reason),
                // The next offset would be this one: what else there is stands nowhere.
                None if facts.records == 0 => return Err(Error::MoreWithoutPlace { page: self.pages }),
                // Counted from what came, not from what was asked: servers lower the page size in silence.
                None => Ok(PageToken::Offset(self.records)),
            },
            Paginator::Page { first, size, bounds, .. } => {
                match self.counted_end(facts, bounds, size.as_ref().map(|size| size.size)) {
                    Some(reason) => Err(reason),
                    None => Ok(PageToken::Page(first + self.pages)),
                }
            }
        })
    }

    /// No link where one is expected is the end, unless the answer itself says that there is more.
    fn no_next_link(&self, facts: &PageFacts) -> Result<Result<PageToken, EndReason>, Error> {
        match &facts.sign_of_next {
            Some(sign) => Err(Error::MoreElsewhere { page: self.pages, sign: sign.clone() }),
            None => Ok(Err(EndReason::NoNextLink)),
        }
    }

    /// What the API says outright goes before what we conclude: an empty or short page is no end while it tells of more.
    fn counted_end(&self, facts: &PageFacts, bounds: &Bounds, size: Option<u64>) -> Option<EndReason> {
        if facts.has_more == Some(false) {
            Some(EndReason::ServerFlag)
        } else if facts.has_more == Some(true) {
            None
        } else if let Some(total_pages) = self.total_pages
            && (facts.records > 0 || self.pages < total_pages)
        {
            (self.pages >= total_pages).then_some(EndReason::TotalReached)
        } else if facts.records == 0 {
            Some(EndReason::EmptyPage)
        } else if self.totals.is_some_and(|(_, total)| self.records >= total) {
            Some(EndReason::TotalReached)
        } else if bounds.short_page_ends && size.is_some_and(|size| facts.records < size) {
            Some(EndReason::ShortPage)
        } else {
            None
        }
    }

    fn go_on(&mut self, token: PageToken) -> Result<Step, Error> {
        if self.empty_in_a_row > EMPTY_PAGES_MAX {
            return Err(Error::TooManyEmpty { empty: self.empty_in_a_row });
        }
        if self.pages >= PAGES_MAX {
            return Err(Error::TooManyPages { pages: self.pages });
        }
        if !self.seen.insert(token_hash(&token)) {
            return Err(Error::Loop { page: self.pages });
        }
        self.current = token.clone();
        Ok(Step::More(token))
    }

    fn end(&self, reason: EndReason) -> Result<Step, Error> {
        match self.proof {
            TotalProof::Required => self.prove()?,
            TotalProof::Waived | TotalProof::Flagged => {}
        }
        Ok(Step::End(self.ended(reason)))
    }

    fn ended(&self, reason: EndReason) -> WalkEnd {
        let changed = self.proof == TotalProof::Flagged && self.prove().is_err();
        WalkEnd { reason, pages: self.pages, records: self.records, changed }
    }

    /// Counted walks lose or double rows when others come or go before their place, and the count may still be right:
    /// for them, the total itself must stand still.
    fn prove(&self) -> Result<(), Error> {
        let Some((first, last)) = self.totals else { return Ok(()) };
        let is_counted = matches!(self.paginator, Paginator::Offset { .. } | Paginator::Page { .. });
        if is_counted && first != last {
            return Err(Error::Changed { first, last, page: self.pages });
        }
        if (first.min(last)..=first.max(last)).contains(&self.records) {
            return Ok(());
        }
        Err(Error::TotalDiffers { total: last, records: self.records, pages: self.pages })
    }
}

/// 64 bits a token instead of the token: a million pages stay within a few MB.
fn token_hash(token: &PageToken) -> u64 {
    let mut hasher = DefaultHasher::new();
    token.hash(&mut hasher);
    hasher.finish()
}
