//! YAML text into a tree that knows the place of every key and value. Scalars follow YAML 1.2's core schema: `yes` and
//! `on` are texts, a quoted value is always a text.

use std::collections::BTreeMap;

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
}

#[derive(Debug, Clone)]
pub(super) enum NodeKind {
    Scalar(Value),
    Sequence(Vec<Node>),
    /// In the order of the file.
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
}

/// A whole file.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub root: Node,
}

impl Tree {
    pub(super) fn parse(text: &str) -> Result<Self, SyntaxError> {
        let mut reader = Reader { parser: Parser::new_from_str(text), anchors: BTreeMap::new(), nodes: 0 };
        let root = reader.read_document()?;
        Ok(Tree { root })
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

fn steps(path: &str) -> impl Iterator<Item = Step<'_>> {
    path.split('.').filter(|part| !part.is_empty()).flat_map(|part| {
        let mut pieces = part.split('[');
        let name = pieces.next().filter(|name| !name.is_empty()).map(Step::Member);
        let items = pieces.filter_map(|piece| piece.trim_end_matches(']').parse().ok().map(Step::Item));
        name.into_iter().chain(items).collect::<Vec<_>>()
    })
}

impl Node {
    /// The value without places, for serde.
    pub(super) fn value(&self) -> Value {
        match &self.kind {
            NodeKind::Scalar(value) => value.clone(),
            NodeKind::Sequence(items) => Value::Array(items.iter().map(Node::value).collect()),
            NodeKind::Mapping(members) => {
                Value::Object(members.iter().map(|(key, node)| (key.name.clone(), node.value())).collect::<Map<_, _>>())
            }
        }
    }
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
                Err(SyntaxError { mark, why: error.info().to_owned() })
            }
            None => Err(SyntaxError { mark: Mark { line: 1, column: 1 }, why: "the file ends too early".to_owned() }),
        }
    }

    fn read_document(&mut self) -> Result<Node, SyntaxError> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
                (Event::StreamEnd, mark) => return Err(SyntaxError { mark, why: "the file is empty".to_owned() }),
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
                    return Err(SyntaxError {
                        mark,
                        why: "a job file holds one document; a second one begins here".to_owned(),
                    });
                }
            }
        }
    }

    fn read_node(&mut self, event: Event<'a>, mark: Mark, depth: usize) -> Result<Node, SyntaxError> {
        let error = |why: &str| SyntaxError { mark, why: why.to_owned() };
        self.nodes += 1;
        if depth > DEPTH_MAX || self.nodes > NODES_MAX {
            return Err(error("the file is nested too deeply or too large"));
        }
        let (anchor, kind) = match event {
            Event::Scalar(text, style, anchor, _) => (anchor, NodeKind::Scalar(scalar(&text, style))),
            Event::SequenceStart(anchor, _) => (anchor, NodeKind::Sequence(self.read_sequence(depth)?)),
            Event::MappingStart(anchor, _) => (anchor, NodeKind::Mapping(self.read_mapping(depth)?)),
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned().ok_or_else(|| error("an alias without its anchor"))?;
                self.nodes += size(&node);
                return Ok(Node { mark, ..node });
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => return Err(error("a value is missing")),
        };
        let node = Node { mark, kind };
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
                _ => return Err(SyntaxError { mark, why: "a key must be a plain word".to_owned() }),
            };
            if let Some((former, _)) = members.iter().find(|(key, _)| key.name == name) {
                let why =
                    format!("the key `{name}` stands here a second time; the first is in line {}", former.mark.line);
                return Err(SyntaxError { mark, why });
            }
            let (event, value_mark) = self.next()?;
            let node = self.read_node(event, value_mark, depth + 1)?;
            members.push((Key { name, mark }, node));
        }
    }
}

fn size(node: &Node) -> usize {
    match &node.kind {
        NodeKind::Scalar(_) => 1,
        NodeKind::Sequence(items) => 1 + items.iter().map(size).sum::<usize>(),
        NodeKind::Mapping(members) => 1 + members.iter().map(|(_, node)| size(node)).sum::<usize>(),
    }
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
    let starts_as_number = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if starts_as_number && let Ok(integer) = text.strip_prefix('+').unwrap_or(text).parse::<i64>() {
        return Value::Number(integer.into());
    }
    if starts_as_number
        && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'))
        && let Some(number) = text.parse::<f64>().ok().and_then(Number::from_f64)
    {
        return Value::Number(number);
    }
    Value::String(text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(text: &str, expect: Value) {
        assert_eq!(Tree::parse(text).expect("YAML").root.value(), expect, "{text}");
    }

    fn check_error(text: &str, line: usize, column: usize, why: &str) {
        let error = Tree::parse(text).expect_err("a mistake");
        assert_eq!((error.mark, error.why.contains(why)), (Mark { line, column }, true), "{error:?}");
    }

    #[test]
    fn scalars_follow_the_core_schema() {
        check(
            "a: 1\nb: -2.5\nc: yes\nd: 'true'\ne: true\nf: ~\ng: 1.2.3\nh: +7\ni: .inf\nj: 0x1F\nk: 2024-01-31",
            json!({
                "a": 1, "b": -2.5, "c": "yes", "d": "true", "e": true, "f": null, "g": "1.2.3", "h": 7, "i": ".inf",
                "j": "0x1F", "k": "2024-01-31"
            }),
        );
        check("a: &x [1]\nb: *x", json!({ "a": [1], "b": [1] }));
    }

    #[test]
    fn mistakes_have_their_place() {
        check_error("a: 1\nb: 2\na: 3", 3, 1, "line 1");
        check_error("", 1, 1, "empty");
        check_error("a: 1\n---\nb: 2", 2, 1, "second");
        assert!(Tree::parse("a: [1, 2").is_err());
        let bomb = (1..9).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, n| {
            format!("{text}a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(","))
        });
        assert!(Tree::parse(&bomb).is_err());
    }

    #[test]
    fn paths_lead_to_places() {
        let tree = Tree::parse("a:\n  - b: 1\n  - b: 2\n    c: { d: 3 }\n").expect("YAML");
        assert_eq!(tree.mark("a[1].c.d"), Mark { line: 4, column: 13 });
        assert_eq!(tree.mark("a[1].nothing.x"), tree.mark("a[1]"));
    }
}
