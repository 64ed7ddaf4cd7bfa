//! YAML text into a tree that knows the place of every key and value. Scalars follow YAML 1.2's core schema: `yes` and
//! `on` are texts, a quoted value is always a text.

use std::collections::{BTreeMap, BTreeSet};

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value};

/// Deeper files are mistakes or attacks.
const DEPTH_MAX: usize = 40;
/// Values of one file, aliases expanded: far more than any job, far less than an alias bomb.
const NODES_MAX: usize = 50_000;

/// A place in the text, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub line: usize,
    pub column: usize,
}

/// A value with its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub mark: Mark,
    pub kind: NodeKind,
    /// A number as it was typed, where it would be written otherwise: `1.10`, `007`, `0x1F`. Absent = nothing is lost.
    pub respelled: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) enum NodeKind {
    Scalar(Value),
    Sequence(Vec<Node>),
    /// In the order of the file. A name that stands there twice is kept twice: the shape's check tells both places.
    Mapping(Vec<(Key, Node)>),
}

#[derive(Debug, Clone)]
pub(super) struct Key {
    pub name: String,
    pub mark: Mark,
}

/// Why a text is no YAML that we take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub mark: Mark,
    pub why: String,
    /// Absent = we know no remedy.
    pub hint: Option<&'static str>,
}

/// A whole file.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub root: Node,
}

impl Tree {
    pub(super) fn parse(text: &str) -> Result<Self, SyntaxError> {
        let mut reader = Reader { parser: Parser::new_from_str(text), anchors: BTreeMap::new(), nodes: 0 };
        match reader.read_document() {
            Ok(root) => Ok(Tree { root }),
            Err(error) => Err(SyntaxError { hint: brace_hint(text, error.mark), ..error }),
        }
    }

    /// The place of a path such as `streams[0].paging`, or of its nearest ancestor that exists.
    pub(super) fn mark(&self, path: &str) -> Mark {
        let mut node = &self.root;
        for step in steps(path) {
            let next = match (&node.kind, step) {
                (NodeKind::Mapping(members), Step::Member(name)) => {
                    members.iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
                }
                (NodeKind::Sequence(items), Step::Item(index)) => items.get(index),
                (NodeKind::Scalar(_) | NodeKind::Mapping(_) | NodeKind::Sequence(_), _) => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node.mark
    }
}

enum Step<'a> {
    Member(&'a str),
    Item(usize),
}

/// The path of a member: `a.b`, or `a['b.c']` where the name would not read back.
pub(super) fn join(path: &str, name: &str) -> String {
    if name.is_empty() || name.contains(['.', '[', ']', '\'']) {
        format!("{path}['{name}']")
    } else if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn steps(path: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("['") {
            let (name, behind) = after.split_once("']").unwrap_or((after, ""));
            steps.push(Step::Member(name));
            rest = behind;
        } else if let Some(after) = rest.strip_prefix('[') {
            let (index, behind) = after.split_once(']').unwrap_or((after, ""));
            steps.extend(index.parse().map(Step::Item));
            rest = behind;
        } else if let Some(after) = rest.strip_prefix('.') {
            rest = after;
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            steps.push(Step::Member(&rest[..end]));
            rest = &rest[end..];
        }
    }
    steps
}

impl Node {
    /// The value without places, for serde, and without the members at these paths. A list that holds such a path is
    /// left out as a whole, so that no index moves. `None` = the node itself is left out.
    pub(super) fn value_without(&self, left_out: &BTreeSet<String>, path: &str) -> Option<Value> {
        if left_out.contains(path) {
            return None;
        }
        match &self.kind {
            NodeKind::Scalar(value) => Some(value.clone()),
            NodeKind::Sequence(items) => {
                let items = items.iter().enumerate();
                let values = items.map(|(index, item)| item.value_without(left_out, &format!("{path}[{index}]")));
                values.collect::<Option<_>>().map(Value::Array)
            }
            NodeKind::Mapping(members) => {
                let mut object = Map::new();
                for (key, node) in members {
                    if let Some(value) = node.value_without(left_out, &join(path, &key.name)) {
                        // Of two members of one name the first counts, as for the check of the shape.
                        object.entry(key.name.as_str()).or_insert(value);
                    }
                }
                Some(Value::Object(object))
            }
        }
    }
}

/// What a `{` in a line most likely was meant to be, when the line is no YAML.
fn brace_hint(text: &str, mark: Mark) -> Option<&'static str> {
    // The scanner notices an open brace at the earliest in its own line, often in the one after it.
    let near = text.lines().take(mark.line).skip(mark.line.saturating_sub(2));
    let line = near.filter(|line| line.contains("${") || line.contains("{{")).last()?;
    Some(if line.contains("{{") {
        "put a template in quotes: `\"{{ settings.name }}\"`"
    } else {
        "inside `{ … }` and `[ … ]` put a reference in quotes: `\"${NAME}\"`"
    })
}

/// Whether `path` is `inner` or leads to it.
pub(super) fn leads_to(path: &str, inner: &str) -> bool {
    inner.strip_prefix(path).is_some_and(|rest| rest.is_empty() || path.is_empty() || rest.starts_with(['.', '[']))
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Mark), SyntaxError> {
        match self.parser.next() {
            Some(Ok((event, span))) => Ok((event, start(span))),
            Some(Err(error)) => {
                let mark = Mark { line: error.marker().line(), column: error.marker().col() + 1 };
                Err(SyntaxError { mark, why: error.info().to_owned(), hint: None })
            }
            None => Err(SyntaxError {
                mark: Mark { line: 1, column: 1 },
                why: "the file ends too early".to_owned(),
                hint: None,
            }),
        }
    }

    fn read_document(&mut self) -> Result<Node, SyntaxError> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
                (Event::StreamEnd, mark) => {
                    return Err(SyntaxError { mark, why: "the file is empty".to_owned(), hint: None });
                }
                (event, mark) => {
                    let root = self.read_node(event, mark, 0)?;
                    return self.expect_end().map(|()| root);
                }
            }
        }
    }

    fn expect_end(&mut self) -> Result<(), SyntaxError> {
        loop {
            match self.next()? {
                (Event::DocumentEnd | Event::Nothing, _) => {}
                (Event::StreamEnd, _) => return Ok(()),
                (_, mark) => {
                    let why = "a job file holds one document; a second one begins here".to_owned();
                    return Err(SyntaxError { mark, why, hint: None });
                }
            }
        }
    }

    fn read_node(&mut self, event: Event<'a>, mark: Mark, depth: usize) -> Result<Node, SyntaxError> {
        let error = |why: &str| SyntaxError { mark, why: why.to_owned(), hint: None };
        self.nodes += 1;
        let mut respelled = None;
        let (anchor, kind) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let value = scalar(&text, style);
                respelled = (value.is_number() && value.to_string() != text).then(|| text.into_owned());
                (anchor, NodeKind::Scalar(value))
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if depth >= DEPTH_MAX => {
                return Err(error("the file is nested too deeply"));
            }
            Event::SequenceStart(anchor, _) => (anchor, NodeKind::Sequence(self.read_sequence(depth)?)),
            Event::MappingStart(anchor, _) => (anchor, NodeKind::Mapping(self.read_mapping(depth)?)),
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).ok_or_else(|| error("an alias without its anchor"))?;
                let (nodes, levels) = extent(node);
                self.nodes += nodes;
                if self.nodes > NODES_MAX || depth + levels > DEPTH_MAX {
                    return Err(error("the aliases make the file too large or too deep"));
                }
                return Ok(Node { mark, ..node.clone() });
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => return Err(error("a value is missing")),
        };
        if self.nodes > NODES_MAX {
            return Err(error("the file holds too many values"));
        }
        let node = Node { mark, kind, respelled };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn read_sequence(&mut self, depth: usize) -> Result<Vec<Node>, SyntaxError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, mark) => items.push(self.read_node(event, mark, depth + 1)?),
            }
        }
    }

    fn read_mapping(&mut self, depth: usize) -> Result<Vec<(Key, Node)>, SyntaxError> {
        let mut members: Vec<(Key, Node)> = Vec::new();
        loop {
            let (event, mark) = self.next()?;
            let name = match event {
                Event::MappingEnd => return Ok(members),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(SyntaxError { mark, why: "a key must be a plain word".to_owned(), hint: None }),
            };
            let (event, value_mark) = self.next()?;
            let node = self.read_node(event, value_mark, depth + 1)?;
            members.push((Key { name, mark }, node));
        }
    }
}

/// Values below and including a node, and levels of nesting.
fn extent(node: &Node) -> (usize, usize) {
    let inner: Vec<(usize, usize)> = match &node.kind {
        NodeKind::Scalar(_) => return (1, 0),
        NodeKind::Sequence(items) => items.iter().map(extent).collect(),
        NodeKind::Mapping(members) => members.iter().map(|(_, node)| extent(node)).collect(),
    };
    let nodes: usize = inner.iter().map(|(nodes, _)| nodes).sum();
    let levels = inner.iter().map(|(_, levels)| *levels).max().unwrap_or(0);
    (1 + nodes, 1 + levels)
}

fn start(span: Span) -> Mark {
    Mark { line: span.start.line(), column: span.start.col() + 1 }
}

/// YAML 1.2 core schema; numbers that JSON cannot hold stay texts.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::String(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let radix =
        |prefix: &str, radix| digits.strip_prefix(prefix).and_then(|digits| i64::from_str_radix(digits, radix).ok());
    let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let integer = if is_integer {
        text.strip_prefix('+').unwrap_or(text).parse().ok()
    } else if digits.len() == text.len() && !digits.contains(['+', '-']) {
        radix("0x", 16).or_else(|| radix("0o", 8))
    } else {
        None
    };
    if let Some(integer) = integer {
        return Value::Number(integer.into());
    }
    // A whole number beyond 64 bits would lose digits as a float; as a text it keeps them.
    let is_float = !is_integer
        && digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    if is_float && let Some(number) = text.parse::<f64>().ok().and_then(Number::from_f64) {
        return Value::Number(number);
    }
    Value::String(text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(text: &str, expect: Value) {
        let tree = Tree::parse(text).unwrap();
        assert_eq!(tree.root.value_without(&BTreeSet::new(), ""), Some(expect), "{text}");
    }

    fn check_error(text: &str, line: usize, column: usize, why: &str, hint: &str) {
        let error = Tree::parse(text).unwrap_err();
        let said = (error.why.contains(why), error.hint.unwrap_or_default().contains(hint));
        assert_eq!((error.mark, said), (Mark { line, column }, (true, true)), "{text}: {error:?}");
    }

    #[test]
    fn scalars_follow_the_core_schema() {
        check(
            "[1, -2.5, yes, 'true', true, ~, 1.2.3, +7, .inf]",
            json!([1, -2.5, "yes", "true", true, null, "1.2.3", 7, ".inf"]),
        );
        check(
            "[0x1F, 0o17, 0x, 2024-01-31, '5', +, ., 1e3, 1e999]",
            json!([31, 15, "0x", "2024-01-31", "5", "+", ".", 1000.0, "1e999"]),
        );
        check("[no, on, off, Null, TRUE, 007]", json!(["no", "on", "off", null, true, 7]));
        check("[9223372036854775807, 9223372036854775808]", json!([i64::MAX, "9223372036854775808"]));
        check("a: &x [1]\nb: *x\nc: |\n  two\n  lines\n", json!({ "a": [1], "b": [1], "c": "two\nlines\n" }));
        check("token: ${NAME}\n$select: a,b", json!({ "token": "${NAME}", "$select": "a,b" }));
    }

    #[test]
    fn numbers_that_would_be_written_otherwise_are_known() {
        let tree = Tree::parse("[1.10, 007, 0x1F, 1e3, 1, 2.5, '1.10', 1.10.0]").unwrap();
        let NodeKind::Sequence(items) = tree.root.kind else { panic!("a list") };
        let respelled: Vec<_> = items.iter().map(|item| item.respelled.as_deref()).collect();
        assert_eq!(respelled, [Some("1.10"), Some("007"), Some("0x1F"), Some("1e3"), None, None, None, None]);
    }

    #[test]
    fn mistakes_have_their_place() {
        check_error("", 1, 1, "empty", "");
        check_error("a: 1\n---\nb: 2", 2, 1, "second", "");
        check_error("a: *x", 1, 4, "", "");
        check_error("a:\n  b: 1\n c: 2", 3, 2, "", "");
        check_error("a: \"open", 1, 4, "", "");
        check_error("a: { b: ${X} }", 1, 10, "", "put a reference in quotes");
        check_error("a: {{ x }}/b", 1, 5, "", "put a template in quotes");
    }

    #[test]
    fn aliases_and_nesting_are_bounded() {
        let bomb = (1..9).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, n| {
            format!("{text}a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(","))
        });
        assert!(Tree::parse(&bomb).unwrap_err().why.contains("too large"));
        let tower = (1..9).fold(format!("a0: &a0 {}1{}\n", "[".repeat(20), "]".repeat(20)), |text, n| {
            format!("{text}a{n}: &a{n} {}*a{}{}\n", "[".repeat(20), n - 1, "]".repeat(20))
        });
        assert!(Tree::parse(&tower).unwrap_err().why.contains("too deep"));
        assert!(Tree::parse(&"[".repeat(5000)).is_err());
        assert!(Tree::parse(&"- ".repeat(5000)).is_err());
    }

    #[test]
    fn paths_lead_to_places_and_read_back() {
        let tree = Tree::parse("a:\n  - b: 1\n  - b: 2\n    c: { d: 3, 'e.f[0]': 4 }\n").unwrap();
        assert_eq!(tree.mark("a[1].c.d"), Mark { line: 4, column: 13 });
        assert_eq!(tree.mark(&join("a[1].c", "e.f[0]")), Mark { line: 4, column: 26 });
        assert_eq!(tree.mark("a[1].nothing.x"), tree.mark("a[1]"));
        assert!(leads_to("a", "a[1].b") && leads_to("a.b", "a.b") && !leads_to("a.b", "a.bc") && !leads_to("a.b", "a"));
        let left_out = BTreeSet::from(["a[1].c.d".to_owned()]);
        let value = tree.root.value_without(&left_out, "").unwrap();
        assert_eq!(value, json!({ "a": [{ "b": 1 }, { "b": 2, "c": { "e.f[0]": 4 } }] }));
        assert_eq!(tree.root.value_without(&BTreeSet::from(["a[0]".to_owned()]), ""), Some(json!({})));
    }
}
