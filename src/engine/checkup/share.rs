//! A signature before it is used: what it allows, from when until when, and to whom. Pure.

use chrono::{DateTime, Utc};

use super::finding::{Finding, error, note, warning};
use crate::limits::CHECK_SHARE_ENDS_SOON;
use crate::store::{GivenSas, Policy, Spoiled};

/// What is known of the container's stored access policies.
#[derive(Debug, Clone, Copy)]
pub(super) enum Policies<'p> {
    Known(&'p [Policy]),
    /// The account's key is not at hand.
    Unknown,
}

/// What may be done with a SAS, by the letters of its permissions
/// (<https://learn.microsoft.com/rest/api/storageservices/create-service-sas>).
const PERMISSIONS: &[(char, &str)] = &[
    ('r', "read"),
    ('l', "list"),
    ('a', "add"),
    ('c', "create"),
    ('w', "write"),
    ('d', "delete"),
    ('x', "delete versions"),
    ('y', "delete for good"),
    ('t', "tags"),
    ('f', "find by tags"),
    ('m', "move"),
    ('e', "run as another user"),
    ('o', "change owners"),
    ('p', "change permissions"),
    ('i', "protect from deletion"),
    ('u', "update"),
];

/// A share in words.
pub(super) fn named(sas: &GivenSas) -> String {
    match sas.field("si") {
        Some(policy) => format!("share `{policy}`"),
        None => "the SAS".to_owned(),
    }
}

/// A share whose policy is not there.
pub(super) fn revoked(id: &str) -> Finding {
    let what = format!("the container has no policy `{id}`: the share was revoked, and opens nothing");
    let cure = "make a new one: `haul share create JOBFILE`, and put it into the report";
    error("share_revoked", &format!("share `{id}`"), what, cure)
}

/// What is wrong with a signature for a folder at this address.
pub(super) fn look_at(sas: &GivenSas, policies: Policies<'_>, folder: &str, now: DateTime<Utc>) -> Vec<Finding> {
    let place = named(sas);
    let place = place.as_str();
    let mut found = Vec::new();
    let anew = "make a new one: `haul share create JOBFILE`";
    let kept = match sas.field("si") {
        Some(policy) => format!("{anew}; take the old one away: `haul share revoke JOBFILE {policy}`"),
        // Of one without a policy there is nothing to take away.
        None => anew.to_owned(),
    };
    if let Some(spoiled) = sas.spoiled() {
        let what = match spoiled {
            Spoiled::Unescaped => "the signature has blanks: each was a `+` before it was pasted into an address",
            Spoiled::EscapedTwice => "the signature was escaped twice: it has a `%`",
            Spoiled::Cut => "the signature is no HMAC-SHA256: characters of it are missing, or too many",
        };
        found.push(error("signature_spoiled", place, what, "paste the signature once more, as it was printed"));
    }
    if sas.field("sv").is_none() {
        found.push(error("sas_incomplete", place, "it has no version (`sv`)", "paste all of it, from `sv` to `sig`"));
    }
    if let Some(address) = &sas.address
        && !is_of(address.as_str(), folder)
    {
        let what = format!("it is for {address}, and the job publishes in {folder}");
        found.push(error("sas_of_other_place", place, what, "take the signature of this job's container"));
    }
    let policy = match (sas.field("si"), policies) {
        (Some(id), Policies::Known(policies)) => match policies.iter().find(|policy| policy.id == id) {
            None => {
                found.push(revoked(id));
                return found;
            }
            policy => policy,
        },
        (Some(_), Policies::Unknown) => {
            let what = "its end and its permissions stand in a policy of the container, which is not known here";
            let cure = "run this where the account's key is, or look with `haul share list JOBFILE`";
            found.push(note("share_end_unknown", place, what, cure));
            None
        }
        (None, _) => None,
    };
    found.extend(permissions(sas, policy, place, &kept));
    found.extend(times(sas, policy, place, now));
    if folder.starts_with("https://") && sas.field("spr") != Some("https") {
        let what = "it may be used over plain http, where everybody on the way can read it";
        found.push(warning("share_allows_http", place, what, &kept));
    }
    if let Some(range) = sas.field("sip") {
        let what = format!("only {range} may use it, and the Power BI service comes from addresses that change");
        found.push(warning("share_ip_range", place, what, format!("{anew}; it has no range of addresses")));
    }
    found
}

/// Whether both are of one container, as far as the shorter one goes.
fn is_of(address: &str, folder: &str) -> bool {
    let (Ok(address), Ok(folder)) = (address.parse::<url::Url>(), folder.parse::<url::Url>()) else { return false };
    // The emulator has the account in front of the container.
    let depth = if folder.domain().is_some_and(|host| host.contains(".blob.")) { 1 } else { 2 };
    let segments = |url: &url::Url| -> Vec<String> {
        let all = url.path_segments().into_iter().flatten().filter(|segment| !segment.is_empty());
        all.take(depth).map(str::to_owned).collect()
    };
    address.origin() == folder.origin()
        && segments(&address).iter().zip(segments(&folder)).all(|(one, other)| *one == other)
}

fn permissions(sas: &GivenSas, policy: Option<&Policy>, place: &str, kept: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let is_of_account = sas.field("ss").is_some() || sas.field("srt").is_some();
    if is_of_account {
        let what = "it is a SAS of the account: it opens every container, and only a new key of the account ends it";
        found.push(warning("share_of_account", place, what, kept));
    }
    if sas.field("sr") == Some("b") {
        let what = "it opens one file, and a dataset has many";
        found.push(error("share_of_one_file", place, what, kept));
    }
    let in_policy = policy.and_then(|policy| policy.permissions.as_deref()).unwrap_or_default();
    let letters: String = sas.field("sp").unwrap_or_default().chars().chain(in_policy.chars()).collect();
    let is_known = policy.is_some() || sas.field("si").is_none();
    if is_known && !letters.contains('r') {
        let what = format!("it does not allow to read (permissions `{letters}`)");
        found.push(error("share_cannot_read", place, what, kept));
    }
    let named =
        |(letter, name): &(char, &'static str)| (letters.contains(*letter) && !"rl".contains(*letter)).then_some(*name);
    let wider: Vec<&str> = PERMISSIONS.iter().filter_map(named).collect();
    if !wider.is_empty() {
        let what = format!("whoever has it may also {}", wider.join(", "));
        found.push(warning("share_too_wide", place, what, kept));
    }
    found
}

fn times(sas: &GivenSas, policy: Option<&Policy>, place: &str, now: DateTime<Utc>) -> Vec<Finding> {
    let mut found = Vec::new();
    let time = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M:%SZ").to_string();
    let is_extended = policy.is_some_and(Policy::is_ours) && sas.field("se").is_none();
    let later = if is_extended {
        "let it end later: `haul share extend JOBFILE`; the signature stays the same"
    } else {
        "make one that runs let end later: `haul share create JOBFILE`"
    };
    let ends = [sas.instant("se"), policy.and_then(Policy::expires_at)];
    match ends.into_iter().flatten().min() {
        Some(end) if end <= now => {
            let what = format!("it ended on {}: every refresh is refused", time(end));
            found.push(error("share_expired", place, what, later));
        }
        // One of a person's login lives for seven days at most.
        Some(end) if end - now < ends_soon(sas) => {
            found.push(warning("share_ends_soon", place, format!("it ends on {}", time(end)), later));
        }
        Some(_) => {}
        None if sas.field("si").is_none() || policy.is_some() => {
            let what = "it does not say when it ends, and the service takes no such SAS";
            found.push(error("share_without_end", place, what, later));
        }
        None => {}
    }
    let begins = [sas.instant("st"), policy.and_then(Policy::begins_at)];
    if let Some(begin) = begins.into_iter().flatten().max().filter(|begin| *begin > now) {
        let what = format!("it opens nothing before {}", time(begin));
        found.push(error(
            "share_not_begun",
            place,
            what,
            "wait, or make one without a beginning: `haul share create JOBFILE`",
        ));
    }
    found
}

fn ends_soon(sas: &GivenSas) -> chrono::TimeDelta {
    let soon = chrono::TimeDelta::from_std(CHECK_SHARE_ENDS_SOON).expect("it is a week");
    if sas.field("skoid").is_some() { soon / 7 } else { soon }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIG: &str = "sig=MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    const FOLDER: &str = "https://contoso.blob.core.windows.net/tables/prod/sales";

    fn policy(id: &str, start: Option<&str>, expiry: &str, permissions: &str) -> Policy {
        let (start, expiry) = (start.map(str::to_owned), Some(expiry.to_owned()));
        Policy { id: id.to_owned(), start, expiry, permissions: Some(permissions.to_owned()) }
    }

    fn codes(query: &str, policies: Policies<'_>, folder: &str) -> Vec<&'static str> {
        let sas = GivenSas::read(&format!("{query}&{SIG}")).expect("a signature");
        let now = "2026-11-26T12:00:00Z".parse().expect("a time");
        look_at(&sas, policies, folder, now).into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn shares_are_judged_by_what_they_say_and_by_their_policy() {
        let check = |query: &str, policies: Policies<'_>, expect: &[&str]| {
            assert_eq!(codes(query, policies, FOLDER), expect, "{query} {policies:?}");
        };
        let good = [policy("haul-x-90d-y", None, "2027-01-01T00:00:00Z", "rl")];
        let of_policy = "sv=2023-11-03&si=haul-x-90d-y&sr=c&spr=https";
        check(of_policy, Policies::Known(&good), &[]);
        check(of_policy, Policies::Known(&[]), &["share_revoked"]);
        check(of_policy, Policies::Unknown, &["share_end_unknown"]);
        check("si=haul-x-90d-y&sr=c&spr=https", Policies::Known(&good), &["sas_incomplete"]);
        check(&of_policy.replace("&spr=https", ""), Policies::Known(&good), &["share_allows_http"]);
        check(&of_policy.replace("spr=https", "spr=https,http"), Policies::Known(&good), &["share_allows_http"]);
        check(&of_policy.replace("sr=c", "sr=b"), Policies::Known(&good), &["share_of_one_file"]);
        let of = |start: Option<&str>, expiry: &str, permissions: &str, expect: &[&str]| {
            check(of_policy, Policies::Known(&[policy("haul-x-90d-y", start, expiry, permissions)]), expect);
        };
        of(None, "2026-11-26T12:00:00Z", "r", &["share_expired"]);
        of(None, "2026-12-01", "r", &["share_ends_soon"]);
        of(Some("2026-12-01T00:00Z"), "2027-12-01", "r", &["share_not_begun"]);
        of(None, "2027-12-01", "racwdl", &["share_too_wide"]);
        of(None, "2027-12-01", "l", &["share_cannot_read"]);
        of(None, "2027-12-01", "", &["share_cannot_read"]);
        let own =
            |rest: &str, expect: &[&str]| check(&format!("sv=2023-11-03&spr=https&{rest}"), Policies::Unknown, expect);
        own("sr=c&sp=r&se=2027-01-01T00:00:00Z", &[]);
        own("sr=c&sp=r", &["share_without_end"]);
        own("sr=c&sp=rwdl&se=2026-01-01", &["share_too_wide", "share_expired"]);
        own("ss=b&srt=co&sp=rl&se=2027-01-01", &["share_of_account"]);
        own("sr=c&sp=r&se=2027-01-01&sip=10.0.0.1-10.0.0.9", &["share_ip_range"]);
        own("sr=c&sp=r&se=2026-11-28&skoid=x", &[]);
        own("sr=c&sp=r&se=2026-11-27T10:00:00Z&skoid=x", &["share_ends_soon"]);
        own("sr=c&sp=r&se=2027-01-01&st=2026-12-24", &["share_not_begun"]);
        let emulator = "http://127.0.0.1:10000/devstoreaccount1/tables/sales";
        assert_eq!(codes("sv=1&sr=c&sp=r&se=2027-01-01", Policies::Unknown, emulator), [] as [&str; 0]);
    }

    #[test]
    fn an_address_of_another_container_is_told() {
        let check = |address: &str, folder: &str, expect: &[&str]| {
            let found = codes(&format!("{address}?sv=1&sr=c&spr=https&sp=r&se=2027-01-01"), Policies::Unknown, folder);
            assert_eq!(found, expect, "{address}");
        };
        check("https://contoso.blob.core.windows.net/tables/prod/sales/items/current.parquet", FOLDER, &[]);
        check("https://contoso.blob.core.windows.net/tables", FOLDER, &[]);
        check("https://contoso.blob.core.windows.net/other/x", FOLDER, &["sas_of_other_place"]);
        check("https://fabrikam.blob.core.windows.net/tables/x", FOLDER, &["sas_of_other_place"]);
        let emulator = "http://127.0.0.1:10000/devstoreaccount1/tables/sales";
        check("http://127.0.0.1:10000/devstoreaccount1/tables/x", emulator, &[]);
        check("http://127.0.0.1:10000/devstoreaccount1/others/x", emulator, &["sas_of_other_place"]);
    }
}
