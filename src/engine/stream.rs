//! One stream from its address to a sealed table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::error::Error;
use super::merge::{Former, Merge, Merged, check_form};
use super::parents::ParentRows;
use super::pump::{LeftOut, Pumping, prepare};
use super::seal::{SealedTable, seal};
use super::slices::{Backfill, Planned, Planning};
use crate::columns::{self, Options};
use crate::model::column::{Column, ColumnType, TypeOrigin};
use crate::model::incremental::{CursorScope, CursorValue, Incremental, StoredCursor};
use crate::model::manifest::{Part, TableManifest};
use crate::model::plan::{Dialect, Stream, WriteMode};
use crate::model::warning::{Warning, add_warnings};
use crate::source::{Context as TemplateContext, Endpoint, fetched_columns};
use crate::telemetry::Event;

/// A stream that was read whole.
pub(super) struct ReadStream {
    pub table: SealedTable,
    /// The table with the former rows. Absent = the read is the table.
    pub merged: Option<Merged>,
    pub warnings: Vec<Warning>,
    pub left_out: Vec<LeftOut>,
    /// Where the cursors stand now. Empty = the stream has none.
    pub cursors: BTreeMap<String, StoredCursor>,
    pub without_cursor: u64,
    pub parents: ParentRows,
}

impl ReadStream {
    /// The files of the table.
    pub(super) fn parts(&self) -> &[Part] {
        self.merged.as_ref().map_or_else(|| self.table.parts(), |merged| merged.parts.as_slice())
    }

    pub(super) fn columns(&self) -> &[Column] {
        self.merged.as_ref().map_or_else(|| self.table.columns(), |merged| merged.columns.as_slice())
    }

    pub(super) fn rows(&self) -> u64 {
        self.parts().iter().map(|part| part.rows).sum()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.parts().iter().map(|part| part.bytes).sum()
    }
}

/// What a stream is read with.
pub(super) struct Reading<'a> {
    pub ctx: &'a Context,
    pub stream: &'a Stream,
    /// Its table in the last snapshot, whose types and cursors are remembered. Absent = there is none, or it is forgotten.
    pub former: Option<&'a TableManifest>,
    /// Absent = the stream stands alone.
    pub parents: Option<&'a ParentRows>,
    /// Fields that other streams wait for.
    pub needed: BTreeSet<Vec<String>>,
    pub backfill: &'a Backfill,
    pub is_stopped: &'a CancellationToken,
}

impl Reading<'_> {
    /// Reads the stream whole, or from its cursors on.
    pub(super) async fn read(self) -> Result<ReadStream, Error> {
        let (ctx, stream) = (self.ctx, self.stream);
        check_form(ctx, stream, self.former)?;
        let began = Instant::now();
        ctx.telemetry.tell(Event::StreamBegan { stream: stream.name.clone() });
        let template = template(ctx);
        let former_cursors = self.former.map(|table| table.cursors.clone()).unwrap_or_default();
        let planned = self.plan(&template, &former_cursors)?;
        let (frozen, scopes) = (planned.frozen, planned.scopes.clone());
        let options = tokio::select! {
            biased;
            () = self.is_stopped.cancelled() => return Err(Error::Stopped),
            options = self.options(&template, &planned) => options?,
        };
        let (needed, is_stopped) = (self.needed.clone(), self.is_stopped);
        let mut pumped =
            Pumping { ctx, stream, template: &template, planned, options, needed, is_stopped, cause: Mutex::default() }
                .pump()
                .await?;
        let left_out = std::mem::take(&mut pumped.left_out);
        let parents = std::mem::take(&mut pumped.parents);
        let without_cursor = pumped.without_cursor;
        let cursors = match &stream.incremental {
            Some(incremental) if !self.backfill.is_asked_for() => {
                let reached = Reached { seen: &pumped.cursors, scopes: &scopes, frozen, left_out: &left_out };
                advanced(ctx, incremental, former_cursors, &reached)
            }
            // What a backfill reads again says nothing about how far the stream is read.
            _ => former_cursors,
        };
        let table = seal(ctx, stream, pumped).await?;
        let merged = match stream.write {
            WriteMode::Replace => None,
            mode => {
                let former = Former::of(self.former);
                Some(Merge::new(ctx, stream, mode, former, &table)?.merge(former, &table).await?)
            }
        };
        let mut warnings = table.warnings().to_vec();
        add_warnings(&mut warnings, merged.iter().flat_map(|merged| merged.warnings.clone()));
        let took: Duration = began.elapsed();
        ctx.telemetry.tell(Event::StreamSealed {
            stream: stream.name.clone(),
            rows: table.rows(),
            pages: table.pages(),
            took,
        });
        Ok(ReadStream { table, merged, warnings, left_out, cursors, without_cursor, parents })
    }

    fn plan(&self, template: &TemplateContext, cursors: &BTreeMap<String, StoredCursor>) -> Result<Planned, Error> {
        let planning = Planning {
            stream: self.stream,
            context: template,
            started_at: self.ctx.started_at,
            parents: self.parents,
            cursors,
            backfill: self.backfill,
        };
        let planned = planning.plan().map_err(|source| Error::Endpoint { stream: self.stream.name.clone(), source })?;
        self.ctx
            .telemetry
            .tell(Event::SlicesPlanned { stream: self.stream.name.clone(), slices: planned.slices.len() as u64 });
        Ok(planned)
    }

    async fn options(&self, template: &TemplateContext, planned: &Planned) -> Result<Options, Error> {
        // What a report is called shows when it is made; such streams have no description of their types.
        match planned.slices.first().filter(|_| self.stream.report.is_none()) {
            Some(slice) => {
                let endpoint = prepare(self.ctx, self.stream, &template.with_slice(slice))?;
                options(self.ctx, self.stream, &endpoint, self.former).await
            }
            None => Ok(known(self.ctx, self.stream, self.former, Vec::new())),
        }
    }
}

/// What templates of a run may speak of, before a slice adds its own.
pub(super) fn template(ctx: &Context) -> TemplateContext {
    TemplateContext::new(&ctx.job.settings, &ctx.run, &ctx.started_at.to_rfc3339())
}

/// How far a read got.
struct Reached<'a> {
    seen: &'a BTreeMap<String, CursorValue>,
    scopes: &'a [String],
    frozen: Option<CursorValue>,
    left_out: &'a [LeftOut],
}

/// Where the cursors stand after a read. They never go back, and never pass what a slice did not deliver.
fn advanced(
    ctx: &Context,
    incremental: &Incremental,
    mut cursors: BTreeMap<String, StoredCursor>,
    reached: &Reached<'_>,
) -> BTreeMap<String, StoredCursor> {
    let mut values = reached.seen.clone();
    if let Some(frozen) = reached.frozen {
        // Windows were read up to the start of the run, whatever the newest record in them says.
        values = reached.scopes.iter().map(|scope| (scope.clone(), frozen)).collect();
    }
    for left_out in reached.left_out {
        match incremental.scope {
            CursorScope::Stream => values.clear(),
            CursorScope::Slice => drop(values.remove(&left_out.scope)),
        }
    }
    for (scope, value) in values {
        let former = cursors.get(&scope).and_then(|stored| incremental.kind.read(&stored.value));
        if former.is_none_or(|former| former < value) {
            cursors.insert(scope, StoredCursor { value: value.text(), set_at: ctx.started_at });
        }
    }
    cursors
}

/// What is known of the columns before the first record.
pub(super) async fn options(
    ctx: &Context,
    stream: &Stream,
    endpoint: &Endpoint,
    former: Option<&TableManifest>,
) -> Result<Options, Error> {
    let fetched = if ctx.job.source.has_metadata { fetch_columns(ctx, stream, endpoint).await? } else { Vec::new() };
    Ok(known(ctx, stream, former, fetched))
}

fn known(ctx: &Context, stream: &Stream, former: Option<&TableManifest>, fetched: Vec<Column>) -> Options {
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
    let is_odata = ctx.job.source.dialect == Dialect::Odata;
    Options { declared, fetched, remembered, is_odata, limits: ctx.job.destination.limits }
}

/// Types from `$metadata`. A service without a readable description is walked all the same; its columns are inferred.
async fn fetch_columns(ctx: &Context, stream: &Stream, endpoint: &Endpoint) -> Result<Vec<Column>, Error> {
    let wrong = |source| Error::Endpoint { stream: stream.name.clone(), source };
    let types = match ctx.source.read_metadata(endpoint, &ctx.job.source.base_url).await {
        Ok(reply) => fetched_columns(reply.body.in_memory(), &endpoint.last_segment()),
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
