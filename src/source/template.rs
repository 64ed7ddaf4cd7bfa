//! Templates of a job filled in: one language for paths, parameters, headers and bodies. An undefined name is an error.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};

use super::error::Error;
use crate::model::plan::SettingValue;
use crate::model::slices::Slice;

/// Steps a template may take: far more than any path needs, far less than a loop that never ends.
const TEMPLATE_FUEL: u64 = 50_000;

/// What templates of a job may speak of, and the means to fill them in.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    names: BTreeMap<String, Value>,
}

/// How printed values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    Plain,
    /// As one piece of a path: a value never adds a segment or leads out of one.
    PathPiece,
}

impl Context {
    /// What is the same for a whole run. `started_at` is RFC 3339, UTC.
    pub(crate) fn new(settings: &BTreeMap<String, SettingValue>, run: &str, started_at: &str) -> Self {
        let run = BTreeMap::from([("id", run), ("started_at", started_at)]);
        let names = [("settings", Value::from(Serde(settings))), ("run", Value::from(Serde(&run)))];
        Context { names: names.into_iter().map(|(name, value)| (name.to_owned(), value)).collect() }
    }

    /// The same with what a slice adds.
    pub(crate) fn with_slice(&self, slice: &Slice) -> Self {
        let mut names = self.names.clone();
        names.insert("slice".to_owned(), Value::from(Serde(&slice.values)));
        if let Some((name, record)) = &slice.parent {
            names.insert(name.clone(), Value::from(Serde(record)));
        }
        if let Some(cursor) = &slice.cursor {
            names.insert("cursor".to_owned(), Value::from(cursor.as_str()));
        }
        Context { names }
    }

    /// The same with one more name.
    pub(crate) fn with_text(&self, name: &str, text: &str) -> Self {
        let mut names = self.names.clone();
        names.insert(name.to_owned(), Value::from(text));
        Context { names }
    }

    /// The same with a name for a whole document.
    pub(crate) fn with_value(&self, name: &str, value: &serde_json::Value) -> Self {
        let mut names = self.names.clone();
        names.insert(name.to_owned(), Value::from(Serde(value)));
        Context { names }
    }

    /// A name for another value than before.
    pub(super) fn set_value(&mut self, name: &str, value: Value) {
        match self.names.get_mut(name) {
            Some(known) => *known = value,
            None => drop(self.names.insert(name.to_owned(), value)),
        }
    }

    pub(super) fn names(&self) -> &BTreeMap<String, Value> {
        &self.names
    }

    /// A text with its expressions filled in. `place` names it in an error.
    pub(crate) fn fill(&self, place: impl FnOnce() -> String, template: &str) -> Result<String, Error> {
        self.render(Writing::Plain, place, template)
    }

    /// A path: what expressions print is percent-encoded, except where the template marks it `| safe`.
    pub(crate) fn fill_path(&self, place: impl FnOnce() -> String, template: &str) -> Result<String, Error> {
        self.render(Writing::PathPiece, place, template)
    }

    fn render(&self, writing: Writing, place: impl FnOnce() -> String, template: &str) -> Result<String, Error> {
        if !template.contains('{') {
            return Ok(template.to_owned());
        }
        environment_for(writing).render_str(template, &self.names).map_err(|error| wrong(place(), &error))
    }

    /// A JSON document with the expressions of its texts filled in; a text that is one expression becomes its value.
    pub(crate) fn fill_json(
        &self,
        place: impl Fn() -> String,
        template: &serde_json::Value,
    ) -> Result<serde_json::Value, Error> {
        self.json(&environment(), &place, template)
    }

    fn json(
        &self,
        environment: &Environment<'_>,
        place: &impl Fn() -> String,
        template: &serde_json::Value,
    ) -> Result<serde_json::Value, Error> {
        use serde_json::Value as Json;
        Ok(match template {
            Json::String(text) => match single_expression(text) {
                Some(expression) => {
                    let value = environment
                        .compile_expression(expression)
                        .and_then(|expression| expression.eval(&self.names))
                        .map_err(|error| wrong(place(), &error))?;
                    if value.is_undefined() {
                        return Err(wrong(place(), &minijinja::Error::from(ErrorKind::UndefinedError)));
                    }
                    serde_json::to_value(&value)
                        .map_err(|error| Error::Template { place: place(), why: error.to_string() })?
                }
                None => {
                    Json::String(environment.render_str(text, &self.names).map_err(|error| wrong(place(), &error))?)
                }
            },
            Json::Array(items) => {
                Json::Array(items.iter().map(|item| self.json(environment, place, item)).collect::<Result<_, _>>()?)
            }
            Json::Object(members) => Json::Object(
                members
                    .iter()
                    .map(|(name, member)| Ok((name.clone(), self.json(environment, place, member)?)))
                    .collect::<Result<_, Error>>()?,
            ),
            plain => plain.clone(),
        })
    }
}

fn wrong(place: String, error: &minijinja::Error) -> Error {
    Error::Template { place, why: why(error) }
}

/// What an error of the template language says, without the lines around it.
pub(super) fn why(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

/// `{{ expression }}` as the whole text.
pub(super) fn single_expression(text: &str) -> Option<&str> {
    let inside = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    (!inside.contains("{{") && !inside.contains("}}")).then_some(inside.trim())
}

/// The language of templates, for values as they are.
pub(super) fn environment() -> Environment<'static> {
    environment_for(Writing::Plain)
}

fn environment_for(writing: Writing) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(TEMPLATE_FUEL));
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.add_filter("odata_text", odata_text);
    if writing == Writing::PathPiece {
        environment.set_formatter(|out, state, value| {
            if value.is_safe() {
                return minijinja::escape_formatter(out, state, value);
            }
            if value.is_undefined() {
                return Err(minijinja::Error::from(ErrorKind::UndefinedError));
            }
            out.write_str(&path_piece(&value.to_string())).map_err(minijinja::Error::from)
        });
    }
    environment
}

/// A text as an OData literal: `O'Brien` becomes `'O''Brien'`.
fn odata_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A value as part of one path segment (RFC 3986 section 3.3): letters, digits and what no server takes for more.
fn path_piece(text: &str) -> String {
    let is_dots = text == "." || text == "..";
    let mut piece = String::with_capacity(text.len());
    for byte in text.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || b"-_~!$'()*,;:@+=".contains(&byte) || (byte == b'.' && !is_dots);
        if is_plain {
            piece.push(char::from(byte));
        } else {
            piece.push_str(&format!("%{byte:02X}"));
        }
    }
    piece
}

/// The fields that templates read of a name, outermost first: `division.Code` gives `Code`. An empty path = the name is
/// used as a whole.
pub(crate) fn fields_read<'a>(templates: impl IntoIterator<Item = &'a str>, name: &str) -> BTreeSet<Vec<String>> {
    let environment = environment();
    let mut fields = BTreeSet::new();
    for text in templates {
        let Ok(template) = environment.template_from_str(text) else { continue };
        for found in template.undeclared_variables(true) {
            let mut words = found.split('.').map(str::to_owned);
            if words.next().as_deref() == Some(name) {
                fields.insert(words.collect());
            }
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn context() -> Context {
        let settings = BTreeMap::from([("year".to_owned(), SettingValue::Integer(2024))]);
        let slice = Slice {
            values: json!({"region": "eu"}).as_object().cloned().expect("an object"),
            parent: Some(("division".to_owned(), json!({"Code": "../a b", "id": 7}))),
            cursor: Some("12".to_owned()),
            ..Slice::default()
        };
        Context::new(&settings, "01RUN", "2026-11-23T00:00:00Z").with_slice(&slice)
    }

    fn check(template: &str, expect: Result<&str, &str>) {
        let filled = context().fill(|| "x".to_owned(), template);
        match (filled, expect) {
            (Ok(text), Ok(expect)) => assert_eq!(text, expect, "{template}"),
            (Err(error), Err(says)) => assert!(error.to_string().contains(says), "{template}: {error}"),
            (got, _) => panic!("{template}: {got:?}"),
        }
    }

    #[test]
    fn names_are_filled_in() {
        check("a{{ settings.year }}-{{ slice.region }}-{{ cursor }}-{{ division.id }}", Ok("a2024-eu-12-7"));
        check("Name eq {{ \"O'Brien\" | odata_text }}", Ok("Name eq 'O''Brien'"));
        check("{{ slice.regoin }}", Err("undefined"));
        check("{{ nobody }}", Err("undefined"));
        check("{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}", Err("fuel"));
    }

    #[test]
    fn a_value_stays_within_its_path_segment() {
        let path = |template: &str| context().fill_path(|| "x".to_owned(), template).expect("a path");
        assert_eq!(path("/{{ division.Code }}/x"), "/..%2Fa%20b/x");
        assert_eq!(path("/{{ '..' }}/x"), "/%2E%2E/x");
        assert_eq!(path("/{{ 'a/b' | safe }}/x"), "/a/b/x");
        assert_eq!(path("/Orders({{ division.id }})"), "/Orders(7)");
    }

    #[test]
    fn a_single_expression_keeps_its_type() {
        let template =
            json!({"n": "{{ division.id }}", "t": "n{{ division.id }}", "l": ["{{ slice.region }}"], "k": 1});
        let filled = context().fill_json(|| "x".to_owned(), &template).expect("a document");
        assert_eq!(filled, json!({"n": 7, "t": "n7", "l": ["eu"], "k": 1}));
        assert!(context().fill_json(|| "x".to_owned(), &json!("{{ nobody }}")).is_err());
    }

    #[test]
    fn the_fields_that_templates_read_are_known() {
        let templates = ["/{{ division.Code }}/x", "{{ division.address.id | string }}", "{{ other.x }}"];
        let fields: Vec<Vec<String>> = fields_read(templates, "division").into_iter().collect();
        assert_eq!(fields, [vec!["Code".to_owned()], vec!["address".to_owned(), "id".to_owned()]]);
    }
}
