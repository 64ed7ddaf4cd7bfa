//! JSON lines: one object a line.

use std::io::{BufRead, Write};

use super::{Error, Records};
use crate::limits::JSON_RECORD_BYTES_MAX;

pub(super) fn read(mut input: impl BufRead, records: &mut Records<'_, impl Write>) -> Result<(), Error> {
    let mut text = Vec::new();
    let mut line = 0;
    loop {
        text.clear();
        line += 1;
        // A file without line breaks must not fill memory.
        let read = std::io::Read::take(&mut input, JSON_RECORD_BYTES_MAX as u64 + 1).read_until(b'\n', &mut text)?;
        if read == 0 {
            return Ok(());
        }
        if text.len() > JSON_RECORD_BYTES_MAX {
            let (limit, name) = (JSON_RECORD_BYTES_MAX, "JSON_RECORD_BYTES_MAX");
            return Err(Error::Large { what: "a line", limit, name });
        }
        let start = if line == 1 { text.strip_prefix(b"\xef\xbb\xbf".as_slice()).unwrap_or(&text) } else { &text };
        let record = start.trim_ascii();
        if record.is_empty() {
            continue;
        }
        let wrong = |why: &str| Error::Line { line, why: why.to_owned() };
        if !record.starts_with(b"{") {
            return Err(wrong("it does not begin with `{`"));
        }
        let mut jiter = jiter::Jiter::new(record);
        jiter.next_skip().map_err(|error| wrong(&error.error_type.to_string()))?;
        jiter.finish().map_err(|_| wrong("something follows it"))?;
        records.add(record)?;
    }
}
