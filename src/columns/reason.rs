//! Why a column has its type, for people.

use std::fmt;

use super::error::Place;
use crate::model::column::{Column, ColumnType, TypeOrigin};

/// A value that changed a column's type.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    pub(super) value: String,
    pub(super) from: ColumnType,
    pub(super) to: ColumnType,
}

/// The same with its place.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    pub(super) turn: Turn,
    pub(super) place: Place,
}

/// Why a column has its type.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reason {
    /// Absent = nothing is known of the column.
    origin: Option<TypeOrigin>,
    first: Option<Decided>,
    last: Option<Decided>,
}

impl Reason {
    pub(super) fn of(column: &Column, first: Option<&Decided>, last: Option<&Decided>) -> Self {
        let origin = if column.kind == ColumnType::Null { TypeOrigin::Unseen } else { column.origin };
        Reason { origin: Some(origin), first: first.cloned(), last: last.cloned() }
    }

    /// The value that changed the type after it had one, and its place.
    pub(crate) fn changed_by(&self) -> Option<(&str, Place)> {
        self.last.as_ref().map(|last| (last.turn.value.as_str(), last.place))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(origin) = self.origin else { return f.write_str("not read") };
        match (origin, &self.first) {
            (TypeOrigin::Declared, _) => f.write_str("declared in the job"),
            (TypeOrigin::Fetched, _) => f.write_str("from the service's $metadata"),
            (TypeOrigin::Unseen, _) => f.write_str("no value seen: text until there is one"),
            (TypeOrigin::Remembered, None) => f.write_str("as in the last snapshot"),
            (TypeOrigin::Remembered, Some(_)) => f.write_str("no value in the last snapshot"),
            (TypeOrigin::Inferred, None) => f.write_str("from its values"),
            (TypeOrigin::Inferred, Some(first)) => {
                write!(f, "from its values: `{}` in {}", first.turn.value, first.place)
            }
        }?;
        match &self.last {
            Some(last) => {
                write!(f, "; {} became {} by `{}` in {}", last.turn.from, last.turn.to, last.turn.value, last.place)
            }
            None => Ok(()),
        }
    }
}
