//! `haul plan`: what a run would read, before any request of it.

use tokio_util::sync::CancellationToken;

use super::Surroundings;
use super::args::PlanArgs;
use super::failure::{Exit, Failure};
use super::output::{Output, columns, count, counted};
use super::signals::until_signalled;
use crate::engine::{Backfill, Outlook, StreamOutlook, open_store};
use crate::job::load;
use crate::model::manifest::Manifest;
use crate::model::plan::Job;

pub(super) async fn run(around: Surroundings, args: PlanArgs) -> Result<Exit, Failure> {
    let job = load(&args.job.file, &args.job.set)?;
    let backfill = Backfill { from: args.from, until: args.until };
    let published = until_signalled(around.output, &CancellationToken::new(), published(&job)).await?;
    let manifest = published.unwrap_or_else(|why| {
        around.output.note(format!("the destination cannot be read, so this is the plan of a first run: {why}"));
        None
    });
    let outlook = Outlook::of(&job, manifest.as_ref(), &backfill)?;
    if around.output.is_json {
        around.output.json(&outlook);
    } else {
        show(around.output, &outlook);
    }
    Ok(Exit::Done)
}

/// What is published, with its cursors and counts.
async fn published(job: &Job) -> Result<Option<Manifest>, String> {
    let store = open_store(job).map_err(|error| error.to_string())?;
    let current = store.load_current().await.map_err(|error| crate::engine::text_of(&error))?;
    Ok(current.map(|current| current.manifest))
}

fn show(output: Output, outlook: &Outlook) {
    let mut rows = vec![["STREAM", "SLICES", "REQUESTS", "LAST RUN", "BEGINS AT"].map(str::to_owned).to_vec()];
    rows.extend(outlook.streams.iter().map(row));
    for line in columns(&rows, &[false, true, true, true, false]) {
        output.line(line);
    }
    for stream in outlook.streams.iter().filter(|stream| !stream.first_slices.is_empty()) {
        let more = stream.slices.unwrap_or(0).saturating_sub(stream.first_slices.len() as u64);
        let more = if more > 0 { format!(", and {} more", count(more)) } else { String::new() };
        output.line(format!("{}: {}{more}", stream.stream, stream.first_slices.join(", ")));
    }
    output.line(format!("at least {}{}", counted(outlook.requests_min, "request"), quota(outlook)));
    if !outlook.refreshes.is_empty() {
        output.line(format!("then refreshes in Power BI: {}", outlook.refreshes.join(", ")));
    }
    output.note("a slice with several pages needs a request for each; the last run's pages tell how many those were");
}

fn row(stream: &StreamOutlook) -> Vec<String> {
    let slices = match (&stream.slices, &stream.for_each) {
        (Some(slices), _) => count(*slices),
        (None, Some(parent)) => format!("one for each of {parent}"),
        (None, None) => String::new(),
    };
    let begins: Vec<String> = match stream.cursors.len() {
        0 => Vec::new(),
        1 => stream.cursors.values().cloned().collect(),
        many => vec![counted(many as u64, "cursor")],
    };
    vec![
        stream.stream.clone(),
        slices,
        if stream.requests_min == 0 { "?".to_owned() } else { format!("{}+", count(stream.requests_min)) },
        stream.requests_before.map(count).unwrap_or_default(),
        begins.concat(),
    ]
}

/// What the requests cost of the declared quotas.
fn quota(outlook: &Outlook) -> String {
    let requests = outlook.requests_before.unwrap_or(0).max(outlook.requests_min);
    let mut text = String::new();
    if let Some(before) = outlook.requests_before {
        text.push_str(&format!(", {} in the last run", count(before)));
    }
    if let Some(per_day) = outlook.per_day {
        let share = 100.0 * requests as f64 / f64::from(per_day);
        text.push_str(&format!("; {share:.1} % of {} a day", count(per_day.into())));
    }
    let per_minute = match (outlook.per_minute, outlook.per_second) {
        (Some(minute), Some(second)) => Some(minute.min(second.saturating_mul(60))),
        (minute, second) => minute.or(second.map(|second| second.saturating_mul(60))),
    };
    if let Some(per_minute) = per_minute {
        let minutes = requests.div_ceil(u64::from(per_minute).max(1));
        text.push_str(&format!("; at {} a minute about {}", count(per_minute.into()), counted(minutes, "minute")));
    }
    text
}
