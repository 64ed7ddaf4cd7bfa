//! The meaning of `streams`, with the source's defaults merged in.

use std::collections::{BTreeMap, BTreeSet};

use super::problem::{Problems, wrong};
use super::spec::{CursorSpec, DialectSpec, JobSpec, OffsetSpec, PageSpec, PagingSpec, ParamSpec, StreamSpec};
use crate::model::json_path::JsonPath;
use crate::model::plan::{RecordsAt, Stream};
use crate::paging::{Bounds, CursorFrom, CursorSend, PageSize, Paginator, TotalAt};

/// PostgreSQL's bound for a table name, the smallest among usual readers.
const STREAM_NAME_CHARS_MAX: usize = 63;
/// Headers that carry credentials or belong to the transport.
const RESERVED_HEADERS: &[&str] =
    &["authorization", "proxy-authorization", "cookie", "host", "content-length", "transfer-encoding", "connection"];

/// `[a-z][a-z0-9_]*`, bounded.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= STREAM_NAME_CHARS_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

pub(super) fn check_streams(spec: &JobSpec, problems: &mut Problems<'_>) -> Vec<Stream> {
    let mut names = BTreeSet::new();
    let streams = spec.streams.iter().enumerate().map(|(index, stream)| {
        let path = format!("streams[{index}]");
        if !is_name(&stream.name) {
            let allowed = format!("a-z, 0-9 and _, starting with a letter, at most {STREAM_NAME_CHARS_MAX} characters");
            problems.at(
                &format!("{path}.name"),
                wrong(format!("`{}` cannot be a stream's name", stream.name)).allowed(allowed),
            );
        }
        if !names.insert(stream.name.clone()) {
            problems.at(&format!("{path}.name"), wrong(format!("a second stream is named `{}`", stream.name)));
        }
        check_stream(spec, stream, &path, problems)
    });
    streams.collect()
}

fn check_stream(spec: &JobSpec, stream: &StreamSpec, path: &str, problems: &mut Problems<'_>) -> Stream {
    let defaults = &spec.source.defaults;
    check_template(&stream.path, &format!("{path}.path"), problems);
    if stream.path.contains("://") || stream.path.starts_with("//") {
        let hint = "`path` stands below `source.base_url`; another host is another job";
        problems.at(&format!("{path}.path"), wrong("a path must not name a host").hint(hint));
    }
    let params = merged(&defaults.params, &stream.params);
    for (name, value) in &params {
        check_template(value, &format!("{path}.params.{name}"), problems);
    }
    let headers = check_headers(&defaults.headers, &stream.headers, path, problems);
    let (records, records_path) = match (&stream.records, &defaults.records) {
        (Some(records), _) => (Some(records), format!("{path}.records")),
        (None, Some(records)) => (Some(records), "source.defaults.records".to_owned()),
        (None, None) => (None, String::new()),
    };
    let records = records.and_then(|text| check_path(text, &records_path, problems));
    let (paging, paging_path) = match (&stream.paging, &defaults.paging) {
        (Some(paging), _) => (Some(paging), format!("{path}.paging")),
        (None, paging) => (paging.as_ref(), "source.defaults.paging".to_owned()),
    };
    let paginator = match paging {
        Some(paging) => check_paging(paging, &paging_path, problems),
        None if spec.source.dialect == DialectSpec::Odata => Paginator::Odata,
        None => Paginator::Unstated,
    };
    Stream {
        name: stream.name.clone(),
        path: stream.path.clone(),
        params,
        headers,
        records: records.map_or(RecordsAt::Found, RecordsAt::Path),
        paginator,
        key: check_key(&stream.key, path, problems),
        columns: check_columns(stream, path, problems),
    }
}

fn merged(defaults: &BTreeMap<String, ParamSpec>, own: &BTreeMap<String, ParamSpec>) -> Vec<(String, String)> {
    let mut params = defaults.clone();
    params.extend(own.clone());
    let text = |value: ParamSpec| match value {
        ParamSpec::Boolean(flag) => flag.to_string(),
        ParamSpec::Integer(number) => number.to_string(),
        ParamSpec::Float(number) => number.to_string(),
        ParamSpec::Text(text) => text,
    };
    params.into_iter().map(|(name, value)| (name, text(value))).collect()
}

fn check_headers(
    defaults: &BTreeMap<String, String>,
    own: &BTreeMap<String, String>,
    path: &str,
    problems: &mut Problems<'_>,
) -> Vec<(String, String)> {
    let mut headers = defaults.clone();
    headers.extend(own.clone());
    for (name, value) in &headers {
        let place =
            if own.contains_key(name) { format!("{path}.headers") } else { "source.defaults.headers".to_owned() };
        let place = format!("{place}.{name}");
        check_template(value, &place, problems);
        if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            let hint = "credentials belong under `source.auth`, where they are guarded";
            problems.at(&place, wrong(format!("the header `{name}` is not for job files")).hint(hint));
        } else if ::http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            problems.at(&place, wrong(format!("`{name}` cannot be a header's name")));
        }
    }
    headers.into_iter().collect()
}

fn check_template(text: &str, path: &str, problems: &mut Problems<'_>) {
    if let Err(error) = minijinja::Environment::new().template_from_str(text) {
        problems.at(path, wrong(format!("the template cannot be read: {error}")));
    }
}

fn check_path(text: &str, path: &str, problems: &mut Problems<'_>) -> Option<JsonPath> {
    match text.parse() {
        Ok(parsed) => Some(parsed),
        Err(why) => {
            problems.at(path, wrong(why));
            None
        }
    }
}

fn check_key(key: &[String], path: &str, problems: &mut Problems<'_>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    for (index, column) in key.iter().enumerate() {
        if column.trim().is_empty() || !seen.insert(column.to_ascii_lowercase()) {
            problems.at(&format!("{path}.key[{index}]"), wrong(format!("`{column}` is empty or named twice")));
        }
    }
    key.to_vec()
}

fn check_columns(
    stream: &StreamSpec,
    path: &str,
    problems: &mut Problems<'_>,
) -> BTreeMap<String, crate::model::column::ColumnType> {
    let mut columns = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (name, kind) in &stream.columns {
        let place = format!("{path}.columns.{name}");
        if !seen.insert(name.to_ascii_lowercase()) {
            problems.at(&place, wrong(format!("a second column is named `{name}`, apart from its case")));
        }
        match kind.0.parse() {
            Ok(kind) => {
                columns.insert(name.clone(), kind);
            }
            Err(why) => problems.at(&place, wrong(why)),
        }
    }
    columns
}

fn check_paging(spec: &PagingSpec, path: &str, problems: &mut Problems<'_>) -> Paginator {
    match spec {
        PagingSpec::None => Paginator::Single,
        PagingSpec::LinkHeader => Paginator::LinkHeader,
        PagingSpec::Odata => Paginator::Odata,
        PagingSpec::NextUrl(text) => {
            let place = format!("{path}.next_url");
            Paginator::NextUrl { path: check_path(text, &place, problems).unwrap_or_default() }
        }
        PagingSpec::Cursor(cursor) => check_cursor(cursor, &format!("{path}.cursor"), problems),
        PagingSpec::Offset(offset) => check_offset(offset, &format!("{path}.offset"), problems),
        PagingSpec::Page(page) => check_page(page, &format!("{path}.page"), problems),
    }
}

fn check_cursor(spec: &CursorSpec, path: &str, problems: &mut Problems<'_>) -> Paginator {
    let from = [
        spec.from
            .as_ref()
            .map(|text| CursorFrom::Body(check_path(text, &format!("{path}.from"), problems).unwrap_or_default())),
        spec.from_header.clone().map(CursorFrom::Header),
        spec.from_last_record.as_ref().map(|text| {
            CursorFrom::LastRecord(check_path(text, &format!("{path}.from_last_record"), problems).unwrap_or_default())
        }),
    ];
    let send = [spec.param.clone().map(CursorSend::Param), spec.header.clone().map(CursorSend::Header)];
    let mut exactly_one = |count: usize, what: &str, allowed: &str| {
        if count != 1 {
            problems.at(path, wrong(format!("a cursor {what} exactly one place, {count} are named")).allowed(allowed));
        }
    };
    exactly_one(from.iter().flatten().count(), "is found at", "from, from_header, from_last_record");
    exactly_one(send.iter().flatten().count(), "is sent to", "param, header");
    Paginator::Cursor {
        from: from.into_iter().flatten().next().unwrap_or(CursorFrom::Header(String::new())),
        send: send.into_iter().flatten().next().unwrap_or(CursorSend::Param(String::new())),
        has_more: optional_path(spec.has_more.as_ref(), &format!("{path}.has_more"), problems),
    }
}

fn optional_path(text: Option<&String>, path: &str, problems: &mut Problems<'_>) -> Option<JsonPath> {
    text.and_then(|text| check_path(text, path, problems))
}

fn check_total(
    body: Option<&String>,
    header: Option<&String>,
    path: &str,
    problems: &mut Problems<'_>,
) -> Option<TotalAt> {
    match (body, header) {
        (None, None) => None,
        (Some(text), None) => check_path(text, &format!("{path}.total"), problems).map(TotalAt::Body),
        (None, Some(name)) => Some(TotalAt::Header(name.clone())),
        (Some(_), Some(_)) => {
            problems.at(path, wrong("a total has one place").allowed("one of total, total_header"));
            None
        }
    }
}

fn check_offset(spec: &OffsetSpec, path: &str, problems: &mut Problems<'_>) -> Paginator {
    Paginator::Offset {
        param: spec.param.clone().unwrap_or_else(|| "offset".to_owned()),
        size_param: spec.size_param.clone().unwrap_or_else(|| "limit".to_owned()),
        size: spec.size,
        bounds: Bounds {
            total: check_total(spec.total.as_ref(), spec.total_header.as_ref(), path, problems),
            has_more: optional_path(spec.has_more.as_ref(), &format!("{path}.has_more"), problems),
            short_page_ends: spec.short_page_ends,
        },
    }
}

fn check_page(spec: &PageSpec, path: &str, problems: &mut Problems<'_>) -> Paginator {
    if spec.size.is_none() && (spec.size_param.is_some() || spec.short_page_ends) {
        problems.at(path, wrong("`size` is missing: `size_param` and `short_page_ends` need it"));
    }
    Paginator::Page {
        param: spec.param.clone().unwrap_or_else(|| "page".to_owned()),
        first: spec.first.unwrap_or(1),
        size: spec.size.map(|size| PageSize { param: spec.size_param.clone(), size }),
        total_pages: optional_path(spec.total_pages.as_ref(), &format!("{path}.total_pages"), problems),
        bounds: Bounds {
            total: check_total(spec.total.as_ref(), spec.total_header.as_ref(), path, problems),
            has_more: optional_path(spec.has_more.as_ref(), &format!("{path}.has_more"), problems),
            short_page_ends: spec.short_page_ends,
        },
    }
}
