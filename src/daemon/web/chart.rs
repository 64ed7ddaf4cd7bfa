//! Small charts of a job's history, as SVG that the page's style colours.

use std::fmt::Write;

use crate::model::amounts::{counted, span};
use crate::model::history::{Entry, Served};

/// A bar with the colour and the words of its outcome.
struct Bar {
    height: f64,
    class: &'static str,
    title: String,
}

/// How long the newest runs took, the newest to the right.
pub(super) fn durations(entries: &[Entry], count: usize, size: (u32, u32)) -> String {
    let seconds = |entry: &Entry| entry.run.as_ref().map_or(0.0, |run| run.seconds);
    let word = |entry: &Entry| {
        let took =
            entry.run.as_ref().map(|run| format!(" in {}", span(run.seconds.round() as u64))).unwrap_or_default();
        format!("{}{took}", entry.outcome.word())
    };
    bars("Duration of the last runs", entries, count, size, seconds, word)
}

/// How many rows the tables of the newest runs had.
pub(super) fn rows(entries: &[Entry], count: usize, size: (u32, u32)) -> String {
    let rows =
        |entry: &Entry| entry.run.as_ref().map_or(0, |run| run.tables.values().map(|table| table.rows).sum::<u64>());
    let word = |entry: &Entry| format!("{}, {}", entry.outcome.word(), counted(rows(entry), "row"));
    bars("Rows of the last runs", entries, count, size, |entry| rows(entry) as f64, word)
}

fn bars(
    label: &str,
    entries: &[Entry],
    count: usize,
    size: (u32, u32),
    height: impl Fn(&Entry) -> f64,
    word: impl Fn(&Entry) -> String,
) -> String {
    let mut newest: Vec<Bar> = entries
        .iter()
        .take(count)
        .map(|entry| Bar {
            height: height(entry),
            class: class(entry.outcome),
            title: format!("{} UTC: {}", entry.at.format("%Y-%m-%d %H:%M"), word(entry)),
        })
        .collect();
    newest.reverse();
    draw(label, &newest, count, size)
}

/// The colour of an outcome.
pub(super) fn class(outcome: Served) -> &'static str {
    match outcome {
        Served::Published | Served::Unchanged => "good",
        Served::Failed => "bad",
        Served::Held => "wait",
        Served::Skipped | Served::Interrupted | Served::Missed | Served::Blackout | Served::Paused => "idle",
    }
}

fn draw(label: &str, bars: &[Bar], places: usize, (width, height): (u32, u32)) -> String {
    let step = f64::from(width) / places as f64;
    let highest = bars.iter().map(|bar| bar.height).fold(f64::MIN_POSITIVE, f64::max);
    let offset = f64::from(width) - step * bars.len() as f64;
    let mut svg = format!(
        r#"<svg class="chart" role="img" aria-label="{label}" viewBox="0 0 {width} {height}" width="{width}" height="{height}" preserveAspectRatio="none">"#
    );
    for (at, bar) in bars.iter().enumerate() {
        let x = offset + step * at as f64;
        // Low ones stay visible: that there was a run is the first thing to see.
        let tall = (bar.height / highest * f64::from(height)).max(3.0);
        let _ = write!(
            svg,
            r#"<rect class="{}" x="{x:.1}" y="{:.1}" width="{:.1}" height="{tall:.1}" rx="1"><title>{}</title></rect>"#,
            bar.class,
            f64::from(height) - tall,
            (step - 1.0).max(1.0),
            bar.title,
        );
    }
    svg.push_str("</svg>");
    svg
}
