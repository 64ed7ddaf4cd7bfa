//! One guess about paging, tried on the first two pages.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{Guide, GuideError, stream_of};
use crate::engine::error::{Class, Error};
use crate::engine::pump::prepare;
use crate::engine::read::{page_error, reading_of, wants};
use crate::engine::stream::template;
use crate::http;
use crate::job::draft::{Draft, Said, StreamDraft};
use crate::job::load_text;
use crate::model::plan::Stream;
use crate::paging::walk::{EndReason, PageFacts, PageToken, Step, Walk};
use crate::paging::{Flag, Paginator};
use crate::source;
use crate::source::guess::{Version, counts_pages, counts_records, is_page_parameter};
use crate::source::{Answer, Endpoint, PageTrace};

/// A page number behind every last page.
const FAR_PAGE: u64 = 1_000_000;

/// What a trial showed.
pub(super) enum Verdict {
    Proved(String),
    Refuted(String),
}

/// A page as trials compare it.
pub(super) struct Shown {
    facts: PageFacts,
    /// Each record as text.
    records: Vec<String>,
    trace: PageTrace,
}

/// Writes a guess into a stream; parameters that the walk sends itself go.
pub(super) fn state(stream: &mut StreamDraft, paging: &Value, version: Option<Version>) {
    stream.paging = Some(Said::new(paging.clone(), ""));
    if paging.get("odata_skip").is_some() {
        let (name, value) = match version {
            Some(Version::V2 | Version::V3) => ("$inlinecount", "allpages"),
            Some(Version::V4) | None => ("$count", "true"),
        };
        stream.params.retain(|(known, _)| known != name);
        stream.params.push((name.to_owned(), value.to_owned()));
    }
    let counted = paging.get("page").or_else(|| paging.get("offset"));
    let Some(counted) = counted else { return };
    let sent: Vec<&str> = ["param", "size_param"].iter().filter_map(|key| counted.get(key)?.as_str()).collect();
    stream.params.retain(|(name, _)| !(is_page_parameter(name) && sent.contains(&name.as_str())));
}

impl Guide {
    /// Has a stream begin at its first page, where the address asks for a later one. Gives what was changed, for people.
    pub(crate) async fn begin_at_first(&self, draft: &mut Draft, at: usize) -> Result<Option<String>, GuideError> {
        let params = &mut draft.streams[at].params;
        let number = |value: &String| value.parse::<u64>().ok();
        if let Some((name, value)) =
            params.iter_mut().find(|(name, value)| counts_records(name) && number(value) > Some(0))
        {
            let told = format!("the address begins at `{name}={value}`: the job begins at 0");
            *value = "0".to_owned();
            return Ok(Some(told));
        }
        let place = params.iter().position(|(name, value)| counts_pages(name) && number(value) > Some(0));
        let Some(place) = place else { return Ok(None) };
        let (name, typed) = params[place].clone();
        let mut begun = draft.clone();
        begun.streams[at].params[place].1 = "1".to_owned();
        let one = self.first_page(&begun, at).await?;
        begun.streams[at].params[place].1 = "0".to_owned();
        let is_from_zero = match self.first_page(&begun, at).await {
            Ok(zero) => !zero.records.is_empty() && zero.records.iter().all(|record| !one.records.contains(record)),
            Err(GuideError::Run(error)) if error.class() == Class::Interrupted => return Err(error.into()),
            Err(_) => false,
        };
        let first = if is_from_zero { "0" } else { "1" };
        if first == typed {
            return Ok(None);
        }
        draft.streams[at].params[place].1 = first.to_owned();
        Ok(Some(format!("the address asks for `{name}={typed}`: the job begins at page {first}")))
    }

    /// The first answer, as the address asks for it.
    pub(super) async fn first_page(&self, draft: &Draft, at: usize) -> Result<Shown, GuideError> {
        let mut single = draft.clone();
        single.streams[at].paging = Some(Said::new(json!("none"), ""));
        let stream = stream_of(&single, at)?;
        let endpoint = self.endpoint(&stream)?;
        match self.page(&stream, &endpoint, &PageToken::First, None).await {
            Ok(Some(page)) => Ok(page),
            Ok(None) => unreachable!("there is no rule"),
            Err(source) => Err(page_error(&stream.name, 1, source).into()),
        }
    }

    /// Whether the second page is there, and another one than the first.
    pub(super) async fn try_paging(&self, draft: &Draft, at: usize, known: &Shown) -> Result<Verdict, GuideError> {
        let stream = match load_text("the draft", &draft.trial()) {
            Ok(mut job) => job.streams.swap_remove(at),
            // A name that no job file takes.
            Err(_) => return Ok(Verdict::Refuted("no job file can say so".to_owned())),
        };
        let endpoint = self.endpoint(&stream)?;
        let mut walk = Walk::new(stream.paginator.clone(), endpoint.total_proof());
        let first = match self.page(&stream, &endpoint, walk.current(), None).await {
            Ok(Some(first)) => first,
            Ok(None) => return Ok(Verdict::Refuted("the first page is none".to_owned())),
            Err(error) => return refuted(error, "the first page"),
        };
        let is_counted = matches!(stream.paginator, Paginator::Page { .. } | Paginator::Offset { .. });
        if is_counted && first.facts.fingerprint != known.facts.fingerprint {
            return Ok(Verdict::Refuted("its first page is another one than the API gives unasked".to_owned()));
        }
        match walk.accept(&first.facts) {
            Ok(Step::More(_)) => {}
            // The API says so itself.
            Ok(Step::End(end)) if is_flagged(&stream.paginator) && end.reason() == EndReason::ServerFlag => {
                return Ok(Verdict::Proved("the first page says that it is the last".to_owned()));
            }
            Ok(Step::End(_)) => return Ok(Verdict::Refuted("the walk would end at the first page".to_owned())),
            Err(error) => return Ok(Verdict::Refuted(error.to_string())),
        }
        let second = match self.page(&stream, &endpoint, walk.current(), Some(&first)).await {
            Ok(Some(second)) => second,
            Ok(None) => return Ok(Verdict::Refuted("the second page is none".to_owned())),
            Err(error) => return refuted(error, "the second page"),
        };
        if let Err(error) = walk.accept(&second.facts) {
            return Ok(Verdict::Refuted(error.to_string()));
        }
        let count = second.records.len();
        if count == 0 {
            return Ok(Verdict::Refuted("the second page is empty".to_owned()));
        }
        let before: HashSet<&String> = first.records.iter().collect();
        let again = second.records.iter().filter(|record| before.contains(record)).count();
        if again > 0 {
            return Ok(Verdict::Refuted(format!(
                "{again} of the {count} records of the second page stand on the first"
            )));
        }
        if let (Paginator::Offset { .. }, true) = (&stream.paginator, first.records.len() > 1) {
            // Where the parameter counted pages, whole pages would be left out in silence.
            match self.page(&stream, &endpoint, &PageToken::Offset(1), Some(&first)).await {
                Ok(Some(shifted)) if shifted.records.first() == first.records.get(1) => {}
                Ok(_) => {
                    return Ok(Verdict::Refuted("an offset of one does not begin at the second record".to_owned()));
                }
                Err(error) => return refuted(error, "an offset of one"),
            }
        }
        let records = if count == 1 { "1 record".to_owned() } else { format!("{count} records") };
        Ok(Verdict::Proved(format!("the second page has {records}, none of them on the first")))
    }

    /// What a counted walk without a total meets behind its last page.
    pub(super) async fn look_behind(&self, draft: &mut Draft, at: usize) -> Result<(), GuideError> {
        let stream = stream_of(draft, at)?;
        let Paginator::Page { bounds, total_pages, .. } = &stream.paginator else { return Ok(()) };
        if bounds.total.is_some() || bounds.has_more.is_some() || total_pages.is_some() {
            return Ok(());
        }
        let endpoint = self.endpoint(&stream)?;
        let first = self.first_page(draft, at).await?;
        let drafted = &mut draft.streams[at];
        match self.page(&stream, &endpoint, &PageToken::Page(FAR_PAGE), Some(&first)).await {
            Ok(Some(far)) if far.records.is_empty() => {}
            Ok(Some(_)) => drafted.paging_notes.push(
                "To be checked: far behind its last page the API gives records all the same. If these are those of the \
                 last page, a run stops there with an error: name `total` or `total_pages` in `paging`."
                    .to_owned(),
            ),
            Err(source::Error::PerhapsPastEnd { source: http::Error::Status { status, .. } }) if status == 404 => {
                let why = "Behind its last page the API answers 404, which ends the walk. It would also hide a page that \
                           got lost: if the API tells a total, name it in `paging` instead.";
                drafted.responses = Some(Said::new(json!([{ "status": 404, "then": "end" }]), why));
            }
            Ok(None) => {}
            Err(error) if is_over(&error) => return Err(page_error(&stream.name, 1, error).into()),
            Err(error) => drafted.paging_notes.push(format!(
                "To be checked: far behind the last page the API answers with an error, and a run would stop there: \
                 name `total` or `has_more` in `paging`, or write a rule under `responses`. It said: {error}"
            )),
        }
        Ok(())
    }

    fn endpoint(&self, stream: &Stream) -> Result<Endpoint, Error> {
        prepare(&self.ctx, stream, &template(&self.ctx))
    }

    /// `None` = a rule says that there is none.
    async fn page(
        &self,
        stream: &Stream,
        endpoint: &Endpoint,
        token: &PageToken,
        before: Option<&Shown>,
    ) -> Result<Option<Shown>, source::Error> {
        let wants = wants(stream);
        let reading = reading_of(stream, &wants);
        let asked_at = before.map(|before| &before.trace.url);
        let Answer::Page(page) = self.ctx.source.read_page(endpoint, token, asked_at, &reading).await? else {
            return Ok(None);
        };
        page.compare(before.map(|before| &before.trace))?;
        let (facts, trace) = (page.facts.clone(), page.trace().clone());
        let mut records = Vec::new();
        let mut pieces = page.pieces()?;
        while let Some(piece) = pieces.next_piece()? {
            // What is no list of objects is told by the decoder, with its place.
            let list: Vec<Value> = serde_json::from_slice(&piece).unwrap_or_default();
            records.extend(list.into_iter().map(|record| record.to_string()));
        }
        Ok(Some(Shown { facts, records, trace }))
    }
}

fn is_flagged(paginator: &Paginator) -> bool {
    matches!(paginator, Paginator::Cursor { flag: Flag::Required, .. })
}

/// A failure that is the guess's own; a signal, a lost login and an API that is gone end everything.
fn refuted(error: source::Error, what: &str) -> Result<Verdict, GuideError> {
    if is_over(&error) {
        return Err(page_error("the draft", 1, error).into());
    }
    Ok(Verdict::Refuted(format!("{what}: {error}")))
}

fn is_over(error: &source::Error) -> bool {
    matches!(
        error,
        source::Error::Auth(_)
            | source::Error::Http(http::Error::Interrupted | http::Error::WaitTooLong { .. })
            | source::Error::GaveUp { source: http::Error::Interrupted | http::Error::WaitTooLong { .. }, .. }
    )
}
