//! The first rows of a stream, decoded as a run would, and what is noticed about its paging. Publishes nothing.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;

use super::context::Context;
use super::error::Error;
use super::parents::{ParentRows, fields_needed};
use super::pump::{columns_of, prepare};
use super::read::{page_error, wants};
use super::slices::{Backfill, Planning};
use super::stream::{options, template};
use crate::columns::{Decoder, convert};
use crate::model::column::Column;
use crate::model::plan::Stream;
use crate::paging::Paginator;
use crate::paging::walk::{PageFacts, Step, Walk};
use crate::source::{Answer, PageReading, PageTrace, ReportSteps};

/// First rows of one stream.
pub(crate) struct Preview {
    pub stream: String,
    pub columns: Vec<Column>,
    /// Absent = no record, or no column.
    pub rows: Option<RecordBatch>,
    /// What a run of this job would stumble over, or what was found about paging.
    pub notes: Vec<String>,
}

/// Reads pages of a stream's first slice until it has `rows_max` rows.
pub(crate) async fn preview(ctx: &Context, stream: &Stream, rows_max: usize) -> Result<Preview, Error> {
    let (shown, _) = read(ctx, stream, rows_max, BTreeSet::new()).await?;
    Ok(shown)
}

/// The first rows with the fields of them that other streams need.
async fn read(
    ctx: &Context,
    stream: &Stream,
    rows_max: usize,
    needed: BTreeSet<Vec<String>>,
) -> Result<(Preview, ParentRows), Error> {
    let wrong = |source| Error::Columns { stream: stream.name.clone(), source };
    let of_endpoint = |source| Error::Endpoint { stream: stream.name.clone(), source };
    let parents = match &stream.parent {
        None => None,
        Some(parent) => {
            let above = ctx.job.streams.iter().find(|stream| stream.name == parent.stream);
            let above = above.expect("the job's check knows every parent");
            let needed = fields_needed(&above.name, &ctx.job.streams);
            Some(Box::pin(read(ctx, above, 1, needed)).await?.1)
        }
    };
    let template = template(ctx);
    let planning = Planning {
        stream,
        context: &template,
        started_at: ctx.started_at,
        parents: parents.as_ref(),
        cursors: &BTreeMap::new(),
        backfill: &Backfill::default(),
    };
    let planned = planning.plan().map_err(of_endpoint)?;
    let mut notes = Vec::new();
    let Some(slice) = planned.slices.first() else {
        notes.push("there is nothing to read: no slice".to_owned());
        return Ok((
            Preview { stream: stream.name.clone(), columns: Vec::new(), rows: None, notes },
            ParentRows::default(),
        ));
    };
    if planned.slices.len() > 1 || stream.parent.is_some() {
        notes.push(format!("of the slice `{}`", slice.id));
    }
    let mut template = template.with_slice(slice);
    if let Some(plan) = &stream.report {
        let steps = ReportSteps { source: &ctx.source, stream, plan, base: &ctx.job.source };
        template = steps.make(&template).await.map_err(|source| page_error(&stream.name, 1, source))?;
    }
    let endpoint = prepare(ctx, stream, &template)?;
    let mut decoder = Decoder::new(options(ctx, stream, &endpoint, None).await?).map_err(wrong)?;
    decoder.set_constants(&slice.constants).map_err(wrong)?;
    let mut walk = Walk::new(stream.paginator.clone(), endpoint.total_proof());
    let wants = wants(stream);
    let reading = PageReading {
        at: &stream.records,
        wants: &wants,
        rules: &stream.rules,
        format: &stream.format,
        packing: stream.packing,
    };
    let mut before: Option<PageTrace> = None;
    let mut rows = 0;
    while rows < rows_max as u64 {
        let number = walk.pages() + 1;
        let asked_at = before.as_ref().map(|before| &before.url);
        let answer = ctx
            .source
            .read_page(&endpoint, walk.current(), asked_at, &reading)
            .await
            .map_err(|source| page_error(&stream.name, number, source))?;
        let Answer::Page(page) = answer else {
            notes.push("by the job's `responses` there is nothing more".to_owned());
            break;
        };
        page.compare(before.as_ref()).map_err(|source| page_error(&stream.name, number, source))?;
        let (facts, trace) = (page.facts.clone(), page.trace().clone());
        let unread = |source| page_error(&stream.name, number, source);
        let mut pieces = page.pieces().map_err(unread)?;
        while rows < rows_max as u64 {
            let Some(records) = tokio::task::block_in_place(|| pieces.next_piece()).map_err(unread)? else { break };
            rows += tokio::task::block_in_place(|| decoder.push(&records, number)).map_err(wrong)?;
        }
        match walk.accept(&facts) {
            Ok(Step::More(_)) => before = Some(trace),
            Ok(Step::End(end)) => {
                notes.push(format!("all {} records on {} page(s)", end.records(), end.pages()));
                break;
            }
            Err(error) => {
                notes.push(format!("a run would stop here: {error}"));
                notes.extend(guess(&stream.paginator, &facts));
                break;
            }
        }
    }
    let mut parents = ParentRows::default();
    let mut batches = Vec::new();
    let mut schemas = Vec::new();
    let mut next = decoder.finish().map_err(wrong)?;
    while let Some(batch) = next {
        let columns = columns_of(&decoder, &batch).to_vec();
        if !needed.is_empty() {
            parents.take(&stream.name, &batch, &columns, &needed)?;
        }
        schemas.push(columns);
        batches.push(batch);
        next = decoder.next_batch();
    }
    let columns = decoder.columns().to_vec();
    let converted: Result<Vec<RecordBatch>, _> =
        batches.iter().zip(&schemas).map(|(batch, from)| convert(batch, from, &columns)).collect();
    let converted = converted.map_err(wrong)?;
    let rows = converted.first().map(|first| {
        let all = concat_batches(&first.schema(), &converted).expect("converted batches have one schema");
        all.slice(0, all.num_rows().min(rows_max))
    });
    Ok((Preview { stream: stream.name.clone(), columns, rows, notes }, parents))
}

/// What paging the answer seems to ask for. A run never guesses.
fn guess(paginator: &Paginator, facts: &PageFacts) -> Option<String> {
    let sign = facts.sign_of_next.as_ref().or(facts.sign_of_total.as_ref());
    let sign = sign.filter(|_| *paginator == Paginator::Unstated)?;
    let name = sign.to_ascii_lowercase();
    let paging = if name.contains("token") || name.contains("cursor") {
        format!("paging: {{ cursor: {{ from: \"{sign}\", param: cursor }} }}")
    } else if let Some(header) = name.strip_prefix("header ") {
        format!("paging: {{ offset: {{ size: {}, total_header: {header} }} }}", facts.records)
    } else if name.contains("total") || name.contains("more") || name.contains("count") {
        format!("paging: {{ offset: {{ size: {}, total: \"{sign}\" }} }}", facts.records)
    } else {
        format!("paging: {{ next_url: \"{sign}\" }}")
    };
    Some(format!("a guess from the answer: `{paging}`"))
}
