//! Values that several sections of a job file share: addresses, references to secrets, templates, names of headers.

use std::time::Duration;

use url::Url;

use super::problem::{Draft, Problems, wrong};
use crate::http::is_loopback;
use crate::model::json_path::JsonPath;
use crate::model::plan::{SecretSource, TextSource};

/// Ten years: nothing that a job speaks of lasts longer.
const DURATION_SECS_MAX: u64 = 10 * 366 * 86_400;
/// Headers that carry credentials or belong to the transport.
const RESERVED_HEADERS: &[&str] =
    &["authorization", "proxy-authorization", "cookie", "host", "content-length", "transfer-encoding", "connection"];

/// An address that credentials may go to: https, or http on this machine or where the job allows it. Its fragment is a
/// mistake: it is never sent.
pub(super) fn check_url(text: &str, path: &str, allow_http: bool, problems: &mut Problems<'_>) -> Option<Url> {
    if text.contains("${") || text.contains("{{") {
        let hint = "write the address itself; templates stand in a stream's `path`, `params` and `headers`";
        problems.at(path, wrong("an address holds neither a reference nor a template").hint(hint));
        return None;
    }
    let url: Url = match text.parse() {
        Ok(url) => url,
        Err(error) => {
            let hint = "write a whole address, for example `https://api.example.com/v1`";
            problems.at(path, wrong(format!("this is no address: {error}")).hint(hint));
            return None;
        }
    };
    let before = problems.len();
    if holds_user(&url) {
        let hint = "use `source.auth.basic` with a reference";
        problems.at(path, wrong("an address must not hold a user or password").hint(hint));
    }
    if url.fragment().is_some() {
        problems.at(path, wrong("an address must not hold a fragment").hint("remove `#` and what follows"));
    }
    match url.scheme() {
        "https" => {}
        "http" if allow_http || is_loopback(&url) => {}
        "http" => {
            let hint = "use https; in a network that you trust, `source.allow_http: true`";
            problems.at(path, wrong("plain http would show the credential to the network").hint(hint));
        }
        // Not repeated: `user:password@host` has the user for its scheme.
        _ => problems.at(path, wrong("an API's address has another scheme").allowed("https, http")),
    }
    (problems.len() == before).then_some(url)
}

pub(super) fn holds_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// `${NAME}` or `${file:/path}` as the whole text.
pub(super) fn reference(text: &str) -> Option<SecretSource> {
    let inside = text.trim().strip_prefix("${")?.strip_suffix('}')?;
    if let Some(file) = inside.strip_prefix("file:") {
        return (!file.is_empty()).then(|| SecretSource::File(file.into()));
    }
    let is_name = !inside.starts_with(|c: char| c.is_ascii_digit())
        && !inside.is_empty()
        && inside.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then(|| SecretSource::Environment(inside.to_owned()))
}

/// Whether a store's option holds a secret, by its name.
pub(super) fn is_secret_option(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let secret = ["key", "secret", "token", "password", "sas", "connection_string"];
    // Names that speak of a secret without holding one: `access_key_id`, `federated_token_file`,
    // `fabric_token_service_url`, `sse_bucket_key_enabled`.
    let public = ["key_id", "_file", "_path", "_url", "_uri", "_enabled"];
    secret.iter().any(|word| name.contains(word)) && !public.iter().any(|word| name.ends_with(word))
}

/// A literal where a reference is wanted. Its value is never shown.
pub(super) fn literal_secret(path: &str) -> Draft {
    let upper: String = path.rsplit('.').next().unwrap_or(path).to_ascii_uppercase();
    let upper: String = upper.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    wrong(format!("`{path}` must be a reference, not the secret itself: a job file is committed and shared"))
        .allowed("${NAME} for an environment variable, ${file:/path} for a file")
        .hint(format!("set the secret in the environment and write `${{{upper}}}`"))
}

/// A text that may be a reference as a whole, but does not mix both.
pub(super) fn check_text(text: &str, path: &str, problems: &mut Problems<'_>) -> Option<TextSource> {
    if let Some(source) = reference(text) {
        return Some(TextSource::Reference(source));
    }
    check_literal(text, path, problems).then(|| TextSource::Literal(text.to_owned()))
}

/// A text that is sent as it stands: `${` in it would be sent too, which nobody means.
pub(super) fn check_literal(text: &str, path: &str, problems: &mut Problems<'_>) -> bool {
    if !text.contains("${") {
        return true;
    }
    let draft = if reference(text).is_some() {
        wrong("a reference cannot stand here").allowed("references under `source.auth` and `destination.options`")
    } else {
        wrong("a reference stands inside a text").allowed("a reference as the whole value, `${NAME}`")
    };
    let hint =
        "a value that differs between machines is a setting: `{{ settings.name }}`, changed with `--set name=value`";
    problems.at(path, draft.hint(hint));
    false
}

/// A template; its names are looked up when a run fills it in.
pub(super) fn check_template(text: &str, path: &str, problems: &mut Problems<'_>) {
    if !check_literal(text, path, problems) {
        return;
    }
    if let Err(error) = minijinja::Environment::new().template_from_str(text) {
        let why = error.detail().unwrap_or("it is no template").to_owned();
        let at = error.range().map_or_else(String::new, |range| {
            format!(" at character {}", text.get(..range.start).map_or(0, |before| before.chars().count()) + 1)
        });
        problems.at(path, wrong(format!("the template cannot be read{at}: {why}")));
    }
}

/// A span of time as `30s`, `10m`, `12h` or `30d`; longer than nothing and at most ten years.
pub(super) fn check_duration(text: &str, path: &str, problems: &mut Problems<'_>) -> Option<Duration> {
    let typed = text.trim();
    let unit = typed.chars().next_back().and_then(|unit| match unit {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3600),
        'd' => Some(86_400),
        _ => None,
    });
    let number = unit.and_then(|unit| typed[..typed.len() - 1].parse::<u64>().ok()?.checked_mul(unit));
    let seconds = number.filter(|seconds| (1..=DURATION_SECS_MAX).contains(seconds));
    if seconds.is_none() {
        let draft =
            wrong(format!("`{text}` is no span of time")).allowed("a whole number and a unit: 30s, 10m, 12h, 30d");
        problems.at(path, draft);
    }
    seconds.map(Duration::from_secs)
}

/// An expression, without braces.
pub(super) fn check_expression(text: &str, path: &str, problems: &mut Problems<'_>) {
    if let Err(error) = minijinja::Environment::new().compile_expression(text) {
        let why = error.detail().unwrap_or("it is no expression").to_owned();
        problems.at(path, wrong(format!("the expression cannot be read: {why}")));
    }
}

/// A path into an answer.
pub(super) fn check_path(text: &str, path: &str, problems: &mut Problems<'_>) -> Option<JsonPath> {
    match text.parse() {
        Ok(parsed) => Some(parsed),
        Err(why) => {
            problems.at(path, wrong(why));
            None
        }
    }
}

/// The name of a header that a job may send.
pub(super) fn check_sent_header(name: &str, path: &str, problems: &mut Problems<'_>) {
    if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
        let hint = "credentials belong under `source.auth`, where they are guarded";
        problems.at(path, wrong(format!("the header `{name}` is not for job files")).hint(hint));
    } else {
        check_header_name(name, path, problems);
    }
}

/// The name of any header.
pub(super) fn check_header_name(name: &str, path: &str, problems: &mut Problems<'_>) {
    if ::http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        problems.at(path, wrong(format!("`{name}` cannot be a header's name")));
    }
}
