//! The pages of one stream that are kept while it is read: those of an unfinished run first, then those that come.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use super::error::Error;
use super::page_copies::{Copied, PageCopies};
use crate::clock::Clock;
use crate::limits::{PAGE_COPY_AGE, PAGE_COPY_BYTES_MAX, PAGE_LOG_BYTES_MIN, PAGE_LOG_BYTES_PER_SEC};
use crate::paging::walk::PageFacts;
use crate::source::{Answer, KeptTrace};
use crate::state::{Frame, PageLog};

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
pub(super) struct PageMark {
    pub facts: PageFacts,
    pub trace: KeptTrace,
}

/// The kept pages of one slice.
#[derive(Debug, Default)]
struct KeptSlice {
    frames: Vec<(u64, Frame)>,
    /// Of the whole pages.
    marks: Vec<PageMark>,
    /// Pieces of a page whose last one is missing so far.
    pieces: Vec<(u64, Frame)>,
    end: Option<KeptEnd>,
}

/// A slice that was read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeptEnd {
    /// The table changed meanwhile, which the job allows.
    pub is_flagged: bool,
}

/// A slice of an unfinished run, for the walk that goes on.
#[derive(Debug)]
pub(super) struct ResumedSlice {
    pub marks: Vec<PageMark>,
    pub bytes: u64,
    pub end: Option<KeptEnd>,
    /// The page behind the kept ones, which was asked for to see whether the server still knows its token.
    pub next: Option<Answer>,
}

/// The pages of one stream.
pub(super) struct KeptPages {
    /// Absent = nothing is kept, or no more.
    log: Option<PageLog>,
    slices: BTreeMap<usize, KeptSlice>,
    began: Duration,
    is_bounded: bool,
    /// The slice and page that are being written, and the pieces of it so far.
    writing: (usize, u64, u64),
    counts: Counts,
    /// Absent = no other host sees the pages.
    copy: Option<StreamCopy>,
}

/// How much a log holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    pub pages: u64,
    pub records: u64,
    pub bytes: u64,
}

/// The copy of one stream's log for other hosts.
pub(super) struct StreamCopy {
    pub copies: PageCopies,
    pub run: String,
    pub stream: String,
    pub copied: Copied,
    pub runtime: Handle,
    copied_at: Duration,
}

impl StreamCopy {
    pub(super) fn new(copies: PageCopies, run: &str, stream: &str, copied: Copied) -> Self {
        let (run, stream, runtime) = (run.to_owned(), stream.to_owned(), Handle::current());
        StreamCopy { copies, run, stream, copied, runtime, copied_at: Clock.boot_time() }
    }
}

impl KeptPages {
    /// Keeps nothing.
    pub(super) fn none() -> Self {
        KeptPages {
            log: None,
            slices: BTreeMap::new(),
            began: Duration::ZERO,
            is_bounded: true,
            writing: (0, 0, 0),
            counts: Counts::default(),
            copy: None,
        }
    }

    /// Opens the log of a stream, and begins it where there is none of these slices. `is_counted` = pages are worth any
    /// disk.
    pub(super) fn open(path: &Path, slices: &str, is_counted: bool) -> std::io::Result<Self> {
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
            counts: counts_of(&found),
            slices: found,
            began: Clock.boot_time(),
            is_bounded,
            writing: (0, 0, 0),
            copy: None,
        })
    }

    /// The same with a copy for other hosts.
    pub(super) fn with_copy(mut self, copy: StreamCopy) -> Self {
        self.copy = Some(copy);
        self
    }

    /// Whether nothing was there.
    pub(super) fn is_new(&self) -> bool {
        self.counts == Counts::default()
    }

    /// What a log holds. `None` = there is no log.
    pub(super) fn count(path: &Path) -> Option<Counts> {
        let frames = PageLog::open_to_read(path).ok()??;
        Some(counts_of(&parse(frames.get(1..)?)))
    }

    /// Whether pages are kept: then they need their marks.
    pub(super) fn is_on(&self) -> bool {
        self.log.is_some()
    }

    /// What an unfinished run left, by slice; it is given once.
    pub(super) fn take_resumed(&mut self) -> BTreeMap<usize, ResumedSlice> {
        let slice = |(number, slice): (&usize, &mut KeptSlice)| {
            let (bytes, marks) = (slice.bytes(), std::mem::take(&mut slice.marks));
            (*number, ResumedSlice { marks, bytes, end: slice.end, next: None })
        };
        self.slices.iter_mut().map(slice).collect()
    }

    /// Forgets what was kept of a slice: it is read from its start.
    pub(super) fn drop_slice(&mut self, slice: usize) -> std::io::Result<()> {
        self.slices.remove(&slice);
        self.write(&Line::Dropped { slice }, &[])
    }

    /// The kept pages of a slice, each piece with the number of its page; they are given once.
    pub(super) fn take_slice(&mut self, slice: usize) -> Vec<(u64, Frame)> {
        self.slices.remove(&slice).map(|slice| slice.frames).unwrap_or_default()
    }

    pub(super) fn body(&self, frame: &Frame) -> std::io::Result<Bytes> {
        self.log.as_ref().map_or_else(|| Err(std::io::Error::other("the log is closed")), |log| log.body(frame))
    }

    /// Keeps a piece of a page that became rows. An error means that no more is kept.
    pub(super) fn keep(
        &mut self,
        slice: usize,
        page: u64,
        records: &[u8],
        mark: Option<&PageMark>,
    ) -> std::io::Result<()> {
        if self.log.is_none() {
            return Ok(());
        }
        let piece = if (self.writing.0, self.writing.1) == (slice, page) { self.writing.2 + 1 } else { 0 };
        self.writing = (slice, page, piece);
        self.write(&Line::Page { slice, page, piece, mark: mark.cloned().map(Box::new) }, records)?;
        self.counts.bytes += records.len() as u64;
        if let Some(mark) = mark {
            self.counts.pages += 1;
            self.counts.records += mark.facts.records;
        }
        let is_too_fast = |log: &PageLog| {
            let seconds = Clock.boot_time().saturating_sub(self.began).as_secs();
            log.bytes() > PAGE_LOG_BYTES_MIN + PAGE_LOG_BYTES_PER_SEC * seconds
        };
        if self.is_bounded && self.log.as_ref().is_some_and(is_too_fast) {
            self.give_up()?;
        }
        Ok(())
    }

    /// A slice was read to its end.
    pub(super) fn end_slice(&mut self, slice: usize, is_flagged: bool) -> std::io::Result<()> {
        self.write(&Line::End { slice, is_flagged }, &[])
    }

    /// Nothing more will come.
    pub(super) fn flush(&mut self) -> std::io::Result<()> {
        self.log.as_mut().map_or(Ok(()), PageLog::flush)
    }

    /// Copies what was written since the last time for other hosts, if it is much or that was a while ago. On a blocking
    /// thread. An error means that no more is copied.
    pub(super) fn copy_if_due(&mut self) -> Result<(), Error> {
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
        self.log.take().map_or(Ok(()), |log| log.clear())
    }
}

impl KeptSlice {
    fn bytes(&self) -> u64 {
        self.frames.iter().map(|(_, frame)| frame.body_bytes()).sum()
    }
}

/// The frames behind the first, by slice. What makes no sense is left out, and with it all that comes behind it.
fn parse(frames: &[Frame]) -> BTreeMap<usize, KeptSlice> {
    let mut slices: BTreeMap<usize, KeptSlice> = BTreeMap::new();
    for frame in frames {
        match read(frame) {
            Some(Line::Page { slice, page, piece, mark }) => {
                let kept = slices.entry(slice).or_default();
                if piece == 0 {
                    kept.pieces.clear();
                }
                kept.pieces.push((page, frame.without_head()));
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
