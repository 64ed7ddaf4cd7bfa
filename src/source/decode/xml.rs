//! XML: every element of one name below the root is a record. Attributes and children become members, children of the
//! same name a list, what is empty null.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Write};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::scalar::write_scalar;
use super::{Error, Records};
use crate::limits::JSON_DEPTH_MAX;
use crate::model::json_path::JsonPath;

/// What an element holds. Texts stay as they are written: no digit of a number is lost.
enum Node {
    Null,
    Text(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// An element that is being read.
struct Open {
    name: String,
    members: Vec<(String, Node)>,
    attributes: BTreeSet<String>,
    text: String,
    is_nil: bool,
}

/// Without a path, the elements below the root are records.
pub(super) fn read(
    input: impl BufRead,
    at: Option<&JsonPath>,
    records: &mut Records<'_, impl Write>,
) -> Result<(), Error> {
    let mut reader = Reader::from_reader(input);
    reader.config_mut().check_end_names = true;
    let wanted: Vec<&str> = at.map(|path| path.members().iter().map(String::as_str).collect()).unwrap_or_default();
    // Names from the root to the element being read.
    let mut path: Vec<String> = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut met: BTreeMap<String, u64> = BTreeMap::new();
    let mut seen = Seen::default();
    let count_before = records.count;
    let list_path = wanted.split_last().map_or(&[][..], |(_, above)| above);
    let mut buffer = Vec::new();
    loop {
        let place = reader.buffer_position();
        let wrong = |why: String| Error::Xml { why, at: place };
        buffer.clear();
        let event = reader.read_event_into(&mut buffer).map_err(|error| wrong(error.to_string()))?;
        match event {
            Event::Start(ref element) | Event::Empty(ref element) => {
                let name = local(element);
                if path.len() >= JSON_DEPTH_MAX {
                    return Err(wrong(format!("nested deeper than {JSON_DEPTH_MAX} levels (JSON_DEPTH_MAX)")));
                }
                if path.is_empty() && std::mem::replace(&mut seen.root, true) {
                    return Err(wrong("it has two roots".to_owned()));
                }
                if open.is_empty() {
                    seen.others |= !path.is_empty() && is_at(&path, list_path);
                    path.push(name.clone());
                    seen.list |= is_at(&path, list_path);
                } else {
                    path.push(name.clone());
                }
                if !open.is_empty() || is_record(&path, &wanted) {
                    open.push(opened(&reader, element, name)?);
                } else if path.len() > 1 && met.len() < 20 {
                    *met.entry(path[1..].join(".")).or_default() += 1;
                }
                if matches!(event, Event::Empty(_)) {
                    path.pop();
                    close(&mut open, records)?;
                }
            }
            Event::End(_) => {
                path.pop();
                close(&mut open, records)?;
            }
            Event::Text(text) => {
                let text = text.decode().map_err(|error| wrong(error.to_string()))?;
                match open.last_mut() {
                    Some(open) => open.text.push_str(&text),
                    None if path.is_empty() && !text.trim().is_empty() => {
                        return Err(wrong("text stands outside of the root".to_owned()));
                    }
                    None => {}
                }
            }
            Event::CData(text) => {
                if let Some(open) = open.last_mut() {
                    open.text.push_str(&text.decode().map_err(|error| wrong(error.to_string()))?);
                }
            }
            Event::GeneralRef(reference) => {
                let resolved = match reference.resolve_char_ref().map_err(|error| wrong(error.to_string()))? {
                    Some(character) => Some(character.to_string()),
                    None => {
                        let name = reference.decode().map_err(|error| wrong(error.to_string()))?;
                        quick_xml::escape::resolve_predefined_entity(&name).map(str::to_owned)
                    }
                };
                let resolved = resolved.ok_or_else(|| wrong("an entity is not defined".to_owned()))?;
                if let Some(open) = open.last_mut() {
                    open.text.push_str(&resolved);
                }
            }
            Event::DocType(_) => return Err(Error::Doctype),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof if path.is_empty() => break,
            Event::Eof => return Err(wrong(format!("`{}` is not closed", path.join(".")))),
        }
    }
    if !seen.root {
        return Err(Error::Xml { why: "it has no element".to_owned(), at: reader.buffer_position() });
    }
    // An empty list is no records; a list of other things, or none at all, is not what the job says.
    if records.count == count_before && !wanted.is_empty() && (seen.others || !seen.list) {
        let found: Vec<String> = met.keys().map(|name| format!("`{name}`")).take(8).collect();
        return Err(Error::XmlNoRecords { path: wanted.join("."), found: found.join(", ") });
    }
    Ok(())
}

/// What was met outside of records.
#[derive(Default)]
struct Seen {
    root: bool,
    /// The element whose children are records.
    list: bool,
    /// A child of it.
    others: bool,
}

/// Whether an element at this path, the root first, is a record.
fn is_record(path: &[String], wanted: &[&str]) -> bool {
    if wanted.is_empty() { path.len() == 2 } else { is_at(path, wanted) }
}

/// Whether a path is the one that is wanted, with or without the name of the root.
fn is_at(path: &[String], wanted: &[&str]) -> bool {
    path == wanted || path[1..] == *wanted
}

fn local(element: &BytesStart<'_>) -> String {
    String::from_utf8_lossy(element.local_name().as_ref()).into_owned()
}

fn opened<R>(reader: &Reader<R>, element: &BytesStart<'_>, name: String) -> Result<Open, Error> {
    let mut open = Open { name, members: Vec::new(), attributes: BTreeSet::new(), text: String::new(), is_nil: false };
    for attribute in element.attributes() {
        let wrong = |why: String| Error::Xml { why, at: reader.buffer_position() };
        let attribute = attribute.map_err(|error| wrong(error.to_string()))?;
        let key = attribute.key.as_ref();
        if key == b"xmlns" || key.starts_with(b"xmlns:") {
            continue;
        }
        let value = attribute
            .decoded_and_normalized_value(quick_xml::XmlVersion::Implicit1_0, reader.decoder())
            .map_err(|error| wrong(error.to_string()))?
            .into_owned();
        let name = String::from_utf8_lossy(attribute.key.local_name().as_ref()).into_owned();
        if name == "nil" && attribute.key.prefix().is_some() && matches!(value.as_str(), "true" | "1") {
            open.is_nil = true;
            continue;
        }
        if !open.attributes.insert(name.clone()) {
            return Err(Error::XmlTwice { element: open.name, name });
        }
        open.members.push((name, Node::Text(value)));
    }
    Ok(open)
}

/// Ends the innermost element that belongs to a record.
fn close(open: &mut Vec<Open>, records: &mut Records<'_, impl Write>) -> Result<(), Error> {
    let Some(ended) = open.pop() else { return Ok(()) };
    let text = ended.text.trim();
    let node = if ended.is_nil && !open.is_empty() {
        Node::Null
    } else if ended.members.is_empty() && !open.is_empty() {
        Node::Text(text.to_owned())
    } else {
        let mut members = ended.members;
        if !text.is_empty() {
            if members.iter().any(|(name, _)| name == "text") {
                return Err(Error::XmlTwice { element: ended.name, name: "text".to_owned() });
            }
            members.push(("text".to_owned(), Node::Text(text.to_owned())));
        }
        Node::Object(members)
    };
    match open.last_mut() {
        Some(above) => put(above, ended.name, node),
        None => {
            let mut record = Vec::new();
            write(&node, &mut record);
            records.add(&record)
        }
    }
}

/// Adds a child; the second of a name makes a list of both.
fn put(above: &mut Open, name: String, node: Node) -> Result<(), Error> {
    if above.attributes.contains(&name) {
        return Err(Error::XmlTwice { element: above.name.clone(), name });
    }
    match above.members.iter_mut().find(|(known, _)| *known == name) {
        None => above.members.push((name, node)),
        Some((_, Node::List(items))) => items.push(node),
        Some((_, known)) => {
            let first = std::mem::replace(known, Node::Null);
            *known = Node::List(vec![first, node]);
        }
    }
    Ok(())
}

fn write(node: &Node, out: &mut Vec<u8>) {
    match node {
        Node::Null => out.extend_from_slice(b"null"),
        Node::Text(text) => write_scalar(text, out),
        Node::List(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Node::Object(members) => {
            out.push(b'{');
            for (at, (name, member)) in members.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                // Writing into memory does not fail.
                let _ = serde_json::to_writer(&mut *out, name);
                out.push(b':');
                write(member, out);
            }
            out.push(b'}');
        }
    }
}
