//! The gates: whether tables that were read whole may be seen.

pub(super) mod gauges;
pub(super) mod held;
pub(super) mod repeats;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use self::repeats::KeyFindings;
use super::stream::ReadStream;
use crate::clock::Clock;
use crate::model::gates::{DROP_ROWS_MIN, Gates, Newest, Share, Verdict};
use crate::model::manifest::{Gauge, Part, TableManifest};
use crate::model::plan::{Job, Stream};
use crate::model::report::{SchemaChange, TableReport, WalkReport};

/// Why the tables of a stream are held back, its own and those of its lists. Empty = they are not.
pub(super) fn held_back(
    job: &Job,
    stream: &Stream,
    read: &ReadStream,
    reports: &BTreeMap<String, TableReport>,
    former: Option<&BTreeMap<String, TableManifest>>,
) -> Vec<String> {
    let mut why = Vec::new();
    for (number, table) in read.tables.iter().enumerate() {
        let name = table.sealed.name();
        let report = &reports[name];
        let judged = Judged {
            table: name,
            key: &stream.key,
            parts: table.parts(),
            former_rows: former.and_then(|tables| tables.get(name)).map(|former| former.rows),
            keys: if number == 0 { read.keys } else { KeyFindings::default() },
            schema_changes: &report.schema_changes,
            walks: &report.walks,
            slices_left_out: report.slices_left_out,
        };
        why.extend(judge(job.gates_of(name), judged, Clock.now()));
    }
    why
}

/// What a gate looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judged<'a> {
    pub table: &'a str,
    /// Of the key; empty where it is not counted.
    pub key: &'a [String],
    pub parts: &'a [Part],
    /// Absent = the table is new.
    pub former_rows: Option<u64>,
    pub keys: KeyFindings,
    pub schema_changes: &'a [SchemaChange],
    pub walks: &'a [WalkReport],
    pub slices_left_out: u64,
}

/// Why the table is held back. Empty = it is not.
pub(super) fn judge(gates: &Gates, judged: Judged<'_>, now: DateTime<Utc>) -> Vec<String> {
    let Judged { table, parts, former_rows, .. } = judged;
    let rows: u64 = parts.iter().map(|part| part.rows).sum();
    let mut why = Vec::new();
    let mut hold = |text: String| why.push(format!("table `{table}` {text}"));
    match former_rows {
        Some(former) if former > 0 && rows == 0 => {
            if gates.empty == Verdict::Hold {
                hold(format!("is empty and had {}", counted(former)));
            }
        }
        Some(former) if former >= DROP_ROWS_MIN => {
            let missing = former.saturating_sub(rows);
            if gates.rows_drop_max.is_exceeded_by(missing, former) {
                let allowed = gates.rows_drop_max;
                hold(format!("has {} and had {former}: {}, allowed {allowed}", counted(rows), share(missing, former)));
            }
        }
        Some(_) | None => {}
    }
    if rows < gates.rows_min {
        hold(format!("has {}, at least {} are required", counted(rows), gates.rows_min));
    }
    let is_double_allowed = judged.walks.iter().any(|walk| walk.changed);
    if gates.keys == Verdict::Hold {
        let key = judged.key.join(", ");
        if judged.keys.repeated > 0 && !is_double_allowed {
            hold(format!("has {} whose key (`{key}`) another row has", counted(judged.keys.repeated)));
        }
        if judged.keys.nulls > 0 {
            hold(format!("has {} without a value in the key (`{key}`)", counted(judged.keys.nulls)));
        }
    }
    for (column, allowed) in &gates.nulls_max {
        let (nulls, of) = nulls_of(parts, column);
        if allowed.is_exceeded_by(nulls, of) {
            hold(format!(
                "has no value for `{column}` in {nulls} of {of} rows: {}, allowed {allowed}",
                share(nulls, of)
            ));
        }
    }
    if let Some(newest) = &gates.newest
        && rows > 0
        && let Some(text) = too_old(parts, newest, now)
    {
        hold(text);
    }
    if gates.schema_changes == Verdict::Hold && !judged.schema_changes.is_empty() {
        let columns = judged.schema_changes.iter().map(|change| format!("`{}`", change.column()));
        hold(format!("has other columns than before: {}", columns.collect::<Vec<_>>().join(", ")));
    }
    if gates.unfinished == Verdict::Hold {
        if judged.slices_left_out > 0 {
            hold(format!("misses {} slices that failed", judged.slices_left_out));
        }
        if is_double_allowed {
            hold("changed while it was read: rows may be missing or double".to_owned());
        }
    }
    why
}

fn counted(rows: u64) -> String {
    format!("{rows} row{}", if rows == 1 { "" } else { "s" })
}

fn share(some: u64, all: u64) -> String {
    let percent = some as f64 / all as f64 * 100.0;
    Share::of_percent((percent * 10.0).round() / 10.0).map_or_else(String::new, |share| share.to_string())
}

fn gauges<'a>(parts: &'a [Part], column: &str) -> impl Iterator<Item = (&'a Part, &'a Gauge)> {
    parts.iter().filter_map(move |part| {
        let gauge = part.gauges.iter().find(|gauge| gauge.column == column)?;
        Some((part, gauge))
    })
}

/// Nulls, and the rows that were counted: parts from before the job asked are not.
fn nulls_of(parts: &[Part], column: &str) -> (u64, u64) {
    gauges(parts, column).fold((0, 0), |(nulls, rows), (part, gauge)| (nulls + gauge.nulls, rows + part.rows))
}

fn too_old(parts: &[Part], newest: &Newest, now: DateTime<Utc>) -> Option<String> {
    let (column, within) = (&newest.column, newest.within);
    let Some(value) = gauges(parts, column).filter_map(|(_, gauge)| gauge.newest).max() else {
        return Some(format!("has no date or time in `{column}`, of which the newest is asked for"));
    };
    let age = (now - value).to_std().unwrap_or_default();
    (age > within).then(|| {
        let hours = |span: std::time::Duration| span.as_secs() / 3600;
        let (age, allowed) = (hours(age), hours(within));
        format!(
            "has nothing newer than {} in `{column}`: {age} h, allowed {allowed} h",
            value.format("%Y-%m-%d %H:%MZ")
        )
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::column::ColumnType;
    use crate::paging::walk::EndReason;

    fn part(rows: u64, nulls: u64, newest: &str) -> Part {
        let newest = newest.parse().ok();
        let gauges = vec![Gauge { column: "at".to_owned(), nulls, newest }];
        Part {
            path: "p".to_owned(),
            rows,
            bytes: 1,
            sha256: String::new(),
            changed_at: None,
            ranges: Default::default(),
            gauges,
        }
    }

    fn check(gates: &Gates, judged: Judged<'_>, expect: &[&str]) {
        let why = judge(gates, judged, "2026-03-02T00:00:00Z".parse().expect("an instant"));
        assert_eq!(why.len(), expect.len(), "{why:?}");
        for (why, expect) in why.iter().zip(expect) {
            assert!(why.contains(expect), "{why} / {expect}");
        }
    }

    #[test]
    fn every_gate_holds_what_it_should_and_nothing_else() {
        let standard = Gates::default();
        let parts = [part(60, 6, "2026-02-27T00:00:00Z"), part(40, 0, "2026-03-01T00:00:00Z")];
        let key = ["id".to_owned()];
        let fine = Judged {
            table: "t",
            key: &key,
            parts: &parts,
            former_rows: Some(200),
            keys: KeyFindings::default(),
            schema_changes: &[],
            walks: &[],
            slices_left_out: 0,
        };
        check(&standard, fine, &[]);
        check(&standard, Judged { former_rows: None, ..fine }, &[]);
        check(&standard, Judged { former_rows: Some(201), ..fine }, &["50.2 %, allowed 50 %"]);
        check(&standard, Judged { former_rows: Some(99), parts: &parts[..0], ..fine }, &["is empty and had 99 rows"]);
        check(&standard, Judged { former_rows: Some(99), parts: &[part(1, 0, "")], ..fine }, &[]);
        check(&standard, Judged { former_rows: Some(0), parts: &[], ..fine }, &[]);
        let empty = Gates { empty: Verdict::Allow, ..Gates::default() };
        check(&empty, Judged { parts: &[], ..fine }, &[]);
        check(&Gates { rows_min: 101, ..Gates::default() }, fine, &["has 100 rows, at least 101"]);
        check(&Gates { rows_min: 100, ..Gates::default() }, fine, &[]);
        let double = Judged { keys: KeyFindings { repeated: 1, nulls: 2 }, ..fine };
        check(&standard, double, &["1 row whose key (`id`)", "2 rows without a value in the key"]);
        check(&Gates { keys: Verdict::Allow, ..Gates::default() }, double, &[]);
        let at = |percent| BTreeMap::from([("at".to_owned(), Share::of_percent(percent).expect("a share"))]);
        check(&Gates { nulls_max: at(6.0), ..Gates::default() }, fine, &[]);
        check(&Gates { nulls_max: at(5.9), ..Gates::default() }, fine, &["6 of 100 rows: 6 %, allowed 5.9 %"]);
        let newest = |hours: u64| {
            let within = Duration::from_secs(hours * 3600);
            Gates { newest: Some(Newest { column: "at".to_owned(), within }), ..Gates::default() }
        };
        check(&newest(24), fine, &[]);
        check(&newest(23), fine, &["nothing newer than 2026-03-01 00:00Z in `at`: 24 h, allowed 23 h"]);
        check(
            &newest(24),
            Judged { parts: &[part(1, 1, "")], former_rows: None, ..fine },
            &["no date or time in `at`"],
        );
        check(&newest(24), Judged { parts: &[], former_rows: None, ..fine }, &[]);
        let changes = [SchemaChange::Added { column: "c".to_owned(), to: ColumnType::Text }];
        let changed = Judged { schema_changes: &changes, ..fine };
        check(&standard, changed, &[]);
        check(
            &Gates { schema_changes: Verdict::Hold, ..Gates::default() },
            changed,
            &["other columns than before: `c`"],
        );
        let walks = [WalkReport { slices: 1, pages: 1, records: 1, ended: EndReason::EmptyPage, changed: true }];
        let unfinished = Judged { walks: &walks, slices_left_out: 2, ..double };
        // Who allows a table that changes while it is read knows that rows may be double.
        check(&standard, unfinished, &["2 rows without a value"]);
        let strict = Gates { unfinished: Verdict::Hold, ..Gates::default() };
        check(&strict, unfinished, &["2 rows without a value", "misses 2 slices", "changed while it was read"]);
    }
}
