//! A run as a trace of OpenTelemetry, sent to a collector where the environment names one: OTLP over HTTP in JSON
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>). A span for the run and one for each stream; the trace's id is that of the run.
//!
//! Written by hand: the official exporter brings protobuf and a batch processor for one request of some KiB a run.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use ulid::Ulid;
use url::Url;

use super::context::Context;
use super::history::host_name;
use super::log::StreamSpan;
use super::run::text_of;
use crate::clock::Clock;
use crate::http::{Hook, Network, hook_url};
use crate::job::load::Environment;
use crate::model::network::NetworkPlan;
use crate::model::report::{Outcome, RunReport};
use crate::secret::Secret;

/// Span kind and status codes of the protocol.
const INTERNAL: u32 = 1;
const STATUS_ERROR: u32 = 2;

/// Sends the trace of a run that is over. `None` = nobody wants it, or it was taken; otherwise why it was not.
pub(super) async fn send_trace(ctx: &Context, report: &RunReport, slot: Option<DateTime<Utc>>) -> Option<String> {
    let endpoint = endpoint()?;
    let sent = async {
        let url = endpoint.map_err(|why| format!("its address cannot be used: {why}"))?;
        // The operator names it, and it is at home where haul is.
        let plan = NetworkPlan { is_private_allowed: true, ..NetworkPlan::default() };
        let network = Network::open(&plan, None).map_err(|error| text_of(&error))?;
        let hook = Hook::open(url, false, &network).map_err(|error| error.to_string())?;
        let body = Bytes::from(trace_of(report, &ctx.log.spans(), slot).to_string());
        hook.send_once_only(&Method::POST, &headers()?, Some(body)).await.map_err(|error| error.to_string())
    };
    let why = sent.await.err()?;
    Some(format!("the collector of traces did not take this run: {why}"))
}

/// Where traces go, by the standard's own variables; plain http is usual inside a cluster, and no record goes there.
fn endpoint() -> Option<Result<Url, String>> {
    let text = match Environment::get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
        Some(text) => text,
        None => format!("{}/v1/traces", Environment::get("OTEL_EXPORTER_OTLP_ENDPOINT")?.trim_end_matches('/')),
    };
    Some(hook_url(&text, true).map_err(|error| error.to_string()))
}

/// `OTEL_EXPORTER_OTLP_HEADERS`: `name=value` pairs, percent-encoded, with commas between.
fn headers() -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let text = Environment::get("OTEL_EXPORTER_OTLP_TRACES_HEADERS")
        .or_else(|| Environment::get("OTEL_EXPORTER_OTLP_HEADERS"));
    for (name, value) in pairs(&text.unwrap_or_default()) {
        let wrong = || format!("`{name}` of OTEL_EXPORTER_OTLP_HEADERS cannot be sent");
        let value = Secret::new(value);
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?, value);
    }
    Ok(headers)
}

/// Pairs as in W3C Baggage.
fn pairs(text: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| {
        // A plus sign is itself here.
        let text = text.trim().replace('+', "%2B");
        url::form_urlencoded::parse(format!("x={text}").as_bytes())
            .next()
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    text.split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), decoded(value)))
        .collect()
}

fn trace_of(report: &RunReport, streams: &[StreamSpan], slot: Option<DateTime<Utc>>) -> Value {
    let trace = Ulid::from_string(&report.run).map(|run| format!("{:032x}", run.0)).unwrap_or_default();
    let root = span_id(&report.run);
    let end = report.started_at + chrono::TimeDelta::milliseconds((report.seconds * 1000.0) as i64);
    let rows: u64 = report.tables.values().map(|table| table.rows).sum();
    let is_failed = matches!(report.outcome, Outcome::Failed);
    let outcome = serde_json::to_value(report.outcome).unwrap_or_default();
    let mut spans = vec![json!({
        "traceId": trace,
        "spanId": root,
        "name": format!("run {}", report.job),
        "kind": INTERNAL,
        "startTimeUnixNano": nanos(report.started_at),
        "endTimeUnixNano": nanos(end),
        "attributes": attributes(&[
            ("haul.job", json!(report.job)),
            ("haul.run", json!(report.run)),
            ("haul.outcome", outcome),
            ("haul.slot", json!(slot.map(|slot| slot.to_rfc3339()))),
            ("haul.snapshot", json!(report.snapshot)),
            ("haul.rows", json!(rows)),
            ("haul.http.attempts", json!(report.source.attempts)),
            ("haul.http.retries", json!(report.source.retries)),
            ("haul.answer.bytes", json!(report.source.bytes)),
            ("haul.token.refreshes", json!(report.source.refreshes)),
            ("haul.paused.seconds", json!(report.source.paused_seconds)),
        ]),
        "status": status(is_failed, report.error.as_deref()),
    })];
    spans.extend(streams.iter().map(|stream| {
        let table = report.tables.get(&stream.name);
        json!({
            "traceId": trace,
            "spanId": span_id(&format!("{}/{}", report.run, stream.name)),
            "parentSpanId": root,
            "name": format!("stream {}", stream.name),
            "kind": INTERNAL,
            "startTimeUnixNano": nanos(stream.began_at),
            "endTimeUnixNano": nanos(stream.ended_at.unwrap_or(end)),
            "attributes": attributes(&[
                ("haul.job", json!(report.job)),
                ("haul.run", json!(report.run)),
                ("haul.stream", json!(stream.name)),
                ("haul.rows", json!(table.map(|table| table.rows))),
                ("haul.pages", json!(table.map(|table| table.walks.iter().map(|walk| walk.pages).sum::<u64>()))),
            ]),
            "status": status(stream.is_failed, table.and_then(|table| table.error.as_deref())),
        })
    }));
    let service = Environment::get("OTEL_SERVICE_NAME").unwrap_or_else(|| "haul".to_owned());
    let mut resource = vec![
        ("service.name".to_owned(), json!(service)),
        ("service.version".to_owned(), json!(env!("CARGO_PKG_VERSION"))),
        ("host.name".to_owned(), json!(host_name())),
    ];
    let more = pairs(&Environment::get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default());
    resource
        .extend(more.into_iter().filter(|(name, _)| name != "service.name").map(|(name, value)| (name, json!(value))));
    let resource: Vec<(&str, Value)> = resource.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    json!({
        "resourceSpans": [{
            "resource": { "attributes": attributes(&resource) },
            "scopeSpans": [{
                "scope": { "name": "haul", "version": env!("CARGO_PKG_VERSION") },
                "spans": spans,
            }],
        }],
    })
}

fn span_id(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// 64-bit numbers are texts in the protocol's JSON.
fn nanos(at: DateTime<Utc>) -> String {
    at.timestamp_nanos_opt().unwrap_or(Clock.now().timestamp() * 1_000_000_000).to_string()
}

fn attributes(pairs: &[(&str, Value)]) -> Vec<Value> {
    let value = |value: &Value| match value {
        Value::Null => None,
        Value::Number(number) => Some(json!({ "intValue": number.to_string() })),
        Value::String(text) => Some(json!({ "stringValue": text })),
        other => Some(json!({ "stringValue": other.to_string() })),
    };
    pairs.iter().filter_map(|(name, of)| Some(json!({ "key": name, "value": value(of)? }))).collect()
}

fn status(is_failed: bool, error: Option<&str>) -> Value {
    if is_failed { json!({ "code": STATUS_ERROR, "message": error.unwrap_or_default() }) } else { json!({}) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_as_the_standard_writes_them() {
        let check = |text: &str, expect: &[(&str, &str)]| {
            let expect: Vec<(String, String)> =
                expect.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            assert_eq!(pairs(text), expect, "{text}");
        };
        check("api-key=secret", &[("api-key", "secret")]);
        check(" a = b%20c , d=e+f=g", &[("a", "b c"), ("d", "e+f=g")]);
        check("", &[]);
    }
}
