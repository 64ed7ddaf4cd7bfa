//! The pages of one slice between its reader and the writer. Slices are written in their order, whatever order they are
//! read in: that keeps the output the same. A reader that is ahead of its turn keeps two large pages and a mebibyte of small
//! ones in memory and the rest in a temporary file.
//!
//! Waking a thread costs more than decoding a small page. So the writer is woken when there is work worth it, takes all
//! there is, and wakes the reader when there is room worth it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::resume::kept::PageMark;
use crate::clock::Clock;
use crate::limits::{
    PAGE_COPY_AGE, PAGE_SMALL_BYTES, PAGES_QUEUED_MAX, QUEUE_SMALL_BYTES_MAX, QUEUE_WAKE_AGE, QUEUE_WAKE_BYTES,
};
use crate::model::slices::Slice;
use crate::paging::walk::WalkEnd;

/// When the writer may take pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Release {
    /// As they come.
    AtOnce,
    /// When the slice was read to its end: a slice that fails leaves no rows.
    AtTheEnd,
}

/// Pages of one slice, in order.
pub(super) struct PageQueue {
    pub slice: Slice,
    release: Release,
    state: Mutex<State>,
    filled: Condvar,
    drained: Notify,
}

#[derive(Default)]
struct State {
    memory: Waiting,
    overflow: Option<Overflow>,
    /// The writer has come to this slice.
    is_front: bool,
    /// The writer sleeps until it is woken.
    is_asleep: bool,
    closed: Option<Closed>,
}

/// A page's records: JSON text of one array of objects, or of a single object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueuedPage {
    pub number: u64,
    pub records: Bytes,
    /// With the last piece of a page that is kept.
    pub mark: Option<Box<PageMark>>,
}

/// Pages that wait in memory, and how much that is.
#[derive(Default)]
struct Waiting {
    pages: VecDeque<QueuedPage>,
    large: usize,
    small_bytes: usize,
    /// When the first of them came. Absent = there is none.
    since: Option<Duration>,
}

impl Waiting {
    /// Whether there is room for this page.
    fn takes(&self, page: &QueuedPage) -> bool {
        if page.is_small() { self.small_bytes < QUEUE_SMALL_BYTES_MAX } else { self.large < PAGES_QUEUED_MAX }
    }

    fn push(&mut self, page: QueuedPage) {
        if page.is_small() {
            self.small_bytes += page.held_bytes();
        } else {
            self.large += 1;
        }
        self.since.get_or_insert_with(|| Clock.boot_time());
        self.pages.push_back(page);
    }

    fn pop(&mut self) -> Option<QueuedPage> {
        let page = self.pages.pop_front()?;
        if page.is_small() {
            self.small_bytes -= page.held_bytes();
        } else {
            self.large -= 1;
        }
        if self.pages.is_empty() {
            self.since = None;
        }
        Some(page)
    }

    /// Whether it is worth waking the writer.
    fn is_worth_waking(&self) -> bool {
        self.large > 0
            || self.small_bytes >= QUEUE_WAKE_BYTES
            || self.since.is_some_and(|since| Clock.boot_time().saturating_sub(since) >= QUEUE_WAKE_AGE)
    }

    /// Whether a reader that waits can go on for a while.
    fn has_drained(&self) -> bool {
        self.large < PAGES_QUEUED_MAX && self.small_bytes <= QUEUE_SMALL_BYTES_MAX / 2
    }
}

/// Why no page will follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Closed {
    /// The slice was read whole.
    Whole(WalkEnd),
    /// It is to be left out, and why.
    LeftOut(String),
    /// The run is over.
    Broken,
}

/// What the writer finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Popped {
    Page(QueuedPage),
    Closed(Closed),
    /// Nothing came for a while.
    Idle,
}

impl QueuedPage {
    fn is_small(&self) -> bool {
        self.records.len() <= PAGE_SMALL_BYTES
    }

    /// What a small page takes: an empty one is not nothing.
    fn held_bytes(&self) -> usize {
        self.records.len() + size_of::<Self>()
    }
}

impl PageQueue {
    pub(super) fn new(slice: Slice, release: Release) -> Arc<Self> {
        Arc::new(PageQueue { slice, release, state: Mutex::default(), filled: Condvar::new(), drained: Notify::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a page; waits while the writer is behind. `false` = nobody will read it.
    pub(super) async fn push(&self, page: QueuedPage, halt: &CancellationToken) -> std::io::Result<bool> {
        let mut page = Some(page);
        loop {
            let drained = self.drained.notified();
            {
                let mut state = self.lock();
                let is_overflowing = state.overflow.as_ref().is_some_and(|overflow| overflow.waiting > 0);
                let waits = state.is_front && self.release == Release::AtOnce;
                if let Some(page) = page.take_if(|page| !is_overflowing && state.memory.takes(page)) {
                    state.memory.push(page);
                } else if let Some(page) = page.take_if(|_| !waits) {
                    tokio::task::block_in_place(|| state.overflow()?.append(&page))?;
                }
                if page.is_none() {
                    if waits && state.is_asleep && state.memory.is_worth_waking() {
                        state.is_asleep = false;
                        self.filled.notify_one();
                    }
                    return Ok(true);
                }
            }
            tokio::select! {
                () = drained => {}
                () = halt.cancelled() => return Ok(false),
            }
        }
    }

    /// Forgets all pages: the slice is read once more.
    pub(super) fn clear(&self) {
        let mut state = self.lock();
        state.memory = Waiting::default();
        state.overflow = None;
    }

    /// Wakes the writer for whatever there is.
    pub(super) fn wake(&self) {
        let mut state = self.lock();
        if state.is_asleep && !state.memory.pages.is_empty() {
            state.is_asleep = false;
            self.filled.notify_one();
        }
    }

    /// No page will follow.
    pub(super) fn close(&self, closed: Closed) {
        self.lock().closed = Some(closed);
        self.filled.notify_one();
    }

    /// Whether the writer would have to wait.
    pub(super) fn is_empty(&self) -> bool {
        let state = self.lock();
        state.memory.pages.is_empty() && state.closed.is_none()
    }

    /// The next page; waits for it. On the writer's blocking thread.
    pub(super) fn pop(&self) -> std::io::Result<Popped> {
        let mut state = self.lock();
        state.is_front = true;
        self.drained.notify_one();
        loop {
            let is_whole = matches!(state.closed, Some(Closed::Whole(_)));
            let is_held = self.release == Release::AtTheEnd && !is_whole;
            if !is_held {
                if let Some(page) = state.memory.pop() {
                    if state.memory.has_drained() {
                        self.drained.notify_one();
                    }
                    return Ok(Popped::Page(page));
                }
                if let Some(page) = state.overflow.as_mut().map_or(Ok(None), Overflow::take)? {
                    self.drained.notify_one();
                    return Ok(Popped::Page(page));
                }
            }
            if let Some(closed) = &state.closed {
                return Ok(Popped::Closed(closed.clone()));
            }
            state.is_asleep = true;
            let (woken, waited) =
                self.filled.wait_timeout(state, PAGE_COPY_AGE).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if waited.timed_out() {
                state.is_asleep = false;
                return Ok(Popped::Idle);
            }
        }
    }
}

impl State {
    fn overflow(&mut self) -> std::io::Result<&mut Overflow> {
        if self.overflow.is_none() {
            self.overflow = Some(Overflow { file: tempfile::tempfile()?, written_to: 0, read_to: 0, waiting: 0 });
        }
        Ok(self.overflow.as_mut().expect("it was just made"))
    }
}

/// Pages in a temporary file: number, length of the mark, length of the records, mark, records.
struct Overflow {
    file: File,
    written_to: u64,
    read_to: u64,
    waiting: u64,
}

impl Overflow {
    fn append(&mut self, page: &QueuedPage) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(self.written_to))?;
        let mark = page.mark.as_ref().map(serde_json::to_vec).transpose()?.unwrap_or_default();
        for number in [page.number, mark.len() as u64, page.records.len() as u64] {
            self.file.write_all(&number.to_le_bytes())?;
        }
        self.file.write_all(&mark)?;
        self.file.write_all(&page.records)?;
        self.written_to += 24 + (mark.len() + page.records.len()) as u64;
        self.waiting += 1;
        Ok(())
    }

    fn take(&mut self) -> std::io::Result<Option<QueuedPage>> {
        if self.waiting == 0 {
            return Ok(None);
        }
        self.file.seek(SeekFrom::Start(self.read_to))?;
        let mut numbers = [[0; 8]; 3];
        for number in &mut numbers {
            self.file.read_exact(number)?;
        }
        let [number, mark_bytes, records_bytes] = numbers.map(u64::from_le_bytes);
        let mark = self.take_bytes(mark_bytes)?;
        let mark = (!mark.is_empty()).then(|| serde_json::from_slice(&mark)).transpose()?;
        let records = self.take_bytes(records_bytes)?;
        self.read_to += 24 + mark_bytes + records_bytes;
        self.waiting -= 1;
        if self.waiting == 0 {
            // The disk is given back while the slice goes on.
            (self.written_to, self.read_to) = (0, 0);
            self.file.set_len(0)?;
        }
        Ok(Some(QueuedPage { number, records: records.into(), mark }))
    }

    fn take_bytes(&mut self, length: u64) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).map_err(std::io::Error::other)?];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end() -> WalkEnd {
        serde_json::from_str(r#"{"ended":"single_page","pages":1,"records":1,"changed":false}"#).expect("an end")
    }

    fn page(number: u64) -> QueuedPage {
        QueuedPage { number, records: Bytes::from(format!("[{{\"n\":{number}}}]")), mark: None }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn pages_beyond_memory_come_back_in_order() {
        let queue = PageQueue::new(Slice::default(), Release::AtOnce);
        let halt = CancellationToken::new();
        for number in 1..=10 {
            assert!(queue.push(page(number), &halt).await.expect("room"));
        }
        queue.close(Closed::Whole(end()));
        for number in 1..=10 {
            assert_eq!(queue.pop().expect("a page"), Popped::Page(page(number)));
        }
        assert_eq!(queue.pop().expect("the end"), Popped::Closed(Closed::Whole(end())));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_slice_that_is_left_out_gives_nothing() {
        let queue = PageQueue::new(Slice::default(), Release::AtTheEnd);
        let halt = CancellationToken::new();
        for number in 1..=5 {
            assert!(queue.push(page(number), &halt).await.expect("room"));
        }
        queue.clear();
        assert!(queue.push(page(1), &halt).await.expect("room"));
        queue.close(Closed::LeftOut("why".to_owned()));
        assert_eq!(queue.pop().expect("the end"), Popped::Closed(Closed::LeftOut("why".to_owned())));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn memory_is_bounded_by_pages_or_by_bytes_and_the_rest_overflows() {
        let halt = CancellationToken::new();
        let small = |bytes| (bytes, QUEUE_SMALL_BYTES_MAX.div_ceil(bytes + size_of::<QueuedPage>()));
        for (bytes, in_memory) in [(PAGE_SMALL_BYTES + 1, PAGES_QUEUED_MAX), small(PAGE_SMALL_BYTES), small(2)] {
            let queue = PageQueue::new(Slice::default(), Release::AtOnce);
            let answer = Bytes::from(vec![b' '; bytes * 2]);
            for number in 1..=in_memory as u64 + 3 {
                let records = answer.slice(..bytes);
                assert!(queue.push(QueuedPage { number, records, mark: None }, &halt).await.expect("room"));
            }
            let state = queue.lock();
            assert_eq!(state.memory.pages.len(), in_memory, "{bytes}");
            assert_eq!(state.overflow.as_ref().map(|overflow| overflow.waiting), Some(3), "{bytes}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_writer_sleeps_until_there_is_work_worth_it() {
        let queue = PageQueue::new(Slice::default(), Release::AtOnce);
        let halt = CancellationToken::new();
        let writer = {
            let queue = Arc::clone(&queue);
            tokio::task::spawn_blocking(move || queue.pop().expect("a page"))
        };
        while !queue.lock().is_asleep {
            tokio::task::yield_now().await;
        }
        let small = |number| QueuedPage { number, records: Bytes::from(vec![b' '; QUEUE_WAKE_BYTES / 4]), mark: None };
        assert!(queue.push(small(1), &halt).await.expect("room"));
        // A page that came just now, however slow this machine is.
        queue.lock().memory.since = Some(Clock.boot_time() + Duration::from_secs(3600));
        assert!(queue.push(small(2), &halt).await.expect("room"));
        assert!(queue.lock().is_asleep && !writer.is_finished());
        // An old page is worth it whatever its size.
        queue.lock().memory.since = Some(Clock.boot_time() - QUEUE_WAKE_AGE);
        assert!(queue.push(small(3), &halt).await.expect("room"));
        assert_eq!(writer.await.expect("no panic"), Popped::Page(small(1)));
        // Half of the room must be free before a reader is woken that waits.
        let state = queue.lock();
        assert!(state.memory.has_drained() && !state.is_asleep);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_slice_at_the_front_waits_for_the_writer() {
        let queue = PageQueue::new(Slice::default(), Release::AtOnce);
        let halt = CancellationToken::new();
        let reader = {
            let (queue, halt) = (Arc::clone(&queue), halt.clone());
            tokio::spawn(async move {
                for number in 1..=100 {
                    queue.push(page(number), &halt).await.expect("room");
                }
                queue.close(Closed::Whole(end()));
            })
        };
        let writer = tokio::task::spawn_blocking(move || {
            let mut numbers = Vec::new();
            while let Popped::Page(page) = queue.pop().expect("a page") {
                numbers.push(page.number);
            }
            numbers
        });
        assert_eq!(writer.await.expect("no panic"), (1..=100).collect::<Vec<_>>());
        reader.await.expect("no panic");
    }
}
