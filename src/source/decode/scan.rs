//! JSON gone through without being parsed: values are skipped or copied, lists and objects walked item by item. It
//! serves documents in memory and those that are larger alike.

use std::io::{BufRead, ErrorKind};

use super::Error;
use super::nest::{Nest, begins_word};

/// A place in a JSON document.
pub(in crate::source) struct Scanner<R> {
    input: R,
    /// Place in the document.
    pub(in crate::source) at: u64,
    /// What may be copied of one value, with its name.
    copy_max: (usize, &'static str),
    nest: Nest,
}

impl<R: BufRead> Scanner<R> {
    pub(in crate::source) fn new(input: R, copy_max: (usize, &'static str)) -> Self {
        Scanner { input, at: 0, copy_max, nest: Nest::new() }
    }

    pub(in crate::source) fn wrong(&self, why: &str) -> Error {
        Error::Json { why: why.to_owned(), at: self.at }
    }

    /// Bytes that are at hand; none = the end.
    fn at_hand(&mut self) -> Result<&[u8], Error> {
        at_hand(&mut self.input)
    }

    fn advance(&mut self, bytes: usize) {
        self.input.consume(bytes);
        self.at += bytes as u64;
    }

    pub(in crate::source) fn peek(&mut self) -> Result<Option<u8>, Error> {
        Ok(self.at_hand()?.first().copied())
    }

    /// Goes over the byte that was looked at.
    pub(super) fn step(&mut self) -> Result<(), Error> {
        self.next().map(drop)
    }

    fn next(&mut self) -> Result<Option<u8>, Error> {
        let byte = self.peek()?;
        if byte.is_some() {
            self.advance(1);
        }
        Ok(byte)
    }

    pub(in crate::source) fn expect(&mut self, wanted: u8) -> Result<(), Error> {
        match self.next()? {
            Some(byte) if byte == wanted => Ok(()),
            _ => Err(self.wrong(&format!("`{}` is missing", char::from(wanted)))),
        }
    }

    /// A byte order mark is not JSON (RFC 8259 section 8.1), but .NET services send it.
    pub(in crate::source) fn skip_mark(&mut self) -> Result<(), Error> {
        if self.peek()? == Some(0xef) {
            for byte in *b"\xef\xbb\xbf" {
                self.expect(byte)?;
            }
        }
        Ok(())
    }

    /// Skips white space and tells where it ends.
    pub(in crate::source) fn space(&mut self) -> Result<u64, Error> {
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

    /// Goes through a list or an object, whose brackets are given; `item` is called at the start of every item.
    pub(in crate::source) fn items(
        &mut self,
        [open, close]: [u8; 2],
        mut item: impl FnMut(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.expect(open)?;
        self.space()?;
        if self.peek()? == Some(close) {
            return self.step();
        }
        loop {
            self.space()?;
            item(self)?;
            self.space()?;
            match self.next()? {
                Some(b',') => {}
                Some(byte) if byte == close => return Ok(()),
                Some(_) => return Err(self.wrong("a comma is expected")),
                None => return Err(self.wrong("it ends in the middle")),
            }
        }
    }

    /// Skips a text with its quotes, or copies it.
    fn text(&mut self, mut copy: Option<&mut Vec<u8>>) -> Result<(), Error> {
        self.pass(1, copy.as_deref_mut())?;
        loop {
            let hand = self.at_hand()?;
            if hand.is_empty() {
                return Err(self.wrong("a text is not closed"));
            }
            let found = memchr::memchr2(b'"', b'\\', hand);
            let is_closed = found.is_some_and(|at| hand[at] == b'"');
            let count = found.map_or(hand.len(), |at| at + 1);
            self.pass(count, copy.as_deref_mut())?;
            if is_closed {
                return Ok(());
            }
            if found.is_some() {
                if self.peek()?.is_none() {
                    return Err(self.wrong("a text is not closed"));
                }
                self.pass(1, copy.as_deref_mut())?;
            }
        }
    }

    /// Skips a value, or copies it. What stands inside is proved where it is used; that it ends is proved here.
    pub(in crate::source) fn value(&mut self, copy: Option<&mut Vec<u8>>) -> Result<(), Error> {
        match self.peek()? {
            Some(b'{' | b'[') => self.nested(copy),
            Some(b'"') => self.text(copy),
            Some(byte) if begins_word(byte) => self.word(copy),
            Some(_) => Err(self.wrong("a value is expected")),
            None => Err(self.wrong("it ends in the middle")),
        }
    }

    /// An object or a list.
    fn nested(&mut self, mut copy: Option<&mut Vec<u8>>) -> Result<(), Error> {
        loop {
            let hand = at_hand(&mut self.input)?;
            if hand.is_empty() {
                return Err(self.wrong("it ends in the middle"));
            }
            let end = match self.nest.feed(hand) {
                Ok(end) => end,
                Err(wrong) => return Err(Error::Json { why: wrong.why.to_owned(), at: self.at + wrong.at as u64 }),
            };
            let count = end.unwrap_or(hand.len());
            self.pass(count, copy.as_deref_mut())?;
            if end.is_some() {
                return Ok(());
            }
        }
    }

    /// A number, true, false or null.
    fn word(&mut self, mut copy: Option<&mut Vec<u8>>) -> Result<(), Error> {
        loop {
            let hand = self.at_hand()?;
            let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
            let count = hand.iter().take_while(is_part).count();
            let is_over = count < hand.len() || hand.is_empty();
            self.pass(count, copy.as_deref_mut())?;
            if is_over {
                return Ok(());
            }
        }
    }

    /// Goes over so many of the bytes at hand, and copies them where that is wanted.
    fn pass(&mut self, count: usize, copy: Option<&mut Vec<u8>>) -> Result<(), Error> {
        if let Some(copy) = copy {
            copy.extend_from_slice(&self.at_hand()?[..count]);
            let (limit, name) = self.copy_max;
            if copy.len() > limit {
                return Err(Error::Large { what: "one value", limit, name });
            }
        }
        self.advance(count);
        Ok(())
    }
}

fn at_hand(input: &mut impl BufRead) -> Result<&[u8], Error> {
    while let Err(error) = input.fill_buf() {
        if error.kind() != ErrorKind::Interrupted {
            return Err(error.into());
        }
    }
    Ok(input.fill_buf()?)
}
