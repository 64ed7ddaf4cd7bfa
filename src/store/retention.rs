//! Which snapshots go: those beyond the last few that were also replaced long enough ago. Pure: manifests come in, one
//! after the other, and each gets its verdict.

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::manifest::Manifest;
use crate::model::plan::Keep;

/// Judges the manifests of a job, the highest sequence first.
///
/// - What readers see, and what is newer, always stays.
/// - A snapshot grows old from when its successor was published: until then a reader may have begun to read it.
pub(super) struct Retention {
    snapshots: usize,
    replaced_before: DateTime<Utc>,
    /// The next one on the way from the pointer back to the first snapshot.
    expected: Option<String>,
    /// Sequences of snapshots that readers saw, with the time of their publication.
    seen: Vec<(u64, DateTime<Utc>)>,
}

impl Retention {
    /// `current` is the snapshot that readers see; without one, everything stays.
    pub(super) fn new(keep: Keep, now: DateTime<Utc>, current: Option<&Manifest>) -> Self {
        Retention {
            snapshots: keep.snapshots,
            replaced_before: before(now, keep),
            expected: current.map(|current| current.snapshot.clone()),
            seen: Vec::new(),
        }
    }

    /// Whether the snapshot stays.
    pub(super) fn keeps(&mut self, manifest: &Manifest) -> bool {
        // A manifest that no pointer ever named has the sequence of another one, or a higher one than all.
        let is_seen = self.expected.as_ref() == Some(&manifest.snapshot);
        let mut newer = self.seen.iter().filter(|(sequence, _)| *sequence > manifest.sequence);
        let stays = newer.clone().count() < self.snapshots
            || newer.next_back().is_none_or(|(_, published_at)| *published_at > self.replaced_before);
        if is_seen {
            self.seen.push((manifest.sequence, manifest.published_at));
            self.expected.clone_from(&manifest.previous);
        }
        stays
    }
}

/// What happened before this instant is old enough.
pub(super) fn before(now: DateTime<Utc>, keep: Keep) -> DateTime<Utc> {
    now - TimeDelta::from_std(keep.time).expect("the job's hours are bounded")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::model::manifest::FORMAT_VERSION;

    /// A manifest that was published in this hour: `7` or, one that lost a race, `7x`.
    fn manifest(name: &str, hour: i64, previous: Option<&str>) -> Manifest {
        Manifest {
            format_version: FORMAT_VERSION,
            job: "test".to_owned(),
            snapshot: name.to_owned(),
            sequence: name.trim_end_matches('x').parse().unwrap(),
            run: String::new(),
            published_at: DateTime::UNIX_EPOCH + TimeDelta::hours(hour),
            previous: previous.map(str::to_owned),
            restored_from: None,
            config_hash: String::new(),
            tables: BTreeMap::new(),
        }
    }

    /// `snapshots` are name, hour and previous, the highest sequence first.
    fn check(keep: (usize, u64), now: i64, snapshots: &[(&str, i64, Option<&str>)], goes: &[&str]) {
        let keep = Keep { snapshots: keep.0, time: Duration::from_secs(keep.1 * 3600) };
        let manifests: Vec<Manifest> =
            snapshots.iter().map(|(name, hour, previous)| manifest(name, *hour, *previous)).collect();
        let now = DateTime::UNIX_EPOCH + TimeDelta::hours(now);
        let current = manifests.iter().find(|manifest| !manifest.snapshot.ends_with('x'));
        let mut retention = Retention::new(keep, now, current);
        let gone: Vec<&str> = manifests
            .iter()
            .filter(|manifest| !retention.keeps(manifest))
            .map(|manifest| manifest.snapshot.as_str())
            .collect();
        let mut retention = Retention::new(keep, now, None);
        assert!(manifests.iter().all(|manifest| retention.keeps(manifest)), "without a pointer nothing goes");
        assert_eq!(gone, goes, "{keep:?} at {now}");
    }

    #[test]
    fn what_is_beyond_the_last_and_was_replaced_long_ago_goes() {
        let chain = [("4", 40, Some("3")), ("3", 30, Some("2")), ("2", 20, Some("1")), ("1", 10, None)];
        check((1, 1), 100, &chain, &["3", "2", "1"]);
        check((2, 1), 100, &chain, &["2", "1"]);
        check((4, 1), 100, &chain, &[]);
        // The first one was replaced at 20, the second at 30.
        check((1, 75), 100, &chain, &["1"]);
        check((1, 80), 100, &chain, &["1"]);
        check((1, 81), 100, &chain, &[]);
        // A clock that went back removes nothing.
        check((1, 1), 0, &chain, &[]);
        check((1, 1), 1000, &chain[..1], &[]);
    }

    #[test]
    fn one_that_lost_a_race_goes_with_its_neighbours() {
        let chain =
            [("5x", 41, Some("4")), ("4", 40, Some("3")), ("3x", 30, Some("2")), ("3", 30, Some("2")), ("2", 20, None)];
        check((1, 1), 100, &chain, &["3x", "3", "2"]);
        check((2, 1), 100, &chain, &["2"]);
        check((1, 60), 100, &chain, &["3x", "3", "2"]);
        check((1, 61), 100, &chain, &["2"]);
    }

    #[test]
    fn beyond_a_gap_the_rule_is_the_same() {
        let chain = [("9", 90, Some("8")), ("7", 70, Some("6")), ("6", 60, None)];
        check((1, 5), 100, &chain, &["7", "6"]);
        check((1, 11), 100, &chain, &[]);
        check((2, 5), 100, &chain, &[]);
    }
}
