//! The shape of a job file against its schema: every unknown key and every wrong value at once, each with its place.
//! It knows the few forms that our own types make, not JSON Schema at large.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::known::Known;
use super::problem::{Draft, Problems, did_you_mean, nearest, plain, wrong};
use super::value::{is_secret_option, literal_secret, reference};
use super::yaml::{Key, Node, NodeKind, join};

/// Checks a file's tree, notes what does not fit, and returns the paths of what a reader of the rest must leave out.
pub(super) fn check_shape(root: &Node, schema: &Value, problems: &mut Problems<'_>) -> BTreeSet<String> {
    let mut shape = Shape { known: Known { schema }, problems, misfits: BTreeSet::new() };
    shape.check(root, schema, "");
    shape.misfits
}

struct Shape<'s, 'p, 't> {
    known: Known<'s>,
    problems: &'p mut Problems<'t>,
    misfits: BTreeSet<String>,
}

impl<'s> Shape<'s, '_, '_> {
    fn misfit(&mut self, node: &Node, path: &str, draft: Draft) {
        self.misfits.insert(path.to_owned());
        self.problems.at_mark(node.mark, path, draft);
    }

    fn check(&mut self, node: &Node, schema: &'s Value, path: &str) {
        if schema.get("$ref").is_some_and(|to| to == "#/$defs/SecretRef") {
            self.check_secret(node, path);
            return;
        }
        let schema = self.known.resolve(schema);
        if let Some(choices) = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array) {
            let choices: Vec<&'s Value> = choices.iter().map(|choice| self.known.resolve(choice)).collect();
            let is_plain =
                |choice: &&Value| ["properties", "const", "enum"].iter().all(|key| choice.get(key).is_none());
            if choices.iter().all(is_plain) {
                self.check_plain(node, &choices, path);
            } else {
                self.check_choice(node, &choices, path);
            }
            return;
        }
        if !self.check_type(node, schema, path) {
            return;
        }
        match &node.kind {
            NodeKind::Mapping(members) => self.check_mapping(node, members, schema, path),
            NodeKind::Sequence(items) => self.check_sequence(node, items, schema, path),
            NodeKind::Scalar(value) => self.check_scalar(node, value, schema, path),
        }
    }

    /// A secret's value is refused before anything is said about it.
    fn check_secret(&mut self, node: &Node, path: &str) {
        let is_reference = matches!(&node.kind, NodeKind::Scalar(Value::String(text)) if reference(text).is_some());
        if !is_reference {
            let draft = match &node.kind {
                NodeKind::Scalar(Value::Null) => self.of_wrong_type(node, "string", path),
                NodeKind::Scalar(_) | NodeKind::Sequence(_) | NodeKind::Mapping(_) => literal_secret(path),
            };
            self.misfit(node, path, draft);
        }
    }

    /// Whether the value is of a kind that the schema takes.
    fn check_type(&mut self, node: &Node, schema: &Value, path: &str) -> bool {
        let Some(wanted) = schema.get("type").and_then(Value::as_str) else { return true };
        let found = type_of(node);
        let fits = wanted == found || wanted == "number" && found == "integer";
        if !fits {
            let draft = self.of_wrong_type(node, wanted, path);
            let draft = if let Some(range) = range(schema) { draft.allowed(range) } else { draft };
            self.misfit(node, path, draft);
        }
        fits
    }

    fn of_wrong_type(&self, node: &Node, wanted: &str, path: &str) -> Draft {
        if path.starts_with("destination.options") && is_secret_option(leaf(path)) && type_of(node) != "null" {
            return literal_secret(path);
        }
        let found = type_of(node);
        let text = match &node.kind {
            NodeKind::Scalar(Value::String(text)) => text.as_str(),
            NodeKind::Scalar(_) | NodeKind::Sequence(_) | NodeKind::Mapping(_) => "",
        };
        let hint = match (wanted, found) {
            (_, "null") => Some("give it a value, or remove the key".to_owned()),
            ("string", "integer" | "number" | "boolean") => Some("put the value in quotes".to_owned()),
            ("integer" | "number", "string") if text.parse::<i64>().is_ok() => Some("remove the quotes".to_owned()),
            ("boolean", "string") => match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "true" => Some("write `true`".to_owned()),
                "no" | "off" | "false" => Some("write `false`".to_owned()),
                _ => None,
            },
            ("array", "string" | "object") => Some(format!("write a list: `{}: [ … ]`", leaf(path))),
            _ => None,
        };
        let found = described(node);
        wrong(format!("{} is {found}, expected {}", named(path), in_words(wanted))).found(found).maybe_hint(hint)
    }

    fn check_mapping(&mut self, node: &Node, members: &[(Key, Node)], schema: &'s Value, path: &str) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let additional = schema.get("additionalProperties");
        let mut seen: BTreeMap<&str, &Key> = BTreeMap::new();
        for (key, value) in members {
            let inside = join(path, &key.name);
            if let Some(former) = seen.get(key.name.as_str()) {
                let message = format!("key `{}` stands here a second time", key.name);
                let hint =
                    format!("the first is in line {}, column {}; keep one", former.mark.line, former.mark.column);
                self.problems.at_mark(key.mark, &inside, wrong(message).hint(hint));
                continue;
            }
            seen.insert(&key.name, key);
            match (properties.and_then(|properties| properties.get(&key.name)), additional) {
                (Some(property), _) => self.check(value, property, &inside),
                (None, Some(Value::Bool(false))) => {
                    let names: Vec<&str> = properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
                    self.misfits.insert(inside.clone());
                    let draft = self.unknown_key(&key.name, path, &names);
                    self.problems.at_mark(key.mark, &inside, draft);
                }
                (None, Some(additional @ Value::Object(_))) => self.check(value, additional, &inside),
                (None, _) => {}
            }
        }
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        for name in required.filter(|name| !seen.contains_key(name)) {
            self.misfit(node, path, wrong(format!("{} needs `{name}`", place(path))));
        }
    }

    fn check_sequence(&mut self, node: &Node, items: &[Node], schema: &'s Value, path: &str) {
        if items.is_empty() && schema.get("minItems").is_some() {
            self.misfit(node, path, wrong(format!("{} is empty, expected at least one", named(path))));
        }
        if let Some(item_schema) = schema.get("items") {
            for (index, item) in items.iter().enumerate() {
                self.check(item, item_schema, &format!("{path}[{index}]"));
            }
        }
    }

    fn unknown_key(&self, name: &str, path: &str, names: &[&str]) -> Draft {
        let is_spelling = |near: &str| plain(near) == plain(name);
        let hint = match nearest(name, names.iter().copied()) {
            Some(near) if is_spelling(near) => Some(format!("did you mean `{near}`?")),
            near => self.known.elsewhere(name, names).or_else(|| near.map(|near| format!("did you mean `{near}`?"))),
        };
        wrong(format!("unknown key `{name}` in {}", place(path)))
            .found(format!("`{name}`"))
            .allowed(names.join(", "))
            .maybe_hint(hint)
    }

    /// A text, a number or true/false. A number must be typed as it will be sent.
    fn check_plain(&mut self, node: &Node, choices: &[&'s Value], path: &str) {
        if !choices.iter().any(|choice| Some(type_of(node)) == choice.get("type").and_then(Value::as_str)) {
            let found = described(node);
            let message = format!("{} is {found}, expected a text, a number or true/false", named(path));
            let hint = (type_of(node) == "null").then(|| "for an empty text write `\"\"`".to_owned());
            self.misfit(node, path, wrong(message).found(found).maybe_hint(hint));
        } else if let (Some(typed), NodeKind::Scalar(value)) = (&node.respelled, &node.kind) {
            let draft = wrong(format!("`{typed}` reads as the number {value}"))
                .found(format!("`{typed}`"))
                .hint(format!("write `\"{typed}\"` to keep it as typed, or {value}"));
            self.misfit(node, path, draft);
        }
    }

    /// One of several kinds: a bare word, or a mapping with one key that names the kind.
    fn check_choice(&mut self, node: &Node, choices: &[&'s Value], path: &str) {
        let words: Vec<&str> = choices.iter().flat_map(|choice| words_of(choice)).collect();
        let properties = |choice: &&'s Value| choice.get("properties").and_then(Value::as_object);
        let forms: Vec<(&str, &'s Value)> =
            choices.iter().filter_map(properties).flatten().map(|(name, schema)| (name.as_str(), schema)).collect();
        let names: Vec<&str> = words.iter().copied().chain(forms.iter().map(|(name, _)| *name)).collect();
        let (mark, typed) = match &node.kind {
            NodeKind::Scalar(Value::String(text)) if words.contains(&text.as_str()) => return,
            NodeKind::Scalar(Value::String(text)) => (node.mark, text.as_str()),
            NodeKind::Mapping(members) if members.len() == 1 => {
                let (key, value) = &members[0];
                if let Some((_, schema)) = forms.iter().find(|(name, _)| *name == key.name) {
                    return self.check(value, schema, &join(path, &key.name));
                }
                (key.mark, key.name.as_str())
            }
            NodeKind::Scalar(_) | NodeKind::Sequence(_) | NodeKind::Mapping(_) => {
                let found = described(node);
                let message = format!("{} is {found}, expected exactly one of its kinds", named(path));
                return self.misfit(node, path, wrong(message).found(found).allowed(names.join(", ")));
            }
        };
        let name = leaf(path);
        let near = did_you_mean(typed, names.iter().copied());
        let is_shown = near.is_some() || is_word(typed) || matches!(node.kind, NodeKind::Mapping(_));
        let found = if is_shown { format!("`{typed}`") } else { "a text".to_owned() };
        let hint = if forms.iter().any(|(form, _)| *form == typed) {
            Some(format!("`{typed}` needs details: write `{name}: {{ {typed}: … }}`"))
        } else if words.contains(&typed) {
            Some(format!("`{typed}` stands alone: write `{name}: {typed}`"))
        } else {
            near
        };
        let message = if forms.is_empty() {
            format!("`{name}` cannot be {found}")
        } else {
            format!("{found} is no kind of `{name}`")
        };
        self.misfits.insert(path.to_owned());
        self.problems.at_mark(mark, path, wrong(message).found(found).allowed(names.join(", ")).maybe_hint(hint));
    }

    fn check_scalar(&mut self, node: &Node, value: &Value, schema: &Value, path: &str) {
        let Some(number) = value.as_f64() else { return };
        let (low, high) = bounds(schema);
        if number < low || number > high {
            let draft = wrong(format!("{} cannot be {value}", named(path))).found(value.to_string());
            self.misfit(node, path, draft.allowed(range(schema).unwrap_or_default()));
        }
    }
}

fn bounds(schema: &Value) -> (f64, f64) {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    (bound("minimum").unwrap_or(f64::NEG_INFINITY), bound("maximum").unwrap_or(f64::INFINITY))
}

/// The numbers that a schema takes, in words. `None` = it says nothing about them.
fn range(schema: &Value) -> Option<String> {
    match bounds(schema) {
        (low, high) if low.is_finite() && high.is_finite() => Some(format!("{low} to {high}")),
        (low, _) if low.is_finite() => Some(format!("{low} and more")),
        _ => None,
    }
}

fn words_of(schema: &Value) -> Vec<&str> {
    let one = schema.get("const").and_then(Value::as_str);
    let several = schema.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    one.into_iter().chain(several).collect()
}

fn type_of(node: &Node) -> &'static str {
    match &node.kind {
        NodeKind::Sequence(_) => "array",
        NodeKind::Mapping(_) => "object",
        NodeKind::Scalar(value) => match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) | Value::Array(_) | Value::Object(_) => "string",
        },
    }
}

/// What was found, in words. Never the value of a text or a number: it may be a secret in the wrong place.
fn described(node: &Node) -> String {
    match &node.kind {
        NodeKind::Scalar(Value::Bool(flag)) => format!("`{flag}`"),
        NodeKind::Scalar(_) | NodeKind::Sequence(_) | NodeKind::Mapping(_) => in_words(type_of(node)).to_owned(),
    }
}

fn in_words(json_type: &str) -> &'static str {
    match json_type {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a group of keys",
        _ => "empty",
    }
}

/// Whether a text may be repeated in a message where a secret could stand: letters only, as the names of kinds are.
fn is_word(text: &str) -> bool {
    text.len() <= 20 && text.chars().all(|c| c.is_ascii_alphabetic() || c == '_' || c == '-')
}

fn place(path: &str) -> String {
    if path.is_empty() { "the job".to_owned() } else { format!("`{path}`") }
}

fn named(path: &str) -> String {
    if path.is_empty() { place(path) } else { format!("`{}`", leaf(path)) }
}

fn leaf(path: &str) -> &str {
    let last = path.strip_suffix("']").and_then(|path| path.rsplit_once("['"));
    last.map_or_else(|| path.rsplit('.').next().unwrap_or(path), |(_, name)| name)
}
