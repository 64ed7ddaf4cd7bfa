//! The parameters of a semantic model that are set before its refresh: names with values, of which some are secrets until they are
//! sent. A word of the job file is none: whatever is one is masked in all that haul prints.

use crate::job::load::{SecretError, Secrets};
use crate::model::plan::TextSource;
use crate::model::refresh::{Item, Target};
use crate::secret::Secret;

/// A parameter with its value.
pub(super) struct Parameter {
    pub name: String,
    value: Value,
}

enum Value {
    Plain(String),
    Secret(Secret),
}

impl Parameter {
    pub(super) fn plain(name: String, value: String) -> Self {
        Parameter { name, value: Value::Plain(value) }
    }

    pub(super) fn secret(name: String, value: String) -> Self {
        Parameter { name, value: Value::Secret(Secret::new(value)) }
    }

    /// The value itself; only for the wire.
    pub(super) fn expose(&self) -> &str {
        match &self.value {
            Value::Plain(text) => text,
            Value::Secret(secret) => secret.expose(),
        }
    }
}

/// The parameters of a target. Empty = none is set.
pub(super) fn parameters_of(target: &Target) -> Result<Vec<Parameter>, SecretError> {
    let Item::Dataset { parameters, .. } = &target.item else { return Ok(Vec::new()) };
    let resolved = |(name, source): &(String, TextSource)| {
        let value = Secrets::resolve_text(source)?;
        Ok(match source {
            TextSource::Literal(_) => Parameter::plain(name.clone(), value),
            TextSource::Reference(_) => Parameter::secret(name.clone(), value),
        })
    };
    parameters.iter().map(resolved).collect()
}
