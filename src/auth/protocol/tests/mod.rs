//! The protocol under every interleaving of two hosts with crashes, lost messages and store failures.

mod model;
mod provider;

use model::{Findings, explore};

use crate::model::plan::RotationClass;

/// Faults that come together, unless `HAUL_MODEL_FAULTS` asks for more; every further one takes about ten times as long.
const FAULTS_MAX: u32 = 2;

fn findings(class: RotationClass) -> Findings {
    let faults = std::env::var("HAUL_MODEL_FAULTS").ok().and_then(|text| text.parse().ok()).unwrap_or(FAULTS_MAX);
    let findings = explore(class, faults);
    // Some thousands of worlds are the least that means anything.
    assert!(findings.states > 5_000, "{class:?}: {findings:?}");
    findings
}

/// However many faults come together, these providers' tokens survive.
#[test]
fn nothing_is_lost_where_the_provider_takes_a_used_token_again() {
    for class in [RotationClass::NotRotated, RotationClass::OldStaysValid, RotationClass::ValidUntilSuccessorUsed] {
        assert_eq!(findings(class).faults_to_lose, None, "{class:?}");
    }
}

/// The least number of faults that costs a login: the answer lost on its way, and where the provider allows a reuse for
/// a while, that while over as well.
#[test]
fn elsewhere_a_loss_takes_the_fewest_faults_that_physics_allows() {
    for (class, faults) in
        [(RotationClass::ValidForWindow, 2), (RotationClass::SingleUse, 1), (RotationClass::ReuseRevokesFamily, 1)]
    {
        assert_eq!(findings(class).faults_to_lose, Some(faults), "{class:?}");
    }
}
