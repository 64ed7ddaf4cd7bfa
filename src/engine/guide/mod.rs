//! How an unknown API is read, found out by asking it: guesses about an answer come in from `source::guess`, are put into a
//! draft of a job and tried, and what was proved stays there. Nothing is published and nothing is kept.
//!
//! It does not ask people, and does not print: whoever calls it does.

mod doubts;
mod key;
mod login;
mod trial;

use tokio_util::sync::CancellationToken;

use super::context::{Context, OpenError, Purpose, Settings};
use super::error::Error;
use super::preview::{Preview, preview};
use super::pump::prepare;
use super::stream::template;
use crate::columns;
use crate::http;
use crate::job::draft::{Draft, Said};
use crate::job::{LoadError, load_text};
use crate::limits::{GUESS_RECORDS_MAX, GUESS_REQUESTS_MAX};
use crate::model::plan::Stream;
use crate::source;
use crate::source::guess::{
    Challenged, Connection, INTROSPECTION, Records, Seen, Sighting, challenged, connections, look_at, of_odata,
    without_signs,
};
use crate::telemetry::Telemetry;

pub(crate) use doubts::untried;
pub(crate) use login::{FoundLogin, find_login};

/// Columns that are made JSON one by one because their members would have one name.
const COLLISIONS_MAX: usize = 8;

/// Why nothing was found out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GuideError {
    #[error("{0}")]
    Load(#[from] LoadError),
    #[error("{0}")]
    Open(#[from] OpenError),
    #[error("{0}")]
    Run(#[from] Error),
    #[error("the answer is a description, not records")]
    NoRecords,
    #[error("the GraphQL endpoint describes no list that is read page by page (`first`, `after`, `pageInfo`)")]
    NoConnection,
}

impl GuideError {
    /// What somebody at the command line can do, where we know it.
    pub(crate) fn hint(&self) -> Option<String> {
        let error = match self {
            GuideError::Run(error) => error,
            GuideError::NoConnection => {
                return Some(
                    "write its query into a job: docs/JOBS.md, Requests, and `jobs/shopify.yaml` show how".to_owned(),
                );
            }
            GuideError::Load(_) | GuideError::Open(_) | GuideError::NoRecords => return None,
        };
        let Error::Page { source, .. } = error else { return error.hint() };
        let asked = match source {
            source::Error::Http(asked) | source::Error::GaveUp { source: asked, .. } => asked,
            source::Error::NotJson { .. } => {
                return Some(
                    "haul reads JSON: an HTML page often is a website or a login, and the API's own address stands in its \
                     documentation; CSV and XML are read by a job with `format`, see docs/JOBS.md"
                        .to_owned(),
                );
            }
            source::Error::NoRecords { .. } => {
                return Some("give the address of a list, for example `https://api.example.com/v1/orders`".to_owned());
            }
            _ => return error.hint(),
        };
        match asked {
            http::Error::AddressRefused { kind, .. } if kind.may_be_allowed() => {
                Some("if the API is in your own network, say so: `--allow-private`".to_owned())
            }
            http::Error::Unreachable { .. } | http::Error::NoConnection { .. } => Some(
                "check the address, name resolution, the proxy (HTTPS_PROXY) and the certificates of this machine".to_owned(),
            ),
            http::Error::TimedOut { .. } | http::Error::TooSlow { .. } => {
                Some("`--timeout 2m` waits longer".to_owned())
            }
            http::Error::Redirect { .. } => Some("if that is the API, give that address instead".to_owned()),
            http::Error::Status { status, .. } => match status.as_u16() {
                401 | 403 => Some("check what the variables hold, and what the credential is allowed to read".to_owned()),
                404 | 410 => Some("check the address: there is nothing at this path".to_owned()),
                400 | 405 | 415 | 422 => Some(
                    "the API takes this address otherwise: a parameter may be missing, or it wants a POST, as GraphQL does; \
                     see docs/JOBS.md, Requests"
                        .to_owned(),
                ),
                _ => asked.hint(),
            },
            _ => asked.hint(),
        }
    }
}

/// The API of a draft, open for questions.
pub(crate) struct Guide {
    ctx: Context,
}

/// What came of the first question.
pub(crate) enum Looked {
    Sighted(Box<Sighting>),
    /// A GraphQL endpoint, with the lists that it gives page by page.
    Graphql(Vec<Connection>),
    /// The API wants a credential, or another one.
    Refused {
        status: u16,
        wants: Challenged,
        error: Box<Error>,
    },
}

/// A stream that was found out.
pub(crate) struct Settled {
    pub previews: Vec<Preview>,
    /// What proved the paging, or why none was found; for people.
    pub paging: String,
    /// Whether a run of this stream is known to see further pages, or that there are none.
    pub is_sure: bool,
}

impl Guide {
    /// Opens the API as the draft says. Secrets are read here.
    pub(crate) async fn open(
        draft: &Draft,
        settings: &Settings,
        cancel: CancellationToken,
        telemetry: Telemetry,
    ) -> Result<Self, GuideError> {
        let job = load_text("the draft", &draft.trial())?;
        Ok(Guide { ctx: Context::open(job, settings, Purpose::Try, cancel, telemetry).await? })
    }

    /// Asks for the first answer of a stream, and says what it is.
    pub(crate) async fn look(&self, draft: &Draft, at: usize) -> Result<Looked, GuideError> {
        let stream = stream_of(draft, at)?;
        let endpoint = prepare(&self.ctx, &stream, &template(&self.ctx))?;
        let seen: Seen = match self.ctx.source.look(&endpoint).await {
            Ok(seen) => seen,
            Err(error) if may_be_graphql(&error, &stream.request.path) => {
                return self.look_by_query(draft, at, error).await;
            }
            Err(error) => return refused(error, &stream.name),
        };
        match look_at(&seen, &draft.streams[at].params) {
            Ok(sighting) => Ok(Looked::Sighted(Box::new(sighting))),
            Err(error @ source::Error::Complaint { .. }) if speaks_graphql(&stream.request.path) => {
                self.look_by_query(draft, at, error).await
            }
            Err(source) => Err(Error::Page { stream: stream.name.clone(), page: 1, source }.into()),
        }
    }

    /// Asks what a GraphQL endpoint offers. `error` is what it said to a plain question.
    async fn look_by_query(&self, draft: &Draft, at: usize, error: source::Error) -> Result<Looked, GuideError> {
        let mut asked = draft.clone();
        asked.streams[at].graphql = Some((INTROSPECTION.to_owned(), serde_json::json!({})));
        let stream = stream_of(&asked, at)?;
        let endpoint = prepare(&self.ctx, &stream, &template(&self.ctx))?;
        // What it said at first is the news, unless it understands the query.
        let seen = match self.ctx.source.look(&endpoint).await {
            Ok(seen) => seen,
            Err(source::Error::Http(http::Error::Interrupted)) => return Err(Error::Interrupted.into()),
            Err(_) => return Err(super::read::page_error(&stream.name, 1, error).into()),
        };
        match connections(&seen.body) {
            Ok(found) if !found.is_empty() => Ok(Looked::Graphql(found)),
            Ok(_) => Err(GuideError::NoConnection),
            Err(_) => Err(super::read::page_error(&stream.name, 1, error).into()),
        }
    }

    /// Tries the guesses about a stream and writes into the draft what was proved, what was not, and why.
    pub(crate) async fn settle(&self, draft: &mut Draft, at: usize, records: &Records) -> Result<Settled, GuideError> {
        let stream = &mut draft.streams[at];
        stream.records =
            records.at.as_ref().map(|guess| Said::new(guess.value.clone(), format!("{}.", sentence(&guess.why))));
        stream.notes.extend(records.notes.iter().cloned());
        let (paging, is_sure) = self.settle_paging(draft, at, records).await?;
        let previews = self.show(draft, at).await?;
        if let Some(shown) = previews.first() {
            key::settle(&mut draft.streams[at], shown);
            doubts::note(draft, at, shown);
        }
        Ok(Settled { previews, paging, is_sure })
    }

    async fn settle_paging(
        &self,
        draft: &mut Draft,
        at: usize,
        records: &Records,
    ) -> Result<(String, bool), GuideError> {
        let asked_before = self.requests();
        let is_silent = records.sign.is_none() && records.pagings.is_empty();
        let silent = match &records.odata {
            _ if !is_silent => Vec::new(),
            None => without_signs(records.count),
            Some(_) => of_odata(records.count),
        };
        let version = records.odata.as_ref().map(|(version, _)| *version);
        let first = self.first_page(draft, at).await?;
        let mut refuted = Vec::new();
        for guess in records.pagings.iter().chain(&silent) {
            if self.requests() - asked_before >= GUESS_REQUESTS_MAX {
                refuted.push(format!(
                    "{GUESS_REQUESTS_MAX} requests were made, limit GUESS_REQUESTS_MAX: the rest was not tried"
                ));
                break;
            }
            let mut tried = draft.clone();
            trial::state(&mut tried.streams[at], &guess.value, version);
            match self.try_paging(&tried, at, &first).await? {
                trial::Verdict::Proved(proof) => {
                    let stream = &mut draft.streams[at];
                    trial::state(stream, &guess.value, version);
                    stream.paging =
                        Some(Said::new(guess.value.clone(), format!("{}. Tried: {proof}.", sentence(&guess.why))));
                    self.look_behind(draft, at).await?;
                    return Ok((format!("{}; tried: {proof}", guess.why), true));
                }
                trial::Verdict::Refuted(why) => refuted.push(format!("{}: {why}", short(&guess.value))),
            }
        }
        Ok(doubts::paging(&mut draft.streams[at], records, &refuted, !silent.is_empty()))
    }

    /// Rows as a run would decode them. What would collide becomes JSON.
    async fn show(&self, draft: &mut Draft, at: usize) -> Result<Vec<Preview>, GuideError> {
        for _ in 0..COLLISIONS_MAX {
            let stream = stream_of(draft, at)?;
            let shown = preview(&self.ctx, &stream, None, GUESS_RECORDS_MAX, GUESS_RECORDS_MAX as usize).await;
            let (why, member) = match shown {
                Ok(shown) => return Ok(shown),
                Err(Error::Columns { source, .. }) if top_of(&source).is_some() => {
                    (source.to_string(), top_of(&source))
                }
                Err(error) => return Err(error.into()),
            };
            let stream = &mut draft.streams[at];
            stream.columns.push((member.unwrap_or_default(), "json".to_owned()));
            stream.columns_why = format!("objects that stay whole: {why}");
        }
        let stream = stream_of(draft, at)?;
        Ok(preview(&self.ctx, &stream, None, GUESS_RECORDS_MAX, GUESS_RECORDS_MAX as usize).await?)
    }

    fn requests(&self) -> u64 {
        self.ctx.source.client().counters().attempts.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// A stream of the draft, checked.
fn stream_of(draft: &Draft, at: usize) -> Result<Stream, LoadError> {
    let mut job = load_text("the draft", &draft.trial())?;
    Ok(job.streams.swap_remove(at))
}

/// The outermost field of what cannot become columns.
fn top_of(error: &columns::Error) -> Option<String> {
    let path = match error {
        columns::Error::SameName { first, .. } => first,
        columns::Error::LongName { path, .. } | columns::Error::ManyColumns { path, .. } => path,
        _ => return None,
    };
    // A field that is no object cannot become one.
    let (top, _) = path.split_once('.')?;
    Some(top.to_owned())
}

/// Whether an endpoint that refuses may only speak another language. A POST elsewhere could change something.
fn may_be_graphql(error: &source::Error, path: &str) -> bool {
    let source::Error::Http(http::Error::Status { status, excerpt, .. }) = error else { return false };
    let is_refusal = matches!(status.as_u16(), 400 | 404 | 405 | 406 | 415 | 422);
    is_refusal && (speaks_graphql(path) || speaks_graphql(excerpt))
}

fn speaks_graphql(text: &str) -> bool {
    text.to_ascii_lowercase().contains("graphql")
}

/// A refusal that asks for a credential, apart from all other failures.
fn refused(error: source::Error, stream: &str) -> Result<Looked, GuideError> {
    let told = match &error {
        source::Error::Http(http::Error::Status { status, challenge, .. }) if matches!(status.as_u16(), 401 | 403) => {
            Some((status.as_u16(), challenge.as_ref().map(|challenge| challenge.offers.clone()).unwrap_or_default()))
        }
        _ => None,
    };
    let error = super::read::page_error(stream, 1, error);
    match told {
        Some((status, offers)) => Ok(Looked::Refused { status, wants: challenged(&offers), error: Box::new(error) }),
        None => Err(error.into()),
    }
}

/// A guess as it would stand in the file.
fn short(value: &serde_json::Value) -> String {
    format!("`paging: {}`", crate::job::draft::flow(value))
}

fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}
