//! Columns that the job adds to every record: constants of a slice, and what its expressions make of the record.

use serde_json::Value;

use super::error::{Error, shown};
use super::shape::FieldAt;
use super::table::Table;

/// A column whose values do not come from a member of the record.
#[derive(Debug)]
pub(super) struct Added {
    field: FieldAt,
    pub(super) lane: usize,
    value: Value,
}

impl Table {
    /// From now on every record gets these columns, too. A record that has such a member itself is an error.
    pub(super) fn set_constants(&mut self, constants: &[(String, Value)]) -> Result<(), Error> {
        let mut added = Vec::with_capacity(constants.len() + self.computed);
        for (name, value) in constants {
            added.push(Added { value: value.clone(), ..self.added_column(name)? });
        }
        let computed = self.added.len() - self.computed;
        added.extend(self.added.drain(computed..));
        self.added = added;
        Ok(())
    }

    /// Columns whose values [`Table::set_computed`] gives, record by record.
    pub(super) fn add_computed(&mut self, names: &[String]) -> Result<(), Error> {
        for name in names {
            let added = self.added_column(name)?;
            self.added.push(added);
        }
        self.computed += names.len();
        Ok(())
    }

    /// The coming record's values of the computed columns, in their order.
    pub(super) fn set_computed(&mut self, values: Vec<Value>) {
        debug_assert_eq!(values.len(), self.computed, "each column has its value");
        let first = self.added.len() - self.computed;
        for (added, value) in self.added[first..].iter_mut().zip(values) {
            added.value = value;
        }
    }

    /// The value that all records of now have in a column. `None` = it comes from the records.
    pub(super) fn constant(&self, name: &str) -> Option<&Value> {
        let is_it = |added: &&Added| self.lanes[added.lane].column.has_name(name);
        self.added.iter().find(is_it).map(|added| &added.value)
    }

    fn added_column(&mut self, name: &str) -> Result<Added, Error> {
        let field = self.shape.field_at(&[name.to_owned()]).expect("the path has one key");
        // What the job adds is never new to the contract.
        let lane = self.lane_of_added(field)?;
        self.lanes[lane].is_added = true;
        Ok(Added { field, lane, value: Value::Null })
    }

    /// Puts the added columns into the coming row.
    pub(super) fn stamp_added(&mut self) -> Result<(), Error> {
        for at in 0..self.added.len() {
            let Added { field, lane, value } = &self.added[at];
            let (field, lane) = (*field, *lane);
            let known = &mut self.shape.nodes[field.0].fields[field.1];
            if known.stamp == self.stamp {
                let path = shown(&self.shape.path(field));
                let name = self.lanes[lane].column.name.clone();
                let first = format!("{path}` of the job and `{path}");
                return Err(Error::SameName { name, first, second: path });
            }
            if !known.is_added {
                known.is_added = true;
                self.appeared.push(field);
            }
            let row = self.rows;
            let put = match value {
                Value::Null => Ok(()),
                Value::Bool(flag) => self.lanes[lane].boolean(row, *flag),
                Value::Number(number) => self.lanes[lane].number(row, number.to_string().as_bytes()),
                Value::String(text) => self.lanes[lane].text(row, text),
                other => self.lanes[lane].json(row, &other.to_string()),
            };
            put.map_err(|refusal| self.refused(lane, *refusal))?;
            if self.lanes[lane].turned.is_some() {
                self.lanes[lane].note_turn(self.place);
            }
        }
        Ok(())
    }
}
