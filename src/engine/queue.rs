//! The pages of one slice between its reader and the writer. Slices are written in their order, whatever order they are
//! read in: that keeps the output the same. A reader that is ahead of its turn keeps two pages in memory and the rest
//! in a temporary file.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::limits::PAGES_QUEUED_MAX;
use crate::model::slices::Slice;

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
    memory: VecDeque<QueuedPage>,
    overflow: Option<Overflow>,
    /// The writer waits for this slice.
    is_front: bool,
    closed: Option<Closed>,
}

/// A page's records: JSON text of one array of objects, or of a single object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueuedPage {
    pub number: u64,
    pub records: Bytes,
}

/// Why no page will follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// The slice was read whole.
    Whole,
    /// It is to be left out.
    LeftOut,
    /// The run is over.
    Broken,
}

/// What the writer finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Popped {
    Page(QueuedPage),
    Closed(Closed),
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
                if !is_overflowing && state.memory.len() < PAGES_QUEUED_MAX {
                    state.memory.extend(page.take());
                } else if let Some(page) = page.take_if(|_| !waits) {
                    tokio::task::block_in_place(|| state.overflow()?.append(&page))?;
                }
                if page.is_none() {
                    self.filled.notify_one();
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
        state.memory.clear();
        state.overflow = None;
    }

    /// No page will follow.
    pub(super) fn close(&self, closed: Closed) {
        self.lock().closed = Some(closed);
        self.filled.notify_one();
    }

    /// The next page; waits for it. On the writer's blocking thread.
    pub(super) fn pop(&self) -> std::io::Result<Popped> {
        let mut state = self.lock();
        state.is_front = true;
        self.drained.notify_one();
        loop {
            let is_held = self.release == Release::AtTheEnd && state.closed != Some(Closed::Whole);
            if !is_held {
                if let Some(page) = state.memory.pop_front() {
                    self.drained.notify_one();
                    return Ok(Popped::Page(page));
                }
                if let Some(page) = state.overflow.as_mut().map_or(Ok(None), Overflow::take)? {
                    self.drained.notify_one();
                    return Ok(Popped::Page(page));
                }
            }
            if let Some(closed) = state.closed {
                return Ok(Popped::Closed(closed));
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
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

/// Pages in a temporary file: number, length, bytes.
struct Overflow {
    file: File,
    written_to: u64,
    read_to: u64,
    waiting: u64,
}

impl Overflow {
    fn append(&mut self, page: &QueuedPage) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(self.written_to))?;
        self.file.write_all(&page.number.to_le_bytes())?;
        self.file.write_all(&(page.records.len() as u64).to_le_bytes())?;
        self.file.write_all(&page.records)?;
        self.written_to += 16 + page.records.len() as u64;
        self.waiting += 1;
        Ok(())
    }

    fn take(&mut self) -> std::io::Result<Option<QueuedPage>> {
        if self.waiting == 0 {
            return Ok(None);
        }
        self.file.seek(SeekFrom::Start(self.read_to))?;
        let mut number = [0; 8];
        self.file.read_exact(&mut number)?;
        let number = u64::from_le_bytes(number);
        let mut length = [0; 8];
        self.file.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        let mut records = vec![0; usize::try_from(length).map_err(std::io::Error::other)?];
        self.file.read_exact(&mut records)?;
        self.read_to += 16 + length;
        self.waiting -= 1;
        if self.waiting == 0 {
            // The disk is given back while the slice goes on.
            (self.written_to, self.read_to) = (0, 0);
            self.file.set_len(0)?;
        }
        Ok(Some(QueuedPage { number, records: records.into() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: u64) -> QueuedPage {
        QueuedPage { number, records: Bytes::from(format!("[{{\"n\":{number}}}]")) }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn pages_beyond_memory_come_back_in_order() {
        let queue = PageQueue::new(Slice::default(), Release::AtOnce);
        let halt = CancellationToken::new();
        for number in 1..=10 {
            assert!(queue.push(page(number), &halt).await.expect("room"));
        }
        queue.close(Closed::Whole);
        for number in 1..=10 {
            assert_eq!(queue.pop().expect("a page"), Popped::Page(page(number)));
        }
        assert_eq!(queue.pop().expect("the end"), Popped::Closed(Closed::Whole));
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
        queue.close(Closed::LeftOut);
        assert_eq!(queue.pop().expect("the end"), Popped::Closed(Closed::LeftOut));
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
                queue.close(Closed::Whole);
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
