//! The meaning of `paging`.

use super::problem::{Problems, wrong};
use super::spec::{CursorSpec, OffsetSpec, PageSpec, PagingSpec};
use super::spec_stream::{GraphqlSpec, KeysetSpec};
use super::value::{check_header_name, check_path, check_sent_header, check_template};
use crate::model::json_path::JsonPath;
use crate::paging::{Bounds, CursorFrom, CursorSend, Flag, PageSize, Paginator, Reading, SentIn, TotalAt};

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
        PagingSpec::OdataSkip(spec) => Paginator::Offset {
            param: "$skip".to_owned(),
            size_param: "$top".to_owned(),
            size: spec.size,
            sent_in: SentIn::Query,
            reading: reading(spec.parallel),
            bounds: Bounds { total: Some(TotalAt::Odata), ..Bounds::default() },
        },
        PagingSpec::Keyset(keyset) => check_keyset(keyset, &format!("{path}.keyset"), problems),
        PagingSpec::Graphql(graphql) => check_graphql(graphql, &format!("{path}.graphql"), problems),
        PagingSpec::Cursor(cursor) => check_cursor(cursor, &format!("{path}.cursor"), problems),
        PagingSpec::Offset(offset) => check_offset(offset, &format!("{path}.offset"), problems),
        PagingSpec::Page(page) => check_page(page, &format!("{path}.page"), problems),
    }
}

fn reading(parallel: bool) -> Reading {
    if parallel { Reading::Ahead } else { Reading::InTurn }
}

fn sent_in(in_body: bool) -> SentIn {
    if in_body { SentIn::Body } else { SentIn::Query }
}

fn check_keyset(spec: &KeysetSpec, path: &str, problems: &mut Problems<'_>) -> Paginator {
    let field = check_path(&spec.field, &format!("{path}.field"), problems).unwrap_or_default();
    check_param(Some(&spec.param), &format!("{path}.param"), problems);
    let condition = spec.condition.clone().unwrap_or_else(|| "{{ last }}".to_owned());
    let place = format!("{path}.condition");
    check_template(&condition, &place, problems);
    if !condition.contains("last") {
        let draft = wrong("the condition does not read the key of the last record");
        problems.at(&place, draft.hint("write it as `{{ last }}`, for example `Id gt {{ last }}`"));
    }
    let send = CursorSend::Condition { param: spec.param.clone(), template: condition };
    Paginator::Cursor { from: CursorFrom::LastRecord(field), send, has_more: None, flag: Flag::Optional, total: None }
}

fn check_graphql(spec: &GraphqlSpec, path: &str, problems: &mut Problems<'_>) -> Paginator {
    let connection = check_path(&spec.connection, &format!("{path}.connection"), problems).unwrap_or_default();
    let below = |names: &[&str]| {
        let members: Vec<&str> = connection.members().iter().map(String::as_str).chain(names.iter().copied()).collect();
        JsonPath::of(&members)
    };
    let variable = spec.variable.clone().unwrap_or_else(|| "after".to_owned());
    Paginator::Cursor {
        from: CursorFrom::Body(below(&["pageInfo", "endCursor"])),
        send: CursorSend::Body(JsonPath::of(&["variables", &variable])),
        has_more: Some(below(&["pageInfo", "hasNextPage"])),
        flag: Flag::Required,
        total: Some(TotalAt::Body(below(&["totalCount"]))),
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
    let send = [
        spec.param.clone().map(CursorSend::Param),
        spec.header.clone().map(CursorSend::Header),
        body(&spec.body, "body").map(CursorSend::Body),
    ];
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
    exactly_one(send.iter().flatten().count(), "is sent to", "one of param, header, body");
    Paginator::Cursor {
        from: from.into_iter().flatten().next().unwrap_or(CursorFrom::Header(String::new())),
        send: send.into_iter().flatten().next().unwrap_or(CursorSend::Param(String::new())),
        has_more: optional_path(spec.has_more.as_ref(), &format!("{path}.has_more"), problems),
        flag: Flag::Optional,
        total: None,
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

/// Pages are read ahead as far as a total tells how many there are.
fn check_parallel(parallel: bool, is_told: bool, path: &str, problems: &mut Problems<'_>) {
    if parallel && !is_told {
        let draft = wrong("`parallel` needs to know how many pages there are").hint("name `total` or `total_header`");
        problems.at(&format!("{path}.parallel"), draft);
    }
}

fn check_offset(spec: &OffsetSpec, path: &str, problems: &mut Problems<'_>) -> Paginator {
    check_parallel(spec.parallel, spec.total.is_some() || spec.total_header.is_some(), path, problems);
    check_param(spec.param.as_ref(), &format!("{path}.param"), problems);
    check_param(spec.size_param.as_ref(), &format!("{path}.size_param"), problems);
    Paginator::Offset {
        param: spec.param.clone().unwrap_or_else(|| "offset".to_owned()),
        size_param: spec.size_param.clone().unwrap_or_else(|| "limit".to_owned()),
        size: spec.size,
        sent_in: sent_in(spec.in_body),
        reading: reading(spec.parallel),
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
    let is_told = spec.size.is_some() && (spec.total.is_some() || spec.total_header.is_some());
    check_parallel(spec.parallel, is_told, path, problems);
    check_param(spec.param.as_ref(), &format!("{path}.param"), problems);
    check_param(spec.size_param.as_ref(), &format!("{path}.size_param"), problems);
    Paginator::Page {
        param: spec.param.clone().unwrap_or_else(|| "page".to_owned()),
        first: spec.first.unwrap_or(1),
        size: spec.size.map(|size| PageSize { param: spec.size_param.clone(), size }),
        total_pages: optional_path(spec.total_pages.as_ref(), &format!("{path}.total_pages"), problems),
        sent_in: sent_in(spec.in_body),
        reading: reading(spec.parallel),
        bounds: Bounds {
            total: check_total(spec.total.as_ref(), spec.total_header.as_ref(), path, problems),
            has_more: optional_path(spec.has_more.as_ref(), &format!("{path}.has_more"), problems),
            short_page_ends: spec.short_page_ends,
        },
    }
}
