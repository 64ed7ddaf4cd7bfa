//! What shares may and until when: the stored access policies of a container as the service writes and takes them
//! (<https://learn.microsoft.com/rest/api/storageservices/set-container-acl>). Shares of other kinds have such terms, too, and are
//! named alike. Pure.

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};
use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::Event;

/// What names of haul's own policies begin with.
const OURS: &str = "haul-";
/// Of a policy that begins like ours and does not say for how long it was made.
pub(crate) const SHARE_DAYS_DEFAULT: u32 = 90;

/// What a share is made for; its name says all of it, because nothing else in a stored access policy could.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// It is made for so many days, and extended by as many.
    pub days: u32,
    /// Readers may list names, too.
    pub lists: bool,
    /// Only the job's folder; needs a hierarchical namespace.
    pub is_folder_only: bool,
}

impl Wanted {
    /// What a reader with the share may, as the service spells it.
    pub(crate) fn permissions(self) -> &'static str {
        if self.lists { "rl" } else { "r" }
    }
}

/// A stored access policy. Start and end stay as the service spelled them, so that those of others are written back unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    pub id: String,
    pub start: Option<String>,
    pub expiry: Option<String>,
    pub permissions: Option<String>,
}

impl Policy {
    /// The terms of a new share of haul's: `haul-sales-90d-…`, with an `l` behind the days where readers may list, and an `f` where
    /// they see the job's folder only.
    pub(crate) fn new(job: &str, wanted: Wanted, end: DateTime<Utc>) -> Self {
        let marks = format!("{}{}", if wanted.lists { "l" } else { "" }, if wanted.is_folder_only { "f" } else { "" });
        let unique = ulid::Ulid::generate().to_string().to_ascii_lowercase();
        // Its random end.
        let unique = &unique[unique.len() - ID_UNIQUE_CHARS..];
        let id = format!("{}{}d{marks}-{unique}", Self::of_job(job), wanted.days);
        let mut policy = Policy { id, start: None, expiry: None, permissions: Some(wanted.permissions().to_owned()) };
        policy.end_at(end);
        policy
    }

    /// What names of a job's shares begin with.
    fn of_job(job: &str) -> String {
        let job: String =
            job.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
        format!("{OURS}{}-", job.get(..ID_JOB_CHARS_MAX).unwrap_or(&job))
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.id.starts_with(OURS)
    }

    /// Whether it is one of ours, made for this job.
    pub(crate) fn is_of(&self, job: &str) -> bool {
        // Behind the job there are the days and the random end; names of other jobs may begin like this one's.
        self.id.strip_prefix(&Self::of_job(job)).is_some_and(|rest| rest.split('-').count() == 2)
    }

    /// What it was made for, by its name.
    pub(crate) fn wanted(&self) -> Wanted {
        let said = self.id.rsplit('-').nth(1).unwrap_or_default();
        let (days, marks) = said.split_once('d').unwrap_or_default();
        let days = days.parse().ok().filter(|days| (1..=SHARE_DAYS_MAX).contains(days));
        match (days, marks) {
            (Some(days), "" | "l" | "f" | "lf") => {
                Wanted { days, lists: marks.contains('l'), is_folder_only: marks.contains('f') }
            }
            _ => Wanted { days: SHARE_DAYS_DEFAULT, lists: false, is_folder_only: false },
        }
    }

    /// For how many days it is made and extended.
    pub(crate) fn days(&self) -> u32 {
        self.wanted().days
    }

    /// What it may beyond what haul made it for: somebody changed it. Empty = nothing, or it is not haul's.
    pub(crate) fn excess(&self) -> String {
        let made_for = self.wanted().permissions();
        let stored = self.permissions.as_deref().filter(|_| self.is_ours()).unwrap_or_default();
        stored.chars().filter(|may| !made_for.contains(*may)).collect()
    }

    /// What a reader may with it, in words.
    pub(crate) fn may(&self) -> String {
        let stored = self.permissions.as_deref().unwrap_or_default();
        let known = [('r', "read"), ('l', "list")].into_iter().filter(|(may, _)| stored.contains(*may));
        let known = known.map(|(_, word)| word).collect::<Vec<_>>().join(" and ");
        let more: String = stored.chars().filter(|may| !matches!(may, 'r' | 'l')).collect();
        match (known.is_empty(), more.is_empty()) {
            (true, true) => "nothing".to_owned(),
            (false, true) => known,
            (_, false) => format!("{} ({stored})", if known.is_empty() { "change" } else { "read and change" }),
        }
    }

    /// Another one took its place: it is not extended any more. A stored access policy has no field for remarks; haul sets no start
    /// when it makes one, so that a start says this, and being over changes nothing.
    pub(crate) fn is_ending(&self) -> bool {
        self.is_ours() && self.start.is_some()
    }

    /// Lets it end, then or when it would have ended anyway, and not be extended.
    pub(crate) fn end_for_good(&mut self, at: DateTime<Utc>, now: DateTime<Utc>) {
        self.start = Some((now - TimeDelta::days(1)).to_rfc3339_opts(SecondsFormat::Secs, true));
        if self.expires_at().is_none_or(|end| at < end) {
            self.end_at(at);
        }
    }

    /// Whether less than half of its time is left, and some is.
    pub(crate) fn is_old(&self, now: DateTime<Utc>) -> bool {
        let is_old = |end| end > now && (end - now) * 2 < TimeDelta::days(self.days().into());
        self.is_ours() && !self.is_ending() && self.expires_at().is_some_and(is_old)
    }

    /// When it ends. `None` = it does not say.
    pub(crate) fn expires_at(&self) -> Option<DateTime<Utc>> {
        instant(self.expiry.as_deref()?)
    }

    /// When it begins. `None` = it does not say.
    pub(crate) fn begins_at(&self) -> Option<DateTime<Utc>> {
        instant(self.start.as_deref()?)
    }

    pub(crate) fn end_at(&mut self, at: DateTime<Utc>) {
        self.expiry = Some(at.to_rfc3339_opts(SecondsFormat::Secs, true));
    }
}

/// An instant as the service spells it, or takes it
/// (<https://learn.microsoft.com/rest/api/storageservices/formatting-datetime-values>).
pub(super) fn instant(text: &str) -> Option<DateTime<Utc>> {
    let minutes = |text: &str| format!("{}:00Z", text.strip_suffix('Z')?).parse().ok();
    let day = |text: &str| Some(text.parse::<NaiveDate>().ok()?.and_time(NaiveTime::MIN).and_utc());
    text.parse().ok().or_else(|| minutes(text)).or_else(|| day(text))
}

/// The longest that a share is made for at once.
pub(crate) const SHARE_DAYS_MAX: u32 = 3_650;
/// A name may have 64 characters.
const ID_JOB_CHARS_MAX: usize = 36;
const ID_UNIQUE_CHARS: usize = 10;

/// That many days later, in whole seconds.
pub(crate) fn days_from(now: DateTime<Utc>, days: u32) -> DateTime<Utc> {
    let end = now + TimeDelta::days(days.into());
    DateTime::from_timestamp(end.timestamp(), 0).unwrap_or(end)
}

/// Reads the service's list. What this haul does not know is an error, because writing the list back would lose it.
pub(super) fn read(xml: &[u8]) -> Result<Vec<Policy>, String> {
    let text = std::str::from_utf8(xml).map_err(|_| "it is no UTF-8".to_owned())?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut path: Vec<String> = Vec::new();
    let mut policies: Vec<Policy> = Vec::new();
    let mut content = String::new();
    loop {
        let event = reader.read_event().map_err(|error| error.to_string())?;
        let is_empty = matches!(event, Event::Empty(_));
        match event {
            Event::Start(start) | Event::Empty(start) => {
                path.push(String::from_utf8_lossy(start.local_name().as_ref()).into_owned());
                content.clear();
                let at: Vec<&str> = path.iter().map(String::as_str).collect();
                match at[..] {
                    ["SignedIdentifiers"]
                    | ["SignedIdentifiers", "SignedIdentifier", "Id" | "AccessPolicy"]
                    | ["SignedIdentifiers", "SignedIdentifier", "AccessPolicy", "Start" | "Expiry" | "Permission"] => {}
                    ["SignedIdentifiers", "SignedIdentifier"] => {
                        policies.push(Policy { id: String::new(), start: None, expiry: None, permissions: None });
                    }
                    _ => return Err(format!("it has an element `{}` that haul does not know", at.join("/"))),
                }
                if is_empty {
                    path.pop();
                }
            }
            Event::Text(part) => content.push_str(&part.xml10_content().map_err(|error| error.to_string())?),
            Event::GeneralRef(name) => {
                let name = String::from_utf8_lossy(&name).into_owned();
                match name.strip_prefix('#') {
                    Some(_) => return Err("it has a character reference that haul does not know".to_owned()),
                    None => content.push_str(
                        quick_xml::escape::resolve_predefined_entity(&name)
                            .ok_or_else(|| "it has an entity that haul does not know".to_owned())?,
                    ),
                }
            }
            Event::End(_) => {
                let value = content.trim().to_owned();
                let value = Some(value).filter(|value| !value.is_empty());
                if let (Some(policy), Some(field)) = (policies.last_mut(), path.last()) {
                    match field.as_str() {
                        "Id" => policy.id = value.unwrap_or_default(),
                        "Start" => policy.start = value,
                        "Expiry" => policy.expiry = value,
                        "Permission" => policy.permissions = value,
                        _ => {}
                    }
                }
                content.clear();
                path.pop();
            }
            Event::Eof if path.is_empty() => break,
            Event::Eof => return Err("it ends too early".to_owned()),
            Event::Decl(_) | Event::Comment(_) => {}
            Event::CData(_) | Event::PI(_) | Event::DocType(_) => return Err("it is no list of policies".to_owned()),
        }
    }
    match policies.iter().any(|policy| policy.id.is_empty()) {
        true => Err("a policy has no name".to_owned()),
        false => Ok(policies),
    }
}

/// The list as the service takes it.
pub(super) fn write(policies: &[Policy]) -> String {
    let mut xml = "<?xml version=\"1.0\" encoding=\"utf-8\"?><SignedIdentifiers>".to_owned();
    for policy in policies {
        xml.push_str(&format!("<SignedIdentifier><Id>{}</Id><AccessPolicy>", escape(&policy.id)));
        let fields = [("Start", &policy.start), ("Expiry", &policy.expiry), ("Permission", &policy.permissions)];
        for (name, value) in fields {
            if let Some(value) = value {
                xml.push_str(&format!("<{name}>{}</{name}>", escape(value)));
            }
        }
        xml.push_str("</AccessPolicy></SignedIdentifier>");
    }
    xml.push_str("</SignedIdentifiers>");
    xml
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_back() {
        let policy = |id: &str, start: Option<&str>, expiry: Option<&str>, permissions: Option<&str>| Policy {
            id: id.to_owned(),
            start: start.map(str::to_owned),
            expiry: expiry.map(str::to_owned),
            permissions: permissions.map(str::to_owned),
        };
        let policies = vec![
            policy("a <&> b", Some("2020-01-01T00:00:00.0000000Z"), Some("2030-01-01T00:00:00.0000000Z"), Some("rwdl")),
            policy("bare", None, None, None),
            policy("haul-sales-90d-x", None, Some("2027-01-01T00:00:00Z"), Some("r")),
        ];
        assert_eq!(read(write(&policies).as_bytes()), Ok(policies.clone()));
        assert_eq!(read(b"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<SignedIdentifiers />"), Ok(Vec::new()));
        let spaced = "<SignedIdentifiers>\n  <SignedIdentifier>\n    <Id>x</Id>\n    <AccessPolicy/>\n  \
                      </SignedIdentifier>\n</SignedIdentifiers>";
        assert_eq!(read(spaced.as_bytes()), Ok(vec![policy("x", None, None, None)]));
        for wrong in [
            "<SignedIdentifiers><SignedIdentifier><Id>x</Id><Scope>y</Scope></SignedIdentifier></SignedIdentifiers>",
            "<SignedIdentifiers><SignedIdentifier><AccessPolicy/></SignedIdentifier></SignedIdentifiers>",
            "<SignedIdentifiers><SignedIdentifier>",
            "<html><body>Sign in</body></html>",
        ] {
            assert!(read(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    fn named(id: &str, permissions: &str) -> Policy {
        Policy { id: id.to_owned(), start: None, expiry: None, permissions: Some(permissions.to_owned()) }
    }

    #[test]
    fn names_of_ours_say_what_they_are_for_and_fit() {
        let check = |job: &str, days: u32| {
            for (lists, is_folder_only) in [(false, false), (true, false), (false, true), (true, true)] {
                let wanted = Wanted { days, lists, is_folder_only };
                let policy = Policy::new(job, wanted, Utc::now());
                assert!(policy.is_ours() && policy.id.len() <= 64, "{}", policy.id);
                assert_eq!(policy.wanted(), wanted, "{}", policy.id);
                assert_eq!(policy.excess(), "");
                assert!(policy.is_of(job) && !policy.is_of("sale") && !policy.is_of("sales_eu"), "{}", policy.id);
            }
        };
        check("sales", 90);
        check(&"long_".repeat(20), SHARE_DAYS_MAX);
        for id in ["haul-by-hand", "haul-x-0d-y", "haul-x-9dx-y", "haul-x-9dll-y"] {
            assert_eq!(named(id, "r").days(), SHARE_DAYS_DEFAULT, "{id}");
        }
        assert!(!named("report", "r").is_ours());
        assert!(
            named("haul-sales-eu-90d-x", "r").is_of("sales_eu") && !named("haul-sales-eu-90d-x", "r").is_of("sales")
        );
    }

    #[test]
    fn what_a_policy_may_beyond_its_name_is_seen() {
        let check = |id: &str, permissions: &str, excess: &str, may: &str| {
            let policy = named(id, permissions);
            assert_eq!((policy.excess().as_str(), policy.may().as_str()), (excess, may), "{id} {permissions}");
        };
        check("haul-sales-90d-x", "r", "", "read");
        check("haul-sales-90dl-x", "rl", "", "read and list");
        check("haul-sales-90d-x", "rl", "l", "read and list");
        check("haul-sales-90dl-x", "rwdl", "wd", "read and change (rwdl)");
        check("haul-sales-90d-x", "w", "w", "change (w)");
        check("haul-sales-90d-x", "", "", "nothing");
        check("theirs", "rwdl", "", "read and change (rwdl)");
    }

    #[test]
    fn what_is_replaced_is_extended_no_more() {
        let now: DateTime<Utc> = "2027-01-01T00:00:00Z".parse().unwrap();
        let mut policy = Policy::new("sales", Wanted { days: 90, lists: false, is_folder_only: false }, now);
        policy.end_at(now + TimeDelta::days(30));
        assert!(policy.is_old(now) && !policy.is_old(now + TimeDelta::days(31)) && !policy.is_ending());
        policy.end_for_good(now + TimeDelta::days(40), now);
        assert_eq!(policy.expires_at(), Some(now + TimeDelta::days(30)), "an end is never moved on");
        policy.end_for_good(now + TimeDelta::days(7), now);
        assert_eq!(policy.expires_at(), Some(now + TimeDelta::days(7)));
        assert!(policy.is_ending() && !policy.is_old(now));
    }
}
