//! The shape of a job file against its schema: every unknown key and every wrong value at once, each with its place.
//! It knows the few forms that our own types make, not JSON Schema at large.

use serde_json::Value;

use super::problem::{Draft, Problems, nearest, wrong};
use super::yaml::{Mark, Node, NodeKind};

/// Checks a file's tree and notes what does not fit.
pub(super) fn check_shape(root: &Node, schema: &Value, problems: &mut Problems<'_>) {
    Shape { schema, problems }.check(root, schema, "");
}

struct Shape<'s, 'p, 't> {
    schema: &'s Value,
    problems: &'p mut Problems<'t>,
}

impl<'s> Shape<'s, '_, '_> {
    fn check(&mut self, node: &Node, schema: &'s Value, path: &str) {
        let schema = self.resolve(schema);
        if let Some(choices) = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array) {
            self.check_choice(node, choices, path);
            return;
        }
        if !self.check_type(node, schema, path) {
            return;
        }
        match &node.kind {
            NodeKind::Mapping(_) => self.check_mapping(node, schema, path),
            NodeKind::Sequence(items) => {
                if items.is_empty() && schema.get("minItems").is_some() {
                    self.problems.at_mark(node.mark, path, wrong(format!("`{}` is empty", leaf(path))));
                }
                if let Some(item_schema) = schema.get("items") {
                    for (index, item) in items.iter().enumerate() {
                        self.check(item, item_schema, &format!("{path}[{index}]"));
                    }
                }
            }
            NodeKind::Scalar(value) => self.check_scalar(node.mark, value, schema, path),
        }
    }

    fn resolve(&self, schema: &'s Value) -> &'s Value {
        match schema.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix('#')) {
            Some(pointer) => self.schema.pointer(pointer).expect("the schema's own references lead somewhere"),
            None => schema,
        }
    }

    /// Whether the value is of a kind that the schema takes.
    fn check_type(&mut self, node: &Node, schema: &Value, path: &str) -> bool {
        let types: Vec<&str> = match schema.get("type") {
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => return true,
        };
        let found = type_of(node);
        let fits = types.iter().any(|wanted| *wanted == found || *wanted == "number" && found == "integer");
        if !fits {
            let wanted: Vec<&str> =
                types.iter().filter(|wanted| **wanted != "null").map(|wanted| word(wanted)).collect();
            let message = format!("`{}` is {}, expected {}", leaf(path), described(node), wanted.join(" or "));
            let is_number = types.contains(&"string") && matches!(found, "integer" | "number" | "boolean");
            let hint = is_number.then(|| "put the value in quotes".to_owned());
            self.problems.at_mark(node.mark, path, wrong(message).maybe_hint(hint));
        }
        fits
    }

    fn check_mapping(&mut self, node: &Node, schema: &'s Value, path: &str) {
        let NodeKind::Mapping(members) = &node.kind else { return };
        let properties = schema.get("properties").and_then(Value::as_object);
        let additional = schema.get("additionalProperties");
        for (key, value) in members {
            let inside = join(path, &key.name);
            match (properties.and_then(|properties| properties.get(&key.name)), additional) {
                (Some(property), _) => self.check(value, property, &inside),
                (None, Some(Value::Bool(false))) => {
                    let known: Vec<&str> = properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
                    let draft = self.unknown_key(&key.name, path, &known);
                    self.problems.at_mark(key.mark, &inside, draft);
                }
                (None, Some(additional @ Value::Object(_))) => self.check(value, additional, &inside),
                (None, _) => {}
            }
        }
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        for name in required.filter(|name| !members.iter().any(|(key, _)| key.name == *name)) {
            let place = if path.is_empty() { "the job".to_owned() } else { format!("`{path}`") };
            self.problems.at_mark(node.mark, path, wrong(format!("{place} needs `{name}`")));
        }
    }

    fn unknown_key(&self, name: &str, path: &str, known: &[&str]) -> Draft {
        let place = if path.is_empty() { "a job".to_owned() } else { format!("`{path}`") };
        let near = nearest(name, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        let elsewhere = || {
            let places = self.places_of(name);
            (!places.is_empty()).then(|| format!("`{name}` belongs to {}", places.join(" or ")))
        };
        wrong(format!("unknown key `{name}` in {place}")).allowed(known.join(", ")).maybe_hint(near.or_else(elsewhere))
    }

    /// Sections of a job file that know this key.
    fn places_of(&self, name: &str) -> Vec<&'static str> {
        let sections = [
            ("/properties", "the top of the file"),
            ("/$defs/SourceSpec/properties", "`source`"),
            ("/$defs/DefaultsSpec/properties", "`source.defaults`"),
            ("/$defs/LimitsSpec/properties", "`source.limits`"),
            ("/$defs/StreamSpec/properties", "a stream"),
            ("/$defs/DestinationSpec/properties", "`destination`"),
            ("/$defs/PublishSpec/properties", "`publish`"),
        ];
        let knows = |pointer: &str| self.schema.pointer(pointer).and_then(|known| known.get(name)).is_some();
        sections.into_iter().filter(|(pointer, _)| knows(pointer)).map(|(_, place)| place).collect()
    }

    /// One of several forms: a bare word, or a mapping with one key that names the form.
    fn check_choice(&mut self, node: &Node, choices: &'s [Value], path: &str) {
        let choices: Vec<&'s Value> = choices.iter().map(|choice| self.resolve(choice)).collect();
        // An optional value is a choice between it and null.
        let real: Vec<&'s Value> =
            choices.iter().copied().filter(|choice| choice.get("type") != Some(&Value::from("null"))).collect();
        if let [only] = real.as_slice() {
            self.check(node, only, path);
            return;
        }
        let is_plain = |choice: &&Value| {
            choice.get("properties").is_none() && choice.get("const").is_none() && choice.get("enum").is_none()
        };
        if real.iter().all(is_plain) {
            if !real.iter().any(|choice| Some(type_of(node)) == choice.get("type").and_then(Value::as_str)) {
                let message =
                    format!("`{}` is {}, expected a text, a number or true/false", leaf(path), described(node));
                self.problems.at_mark(node.mark, path, wrong(message));
            }
            return;
        }
        let words: Vec<&str> = real.iter().flat_map(|choice| words_of(choice)).collect();
        let forms: Vec<(&str, &'s Value)> = real
            .iter()
            .filter_map(|choice| choice.get("properties").and_then(Value::as_object))
            .flatten()
            .map(|(name, schema)| (name.as_str(), schema))
            .collect();
        let names: Vec<&str> = words.iter().copied().chain(forms.iter().map(|(name, _)| *name)).collect();
        let chosen = match &node.kind {
            NodeKind::Scalar(Value::String(text)) if words.contains(&text.as_str()) => return,
            NodeKind::Mapping(members) if members.len() == 1 => {
                let (key, value) = &members[0];
                match forms.iter().find(|(name, _)| *name == key.name) {
                    Some((_, schema)) => return self.check(value, schema, &join(path, &key.name)),
                    None => (key.mark, key.name.clone()),
                }
            }
            NodeKind::Scalar(Value::String(text)) => (node.mark, text.clone()),
            NodeKind::Scalar(_) | NodeKind::Sequence(_) | NodeKind::Mapping(_) => {
                let message = format!("`{}` is {}, expected exactly one kind", leaf(path), described(node));
                self.problems.at_mark(node.mark, path, wrong(message).allowed(names.join(", ")));
                return;
            }
        };
        let (mark, typed) = chosen;
        let needs_details = forms.iter().any(|(name, _)| *name == typed);
        let hint = if needs_details {
            Some(format!("`{typed}` needs details: write `{}: {{ {typed}: … }}`", leaf(path)))
        } else if words.contains(&typed.as_str()) {
            Some(format!("`{typed}` stands alone: write `{}: {typed}`", leaf(path)))
        } else {
            nearest(&typed, names.iter().copied()).map(|near| format!("did you mean `{near}`?"))
        };
        let draft =
            wrong(format!("`{typed}` is no kind of `{}`", leaf(path))).allowed(names.join(", ")).maybe_hint(hint);
        self.problems.at_mark(mark, path, draft);
    }

    fn check_scalar(&mut self, mark: Mark, value: &Value, schema: &Value, path: &str) {
        let words = words_of(schema);
        if !words.is_empty()
            && let Some(text) = value.as_str()
            && !words.contains(&text)
        {
            let hint = nearest(text, words.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            let draft = wrong(format!("`{text}` is no `{}`", leaf(path))).allowed(words.join(", ")).maybe_hint(hint);
            self.problems.at_mark(mark, path, draft);
        }
        let Some(number) = value.as_f64() else { return };
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
        let (low, high) = (bound("minimum").unwrap_or(f64::NEG_INFINITY), bound("maximum").unwrap_or(f64::INFINITY));
        if number < low || number > high {
            let allowed = if high.is_finite() { format!("{low} to {high}") } else { format!("{low} and more") };
            self.problems.at_mark(mark, path, wrong(format!("`{}` is {number}", leaf(path))).allowed(allowed));
        }
    }
}

fn words_of(schema: &Value) -> Vec<&str> {
    let one = schema.get("const").and_then(Value::as_str);
    let several = schema.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let nested =
        schema.get("oneOf").and_then(Value::as_array).into_iter().flatten().flat_map(|choice| words_of(choice));
    one.into_iter().chain(several).chain(nested).collect()
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

/// What was found, in words. Never the value of a text: it may be a secret.
fn described(node: &Node) -> String {
    match &node.kind {
        NodeKind::Scalar(Value::Null) => "empty".to_owned(),
        NodeKind::Scalar(Value::String(_)) => "a text".to_owned(),
        NodeKind::Scalar(value) => format!("`{value}`"),
        NodeKind::Sequence(_) => "a list".to_owned(),
        NodeKind::Mapping(_) => "a group of keys".to_owned(),
    }
}

fn word(json_type: &str) -> &'static str {
    match json_type {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a group of keys",
        _ => "nothing",
    }
}

fn leaf(path: &str) -> &str {
    path.rsplit('.').next().filter(|leaf| !leaf.is_empty()).unwrap_or("the job")
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
