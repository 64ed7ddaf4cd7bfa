//! The stored access policies of a container as the service writes and takes them
//! (<https://learn.microsoft.com/rest/api/storageservices/set-container-acl>). Pure.

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, Utc};
use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::Event;

/// What names of haul's own policies begin with.
const OURS: &str = "haul-";
/// Of a policy that begins like ours and does not say for how long it was made.
pub(crate) const SHARE_DAYS_DEFAULT: u32 = 90;

/// A stored access policy. Start and end stay as the service spelled them, so that those of others are written back unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    pub id: String,
    pub start: Option<String>,
    pub expiry: Option<String>,
    pub permissions: Option<String>,
}

impl Policy {
    /// A policy of ours: its name says for how many days it is made and extended, because nothing else there could.
    pub(super) fn id(job: &str, days: u32, unique: &str) -> String {
        let job: String =
            job.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
        let job = job.get(..ID_JOB_CHARS_MAX).unwrap_or(&job);
        format!("{OURS}{job}-{days}d-{unique}")
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.id.starts_with(OURS)
    }

    /// Whether it is one of ours, made for this job.
    pub(crate) fn is_of(&self, job: &str) -> bool {
        let job: String =
            job.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
        let job = job.get(..ID_JOB_CHARS_MAX).unwrap_or(&job);
        let rest = self.id.strip_prefix(OURS).and_then(|id| id.strip_prefix(job));
        // Its days and what makes it unique.
        rest.and_then(|rest| rest.strip_prefix('-')).is_some_and(|rest| rest.split('-').count() == 2)
    }

    /// For how many days it is made and extended.
    pub(crate) fn days(&self) -> u32 {
        let days = self.id.rsplit('-').nth(1).and_then(|days| days.strip_suffix('d')?.parse().ok());
        days.filter(|days| (1..=SHARE_DAYS_MAX).contains(days)).unwrap_or(SHARE_DAYS_DEFAULT)
    }

    /// When it ends. `None` = it does not say.
    pub(crate) fn expires_at(&self) -> Option<DateTime<Utc>> {
        instant(self.expiry.as_deref()?)
    }

    /// When it begins. `None` = it does not say.
    pub(crate) fn begins_at(&self) -> Option<DateTime<Utc>> {
        instant(self.start.as_deref()?)
    }

    pub(super) fn end_at(&mut self, at: DateTime<Utc>) {
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

    #[test]
    fn names_of_ours_say_how_long_and_fit() {
        let named = |id: &str| Policy { id: id.to_owned(), start: None, expiry: None, permissions: None };
        let check = |job: &str, days: u32| {
            let policy = named(&Policy::id(job, days, "0123456789"));
            assert!(policy.is_ours() && policy.id.len() <= 64 && policy.days() == days, "{}", policy.id);
        };
        check("sales", 90);
        check(&"long_".repeat(20), SHARE_DAYS_MAX);
        assert_eq!(named("haul-by-hand").days(), SHARE_DAYS_DEFAULT);
        assert_eq!(named("haul-x-0d-y").days(), SHARE_DAYS_DEFAULT);
        assert!(!named("report").is_ours());
        let of = |job: &str| named(&Policy::id("sales", 90, "0123456789")).is_of(job);
        assert!(of("sales") && !of("sale") && !of("sales-eu"));
    }
}
