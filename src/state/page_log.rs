//! Pages of an unfinished run in a file of this machine, in the order in which they were written. What a killed process
//! leaves is whole up to its last frame: a torn one is cut off when the file is opened again.
//!
//! Format 1: frames of `head bytes: u32 | body bytes: u32 | CRC-32 of both: u32 | head | body`, little endian. The head is
//! JSON of whoever writes the log, the body bytes as they are. The process may be killed anywhere, so nothing is synced:
//! when the power fails the checksums tell, and the run begins anew.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Clock;
use crate::limits::{PAGE_LOG_AGE, PAGE_LOG_BUFFER_BYTES};

const FRAME_BYTES: u64 = 12;

/// A log that is open for writing.
#[derive(Debug)]
pub(crate) struct PageLog {
    /// Appends, wherever it was read from last.
    file: File,
    buffer: Vec<u8>,
    /// When the buffer was empty last.
    flushed_at: Duration,
    bytes: u64,
}

/// A frame of a log that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub head: String,
    body_at: u64,
    body_bytes: u32,
}

impl PageLog {
    /// A new log; one that was there is gone.
    pub(crate) fn create(path: &Path) -> std::io::Result<Self> {
        let _ = std::fs::remove_file(path);
        let mut options = OpenOptions::new();
        options.read(true).append(true).create_new(true);
        // Records of the source, as private as the folder around them.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self::of(options.open(path)?, 0))
    }

    /// Puts a log in place that another machine wrote.
    pub(crate) fn restore(path: &Path, log: &[u8]) -> std::io::Result<()> {
        Self::create(path)?.file.write_all(log)
    }

    /// Opens a log with its whole frames, and goes on behind them. `None` = there is none.
    pub(crate) fn open(path: &Path) -> std::io::Result<Option<(Self, Vec<Frame>)>> {
        let file = match OpenOptions::new().read(true).append(true).open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let frames = read_frames(&file)?;
        let at = frames.last().map_or(0, Frame::end);
        file.set_len(at)?;
        Ok(Some((Self::of(file, at), frames)))
    }

    /// As `open`, of a log that another process may be writing: nothing is cut off.
    pub(crate) fn open_to_read(path: &Path) -> std::io::Result<Option<Vec<Frame>>> {
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        read_frames(&file).map(Some)
    }

    /// Throws all frames away, and gives their room back.
    pub(crate) fn clear(mut self) -> std::io::Result<()> {
        self.buffer.clear();
        self.file.set_len(0)
    }

    fn of(file: File, bytes: u64) -> Self {
        PageLog { file, buffer: Vec::new(), flushed_at: Clock.boot_time(), bytes }
    }

    /// Adds a frame. It is out of this process when some of them are together, or after a moment.
    pub(crate) fn append(&mut self, head: &str, body: &[u8]) -> std::io::Result<()> {
        let mut crc = flate2::Crc::new();
        crc.update(head.as_bytes());
        crc.update(body);
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(std::io::Error::other);
        for number in [length(head.as_bytes())?, length(body)?, crc.sum()] {
            self.buffer.extend_from_slice(&number.to_le_bytes());
        }
        self.buffer.extend_from_slice(head.as_bytes());
        self.bytes += FRAME_BYTES + (head.len() + body.len()) as u64;
        if self.buffer.len() + body.len() >= PAGE_LOG_BUFFER_BYTES {
            // Large bodies are not copied.
            self.flush()?;
            return self.file.write_all(body);
        }
        self.buffer.extend_from_slice(body);
        if Clock.boot_time().saturating_sub(self.flushed_at) >= PAGE_LOG_AGE { self.flush() } else { Ok(()) }
    }

    /// Gives all frames to the system; they survive this process.
    pub(crate) fn flush(&mut self) -> std::io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.buffer.clear();
        self.flushed_at = Clock.boot_time();
        Ok(())
    }

    /// What the file holds from here on; `flush` goes before it.
    pub(crate) fn tail(&self, from: u64) -> std::io::Result<Vec<u8>> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(from))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        Ok(tail)
    }

    /// Bytes of all frames.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The body of a frame that was there when the log was opened.
    pub(crate) fn body(&self, frame: &Frame) -> std::io::Result<Bytes> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(frame.body_at))?;
        let mut body = vec![0; frame.body_bytes as usize];
        file.read_exact(&mut body)?;
        Ok(body.into())
    }
}

impl Drop for PageLog {
    fn drop(&mut self) {
        // However the run ended; who must know whether it went well calls `flush` first.
        let _ = self.flush();
    }
}

impl Frame {
    /// The place of the body alone.
    pub(crate) fn without_head(&self) -> Self {
        Frame { head: String::new(), ..*self }
    }

    pub(crate) fn body_bytes(&self) -> u64 {
        u64::from(self.body_bytes)
    }

    fn end(&self) -> u64 {
        self.body_at + self.body_bytes()
    }
}

fn read_frames(file: &File) -> std::io::Result<Vec<Frame>> {
    let mut frames = Vec::new();
    let mut reader = BufReader::with_capacity(PAGE_LOG_BUFFER_BYTES, file);
    while let Some(frame) = read_frame(&mut reader, frames.last().map_or(0, Frame::end))? {
        frames.push(frame);
    }
    Ok(frames)
}

/// The frame that begins at `at`; `None` = there is no whole one.
fn read_frame(reader: &mut impl Read, at: u64) -> std::io::Result<Option<Frame>> {
    let mut numbers = [0; FRAME_BYTES as usize];
    if !fill(reader, &mut numbers)? {
        return Ok(None);
    }
    let number = |at: usize| u32::from_le_bytes(numbers[at..at + 4].try_into().expect("four bytes"));
    let (head_bytes, body_bytes, expected) = (number(0), number(4), number(8));
    let mut crc = flate2::Crc::new();
    let Some(head) = take(reader, head_bytes)? else { return Ok(None) };
    crc.update(&head);
    let Some(body) = take(reader, body_bytes)? else { return Ok(None) };
    crc.update(&body);
    let Ok(head) = String::from_utf8(head) else { return Ok(None) };
    if crc.sum() != expected {
        return Ok(None);
    }
    Ok(Some(Frame { head, body_at: at + FRAME_BYTES + u64::from(head_bytes), body_bytes }))
}

/// So many bytes; `None` = there are fewer. A length that is no length takes no memory that the file does not fill.
fn take(reader: &mut impl Read, bytes: u32) -> std::io::Result<Option<Vec<u8>>> {
    let mut taken = Vec::new();
    reader.take(u64::from(bytes)).read_to_end(&mut taken)?;
    Ok((taken.len() == bytes as usize).then_some(taken))
}

fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_whole_up_to_the_frame_that_was_torn() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let large = vec![b'x'; PAGE_LOG_BUFFER_BYTES + 7];
        let mut log = PageLog::create(&path).expect("a log");
        for (head, body) in [("1", b"one".as_slice()), ("2", &large), ("3", b"")] {
            log.append(head, body).expect("room");
        }
        log.flush().expect("room");
        let whole = std::fs::read(&path).expect("a file");
        assert_eq!(log.bytes(), whole.len() as u64);
        let (first, second) = (FRAME_BYTES as usize + 4, FRAME_BYTES as usize + 1 + large.len());
        let check = |content: &[u8], expect: &[&str]| {
            std::fs::write(&path, content).expect("written");
            let (mut log, frames) = PageLog::open(&path).expect("readable").expect("a log");
            let heads: Vec<&str> = frames.iter().map(|frame| frame.head.as_str()).collect();
            assert_eq!(heads, expect, "{} bytes", content.len());
            // What follows stands behind the last whole frame.
            log.append("next", b"more").expect("room");
            log.flush().expect("room");
            let (log, frames) = PageLog::open(&path).expect("readable").expect("a log");
            assert_eq!(frames.len(), expect.len() + 1);
            assert_eq!(log.body(&frames[expect.len()]).expect("a body"), b"more".as_slice());
        };
        check(&whole, &["1", "2", "3"]);
        check(&whole[..whole.len() - 1], &["1", "2"]);
        check(&whole[..first + second - 1], &["1"]);
        check(&whole[..first + 5], &["1"]);
        check(&whole[..5], &[]);
        check(&[], &[]);
        let mut flipped = whole.clone();
        flipped[first + 40] ^= 1;
        check(&flipped, &["1"]);
        let mut absurd = whole;
        absurd[first..first + 8].fill(0xff);
        check(&absurd, &["1"]);
        assert!(PageLog::open(&folder.path().join("none")).expect("readable").is_none());
    }
}
