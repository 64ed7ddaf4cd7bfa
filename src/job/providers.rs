//! The table of OAuth2 providers, `config/providers.yaml`: addresses, conventions and what becomes of a used refresh
//! token. Its values are defaults; a job may override each of them.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::{Environment, UndefinedBehavior};
use serde::Deserialize;

use super::problem::{Problems, did_you_mean, wrong};
use super::spec_auth::{ClientAuthSpec, Oauth2Spec, RotationSpec};
use super::yaml::{Tree, join};

const TABLE: &str = include_str!("../../config/providers.yaml");
const PARAMS: &str = "source.auth.oauth2.provider_params";

/// A row of the table. What only people read of it (`title`, `mark`, `source`, `note`) is not kept.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Provider {
    /// What the addresses depend on.
    #[serde(default)]
    params: BTreeMap<String, Param>,
    pub authorize_url: Option<String>,
    pub token_url: Option<String>,
    pub revoke_url: Option<String>,
    pub device_authorize_url: Option<String>,
    pub issuer: Option<String>,
    pub client_auth: Option<ClientAuthSpec>,
    pub scope_separator: Option<String>,
    #[serde(default)]
    pub authorize_params: BTreeMap<String, String>,
    #[serde(default)]
    pub token_params: BTreeMap<String, String>,
    /// Absent only in the provider of a job that names none.
    pub rotation: Option<RotationSpec>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Param {
    /// The usual value. Absent = the job must give one.
    default: Option<String>,
    /// What a value looks like, for the message that asks for it.
    #[serde(default)]
    example: String,
}

fn table() -> BTreeMap<String, Provider> {
    let tree = Tree::parse(TABLE).expect("the table of providers is YAML, which a test proves");
    let value = tree.root.value_without(&BTreeSet::new(), "").expect("nothing is left out");
    serde_json::from_value(value).expect("the table of providers fits its type, which a test proves")
}

/// What the table says of the job's provider, its addresses filled in; an empty row for a job that names none.
/// `None` = the problems say why.
pub(super) fn provider_of(spec: &Oauth2Spec, problems: &mut Problems<'_>) -> Option<Provider> {
    let Some(name) = &spec.provider else {
        if !spec.provider_params.is_empty() {
            problems.at(PARAMS, wrong("`provider_params` belong to a `provider`, and none is named"));
        }
        return Some(Provider::default());
    };
    let mut table = table();
    let Some(row) = table.remove(name) else {
        let names: Vec<&str> = table.keys().map(String::as_str).collect();
        let near = did_you_mean(name, names.iter().copied());
        let draft = wrong(format!("`{name}` is no provider that haul knows")).allowed(names.join(", "));
        let hint = "leave it out and write the addresses: `token_url`, `authorize_url`".to_owned();
        problems.at("source.auth.oauth2.provider", draft.hint(hint).maybe_hint(near));
        return None;
    };
    let values = check_params(name, &row.params, &spec.provider_params, problems)?;
    Some(row.filled_in(&values))
}

/// What becomes of a used refresh token of this provider; `None` = the table does not know it.
pub(super) fn rotation_of(provider: &str) -> Option<RotationSpec> {
    table().remove(provider)?.rotation
}

fn check_params(
    provider: &str,
    known: &BTreeMap<String, Param>,
    given: &BTreeMap<String, String>,
    problems: &mut Problems<'_>,
) -> Option<BTreeMap<String, String>> {
    let before = problems.len();
    let mut values = BTreeMap::new();
    for (name, value) in given {
        if !known.contains_key(name) {
            let allowed = known.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let allowed = if allowed.is_empty() { "none".to_owned() } else { allowed };
            problems.at(&join(PARAMS, name), wrong(format!("`{provider}` has no `{name}`")).allowed(allowed));
        } else if !is_name_part(value) {
            // Anything else could turn the address into that of another host.
            let draft = wrong(format!("`{name}` cannot stand in an address")).allowed("a-z, 0-9, - and . inside");
            problems.at(&join(PARAMS, name), draft);
        } else {
            values.insert(name.clone(), value.clone());
        }
    }
    for (name, param) in known {
        match (&param.default, given.contains_key(name)) {
            (_, true) => {}
            (Some(usual), false) => {
                values.insert(name.clone(), usual.clone());
            }
            (None, false) => {
                let hint = format!("write `provider_params: {{ {name}: {} }}`", param.example);
                problems
                    .at("source.auth.oauth2", wrong(format!("the provider `{provider}` needs `{name}`")).hint(hint));
            }
        }
    }
    (problems.len() == before).then_some(values)
}

/// Part of a host's name or one segment of a path.
fn is_name_part(value: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    value.split('.').all(|label| !label.is_empty() && label.chars().all(is_plain))
}

impl Provider {
    fn filled_in(mut self, values: &BTreeMap<String, String>) -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let addresses = [
            &mut self.authorize_url,
            &mut self.token_url,
            &mut self.revoke_url,
            &mut self.device_authorize_url,
            &mut self.issuer,
        ];
        for address in addresses.into_iter().flatten() {
            let filled = environment.render_str(address, minijinja::Value::from(minijinja::value::Serde(values)));
            *address = filled.expect("the table's addresses name only its own params, which a test proves");
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use url::Url;

    use super::super::spec_auth::RotationClassSpec::{
        self, NotRotated, OldStaysValid, ReuseRevokesFamily, SingleUse, ValidForWindow, ValidUntilSuccessorUsed,
    };
    use super::*;

    /// Classes and times of the design.
    const EXPECTED: &[(&str, RotationClassSpec, Option<&str>, Option<&str>)] = &[
        ("atlassian", ValidForWindow, Some("10m"), Some("90d")),
        ("auth0", ValidForWindow, Some("30s"), None),
        ("entra", OldStaysValid, None, Some("90d")),
        ("exact_online", ValidUntilSuccessorUsed, None, Some("30d")),
        ("fortnox", SingleUse, None, Some("31d")),
        ("github_apps", SingleUse, None, Some("180d")),
        ("google", NotRotated, None, Some("180d")),
        ("hubspot", NotRotated, None, None),
        ("okta", ValidForWindow, Some("30s"), None),
        ("quickbooks", SingleUse, None, Some("100d")),
        ("sage", SingleUse, None, Some("31d")),
        ("salesforce", ReuseRevokesFamily, None, None),
        ("shopify", ValidUntilSuccessorUsed, None, Some("90d")),
        ("slack", SingleUse, None, None),
        ("twinfield", NotRotated, None, None),
        ("visma_connect", ValidForWindow, Some("5s"), None),
        ("xero", ValidForWindow, Some("30m"), Some("60d")),
        ("zoho", NotRotated, None, None),
    ];

    #[test]
    fn every_row_is_read_and_says_what_the_design_says() {
        let table = table();
        assert_eq!(
            table.keys().map(String::as_str).collect::<Vec<_>>(),
            EXPECTED.iter().map(|row| row.0).collect::<Vec<_>>()
        );
        for (name, class, window, idle) in EXPECTED {
            let rotation = table[*name].rotation.as_ref().expect("a rotation");
            let found = (rotation.class, rotation.window.as_deref(), rotation.idle.as_deref());
            assert_eq!(found, (*class, *window, *idle), "{name}");
        }
        assert_eq!(table["exact_online"].rotation.as_ref().unwrap().age_min.as_deref(), Some("570s"));
    }

    #[test]
    fn every_address_is_https_once_filled_in() {
        for (name, row) in table() {
            let values = row
                .params
                .iter()
                .map(|(name, param)| (name.clone(), param.default.clone().unwrap_or_else(|| param.example.clone())));
            let values: BTreeMap<String, String> = values.collect();
            assert!(values.values().all(|value| is_name_part(value)), "{name}: {values:?}");
            let row = row.filled_in(&values);
            assert!(row.token_url.is_some() && row.authorize_url.is_some() && row.client_auth.is_some(), "{name}");
            let addresses = [row.authorize_url, row.token_url, row.revoke_url, row.device_authorize_url, row.issuer];
            for address in addresses.into_iter().flatten() {
                let url: Url = address.parse().unwrap_or_else(|error| panic!("{name}: {address}: {error}"));
                assert!(url.scheme() == "https" && url.host_str().unwrap().contains('.'), "{name}: {address}");
            }
        }
    }

    #[test]
    fn rows_have_known_keys_only_and_say_where_they_come_from() {
        let known = [
            "title",
            "mark",
            "source",
            "note",
            "params",
            "authorize_url",
            "token_url",
            "revoke_url",
            "device_authorize_url",
            "issuer",
            "client_auth",
            "scope_separator",
            "authorize_params",
            "token_params",
            "rotation",
        ];
        let value = Tree::parse(TABLE).unwrap().root.value_without(&BTreeSet::new(), "").unwrap();
        for (name, row) in value.as_object().unwrap() {
            let row = row.as_object().unwrap();
            assert!(row.keys().all(|key| known.contains(&key.as_str())), "{name}: {row:?}");
            assert!(["documented", "reported"].map(Value::from).contains(&row["mark"]), "{name}");
            assert!(row["title"].is_string() && row["source"].is_string(), "{name}");
        }
    }
    #[test]
    fn the_documentation_lists_every_provider() {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/JOBS.md")).unwrap();
        for (name, row) in table() {
            let line = text.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
            let line = line.unwrap_or_else(|| panic!("`{name}` is not in docs/JOBS.md"));
            let params = row.params.keys().all(|param| line.contains(param.as_str()));
            let rotation = row.rotation.unwrap();
            let spans = [&rotation.window, &rotation.idle, &rotation.age_min];
            let spans = spans.into_iter().flatten().all(|span| line.contains(span.as_str()));
            assert!(params && spans, "{line}");
        }
    }
}
