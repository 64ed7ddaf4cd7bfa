//! The meaning of a stream's `slices`, `for_each` and `incremental`.

use std::collections::BTreeSet;

use chrono_tz::Tz;

use super::check_request::{param_json, param_text};
use super::check_stream::is_name;
use super::problem::{Problems, did_you_mean, wrong};
use super::spec::{ForEachSpec, IncrementalSpec, JobSpec, ParamSpec, SliceSpec, StreamSpec};
use super::spec_stream::{MissingSpec, OrderSpec};
use super::value::{check_duration, check_path, check_template};
use super::yaml::join;
use crate::model::incremental::{CursorKind, CursorScope, CursorValue, FeedOrder, Incremental, MissingCursor};
use crate::model::slices::{CalendarStep, Dimension, DimensionValues, Parent};
use crate::model::time_format::TimeFormat;

/// Names that templates know already.
const TAKEN: &[&str] = &["settings", "run", "slice", "cursor", "last", "env"];

pub(super) fn check_slices(specs: &[SliceSpec], path: &str, problems: &mut Problems<'_>) -> Vec<Dimension> {
    let mut seen = BTreeSet::new();
    let mut dimensions = Vec::with_capacity(specs.len());
    for (index, spec) in specs.iter().enumerate() {
        let (kind, name) = match spec {
            SliceSpec::List(list) => ("list", &list.name),
            SliceSpec::Dates(dates) => ("dates", &dates.name),
            SliceSpec::Integers(integers) => ("integers", &integers.name),
        };
        let place = format!("{path}.slices[{index}].{kind}");
        if !is_name(name) {
            let draft = wrong(format!("`{name}` cannot be the name of a slice"));
            problems.at(&format!("{place}.name"), draft.allowed("a-z, 0-9 and _, starting with a letter"));
        } else if !seen.insert(name.as_str()) {
            problems.at(&format!("{place}.name"), wrong(format!("slices are cut by `{name}` twice")));
        }
        dimensions.push(check_dimension(spec, &place, problems));
    }
    dimensions
}

fn check_dimension(spec: &SliceSpec, place: &str, problems: &mut Problems<'_>) -> Dimension {
    match spec {
        SliceSpec::List(list) => {
            let mut seen = BTreeSet::new();
            for (index, value) in list.values.iter().enumerate() {
                if !seen.insert(param_text(value)) {
                    let draft = wrong(format!("the value `{}` stands here twice", param_text(value)));
                    problems.at(&format!("{place}.values[{index}]"), draft.hint("its records would be doubled"));
                }
            }
            let values = DimensionValues::List(list.values.iter().map(param_json).collect());
            Dimension { name: list.name.clone(), values, column: list.column.clone() }
        }
        SliceSpec::Dates(dates) => {
            let format = check_format(dates.format.as_deref(), dates.timezone.as_deref(), place, problems);
            for (name, bound) in [("from", Some(&dates.from)), ("until", dates.until.as_ref())] {
                let Some(bound) = bound else { continue };
                let path = format!("{place}.{name}");
                check_template(bound, &path, problems);
                let is_known = bound.contains("{{") || matches!(bound.trim(), "now" | "today");
                if !is_known && format.read_iso(bound).is_none() {
                    let draft = wrong(format!("`{bound}` is no instant"));
                    problems.at(&path, draft.allowed("2024-01-31, 2024-01-31T12:00:00Z, now, today, or a template"));
                }
            }
            let step = check_step(&dates.step, &format!("{place}.step"), problems);
            let granularity_micros =
                optional_micros(dates.granularity.as_deref(), &format!("{place}.granularity"), problems);
            let until = dates.until.clone().unwrap_or_else(|| "now".to_owned());
            let values = DimensionValues::Dates { from: dates.from.clone(), until, step, format, granularity_micros };
            Dimension { name: dates.name.clone(), values, column: dates.column.clone() }
        }
        SliceSpec::Integers(integers) => {
            let mut bound = |value: &ParamSpec, name: &str| {
                let text = param_text(value);
                check_template(&text, &format!("{place}.{name}"), problems);
                if !text.contains("{{") && text.parse::<i64>().is_err() {
                    let draft = wrong(format!("`{text}` is no whole number"));
                    problems.at(&format!("{place}.{name}"), draft.allowed("a whole number, or a template"));
                }
                text
            };
            let (from, until) = (bound(&integers.from, "from"), bound(&integers.until, "until"));
            let values = DimensionValues::Integers { from, until, step: integers.step.max(1) };
            Dimension { name: integers.name.clone(), values, column: integers.column.clone() }
        }
    }
}

/// A spelling of time with its zone.
fn check_format(format: Option<&str>, timezone: Option<&str>, place: &str, problems: &mut Problems<'_>) -> TimeFormat {
    let mut checked = TimeFormat::default();
    if let Some(format) = format {
        match format.parse() {
            Ok(spelling) => checked.spelling = spelling,
            Err(why) => {
                let draft = wrong(why).allowed("iso, date, unix, unix_ms, odata_v2, or a strftime pattern");
                problems.at(&format!("{place}.format"), draft.hint("a pattern looks like `%d.%m.%Y %H:%M`"));
            }
        }
    }
    if let Some(zone) = timezone {
        match zone.parse::<Tz>() {
            Ok(zone) => checked.zone = zone,
            Err(_) => {
                let near = did_you_mean(zone, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
                let draft = wrong(format!("`{zone}` is no time zone")).allowed("a name of the IANA database");
                let near = near.unwrap_or_else(|| "for example `Europe/Amsterdam` or `UTC`".to_owned());
                problems.at(&format!("{place}.timezone"), draft.hint(near));
            }
        }
    }
    checked
}

/// `1 month`, `3 months`, `1 year`, or a span of time.
fn check_step(text: &str, path: &str, problems: &mut Problems<'_>) -> CalendarStep {
    let words: Vec<&str> = text.split_whitespace().collect();
    let months = match words[..] {
        [count, "month" | "months"] => count.parse::<u32>().ok(),
        [count, "year" | "years"] => count.parse::<u32>().ok().and_then(|years| years.checked_mul(12)),
        _ => None,
    };
    if let Some(months) = months.filter(|months| (1..=1_200).contains(months)) {
        return CalendarStep { months, micros: 0 };
    }
    if words.len() == 1 {
        let micros = optional_micros(Some(text), path, problems);
        return CalendarStep { months: 0, micros: micros.max(1) };
    }
    problems.at(path, wrong(format!("`{text}` is no step")).allowed("1 month, 3 months, 1 year, 30d, 12h"));
    CalendarStep { months: 1, micros: 0 }
}

/// A span in microseconds; none = zero.
fn optional_micros(text: Option<&str>, path: &str, problems: &mut Problems<'_>) -> i64 {
    let span = text.and_then(|text| check_duration(text, path, problems));
    span.map_or(0, |span| i64::try_from(span.as_micros()).unwrap_or(i64::MAX))
}

pub(super) fn check_parent(
    spec: &ForEachSpec,
    job: &JobSpec,
    index: usize,
    path: &str,
    problems: &mut Problems<'_>,
) -> Parent {
    let place = format!("{path}.for_each");
    let parent = job.streams.iter().position(|stream| stream.name == spec.stream);
    match parent {
        None => {
            let near = did_you_mean(&spec.stream, job.streams.iter().map(|stream| stream.name.as_str()));
            let draft = wrong(format!("there is no stream `{}`", spec.stream)).maybe_hint(near);
            problems.at(&format!("{place}.stream"), draft);
        }
        Some(parent) if leads_back(job, parent, index) => {
            problems.at(&format!("{place}.stream"), wrong("the streams wait for each other in a circle"));
        }
        Some(_) => {}
    }
    if !is_name(&spec.name) || TAKEN.contains(&spec.name.as_str()) {
        let draft = wrong(format!("`{}` cannot be the name of a record", spec.name));
        let allowed = format!("a-z, 0-9 and _, starting with a letter; not {}", TAKEN.join(", "));
        problems.at(&format!("{place}.as"), draft.allowed(allowed));
    }
    let batch = spec.batch.unwrap_or(1);
    if batch > 1 && spec.columns.is_some() {
        let draft = wrong("a batch of records has no single value for a column");
        problems.at(&format!("{place}.columns"), draft.hint("leave `columns` or `batch` out"));
    }
    let fields = match &spec.columns {
        _ if batch > 1 => Vec::new(),
        Some(columns) => columns
            .iter()
            .filter_map(|(column, field)| {
                let path = check_path(field, &join(&format!("{place}.columns"), column), problems)?;
                Some((column.clone(), path.members().to_vec()))
            })
            .collect(),
        None => default_columns(spec, parent.and_then(|parent| job.streams.get(parent))),
    };
    Parent { stream: spec.stream.clone(), name: spec.name.clone(), fields, batch }
}

/// The parent's key: one column is named as the record, several as the record and the column.
fn default_columns(spec: &ForEachSpec, parent: Option<&StreamSpec>) -> Vec<(String, Vec<String>)> {
    match parent.map(|parent| parent.key.as_slice()).unwrap_or_default() {
        [only] => vec![(spec.name.clone(), vec![only.clone()])],
        several => several.iter().map(|column| (format!("{}_{column}", spec.name), vec![column.clone()])).collect(),
    }
}

/// Whether the chain of parents from `parent` upwards meets `index`, or itself.
fn leads_back(job: &JobSpec, parent: usize, index: usize) -> bool {
    let mut at = Some(parent);
    for _ in 0..=job.streams.len() {
        let Some(stream) = at else { return false };
        if stream == index {
            return true;
        }
        let above = job.streams[stream].for_each.as_ref();
        at = above.and_then(|above| job.streams.iter().position(|stream| stream.name == above.stream));
    }
    true
}

pub(super) fn check_incremental(spec: &IncrementalSpec, path: &str, problems: &mut Problems<'_>) -> Incremental {
    let place = format!("{path}.incremental");
    let field = check_path(&spec.cursor, &format!("{place}.cursor"), problems).unwrap_or_default();
    let format = check_format(spec.format.as_deref(), spec.timezone.as_deref(), &place, problems);
    let (kind, start) = match &spec.start {
        ParamSpec::Integer(number) => {
            let lookback = spec.lookback.as_ref().map_or(Some(0), |lookback| match lookback {
                ParamSpec::Integer(number) => u64::try_from(*number).ok(),
                ParamSpec::Boolean(_) | ParamSpec::Float(_) | ParamSpec::Text(_) => None,
            });
            if lookback.is_none() {
                let draft = wrong("the cursor is a number, so `lookback` is one, too");
                problems.at(&format!("{place}.lookback"), draft.allowed("a whole number, 0 or more"));
            }
            for (name, is_given) in [
                ("window", spec.window.is_some()),
                ("granularity", spec.granularity.is_some()),
                ("retention", spec.retention.is_some()),
                ("format", spec.format.is_some()),
                ("timezone", spec.timezone.is_some()),
            ] {
                if is_given {
                    let draft = wrong(format!("`{name}` belongs to cursors of time, and `start` is a number"));
                    problems.at(&format!("{place}.{name}"), draft);
                }
            }
            (CursorKind::Integer { lookback: lookback.unwrap_or(0) }, CursorValue::Integer(*number))
        }
        ParamSpec::Text(text) => {
            let start = format.read_iso(text.trim());
            if start.is_none() {
                let draft = wrong(format!("`{text}` is no instant"));
                problems.at(&format!("{place}.start"), draft.allowed("2020-01-31, 2020-01-31T12:00:00Z, or a number"));
            }
            let lookback_micros = match &spec.lookback {
                None => 0,
                Some(ParamSpec::Text(text)) => optional_micros(Some(text), &format!("{place}.lookback"), problems),
                Some(_) => {
                    let draft = wrong("the cursor is an instant, so `lookback` is a span of time");
                    problems.at(&format!("{place}.lookback"), draft.allowed("30s, 10m, 12h, 30d"));
                    0
                }
            };
            let kind = CursorKind::Time { format, lookback_micros };
            (kind, CursorValue::Time(start.unwrap_or_default()))
        }
        ParamSpec::Boolean(_) | ParamSpec::Float(_) => {
            let draft = wrong("a cursor begins at a whole number or an instant");
            problems.at(&format!("{place}.start"), draft);
            (CursorKind::Integer { lookback: 0 }, CursorValue::Integer(0))
        }
    };
    if spec.granularity.is_some() && spec.window.is_none() {
        let draft = wrong("`granularity` is of windows").hint("add `window`, or leave `granularity` out");
        problems.at(&format!("{place}.granularity"), draft);
    }
    Incremental {
        field,
        kind,
        start,
        window: spec.window.as_ref().map(|step| check_step(step, &format!("{place}.window"), problems)),
        granularity_micros: optional_micros(spec.granularity.as_deref(), &format!("{place}.granularity"), problems),
        retention_micros: spec
            .retention
            .as_ref()
            .map(|retention| optional_micros(Some(retention), &format!("{place}.retention"), problems)),
        order: match spec.order {
            OrderSpec::Any => FeedOrder::Any,
            OrderSpec::NewestFirst => FeedOrder::NewestFirst,
        },
        missing: match spec.missing {
            MissingSpec::Keep => MissingCursor::Keep,
            MissingSpec::Fail => MissingCursor::Fail,
        },
        scope: if spec.per_slice { CursorScope::Slice } else { CursorScope::Stream },
    }
}
