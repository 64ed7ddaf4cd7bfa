//! What a record's lists need of the record: the values of its key, as JSON, wherever they stand in it.

use jiter::{Jiter, Peek};
use serde_json::Value;

use super::error::{Error, Place};
use super::table::Table;
use super::tokens::Tokens;
use crate::model::column::ColumnType;

/// Values that every row of a child table is given, as JSON, in the order of its given columns.
pub(super) type Given = Vec<Vec<u8>>;

/// The key of a record of `table`, whose text this is.
pub(super) fn key_of(table: &Table, key: &[String], record: &[u8], place: Place) -> Result<Given, Error> {
    let mut given = Given::with_capacity(key.len());
    for name in key {
        let missing = || Error::NoParentKey { place, column: name.clone() };
        if let Some(value) = table.constant(name) {
            if matches!(value, Value::Null | Value::Array(_) | Value::Object(_)) {
                return Err(missing());
            }
            given.push(value.to_string().into_bytes());
            continue;
        }
        let lane = table.lane_named(name).ok_or_else(missing)?;
        let value = value_at(record, &lane.column.path).ok_or_else(missing)?;
        given.push(value.to_vec());
    }
    Ok(given)
}

/// The text of a scalar in an object that was read before. `None` = it is not there, null, or no scalar.
fn value_at<'a>(object: &'a [u8], path: &[String]) -> Option<&'a [u8]> {
    let (peek, value) = member_at(object, path)?;
    (!matches!(peek, Peek::Object | Peek::Null | Peek::Array)).then_some(value)
}

/// The text of a value in an object, and what it is. `None` = it is not there, or the object cannot be read up to it.
pub(super) fn member_at<'a>(object: &'a [u8], path: &[String]) -> Option<(Peek, &'a [u8])> {
    let (first, below) = path.split_first()?;
    let mut jiter = Jiter::new(object);
    let mut next = jiter.next_object().ok()?.map(|key| key == first);
    while let Some(is_it) = next {
        let peek = jiter.peek().ok()?;
        let start = jiter.current_index();
        jiter.known_skip(peek).ok()?;
        if is_it {
            let value = jiter.slice_to_current(start);
            return match peek {
                _ if below.is_empty() => Some((peek, value)),
                Peek::Object => member_at(value, below),
                _ => None,
            };
        }
        next = jiter.next_key().ok()?.map(|key| key == first);
    }
    None
}

/// The items of a list as OData version 2 writes it: `{"results": [...]}`, or `{"__deferred": ...}` for one that was not
/// asked for, which has none. `None` = the object is an item itself.
pub(super) fn results_of(object: &[u8]) -> Option<&[u8]> {
    let mut jiter = Jiter::new(object);
    let key = jiter.next_object().ok()??.to_owned();
    let peek = jiter.peek().ok()?;
    let start = jiter.current_index();
    jiter.known_skip(peek).ok()?;
    match (key.as_str(), peek) {
        ("results", Peek::Array) => Some(jiter.slice_to_current(start)),
        ("__deferred", Peek::Object) => Some(b""),
        _ => None,
    }
}

impl Table {
    /// Fills the given columns of the coming row; they are the first lanes.
    pub(super) fn give(&mut self, given: &[Vec<u8>]) -> Result<(), Error> {
        for (lane, value) in given.iter().enumerate() {
            let mut tokens = Tokens::new(value);
            let peek = tokens.peek().map_err(|source| self.syntax(source))?;
            self.scalar(&mut tokens, lane, peek)?;
        }
        Ok(())
    }

    /// An item that is no object, into the column for such.
    pub(super) fn item(&mut self, tokens: &mut Tokens<'_>, peek: Peek) -> Result<(), Error> {
        self.begin_record();
        let lane = self.item_lane()?;
        match (peek, lane) {
            (Peek::Null, _) => tokens.known_null().map_err(|source| self.syntax(source)),
            (peek, None) => tokens.known_skip(peek).map_err(|source| self.syntax(source)),
            (Peek::Array, Some(lane)) => {
                let start = tokens.at();
                tokens.known_skip(peek).map_err(|source| self.syntax(source))?;
                self.json(lane, tokens.since(start), 2)
            }
            (peek, Some(lane)) => self.scalar(tokens, lane, peek),
        }
    }

    /// Takes over the types of the columns that were given, now that no record follows. A parent's column has at least
    /// the types of what its children got.
    pub(super) fn set_given_types(&mut self, types: &[ColumnType]) {
        for (lane, kind) in self.lanes.iter_mut().zip(types) {
            if lane.column.kind != ColumnType::Null {
                lane.column.kind = *kind;
            }
        }
        self.renew_order();
        self.renew_view();
    }
}
