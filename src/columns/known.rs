//! Which column a field fills: columns that are known beforehand, new ones, and what the contract says of them.

use std::collections::BTreeSet;

use crate::limits::COLUMNS_MAX;
use crate::model::column::{Column, ColumnType, TypeOrigin};
use crate::model::fields::{ChangedTypes, NewColumns};

use super::error::{Error, shown};
use super::lane::Lane;
use super::names::folded;
use super::options::{TableOptions, declared};
use super::shape::FieldAt;
use super::table::Table;

/// The column of items that are no objects.
const ITEM: &str = "value";

impl Table {
    /// Gives a lane to every column that is known before the first record.
    pub(super) fn know_all(&mut self, options: &TableOptions<'_>) -> Result<(), Error> {
        let mut declared = declared(options.fields);
        for path in &options.fields.json {
            let name = self.names.name(path)?;
            let kind = declared.remove(&folded(&name)).map_or(ColumnType::Json, |(_, kind)| kind);
            self.know(Column { name, path: path.clone(), kind, origin: TypeOrigin::Declared })?;
        }
        for column in options.fetched {
            if self.shape.is_left_out(&column.path) {
                continue;
            }
            let mut column = Column { name: self.names.of_fetched(column)?, ..column.clone() };
            (column.kind, column.origin) = match declared.remove(&folded(&column.name)) {
                Some((_, kind)) => (kind, TypeOrigin::Declared),
                None => (column.kind, TypeOrigin::Fetched),
            };
            if !options.fields.json.contains(&column.path) {
                self.know(column)?;
            }
        }
        // Where a declared column stands in a record is known from the last snapshot, or shows with the first record.
        for (key, (name, kind)) in declared {
            let former = options.former.iter().find(|column| folded(&column.name) == key);
            let path = former.map(|column| column.path.clone()).unwrap_or_default();
            self.know(Column { path, name, kind, origin: TypeOrigin::Declared })?;
        }
        for column in options.former {
            // What an earlier run declared or fetched is not a memory of values: it holds only as long as it is said again.
            let kind = match column.origin {
                TypeOrigin::Remembered | TypeOrigin::Inferred => column.kind,
                TypeOrigin::Unseen => ColumnType::Null,
                // A description that cannot be read today was there yesterday.
                TypeOrigin::Fetched if options.fetched.is_empty() => column.kind,
                TypeOrigin::Declared | TypeOrigin::Fetched => continue,
            };
            let name = self.names.of_former(column)?;
            if self.by_name.contains_key(&folded(&name)) {
                continue;
            }
            let column = Column { name, path: column.path.clone(), kind, origin: TypeOrigin::Remembered };
            if self.shape.is_left_out(&column.path) {
                self.set_aside.push(column);
            } else {
                self.remember(column)?;
            }
        }
        let mut former = BTreeSet::new();
        for column in options.former {
            let name = folded(&self.names.of_former(column)?);
            self.known.extend(self.by_name.get(&name));
            former.insert(name);
        }
        self.former = (!former.is_empty()).then_some(former);
        Ok(())
    }

    /// Gives a lane to a column of the last snapshot.
    fn remember(&mut self, column: Column) -> Result<usize, Error> {
        let kind = column.kind;
        let lane = self.know(column)?;
        self.lanes[lane].is_frozen = self.contract.changed_types == ChangedTypes::Fail && kind != ColumnType::Null;
        Ok(lane)
    }

    /// The lane of a column that the job adds: its type is remembered, too, where the job takes no such field from the
    /// records.
    pub(super) fn lane_of_added(&mut self, at: FieldAt) -> Result<usize, Error> {
        if let Some(lane) = self.known_lane(at)? {
            return Ok(lane);
        }
        let path = self.shape.path(at);
        match self.set_aside.iter().position(|column| column.path == path) {
            Some(former) => {
                let column = self.set_aside.swap_remove(former);
                self.remember(column)
            }
            None => self.add_lane_at(at),
        }
    }

    /// The lane of a field; a new one where there is none. `None` = the contract leaves the field out.
    pub(super) fn lane_for(&mut self, at: FieldAt) -> Result<Option<usize>, Error> {
        if let Some(lane) = self.known_lane(at)? {
            return Ok(Some(lane));
        }
        if let Some(former) = &self.former
            && self.contract.new_columns != NewColumns::Evolve
        {
            let path = self.shape.path(at);
            let column = self.names.name(&path)?;
            if !former.contains(&folded(&column)) {
                if self.contract.new_columns == NewColumns::Freeze {
                    return Err(Error::NewColumn { place: self.place, column, path: shown(&path) });
                }
                if self.left_out.len() == COLUMNS_MAX {
                    return Err(Error::ManyColumns { path: shown(&path), limit: COLUMNS_MAX });
                }
                self.left_out.push(shown(&path));
                self.shape.nodes[at.0].fields[at.1].is_dropped = true;
                return Ok(None);
            }
        }
        self.add_lane_at(at).map(Some)
    }

    /// The lane for items of a list that are no objects.
    pub(super) fn item_lane(&mut self) -> Result<Option<usize>, Error> {
        let field = self.shape.field_at(&[ITEM.to_owned()]).expect("the path has one key");
        self.see(field);
        self.lane_for(field)
    }

    /// The lane of a field, or the one that is known by its name and has no field so far.
    pub(super) fn known_lane(&mut self, at: FieldAt) -> Result<Option<usize>, Error> {
        if let Some(lane) = self.shape.field(at).lane() {
            return Ok(Some(lane));
        }
        let path = self.shape.path(at);
        let name = self.names.name(&path)?;
        let Some(known) = self.by_name.get(&folded(&name)).copied() else { return Ok(None) };
        // A column that no record filled so far follows its field when the source renames or moves it.
        let is_taken = self.lanes[known].home.is_some_and(|home| self.shape.field(home).stamp > 0);
        if is_taken || self.lanes[known].is_given || self.lanes[known].is_added {
            let first = shown(&self.lanes[known].column.path);
            return Err(Error::SameName { name, first, second: shown(&path) });
        }
        if let Some(home) = self.lanes[known].home {
            self.shape.set_lane(home, None);
        }
        let lane = &mut self.lanes[known];
        lane.home = Some(at);
        lane.column.path = path;
        self.shape.set_lane(at, Some(known));
        Ok(Some(known))
    }

    /// A new column for a field.
    pub(super) fn add_lane_at(&mut self, at: FieldAt) -> Result<usize, Error> {
        let path = self.shape.path(at);
        let name = self.names.name(&path)?;
        let column = Column { name, path, kind: ColumnType::Null, origin: TypeOrigin::Inferred };
        let mut lane = Lane::new(column, Some(at));
        lane.is_beside_object = self.shape.field(at).child().is_some();
        let lane = self.add_lane(lane)?;
        self.shape.set_lane(at, Some(lane));
        Ok(lane)
    }

    pub(super) fn add_lane(&mut self, mut lane: Lane) -> Result<usize, Error> {
        lane.limits = self.limits;
        let column = &lane.column;
        if self.lanes.len() == COLUMNS_MAX {
            return Err(Error::ManyColumns { path: shown(&column.path), limit: COLUMNS_MAX });
        }
        let key = folded(&column.name);
        if let Some(other) = self.by_name.get(&key) {
            let first = shown(&self.lanes[*other].column.path);
            return Err(Error::SameName { name: column.name.clone(), first, second: shown(&column.path) });
        }
        self.by_name.insert(key, self.lanes.len());
        self.lanes.push(lane);
        Ok(self.lanes.len() - 1)
    }

    /// Adds a column that is known beforehand. An empty path = its field is not known.
    fn know(&mut self, mut column: Column) -> Result<usize, Error> {
        let home = self.shape.field_at(&column.path);
        if column.path.is_empty() {
            column.path = vec![column.name.clone()];
        }
        if let Some(other) = home.and_then(|home| self.shape.field(home).lane()) {
            let path = shown(&column.path);
            let name = format!("{}` and `{}", self.lanes[other].column.name, column.name);
            return Err(Error::SameName { name, first: path.clone(), second: path });
        }
        let lane = self.add_lane(Lane::new(column, home))?;
        if let Some(home) = home {
            self.shape.set_lane(home, Some(lane));
        }
        Ok(lane)
    }
}
