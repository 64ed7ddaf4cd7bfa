//! The slices of a stream, planned before its first request: parents, lists, windows and ranges, and every combination.
//! Pure: the same job, parents, cursors and start of the run give the same slices.

use std::collections::BTreeMap;

use chrono::{DateTime, Months, TimeDelta, Utc};
use serde_json::{Map, Value};

use super::parents::ParentRows;
use crate::limits::SLICES_MAX;
use crate::model::incremental::{CursorKind, CursorScope, CursorValue, Incremental, StoredCursor};
use crate::model::plan::Stream;
use crate::model::slices::{CalendarStep, Dimension, DimensionValues, Slice, WINDOW};
use crate::model::time_format::TimeFormat;
use crate::source::{Context as TemplateContext, Error};

/// Under which a stream's own cursor stands, where slices have none of theirs. No id of a slice looks like it.
pub(crate) const WHOLE: &str = "all";
/// Characters of a slice's id; longer ones are cut and told apart by a number.
const ID_CHARS_MAX: usize = 120;

/// A range that is read once more, apart from the cursor (`haul run --from … --until …`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Backfill {
    pub from: Option<String>,
    pub until: Option<String>,
}

impl Backfill {
    pub(crate) fn is_asked_for(&self) -> bool {
        self.from.is_some() || self.until.is_some()
    }
}

/// What slices are planned from.
pub(crate) struct Planning<'a> {
    pub stream: &'a Stream,
    pub context: &'a TemplateContext,
    pub started_at: DateTime<Utc>,
    /// Absent = the stream stands alone.
    pub parents: Option<&'a ParentRows>,
    pub cursors: &'a BTreeMap<String, StoredCursor>,
    pub backfill: &'a Backfill,
}

/// The slices of a stream, in order.
#[derive(Debug, Default)]
pub(crate) struct Planned {
    pub slices: Vec<Slice>,
    /// For each slice, where its records are known from: the cursor less its overlap.
    pub floors: Vec<Option<CursorValue>>,
    /// Every cursor that the slices move.
    pub scopes: Vec<String>,
    /// Windows end here, and so does what they will have read. Absent = there are none.
    pub frozen: Option<CursorValue>,
}

impl Planning<'_> {
    /// Plans all slices. An error is of the job's own values.
    pub(crate) fn plan(&self) -> Result<Planned, Error> {
        let mut slices = vec![Slice::default()];
        if let (Some(parent), Some(rows)) = (&self.stream.parent, self.parents) {
            slices = rows.slices(parent);
        }
        for dimension in &self.stream.slices {
            let values = self.values(dimension)?;
            bounded(slices.len().saturating_mul(values.len()))?;
            slices = slices.iter().flat_map(|slice| values.iter().map(|value| value.added_to(slice))).collect();
        }
        name_apart(&mut slices);
        for slice in &mut slices {
            slice.scope = if slice.id.is_empty() { WHOLE.to_owned() } else { slice.id.clone() };
        }
        match &self.stream.incremental {
            None => {
                let floors = vec![None; slices.len()];
                Ok(Planned { slices, floors, ..Planned::default() })
            }
            Some(incremental) => self.with_cursors(incremental, slices),
        }
    }

    /// Every slice from its cursor on, and cut into windows where the job wants them.
    fn with_cursors(&self, incremental: &Incremental, slices: Vec<Slice>) -> Result<Planned, Error> {
        let now = CursorValue::Time(self.started_at);
        let until = match &self.backfill.until {
            Some(text) => self.bound(incremental, text)?,
            None => now,
        };
        let mut planned = Planned::default();
        for mut slice in slices {
            planned.scopes.push(match incremental.scope {
                CursorScope::Stream => WHOLE.to_owned(),
                CursorScope::Slice => slice.scope.clone(),
            });
            let floor = self.floor(incremental, &slice)?;
            slice.cursor = Some(incremental.kind.write(floor));
            let Some(step) = incremental.window else {
                planned.slices.push(slice);
                planned.floors.push(Some(floor));
                continue;
            };
            planned.frozen = Some(until);
            let (CursorValue::Time(from), CursorValue::Time(until)) = (floor, until) else { continue };
            let CursorKind::Time { format, .. } = &incremental.kind else { continue };
            for (start, end) in windows(from, until, step, format)? {
                bounded(planned.slices.len())?;
                let window = window_value(WINDOW, (start, end), format, incremental.granularity_micros, None);
                let mut windowed = window.added_to(&slice);
                windowed.cursor = Some(format.write(start));
                planned.slices.push(windowed);
                planned.floors.push(Some(CursorValue::Time(start)));
            }
        }
        Ok(planned)
    }

    /// Where a slice's reading begins.
    fn floor(&self, incremental: &Incremental, slice: &Slice) -> Result<CursorValue, Error> {
        if let Some(text) = &self.backfill.from {
            return self.bound(incremental, text);
        }
        let key = match incremental.scope {
            CursorScope::Stream => WHOLE,
            CursorScope::Slice => slice.scope.as_str(),
        };
        let Some(stored) = self.cursors.get(key) else { return Ok(incremental.start) };
        let value = self.bound(incremental, &stored.value)?;
        if let (CursorValue::Time(instant), Some(retention)) = (value, incremental.retention_micros)
            && self.started_at - instant > TimeDelta::microseconds(retention)
        {
            // What the API has forgotten meanwhile can only come with everything.
            return Ok(incremental.start);
        }
        Ok(incremental.kind.looked_back(value, incremental.start))
    }

    fn bound(&self, incremental: &Incremental, text: &str) -> Result<CursorValue, Error> {
        let what = match incremental.kind {
            CursorKind::Integer { .. } => "a whole number, which the cursor is",
            CursorKind::Time { .. } => "an instant, which the cursor is",
        };
        incremental.kind.read(text).ok_or_else(|| Error::Bound { word: text.to_owned(), what })
    }

    /// What a dimension runs through.
    fn values(&self, dimension: &Dimension) -> Result<Vec<SliceValue>, Error> {
        let name = dimension.name.as_str();
        let column = dimension.column.as_deref();
        let fill = |text: &str| self.context.fill(|| format!("a bound of the slices `{name}`"), text);
        match &dimension.values {
            DimensionValues::List(values) => Ok(values
                .iter()
                .map(|value| SliceValue {
                    name: name.to_owned(),
                    label: plain(value),
                    value: value.clone(),
                    constant: column.map(|column| (column.to_owned(), value.clone())),
                })
                .collect()),
            DimensionValues::Integers { from, until, step } => {
                let number = |text: &str| -> Result<i64, Error> {
                    let filled = fill(text)?;
                    filled.trim().parse().map_err(|_| Error::Bound { word: filled, what: "a whole number" })
                };
                let (from, until) = (number(from)?, number(until)?);
                let step = i64::try_from(*step).unwrap_or(i64::MAX);
                let mut values = Vec::new();
                let mut start = from;
                while start < until {
                    bounded(values.len())?;
                    let next = start.saturating_add(step).min(until);
                    values.push(SliceValue {
                        name: name.to_owned(),
                        label: start.to_string(),
                        value: serde_json::json!({ "start": start, "end": next - 1 }),
                        constant: column.map(|column| (column.to_owned(), Value::from(start))),
                    });
                    start = next;
                }
                Ok(values)
            }
            DimensionValues::Dates { from, until, step, format, granularity_micros } => {
                let instant = |text: &str| -> Result<DateTime<Utc>, Error> {
                    let filled = fill(text)?;
                    self.instant(filled.trim(), format).ok_or(Error::Bound { word: filled, what: "an instant" })
                };
                let windows = windows(instant(from)?, instant(until)?, *step, format)?;
                Ok(windows
                    .into_iter()
                    .map(|window| window_value(name, window, format, *granularity_micros, column))
                    .collect())
            }
        }
    }

    fn instant(&self, text: &str, format: &TimeFormat) -> Option<DateTime<Utc>> {
        match text {
            "now" => Some(self.started_at),
            "today" => {
                let date = self.started_at.with_timezone(&format.zone).date_naive();
                format.at(date.and_hms_opt(0, 0, 0)?)
            }
            text => format.read_iso(text),
        }
    }
}

/// One value of a dimension.
struct SliceValue {
    name: String,
    label: String,
    value: Value,
    constant: Option<(String, Value)>,
}

impl SliceValue {
    fn added_to(&self, slice: &Slice) -> Slice {
        let mut slice = slice.clone();
        if !slice.id.is_empty() {
            slice.id.push(' ');
        }
        slice.id.push_str(&format!("{}={}", self.name, self.label));
        slice.values.insert(self.name.clone(), self.value.clone());
        slice.constants.extend(self.constant.clone());
        slice
    }
}

fn window_value(
    name: &str,
    (start, end): (DateTime<Utc>, DateTime<Utc>),
    format: &TimeFormat,
    granularity_micros: i64,
    column: Option<&str>,
) -> SliceValue {
    let last = end - TimeDelta::microseconds(granularity_micros);
    let mut value = Map::new();
    value.insert("start".to_owned(), format.write(start).into());
    value.insert("end".to_owned(), format.write(last.max(start)).into());
    SliceValue {
        name: name.to_owned(),
        label: format.write(start),
        value: Value::Object(value),
        constant: column.map(|column| (column.to_owned(), format.write(start).into())),
    }
}

type Window = (DateTime<Utc>, DateTime<Utc>);

/// Half-open windows from `from` to `until`; months and days are steps of the zone's calendar.
fn windows(
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    step: CalendarStep,
    format: &TimeFormat,
) -> Result<Vec<Window>, Error> {
    let mut found = Vec::new();
    let first = from.with_timezone(&format.zone).naive_local();
    let mut start = from;
    let mut count: u32 = 0;
    while start < until {
        bounded(found.len())?;
        count += 1;
        // Counted from the first bound: the 31st stays the last of each month.
        let end = if step.months > 0 {
            let local = first.checked_add_months(Months::new(step.months.saturating_mul(count)));
            local.and_then(|local| format.at(local))
        } else if step.micros % DAY_MICROS == 0 {
            let local = first.checked_add_signed(TimeDelta::microseconds(step.micros.saturating_mul(count.into())));
            local.and_then(|local| format.at(local))
        } else {
            start.checked_add_signed(TimeDelta::microseconds(step.micros))
        };
        let end = end.filter(|end| *end > start).unwrap_or(until).min(until);
        found.push((start, end));
        start = end;
    }
    Ok(found)
}

const DAY_MICROS: i64 = 86_400_000_000;

fn bounded(count: usize) -> Result<(), Error> {
    if count > SLICES_MAX {
        return Err(Error::TooManySlices { count, limit: SLICES_MAX });
    }
    Ok(())
}

pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Ids name cursors and messages: bounded, and no two alike.
fn name_apart(slices: &mut [Slice]) {
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for slice in slices {
        if slice.id.chars().count() > ID_CHARS_MAX {
            slice.id = slice.id.chars().take(ID_CHARS_MAX).collect();
        }
        let count = seen.entry(slice.id.clone()).or_default();
        *count += 1;
        if *count > 1 {
            slice.id = format!("{}#{count}", slice.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;
    use crate::model::time_format::Spelling;

    fn check(from: &str, until: &str, step: (u32, i64), zone: Tz, expect: &[&str]) {
        let format = TimeFormat { spelling: Spelling::Iso, zone };
        let read = |text: &str| format.read_iso(text).expect("an instant");
        let step = CalendarStep { months: step.0, micros: step.1 };
        let found = windows(read(from), read(until), step, &format).expect("windows");
        assert!(found.windows(2).all(|pair| pair[0].1 == pair[1].0), "no gap and no overlap");
        assert_eq!(found.first().map(|first| first.0), (read(from) < read(until)).then(|| read(from)));
        assert_eq!(found.last().map(|last| last.1), (read(from) < read(until)).then(|| read(until)));
        let starts: Vec<String> = found.iter().map(|(start, _)| format.write(*start)).collect();
        assert_eq!(starts, expect);
    }

    #[test]
    fn windows_follow_the_calendar() {
        check(
            "2024-01-31",
            "2024-04-15",
            (1, 0),
            Tz::UTC,
            &["2024-01-31T00:00:00Z", "2024-02-29T00:00:00Z", "2024-03-31T00:00:00Z"],
        );
        check(
            "2024-03-30",
            "2024-04-01",
            (0, DAY_MICROS),
            Tz::Europe__Amsterdam,
            &["2024-03-30T00:00:00+01:00", "2024-03-31T00:00:00+01:00"],
        );
        check("2024-01-01", "2024-01-01", (1, 0), Tz::UTC, &[]);
        check(
            "2024-01-01T00:00:00Z",
            "2024-01-01T05:00:00Z",
            (0, 2 * 3_600_000_000),
            Tz::UTC,
            &["2024-01-01T00:00:00Z", "2024-01-01T02:00:00Z", "2024-01-01T04:00:00Z"],
        );
    }

    #[test]
    fn too_many_slices_are_refused() {
        let format = TimeFormat::default();
        let read = |text: &str| format.read_iso(text).expect("an instant");
        let step = CalendarStep { months: 0, micros: 1 };
        assert!(windows(read("2000-01-01"), read("2024-01-01"), step, &format).is_err());
    }
}
