//! The meaning of `streams`, with the source's defaults merged in.

use std::collections::{BTreeMap, BTreeSet};

use super::check::is_reserved;
use super::check_paging::check_paging;
use super::problem::{Problems, did_you_mean, wrong};
use super::spec::{DialectSpec, JobSpec, ParamSpec, StreamSpec};
use super::value::{check_path, check_sent_header, check_template};
use super::yaml::join;
use crate::model::column::{COLUMN_TYPE_WORDS, ColumnType};
use crate::model::plan::{RecordsAt, Stream};
use crate::paging::Paginator;

/// PostgreSQL's bound for a table name, the smallest among usual readers.
const STREAM_NAME_CHARS_MAX: usize = 63;
const DEFAULTS: &str = "source.defaults";

/// `[a-z][a-z0-9_]*`, bounded.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= STREAM_NAME_CHARS_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

pub(super) fn check_streams(spec: &JobSpec, problems: &mut Problems<'_>) -> Vec<Stream> {
    let mut names = BTreeMap::new();
    let streams = spec.streams.iter().enumerate().map(|(index, stream)| {
        let path = format!("streams[{index}]");
        check_name(&stream.name, &format!("{path}.name"), problems);
        if let Some(former) = names.insert(stream.name.as_str(), index) {
            let draft = wrong(format!("a second stream is named `{}`", stream.name));
            problems.at(&format!("{path}.name"), draft.hint(format!("the first is `streams[{former}]`")));
        }
        check_stream(spec, stream, &path, problems)
    });
    streams.collect()
}

fn check_name(name: &str, path: &str, problems: &mut Problems<'_>) {
    if is_name(name) && !is_reserved(name) {
        return;
    }
    let draft = wrong(format!("`{name}` cannot be a stream's name"));
    let allowed = format!("a-z, 0-9 and _, starting with a letter, at most {STREAM_NAME_CHARS_MAX} characters");
    let hint = if is_reserved(name) {
        Some("Windows keeps this name for itself, and files may be copied there".to_owned())
    } else if name.starts_with('_') {
        Some("names that start with `_` are haul's own files".to_owned())
    } else {
        let plain = name.to_lowercase().replace(['-', ' ', '.'], "_");
        is_name(&plain).then(|| format!("write `{plain}`"))
    };
    problems.at(path, draft.allowed(allowed).maybe_hint(hint));
}

fn check_stream(spec: &JobSpec, stream: &StreamSpec, path: &str, problems: &mut Problems<'_>) -> Stream {
    let defaults = &spec.source.defaults;
    let place = format!("{path}.path");
    check_template(&stream.path, &place, problems);
    if stream.path.contains("://") || stream.path.starts_with("//") {
        let hint = "`path` stands below `source.base_url`; another host is another job";
        problems.at(&place, wrong("a path must not name a host").hint(hint));
    }
    let params = check_params(&defaults.params, &stream.params, path, problems);
    let headers = check_headers(&defaults.headers, &stream.headers, path, problems);
    let (records, records_path) = match (&stream.records, &defaults.records) {
        (Some(records), _) => (Some(records), format!("{path}.records")),
        (None, Some(records)) => (Some(records), format!("{DEFAULTS}.records")),
        (None, None) => (None, String::new()),
    };
    let records = records.and_then(|text| check_path(text, &records_path, problems));
    let (paging, paging_path) = match (&stream.paging, &defaults.paging) {
        (Some(paging), _) => (Some(paging), format!("{path}.paging")),
        (None, paging) => (paging.as_ref(), format!("{DEFAULTS}.paging")),
    };
    let paginator = match paging {
        Some(paging) => check_paging(paging, &paging_path, problems),
        None if spec.source.dialect == DialectSpec::Odata => Paginator::Odata,
        None => Paginator::Unstated,
    };
    Stream {
        name: stream.name.clone(),
        path: stream.path.trim_start_matches('/').to_owned(),
        params,
        headers,
        records: records.map_or(RecordsAt::Found, RecordsAt::Path),
        paginator,
        key: check_key(&stream.key, path, problems),
        columns: check_columns(stream, path, problems),
    }
}

/// A stream's parameters over those of the defaults, each checked where it is typed.
fn check_params(
    defaults: &BTreeMap<String, ParamSpec>,
    own: &BTreeMap<String, ParamSpec>,
    path: &str,
    problems: &mut Problems<'_>,
) -> Vec<(String, String)> {
    let mut params = BTreeMap::new();
    for (owner, typed) in [(DEFAULTS, defaults), (path, own)] {
        for (name, value) in typed {
            let text = match value {
                ParamSpec::Boolean(flag) => flag.to_string(),
                ParamSpec::Integer(number) => number.to_string(),
                ParamSpec::Float(number) => number.to_string(),
                ParamSpec::Text(text) => text.clone(),
            };
            check_template(&text, &join(&format!("{owner}.params"), name), problems);
            params.insert(name.clone(), text);
        }
    }
    params.into_iter().collect()
}

/// A stream's headers over those of the defaults. Names are one without regard to case (RFC 9110).
fn check_headers(
    defaults: &BTreeMap<String, String>,
    own: &BTreeMap<String, String>,
    path: &str,
    problems: &mut Problems<'_>,
) -> Vec<(String, String)> {
    let mut headers = BTreeMap::new();
    for (owner, typed) in [(DEFAULTS, defaults), (path, own)] {
        let mut seen = BTreeSet::new();
        for (name, value) in typed {
            let place = join(&format!("{owner}.headers"), name);
            check_template(value, &place, problems);
            check_sent_header(name, &place, problems);
            if !seen.insert(name.to_ascii_lowercase()) {
                problems.at(&place, wrong(format!("the header `{name}` stands here twice, apart from its case")));
            }
            headers.insert(name.to_ascii_lowercase(), (name.clone(), value.clone()));
        }
    }
    headers.into_values().collect()
}

fn check_key(key: &[String], path: &str, problems: &mut Problems<'_>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    for (index, column) in key.iter().enumerate() {
        let place = format!("{path}.key[{index}]");
        if column.trim().is_empty() {
            problems.at(&place, wrong("a column of the key has no name"));
        } else if !seen.insert(column.to_ascii_lowercase()) {
            problems.at(&place, wrong(format!("the key names the column `{column}` twice")));
        }
    }
    key.to_vec()
}

fn check_columns(stream: &StreamSpec, path: &str, problems: &mut Problems<'_>) -> BTreeMap<String, ColumnType> {
    let mut columns = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (name, kind) in &stream.columns {
        let place = join(&format!("{path}.columns"), name);
        if name.trim().is_empty() {
            problems.at(&place, wrong("a column has no name"));
        }
        if !seen.insert(name.to_ascii_lowercase()) {
            problems.at(&place, wrong(format!("a second column is named `{name}`, apart from its case")));
        }
        match kind.0.parse() {
            Ok(kind) => {
                columns.insert(name.clone(), kind);
            }
            Err(_) => {
                let draft = wrong(format!("`{}` is no column type", kind.0)).found(format!("`{}`", kind.0));
                problems.at(&place, draft.allowed(COLUMN_TYPE_WORDS).maybe_hint(type_hint(&kind.0)));
            }
        }
    }
    columns
}

/// What was meant by a word of SQL, Power Query or JSON Schema.
fn type_hint(typed: &str) -> Option<String> {
    let word = typed.trim().to_ascii_lowercase();
    let meant = match word.as_str() {
        "string" | "varchar" | "nvarchar" | "char" | "uuid" | "guid" => "text",
        "int" | "int32" | "int64" | "bigint" | "long" | "number" => "integer",
        "double" | "real" | "float64" => "float",
        "bool" | "logical" => "boolean",
        "timestamp" | "timestamptz" | "datetimezone" | "datetimeoffset" => "instant",
        "money" | "currency" | "numeric" => "decimal(18,4)",
        "object" | "array" | "list" => "json",
        _ if word.starts_with("decimal(") => {
            return Some("1 to 38 digits, at most all of them decimals: `decimal(18,4)`".to_owned());
        }
        _ => return did_you_mean(&word, COLUMN_TYPE_WORDS.split(", ")),
    };
    Some(format!("write `{meant}`"))
}
