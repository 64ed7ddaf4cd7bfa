//! How the tables of a job name each other's rows beside the lists of a stream: streams that are read for the records of
//! another one, and what an OData service says.

use std::collections::BTreeMap;

use super::publication::Finished;
use crate::model::column::Column;
use crate::model::manifest::{Reference, ReferenceOrigin, TableManifest};
use crate::model::plan::{Job, Stream};
use crate::source::Association;
use crate::store::Current;

/// What others see of a table.
struct Head {
    columns: Vec<Column>,
    key: Vec<String>,
}

type Heads = BTreeMap<String, Head>;

impl Head {
    fn named(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.has_name(name))
    }

    fn at(&self, path: &[String]) -> Option<&Column> {
        self.columns.iter().find(|column| column.path == path)
    }
}

fn heads<'t>(tables: impl Iterator<Item = (&'t String, &'t TableManifest)>) -> Heads {
    let head = |table: &TableManifest| Head { columns: table.columns.clone(), key: table.key.clone() };
    tables.map(|(name, table)| (name.clone(), head(table))).collect()
}

/// Writes their references into the tables that were read.
pub(super) fn refer(job: &Job, current: Option<&Current>, finished: &mut Finished) {
    let former = current.map(|current| &current.manifest.tables);
    let seen = former.into_iter().flatten().chain(&finished.tables).chain(&finished.held);
    let heads = heads(seen);
    for stream in &job.streams {
        let Some(own) = heads.get(&stream.name) else { continue };
        let mut references = Vec::from_iter(for_each(stream, own, &heads));
        match finished.associations.get(&stream.name) {
            Some(told) => {
                let found = told.iter().filter_map(|association| associated(job, association, own, &heads));
                add(&mut references, found);
            }
            // As with types: what the service said before holds until it says something else.
            None => {
                let former = former.and_then(|former| former.get(&stream.name));
                let known = former.into_iter().flat_map(|former| &former.references);
                add(&mut references, known.filter(|known| known.origin == ReferenceOrigin::Association).cloned());
            }
        }
        references.retain(|reference| is_good(reference, own, &heads));
        for tables in [&mut finished.tables, &mut finished.held] {
            if let Some(table) = tables.get_mut(&stream.name) {
                table.references.clone_from(&references);
            }
        }
    }
}

/// Takes away what the other tables of the snapshot do not bear out any more.
pub(super) fn keep_good(tables: &mut BTreeMap<String, TableManifest>) {
    let heads = heads(tables.iter());
    for (name, table) in tables {
        let own = &heads[name];
        table.references.retain(|reference| is_good(reference, own, &heads));
    }
}

/// Adds what is not there yet, from wherever it is known.
fn add(references: &mut Vec<Reference>, more: impl Iterator<Item = Reference>) {
    for reference in more {
        let is_same = |known: &Reference| known.table == reference.table && known.columns == reference.columns;
        if !references.iter().any(is_same) {
            references.push(reference);
        }
    }
}

/// A stream that is read for each record of another keeps the key of that record.
fn for_each(stream: &Stream, own: &Head, heads: &Heads) -> Option<Reference> {
    let parent = stream.parent.as_ref().filter(|parent| parent.batch == 1)?;
    let other = heads.get(&parent.stream)?;
    let mut columns = BTreeMap::new();
    for key in &other.key {
        let held = other.named(key)?;
        let (column, _) = parent.fields.iter().find(|(_, field)| *field == held.path)?;
        columns.insert(own.at(std::slice::from_ref(column))?.name.clone(), held.name.clone());
    }
    Some(Reference { table: parent.stream.clone(), columns, origin: ReferenceOrigin::ForEach })
}

/// An association with the one stream that reads its other set.
fn associated(job: &Job, association: &Association, own: &Head, heads: &Heads) -> Option<Reference> {
    let mut readers = job.streams.iter().filter(|stream| set_of(stream) == Some(association.set.as_str()));
    let stream = readers.next()?;
    if readers.next().is_some() {
        // Each may read another part of it.
        return None;
    }
    let other = heads.get(&stream.name)?;
    let mut columns = BTreeMap::new();
    for (property, referenced) in &association.properties {
        columns.insert(own.at(property)?.name.clone(), other.at(referenced)?.name.clone());
    }
    Some(Reference { table: stream.name.clone(), columns, origin: ReferenceOrigin::Association })
}

/// The entity set that a stream reads. `None` = it shows only when it is read.
fn set_of(stream: &Stream) -> Option<&str> {
    let path = stream.request.path.split(['?', '#']).next()?;
    let last = path.rsplit('/').next()?;
    (stream.report.is_none() && !path.contains("{{") && !last.contains('(')).then_some(last)
}

/// Whether the columns are there and hold the whole key of the other table, in its types.
fn is_good(reference: &Reference, own: &Head, heads: &Heads) -> bool {
    let Some(other) = heads.get(&reference.table) else { return false };
    let is_held = |key: &String| reference.columns.values().any(|column| column.eq_ignore_ascii_case(key));
    let is_alike = |(column, referenced): (&String, &String)| {
        let kinds = (own.named(column).map(|column| column.kind), other.named(referenced).map(|column| column.kind));
        matches!(kinds, (Some(kind), Some(other)) if kind == other)
    };
    !other.key.is_empty()
        && other.key.len() == reference.columns.len()
        && other.key.iter().all(is_held)
        && reference.columns.iter().all(is_alike)
}
