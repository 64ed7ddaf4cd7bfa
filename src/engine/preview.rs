//! The first rows of a stream, decoded as a run would, and what is noticed about its paging. Publishes nothing.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;

use super::context::Context;
use super::error::Error;
use super::parents::{ParentRows, fields_needed};
use super::pump::{expressions, prepare};
use super::read::{page_error, reading_of, wants};
use super::slices::{Backfill, Planning};
use super::stream::{options, template};
use super::write::{begin_slice, columns_of};
use crate::columns::{Decoder, Options, Reason, convert_stepwise};
use crate::model::column::Column;
use crate::model::manifest::TableManifest;
use crate::model::plan::Stream;
use crate::paging::Paginator;
use crate::paging::walk::{PageFacts, Step, Walk};
use crate::source::{Answer, PageTrace, ReportSteps};

/// First rows of one table.
pub(crate) struct Preview {
    pub table: String,
    pub columns: Vec<Column>,
    /// Why the columns have their types, in their order.
    pub reasons: Vec<Reason>,
    /// Absent = no record, or no column.
    pub rows: Option<RecordBatch>,
    /// What a run of this job would stumble over, or what was found about paging.
    pub notes: Vec<String>,
}

/// Reads pages of a stream's first slice until it has `records_max` records: the stream's own table, then those of its
/// lists, at most `rows_max` rows of each. `former` are the tables of the last snapshot, whose types are remembered.
pub(crate) async fn preview(
    ctx: &Context,
    stream: &Stream,
    former: Option<&BTreeMap<String, TableManifest>>,
    records_max: u64,
    rows_max: usize,
) -> Result<Vec<Preview>, Error> {
    let (shown, _) = read(ctx, stream, former, (records_max, rows_max), BTreeSet::new()).await?;
    Ok(shown)
}

/// The first rows with the fields of them that other streams need.
async fn read(
    ctx: &Context,
    stream: &Stream,
    former: Option<&BTreeMap<String, TableManifest>>,
    (records_max, rows_max): (u64, usize),
    needed: BTreeSet<Vec<String>>,
) -> Result<(Vec<Preview>, ParentRows), Error> {
    let wrong = |source| Error::Columns { stream: stream.name.clone(), source };
    let of_endpoint = |source| Error::Endpoint { stream: stream.name.clone(), source };
    let parents = match &stream.parent {
        None => None,
        Some(parent) => {
            let above = ctx.job.streams.iter().find(|stream| stream.name == parent.stream);
            let above = above.expect("the job's check knows every parent");
            let needed = fields_needed(&above.name, &ctx.job.streams);
            Some(Box::pin(read(ctx, above, None, (1, 1), needed)).await?.1)
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
        let nothing =
            Preview { table: stream.name.clone(), columns: Vec::new(), reasons: Vec::new(), rows: None, notes };
        return Ok((vec![nothing], ParentRows::default()));
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
    let expressions = expressions(stream)?;
    let (options, _) = options(ctx, stream, &endpoint, former).await?;
    let options = Options { computed: expressions.computed(), ..options };
    let mut decoder = Decoder::new(options).map_err(wrong)?;
    begin_slice(&mut decoder, slice, &expressions, &template, &stream.name)?;
    let mut walk = Walk::new(stream.paginator.clone(), endpoint.total_proof());
    let wants = wants(stream);
    let reading = reading_of(stream, &wants);
    let mut before: Option<PageTrace> = None;
    let mut records = 0;
    while records < records_max {
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
        while records < records_max {
            let Some(piece) = pieces.next_piece().map_err(unread)? else { break };
            records += tokio::task::block_in_place(|| decoder.push(&piece, number)).map_err(wrong)?;
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
    if decoder.filtered() > 0 {
        notes.push(format!("{} record(s) left out by the filter", decoder.filtered()));
    }
    while let Some(bad) = decoder.next_bad() {
        notes.push(format!("a record would be set aside: {}", bad.reason));
    }
    decoder.finish().map_err(wrong)?;
    let mut parents = ParentRows::default();
    let mut batches: Vec<Vec<(RecordBatch, Vec<Column>)>> = vec![Vec::new(); decoder.tables()];
    while let Some((table, batch)) = decoder.next_batch() {
        let columns = columns_of(&decoder, table, &batch).to_vec();
        if table == 0 && !needed.is_empty() {
            parents.take(&stream.name, &batch, &columns, &needed)?;
        }
        batches[table].push((batch, columns));
    }
    let mut previews = Vec::with_capacity(batches.len());
    for (table, batches) in batches.into_iter().enumerate() {
        let (columns, once_datetimes) = (decoder.columns(table).to_vec(), decoder.once_datetimes(table));
        let converted: Result<Vec<RecordBatch>, _> =
            batches.iter().map(|(batch, from)| convert_stepwise(batch, from, &columns, &once_datetimes)).collect();
        let converted = converted.map_err(wrong)?;
        let rows = converted.first().map(|first| {
            let all = concat_batches(&first.schema(), &converted).expect("converted batches have one schema");
            all.slice(0, all.num_rows().min(rows_max))
        });
        let notes = if table == 0 { std::mem::take(&mut notes) } else { Vec::new() };
        let (table, reasons) = (decoder.name(table).to_owned(), decoder.reasons(table));
        previews.push(Preview { table, columns, reasons, rows, notes });
    }
    Ok((previews, parents))
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
