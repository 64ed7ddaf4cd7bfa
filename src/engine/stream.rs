//! One stream from its address to a sealed table.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::error::Error;
use super::pump::pump_slice;
use super::seal::{SealedTable, seal};
use crate::columns::{self, Options, Warning};
use crate::model::column::{Column, ColumnType, TypeOrigin};
use crate::model::manifest::TableManifest;
use crate::model::plan::{Dialect, Stream};
use crate::source::{Context as TemplateContext, Endpoint, fetched_columns};
use crate::telemetry::Event;

/// A stream that was read whole.
pub(super) struct ReadStream {
    pub table: SealedTable,
    pub warnings: Vec<Warning>,
}

/// Reads a stream whole. `former` is its table in the last snapshot, whose column types are remembered.
pub(super) async fn run_stream(
    ctx: &Context,
    stream: &Stream,
    former: Option<&TableManifest>,
    is_stopped: &CancellationToken,
) -> Result<ReadStream, Error> {
    let began = Instant::now();
    ctx.telemetry.tell(Event::StreamBegan { stream: stream.name.clone() });
    let endpoint = prepare(ctx, stream)?;
    let options = tokio::select! {
        biased;
        () = is_stopped.cancelled() => return Err(Error::Stopped),
        options = options(ctx, stream, &endpoint, former) => options?,
    };
    let mut pumped = pump_slice(ctx, stream, &endpoint, options, is_stopped).await?;
    let warnings = std::mem::take(&mut pumped.warnings);
    let table = seal(ctx, stream, pumped).await?;
    let took: Duration = began.elapsed();
    ctx.telemetry.tell(Event::StreamSealed {
        stream: stream.name.clone(),
        rows: table.rows(),
        pages: table.end().pages(),
        took,
    });
    Ok(ReadStream { table, warnings })
}

/// The stream's address with its templates filled in.
pub(super) fn prepare(ctx: &Context, stream: &Stream) -> Result<Endpoint, Error> {
    let template = TemplateContext::new(&ctx.job.settings, ctx.run.clone(), ctx.started_at.to_rfc3339());
    Endpoint::prepare(stream, &ctx.job.source.base_url, &template)
        .map_err(|source| Error::Endpoint { stream: stream.name.clone(), source })
}

/// What is known of the columns before the first record.
pub(super) async fn options(
    ctx: &Context,
    stream: &Stream,
    endpoint: &Endpoint,
    former: Option<&TableManifest>,
) -> Result<Options, Error> {
    let is_odata = ctx.job.source.dialect == Dialect::Odata;
    let fetched = if is_odata { fetch_columns(ctx, stream, endpoint).await? } else { Vec::new() };
    let remembered = former.map(|table| table.columns.clone()).unwrap_or_default();
    // What an earlier run declared or fetched is not a memory of values: it holds only as long as it is said again.
    let remembered = remembered
        .into_iter()
        .filter_map(|column| match column.origin {
            TypeOrigin::Remembered | TypeOrigin::Inferred => Some(Column { origin: TypeOrigin::Remembered, ..column }),
            TypeOrigin::Unseen => Some(Column { kind: ColumnType::Null, origin: TypeOrigin::Remembered, ..column }),
            TypeOrigin::Declared | TypeOrigin::Fetched => None,
        })
        .collect();
    let declared: BTreeMap<String, ColumnType> = stream.columns.clone();
    Ok(Options { declared, fetched, remembered, is_odata })
}

/// Types from `$metadata`. A service without a readable description is walked all the same; its columns are inferred.
async fn fetch_columns(ctx: &Context, stream: &Stream, endpoint: &Endpoint) -> Result<Vec<Column>, Error> {
    let wrong = |source| Error::Endpoint { stream: stream.name.clone(), source };
    let types = match ctx.source.read_metadata(endpoint, &ctx.job.source.base_url).await {
        Ok(reply) => fetched_columns(&reply.body, &endpoint.last_segment()),
        Err(error @ crate::source::Error::Http(crate::http::Error::Interrupted)) => return Err(wrong(error)),
        Err(error @ crate::source::Error::Auth(_)) => return Err(wrong(error)),
        Err(error) => Err(error),
    };
    let types = types.unwrap_or_else(|error| {
        let what = format!("stream `{}`: `$metadata` cannot be used, types are inferred: {error}", stream.name);
        ctx.telemetry.tell(Event::Warned { what });
        Vec::new()
    });
    let selected = endpoint.selected();
    let is_selected = |name: &str| selected.is_empty() || selected.iter().any(|selected| selected == name);
    types
        .into_iter()
        .filter(|(name, _)| is_selected(name))
        .map(|(name, kind)| {
            let path = vec![name];
            let name =
                columns::column_name(&path).map_err(|source| Error::Columns { stream: stream.name.clone(), source })?;
            Ok(Column { name, path, kind, origin: TypeOrigin::Fetched })
        })
        .collect()
}
