//! A document looked through without being held: where its lists stand, how many items they have, and the members
//! around them. The same answer as `Envelope::read` gives for a document in memory.

use std::io::Read;
use std::ops::Range;

use super::{Error, READ_BYTES};
use crate::limits::ENVELOPE_BYTES_MAX;
use crate::source::envelope::{ArrayFound, ENVELOPE_DEPTH, Envelope};

/// Looks through a whole document.
pub(in crate::source) fn scan(input: impl Read) -> Result<Envelope, Error> {
    let mut scanner = Scanner::new(input, (ENVELOPE_BYTES_MAX, "ENVELOPE_BYTES_MAX"));
    let mut outline = Outline::default();
    let mut path = Vec::new();
    scanner.skip_mark()?;
    let start = scanner.space()?;
    match scanner.peek()? {
        Some(b'{') => outline.object(&mut scanner, &mut path)?,
        Some(b'[') => outline.array(&mut scanner, &path)?,
        Some(_) => outline.scalar(&mut scanner)?,
        None => return Err(scanner.wrong("it is empty")),
    }
    let end = scanner.at;
    scanner.space()?;
    if scanner.peek()?.is_some() {
        return Err(scanner.wrong("something follows it"));
    }
    // What is around the lists is small, and checked as JSON here.
    let around = Envelope::read(&outline.text)
        .map_err(|error| Error::Json { why: error.error_type.to_string(), at: start + error.index as u64 })?;
    Ok(Envelope {
        arrays: outline.arrays,
        document: usize_of(start)..usize_of(end),
        is_object: around.is_object,
        twice: around.twice,
        scalars: around.scalars,
        // Their bytes are not those of the document; a record that is one object is no large document.
        objects: Vec::new(),
    })
}

fn usize_of(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

/// The document with every list emptied.
#[derive(Default)]
struct Outline {
    text: Vec<u8>,
    arrays: Vec<ArrayFound>,
}

impl Outline {
    fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.text.len() + bytes.len() > ENVELOPE_BYTES_MAX {
            let (limit, name) = (ENVELOPE_BYTES_MAX, "ENVELOPE_BYTES_MAX");
            return Err(Error::Large { what: "what stands around the lists", limit, name });
        }
        self.text.extend_from_slice(bytes);
        Ok(())
    }

    fn object<R: Read>(&mut self, scanner: &mut Scanner<R>, path: &mut Vec<String>) -> Result<(), Error> {
        scanner.expect(b'{')?;
        self.push(b"{")?;
        scanner.space()?;
        if scanner.peek()? == Some(b'}') {
            scanner.expect(b'}')?;
            return self.push(b"}");
        }
        loop {
            scanner.space()?;
            let mut key = Vec::new();
            scanner.string(Some(&mut key))?;
            let name: String = serde_json::from_slice(&key).map_err(|_| scanner.wrong("a name is no text"))?;
            scanner.space()?;
            scanner.expect(b':')?;
            scanner.space()?;
            self.push(&key)?;
            self.push(b":")?;
            path.push(name);
            match scanner.peek()? {
                Some(b'[') => self.array(scanner, path)?,
                Some(b'{') if path.len() < ENVELOPE_DEPTH => self.object(scanner, path)?,
                Some(b'{') => {
                    scanner.value(None)?;
                    self.push(b"{}")?;
                }
                _ => self.scalar(scanner)?,
            }
            path.pop();
            scanner.space()?;
            match scanner.next()? {
                Some(b',') => self.push(b",")?,
                Some(b'}') => return self.push(b"}"),
                _ => return Err(scanner.wrong("an object is not closed")),
            }
        }
    }

    fn array<R: Read>(&mut self, scanner: &mut Scanner<R>, path: &[String]) -> Result<(), Error> {
        let start = usize_of(scanner.at);
        let mut found =
            ArrayFound { path: path.to_vec(), bytes: start..start, items: 0, last_item: None, is_of_objects: true };
        scanner.items(|scanner, is_object| {
            let start = usize_of(scanner.at);
            scanner.value(None)?;
            found.items += 1;
            found.is_of_objects &= is_object;
            found.last_item = Some(start..usize_of(scanner.at));
            Ok(())
        })?;
        found.bytes.end = usize_of(scanner.at);
        self.arrays.push(found);
        self.push(b"[]")
    }

    fn scalar<R: Read>(&mut self, scanner: &mut Scanner<R>) -> Result<(), Error> {
        let mut text = Vec::new();
        scanner.value(Some(&mut text))?;
        self.push(&text)
    }
}

/// Reads JSON byte by byte, in blocks.
pub(super) struct Scanner<R> {
    input: R,
    block: Vec<u8>,
    filled: Range<usize>,
    /// Place in the document.
    pub(super) at: u64,
    /// What may be copied of one value, with its name.
    pub(super) copy_max: (usize, &'static str),
}

impl<R: Read> Scanner<R> {
    pub(super) fn new(input: R, copy_max: (usize, &'static str)) -> Self {
        Scanner { input, block: vec![0; READ_BYTES], filled: 0..0, at: 0, copy_max }
    }

    pub(super) fn wrong(&self, why: &str) -> Error {
        Error::Json { why: why.to_owned(), at: self.at }
    }

    /// Bytes that are at hand; none = the end.
    pub(super) fn at_hand(&mut self) -> Result<&[u8], Error> {
        if self.filled.is_empty() {
            let read = loop {
                match self.input.read(&mut self.block) {
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    read => break read?,
                }
            };
            self.filled = 0..read;
        }
        Ok(&self.block[self.filled.clone()])
    }

    pub(super) fn advance(&mut self, bytes: usize) {
        self.filled.start += bytes;
        self.at += bytes as u64;
    }

    pub(super) fn peek(&mut self) -> Result<Option<u8>, Error> {
        Ok(self.at_hand()?.first().copied())
    }

    /// Goes over the byte that was looked at.
    pub(super) fn step(&mut self) -> Result<(), Error> {
        self.next().map(drop)
    }

    pub(super) fn next(&mut self) -> Result<Option<u8>, Error> {
        let byte = self.peek()?;
        if byte.is_some() {
            self.advance(1);
        }
        Ok(byte)
    }

    pub(super) fn expect(&mut self, wanted: u8) -> Result<(), Error> {
        match self.next()? {
            Some(byte) if byte == wanted => Ok(()),
            _ => Err(self.wrong(&format!("`{}` is missing", char::from(wanted)))),
        }
    }

    /// A byte order mark is not JSON (RFC 8259 section 8.1), but .NET services send it.
    fn skip_mark(&mut self) -> Result<(), Error> {
        if self.peek()? == Some(0xef) {
            for byte in *b"\xef\xbb\xbf" {
                self.expect(byte)?;
            }
        }
        Ok(())
    }

    /// Skips white space and tells where it ends.
    pub(super) fn space(&mut self) -> Result<u64, Error> {
        loop {
            let hand = self.at_hand()?;
            let count = hand.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
            let is_over = count < hand.len() || hand.is_empty();
            self.advance(count);
            if is_over {
                return Ok(self.at);
            }
        }
    }

    /// Reads a list; `item` is called at the start of every item, and told whether it is an object.
    pub(super) fn items(&mut self, mut item: impl FnMut(&mut Self, bool) -> Result<(), Error>) -> Result<(), Error> {
        self.expect(b'[')?;
        self.space()?;
        if self.peek()? == Some(b']') {
            return self.expect(b']');
        }
        loop {
            self.space()?;
            let is_object = self.peek()? == Some(b'{');
            item(self, is_object)?;
            self.space()?;
            match self.next()? {
                Some(b',') => {}
                Some(b']') => return Ok(()),
                _ => return Err(self.wrong("a list is not closed")),
            }
        }
    }
}
