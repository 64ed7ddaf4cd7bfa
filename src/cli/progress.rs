//! What a run shows while it goes on: a line per stream on a terminal, plain lines now and then elsewhere.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::log;
use super::output::{Output, count, counted};
use crate::model::refresh::RefreshStep;
use crate::telemetry::{Event, Telemetry};

/// Between two lines of one stream where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

struct StreamProgress {
    bar: ProgressBar,
    began: Instant,
    told: Instant,
    rows: u64,
    pages: u64,
    /// Read to their end, and all.
    slices: (u64, u64),
}

struct Progress {
    output: Output,
    bars: MultiProgress,
    streams: BTreeMap<String, StreamProgress>,
}

/// Telemetry that shows itself on standard error: as progress for people, or as a log.
pub(super) fn telemetry(output: Output, job: &str) -> Telemetry {
    if output.is_logging() {
        return log::telemetry(output, job);
    }
    if output.is_quiet {
        return Telemetry::new(|_| {});
    }
    let target =
        if output.is_terminal() { ProgressDrawTarget::stderr_with_hz(8) } else { ProgressDrawTarget::hidden() };
    let bars = MultiProgress::with_draw_target(target);
    let progress = Arc::new(Mutex::new(Progress { output, bars, streams: BTreeMap::new() }));
    Telemetry::new(move |event| {
        progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner).show(event);
    })
}

impl Progress {
    fn show(&mut self, event: Event) {
        match event {
            Event::RunBegan { .. } => {}
            Event::Resumed { run, began_at } => {
                let began = began_at.format("%Y-%m-%d %H:%M:%SZ");
                self.say(&format!("going on with run {run}, which began at {began} and was not finished"));
            }
            Event::StreamBegan { stream } => self.begin(stream),
            Event::SlicesPlanned { stream, slices } => {
                if let Some(progress) = self.streams.get_mut(&stream) {
                    progress.slices = (0, slices);
                }
            }
            Event::SliceRead { stream } => {
                if let Some(progress) = self.streams.get_mut(&stream) {
                    progress.slices.0 += 1;
                }
            }
            Event::PageRead { stream, records, .. } => self.count(&stream, records),
            Event::PartStaged { .. } => {}
            Event::StreamSealed { stream, rows, pages, took } => {
                self.end(
                    &stream,
                    &format!(
                        "{stream}: {}, {}, {:.1} s",
                        counted(rows, "row"),
                        counted(pages, "page"),
                        took.as_secs_f64()
                    ),
                );
            }
            Event::StreamFailed { stream } => self.end(&stream, &format!("{stream}: failed")),
            // The report says it in full.
            Event::SnapshotPublished { .. } | Event::RefreshMoved { step: RefreshStep::Ended(_), .. } => {}
            Event::Paused { until, why } => {
                self.say(&format!("paused until {}: {why}; goes on by itself", moment(until)));
            }
            Event::RefreshMoved { target, step } => self.say(&format!("refresh of `{target}`: {}", step.word())),
            Event::Warned { what } => self.say(&format!("warning: {what}")),
        }
    }

    fn begin(&mut self, stream: String) {
        let style = ProgressStyle::with_template("{spinner} {msg}").expect("a template of fixed shape");
        let bar = self.bars.add(ProgressBar::new_spinner().with_style(style).with_message(format!("{stream}: …")));
        bar.enable_steady_tick(Duration::from_millis(120));
        let now = Instant::now();
        self.streams.insert(stream, StreamProgress { bar, began: now, told: now, rows: 0, pages: 0, slices: (0, 1) });
    }

    fn count(&mut self, stream: &str, records: u64) {
        let Some(progress) = self.streams.get_mut(stream) else { return };
        progress.rows += records;
        progress.pages += 1;
        let seconds = progress.began.elapsed().as_secs_f64().max(0.001);
        let rate = (progress.rows as f64 / seconds) as u64;
        let mut text =
            format!("{stream}: {} rows, {} pages, {} rows/s", count(progress.rows), count(progress.pages), count(rate));
        if let (done, all @ 2..) = progress.slices {
            text.push_str(&format!(", {} of {} slices", count(done), count(all)));
        }
        if self.output.is_terminal() {
            progress.bar.set_message(text);
        } else if progress.told.elapsed() >= LINE_INTERVAL {
            progress.told = Instant::now();
            self.output.note(text);
        }
    }

    fn end(&mut self, stream: &str, text: &str) {
        if let Some(progress) = self.streams.remove(stream) {
            progress.bar.finish_and_clear();
        }
        self.say(text);
    }

    fn say(&self, text: &str) {
        self.bars.suspend(|| self.output.note(text));
    }
}

/// An instant to the minute, rounded up: nobody is told a time at which it has not begun yet.
fn moment(instant: DateTime<Utc>) -> String {
    let minute = instant.duration_trunc(TimeDelta::minutes(1)).unwrap_or(instant);
    let shown = if minute < instant { minute + TimeDelta::minutes(1) } else { minute };
    format!("{} UTC", shown.format("%Y-%m-%d %H:%M"))
}
