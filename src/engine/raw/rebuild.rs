//! Tables made anew from the raw copies of their records: every run that made them is read once more, in its order, in a
//! workshop on this machine. The source is asked nothing. What comes of it is published like the tables of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::RawReader;
use crate::engine::context::Context;
use crate::engine::error::Error;
use crate::engine::gates::held_back;
use crate::engine::merge::deletes::Listed;
use crate::engine::publication::{Finished, finish};
use crate::engine::run::{Memory, RunOptions};
use crate::engine::slices::Backfill;
use crate::engine::stream::{Pages, ReadStream, Reading};
use crate::engine::tables::{Form, table_manifests, table_reports};
use crate::model::deletes::Deletes;
use crate::model::manifest::{Manifest, Part, TableManifest};
use crate::model::plan::{Job, Place, Stream};
use crate::model::report::{Outcome, Rebuilt, RunReport};
use crate::store::{Store, layout};

/// What one run kept, by stream.
struct Round {
    run: String,
    as_of: DateTime<Utc>,
    /// Of streams whose tables it made.
    made: BTreeMap<String, Vec<Part>>,
    /// Of streams that told which records are gone.
    told: BTreeMap<String, Vec<Part>>,
}

/// Where tables are made before they are put into the store.
struct Workshop {
    store: Store,
    /// The job's folder.
    folder: PathBuf,
    _root: TempDir,
}

/// Makes the tables of these streams anew; of all that have whole copies where none is named. With the job's lease held.
pub(in crate::engine) async fn rebuild(
    ctx: &Context,
    options: &RunOptions,
    is_stopped: &CancellationToken,
    report: &mut RunReport,
) -> Result<Outcome, Error> {
    let current = ctx.store.load_current().await?.ok_or(Error::NothingPublished)?;
    report.snapshot = Some(current.manifest.snapshot.clone());
    ctx.store.remember(&current.manifest);
    let streams = copied_streams(&ctx.job, &options.streams, &current.manifest, report)?;
    let workshop = Workshop::open(&ctx.job)?;
    let mut tables = known_tables(&ctx.job, &current.manifest, options.memory);
    let mut last: BTreeMap<String, ReadStream> = BTreeMap::new();
    let mut rebuilt: BTreeMap<String, Rebuilt> = BTreeMap::new();
    for round in rounds_of(&streams, &current.manifest) {
        let at_round = ctx.at_round(&round.run, round.as_of, workshop.store.clone());
        let mut listed: BTreeMap<String, Listed> = BTreeMap::new();
        let mut left_over: Vec<Part> = Vec::new();
        for stream in in_order(&ctx.job, &round) {
            let made = round.made.get(&stream.name);
            let files = made.or_else(|| round.told.get(&stream.name)).map(Vec::as_slice).unwrap_or_default();
            let copy = RawReader::open(&ctx.store, &stream.name, files).await?;
            let reading = Reading {
                ctx: &at_round,
                stream,
                former: Some(&tables),
                parents: None,
                listed: stream.deletes.as_ref().and_then(Deletes::list).and_then(|list| listed.get(list)),
                needed: BTreeSet::new(),
                backfill: &Backfill::default(),
                is_stopped,
            };
            let read = reading.read(Pages::Copy(copy)).await?;
            listed.insert(stream.name.clone(), read.listed());
            left_over.extend(read.tables.iter().flat_map(|table| table.sealed.parts()).cloned());
            if made.is_none() {
                continue;
            }
            let rebuilt = rebuilt.entry(stream.name.clone()).or_default();
            rebuilt.runs += 1;
            rebuilt.pages += read.ends.iter().map(crate::paging::walk::WalkEnd::pages).sum::<u64>();
            for (name, table) in table_manifests(&at_round, stream, &read) {
                left_over.extend(tables.insert(name, table).into_iter().flat_map(|former| former.parts));
            }
            last.insert(stream.name.clone(), read);
        }
        workshop.remove(left_over, &tables);
    }
    let mut finished = Finished::default();
    for stream in &streams {
        let Some(read) = last.get(&stream.name) else { continue };
        let mut reports = table_reports(read, Some(&current.manifest.tables));
        let why = held_back(&ctx.job, stream, read, &reports, Some(&current.manifest.tables));
        for (number, name) in stream.table_names().into_iter().enumerate() {
            let Some(table) = tables.remove(name) else { continue };
            let parts = workshop.deliver(ctx, name, &table.parts).await?;
            if let Some(report) = reports.get_mut(name) {
                // What the last of the runs did to it says nothing of the whole.
                report.merge = None;
                report.rebuilt = rebuilt.get(&stream.name).copied().filter(|_| number == 0);
            }
            let kept = if why.is_empty() { &mut finished.tables } else { &mut finished.held };
            kept.insert(name.to_owned(), TableManifest { parts, ..table });
        }
        if let (Some((file, _)), Some(report)) = (&read.quarantine, reports.get_mut(&stream.name)) {
            let path = layout::quarantine(&stream.name, &ctx.run);
            let file = workshop.copy(ctx, file, &path).await?;
            if let Some(quarantine) = &mut report.quarantine {
                quarantine.path = file.path;
            }
        }
        report.tables.extend(reports);
        report.held.extend(why);
    }
    finish(ctx, Some(&current), finished, report).await
}

/// The streams whose tables can be made anew.
fn copied_streams(
    job: &Job,
    named: &[String],
    current: &Manifest,
    report: &mut RunReport,
) -> Result<Vec<Stream>, Error> {
    let mut streams = Vec::new();
    for stream in job.streams.iter().filter(|stream| named.is_empty() || named.contains(&stream.name)) {
        let raw = current.tables.get(&stream.name).and_then(|table| table.raw.as_ref());
        let why = match raw {
            None => "its records were not kept as they came",
            Some(raw) if !raw.is_whole => "its first rows are from before its records were kept as they came",
            Some(_) => {
                streams.push(stream.clone());
                continue;
            }
        };
        if !named.is_empty() {
            return Err(Error::NoRawCopy { stream: stream.name.clone(), why });
        }
        report.warnings.push(format!("stream `{}` keeps its tables: {why}", stream.name));
    }
    if streams.is_empty() { Err(Error::NoRawCopies) } else { Ok(streams) }
}

/// The current tables without their rows: what is known of their columns, and their cursors, which stay.
fn known_tables(job: &Job, current: &Manifest, memory: Memory) -> BTreeMap<String, TableManifest> {
    let emptied = |table: &TableManifest| {
        let columns = match memory {
            Memory::Kept => table.columns.clone(),
            Memory::Forgotten => Vec::new(),
        };
        // They may be written in another form than before.
        let Form { format, profile, wide_decimals, csv } = Form::of(&job.destination);
        let (parts, rows, bytes) = (Vec::new(), 0, 0);
        TableManifest { columns, parts, rows, bytes, format, profile, wide_decimals, csv, ..table.clone() }
    };
    current.tables.iter().map(|(name, table)| (name.clone(), emptied(table))).collect()
}

/// The runs that made the tables of these streams, in their order: a run's id tells when it began.
fn rounds_of(streams: &[Stream], current: &Manifest) -> Vec<Round> {
    let mut rounds: BTreeMap<&str, Round> = BTreeMap::new();
    for stream in streams {
        let raw = current.tables.get(&stream.name).and_then(|table| table.raw.as_ref());
        for run in raw.iter().flat_map(|raw| &raw.runs) {
            let round = rounds.entry(&run.run).or_insert_with(|| Round {
                run: run.run.clone(),
                as_of: run.as_of,
                made: BTreeMap::new(),
                told: BTreeMap::new(),
            });
            round.made.insert(stream.name.clone(), run.files.clone());
            if let Some(list) = stream.deletes.as_ref().and_then(Deletes::list).filter(|_| !run.list.is_empty()) {
                round.told.insert(list.to_owned(), run.list.clone());
            }
        }
    }
    rounds.into_values().collect()
}

/// The streams of a round, each behind the one that tells which of its records are gone.
fn in_order<'a>(job: &'a Job, round: &Round) -> Vec<&'a Stream> {
    let is_in = |stream: &&Stream| round.made.contains_key(&stream.name) || round.told.contains_key(&stream.name);
    let mut left: Vec<&Stream> = job.streams.iter().filter(is_in).collect();
    let mut ordered = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let is_ready = |stream: &&Stream| {
            let list = stream.deletes.as_ref().and_then(Deletes::list);
            list.is_none_or(|list| !left.iter().any(|other| other.name == list))
        };
        // The job check refuses a ring.
        let next = left.iter().position(is_ready).unwrap_or(0);
        ordered.push(left.remove(next));
    }
    ordered
}

impl Workshop {
    fn open(job: &Job) -> Result<Self, Error> {
        let root = TempDir::with_prefix("haul-").map_err(|source| Error::Workshop { source })?;
        let store = Store::open(&Place::Local(root.path().to_path_buf()), &job.name, Vec::new())?;
        Ok(Workshop { store, folder: root.path().join(&job.name), _root: root })
    }

    /// Gives the room of files back that no table has any more.
    fn remove(&self, files: Vec<Part>, tables: &BTreeMap<String, TableManifest>) {
        let needed: BTreeSet<&str> =
            tables.values().flat_map(|table| &table.parts).map(|part| part.path.as_str()).collect();
        for file in files.iter().filter(|file| !needed.contains(file.path.as_str())) {
            // The whole folder goes at the end.
            let _ = std::fs::remove_file(self.folder.join(&file.path));
        }
    }

    /// Puts the files of a table into the store, under names of this run; those that it has already stay there.
    async fn deliver(&self, ctx: &Context, table: &str, parts: &[Part]) -> Result<Vec<Part>, Error> {
        let extension = ctx.job.destination.format.extension();
        let mut delivered = Vec::with_capacity(parts.len());
        for (number, part) in (1..).zip(parts) {
            delivered.push(self.copy(ctx, part, &layout::part(table, &ctx.run, number, extension)).await?);
        }
        Ok(delivered)
    }

    async fn copy(&self, ctx: &Context, file: &Part, path: &str) -> Result<Part, Error> {
        let mut from = self.store.fetch(file).await?;
        let copied = tokio::task::block_in_place(|| {
            let mut spool = ctx.store.spool(path)?;
            let copied = std::io::copy(&mut from, &mut spool).and_then(|_| spool.finish());
            copied.map_err(|source| Error::Workshop { source })
        })?;
        let staged = ctx.store.stage(copied, path, file.rows).await?;
        let changed_at = if staged.path == path { Some(ctx.started_at) } else { staged.changed_at };
        Ok(Part { changed_at, ranges: file.ranges.clone(), gauges: file.gauges.clone(), ..staged })
    }
}
