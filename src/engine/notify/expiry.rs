//! Credentials that end: the refresh token of the source, and a SAS of the destination.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use super::standing::Expiring;
use crate::auth::{CredentialState, Summary};
use crate::engine::context::store_options;
use crate::model::plan::Job;

/// A refresh token that every use makes new is told of when so much of its idle time is left: haul uses it when half of it is
/// left, so something keeps it from that.
const IDLE_SHARE: u32 = 4;

/// What ends, whenever that is. An end that cannot be found out is none.
pub(super) fn expiring(job: &Job, summary: Option<&Summary>) -> Vec<Expiring> {
    let of_source = summary.and_then(of_refresh_token);
    let options = store_options(job).unwrap_or_default();
    let ends = options.iter().filter_map(|(_, value)| sas_end(value)).min();
    let of_destination = ends.map(|expires_at| Expiring {
        name: "the SAS of the destination".to_owned(),
        expires_at,
        within_max: Duration::MAX,
        hint: "make a new SAS, and set it where haul runs".to_owned(),
    });
    of_source.into_iter().chain(of_destination).collect()
}

fn of_refresh_token(summary: &Summary) -> Option<Expiring> {
    if !summary.has_refresh_token || summary.state == CredentialState::Reauth {
        return None;
    }
    let expires_at = summary.refresh_token_void_at?;
    let idle = (expires_at - summary.refreshed_at?).to_std().ok()?;
    Some(Expiring {
        name: format!("the refresh token for {}", summary.bound_to),
        expires_at,
        within_max: idle / IDLE_SHARE,
        hint: "`haul credentials test JOBFILE --new` uses and renews it; when it has ended, `haul login JOBFILE`"
            .to_owned(),
    })
}

/// The end of a shared access signature, its parameter `se`
/// (<https://learn.microsoft.com/rest/api/storageservices/create-service-sas>). `None` = it is none, or its end stands in a
/// stored policy.
fn sas_end(text: &str) -> Option<DateTime<Utc>> {
    let query = text.trim_start_matches('?');
    let pairs = || url::form_urlencoded::parse(query.as_bytes());
    pairs().find(|(name, _)| name == "sig")?;
    let (_, end) = pairs().find(|(name, _)| name == "se")?;
    let day = |text: &str| Some(text.parse::<NaiveDate>().ok()?.and_time(NaiveTime::MIN).and_utc());
    let minutes = |text: &str| format!("{}:00Z", text.strip_suffix('Z')?).parse().ok();
    end.parse().ok().or_else(|| minutes(&end)).or_else(|| day(&end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_sas_is_found_in_its_spellings() {
        let check = |text: &str, expect: Option<&str>| {
            let expect = expect.map(|end| end.parse().unwrap());
            assert_eq!(sas_end(text), expect, "{text}");
        };
        check("sv=2022-11-02&sp=rw&se=2027-01-31T10:20:30Z&sig=x", Some("2027-01-31T10:20:30Z"));
        check("?sig=x&se=2027-01-31T10%3A20%3A30Z", Some("2027-01-31T10:20:30Z"));
        check("sig=x&se=2027-01-31T10:20Z", Some("2027-01-31T10:20:00Z"));
        check("sig=x&se=2027-01-31", Some("2027-01-31T00:00:00Z"));
        check("sig=x&si=policy", None);
        check("sig=x&se=soon", None);
        check("c2VjcmV0a2V5", None);
        check("se=2027-01-31", None);
    }
}
