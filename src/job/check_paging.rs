//! The meaning of `paging`.

use super::problem::{Problems, wrong};
use super::spec::{CursorSpec, OffsetSpec, PageSpec, PagingSpec};
use super::value::{check_header_name, check_path, check_sent_header};
use crate::model::json_path::JsonPath;
use crate::paging::{Bounds, CursorFrom, CursorSend, PageSize, Paginator, TotalAt};

/// A way of paging with every path and name in it checked.
pub(super) fn check_paging(spec: &PagingSpec, path: &str, problems: &mut Problems<'_>) -> Paginator {
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
    let mut body = |text: &Option<String>, name: &str| {
        text.as_ref().map(|text| check_path(text, &format!("{path}.{name}"), problems).unwrap_or_default())
    };
    let from = [
        body(&spec.from, "from").map(CursorFrom::Body),
        spec.from_header.clone().map(CursorFrom::Header),
        body(&spec.from_last_record, "from_last_record").map(CursorFrom::LastRecord),
    ];
    let send = [spec.param.clone().map(CursorSend::Param), spec.header.clone().map(CursorSend::Header)];
    if let Some(name) = &spec.from_header {
        check_header_name(name, &format!("{path}.from_header"), problems);
    }
    if let Some(name) = &spec.header {
        check_sent_header(name, &format!("{path}.header"), problems);
    }
    check_param(spec.param.as_ref(), &format!("{path}.param"), problems);
    let mut exactly_one = |count: usize, what: &str, allowed: &str| {
        if count != 1 {
            let count = if count == 0 { "none is".to_owned() } else { format!("{count} are") };
            problems.at(path, wrong(format!("a cursor {what} exactly one place, {count} named")).allowed(allowed));
        }
    };
    exactly_one(from.iter().flatten().count(), "is found at", "one of from, from_header, from_last_record");
    exactly_one(send.iter().flatten().count(), "is sent to", "one of param, header");
    Paginator::Cursor {
        from: from.into_iter().flatten().next().unwrap_or(CursorFrom::Header(String::new())),
        send: send.into_iter().flatten().next().unwrap_or(CursorSend::Param(String::new())),
        has_more: optional_path(spec.has_more.as_ref(), &format!("{path}.has_more"), problems),
    }
}

fn check_param(name: Option<&String>, path: &str, problems: &mut Problems<'_>) {
    if name.is_some_and(String::is_empty) {
        problems.at(path, wrong("a parameter has no name"));
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
        (None, Some(name)) => {
            check_header_name(name, &format!("{path}.total_header"), problems);
            Some(TotalAt::Header(name.clone()))
        }
        (Some(_), Some(_)) => {
            problems.at(path, wrong("a total has one place").allowed("one of total, total_header"));
            None
        }
    }
}

fn check_offset(spec: &OffsetSpec, path: &str, problems: &mut Problems<'_>) -> Paginator {
    check_param(spec.param.as_ref(), &format!("{path}.param"), problems);
    check_param(spec.size_param.as_ref(), &format!("{path}.size_param"), problems);
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
    check_param(spec.param.as_ref(), &format!("{path}.param"), problems);
    check_param(spec.size_param.as_ref(), &format!("{path}.size_param"), problems);
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
