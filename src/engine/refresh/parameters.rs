//! The parameters of a semantic model that are set before its refresh: names, and values that stay secrets until they are sent.
//! A signature that every run makes anew comes in here, too, as further pairs.

use crate::job::load::{SecretError, Secrets};
use crate::model::refresh::{Item, Target};
use crate::secret::Secret;

/// The parameters of a target. Empty = none is set.
pub(super) fn parameters_of(target: &Target) -> Result<Vec<(String, Secret)>, SecretError> {
    let Item::Dataset { parameters, .. } = &target.item else { return Ok(Vec::new()) };
    let resolved = |(name, value): &(String, _)| Ok((name.clone(), Secret::new(Secrets::resolve_text(value)?)));
    parameters.iter().map(resolved).collect()
}
