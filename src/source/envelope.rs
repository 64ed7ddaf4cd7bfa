//! One pass over an answer: where the records array stands, how many records it holds, and what the members around it
//! say about paging. These are parsed; records are skipped by their brackets, and decoded where columns are known.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};
use std::ops::Range;

use jiter::{Jiter, JiterError, Peek};

use super::decode::{Error, READ_BYTES, Scanner, prove};
use crate::limits::ENVELOPE_BYTES_MAX;
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
const ENVELOPE_DEPTH: usize = 6;
/// Scalars kept of one answer: an envelope has a dozen; a single big object must not fill memory.
const ENVELOPE_SCALARS_MAX: usize = 2_000;

impl Envelope {
    /// Reads a document in memory to its end. Fails where it is cut, is no UTF-8, or something follows it, and where
    /// what stands around the lists is no valid JSON. What stands inside them is proved where it is decoded, or by
    /// `lists_beside`.
    pub(super) fn read(body: &[u8]) -> Result<Self, Error> {
        if let Err(error) = simdutf8::compat::from_utf8(body) {
            let why = "bytes that are not UTF-8".to_owned();
            return Err(Error::Json { why, at: error.valid_up_to() as u64 });
        }
        // No value is larger than the body, which is there already.
        Outline::read(body, body.len())
    }

    /// As `read`, for a document that is larger than memory allows, and with two differences: whether it is UTF-8 is
    /// told where records are decoded, and there are no `objects`, because their bytes are not at hand.
    pub(super) fn read_large(input: impl Read) -> Result<Self, Error> {
        let envelope = Outline::read(BufReader::with_capacity(READ_BYTES, input), ENVELOPE_BYTES_MAX)?;
        Ok(Envelope { objects: Vec::new(), ..envelope })
    }

    /// The lists that are not, and do not stand in, these bytes: nobody decodes them.
    pub(super) fn lists_beside(&self, read: &Range<usize>) -> impl Iterator<Item = &Range<usize>> {
        let is_beside = |list: &&Range<usize>| list.start < read.start || list.end > read.end;
        self.arrays.iter().filter(|array| array.items > 0).map(|array| &array.bytes).filter(is_beside)
    }

    pub(super) fn scalar(&self, path: &JsonPath) -> Option<&Scalar> {
        self.scalars.iter().find(|(found, _)| found == path.members()).map(|(_, scalar)| scalar)
    }
}

/// An envelope being read.
struct Outline {
    envelope: Envelope,
    /// Bytes around the lists that were copied, and may be.
    around: usize,
    around_max: usize,
}

impl Outline {
    fn read(input: impl BufRead, around_max: usize) -> Result<Envelope, Error> {
        let mut scanner = Scanner::new(input, (around_max, "ENVELOPE_BYTES_MAX"));
        let mut outline = Outline { envelope: Envelope::default(), around: 0, around_max };
        let mut path = Vec::new();
        scanner.skip_mark()?;
        let start = scanner.space()?;
        match scanner.peek()? {
            Some(b'{') => {
                outline.envelope.is_object = true;
                outline.object(&mut scanner, &mut path)?;
            }
            Some(b'[') => outline.array(&mut scanner, &path)?,
            Some(_) => drop(outline.scalar(&mut scanner)?),
            None => return Err(scanner.wrong("it is empty")),
        }
        outline.envelope.document = usize_of(start)..usize_of(scanner.at);
        scanner.space()?;
        match scanner.peek()? {
            Some(_) => Err(scanner.wrong("something follows it")),
            None => Ok(outline.envelope),
        }
    }

    fn object<R: BufRead>(&mut self, scanner: &mut Scanner<R>, path: &mut Vec<String>) -> Result<(), Error> {
        let mut names = HashSet::new();
        scanner.items(*b"{}", |scanner| {
            if scanner.peek()? != Some(b'"') {
                return Err(scanner.wrong("a name is expected"));
            }
            let Scalar::Text(name) = self.scalar(scanner)? else { unreachable!("it begins with a quote") };
            scanner.space()?;
            scanner.expect(b':')?;
            scanner.space()?;
            let is_new = names.insert(name.clone());
            path.push(name);
            if !is_new && self.envelope.twice.is_none() {
                self.envelope.twice = Some(path.clone());
            }
            self.member(scanner, path)?;
            path.pop();
            Ok(())
        })
    }

    fn member<R: BufRead>(&mut self, scanner: &mut Scanner<R>, path: &mut Vec<String>) -> Result<(), Error> {
        let start = usize_of(scanner.at);
        match scanner.peek()? {
            Some(b'[') => self.array(scanner, path)?,
            Some(b'{') if path.len() < ENVELOPE_DEPTH => {
                self.object(scanner, path)?;
                self.envelope.objects.push((path.clone(), start..usize_of(scanner.at)));
            }
            Some(b'{') => {
                let mut object = Vec::new();
                scanner.value(Some(&mut object))?;
                self.add_around(object.len())?;
                prove(object.as_slice(), start)?;
            }
            _ => {
                let scalar = self.scalar(scanner)?;
                if self.envelope.scalars.len() < ENVELOPE_SCALARS_MAX {
                    self.envelope.scalars.push((path.clone(), scalar));
                }
            }
        }
        Ok(())
    }

    fn array<R: BufRead>(&mut self, scanner: &mut Scanner<R>, path: &[String]) -> Result<(), Error> {
        let start = usize_of(scanner.at);
        let (mut items, mut last_item, mut is_of_objects) = (0, None, true);
        scanner.items(*b"[]", |scanner| {
            let start = usize_of(scanner.at);
            is_of_objects &= scanner.peek()? == Some(b'{');
            scanner.value(None)?;
            items += 1;
            last_item = Some(start..usize_of(scanner.at));
            Ok(())
        })?;
        let bytes = start..usize_of(scanner.at);
        self.envelope.arrays.push(ArrayFound { path: path.to_vec(), bytes, items, last_item, is_of_objects });
        Ok(())
    }

    fn scalar<R: BufRead>(&mut self, scanner: &mut Scanner<R>) -> Result<Scalar, Error> {
        let start = scanner.at;
        let mut text = Vec::new();
        scanner.value(Some(&mut text))?;
        self.add_around(text.len())?;
        parsed(&text).map_err(|error| Error::Json { why: error.error_type.to_string(), at: start + error.index as u64 })
    }

    fn add_around(&mut self, bytes: usize) -> Result<(), Error> {
        self.around += bytes;
        if self.around > self.around_max {
            let (limit, name) = (self.around_max, "ENVELOPE_BYTES_MAX");
            return Err(Error::Large { what: "what stands around the lists", limit, name });
        }
        Ok(())
    }
}

fn parsed(text: &[u8]) -> Result<Scalar, JiterError> {
    let mut jiter = Jiter::new(text);
    let scalar = match jiter.peek()? {
        Peek::Null => {
            jiter.known_null()?;
            Scalar::Null
        }
        peek @ (Peek::True | Peek::False) => Scalar::Boolean(jiter.known_bool(peek)?),
        Peek::String => Scalar::Text(jiter.known_str()?.to_owned()),
        peek => Scalar::Number(String::from_utf8_lossy(jiter.known_number_bytes(peek)?).into_owned()),
    };
    jiter.finish()?;
    Ok(scalar)
}

pub(super) fn usize_of(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

/// The items of a list, each as its bytes.
pub(super) fn items_of(list: &[u8]) -> Result<Vec<&[u8]>, Error> {
    let mut scanner = Scanner::new(list, (list.len(), "ENVELOPE_BYTES_MAX"));
    let mut items = Vec::new();
    scanner.items(*b"[]", |scanner| {
        let start = usize_of(scanner.at);
        scanner.value(None)?;
        items.push(&list[start..usize_of(scanner.at)]);
        Ok(())
    })?;
    Ok(items)
}
