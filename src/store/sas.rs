//! The service SAS of Azure Blob that a stored access policy ends: what is signed, and how it is spelled
//! (<https://learn.microsoft.com/rest/api/storageservices/create-service-sas>). Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use url::form_urlencoded::Serializer;

/// Version of the service that the signature is made for: what is signed differs between versions. That of `object_store`,
/// so that a store that takes its requests takes these.
pub(super) const SAS_VERSION: &str = "2023-11-03";

/// What a signature opens.
pub(super) struct Opened<'a> {
    pub account: &'a str,
    pub container: &'a str,
    /// Only what is below it; needs a hierarchical namespace. Absent = the whole container.
    pub directory: Option<&'a str>,
    /// Of the container; says what is allowed, and until when.
    pub policy: &'a str,
    pub is_https_only: bool,
}

/// A signature with the fields that it signs. No formatter shows it.
pub(crate) struct Sas {
    pub policy: String,
    /// `c` = container, `d` = directory.
    pub resource: &'static str,
    /// Folders from the container to the directory.
    pub depth: Option<usize>,
    pub protocol: Option<&'static str>,
    signature: String,
}

impl Sas {
    pub(super) fn sign(key: &hmac::Key, opened: &Opened<'_>) -> Self {
        let directory = opened.directory.map(|directory| directory.trim_matches('/'));
        let resource = if directory.is_some() { "d" } else { "c" };
        let protocol = opened.is_https_only.then_some("https");
        let folder = directory.map(|directory| format!("/{directory}")).unwrap_or_default();
        let place = format!("/blob/{}/{}{folder}", opened.account, opened.container);
        let signed = [
            // Permissions, start and end: those of the policy.
            "",
            "",
            "",
            &place,
            opened.policy,
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
        let signature = STANDARD.encode(hmac::sign(key, signed.join("\n").as_bytes()));
        let depth = directory.map(|directory| directory.split('/').count());
        Sas { policy: opened.policy.to_owned(), resource, depth, protocol, signature }
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

    /// All of it as the query of an address; only for whoever asked for the share.
    pub(crate) fn expose_query(&self) -> String {
        let mut query = Serializer::new(String::new());
        query.append_pair("sv", SAS_VERSION).append_pair("si", &self.policy).append_pair("sr", self.resource);
        if let Some(depth) = self.depth {
            query.append_pair("sdd", &depth.to_string());
        }
        if let Some(protocol) = self.protocol {
            query.append_pair("spr", protocol);
        }
        query.append_pair("sig", &self.signature).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Made by `tests/rigs/blob.py vectors`, by Microsoft's own library.
    const VECTORS: &str = include_str!("../../tests/expected/sas.json");

    #[test]
    fn signatures_are_those_of_the_vendors_library() {
        let vectors: Vec<Value> = serde_json::from_str(VECTORS).expect("JSON");
        assert!(vectors.len() >= 200, "there are {}", vectors.len());
        for vector in vectors {
            let text = |name: &str| vector[name].as_str().expect("a text");
            let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(text("key")).expect("base64"));
            let opened = Opened {
                account: text("account"),
                container: text("container"),
                directory: vector["directory"].as_str(),
                policy: text("policy"),
                is_https_only: vector["https"] == true,
            };
            let sas = Sas::sign(&key, &opened);
            let fields = |query: &str| {
                let mut fields: Vec<(String, String)> =
                    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
                fields.sort();
                fields
            };
            assert_eq!(fields(&sas.expose_query()), fields(text("sas")), "{vector}");
            let signature = fields(text("sas")).into_iter().find(|(name, _)| name == "sig").expect("a signature").1;
            assert_eq!(sas.is_plain(), !signature.contains('+') && !signature.contains('/'));
        }
    }
}
