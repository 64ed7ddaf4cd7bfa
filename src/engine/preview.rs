//! The first rows of a stream, decoded as a run would, and what is noticed about its paging. Publishes nothing.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;

use super::context::Context;
use super::error::Error;
use super::pump::columns_of;
use super::stream::{options, prepare};
use crate::columns::{Decoder, convert};
use crate::model::column::Column;
use crate::model::plan::Stream;
use crate::paging::Paginator;
use crate::paging::walk::{Step, Walk};
use crate::source::Page;

/// First rows of one stream.
pub(crate) struct Preview {
    pub stream: String,
    pub columns: Vec<Column>,
    /// Absent = no record, or no column.
    pub rows: Option<RecordBatch>,
    /// What a run of this job would stumble over, or what was found about paging.
    pub notes: Vec<String>,
}

/// Reads pages of a stream until it has `rows_max` rows.
pub(crate) async fn preview(ctx: &Context, stream: &Stream, rows_max: usize) -> Result<Preview, Error> {
    let wrong = |source| Error::Columns { stream: stream.name.clone(), source };
    let endpoint = prepare(ctx, stream)?;
    let mut decoder = Decoder::new(options(ctx, stream, &endpoint, None).await?).map_err(wrong)?;
    let mut walk = Walk::new(stream.paginator.clone(), endpoint.total_proof());
    let wants = stream.paginator.wants();
    let mut before: Option<Page> = None;
    let mut notes = Vec::new();
    let mut rows = 0;
    while rows < rows_max as u64 {
        let number = walk.pages() + 1;
        let page = ctx
            .source
            .read_page(&endpoint, walk.current(), &stream.records, &wants, before.as_ref())
            .await
            .map_err(|source| Error::Page { stream: stream.name.clone(), page: number, source })?;
        rows += tokio::task::block_in_place(|| decoder.push(page.records(), number)).map_err(wrong)?;
        match walk.accept(&page.facts) {
            Ok(Step::More(_)) => before = Some(page),
            Ok(Step::End(end)) => {
                notes.push(format!("all {} records on {} page(s)", end.records(), end.pages()));
                break;
            }
            Err(error) => {
                notes.push(format!("a run would stop here: {error}"));
                notes.extend(guess(&stream.paginator, &page));
                break;
            }
        }
    }
    let mut batches = Vec::new();
    let mut schemas = Vec::new();
    let mut next = decoder.finish().map_err(wrong)?;
    while let Some(batch) = next {
        schemas.push(columns_of(&decoder, &batch).to_vec());
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
    Ok(Preview { stream: stream.name.clone(), columns, rows, notes })
}

/// What paging the answer seems to ask for. A run never guesses.
fn guess(paginator: &Paginator, page: &Page) -> Option<String> {
    let facts = &page.facts;
    let sign = facts.sign_of_next.as_ref().or(facts.sign_of_total.as_ref());
    let sign = sign.filter(|_| *paginator == Paginator::Unstated)?;
    let name = sign.to_ascii_lowercase();
    let paging = if name.contains("token") || name.contains("cursor") {
        format!("paging: {{ cursor: {{ from: \"{sign}\", param: cursor }} }}")
    } else if let Some(header) = name.strip_prefix("header ") {
        format!("paging: {{ offset: {{ size: {}, total_header: {header} }} }}", page.facts.records)
    } else if name.contains("total") || name.contains("more") || name.contains("count") {
        format!("paging: {{ offset: {{ size: {}, total: \"{sign}\" }} }}", page.facts.records)
    } else {
        format!("paging: {{ next_url: \"{sign}\" }}")
    };
    Some(format!("a guess from the answer: `{paging}`"))
}
