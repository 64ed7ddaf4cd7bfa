//! The meaning of a stream's `method`, `body` and `responses`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::problem::{Problems, wrong};
use super::spec::{BodySpec, ParamSpec, ResponseSpec};
use super::spec_stream::{
    AnswerFormatSpec, CompressionSpec, EncodingSpec, MethodSpec, ReportSpec, StatusSpec, StepSpec, VerdictSpec,
};
use super::value::{check_duration, check_expression, check_template};
use super::yaml::join;
use crate::limits::{REPORT_POLL_DEFAULT, REPORT_WAIT_DEFAULT};
use crate::model::answer::{AnswerFormat, CsvShape, Packing, TextEncoding};
use crate::model::request::{Body, Method, ReportPlan, RequestPlan, ResponseRule, Verdict};

/// A value of the job file as the text of a template.
pub(super) fn param_text(value: &ParamSpec) -> String {
    match value {
        ParamSpec::Boolean(flag) => flag.to_string(),
        ParamSpec::Integer(number) => number.to_string(),
        ParamSpec::Float(number) => number.to_string(),
        ParamSpec::Text(text) => text.clone(),
    }
}

/// A value of the job file as JSON.
pub(super) fn param_json(value: &ParamSpec) -> Value {
    match value {
        ParamSpec::Boolean(flag) => Value::from(*flag),
        ParamSpec::Integer(number) => Value::from(*number),
        ParamSpec::Float(number) => Value::from(*number),
        ParamSpec::Text(text) => Value::from(text.as_str()),
    }
}

pub(super) fn check_method(method: Option<MethodSpec>, body: &Body, path: &str, problems: &mut Problems<'_>) -> Method {
    let has_body = !matches!(body, Body::Nothing);
    match method {
        None if has_body => Method::Post,
        None => Method::Get,
        Some(MethodSpec::Get) if has_body => {
            let hint = "leave `method` out: with a body it is POST";
            problems.at(&format!("{path}.method"), wrong("a GET carries no body").hint(hint));
            Method::Get
        }
        Some(MethodSpec::Get) => Method::Get,
        Some(MethodSpec::Post) => Method::Post,
        Some(MethodSpec::Put) => Method::Put,
        Some(MethodSpec::Delete) => Method::Delete,
    }
}

pub(super) fn check_body(spec: Option<&BodySpec>, path: &str, problems: &mut Problems<'_>) -> Body {
    let path = format!("{path}.body");
    match spec {
        None => Body::Nothing,
        Some(BodySpec::Json(document)) => {
            check_json(document, &format!("{path}.json"), problems);
            Body::Json(document.clone())
        }
        Some(BodySpec::Form(fields)) => Body::Form(check_fields(fields, &format!("{path}.form"), problems)),
        Some(BodySpec::Text(text)) => {
            check_template(&text.content, &format!("{path}.text.content"), problems);
            let content_type = text.content_type.clone().unwrap_or_else(|| "text/plain; charset=utf-8".to_owned());
            if http::HeaderValue::from_str(&content_type).is_err() {
                problems.at(&format!("{path}.text.content_type"), wrong("this is no media type"));
            }
            Body::Text { content_type, text: text.content.clone() }
        }
        Some(BodySpec::Graphql(graphql)) => {
            if !graphql.query.contains('{') {
                let draft = wrong("this is no query of GraphQL").hint("write it whole: `query($after: String) { … }`");
                problems.at(&format!("{path}.graphql.query"), draft);
            }
            let variables = Value::Object(graphql.variables.clone().into_iter().collect());
            check_json(&variables, &format!("{path}.graphql.variables"), problems);
            Body::Graphql { query: graphql.query.clone(), variables }
        }
    }
}

fn check_fields(
    fields: &BTreeMap<String, ParamSpec>,
    path: &str,
    problems: &mut Problems<'_>,
) -> Vec<(String, String)> {
    let mut checked = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let text = param_text(value);
        check_template(&text, &join(path, name), problems);
        checked.push((name.clone(), text));
    }
    checked
}

/// The texts of a JSON document, wherever they stand, are templates.
fn check_json(document: &Value, path: &str, problems: &mut Problems<'_>) {
    match document {
        Value::String(text) => check_template(text, path, problems),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                check_json(item, &format!("{path}[{index}]"), problems);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                check_json(member, &join(path, name), problems);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A stream's rules, then those of the defaults.
pub(super) fn check_rules(
    own: &[ResponseSpec],
    path: &str,
    defaults: &[ResponseSpec],
    problems: &mut Problems<'_>,
) -> Vec<ResponseRule> {
    let own = own.iter().enumerate().map(|(index, rule)| (format!("{path}.responses[{index}]"), rule));
    let defaults =
        defaults.iter().enumerate().map(|(index, rule)| (format!("source.defaults.responses[{index}]"), rule));
    own.chain(defaults).map(|(path, rule)| check_rule(rule, &path, problems)).collect()
}

/// A report with every template and expression in it checked. `headers` are the stream's.
pub(super) fn check_report(
    spec: &ReportSpec,
    headers: &[(String, String)],
    path: &str,
    problems: &mut Problems<'_>,
) -> ReportPlan {
    let path = format!("{path}.report");
    let mut step = |spec: &StepSpec, name: &str| {
        let place = format!("{path}.{name}");
        check_stream_path(&spec.path, &format!("{place}.path"), problems);
        let body = check_body(spec.body.as_ref(), &place, problems);
        RequestPlan {
            method: check_method(spec.method, &body, &place, problems),
            path: spec.path.trim_start_matches('/').to_owned(),
            params: check_fields(&spec.params, &format!("{place}.params"), problems),
            headers: headers.to_vec(),
            body,
        }
    };
    let (create, poll) = (step(&spec.create, "create"), step(&spec.poll, "poll"));
    let delete = spec.delete.as_ref().map(|delete| {
        let plan = step(delete, "delete");
        let method = if delete.method.is_none() && delete.body.is_none() { Method::Delete } else { plan.method };
        RequestPlan { method, ..plan }
    });
    check_expression(&spec.done, &format!("{path}.done"), problems);
    if let Some(failed) = &spec.failed {
        check_expression(failed, &format!("{path}.failed"), problems);
    }
    if let Some(url) = &spec.download_url {
        check_template(url, &format!("{path}.download_url"), problems);
    }
    let mut span = |text: &Option<String>, name: &str, default: Duration| {
        let checked = text.as_ref().and_then(|text| check_duration(text, &format!("{path}.{name}"), problems));
        checked.unwrap_or(default)
    };
    ReportPlan {
        create,
        poll,
        done: spec.done.clone(),
        failed: spec.failed.clone(),
        every: span(&spec.every, "every", REPORT_POLL_DEFAULT),
        wait_max: span(&spec.wait_max, "wait_max", REPORT_WAIT_DEFAULT),
        download_url: spec.download_url.clone(),
        delete,
    }
}

/// A path below `base_url`.
pub(super) fn check_stream_path(text: &str, place: &str, problems: &mut Problems<'_>) {
    check_template(text, place, problems);
    if text.contains("://") || text.starts_with("//") {
        let hint = "`path` stands below `source.base_url`; another host is another job";
        problems.at(place, wrong("a path must not name a host").hint(hint));
    }
}

fn check_rule(spec: &ResponseSpec, path: &str, problems: &mut Problems<'_>) -> ResponseRule {
    let statuses = match &spec.status {
        None => Vec::new(),
        Some(StatusSpec::One(status)) => vec![*status],
        Some(StatusSpec::Several(statuses)) => statuses.clone(),
    };
    if spec.status.is_none() && spec.when.is_none() {
        let draft = wrong("a rule that holds for every answer").allowed("`status`, `when`, or both");
        problems.at(path, draft);
    }
    for status in &statuses {
        let place = format!("{path}.status");
        match *status {
            200..=299 if spec.when.is_none() => {
                let draft = wrong(format!("a rule for every answer with {status}"));
                problems.at(&place, draft.hint("say with `when` which of them is meant"));
            }
            401 => {
                let draft = wrong("a 401 is about the credential, and haul renews it by itself");
                problems.at(&place, draft);
            }
            200..=299 | 400..=599 => {}
            other => problems.at(&place, wrong(format!("`{other}` is no status of an answer")).allowed("200 to 599")),
        }
    }
    if let Some(when) = &spec.when {
        check_expression(when, &format!("{path}.when"), problems);
    }
    let verdict = match spec.then {
        VerdictSpec::Empty => Verdict::Empty,
        VerdictSpec::End => Verdict::End,
        VerdictSpec::Fail => Verdict::Fail,
        VerdictSpec::Retry => Verdict::Retry,
        VerdictSpec::Accept => Verdict::Accept,
    };
    ResponseRule { statuses, when: spec.when.clone(), verdict, say: spec.say.clone() }
}

/// The form of a stream's answers.
pub(super) fn check_format(spec: &AnswerFormatSpec, path: &str, problems: &mut Problems<'_>) -> AnswerFormat {
    match spec {
        AnswerFormatSpec::Json => AnswerFormat::Json,
        AnswerFormatSpec::JsonLines => AnswerFormat::JsonLines,
        AnswerFormatSpec::Xml => AnswerFormat::Xml,
        AnswerFormatSpec::Csv(csv) => {
            let delimiter = match csv.delimiter.as_deref() {
                None => b',',
                Some("tab" | "\t") => b'\t',
                Some(text) if text.len() == 1 && !matches!(text, "\"" | "\n" | "\r") => text.as_bytes()[0],
                Some(_) => {
                    let draft = wrong("a delimiter is one character").allowed("for example `,`, `;`, `|`, `tab`");
                    problems.at(&format!("{path}.format.csv.delimiter"), draft);
                    b','
                }
            };
            AnswerFormat::Csv(CsvShape {
                delimiter,
                has_header: csv.header.unwrap_or(true),
                has_quotes: csv.quotes.unwrap_or(true),
                skip_lines: csv.skip_lines.unwrap_or(0),
                encoding: match csv.encoding {
                    EncodingSpec::Utf8 => TextEncoding::Utf8,
                    EncodingSpec::Latin1 => TextEncoding::Latin1,
                },
            })
        }
    }
}

pub(super) fn packing(spec: Option<CompressionSpec>) -> Packing {
    match spec {
        None => Packing::Nothing,
        Some(CompressionSpec::Gzip) => Packing::Gzip,
        Some(CompressionSpec::Zip) => Packing::Zip,
    }
}
