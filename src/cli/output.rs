//! The two streams of the process. Every line passes the mask, so that no known secret leaves through a message.

use std::io::{IsTerminal, Write};

use serde::Serialize;

use super::failure::Failure;
pub(super) use crate::model::amounts::{count, counted, size, span};
use crate::model::log::Level;
use crate::secret::mask;

/// Where results and messages go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    pub is_json: bool,
    pub is_quiet: bool,
    /// Events are written as a log, from this level on. Absent = they are shown as progress.
    pub log: Option<Level>,
}

impl Output {
    pub(super) fn new(is_json: bool, is_quiet: bool, log: Option<Level>) -> Self {
        Output { is_json, is_quiet, log }
    }

    /// Whether events are written as a log.
    pub(super) fn is_logging(self) -> bool {
        self.log.is_some()
    }

    /// Whether a log holds events of this level.
    pub(super) fn logs(self, level: Level) -> bool {
        level >= self.log.unwrap_or(Level::Info)
    }

    /// A result for people.
    pub(super) fn line(self, text: impl AsRef<str>) {
        write_line(&mut std::io::stdout().lock(), text.as_ref());
    }

    /// A result for programs: the one JSON document of this process.
    pub(super) fn json(self, value: &impl Serialize) {
        let text = serde_json::to_string_pretty(value).expect("reports hold only texts and numbers");
        self.line(text);
    }

    /// One document on a line of its own, for what goes on and on.
    pub(super) fn json_line(self, value: &impl Serialize) {
        self.line(serde_json::to_string(value).expect("reports hold only texts and numbers"));
    }

    /// Bytes of a generated file.
    pub(super) fn bytes(self, bytes: &[u8]) {
        // A closed pipe is the reader's choice.
        let _ = std::io::stdout().lock().write_all(bytes);
    }

    /// Something for people that is not the result.
    pub(super) fn note(self, text: impl AsRef<str>) {
        write_line(&mut std::io::stderr().lock(), text.as_ref());
    }

    /// An address that a person opens. Not masked: it must arrive whole, the client's id in it included, which may stand in
    /// the environment and is no secret (RFC 6749 section 2.2).
    pub(super) fn address(self, url: &url::Url) {
        // A closed pipe is the reader's choice.
        let _ = writeln!(std::io::stderr().lock(), "\n  {url}\n");
    }

    /// A signed link that a person asked for, as a result for people. Not masked: it must arrive whole, with names of accounts and ids of
    /// keys in it, which may stand in the environment like secrets.
    pub(super) fn link(self, text: &str) {
        // A closed pipe is the reader's choice.
        let _ = writeln!(std::io::stdout().lock(), "{text}");
    }

    /// The same in the one JSON document of this process.
    pub(super) fn json_with_link(self, value: &impl Serialize) {
        self.link(&serde_json::to_string_pretty(value).expect("a share holds only texts and numbers"));
    }

    /// A question; what is typed stands behind it.
    pub(super) fn ask(self, text: &str) {
        let mut stderr = std::io::stderr().lock();
        // A closed pipe is the reader's choice.
        let _ = write!(stderr, "{} ", mask(text)).and_then(|()| stderr.flush());
        if !std::io::stdin().is_terminal() {
            let _ = writeln!(stderr);
        }
    }

    /// Whether progress is drawn, written in lines, or left out.
    pub(super) fn is_terminal(self) -> bool {
        std::io::stderr().is_terminal()
    }

    /// The end of a verb that failed.
    pub(super) fn failure(self, failure: &Failure) {
        if self.is_json {
            self.json(failure);
            return;
        }
        for problem in &failure.problems {
            self.note(problem.to_string());
        }
        self.note(format!("error: {}", failure.error));
        if let Some(hint) = &failure.hint {
            self.note(format!("hint: {hint}"));
        }
    }
}

fn write_line(to: &mut impl Write, text: &str) {
    // A closed pipe is the reader's choice.
    let _ = writeln!(to, "{}", mask(text));
}

/// Rows of cells in columns of equal width; numbers to the right.
pub(super) fn columns(rows: &[Vec<String>], is_right: &[bool]) -> Vec<String> {
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..is_right.len()).map(|column| width(column).unwrap_or(0)).collect();
    rows.iter()
        .map(|row| {
            let cells = row.iter().enumerate().map(|(column, cell)| {
                let width = widths[column];
                if is_right[column] { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
        .collect()
}
