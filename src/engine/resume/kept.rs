//! The pages of one stream that are kept while it is read: those of an unfinished run first, then those that come.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use super::copies::{Copied, PageCopies};
use crate::clock::Clock;
use crate::engine::error::Error;
use crate::limits::{
    PAGE_COPY_AGE, PAGE_COPY_BYTES_MAX, PAGE_LOG_BYTES_MAX, PAGE_LOG_BYTES_MIN, PAGE_LOG_BYTES_PER_SEC,
};
use crate::paging::walk::PageFacts;
use crate::source::{Answer, KeptTrace};
use crate::state::{Frame, PageLog};

/// Compression that keeps up with any API.
const PACK_LEVEL: i32 = 1;

/// The head of a frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// The first frame: of which plan of slices the others speak.
    Slices(String),
    /// Records of a page; a large page has several.
    Page {
        slice: usize,
        page: u64,
        piece: u64,
        /// The body is compressed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_packed: bool,
        /// With the last piece of the page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mark: Option<Box<PageMark>>,
    },
    /// The slice was read to its end.
    End { slice: usize, is_flagged: bool },
    /// What was kept of the slice cannot be gone on from.
    Dropped { slice: usize },
}

/// What a walk needs to know of a page that it does not see again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) struct PageMark {
    pub facts: PageFacts,
    pub trace: KeptTrace,
}

/// The kept pages of one slice.
#[derive(Debug, Default)]
struct KeptSlice {
    frames: Vec<Kept>,
    /// Of the whole pages.
    marks: Vec<PageMark>,
    /// Pieces of a page whose last one is missing so far.
    pieces: Vec<Kept>,
    end: Option<KeptEnd>,
}

/// A kept piece of a page.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Kept {
    pub page: u64,
    frame: Frame,
    is_packed: bool,
}

/// A slice that was read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct KeptEnd {
    /// The table changed meanwhile, which the job allows.
    pub is_flagged: bool,
}

/// A slice of an unfinished run, for the walk that goes on.
#[derive(Debug)]
pub(in crate::engine) struct ResumedSlice {
    pub marks: Vec<PageMark>,
    pub bytes: u64,
    pub end: Option<KeptEnd>,
    /// The page behind the kept ones, which was asked for to see whether the server still knows its token.
    pub next: Option<Answer>,
}

/// Whether the pages of a stream are kept, for its readers: then they need their marks. Off is off for good.
#[derive(Debug, Clone, Default)]
pub(in crate::engine) struct Keeping(Arc<AtomicBool>);

impl Keeping {
    pub(in crate::engine) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The pages of one stream.
pub(in crate::engine) struct KeptPages {
    /// Absent = nothing is kept, or no more.
    log: Option<PageLog>,
    /// On as long as there is a log.
    keeping: Keeping,
    slices: BTreeMap<usize, KeptSlice>,
    began: Duration,
    is_bounded: bool,
    /// The slice and page that are being written, and the pieces of it so far.
    writing: (usize, u64, u64),
    counts: Counts,
    /// Bytes of records that this process kept, before compression.
    fresh_bytes: u64,
    /// Absent = no other host sees the pages.
    copy: Option<StreamCopy>,
}

/// How much a log holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) struct Counts {
    pub pages: u64,
    pub records: u64,
    pub bytes: u64,
}

/// The copy of one stream's log for other hosts.
pub(in crate::engine) struct StreamCopy {
    pub copies: PageCopies,
    pub run: String,
    pub stream: String,
    pub copied: Copied,
    pub runtime: Handle,
    copied_at: Duration,
}

impl StreamCopy {
    pub(in crate::engine) fn new(copies: PageCopies, run: &str, stream: &str, copied: Copied) -> Self {
        let (run, stream, runtime) = (run.to_owned(), stream.to_owned(), Handle::current());
        StreamCopy { copies, run, stream, copied, runtime, copied_at: Clock.boot_time() }
    }
}

impl KeptPages {
    /// Keeps nothing.
    pub(in crate::engine) fn none() -> Self {
        KeptPages {
            log: None,
            keeping: Keeping::default(),
            slices: BTreeMap::new(),
            began: Duration::ZERO,
            is_bounded: true,
            writing: (0, 0, 0),
            counts: Counts::default(),
            fresh_bytes: 0,
            copy: None,
        }
    }

    /// Opens the log of a stream, and begins it where there is none of these slices. `is_counted` = pages are worth any
    /// disk.
    pub(in crate::engine) fn open(path: &Path, slices: &str, is_counted: bool) -> std::io::Result<Self> {
        let line = Line::Slices(slices.to_owned());
        let (log, found) = match PageLog::open(path)? {
            Some((log, frames)) if frames.first().is_some_and(|frame| read(frame).as_ref() == Some(&line)) => {
                (log, parse(&frames[1..]))
            }
            Some(_) | None => {
                let mut log = PageLog::create(path)?;
                log.append(&text(&line), &[])?;
                (log, BTreeMap::new())
            }
        };
        let is_bounded = !is_counted;
        Ok(KeptPages {
            log: Some(log),
            keeping: Keeping(Arc::new(AtomicBool::new(true))),
            counts: counts_of(&found),
            fresh_bytes: 0,
            slices: found,
            began: Clock.boot_time(),
            is_bounded,
            writing: (0, 0, 0),
            copy: None,
        })
    }

    /// The same with a copy for other hosts.
    pub(in crate::engine) fn with_copy(mut self, copy: StreamCopy) -> Self {
        self.copy = Some(copy);
        self
    }

    /// Whether nothing was there.
    pub(in crate::engine) fn is_new(&self) -> bool {
        self.counts == Counts::default()
    }

    /// What a log holds. `None` = there is no log.
    pub(in crate::engine) fn count(path: &Path) -> Option<Counts> {
        let frames = PageLog::open_to_read(path).ok()??;
        Some(counts_of(&parse(frames.get(1..)?)))
    }

    /// Whether pages are kept, now and later.
    pub(in crate::engine) fn keeping(&self) -> Keeping {
        self.keeping.clone()
    }

    /// What an unfinished run left, by slice; it is given once.
    pub(in crate::engine) fn take_resumed(&mut self) -> BTreeMap<usize, ResumedSlice> {
        let slice = |(number, slice): (&usize, &mut KeptSlice)| {
            let (bytes, marks) = (slice.bytes(), std::mem::take(&mut slice.marks));
            (*number, ResumedSlice { marks, bytes, end: slice.end, next: None })
        };
        self.slices.iter_mut().map(slice).collect()
    }

    /// Forgets what was kept of a slice: it is read from its start.
    pub(in crate::engine) fn drop_slice(&mut self, slice: usize) -> std::io::Result<()> {
        self.slices.remove(&slice);
        self.write(&Line::Dropped { slice }, &[])
    }

    /// The kept pages of a slice, piece by piece; they are given once.
    pub(in crate::engine) fn take_slice(&mut self, slice: usize) -> Vec<Kept> {
        self.slices.remove(&slice).map(|slice| slice.frames).unwrap_or_default()
    }

    /// The records of a piece.
    pub(in crate::engine) fn records(&self, kept: &Kept) -> std::io::Result<Bytes> {
        let Some(log) = &self.log else { return Err(std::io::Error::other("the log is closed")) };
        let body = log.body(&kept.frame)?;
        if kept.is_packed { Ok(zstd::decode_all(body.as_ref())?.into()) } else { Ok(body) }
    }

    /// Keeps a piece of a page that became rows. An error means that no more is kept.
    pub(in crate::engine) fn keep(
        &mut self,
        slice: usize,
        page: u64,
        records: &[u8],
        mark: Option<&PageMark>,
    ) -> std::io::Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        // What comes as slowly as that leaves time for it.
        let is_packed = log.bytes() >= PAGE_LOG_BYTES_MIN;
        let piece = if (self.writing.0, self.writing.1) == (slice, page) { self.writing.2 + 1 } else { 0 };
        self.writing = (slice, page, piece);
        let line = Line::Page { slice, page, piece, is_packed, mark: mark.cloned().map(Box::new) };
        if is_packed {
            self.write(&line, &zstd::encode_all(records, PACK_LEVEL)?)?;
        } else {
            self.write(&line, records)?;
        }
        self.counts.bytes += records.len() as u64;
        self.fresh_bytes += records.len() as u64;
        if let Some(mark) = mark {
            self.counts.pages += 1;
            self.counts.records += mark.facts.records;
        }
        let is_too_fast = || {
            let seconds = Clock.boot_time().saturating_sub(self.began).as_secs();
            self.fresh_bytes > PAGE_LOG_BYTES_MIN + PAGE_LOG_BYTES_PER_SEC * seconds
        };
        let is_too_large = |log: &PageLog| log.bytes() > PAGE_LOG_BYTES_MAX;
        let is_over = |log| is_too_large(log) || self.is_bounded && is_too_fast();
        if self.log.as_ref().is_some_and(is_over) {
            self.give_up()?;
        }
        Ok(())
    }

    /// A slice was read to its end.
    pub(in crate::engine) fn end_slice(&mut self, slice: usize, is_flagged: bool) -> std::io::Result<()> {
        self.write(&Line::End { slice, is_flagged }, &[])
    }

    /// Nothing more will come.
    pub(in crate::engine) fn flush(&mut self) -> std::io::Result<()> {
        self.log.as_mut().map_or(Ok(()), PageLog::flush)
    }

    /// Copies what was written since the last time for other hosts, if it is much or that was a while ago. On a blocking
    /// thread. An error means that no more is copied.
    pub(in crate::engine) fn copy_if_due(&mut self) -> Result<(), Error> {
        let (Some(log), Some(copy)) = (&mut self.log, &mut self.copy) else { return Ok(()) };
        let more = log.bytes().saturating_sub(copy.copied.bytes);
        let is_old = Clock.boot_time().saturating_sub(copy.copied_at) >= PAGE_COPY_AGE;
        if more == 0 || !is_old && more < PAGE_COPY_BYTES_MAX as u64 {
            return Ok(());
        }
        let tail = log.flush().and_then(|()| log.tail(copy.copied.bytes));
        let added = tail.map_err(|source| Error::Spool { stream: copy.stream.clone(), source }).and_then(|tail| {
            let add = copy.copies.add(&copy.run, &copy.stream, copy.copied.clone(), &tail, self.counts);
            copy.runtime.block_on(add)
        });
        match added {
            Ok(copied) => {
                copy.copied = copied;
                copy.copied_at = Clock.boot_time();
                Ok(())
            }
            Err(error) => {
                self.copy = None;
                Err(error)
            }
        }
    }

    fn write(&mut self, line: &Line, body: &[u8]) -> std::io::Result<()> {
        let written = self.log.as_mut().map_or(Ok(()), |log| log.append(&text(line), body));
        if written.is_err() {
            // The room is better used by the tables.
            let _ = self.give_up();
        }
        written
    }

    fn give_up(&mut self) -> std::io::Result<()> {
        self.keeping.0.store(false, Ordering::Relaxed);
        self.log.take().map_or(Ok(()), |log| log.clear())
    }
}

impl KeptSlice {
    fn bytes(&self) -> u64 {
        self.frames.iter().map(|kept| kept.frame.body_bytes()).sum()
    }
}

/// The frames behind the first, by slice. What makes no sense is left out, and with it all that comes behind it.
fn parse(frames: &[Frame]) -> BTreeMap<usize, KeptSlice> {
    let mut slices: BTreeMap<usize, KeptSlice> = BTreeMap::new();
    for frame in frames {
        match read(frame) {
            Some(Line::Page { slice, page, piece, is_packed, mark }) => {
                let kept = slices.entry(slice).or_default();
                if piece == 0 {
                    kept.pieces.clear();
                }
                kept.pieces.push(Kept { page, frame: frame.without_head(), is_packed });
                if let Some(mark) = mark {
                    kept.marks.push(*mark);
                    kept.frames.append(&mut kept.pieces);
                }
            }
            Some(Line::End { slice, is_flagged }) => {
                slices.entry(slice).or_default().end = Some(KeptEnd { is_flagged });
            }
            Some(Line::Dropped { slice }) => drop(slices.remove(&slice)),
            Some(Line::Slices(_)) | None => break,
        }
    }
    slices
}

fn counts_of(slices: &BTreeMap<usize, KeptSlice>) -> Counts {
    let marks = || slices.values().flat_map(|slice| &slice.marks);
    Counts {
        pages: marks().count() as u64,
        records: marks().map(|mark| mark.facts.records).sum(),
        bytes: slices.values().map(KeptSlice::bytes).sum(),
    }
}

fn read(frame: &Frame) -> Option<Line> {
    serde_json::from_str(&frame.head).ok()
}

fn text(line: &Line) -> String {
    serde_json::to_string(line).expect("it holds only texts and numbers")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::PageTrace;

    fn mark(records: u64) -> PageMark {
        let trace = PageTrace::of("http://h/items?page=2&key=hunter22".parse().expect("a URL"), &["data"]);
        PageMark { facts: PageFacts { records, ..PageFacts::default() }, trace: trace.to_keep() }
    }

    #[test]
    fn what_was_kept_comes_back_and_what_is_half_is_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let large = vec![b'7'; 9 * 1024 * 1024];
        let mut kept = KeptPages::open(&path, "plan", true).expect("a log");
        for page in 1..=9 {
            kept.keep(0, page, &large, None).expect("room");
            kept.keep(0, page, b"[]", Some(&mark(page))).expect("room");
        }
        kept.end_slice(0, false).expect("room");
        kept.keep(2, 1, b"[1]", Some(&mark(1))).expect("room");
        // A page whose last piece is missing.
        kept.keep(2, 2, b"[2", None).expect("room");
        drop(kept);
        let bytes = std::fs::metadata(&path).expect("a file").len();
        assert!(bytes > PAGE_LOG_BYTES_MIN && bytes < 8 * 9 * 1024 * 1024 + 10_000, "the last page is packed: {bytes}");
        let content = std::fs::read(&path).expect("a file");
        assert!(memchr::memmem::find(&content, b"hunter22").is_none(), "a query was kept");

        let mut again = KeptPages::open(&path, "plan", true).expect("a log");
        let resumed = again.take_resumed();
        assert_eq!(resumed[&0].marks.iter().map(|mark| mark.facts.records).sum::<u64>(), 45);
        assert_eq!((resumed[&0].end, resumed[&2].end), (Some(KeptEnd { is_flagged: false }), None));
        let pieces = again.take_slice(0);
        assert_eq!(pieces.len(), 18);
        for kept in pieces.iter().step_by(2) {
            assert_eq!(again.records(kept).expect("records"), large, "page {}", kept.page);
        }
        assert_eq!((resumed[&2].marks.len(), again.take_slice(2).len()), (1, 1));
        // Another plan of slices means other pages.
        drop(again);
        let other = KeptPages::open(&path, "another plan", true).expect("a log");
        assert!(other.is_new() && other.slices.is_empty());
    }

    #[test]
    fn what_comes_faster_than_it_is_worth_is_not_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let large = vec![b' '; 16 * 1024 * 1024];
        for (is_counted, stays) in [(false, false), (true, true)] {
            let mut kept = KeptPages::open(&path, &is_counted.to_string(), is_counted).expect("a log");
            // As if an hour's worth had come at once.
            kept.fresh_bytes = PAGE_LOG_BYTES_PER_SEC * 3600;
            kept.keep(0, 1, &large, Some(&mark(1))).expect("room");
            assert_eq!(kept.keeping().is_on(), stays, "{is_counted}");
        }
    }
}
