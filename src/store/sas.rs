//! Shared access signatures of Azure Blob: what is signed, and how it is spelled. A service SAS ends with a stored access policy
//! (<https://learn.microsoft.com/rest/api/storageservices/create-service-sas>), one by a user delegation key says itself what it
//! allows (<https://learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas>). Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use quick_xml::Reader;
use quick_xml::events::Event;
use ring::hmac;

use super::signed::Field;

/// Version of the service that the signature is made for: what is signed differs between versions. That of `object_store`,
/// so that a store that takes its requests takes these.
pub(super) const SAS_VERSION: &str = "2023-11-03";

/// What a signature opens.
pub(super) struct Opened<'a> {
    pub account: &'a str,
    pub container: &'a str,
    /// Only what is below it; needs a hierarchical namespace. Absent = the whole container.
    pub directory: Option<&'a str>,
    pub is_https_only: bool,
}

impl Opened<'_> {
    fn directory(&self) -> Option<&str> {
        self.directory.map(|directory| directory.trim_matches('/'))
    }

    /// `c` = container, `d` = directory.
    fn resource(&self) -> &'static str {
        if self.directory.is_some() { "d" } else { "c" }
    }

    /// Folders from the container to the directory.
    fn depth(&self) -> Option<usize> {
        self.directory().map(|directory| directory.split('/').count())
    }

    fn protocol(&self) -> Option<&'static str> {
        self.is_https_only.then_some("https")
    }

    fn place(&self) -> String {
        let folder = self.directory().map(|directory| format!("/{directory}")).unwrap_or_default();
        format!("/blob/{}/{}{folder}", self.account, self.container)
    }
}

fn signature_of(key: &hmac::Key, signed: &[&str]) -> String {
    STANDARD.encode(hmac::sign(key, signed.join("\n").as_bytes()))
}

/// A signature with the fields that it signs. No formatter shows it.
pub(crate) struct Sas {
    pub policy: String,
    pub resource: &'static str,
    pub depth: Option<usize>,
    pub protocol: Option<&'static str>,
    signature: String,
}

impl Sas {
    /// Signs for a policy of the container, which says what is allowed, and until when.
    pub(super) fn sign(key: &hmac::Key, opened: &Opened<'_>, policy: &str) -> Self {
        let (resource, protocol, place) = (opened.resource(), opened.protocol(), opened.place());
        let signed = [
            // Permissions, start and end: those of the policy.
            "",
            "",
            "",
            &place,
            policy,
            // Addresses.
            "",
            protocol.unwrap_or_default(),
            SAS_VERSION,
            resource,
            // Snapshot, encryption scope, and five headers of answers.
            "",
            "",
            "",
            "",
            "",
            "",
            "",
        ];
        let signature = signature_of(key, &signed);
        Sas { policy: policy.to_owned(), resource, depth: opened.depth(), protocol, signature }
    }

    pub(crate) fn version(&self) -> &'static str {
        SAS_VERSION
    }

    /// Whether it stays whole where somebody pastes it without thinking of escapes.
    pub(super) fn is_plain(&self) -> bool {
        !self.signature.contains(['+', '/'])
    }

    /// The signature itself, not escaped; only for whoever asked for the share.
    pub(crate) fn expose(&self) -> &str {
        &self.signature
    }

    /// The fields of the query; only for whoever asked for the share.
    pub(super) fn expose_fields(&self) -> Vec<Field> {
        let depth = self.depth.map(|depth| ("sdd", depth.to_string()));
        let mut fields =
            vec![("sv", self.version().to_owned()), ("si", self.policy.clone()), ("sr", self.resource.to_owned())];
        fields.extend(depth);
        fields.extend(self.protocol.map(|protocol| ("spr", protocol.to_owned())));
        fields.push(("sig", self.expose().to_owned()));
        fields
    }
}

/// A key that the service lends to whoever logged in by Entra. No formatter shows it.
pub(super) struct DelegationKey {
    /// Who logged in, and where.
    user: String,
    tenant: String,
    start: String,
    expiry: String,
    service: String,
    version: String,
    value: Vec<u8>,
}

impl DelegationKey {
    /// What to ask the service for.
    pub(super) fn asked(start: DateTime<Utc>, expiry: DateTime<Utc>) -> String {
        let (start, expiry) = (spelled(start), spelled(expiry));
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><KeyInfo><Start>{start}</Start><Expiry>{expiry}</Expiry></KeyInfo>"
        )
    }

    /// Reads the service's answer.
    pub(super) fn read(xml: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(xml).map_err(|_| "it is no UTF-8".to_owned())?;
        let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
        let (mut path, mut content) = (Vec::new(), String::new());
        let mut found: Vec<(String, String)> = Vec::new();
        loop {
            match reader.read_event().map_err(|error| error.to_string())? {
                Event::Start(start) => {
                    path.push(String::from_utf8_lossy(start.local_name().as_ref()).into_owned());
                    content.clear();
                }
                Event::Text(part) => content.push_str(&part.xml10_content().map_err(|error| error.to_string())?),
                Event::End(_) => {
                    let name = path.pop().unwrap_or_default();
                    if path.len() == 1 {
                        found.push((name, content.trim().to_owned()));
                    }
                    content.clear();
                }
                Event::Eof if path.is_empty() => break,
                Event::Eof => return Err("it ends too early".to_owned()),
                Event::Empty(_) | Event::Decl(_) | Event::Comment(_) => {}
                Event::GeneralRef(_) | Event::CData(_) | Event::PI(_) | Event::DocType(_) => {
                    return Err("it is no key".to_owned());
                }
            }
        }
        let take = |name: &str| {
            let value = found.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
            value.filter(|value| !value.is_empty()).ok_or_else(|| format!("it has no `{name}`"))
        };
        Ok(DelegationKey {
            user: take("SignedOid")?,
            tenant: take("SignedTid")?,
            start: take("SignedStart")?,
            expiry: take("SignedExpiry")?,
            service: take("SignedService")?,
            version: take("SignedVersion")?,
            value: STANDARD.decode(take("Value")?).map_err(|_| "its value is no base64".to_owned())?,
        })
    }

    /// When the service takes it back; nothing that it signs is good for longer. `None` = it is no instant.
    pub(super) fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.expiry.parse().ok()
    }

    /// Signs for so long, with these permissions. Gives the fields of the query.
    pub(super) fn sign(&self, opened: &Opened<'_>, permissions: &str, end: DateTime<Utc>) -> Vec<Field> {
        let (end, place, resource) = (spelled(end), opened.place(), opened.resource());
        let signed = [
            permissions,
            // Start.
            "",
            &end,
            &place,
            &self.user,
            &self.tenant,
            &self.start,
            &self.expiry,
            &self.service,
            &self.version,
            // Two other users, a number for logs, and addresses.
            "",
            "",
            "",
            "",
            opened.protocol().unwrap_or_default(),
            SAS_VERSION,
            resource,
            // Snapshot, encryption scope, and five headers of answers.
            "",
            "",
            "",
            "",
            "",
            "",
            "",
        ];
        let signature = signature_of(&hmac::Key::new(hmac::HMAC_SHA256, &self.value), &signed);
        let mut fields = vec![("sv", SAS_VERSION.to_owned()), ("sr", resource.to_owned())];
        fields.extend(opened.depth().map(|depth| ("sdd", depth.to_string())));
        fields.extend(opened.protocol().map(|protocol| ("spr", protocol.to_owned())));
        fields.extend([
            ("sp", permissions.to_owned()),
            ("se", end),
            ("skoid", self.user.clone()),
            ("sktid", self.tenant.clone()),
            ("skt", self.start.clone()),
            ("ske", self.expiry.clone()),
            ("sks", self.service.clone()),
            ("skv", self.version.clone()),
            ("sig", signature),
        ]);
        fields
    }
}

fn spelled(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::store::signed::query_of;

    /// Made by `tests/rigs/blob.py vectors`, by Microsoft's own library.
    const VECTORS: &str = include_str!("../../tests/expected/sas.json");
    /// The same of user delegation keys, by `tests/rigs/blob.py delegated`.
    const DELEGATED: &str = include_str!("../../tests/expected/sas_delegated.json");

    fn opened(vector: &Value) -> Opened<'_> {
        Opened {
            account: text(vector, "account"),
            container: text(vector, "container"),
            directory: vector["directory"].as_str(),
            is_https_only: vector["https"] == true,
        }
    }

    fn text<'v>(vector: &'v Value, name: &str) -> &'v str {
        vector[name].as_str().expect("a text")
    }

    fn fields(query: &str) -> Vec<(String, String)> {
        let mut fields: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        fields.sort();
        fields
    }

    #[test]
    fn signatures_are_those_of_the_vendors_library() {
        let vectors: Vec<Value> = serde_json::from_str(VECTORS).expect("JSON");
        assert!(vectors.len() >= 200, "there are {}", vectors.len());
        for vector in vectors {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(text(&vector, "key")).expect("base64"));
            let sas = Sas::sign(&key, &opened(&vector), text(&vector, "policy"));
            let expect = fields(text(&vector, "sas"));
            assert_eq!(fields(&query_of(&sas.expose_fields())), expect, "{vector}");
            let signature = expect.into_iter().find(|(name, _)| name == "sig").expect("a signature").1;
            assert_eq!(sas.is_plain(), !signature.contains('+') && !signature.contains('/'));
        }
    }

    #[test]
    fn delegated_signatures_are_those_of_the_vendors_library() {
        let vectors: Vec<Value> = serde_json::from_str(DELEGATED).expect("JSON");
        let is = |name: &str, value: Value| vectors.iter().filter(|vector| vector[name] == value).count();
        assert!(vectors.len() >= 200 && is("permissions", "rl".into()) > 20 && is("directory", Value::Null) > 20);
        for vector in &vectors {
            let key = DelegationKey::read(text(vector, "answer").as_bytes()).expect("a key");
            let end = text(vector, "end").parse().expect("an instant");
            let mut signed = key.sign(&opened(vector), text(vector, "permissions"), end);
            // That library leaves the depth, which is not signed, to its callers.
            let depth = vector["directory"].as_str().map(|directory| directory.split('/').count().to_string());
            let named = signed.iter().position(|(name, _)| *name == "sdd").map(|at| signed.remove(at).1);
            assert_eq!(named, depth, "{vector}");
            assert_eq!(fields(&query_of(&signed)), fields(text(vector, "sas")), "{vector}");
        }
    }

    #[test]
    fn an_answer_that_is_no_key_is_told_of() {
        let check = |xml: &str, why: &str| {
            let error = DelegationKey::read(xml.as_bytes()).err().expect("no key");
            assert!(error.contains(why), "{xml}: {error}");
        };
        check("<html><body>Sign in</body></html>", "no `SignedOid`");
        check("<UserDelegationKey><SignedOid>x</SignedOid>", "too early");
        check("", "no `SignedOid`");
    }
}
