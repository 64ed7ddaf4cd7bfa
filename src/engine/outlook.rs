//! What a run would read, before any request of it: slices, where cursors stand, requests as far as they can be known,
//! and their share of the declared quotas. Only the destination is read, where cursors and former counts are.

use std::collections::BTreeMap;

use serde::Serialize;

use super::error::Error;
use super::parents::ParentRows;
use super::slices::{Backfill, Planning};
use crate::clock::Clock;
use crate::model::manifest::{Manifest, TableManifest};
use crate::model::plan::{Job, Stream};
use crate::model::slices::Slice;
use crate::source::Context as TemplateContext;

/// Slices that are shown by name.
const SLICES_SHOWN: usize = 5;

/// What a run of a job would read.
#[derive(Debug, Serialize)]
pub(crate) struct Outlook {
    pub job: String,
    pub streams: Vec<StreamOutlook>,
    /// Least requests of the run. At least one a slice; more where a slice has more pages.
    pub requests_min: u64,
    /// What the last run needed, by its pages. Absent = nothing is known of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_before: Option<u64>,
    /// What of Power BI is refreshed when there is something new.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refreshes: Vec<String>,
    pub in_flight: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_second: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_minute: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_day: Option<u32>,
}

/// What a run would read of one stream.
#[derive(Debug, Serialize)]
pub(crate) struct StreamOutlook {
    pub stream: String,
    /// Absent = depends on how many records the parent has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slices: Option<u64>,
    /// The first few.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub first_slices: Vec<String>,
    /// The stream whose every record is a slice. Absent = there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_each: Option<String>,
    /// Where reading begins, by scope of the cursor.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cursors: BTreeMap<String, String>,
    pub requests_min: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_before: Option<u64>,
}

impl Outlook {
    /// What can be known of a run now. `manifest` is what is published; without one the run is a first one.
    pub(crate) fn of(job: &Job, manifest: Option<&Manifest>, backfill: &Backfill) -> Result<Self, Error> {
        let streams: Result<Vec<_>, Error> =
            job.streams.iter().map(|stream| of_stream(job, stream, manifest, backfill)).collect();
        let streams = streams?;
        let limits = &job.source.limits;
        let before: Vec<u64> = streams.iter().filter_map(|stream| stream.requests_before).collect();
        Ok(Outlook {
            job: job.name.clone(),
            requests_min: streams.iter().map(|stream| stream.requests_min).sum(),
            requests_before: (!before.is_empty()).then(|| before.iter().sum()),
            streams,
            refreshes: job.refreshed().map(str::to_owned).collect(),
            in_flight: limits.in_flight,
            per_second: limits.per_second,
            per_minute: limits.budget.per_minute,
            per_day: limits.budget.per_day,
        })
    }
}

fn of_stream(
    job: &Job,
    stream: &Stream,
    manifest: Option<&Manifest>,
    backfill: &Backfill,
) -> Result<StreamOutlook, Error> {
    let former = manifest.and_then(|manifest| manifest.tables.get(&stream.name));
    let cursors = former.map(|table| table.cursors.clone()).unwrap_or_default();
    let template = TemplateContext::new(&job.settings, "(plan)", &Clock.now().to_rfc3339());
    // One record that nobody has seen stands for all of the parent.
    let unknown = ParentRows::unknown();
    let planning = Planning {
        stream,
        context: &template,
        started_at: Clock.now(),
        parents: stream.parent.as_ref().map(|_| &unknown),
        cursors: &cursors,
        backfill,
    };
    let planned = planning.plan().map_err(|source| Error::Endpoint { stream: stream.name.clone(), source })?;
    let each = planned.slices.len() as u64;
    let for_each = stream.parent.as_ref().map(|parent| parent.stream.clone());
    let parents = stream.parent.as_ref().and_then(|parent| {
        let rows = manifest?.tables.get(&parent.stream)?.rows;
        Some(rows.div_ceil(parent.batch))
    });
    let is_named = |slice: &&Slice| !slice.id.is_empty() && for_each.is_none();
    let steps = u64::from(stream.report.is_some()) * 2;
    Ok(StreamOutlook {
        stream: stream.name.clone(),
        slices: match for_each {
            None => Some(each),
            Some(_) => parents.map(|parents| parents * each),
        },
        first_slices: planned.slices.iter().filter(is_named).take(SLICES_SHOWN).map(|slice| slice.id.clone()).collect(),
        cursors: planned
            .slices
            .iter()
            .filter_map(|slice| Some((slice.scope.clone(), slice.cursor.clone()?)))
            .rev()
            .collect(),
        requests_min: parents.unwrap_or(u64::from(for_each.is_none())) * each * (1 + steps),
        requests_before: former.map(pages),
        for_each,
    })
}

fn pages(table: &TableManifest) -> u64 {
    table.walks.iter().map(|walk| walk.pages).sum()
}
