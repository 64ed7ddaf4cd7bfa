//! What a table must be like before readers see it. A run whose tables are not is held for a person to decide.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The gates of one table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Gates {
    pub rows_min: u64,
    /// Share of the last snapshot's rows that may be missing.
    pub rows_drop_max: Share,
    /// A table without rows that had some.
    pub empty: Verdict,
    /// Rows with the same key, or with a null in it, in a table that is replaced.
    pub keys: Verdict,
    /// Share of null values by column.
    pub nulls_max: BTreeMap<String, Share>,
    /// Absent = the table may be of any age.
    pub newest: Option<Newest>,
    /// Columns that are new, gone or of another type.
    pub schema_changes: Verdict,
    /// Slices that were left out, and walks of a table that changed meanwhile; the job allowed both.
    pub unfinished: Verdict,
}

/// What comes of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Hold,
    Allow,
}

/// The newest value of a column is at most this old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Newest {
    pub column: String,
    pub within: Duration,
}

/// A share from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Share(f64);

impl Share {
    /// Of a number of percent. `None` = it is not from 0 to 100.
    pub(crate) fn of_percent(percent: f64) -> Option<Self> {
        (0.0..=100.0).contains(&percent).then_some(Share(percent / 100.0))
    }

    /// Whether `some` of `all` is more than this share.
    pub(crate) fn is_exceeded_by(self, some: u64, all: u64) -> bool {
        some as f64 > self.0 * all as f64
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 0.07 * 100.0 is no 7.
        write!(f, "{} %", (self.0 * 1e6).round() / 1e4)
    }
}

/// Tables of fewer rows may lose any share of them: a report on ten rows is expected to change.
pub(crate) const DROP_ROWS_MIN: u64 = 100;

impl Default for Gates {
    fn default() -> Self {
        Gates {
            rows_min: 0,
            rows_drop_max: Share(0.5),
            empty: Verdict::Hold,
            keys: Verdict::Hold,
            nulls_max: BTreeMap::new(),
            newest: None,
            schema_changes: Verdict::Allow,
            unfinished: Verdict::Allow,
        }
    }
}

impl Gates {
    /// Columns whose values are counted while the files are written.
    pub(crate) fn gauged(&self) -> Vec<String> {
        let mut columns: Vec<String> = self.nulls_max.keys().cloned().collect();
        columns.extend(self.newest.iter().map(|newest| newest.column.clone()));
        columns.sort_unstable();
        columns.dedup();
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_compared_and_shown_as_percent() {
        let check = |percent: f64, some: u64, all: u64, is_exceeded: bool, shown: &str| {
            let share = Share::of_percent(percent).expect("a share");
            assert_eq!(share.is_exceeded_by(some, all), is_exceeded, "{percent} {some} {all}");
            assert_eq!(share.to_string(), shown);
        };
        check(50.0, 50, 100, false, "50 %");
        check(50.0, 51, 100, true, "50 %");
        check(7.0, 8, 100, true, "7 %");
        check(0.0, 1, 1_000_000, true, "0 %");
        check(0.0, 0, 0, false, "0 %");
        check(100.0, 9, 9, false, "100 %");
        check(0.5, 6, 1000, true, "0.5 %");
        assert_eq!(Share::of_percent(100.1), None);
        assert_eq!(Share::of_percent(f64::NAN), None);
    }
}
