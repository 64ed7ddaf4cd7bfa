//! What a run writes down of itself while it goes on: the lines of its log, and when it last got any further.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::{DateTime, Utc};

use crate::clock::Clock;
use crate::limits::LOG_LINES_MAX;
use crate::model::log::{Level, LogLine};
use crate::secret::mask;
use crate::telemetry::{Event, Telemetry};

/// The log of one run.
#[derive(Default)]
pub(crate) struct RunLog(Mutex<Lines>);

#[derive(Default)]
struct Lines {
    first: Vec<LogLine>,
    last: VecDeque<LogLine>,
    left_out: u64,
    /// When something last happened, and until when nothing will by intent.
    moved_at: Option<tokio::time::Instant>,
    paused_until: Option<DateTime<Utc>>,
    spans: Vec<StreamSpan>,
}

/// When a stream was read.
#[derive(Debug, Clone)]
pub(super) struct StreamSpan {
    pub name: String,
    pub began_at: DateTime<Utc>,
    /// Absent = it was stopped with the run.
    pub ended_at: Option<DateTime<Utc>>,
    pub is_failed: bool,
}

impl RunLog {
    /// Telemetry that is written down here before it goes where it went.
    pub(super) fn watch(self: &Arc<Self>, telemetry: Telemetry) -> Telemetry {
        let log = Arc::clone(self);
        Telemetry::new(move |event| {
            log.note(&event);
            telemetry.tell(event);
        })
    }

    fn note(&self, event: &Event) {
        let mut lines = self.lines();
        lines.moved_at = Some(tokio::time::Instant::now());
        lines.paused_until = match event {
            Event::Paused { until, .. } => Some(*until),
            _ => None,
        };
        lines.span(event);
        if event.level() > Level::Debug {
            lines.push(line_of(Clock.now(), event));
        }
    }

    /// The lines, and how many are left out behind the first half of them.
    pub(super) fn read(&self) -> (Vec<LogLine>, u64) {
        let lines = self.lines();
        (lines.first.iter().chain(&lines.last).cloned().collect(), lines.left_out)
    }

    /// When each stream was read, in the order in which they began.
    pub(super) fn spans(&self) -> Vec<StreamSpan> {
        self.lines().spans.clone()
    }

    /// How long nothing happened since `began`, pauses left out.
    pub(super) fn still_since(&self, began: tokio::time::Instant) -> tokio::time::Instant {
        let lines = self.lines();
        let pause = lines.paused_until.and_then(|until| (until - Clock.now()).to_std().ok()).unwrap_or_default();
        if pause.is_zero() { lines.moved_at.unwrap_or(began) } else { tokio::time::Instant::now() + pause }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Lines {
    fn span(&mut self, event: &Event) {
        let Some(name) = event.stream() else { return };
        if matches!(event, Event::StreamBegan { .. }) {
            let name = name.to_owned();
            self.spans.push(StreamSpan { name, began_at: Clock.now(), ended_at: None, is_failed: false });
            return;
        }
        let is_failed = matches!(event, Event::StreamFailed { .. });
        let is_over = is_failed || matches!(event, Event::StreamSealed { .. });
        if let Some(span) = self.spans.iter_mut().rev().find(|span| span.name == name).filter(|_| is_over) {
            (span.ended_at, span.is_failed) = (Some(Clock.now()), is_failed);
        }
    }

    fn push(&mut self, line: LogLine) {
        if self.first.len() < LOG_LINES_MAX / 2 {
            self.first.push(line);
            return;
        }
        self.last.push_back(line);
        if self.last.len() > LOG_LINES_MAX / 2 {
            self.last.pop_front();
            self.left_out += 1;
        }
    }
}

/// An event as a line.
pub(crate) fn line_of(at: DateTime<Utc>, event: &Event) -> LogLine {
    LogLine {
        at,
        level: event.level(),
        event: event.kind().to_owned(),
        stream: event.stream().map(str::to_owned),
        text: mask(&event.text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_log_both_ends_are_kept() {
        let log = Arc::new(RunLog::default());
        let telemetry = log.watch(Telemetry::new(|_| {}));
        for number in 0..1_000 {
            telemetry.tell(Event::Warned { what: number.to_string() });
            telemetry.tell(Event::PageRead { stream: "orders".to_owned(), records: 1, bytes: 1 });
        }
        let (lines, left_out) = log.read();
        let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!((texts.len(), left_out), (LOG_LINES_MAX, 600));
        assert_eq!((texts[0], texts[199], texts[200], texts[399]), ("0", "199", "800", "999"));
    }
}
