//! What a merge decides, row by row, before it writes.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use arrow::array::{Array, RecordBatch};

use super::deletes::Deletions;
use super::parts::Changed;
use crate::limits::MERGE_KEYS_MAX;
use crate::model::column::Column;
use crate::model::deletes::DELETED_AT;
use crate::model::incremental::CursorValue;

/// A row of the new read: the newest of its key.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Newest {
    pub part: usize,
    pub row: usize,
    pub cursor: Option<CursorValue>,
    /// Its record is gone, and the row stays with a mark.
    pub is_marked: bool,
}

/// What a merge decided, for the tables of the stream's lists.
pub(in crate::engine) struct Decided {
    /// Rows of the read that are no longer there, counted over all its parts; in ascending order.
    pub gone: Vec<u64>,
    /// Keys whose rows changed. Absent = there is no row, or the stream has no key.
    pub keys: Option<DecidedKeys>,
}

pub(in crate::engine) struct DecidedKeys {
    /// The columns of the key, in the types that the keys were made with.
    pub columns: Vec<Column>,
    /// Keys whose rows are those of the read.
    pub newest: HashSet<Box<[u8]>>,
    /// Keys whose former rows went.
    pub deleted: HashSet<Box<[u8]>>,
}

/// A merge while it is decided.
pub(in crate::engine) struct Deciding {
    pub newest: HashMap<Box<[u8]>, Newest>,
    pub deletions: Deletions,
    /// Keys of the read whose former rows are newer.
    pub outdone: HashSet<Box<[u8]>>,
    pub deleted: HashSet<Box<[u8]>>,
    /// By part of the read, and of the former table.
    pub new: Vec<Changed>,
    pub former: Vec<Changed>,
    /// Former parts of which no row had to be looked at.
    pub unread: HashSet<usize>,
}

/// A share of all keys, for tables without former rows: what is decided of it needs nothing of the others.
pub(in crate::engine) struct Share {
    number: u64,
    count: u64,
    hasher: RandomState,
}

/// Former rows in whose place others are, and how many keys these have.
#[derive(Debug, Default)]
pub(in crate::engine) struct Updated {
    pub rows: u64,
    pub keys: u64,
}

impl Deciding {
    pub(in crate::engine) fn new(read_parts: usize, former_parts: usize) -> Self {
        Deciding {
            newest: HashMap::new(),
            deletions: Deletions::new(),
            outdone: HashSet::new(),
            deleted: HashSet::new(),
            new: vec![Changed::default(); read_parts],
            former: vec![Changed::default(); former_parts],
            unread: HashSet::new(),
        }
    }

    /// Rows of the read that are no longer there.
    pub(in crate::engine) fn rows_gone(&self) -> u64 {
        self.new.iter().map(|changed| changed.gone.len() as u64).sum()
    }

    pub(in crate::engine) fn mark_new(&mut self) {
        for row in self.newest.values().filter(|row| row.is_marked) {
            self.new[row.part].marked.push(row.row);
        }
    }

    pub(in crate::engine) fn sort(&mut self) {
        for changed in self.new.iter_mut().chain(&mut self.former) {
            changed.gone.sort_unstable();
            changed.marked.sort_unstable();
        }
    }
}

impl Share {
    /// So many that no share has more keys than memory should hold.
    pub(in crate::engine) fn of(rows: u64) -> Self {
        Share { number: 0, count: rows.div_ceil(MERGE_KEYS_MAX).max(1), hasher: RandomState::new() }
    }

    /// All keys.
    pub(in crate::engine) fn whole() -> Self {
        Share::of(0)
    }

    /// The next one. `None` = this was the last.
    pub(in crate::engine) fn next(self) -> Option<Self> {
        let number = self.number + 1;
        (number < self.count).then_some(Share { number, ..self })
    }

    pub(in crate::engine) fn holds(&self, key: &[u8]) -> bool {
        self.count == 1 || self.hasher.hash_one(key) % self.count == self.number
    }
}

/// The marks that rows have. `None` = the file has no column for them.
pub(in crate::engine) fn marks_of<'b>(batch: &'b RecordBatch, columns: &[&Column]) -> Option<&'b dyn Array> {
    let at = columns.iter().position(|column| column.has_name(DELETED_AT))?;
    Some(batch.column(at).as_ref())
}

pub(in crate::engine) fn is_marked(marks: Option<&dyn Array>, row: usize) -> bool {
    marks.is_some_and(|marks| marks.is_valid(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_of_one_share() {
        for rows in [0, 1, MERGE_KEYS_MAX, MERGE_KEYS_MAX + 1, 7 * MERGE_KEYS_MAX] {
            let mut held = vec![0; 500];
            let mut share = Some(Share::of(rows));
            let mut shares = 0;
            while let Some(now) = share {
                shares += 1;
                for (number, held) in held.iter_mut().enumerate() {
                    *held += u64::from(now.holds(format!("key {number}").as_bytes()));
                }
                share = now.next();
            }
            assert_eq!(shares, rows.div_ceil(MERGE_KEYS_MAX).max(1));
            assert!(held.iter().all(|count| *count == 1), "{rows}");
        }
    }
}
