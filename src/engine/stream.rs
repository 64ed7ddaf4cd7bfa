//! One stream from its address to a sealed table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::described::{Described, describe};
use super::error::Error;
use super::gates::repeats::KeyFindings;
use super::merge::child::merge_child;
use super::merge::deletes::{Listed, Told};
use super::merge::{Former, Merge, Merged, check_form};
use super::parents::ParentRows;
use super::pump::{LeftOut, PumpedTable, Pumping, is_read_whole, prepare};
use super::raw::{RawReader, copies_of};
use super::read::SliceReader;
use super::resume::Resume;
use super::resume::kept::{KeptPages, ResumedSlice};
use super::run::hex;
use super::seal::{SealedStream, SealedTable, seal};
use super::slices::{Backfill, Planned, Planning};
use crate::columns::{Options, Reason};
use crate::model::answer::AnswerFormat;
use crate::model::column::Column;
use crate::model::incremental::{CursorScope, CursorValue, Incremental, StoredCursor};
use crate::model::manifest::{Part, RawCopies, RawRun, TableManifest};
use crate::model::plan::{Dialect, Stream, WriteMode};
use crate::model::warning::{Warning, add_warnings};
use crate::paging::walk::WalkEnd;
use crate::source::{Association, Context as TemplateContext, Endpoint};
use crate::telemetry::Event;

/// A stream that was read whole.
pub(super) struct ReadStream {
    /// Its own table, then those of its lists.
    pub tables: Vec<ReadTable>,
    /// How every slice's walk ended.
    pub ends: Vec<WalkEnd>,
    pub left_out: Vec<LeftOut>,
    /// Where the cursors stand now. Empty = the stream has none.
    pub cursors: BTreeMap<String, StoredCursor>,
    /// The greatest of them before this read. Absent = there was none.
    pub known_until: Option<CursorValue>,
    pub without_cursor: u64,
    pub parents: ParentRows,
    /// Records that the job's filter left out.
    pub filtered: u64,
    pub keys: KeyFindings,
    /// Pages that an unfinished run had read.
    pub resumed_pages: u64,
    /// The file of the records that became no row, and how many these are. Absent = all did.
    pub quarantine: Option<(Part, u64)>,
    /// The raw copies that make the table. Absent = the job does not want them.
    pub raw: Option<RawCopies>,
    /// Those of this read.
    pub raw_files: Vec<Part>,
    /// What the service says of its references. Absent = it says nothing, or was not asked.
    pub associations: Option<Vec<Association>>,
}

impl ReadStream {
    /// What it tells others of their records.
    pub(super) fn listed(&self) -> Listed {
        Listed::of(&self.tables[0].sealed, self.known_until, self.raw_files.clone())
    }
}

/// One table of a stream that was read.
pub(super) struct ReadTable {
    pub sealed: SealedTable,
    /// The table with the former rows. Absent = the read is the table.
    pub merged: Option<Merged>,
    pub warnings: Vec<Warning>,
    /// Why its columns have their types, in the order of the read's columns.
    pub reasons: Vec<Reason>,
    /// New fields that the contract left out.
    pub fields_left_out: Vec<String>,
}

impl ReadTable {
    /// The files of the table.
    pub(super) fn parts(&self) -> &[Part] {
        self.merged.as_ref().map_or_else(|| self.sealed.parts(), |merged| merged.parts.as_slice())
    }

    pub(super) fn columns(&self) -> &[Column] {
        self.merged.as_ref().map_or_else(|| self.sealed.columns(), |merged| merged.columns.as_slice())
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
    /// The tables of the last snapshot, whose types and cursors are remembered. Absent = there is none, or it is forgotten.
    pub former: Option<&'a BTreeMap<String, TableManifest>>,
    /// Absent = the stream stands alone.
    pub parents: Option<&'a ParentRows>,
    /// What another stream told of this one's records. Absent = none does.
    pub listed: Option<&'a Listed>,
    /// Fields that other streams wait for.
    pub needed: BTreeSet<Vec<String>>,
    pub backfill: &'a Backfill,
    pub is_stopped: &'a CancellationToken,
}

/// Where the pages of a stream come from.
pub(super) enum Pages<'a> {
    /// The source, behind what an unfinished run left.
    Source(&'a Resume),
    /// What an earlier run kept.
    Copy(RawReader),
}

/// What there is before the first page.
struct Begun {
    planned: Planned,
    options: Options,
    associations: Option<Vec<Association>>,
    kept: KeptPages,
    resumed: BTreeMap<usize, ResumedSlice>,
    copy: Option<RawReader>,
}

impl Reading<'_> {
    /// Reads the stream whole, or from its cursors on.
    pub(super) async fn read(self, pages: Pages<'_>) -> Result<ReadStream, Error> {
        let (ctx, stream) = (self.ctx, self.stream);
        check_form(ctx, stream, self.former_table())?;
        let began = Instant::now();
        ctx.telemetry.tell(Event::StreamBegan { stream: stream.name.clone() });
        let template = template(ctx);
        let former_cursors = self.former_table().map(|table| table.cursors.clone()).unwrap_or_default();
        let is_copy = matches!(pages, Pages::Copy(_));
        let known_until = self.known_until(&pages, &former_cursors);
        let Begun { planned, options, associations, kept, resumed, copy } =
            self.begin(pages, &template, &former_cursors).await?;
        let (frozen, scopes) = (planned.frozen, planned.scopes.clone());
        let (needed, is_stopped) = (self.needed.clone(), self.is_stopped);
        let resumed_pages = resumed.values().map(|slice| slice.marks.len() as u64).sum();
        let pumping = Pumping {
            ctx,
            stream,
            template: &template,
            planned,
            options,
            needed,
            is_stopped,
            cause: Mutex::default(),
            kept,
            resumed: Mutex::new(resumed),
            known_until,
        };
        let mut pumped = pumping.pump(copy).await?;
        let (filtered, keys, quarantine) = (pumped.filtered, pumped.keys, pumped.quarantine.take());
        let gone = std::mem::take(&mut pumped.gone);
        let records_gone: u64 = gone.iter().map(|gone| gone.rows_before.len() as u64).sum();
        let left_out = std::mem::take(&mut pumped.left_out);
        let parents = std::mem::take(&mut pumped.parents);
        let without_cursor = pumped.without_cursor;
        let raw_files = std::mem::take(&mut pumped.raw);
        let raw = self.raw_copies(is_copy, &raw_files);
        let cursors = match &stream.incremental {
            Some(incremental) if !self.backfill.is_asked_for() && !is_copy => {
                let reached = Reached { seen: &pumped.cursors, scopes: &scopes, frozen, left_out: &left_out };
                advanced(ctx, incremental, former_cursors, &reached)
            }
            // What is read again says nothing about how far the stream is read.
            _ => former_cursors,
        };
        let mut told = Vec::with_capacity(pumped.tables.len());
        for PumpedTable { decoded, .. } in &mut pumped.tables {
            told.push((
                std::mem::take(&mut decoded.warnings),
                std::mem::take(&mut decoded.reasons),
                std::mem::take(&mut decoded.left_out),
            ));
        }
        let no_rows = filtered + records_gone + quarantine.as_ref().map_or(0, |(_, records)| *records);
        let sealed = seal(ctx, stream.write, pumped.tables, pumped.ends, no_rows).await?;
        let merged = self.merge(&sealed, Told { gone: &gone, listed: self.listed }).await?;
        let took: Duration = began.elapsed();
        ctx.telemetry.tell(Event::StreamSealed {
            stream: stream.name.clone(),
            rows: sealed.tables[0].rows(),
            pages: sealed.pages(),
            took,
        });
        let tables = sealed.tables.into_iter().zip(merged).zip(told);
        let tables = tables.map(|((sealed, merged), (mut warnings, reasons, fields_left_out))| {
            add_warnings(&mut warnings, sealed.warnings().iter().cloned());
            add_warnings(&mut warnings, merged.iter().flat_map(|merged: &Merged| merged.warnings.clone()));
            ReadTable { sealed, merged, warnings, reasons, fields_left_out }
        });
        let (tables, ends) = (tables.collect(), sealed.ends);
        Ok(ReadStream {
            tables,
            ends,
            left_out,
            cursors,
            known_until,
            without_cursor,
            parents,
            filtered,
            keys,
            resumed_pages,
            quarantine,
            raw,
            raw_files,
            associations,
        })
    }

    /// Everything that is needed before the first page.
    async fn begin(
        &self,
        pages: Pages<'_>,
        template: &TemplateContext,
        cursors: &BTreeMap<String, StoredCursor>,
    ) -> Result<Begun, Error> {
        let resume = match pages {
            Pages::Source(resume) => resume,
            Pages::Copy(copy) => {
                let options = known(self.ctx, self.stream, self.former, copy.fetched().to_vec());
                let (kept, resumed) = (KeptPages::none(), BTreeMap::new());
                let planned = Planned::default();
                return Ok(Begun { planned, options, associations: None, kept, resumed, copy: Some(copy) });
            }
        };
        let planned = self.plan(template, cursors)?;
        let (options, associations) = tokio::select! {
            biased;
            () = self.is_stopped.cancelled() => return Err(Error::Stopped),
            options = self.options(template, &planned) => options?,
        };
        let (kept, resumed) = self.resumed_slices(resume, template, &planned).await?;
        Ok(Begun { planned, options, associations, kept, resumed, copy: None })
    }

    /// The greatest cursor before this read. `None` = there was none.
    fn known_until(&self, pages: &Pages<'_>, cursors: &BTreeMap<String, StoredCursor>) -> Option<CursorValue> {
        let kind = &self.stream.incremental.as_ref()?.kind;
        match pages {
            Pages::Source(_) => cursors.values().filter_map(|stored| kind.read(&stored.value)).max(),
            Pages::Copy(copy) => copy.known_until().and_then(|text| kind.read(text)),
        }
    }

    /// The raw copies that make the table after this read, which kept these.
    fn raw_copies(&self, is_copy: bool, files: &[Part]) -> Option<RawCopies> {
        let (ctx, former) = (self.ctx, self.former_table());
        if is_copy {
            return former?.raw.clone();
        }
        let list = self.listed.map(|listed| listed.raw.clone()).unwrap_or_default();
        let run = RawRun { run: ctx.run.clone(), as_of: ctx.as_of(), files: files.to_vec(), list };
        ctx.job.destination.is_raw_kept.then(|| copies_of(self.stream.write, former, run))
    }

    /// What an unfinished run left of the slices, as far as the source goes on behind it.
    async fn resumed_slices(
        &self,
        resume: &Resume,
        template: &TemplateContext,
        planned: &Planned,
    ) -> Result<(KeptPages, BTreeMap<usize, ResumedSlice>), Error> {
        let (ctx, stream) = (self.ctx, self.stream);
        let plan = hex(format!("{:?}", planned.slices).as_bytes(), 16);
        let mut kept = resume.pages_of(ctx, &stream.name, &plan).await;
        let mut resumed = BTreeMap::new();
        let reader = SliceReader { ctx, stream, halt: self.is_stopped, keeping: kept.keeping() };
        for (number, mut slice) in kept.take_resumed() {
            let is_good = match (slice.end, planned.slices.get(number)) {
                (_, None) => false,
                (Some(_), Some(_)) => true,
                // Its report, or what the end decides about it, went with the run.
                (None, Some(_)) if stream.report.is_some() || is_read_whole(stream) => false,
                (None, Some(planned_slice)) => {
                    let endpoint = prepare(ctx, stream, &template.with_slice(planned_slice))?;
                    reader.goes_on(&endpoint, planned.floors[number], &mut slice).await?
                }
            };
            if is_good {
                for mark in &slice.marks {
                    let (stream, records) = (stream.name.clone(), mark.facts.records);
                    ctx.telemetry.tell(Event::PageRead { stream, records, bytes: 0 });
                }
                resumed.insert(number, slice);
            } else {
                let dropped = kept.drop_slice(number);
                dropped.map_err(|source| Error::Spool { stream: stream.name.clone(), source })?;
                let pages = slice.marks.len();
                let what = format!(
                    "stream `{}`: the source does not go on behind the {pages} pages that an unfinished run read: they \
                     are read again",
                    stream.name
                );
                ctx.telemetry.tell(Event::Warned { what });
            }
        }
        Ok((kept, resumed))
    }

    /// The tables with their former rows, where these stay.
    async fn merge(&self, sealed: &SealedStream, told: Told<'_>) -> Result<Vec<Option<Merged>>, Error> {
        let mode = match self.stream.write {
            WriteMode::Replace => return Ok(sealed.tables.iter().map(|_| None).collect()),
            mode => mode,
        };
        let own = &sealed.tables[0];
        let former = Former::of(self.former_table());
        let merge = Merge::new(self.ctx, self.stream, mode, former, own, told)?;
        let (merged, gone) = merge.merge(former, own).await?;
        let mut all = vec![Some(merged)];
        for table in &sealed.tables[1..] {
            let former = self.former.and_then(|tables| tables.get(table.name()));
            if former.is_none() && self.former_table().is_some_and(|own| own.rows > 0) {
                return Err(Error::NewChild { stream: self.stream.name.clone(), table: table.name().to_owned() });
            }
            all.push(Some(merge_child(self.ctx, self.stream, &gone, Former::of(former), table).await?));
        }
        Ok(all)
    }

    fn former_table(&self) -> Option<&TableManifest> {
        self.former.and_then(|tables| tables.get(&self.stream.name))
    }

    fn plan(&self, template: &TemplateContext, cursors: &BTreeMap<String, StoredCursor>) -> Result<Planned, Error> {
        let planning = Planning {
            stream: self.stream,
            context: template,
            started_at: self.ctx.as_of(),
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

    async fn options(
        &self,
        template: &TemplateContext,
        planned: &Planned,
    ) -> Result<(Options, Option<Vec<Association>>), Error> {
        // What a report is called shows when it is made; such streams have no description of their types.
        match planned.slices.first().filter(|_| self.stream.report.is_none()) {
            Some(slice) => {
                let endpoint = prepare(self.ctx, self.stream, &template.with_slice(slice))?;
                options(self.ctx, self.stream, &endpoint, self.former).await
            }
            None => Ok((known(self.ctx, self.stream, self.former, Vec::new()), None)),
        }
    }
}

/// What templates of a run may speak of, before a slice adds its own.
pub(super) fn template(ctx: &Context) -> TemplateContext {
    TemplateContext::new(&ctx.job.settings, &ctx.run, &ctx.as_of().to_rfc3339())
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
            cursors.insert(scope, StoredCursor { value: value.text(), set_at: ctx.as_of() });
        }
    }
    cursors
}

/// What is known of the columns before the first record, and what the service says of references.
pub(super) async fn options(
    ctx: &Context,
    stream: &Stream,
    endpoint: &Endpoint,
    former: Option<&BTreeMap<String, TableManifest>>,
) -> Result<(Options, Option<Vec<Association>>), Error> {
    let described =
        if ctx.job.source.has_metadata { describe(ctx, stream, endpoint).await? } else { Described::default() };
    Ok((known(ctx, stream, former, described.columns), described.associations))
}

fn known(
    ctx: &Context,
    stream: &Stream,
    former: Option<&BTreeMap<String, TableManifest>>,
    fetched: Vec<Column>,
) -> Options {
    let columns_of = |table: &str| former.and_then(|tables| tables.get(table)).map(|table| table.columns.clone());
    let children = stream.fields.tables();
    Options {
        fields: stream.fields.clone(),
        fetched,
        former: columns_of(&stream.name).unwrap_or_default(),
        former_children: children
            .iter()
            .filter_map(|child| Some((child.table.clone(), columns_of(&child.table)?)))
            .collect(),
        is_odata: ctx.job.source.dialect == Dialect::Odata,
        is_xml: stream.format == AnswerFormat::Xml,
        contract: stream.contract,
        name: stream.name.clone(),
        key: stream.key.clone(),
        tombstone: stream.deletes.as_ref().and_then(|deletes| deletes.tombstone().cloned()),
        computed: Vec::new(),
        has_parent_rows: stream.write != WriteMode::Replace && !children.is_empty(),
        limits: ctx.job.destination.limits,
    }
}
