//! An answer opened into a page: its records, whole or in pieces, and what it says of further pages.

use std::hash::{BuildHasher, Hasher};
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use url::Url;

use super::decode::{self, Document, Pieces};
use super::envelope::Envelope;
use super::error::Error;
use super::records::{Located, at_path, each, error_body, facts_of, found, last_record, shown, unreadable};
use super::signs::{sign_of_next, sign_of_total};
use crate::http::{Body, Reply, excerpt};
use crate::limits::{PAGE_COPIED_BYTES_MAX, PAGE_SMALL_BYTES};
use crate::model::answer::{AnswerFormat, Packing};
use crate::model::json_path::JsonPath;
use crate::model::plan::RecordsAt;
use crate::model::request::ResponseRule;
use crate::paging::walk::{PageFacts, Signs, Wants};

/// How a stream's answers are to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageReading<'a> {
    pub at: &'a RecordsAt,
    pub wants: &'a Wants,
    pub rules: &'a [ResponseRule],
    pub format: &'a AnswerFormat,
    pub packing: Packing,
}

/// One response's records, not yet decoded.
#[derive(Debug)]
pub(crate) struct Page {
    records: Records,
    pub facts: PageFacts,
    trace: PageTrace,
}

#[derive(Debug)]
enum Records {
    Memory(Bytes),
    /// A list in a document that is larger than memory allows.
    Document(Document, Range<usize>),
}

/// What the next page is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageTrace {
    /// Where the page came from; relative next links start here.
    pub url: Url,
    /// Where its records stood.
    at: Vec<String>,
    is_list: bool,
}

/// A trace that may be stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptTrace {
    url: String,
    at: Vec<String>,
    is_list: bool,
}

impl PageTrace {
    #[cfg(test)]
    pub(crate) fn of(url: Url, at: &[&str]) -> Self {
        PageTrace { url, at: at.iter().map(|&name| name.to_owned()).collect(), is_list: true }
    }

    /// Without the query, which may hold a credential: a relative link brings its own.
    pub(crate) fn to_keep(&self) -> KeptTrace {
        let mut url = self.url.clone();
        url.set_query(None);
        KeptTrace { url: url.into(), at: self.at.clone(), is_list: self.is_list }
    }
}

impl KeptTrace {
    /// `None` = it is none of ours.
    pub(crate) fn open(&self) -> Option<PageTrace> {
        Some(PageTrace { url: self.url.parse().ok()?, at: self.at.clone(), is_list: self.is_list })
    }
}

impl Page {
    /// Bytes of the records.
    pub(crate) fn bytes(&self) -> u64 {
        match &self.records {
            Records::Memory(records) => records.len() as u64,
            Records::Document(_, list) => list.len() as u64,
        }
    }

    pub(crate) fn trace(&self) -> &PageTrace {
        &self.trace
    }

    /// Refuses a page whose records stand elsewhere than those of the page before it.
    pub(crate) fn compare(&self, before: Option<&PageTrace>) -> Result<(), Error> {
        match before.and_then(|before| moved(before, &self.trace)) {
            Some(why) => Err(Error::Moved { why }),
            None => Ok(()),
        }
    }

    /// The records: each piece the text of one array of objects, or of a single object. Blocking where the page is a
    /// file.
    pub(crate) fn pieces(self) -> Result<PagePieces, Error> {
        Ok(match self.records {
            Records::Memory(records) => PagePieces(From::Memory(Some(records))),
            Records::Document(document, list) => PagePieces(From::Document(Box::new(Pieces::new(document, list)?))),
        })
    }
}

/// A page's records, piece by piece.
pub(crate) struct PagePieces(From);

enum From {
    Memory(Option<Bytes>),
    Document(Box<Pieces>),
}

impl PagePieces {
    /// The next piece. `None` = all were given. Where the page is a file, the other tasks of this thread are moved to
    /// another one meanwhile; that costs more than handing over a page that is in memory.
    pub(crate) fn next_piece(&mut self) -> Result<Option<Bytes>, Error> {
        match &mut self.0 {
            From::Memory(records) => Ok(records.take()),
            From::Document(pieces) => Ok(tokio::task::block_in_place(|| pieces.next_piece())?),
        }
    }
}

/// Whether an answer that seems to tell of an error is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    Looked,
    /// The job's rules say that it is none.
    Accepted,
}

/// Opens an answer. Blocking where it is large, packed or no JSON.
pub(super) fn open_page(reply: Reply, reading: &PageReading<'_>, trust: Trust, bytes_max: u64) -> Result<Page, Error> {
    if reply.status == StatusCode::ACCEPTED && trust == Trust::Looked {
        // Its body, however well it looks, is not the result (RFC 9110 section 15.3.3).
        return Err(Error::NotReady { status: reply.status, excerpt: excerpt(reply.body.in_memory()) });
    }
    let is_plain = *reading.format == AnswerFormat::Json && reading.packing == Packing::Nothing;
    let document = match reply.body {
        Body::Memory(body) if is_plain => {
            let body = Body::Memory(body);
            return open_whole(Reply { body, ..reply }, reading.at, reading, trust);
        }
        Body::Memory(body) => Document::Memory(std::io::Cursor::new(body)),
        Body::File(file) => Document::File(file),
    };
    let xml_path = match (reading.format, reading.at) {
        (AnswerFormat::Xml, RecordsAt::Path(path)) => Some(path),
        _ => None,
    };
    let document = decode::to_json(document, reading.packing, reading.format, xml_path, bytes_max)?;
    // What was turned into an array is one.
    let whole = RecordsAt::Path(JsonPath::default());
    let at = if *reading.format == AnswerFormat::Json { reading.at } else { &whole };
    let reply = Reply { body: Body::Memory(Bytes::new()), ..reply };
    match document {
        Document::Memory(body) => {
            open_whole(Reply { body: Body::Memory(body.into_inner()), ..reply }, at, reading, trust)
        }
        file @ Document::File(_) => open_large(reply, file, at, reading, trust),
    }
}

/// A JSON document in memory.
fn open_whole(reply: Reply, at: &RecordsAt, reading: &PageReading<'_>, trust: Trust) -> Result<Page, Error> {
    let Body::Memory(body) = reply.body else { unreachable!("the document is in memory") };
    // A byte order mark is not JSON (RFC 8259 section 8.1), but .NET services send it.
    let body = if body.starts_with(b"\xef\xbb\xbf") { body.slice(3..) } else { body };
    let envelope = Envelope::read(&body).map_err(|error| unreadable(&body, reply.status, error))?;
    check_around(&envelope, at, &body, trust)?;
    let document = body.clone();
    let (body, located) = match at {
        RecordsAt::Each { list, inner } => {
            let all = each(&body, reply.status, &envelope, list, inner)?;
            let whole = Envelope::read(&all).map_err(|error| unreadable(&all, reply.status, error))?;
            let located = at_path(&whole, &JsonPath::default())?;
            (all, located)
        }
        RecordsAt::Path(path) => (body, at_path(&envelope, path)?),
        RecordsAt::Found => (body, found(&envelope)?),
    };
    let decoded = match at {
        RecordsAt::Each { list, .. } => at_path(&envelope, list)?.records,
        RecordsAt::Path(_) | RecordsAt::Found => located.records.clone(),
    };
    for list in envelope.lists_beside(&decoded) {
        let proved = decode::prove(&document[list.clone()], list.start);
        proved.map_err(|error| unreadable(&document, reply.status, error))?;
    }
    let last = match located.last.clone() {
        Some(at) => last_record(reading.wants, &body[at.clone()], at.start)
            .map_err(|error| unreadable(&body, reply.status, error))?,
        None => None,
    };
    let mut facts = facts_of(&envelope, reading.wants, &reply.headers, &body, last.as_ref());
    add_signs(&mut facts, &envelope, reading.wants, &reply.headers, &located);
    let records = taken_out(&body, located.records.clone());
    if located.count > 0 {
        facts.fingerprint = Some(fingerprint(&records));
    }
    let is_list = records.starts_with(b"[");
    let trace = PageTrace { url: reply.url, at: located.at, is_list };
    Ok(Page { records: Records::Memory(records), facts, trace })
}

/// A JSON document in a file: looked through once for what is around its lists, and read once more in pieces.
fn open_large(
    reply: Reply,
    mut document: Document,
    at: &RecordsAt,
    reading: &PageReading<'_>,
    trust: Trust,
) -> Result<Page, Error> {
    document.seek(SeekFrom::Start(0)).map_err(decode::Error::from)?;
    let envelope = Envelope::read_large(&mut document)?;
    let nothing = Bytes::new();
    check_around(&envelope, at, &nothing, trust)?;
    let located = match at {
        RecordsAt::Path(path) => at_path(&envelope, path)?,
        RecordsAt::Found => found(&envelope)?,
        RecordsAt::Each { .. } => {
            let why = "the answer is larger than memory allows, and `[*]` is read in memory".to_owned();
            return Err(Error::NoRecords { why });
        }
    };
    for list in envelope.lists_beside(&located.records) {
        document.seek(SeekFrom::Start(list.start as u64)).map_err(decode::Error::from)?;
        decode::prove((&mut document).take(list.len() as u64), list.start)?;
    }
    let mut last = None;
    if let Some(at) = located.last.clone() {
        let mut record = Vec::new();
        document.seek(SeekFrom::Start(at.start as u64)).map_err(decode::Error::from)?;
        (&mut document).take(at.len() as u64).read_to_end(&mut record).map_err(decode::Error::from)?;
        last = last_record(reading.wants, &record, at.start)?;
    }
    let mut facts = facts_of(&envelope, reading.wants, &reply.headers, &nothing, last.as_ref());
    add_signs(&mut facts, &envelope, reading.wants, &reply.headers, &located);
    let trace = PageTrace { url: reply.url, at: located.at, is_list: true };
    Ok(Page { records: Records::Document(document, located.records), facts, trace })
}

/// Records out of their answer. While they wait for the decoder they hold the memory of all that they are a part of: of
/// small ones this may be a far larger answer, or the buffer that their connection reads into.
fn taken_out(body: &Bytes, records: Range<usize>) -> Bytes {
    let is_small = records.len() <= PAGE_SMALL_BYTES;
    let is_most = records.len() >= PAGE_COPIED_BYTES_MAX && records.len() >= body.len() / 2;
    if is_small && !is_most { Bytes::copy_from_slice(&body[records]) } else { body.slice(records) }
}

/// Tells pages of one walk apart; a fast hash, because it reads every byte.
fn fingerprint(records: &[u8]) -> u64 {
    let mut hasher = foldhash::fast::FixedState::default().build_hasher();
    hasher.write(records);
    hasher.finish()
}

/// What stands around the records must not tell of an error.
fn check_around(envelope: &Envelope, at: &RecordsAt, body: &Bytes, trust: Trust) -> Result<(), Error> {
    if let Some(twice) = &envelope.twice {
        return Err(Error::Twice { path: shown(twice) });
    }
    match error_body(envelope, at, body) {
        Some(error) if trust == Trust::Looked => Err(error),
        _ => Ok(()),
    }
}

fn add_signs(facts: &mut PageFacts, envelope: &Envelope, wants: &Wants, headers: &HeaderMap, located: &Located) {
    facts.records = located.count;
    let is_looking = match wants.signs_of_more {
        Signs::Never => false,
        Signs::AtTheEnd => facts.next_link.is_none() && facts.cursor.is_none(),
        Signs::Always => true,
    };
    if is_looking {
        facts.sign_of_next = sign_of_next(envelope);
        facts.sign_of_total = sign_of_total(envelope, headers, located.count);
    }
}

/// A list that moves or turns into an object is another thing than the pages before: a message, a wrapper, an error.
fn moved(before: &PageTrace, page: &PageTrace) -> Option<String> {
    let kind = |page: &PageTrace| if page.is_list { "a list" } else { "an object" };
    if before.at != page.at {
        Some(format!("its records would stand at `{}`, there they stood at `{}`", shown(&page.at), shown(&before.at)))
    } else if before.is_list != page.is_list {
        Some(format!("`{}` is {}, there it was {}", shown(&page.at), kind(page), kind(before)))
    } else {
        None
    }
}
