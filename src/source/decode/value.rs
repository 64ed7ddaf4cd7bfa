//! One JSON value while it is skipped or copied: the grammar of RFC 8259 to the letter, because what is skipped here may
//! be read by nobody else, and because a copy leaves out the blanks that keep `1 000` from being a number.
//!
//! Whether strings are UTF-8 is not looked at: those that become values are, where they do.

use std::io::Read;

use super::Error;
use super::scan::Scanner;
use crate::limits::JSON_DEPTH_MAX;

/// What may come next inside of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    /// Behind `[`.
    ValueOrEnd,
    /// Behind `{`.
    KeyOrEnd,
    Key,
    /// Behind a value inside of a list or an object.
    CommaOrEnd,
}

/// How far a number was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Digits {
    Sign,
    /// A zero before the point: no other digit follows.
    Zero,
    Whole,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

impl Digits {
    /// After one more byte; `None` = it cannot stand there.
    fn after(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Digits::Sign, b'0') => Digits::Zero,
            (Digits::Sign, b'1'..=b'9') | (Digits::Whole, b'0'..=b'9') => Digits::Whole,
            (Digits::Zero | Digits::Whole, b'.') => Digits::Point,
            (Digits::Point | Digits::Fraction, b'0'..=b'9') => Digits::Fraction,
            (Digits::Zero | Digits::Whole | Digits::Fraction, b'e' | b'E') => Digits::Exponent,
            (Digits::Exponent, b'+' | b'-') => Digits::ExponentSign,
            (Digits::Exponent | Digits::ExponentSign | Digits::ExponentDigits, b'0'..=b'9') => Digits::ExponentDigits,
            _ => return None,
        })
    }

    fn is_complete(self) -> bool {
        matches!(self, Digits::Zero | Digits::Whole | Digits::Fraction | Digits::ExponentDigits)
    }
}

impl<R: Read> Scanner<R> {
    /// Skips a value, or copies it without the blanks between its tokens.
    pub(super) fn value(&mut self, mut copy: Option<&mut Vec<u8>>) -> Result<(), Error> {
        // The closing brackets that are to come.
        let mut open: Vec<u8> = Vec::new();
        let mut next = Next::Value;
        loop {
            self.check_copy(copy.as_deref())?;
            self.space()?;
            let Some(byte) = self.peek()? else { return Err(self.wrong("it ends in the middle")) };
            next = match (next, byte) {
                (Next::ValueOrEnd | Next::KeyOrEnd | Next::CommaOrEnd, b']' | b'}') if open.last() == Some(&byte) => {
                    open.pop();
                    self.one(byte, copy.as_deref_mut());
                    Next::CommaOrEnd
                }
                (Next::CommaOrEnd, b',') => {
                    self.one(byte, copy.as_deref_mut());
                    if open.last() == Some(&b'}') { Next::Key } else { Next::Value }
                }
                (Next::CommaOrEnd, _) => return Err(self.wrong("a list or an object is not closed")),
                (Next::Key | Next::KeyOrEnd, b'"') => {
                    self.string(copy.as_deref_mut())?;
                    self.space()?;
                    self.expect(b':')?;
                    if let Some(copy) = copy.as_deref_mut() {
                        copy.push(b':');
                    }
                    Next::Value
                }
                (Next::Key | Next::KeyOrEnd, _) => return Err(self.wrong("a name is expected")),
                (Next::Value | Next::ValueOrEnd, b'{' | b'[') => {
                    if open.len() == JSON_DEPTH_MAX {
                        return Err(self.wrong("it is nested deeper than JSON_DEPTH_MAX"));
                    }
                    open.push(byte + 2);
                    self.one(byte, copy.as_deref_mut());
                    if byte == b'{' { Next::KeyOrEnd } else { Next::ValueOrEnd }
                }
                (Next::Value | Next::ValueOrEnd, _) => {
                    self.scalar(byte, copy.as_deref_mut())?;
                    Next::CommaOrEnd
                }
            };
            if open.is_empty() {
                return Ok(());
            }
        }
    }

    /// Skips a string with its quotes, or copies it.
    pub(super) fn string(&mut self, mut copy: Option<&mut Vec<u8>>) -> Result<(), Error> {
        self.expect(b'"')?;
        if let Some(copy) = copy.as_deref_mut() {
            copy.push(b'"');
        }
        loop {
            let hand = self.at_hand()?;
            if hand.is_empty() {
                return Err(self.wrong("a text is not closed"));
            }
            let found = memchr::memchr2(b'"', b'\\', hand);
            let count = found.unwrap_or(hand.len());
            // A fold instead of `any`: without an early end the loop runs over many bytes at once.
            if hand[..count].iter().fold(false, |is, byte| is | (*byte < b' ')) {
                return Err(self.wrong("a text holds a control character"));
            }
            if let Some(copy) = copy.as_deref_mut() {
                copy.extend_from_slice(&hand[..count]);
            }
            self.advance(count);
            self.check_copy(copy.as_deref())?;
            match found.map(|_| self.peek()).transpose()?.flatten() {
                None => {}
                Some(b'"') => {
                    self.one(b'"', copy.as_deref_mut());
                    return Ok(());
                }
                Some(_) => self.escape(copy.as_deref_mut())?,
            }
        }
    }

    /// An escape, or the two of a character beyond 16 bits.
    fn escape(&mut self, mut copy: Option<&mut Vec<u8>>) -> Result<(), Error> {
        let Some(unit) = self.escaped(copy.as_deref_mut())? else { return Ok(()) };
        match unit {
            0xdc00..=0xdfff => Err(self.wrong("half of a character is escaped")),
            0xd800..=0xdbff => {
                let is_escape = self.peek()? == Some(b'\\');
                match if is_escape { self.escaped(copy)? } else { None } {
                    Some(0xdc00..=0xdfff) => Ok(()),
                    _ => Err(self.wrong("half of a character is escaped")),
                }
            }
            _ => Ok(()),
        }
    }

    /// One escape; the unit of UTF-16 that it names by its number.
    fn escaped(&mut self, mut copy: Option<&mut Vec<u8>>) -> Result<Option<u32>, Error> {
        self.one(b'\\', copy.as_deref_mut());
        let byte = self.peek()?;
        match byte {
            Some(byte @ (b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't')) => {
                self.one(byte, copy);
                return Ok(None);
            }
            Some(b'u') => self.one(b'u', copy.as_deref_mut()),
            _ => return Err(self.wrong("an escape is unknown")),
        }
        let mut unit = 0;
        for _ in 0..4 {
            let byte = self.peek()?.unwrap_or_default();
            let Some(digit) = char::from(byte).to_digit(16) else { return Err(self.wrong("an escape is unknown")) };
            unit = unit * 16 + digit;
            self.one(byte, copy.as_deref_mut());
        }
        Ok(Some(unit))
    }

    /// A string, a number, true, false or null, which begins with `byte`.
    fn scalar(&mut self, byte: u8, copy: Option<&mut Vec<u8>>) -> Result<(), Error> {
        match byte {
            b'"' => self.string(copy),
            b'-' | b'0'..=b'9' => self.number(byte, copy),
            b't' => self.literal("true", copy),
            b'f' => self.literal("false", copy),
            b'n' => self.literal("null", copy),
            _ => Err(self.wrong("a value is expected")),
        }
    }

    fn literal(&mut self, word: &str, mut copy: Option<&mut Vec<u8>>) -> Result<(), Error> {
        for byte in word.bytes() {
            self.expect(byte)?;
            if let Some(copy) = copy.as_deref_mut() {
                copy.push(byte);
            }
        }
        Ok(())
    }

    fn number(&mut self, first: u8, mut copy: Option<&mut Vec<u8>>) -> Result<(), Error> {
        self.one(first, copy.as_deref_mut());
        let mut digits = match first {
            b'-' => Digits::Sign,
            b'0' => Digits::Zero,
            _ => Digits::Whole,
        };
        loop {
            let hand = self.at_hand()?;
            let mut count = 0;
            while let Some(after) = hand.get(count).and_then(|byte| digits.after(*byte)) {
                digits = after;
                count += 1;
            }
            let is_over = count < hand.len() || hand.is_empty();
            if let Some(copy) = copy.as_deref_mut() {
                copy.extend_from_slice(&hand[..count]);
            }
            self.advance(count);
            self.check_copy(copy.as_deref())?;
            if is_over {
                return if digits.is_complete() { Ok(()) } else { Err(self.wrong("a number is not complete")) };
            }
        }
    }

    fn check_copy(&self, copy: Option<&Vec<u8>>) -> Result<(), Error> {
        let (limit, name) = self.copy_max;
        match copy {
            Some(copy) if copy.len() > limit => Err(Error::Large { what: "one value", limit, name }),
            _ => Ok(()),
        }
    }

    /// Goes over a byte that was looked at.
    fn one(&mut self, byte: u8, copy: Option<&mut Vec<u8>>) {
        self.advance(1);
        if let Some(copy) = copy {
            copy.push(byte);
        }
    }
}
