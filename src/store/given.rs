//! A shared access signature as somebody was given it: what is pasted, its fields, and what it opens. Pure.

use chrono::{DateTime, Utc};
use serde_json::Value;
use url::Url;
use url::form_urlencoded::{Serializer, parse};

use super::policies::instant;
use crate::secret::Secret;

/// The fields of a signature, in their order. No formatter shows the signature itself.
pub(crate) struct GivenSas {
    fields: Vec<(String, String)>,
    signature: Secret,
    /// Where it was pasted from, without the query. Absent = it came without an address.
    pub address: Option<Url>,
}

impl GivenSas {
    /// Reads a query, an address with one, or what `haul share create --json` prints. `None` = it has no signature.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches('\u{feff}').trim_matches('"');
        let printed = serde_json::from_str::<Value>(text).ok();
        let printed = printed.as_ref().and_then(|document| document["query"].as_str());
        let text = printed.unwrap_or(text);
        let address = text.parse::<Url>().ok().filter(Url::has_host);
        let query = match &address {
            Some(address) => address.query().unwrap_or_default(),
            None => text.trim_start_matches('?'),
        };
        Self::of(parse(query.as_bytes()).into_owned().collect(), address.clone())
    }

    fn of(fields: Vec<(String, String)>, address: Option<Url>) -> Option<Self> {
        let (signatures, fields): (Vec<_>, Vec<_>) = fields.into_iter().partition(|(name, _)| name == "sig");
        let signature = Secret::new(signatures.into_iter().next()?.1);
        let address = address.map(|mut address| {
            address.set_query(None);
            address.set_fragment(None);
            address
        });
        Some(GivenSas { fields, signature, address })
    }

    /// A field other than the signature.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(field, _)| field == name);
        found.next().map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// An instant among the fields.
    pub(crate) fn instant(&self, name: &str) -> Option<DateTime<Utc>> {
        instant(self.field(name)?)
    }

    /// What pasting did to the signature. `None` = it is whole.
    pub(crate) fn spoiled(&self) -> Option<Spoiled> {
        let signature = self.signature.expose();
        if signature.contains(' ') {
            return Some(Spoiled::Unescaped);
        }
        if signature.contains('%') {
            return Some(Spoiled::EscapedTwice);
        }
        use base64::Engine as _;
        let decoded = base64::engine::general_purpose::STANDARD.decode(signature);
        // An HMAC-SHA256.
        if decoded.is_ok_and(|decoded| decoded.len() == 32) { None } else { Some(Spoiled::Cut) }
    }

    /// The query of an address; only for the wire.
    pub(super) fn expose_query(&self) -> String {
        let mut query = Serializer::new(String::new());
        query.extend_pairs(&self.fields).append_pair("sig", self.signature.expose()).finish()
    }
}

/// A signature that did not stay whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoiled {
    /// Its `+` became blanks.
    Unescaped,
    /// It has escapes of escapes.
    EscapedTwice,
    /// Characters are missing, or are too many.
    Cut,
}

impl From<&super::sas::Sas> for GivenSas {
    fn from(sas: &super::sas::Sas) -> Self {
        let fields = sas.expose_fields().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self::of(fields, None).expect("haul's own have a signature")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5KzE=";

    #[test]
    fn signatures_are_read_as_they_are_pasted() {
        let check = |text: &str, spoiled: Option<Spoiled>| {
            let sas = GivenSas::read(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((sas.field("sv"), sas.spoiled()), (Some("2023-11-03"), spoiled), "{text}");
            sas
        };
        let query = format!("sv=2023-11-03&si=x&sig={WHOLE}");
        check(&query, None);
        check(&format!("  ?{query}\n"), None);
        check(&format!("{{\"query\": \"{query}\"}}"), None);
        let address = check(&format!("https://a.example/c/f.parquet?{query}"), None).address;
        assert_eq!(address.map(String::from).as_deref(), Some("https://a.example/c/f.parquet"));
        check(&query.replace("ODkw", "O+/w"), Some(Spoiled::Unescaped));
        check(&query.replace("E%3D", "E%253D").replace("E=", "E%253D"), Some(Spoiled::EscapedTwice));
        check(&query.replace("MDEy", ""), Some(Spoiled::Cut));
        for none in ["", "sv=2023-11-03&se=2030-01-01", "https://a.example/c"] {
            assert!(GivenSas::read(none).is_none(), "{none}");
        }
        let sas = GivenSas::read(&format!("se=2030-01-02&st=2030-01-01T10:20Z&sp=r&sig={WHOLE}")).expect("a signature");
        assert_eq!(sas.instant("se").map(|end| end.to_rfc3339()).as_deref(), Some("2030-01-02T00:00:00+00:00"));
        assert_eq!(sas.instant("st").map(|end| end.to_rfc3339()).as_deref(), Some("2030-01-01T10:20:00+00:00"));
        assert_eq!((sas.field("sp"), sas.field("sig"), sas.field("sr")), (Some("r"), None, None));
    }
}
