//! The meaning of `notify`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::check_auth::check_secret;
use super::problem::{Problems, wrong};
use super::spec_notify::{EventSpec, ReceiverSpec, SignalSpec};
use super::value::{check_duration, check_header_name, check_text, is_secret_option, literal_secret, reference};
use super::yaml::join;
use crate::http::hook_url;
use crate::limits::{NOTICE_EMPTY_DEFAULT, NOTICE_EXPIRES_DEFAULT, NOTICE_REPEAT_DEFAULT, RECEIVERS_MAX};
use crate::model::notify::{EventKind, HeaderText, Receiver, Signal, To};
use crate::model::plan::TextSource;

const KINDS: &str = "one of teams, slack, webhook, command, ping";
/// What no webhook may be sent: these belong to the transport.
const TRANSPORT: &[&str] = &["host", "content-length", "transfer-encoding", "connection"];

/// Receivers without problems.
pub(super) fn check_notify(specs: &[ReceiverSpec], problems: &mut Problems<'_>) -> Vec<Receiver> {
    if specs.len() > RECEIVERS_MAX {
        let draft = wrong(format!("{} receivers are too many", specs.len()));
        problems.at("notify", draft.allowed(format!("at most {RECEIVERS_MAX}")));
    }
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut receivers = Vec::new();
    for (index, spec) in specs.iter().enumerate() {
        let path = format!("notify[{index}]");
        let Some((kind, to)) = check_to(spec, &path, problems) else { continue };
        let count = seen.entry(kind).or_default();
        *count += 1;
        let name = if *count == 1 { kind.to_owned() } else { format!("{kind} {count}") };
        check_fitting(spec, kind, &path, problems);
        let on = match (&spec.on, kind) {
            (_, "ping") => BTreeSet::new(),
            (None, _) => EventKind::ALL.into_iter().filter(|event| *event != EventKind::Missed).collect(),
            (Some(on), _) => on.iter().copied().map(event).collect(),
        };
        let span = |typed: &Option<String>, name: &str, default: Duration, problems: &mut Problems<'_>| {
            let typed = typed.as_ref().and_then(|typed| check_duration(typed, &join(&path, name), problems));
            typed.unwrap_or(default)
        };
        receivers.push(Receiver {
            name,
            to,
            on,
            repeat_interval: span(&spec.repeat_interval, "repeat_interval", NOTICE_REPEAT_DEFAULT, problems),
            empty_after: spec.empty_after.unwrap_or(NOTICE_EMPTY_DEFAULT),
            expires_within: span(&spec.expires_within, "expires_within", NOTICE_EXPIRES_DEFAULT, problems),
            is_http_allowed: spec.allow_http,
        });
    }
    receivers
}

fn event(spec: EventSpec) -> EventKind {
    match spec {
        EventSpec::Failed => EventKind::Failed,
        EventSpec::Held => EventKind::Held,
        EventSpec::LoginNeeded => EventKind::LoginNeeded,
        EventSpec::Recovered => EventKind::Recovered,
        EventSpec::Empty => EventKind::Empty,
        EventSpec::Missed => EventKind::Missed,
        EventSpec::CredentialExpires => EventKind::CredentialExpires,
        EventSpec::RefreshFailed => EventKind::RefreshFailed,
    }
}

/// `None` = the problems say why.
fn check_to(spec: &ReceiverSpec, path: &str, problems: &mut Problems<'_>) -> Option<(&'static str, To)> {
    let named = [
        spec.teams.is_some(),
        spec.slack.is_some(),
        spec.webhook.is_some(),
        spec.command.is_some(),
        spec.ping.is_some(),
    ];
    match named.into_iter().filter(|is_named| *is_named).count() {
        1 => {}
        0 => {
            problems.at(path, wrong("a receiver has no kind").allowed(KINDS));
            return None;
        }
        _ => {
            let hint = "write each of them as an entry of its own: `- teams: …`";
            problems.at(path, wrong("a receiver has several kinds").allowed(KINDS).hint(hint));
            return None;
        }
    }
    if let Some(url) = &spec.teams {
        return Some(("teams", To::Teams(check_secret(url, &join(path, "teams"), problems)?)));
    }
    if let Some(url) = &spec.slack {
        return Some(("slack", To::Slack(check_secret(url, &join(path, "slack"), problems)?)));
    }
    if let Some(url) = &spec.webhook {
        let headers = check_headers(&spec.headers, path, problems);
        let url = check_hook(url, &join(path, "webhook"), spec.allow_http, problems);
        return Some(("webhook", To::Webhook { url: url?, headers: headers? }));
    }
    if let Some(url) = &spec.ping {
        let url = check_hook(url, &join(path, "ping"), spec.allow_http, problems)?;
        let signals = match &spec.signals {
            None => BTreeSet::from([Signal::Success]),
            Some(signals) => signals
                .iter()
                .map(|signal| match signal {
                    SignalSpec::Success => Signal::Success,
                    SignalSpec::Start => Signal::Start,
                    SignalSpec::Fail => Signal::Fail,
                })
                .collect(),
        };
        return Some(("ping", To::Ping { url, signals }));
    }
    let words = spec.command.as_ref()?;
    let path = join(path, "command");
    if words.first().is_none_or(|program| program.trim().is_empty()) {
        problems.at(&path, wrong("a command names no program").hint("for example `[/usr/local/bin/mail-it, --now]`"));
        return None;
    }
    for (at, word) in words.iter().enumerate() {
        if word.contains("${") {
            let hint = "arguments are seen by every user of the machine; the command finds the environment of haul";
            problems.at(&format!("{path}[{at}]"), wrong("an argument cannot hold a reference").hint(hint));
        } else if word.contains('\0') {
            problems.at(&format!("{path}[{at}]"), wrong("an argument holds a NUL"));
        }
    }
    Some(("command", To::Command(words.clone())))
}

/// Keys that say nothing for this kind.
fn check_fitting(spec: &ReceiverSpec, kind: &str, path: &str, problems: &mut Problems<'_>) {
    let mut unfit = |is_there: bool, name: &str, hint: &str| {
        if is_there {
            let draft = wrong(format!("`{name}` says nothing for `{kind}`")).hint(hint.to_owned());
            problems.at(&join(path, name), draft);
        }
    };
    unfit(!spec.headers.is_empty() && kind != "webhook", "headers", "it belongs to `webhook`");
    unfit(spec.signals.is_some() && kind != "ping", "signals", "it belongs to `ping`; others have `on`");
    unfit(spec.allow_http && kind == "command", "allow_http", "remove it");
    if kind == "ping" {
        unfit(spec.on.is_some(), "on", "a ping tells `signals: [success, start, fail]`");
        unfit(spec.repeat_interval.is_some(), "repeat_interval", "a ping is sent after every run");
        unfit(spec.empty_after.is_some(), "empty_after", "remove it");
        unfit(spec.expires_within.is_some(), "expires_within", "remove it");
    }
    for (is_empty, name) in [
        (spec.on.as_ref().is_some_and(Vec::is_empty), "on"),
        (spec.signals.as_ref().is_some_and(Vec::is_empty), "signals"),
    ] {
        if is_empty {
            problems.at(&join(path, name), wrong(format!("`{name}` is empty, so nothing is ever told")));
        }
    }
}

fn check_hook(text: &str, path: &str, allow_http: bool, problems: &mut Problems<'_>) -> Option<TextSource> {
    let text = check_text(text, path, problems)?;
    if let TextSource::Literal(url) = &text
        && let Err(why) = hook_url(url, allow_http)
    {
        problems.at(path, wrong(why.to_string()).maybe_hint(why.hint().map(str::to_owned)));
        return None;
    }
    Some(text)
}

fn check_headers(
    headers: &BTreeMap<String, String>,
    path: &str,
    problems: &mut Problems<'_>,
) -> Option<Vec<(String, HeaderText)>> {
    let before = problems.len();
    let mut checked = Vec::new();
    for (name, value) in headers {
        let path = join(&join(path, "headers"), name);
        let lower = name.to_ascii_lowercase();
        if TRANSPORT.contains(&lower.as_str()) {
            problems.at(&path, wrong(format!("the header `{name}` is not for job files")));
            continue;
        }
        check_header_name(name, &path, problems);
        let (text, secret) = match value.split_once("${") {
            None => (value.as_str(), None),
            Some((text, rest)) => match reference(&format!("${{{rest}")) {
                Some(secret) => (text, Some(secret)),
                None => {
                    let draft = wrong("a header's value holds a reference at its end only");
                    problems.at(&path, draft.allowed("a text, `${NAME}`, or a text before it: `Bearer ${NAME}`"));
                    continue;
                }
            },
        };
        let is_secret = is_secret_option(&lower) || matches!(lower.as_str(), "authorization" | "cookie");
        if is_secret && secret.is_none() {
            problems.at(&path, literal_secret(&path));
            continue;
        }
        if ::http::HeaderValue::from_str(text).is_err() {
            problems.at(&path, wrong("this cannot be a header's value"));
        }
        checked.push((name.clone(), HeaderText { text: text.to_owned(), secret }));
    }
    (problems.len() == before).then_some(checked)
}
