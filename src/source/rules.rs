//! The job's own rules about answers: which mean nothing, the end, a failure, or another try.

use http::{HeaderMap, StatusCode};
use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior};

use super::error::Error;
use crate::http::{self as transport, Reply};
use crate::model::request::{ResponseRule, Verdict};

/// What a rule decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judged {
    pub verdict: Verdict,
    pub say: Option<String>,
}

/// The first rule that holds for an answer. `None` = none does.
pub(super) fn judge(rules: &[ResponseRule], answer: &Result<Reply, transport::Error>) -> Result<Option<Judged>, Error> {
    if rules.is_empty() {
        return Ok(None);
    }
    let no_headers = HeaderMap::new();
    let (status, headers, body) = match answer {
        Ok(reply) => (reply.status, &reply.headers, reply.body.in_memory()),
        Err(transport::Error::Status { status, body, .. }) => (*status, &no_headers, body.as_ref()),
        Err(_) => return Ok(None),
    };
    let mut facts = None;
    for rule in rules {
        if !rule.statuses.is_empty() && !rule.statuses.contains(&status.as_u16()) {
            continue;
        }
        let holds = match &rule.when {
            None => true,
            Some(expression) => {
                let facts = facts.get_or_insert_with(|| facts_of(status, headers, body));
                holds(expression, facts)?
            }
        };
        if holds {
            return Ok(Some(Judged { verdict: rule.verdict, say: rule.say.clone() }));
        }
    }
    Ok(None)
}

/// Whether an expression holds for an answer.
pub(super) fn holds_for(expression: &str, answer: &Result<Reply, transport::Error>) -> Result<bool, Error> {
    let rule =
        ResponseRule { statuses: Vec::new(), when: Some(expression.to_owned()), verdict: Verdict::End, say: None };
    Ok(judge(std::slice::from_ref(&rule), answer)?.is_some())
}

fn facts_of(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Value {
    let document: serde_json::Value = serde_json::from_slice(body)
        .unwrap_or_else(|_| serde_json::Value::String(String::from_utf8_lossy(body).into_owned()));
    let headers: serde_json::Map<String, serde_json::Value> = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().replace('-', "_"), value.to_str().ok()?.into())))
        .collect();
    Value::from(Serde(serde_json::json!({ "status": status.as_u16(), "headers": headers, "body": document })))
}

/// What is not there is not equal to anything: a rule asks for the odd answer, and most answers are not.
fn holds(expression: &str, facts: &Value) -> Result<bool, Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    let value = environment
        .compile_expression(expression)
        .and_then(|compiled| compiled.eval(facts))
        .map_err(|error| Error::Template { place: format!("the rule `{expression}`"), why: error.to_string() })?;
    Ok(value.is_true())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn check(rule: (&[u16], Option<&str>), status: u16, body: &str, expect: bool) {
        let rule = ResponseRule {
            statuses: rule.0.to_vec(),
            when: rule.1.map(str::to_owned),
            verdict: Verdict::Empty,
            say: None,
        };
        let url: url::Url = "http://h/".parse().expect("a URL");
        let status = StatusCode::from_u16(status).expect("a status");
        let body = Bytes::copy_from_slice(body.as_bytes());
        let answer = if status.is_success() {
            Ok(Reply { status, url, headers: HeaderMap::new(), body: transport::Body::Memory(body) })
        } else {
            Err(transport::Error::Status {
                url: crate::secret::SafeUrl::new(url),
                status,
                retry_after: None,
                excerpt: String::new(),
                body,
                challenge: None,
                request_id: None,
            })
        };
        let judged = judge(std::slice::from_ref(&rule), &answer).expect("a rule that can be read");
        assert_eq!(judged.is_some(), expect, "{rule:?}");
    }

    #[test]
    fn rules_hold_by_status_and_expression() {
        check((&[404, 410], None), 404, "", true);
        check((&[404], None), 200, "[]", false);
        check((&[], Some("body.error.code == 'NO_DATA'")), 200, r#"{"error":{"code":"NO_DATA"}}"#, true);
        check((&[], Some("body.error.code == 'NO_DATA'")), 200, r#"{"items":[]}"#, false);
        check((&[400], Some("'past the end' in body.message")), 400, r#"{"message":"page past the end"}"#, true);
        check((&[400], Some("'no such' in body")), 400, "no such page", true);
        check((&[], Some("status == 202")), 202, "{}", true);
    }
}
