//! One pass over an answer: where the records array stands, how many records it holds, and what the members around it
//! say about paging. Records are skipped, not parsed: they are decoded where columns are known.

use std::collections::HashSet;
use std::ops::Range;

use jiter::{Jiter, JiterError, Peek};

use crate::limits::JSON_DEPTH_MAX;
use crate::model::json_path::JsonPath;

/// An array met on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ArrayFound {
    pub path: Vec<String>,
    pub bytes: Range<usize>,
    pub items: u64,
    /// Absent = the array is empty.
    pub last_item: Option<Range<usize>>,
    /// All items are objects; true of an empty array too.
    pub is_of_objects: bool,
}

/// A scalar, kept as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scalar {
    Null,
    Boolean(bool),
    Number(String),
    Text(String),
}

impl Scalar {
    /// As a token or link; `None` = null, empty or false: there is no next page.
    pub(super) fn token(&self) -> Option<String> {
        match self {
            Scalar::Null | Scalar::Boolean(_) => None,
            Scalar::Number(text) | Scalar::Text(text) => Some(text.clone()).filter(|text| !text.trim().is_empty()),
        }
    }

    /// As a count; OData v2 sends it as text.
    pub(super) fn count(&self) -> Option<u64> {
        match self {
            Scalar::Null | Scalar::Boolean(_) => None,
            Scalar::Number(text) | Scalar::Text(text) => text.trim().parse().ok(),
        }
    }

    /// As a flag; some APIs send it as text or number.
    pub(super) fn flag(&self) -> Option<bool> {
        match self {
            // Neither says that it was the last page.
            Scalar::Null => None,
            Scalar::Boolean(flag) => Some(*flag),
            Scalar::Number(text) | Scalar::Text(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "y" | "yes" => Some(true),
                "false" | "0" | "n" | "no" => Some(false),
                _ => None,
            },
        }
    }
}

/// What an answer holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Envelope {
    pub arrays: Vec<ArrayFound>,
    /// The document is one object: its bytes.
    pub document: Range<usize>,
    pub is_object: bool,
    /// Scalars outside records, down to `ENVELOPE_DEPTH`, with their paths.
    pub scalars: Vec<(Vec<String>, Scalar)>,
    /// Objects outside records, with their bytes.
    pub objects: Vec<(Vec<String>, Range<usize>)>,
    /// The first member outside records that stands twice in its object: which one is meant, nobody knows.
    pub twice: Option<Vec<String>>,
}

/// Objects around the records that are looked into: `d.results`, `data.search.items`, `meta.pagination.links.next`.
pub(super) const ENVELOPE_DEPTH: usize = 6;
/// Scalars kept of one answer: an envelope has a dozen; a single big object must not fill memory.
const ENVELOPE_SCALARS_MAX: usize = 2_000;

impl Envelope {
    /// Reads a whole document and fails when it is not valid JSON to its end.
    pub(super) fn read(body: &[u8]) -> Result<Self, JiterError> {
        let mut envelope = Envelope::default();
        let mut jiter = Jiter::new(body);
        let peek = jiter.peek()?;
        let start = jiter.current_index();
        let mut path = Vec::new();
        match peek {
            Peek::Array => envelope.read_array(&mut jiter, &path)?,
            Peek::Object => {
                envelope.is_object = true;
                envelope.read_object(&mut jiter, &mut path)?;
            }
            _ => jiter.known_skip(peek)?,
        }
        envelope.document = start..jiter.current_index();
        jiter.finish()?;
        Ok(envelope)
    }

    pub(super) fn scalar(&self, path: &JsonPath) -> Option<&Scalar> {
        self.scalars.iter().find(|(found, _)| found == path.members()).map(|(_, scalar)| scalar)
    }

    fn read_object(&mut self, jiter: &mut Jiter<'_>, path: &mut Vec<String>) -> Result<(), JiterError> {
        let mut names = HashSet::new();
        let mut key = jiter.known_object()?.map(str::to_owned);
        while let Some(name) = key {
            let is_new = names.insert(name.clone());
            path.push(name);
            if !is_new && self.twice.is_none() {
                self.twice = Some(path.clone());
            }
            let peek = jiter.peek()?;
            self.read_member(jiter, peek, path)?;
            path.pop();
            key = jiter.next_key()?.map(str::to_owned);
        }
        Ok(())
    }

    fn read_member(&mut self, jiter: &mut Jiter<'_>, peek: Peek, path: &mut Vec<String>) -> Result<(), JiterError> {
        let start = jiter.current_index();
        match peek {
            Peek::Array => return self.read_array(jiter, path),
            Peek::Object if path.len() < ENVELOPE_DEPTH.min(JSON_DEPTH_MAX) => {
                self.read_object(jiter, path)?;
                self.objects.push((path.clone(), start..jiter.current_index()));
            }
            Peek::Object => jiter.known_skip(peek)?,
            Peek::Null => {
                jiter.known_null()?;
                self.keep(path, Scalar::Null);
            }
            Peek::True | Peek::False => {
                let flag = jiter.known_bool(peek)?;
                self.keep(path, Scalar::Boolean(flag));
            }
            Peek::String => {
                let text = jiter.known_str()?.to_owned();
                self.keep(path, Scalar::Text(text));
            }
            _ => {
                let text = String::from_utf8_lossy(jiter.known_number_bytes(peek)?).into_owned();
                self.keep(path, Scalar::Number(text));
            }
        }
        Ok(())
    }

    fn keep(&mut self, path: &[String], scalar: Scalar) {
        if self.scalars.len() < ENVELOPE_SCALARS_MAX {
            self.scalars.push((path.to_vec(), scalar));
        }
    }

    fn read_array(&mut self, jiter: &mut Jiter<'_>, path: &[String]) -> Result<(), JiterError> {
        let start = jiter.current_index();
        let mut found =
            ArrayFound { path: path.to_vec(), bytes: start..start, items: 0, last_item: None, is_of_objects: true };
        let mut item = jiter.known_array()?;
        while let Some(peek) = item {
            let start = jiter.current_index();
            jiter.known_skip(peek)?;
            found.items += 1;
            found.is_of_objects &= peek == Peek::Object;
            found.last_item = Some(start..jiter.current_index());
            item = jiter.array_step()?;
        }
        found.bytes.end = jiter.current_index();
        self.arrays.push(found);
        Ok(())
    }
}

/// The scalar at a path inside one record. `None` = not there, or no scalar.
pub(super) fn scalar_in_record(record: &[u8], path: &JsonPath) -> Option<Scalar> {
    let envelope = Envelope::read(record).ok()?;
    envelope.scalar(path).cloned()
}

/// The items of a list, each as its bytes.
pub(super) fn items_of(list: &[u8]) -> Result<Vec<&[u8]>, JiterError> {
    let mut jiter = Jiter::new(list);
    let mut ranges = Vec::new();
    let mut item = jiter.next_array()?;
    while let Some(peek) = item {
        let start = jiter.current_index();
        jiter.known_skip(peek)?;
        ranges.push(start..jiter.current_index());
        item = jiter.array_step()?;
    }
    Ok(ranges.into_iter().map(|range| &list[range]).collect())
}
