//! `haul credentials`: what the vault holds, without a value.

use super::Surroundings;
use super::failure::{Exit, Failure};
use super::output::columns;
use crate::auth::{CredentialState, Summary};

pub(super) async fn run(around: Surroundings) -> Result<Exit, Failure> {
    let records = around.settings.open_records().await?;
    let summaries = around.settings.open_vault(&records)?.list().await?;
    if around.output.is_json {
        around.output.json(&summaries);
        return Ok(Exit::Done);
    }
    if summaries.is_empty() {
        around.output.line("no credential is stored; `haul login JOBFILE` stores the first");
        return Ok(Exit::Done);
    }
    let mut rows = vec![["CREDENTIAL", "FOR", "STATE", "ACCESS TOKEN UNTIL", "LAST"].map(str::to_owned).to_vec()];
    rows.extend(summaries.iter().map(row));
    for line in columns(&rows, &[false; 5]) {
        around.output.line(line);
    }
    Ok(Exit::Done)
}

fn row(summary: &Summary) -> Vec<String> {
    let state = match summary.state {
        CredentialState::Idle => "ready",
        CredentialState::Intent => "being refreshed",
        CredentialState::Reauth => "login needed",
    };
    let until = summary.expires_at.map_or_else(|| "-".to_owned(), |at| at.format("%Y-%m-%d %H:%M:%SZ").to_string());
    let last = summary.outcomes.last().map_or_else(
        || "-".to_owned(),
        |outcome| format!("{} {}", outcome.at.format("%Y-%m-%d %H:%M:%SZ"), outcome.what),
    );
    vec![summary.id.clone(), summary.bound_to.clone(), state.to_owned(), until, last]
}
