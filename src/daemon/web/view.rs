//! Templates, and the answers that they become.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use minijinja::value::Serde;
use minijinja::{Environment, Value};
use serde_json::{Value as Json, json};

use super::Site;
use super::session::Visitor;
use crate::clock::Clock;
use crate::engine::host_name;
use crate::model::amounts::span;
use crate::secret::mask;

const TEMPLATES: [(&str, &str); 11] = [
    ("base.html", include_str!("templates/base.html")),
    ("parts.html", include_str!("templates/parts.html")),
    ("overview.html", include_str!("templates/overview.html")),
    ("job.html", include_str!("templates/job.html")),
    ("credential.html", include_str!("templates/credential.html")),
    ("run.html", include_str!("templates/run.html")),
    ("table.html", include_str!("templates/table.html")),
    ("powerbi.html", include_str!("templates/powerbi.html")),
    ("credentials.html", include_str!("templates/credentials.html")),
    ("login.html", include_str!("templates/login.html")),
    ("problem.html", include_str!("templates/problem.html")),
];

/// Name, type and content of what the pages load.
const ASSETS: [(&str, &str, &str); 3] = [
    ("style.css", "text/css; charset=utf-8", include_str!("assets/style.css")),
    ("live.js", "text/javascript; charset=utf-8", include_str!("assets/live.js")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
];

/// The templates, parsed.
pub(super) struct Views(Environment<'static>);

impl Views {
    pub(super) fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(minijinja::UndefinedBehavior::SemiStrict);
        environment.add_filter("ticks", ticks);
        for (name, source) in TEMPLATES {
            environment.add_template(name, source).expect("the templates are compiled in, and a test renders them");
        }
        Views(environment)
    }
}

/// Text of ours, in which names stand in backticks, as HTML.
fn ticks(text: String) -> Value {
    let mut html = String::new();
    for (at, piece) in text.split('`').enumerate() {
        let piece = minijinja::HtmlEscape(piece);
        // An odd one out opens nothing.
        match at % 2 == 1 && at < text.matches('`').count() {
            true => html.push_str(&format!("<code>{piece}</code>")),
            false if at > 0 && at % 2 == 1 => html.push_str(&format!("`{piece}")),
            false => html.push_str(&piece.to_string()),
        }
    }
    Value::from_safe_string(html)
}

/// A page for a visitor.
pub(super) fn page(site: &Site, visitor: &Visitor, template: &str, title: &str, mut content: Json) -> Response {
    let common = json!({
        "title": title,
        "csrf": visitor.csrf,
        "who": visitor.who,
        "version": env!("CARGO_PKG_VERSION"),
        "host": host_name(),
        "started": instant(site.web.board.started_at, Clock.now(), Tz::UTC),
        "is_stopping": site.web.is_stopped.is_cancelled(),
    });
    if let (Json::Object(content), Json::Object(common)) = (&mut content, common) {
        content.extend(common);
    }
    render(site, StatusCode::OK, template, &content)
}

fn render(site: &Site, status: StatusCode, template: &str, content: &Json) -> Response {
    let template = site.views.0.get_template(template).expect("the name is one of ours");
    match template.render(Value::from(Serde(content))) {
        // Text of servers and job files may hold what it should not.
        Ok(text) => (status, Html(mask(&text))).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("the page cannot be made: {error}")).into_response(),
    }
}

/// An instant as the templates show it: by the clock of a zone, and how far away it is.
pub(super) fn instant(at: DateTime<Utc>, now: DateTime<Utc>, zone: Tz) -> Json {
    let local = at.with_timezone(&zone);
    let text = if local.date_naive() == now.with_timezone(&zone).date_naive() {
        local.format("%H:%M:%S %Z")
    } else {
        local.format("%a %d %b %Y, %H:%M %Z")
    };
    let seconds = (at - now).num_seconds();
    let ago = match seconds {
        -1..=1 => "now".to_owned(),
        2.. => format!("in {}", span(seconds.unsigned_abs())),
        _ => format!("{} ago", span(seconds.unsigned_abs())),
    };
    json!({ "iso": at.format("%Y-%m-%dT%H:%M:%SZ").to_string(), "text": text.to_string(), "ago": ago })
}

/// Why there is no page.
pub(super) struct Problem {
    status: StatusCode,
    text: String,
}

impl Problem {
    pub(super) fn not_found(text: impl Into<String>) -> Self {
        Problem { status: StatusCode::NOT_FOUND, text: text.into() }
    }

    pub(super) fn not_now(text: impl Into<String>) -> Self {
        Problem { status: StatusCode::SERVICE_UNAVAILABLE, text: text.into() }
    }

    pub(super) fn refused(text: impl Into<String>) -> Self {
        Problem { status: StatusCode::FORBIDDEN, text: text.into() }
    }

    pub(super) fn conflict(text: impl Into<String>) -> Self {
        Problem { status: StatusCode::CONFLICT, text: text.into() }
    }

    /// Something of ours or of a server failed on the way.
    pub(super) fn failed(error: &dyn std::error::Error) -> Self {
        Problem { status: StatusCode::BAD_GATEWAY, text: crate::engine::text_of(error) }
    }
}

impl IntoResponse for Problem {
    /// Without the templates, which need the site; `show_problems` makes a page of it.
    fn into_response(self) -> Response {
        let mut response = (self.status, mask(&self.text)).into_response();
        response.extensions_mut().insert(Shown(Cow::Owned(self.text)));
        response
    }
}

/// What a problem says, for the page that shows it.
#[derive(Clone)]
struct Shown(Cow<'static, str>);

/// Makes a page of a problem.
pub(super) fn show_problem(site: &Site, visitor: Option<&Visitor>, response: Response) -> Response {
    let Some(Shown(text)) = response.extensions().get::<Shown>().cloned() else { return response };
    let status = response.status();
    let content = json!({
        "title": status.canonical_reason().unwrap_or("Problem"),
        "text": text,
        "csrf": visitor.map(|visitor| visitor.csrf.clone()),
        "who": visitor.and_then(|visitor| visitor.who.clone()),
        "version": env!("CARGO_PKG_VERSION"),
        "host": host_name(),
        "started": instant(site.web.board.started_at, Clock.now(), Tz::UTC),
        "is_stopping": site.web.is_stopped.is_cancelled(),
    });
    render(site, status, "problem.html", &content)
}

pub(super) async fn nothing_here() -> Problem {
    Problem::not_found("There is no such page.")
}

/// A file that the pages load.
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    let Some((_, kind, content)) = ASSETS.iter().find(|(known, ..)| *known == name) else {
        return Problem::not_found("There is no such file.").into_response();
    };
    let mut response = (*content).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    // Their addresses hold the version.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=86400"));
    response
}

/// The login page, with what was wrong.
pub(super) fn login_page(site: &Arc<Site>, status: StatusCode, content: &Json) -> Response {
    render(site, status, "login.html", content)
}

/// Back to a page after something was done.
pub(super) fn see_other(path: &str) -> Response {
    let location = HeaderValue::from_str(path).unwrap_or_else(|_| HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

/// Where handlers find the site.
pub(super) type TheSite = State<Arc<Site>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_backticks_become_code_and_nothing_becomes_html() {
        let check = |text: &str, expect: &str| assert_eq!(ticks(text.to_owned()).to_string(), expect, "{text}");
        check("table `a` and `b`", "table <code>a</code> and <code>b</code>");
        check("a `lonely one", "a `lonely one");
        check("<script> `<b>`", "&lt;script&gt; <code>&lt;b&gt;</code>");
        check("", "");
    }

    #[test]
    fn the_templates_are_well_formed() {
        assert!(TEMPLATES.iter().all(|(name, _)| Views::new().0.get_template(name).is_ok()));
    }
}
