//! The meaning of `streams`, with the source's defaults merged in.

use std::collections::{BTreeMap, BTreeSet};

use super::check::is_reserved;
use super::check_deletes::check_deletes;
use super::check_fields::{check_added, check_contract, check_fields, check_filter, check_table_names};
use super::check_names::check_names;
use super::check_paging::check_paging;
use super::check_request::{
    check_body, check_format, check_method, check_report, check_rules, check_stream_path, packing, param_text,
};
use super::check_slices::{check_incremental, check_parent, check_slices};
use super::problem::{Problems, wrong};
use super::spec::{DialectSpec, FormatSpec, JobSpec, ParamSpec, StreamSpec};
use super::spec_stream::{AnswerFormatSpec, BudgetSpec, ChangesSpec, FailedSlicesSpec, WriteSpec};
use super::value::{check_duration, check_path, check_sent_header, check_template};
use super::yaml::join;
use crate::model::incremental::Incremental;
use crate::model::plan::{Changes, RecordsAt, Stream, WalkBudget, WriteMode};
use crate::model::request::{Body, RequestPlan};
use crate::model::slices::{FailingSlices, WINDOW};
use crate::paging::{CursorSend, Paginator, SentIn};

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
        check_stream(spec, index, &path, problems)
    });
    let mut streams: Vec<Stream> = streams.collect();
    check_table_names(&spec.streams, problems);
    check_parents(&streams, problems);
    check_deletes(spec, &mut streams, problems);
    for (index, stream) in streams.iter().enumerate() {
        check_names(spec, stream, &format!("streams[{index}]"), problems);
    }
    streams
}

/// A table's name.
pub(super) fn check_name(name: &str, path: &str, problems: &mut Problems<'_>) {
    if is_name(name) && !is_reserved(name) {
        return;
    }
    let draft = wrong(format!("`{name}` cannot be a table's name"));
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

fn check_stream(spec: &JobSpec, index: usize, path: &str, problems: &mut Problems<'_>) -> Stream {
    let stream = &spec.streams[index];
    let defaults = &spec.source.defaults;
    check_stream_path(&stream.path, &format!("{path}.path"), problems);
    let params = check_params(&defaults.params, &stream.params, path, problems);
    let headers = check_headers(&defaults.headers, &stream.headers, path, problems);
    let (records, records_path) = match (&stream.records, &defaults.records) {
        (Some(records), _) => (Some(records), format!("{path}.records")),
        (None, Some(records)) => (Some(records), format!("{DEFAULTS}.records")),
        (None, None) => (None, String::new()),
    };
    let records = records.map_or(Some(RecordsAt::Found), |text| check_records(text, &records_path, problems));
    let (paging, paging_path) = match (&stream.paging, &defaults.paging) {
        (Some(paging), _) => (Some(paging), format!("{path}.paging")),
        (None, paging) => (paging.as_ref(), format!("{DEFAULTS}.paging")),
    };
    let paginator = match paging {
        Some(paging) => check_paging(paging, &paging_path, problems),
        None if spec.source.dialect == DialectSpec::Odata => Paginator::Odata,
        None => Paginator::Unstated,
    };
    if matches!(stream.format, AnswerFormatSpec::Xml) && !matches!(records, Some(RecordsAt::Path(_))) {
        let draft = wrong("XML needs to know which elements are records");
        problems.at(&format!("{path}.format"), draft.hint("name them from below the root: `records: items.item`"));
    }
    let body = check_body(stream.body.as_ref(), path, problems);
    check_body_paging(&paginator, &body, &paging_path, problems);
    let incremental = stream.incremental.as_ref().map(|spec| check_incremental(spec, path, problems));
    let slices = check_slices(&stream.slices, path, problems);
    if let Some(Incremental { window: Some(_), .. }) = &incremental
        && slices.iter().any(|slice| slice.name == WINDOW)
    {
        let draft =
            wrong(format!("`{WINDOW}` is the name of the cursor's windows")).hint("give the slices another name");
        problems.at(&format!("{path}.slices"), draft);
    }
    Stream {
        name: stream.name.clone(),
        report: stream.report.as_ref().map(|report| check_report(report, &headers, path, problems)),
        request: RequestPlan {
            method: check_method(stream.method, &body, path, problems),
            path: stream.path.trim_start_matches('/').to_owned(),
            params,
            headers,
            body,
        },
        records: records.unwrap_or(RecordsAt::Found),
        format: check_format(&stream.format, path, problems),
        packing: packing(stream.compression),
        paginator,
        rules: check_rules(&stream.responses, path, &defaults.responses, problems),
        parent: stream.for_each.as_ref().map(|parent| check_parent(parent, spec, index, path, problems)),
        slices,
        failing_slices: match stream.failed_slices {
            FailedSlicesSpec::Fail => FailingSlices::Fail,
            FailedSlicesSpec::LeaveOut => FailingSlices::LeaveOut,
        },
        budget: check_budget(&stream.budget, path, problems),
        changes: match stream.changes {
            ChangesSpec::Fail => Changes::Fail,
            ChangesSpec::Repeat => Changes::RepeatThenFlag,
        },
        incremental,
        key: check_key(&stream.key, path, problems),
        write: check_write(spec, stream, path, problems),
        deletes: None,
        fields: check_fields(stream, path, problems),
        filter: check_filter(stream.filter.as_ref(), path, problems),
        added: check_added(&stream.add, path, problems),
        contract: check_contract(&stream.contract),
    }
}

/// A path, or a list and a place inside each of its items: `edges[*].node`.
fn check_records(text: &str, path: &str, problems: &mut Problems<'_>) -> Option<RecordsAt> {
    let Some((list, inner)) = text.split_once("[*]") else {
        return check_path(text, path, problems).map(RecordsAt::Path);
    };
    let list = if list.trim().is_empty() { "$" } else { list };
    let inner = inner.trim_start_matches('.');
    let inner = if inner.is_empty() { "$" } else { inner };
    Some(RecordsAt::Each { list: check_path(list, path, problems)?, inner: check_path(inner, path, problems)? })
}

/// Paging that is sent in the body needs a body with members.
fn check_body_paging(paginator: &Paginator, body: &Body, path: &str, problems: &mut Problems<'_>) {
    let is_in_body = match paginator {
        Paginator::Cursor { send: CursorSend::Body(_), .. }
        | Paginator::Offset { sent_in: SentIn::Body, .. }
        | Paginator::Page { sent_in: SentIn::Body, .. } => true,
        Paginator::Cursor { .. }
        | Paginator::Offset { .. }
        | Paginator::Page { .. }
        | Paginator::Single
        | Paginator::Unstated
        | Paginator::LinkHeader
        | Paginator::Odata
        | Paginator::NextUrl { .. } => false,
    };
    if is_in_body && matches!(body, Body::Nothing | Body::Text { .. }) {
        let draft = wrong("the next page is asked for in the body, and the stream has none with members");
        problems.at(path, draft.allowed("a `body` of json, form or graphql"));
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
            let text = param_text(value);
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

fn check_budget(spec: &BudgetSpec, path: &str, problems: &mut Problems<'_>) -> WalkBudget {
    let most = WalkBudget::default();
    let time = spec.time.as_ref().and_then(|text| check_duration(text, &format!("{path}.budget.time"), problems));
    WalkBudget {
        pages: spec.pages.map_or(most.pages, |pages| pages.min(most.pages)),
        bytes: spec.mib.map_or(most.bytes, |mib| (mib * 1024 * 1024).min(most.bytes)),
        time: time.map_or(most.time, |time| time.min(most.time)),
    }
}

/// A stream that is read for the changed records of another one does not see the others' rows.
fn check_parents(streams: &[Stream], problems: &mut Problems<'_>) {
    for (index, stream) in streams.iter().enumerate() {
        let parent = stream.parent.as_ref().and_then(|parent| streams.iter().find(|known| known.name == parent.stream));
        if stream.write == WriteMode::Replace && parent.is_some_and(|parent| parent.incremental.is_some()) {
            let draft = wrong("its parent gives the changed records only, and the rows of all others would go");
            let hint = "name a `key` and write `write: merge`, or `write: append`";
            problems.at(&format!("streams[{index}].for_each"), draft.hint(hint));
        }
    }
}

fn check_write(spec: &JobSpec, stream: &StreamSpec, path: &str, problems: &mut Problems<'_>) -> WriteMode {
    let place = format!("{path}.write");
    let write = match stream.write {
        Some(WriteSpec::Replace) if stream.incremental.is_some() => {
            let draft = wrong("an incremental read does not see the rows that it would replace");
            problems.at(&place, draft.allowed("append, merge"));
            WriteMode::Replace
        }
        Some(WriteSpec::Merge) if stream.key.is_empty() => {
            let draft = wrong("rows are merged by their key, and the stream has none");
            problems.at(&place, draft.hint("name the columns that identify a record under `key`"));
            WriteMode::Merge
        }
        Some(WriteSpec::Replace) => WriteMode::Replace,
        Some(WriteSpec::Append) => WriteMode::Append,
        Some(WriteSpec::Merge) => WriteMode::Merge,
        None if stream.incremental.is_none() => WriteMode::Replace,
        None if stream.key.is_empty() => WriteMode::Append,
        None => WriteMode::Merge,
    };
    if write != WriteMode::Replace && spec.destination.format == FormatSpec::Csv {
        let draft = wrong("rows are added to Parquet files only: a CSV file cannot be read back without a loss");
        let path = if stream.write.is_some() { place } else { format!("{path}.incremental") };
        problems.at(&path, draft.hint("write `destination.format: parquet`"));
    }
    write
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
