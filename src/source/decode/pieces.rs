//! A list too large for memory, in pieces: each the text of a JSON array with some of its records.

use std::io::{BufReader, Read, Seek, SeekFrom, Take};
use std::ops::Range;

use bytes::Bytes;

use super::scan::Scanner;
use super::{Document, Error, READ_BYTES};
use crate::limits::{JSON_RECORD_BYTES_MAX, PIECE_BYTES};

/// The records of a list in a document that was looked through before.
pub(in crate::source) struct Pieces {
    scanner: Scanner<BufReader<Take<Document>>>,
    is_begun: bool,
    is_over: bool,
}

impl Pieces {
    /// The list at these bytes of a document.
    pub(in crate::source) fn new(mut document: Document, list: Range<usize>) -> Result<Self, Error> {
        document.seek(SeekFrom::Start(list.start as u64))?;
        let scanner = Scanner::new(
            BufReader::with_capacity(READ_BYTES, document.take(list.len() as u64)),
            (PIECE_BYTES + JSON_RECORD_BYTES_MAX, "JSON_RECORD_BYTES_MAX"),
        );
        Ok(Pieces { scanner, is_begun: false, is_over: false })
    }

    /// The next piece. `None` = all were given.
    pub(in crate::source) fn next_piece(&mut self) -> Result<Option<Bytes>, Error> {
        if self.is_over {
            return Ok(None);
        }
        let mut piece = Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 8);
        piece.push(b'[');
        while piece.len() < PIECE_BYTES {
            if !self.next_item()? {
                self.is_over = true;
                break;
            }
            if piece.len() > 1 {
                piece.push(b',');
            }
            let start = piece.len();
            self.scanner.value(Some(&mut piece))?;
            if piece.len() - start > JSON_RECORD_BYTES_MAX {
                let (limit, name) = (JSON_RECORD_BYTES_MAX, "JSON_RECORD_BYTES_MAX");
                return Err(Error::Large { what: "one record", limit, name });
            }
        }
        if piece.len() == 1 {
            return Ok(None);
        }
        piece.push(b']');
        Ok(Some(piece.into()))
    }

    /// Goes to the start of the next item. `false` = there is none.
    fn next_item(&mut self) -> Result<bool, Error> {
        self.scanner.space()?;
        let byte = self.scanner.peek()?;
        match (byte, self.is_begun) {
            (Some(b'['), false) | (Some(b','), true) => {
                self.is_begun = true;
                self.scanner.step()?;
                self.scanner.space()?;
                // An empty list.
                Ok(self.scanner.peek()? != Some(b']'))
            }
            (Some(b']'), true) => Ok(false),
            _ => Err(self.scanner.wrong("a list is not closed")),
        }
    }
}
