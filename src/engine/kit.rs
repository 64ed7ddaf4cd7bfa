//! What the Power BI kit is made of, gathered: the current snapshot, the way from a reader to the job's folder, and the share that
//! opens it. Publishes and changes nothing.

use std::collections::BTreeMap;

use url::Url;

use super::share::{is_live, newest_of, shares_of};
use crate::clock::Clock;
use crate::limits::SHARES_PAGE_WAIT_MAX;
use crate::powerbi::{FieldValue, Kit, KitError, Ranged, Reach, SignedField};
use crate::store::{self, Policy, Store, layout, sas_version};

/// What somebody wants of the kit.
#[derive(Debug, Clone, Default)]
pub(crate) struct KitWishes {
    /// Empty = all.
    pub tables: Vec<String>,
    /// Tables with incremental refresh.
    pub ranges: BTreeMap<String, Ranged>,
    /// Where readers find the job's folder, perhaps with a signature in the query. Absent = where the destination is.
    pub address: Option<Url>,
    /// The stored access policy whose signature opens the container. Absent = haul's share that ends last.
    pub policy: Option<String>,
    /// The signature opens the job's folder only.
    pub is_folder_only: bool,
    /// Signatures stand in the texts.
    pub has_signature: bool,
}

/// A kit with what whoever uses it should know.
#[derive(Debug, Clone)]
pub(crate) struct LoadedKit {
    pub kit: Kit,
    pub snapshot: String,
    pub notes: Vec<String>,
}

/// Why there is no kit.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KitFailure {
    #[error("nothing is published in {place}")]
    Unpublished { place: String },
    #[error("readers have no address for {place}")]
    NoAddress { place: String },
    #[error("`{url}` is no address for readers: {why}")]
    Address { url: String, why: &'static str },
    #[error("the container has no share `{policy}`")]
    NoPolicy { policy: String },
    #[error("the share `{policy}` opens the whole container, not the job's folder only")]
    NotFolder { policy: String },
    #[error("there is no share to sign for")]
    NoShare,
    #[error(transparent)]
    Kit(#[from] KitError),
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl KitFailure {
    /// What to do about it, where we know it.
    pub(crate) fn hint(&self) -> Option<String> {
        Some(match self {
            KitFailure::Unpublished { .. } => "run the job first: `haul run JOBFILE`".to_owned(),
            KitFailure::NoAddress { .. } => {
                "give the address of the job's folder with `--address URL`, that of a site which serves the bucket, or a \
                 signed link of `haul serve` with `--address-file FILE`; one signed link a file, as `haul share` makes for Amazon S3, opens no folder"
                    .to_owned()
            }
            KitFailure::Address { .. } => "it is like https://files.example.com/tables/sales".to_owned(),
            KitFailure::NoPolicy { .. } => "`haul share list JOBFILE` shows them".to_owned(),
            KitFailure::NotFolder { .. } => "`haul share create JOBFILE --folder` makes one for the folder".to_owned(),
            KitFailure::NoShare => "`haul share create JOBFILE` makes one".to_owned(),
            KitFailure::Kit(error) => error.hint().to_owned(),
            KitFailure::Store(error) => return error.hint(),
        })
    }
}

/// The kit of the current snapshot.
pub(crate) async fn load_kit(store: &Store, wishes: &KitWishes) -> Result<LoadedKit, KitFailure> {
    let address = store.reader_address();
    if wishes.address.is_none() && address.is_none() && !store.is_local() {
        return Err(KitFailure::NoAddress { place: store.shown().to_owned() });
    }
    let unpublished = || KitFailure::Unpublished { place: store.shown().to_owned() };
    let manifest = store.load_current().await?.ok_or_else(unpublished)?.manifest;
    let mut notes = Vec::new();
    let reach = match (&wishes.address, address) {
        (Some(url), _) => reach_by(url, wishes.has_signature)?,
        (None, Some((base, folder))) => signed(store, &manifest.job, wishes, (&base, &folder), &mut notes).await?,
        (None, None) => {
            notes.push(format!("the queries read {}, as this machine names it", store.shown()));
            Reach::Folder { path: store.shown().to_owned() }
        }
    };
    let names = [layout::LATEST, layout::STATUS];
    let kit = Kit::of(&manifest, &wishes.tables, &wishes.ranges, reach, names)?;
    for (name, ranged) in &wishes.ranges {
        let parts = manifest.tables.get(name).into_iter().flat_map(|table| &table.parts);
        let nulls: u64 = parts.filter_map(|part| part.ranges.get(&ranged.column)).map(|range| range.nulls).sum();
        notes.extend(range_notes(name, ranged, nulls));
    }
    Ok(LoadedKit { kit, snapshot: manifest.snapshot, notes })
}

/// What incremental refresh leaves out, or keeps although it is gone.
fn range_notes(table: &str, Ranged { column, years, days }: &Ranged, nulls: u64) -> Vec<String> {
    let mut notes = vec![
        format!(
            "`{table}`: Power BI keeps rows whose `{column}` is in the last {years} years and not in the future, and reads \
             those of the last {days} days again where files changed"
        ),
        format!(
            "`{table}`: choose a column whose value never changes: a row that moves would stay at its old place, too"
        ),
    ];
    if nulls > 0 {
        notes.push(format!("`{table}`: {nulls} rows have no `{column}`, and incremental refresh leaves them out"));
    }
    notes
}

/// The way to a container of Azure Blob, opened by a stored access policy.
async fn signed(
    store: &Store,
    job: &str,
    wishes: &KitWishes,
    (base, folder): (&str, &str),
    notes: &mut Vec<String>,
) -> Result<Reach, KitFailure> {
    if store.has_delegation() && !wishes.has_signature && wishes.policy.is_none() {
        notes.push(
            "signatures of this account end after 7 days at the latest: fill in what `haul share create` prints, or let \
             `powerbi.refresh` keep them up to date (`share: container`)"
                .to_owned(),
        );
        return Ok(delegated(base, folder, wishes.is_folder_only));
    }
    let policy = policy_for(store, job, wishes, notes).await?;
    // What haul made says itself what it opens.
    let is_folder_only = match &policy {
        Some(policy) if policy.is_ours() => policy.wanted().is_folder_only,
        Some(_) | None => wishes.is_folder_only,
    };
    if wishes.is_folder_only && !is_folder_only {
        return Err(KitFailure::NotFolder { policy: policy.map(|policy| policy.id).unwrap_or_default() });
    }
    let signature = match (&policy, wishes.has_signature) {
        (Some(policy), true) => {
            let sas = store.shares()?.sign_again(policy)?;
            Some(sas.expose().to_owned())
        }
        (None, true) => return Err(KitFailure::NoShare),
        (_, false) => None,
    };
    let mut fields = opening_fields(base, folder, is_folder_only);
    let id = policy.map(|policy| policy.id).or_else(|| wishes.policy.clone());
    fields.extend([parameter("si", "SasPolicy", id), parameter("sig", "SasSignature", signature)]);
    Ok(Reach::Signed { base: base.to_owned(), folder: folder.to_owned(), fields })
}

/// The fields with which every signature of a container or of a folder begins.
fn opening_fields(base: &str, folder: &str, is_folder_only: bool) -> Vec<SignedField> {
    let mut fields = vec![parameter("sv", "SasVersion", Some(sas_version().to_owned()))];
    if is_folder_only {
        // The first folder is the container.
        let depth = folder.split('/').count() - 1;
        fields.extend([fixed("sr", "d"), fixed("sdd", &depth.to_string())]);
    } else {
        fields.push(fixed("sr", "c"));
    }
    // As haul makes its shares: plain http is that of an emulator.
    if base.starts_with("https:") {
        fields.push(fixed("spr", "https"));
    }
    fields
}

/// The way to a container by a signature with a lent key: all that changes with it is a parameter.
fn delegated(base: &str, folder: &str, is_folder_only: bool) -> Reach {
    let mut fields = opening_fields(base, folder, is_folder_only);
    let names = ["sp", "se", "skoid", "sktid", "skt", "ske", "sks", "skv", "sig"];
    fields.extend(names.map(|name| parameter(name, &parameter_name(name).0, None)));
    Reach::Signed { base: base.to_owned(), folder: folder.to_owned(), fields }
}

/// The policy that was named, or haul's share that ends last. `None` = there is none, or the account cannot be asked.
async fn policy_for(
    store: &Store,
    job: &str,
    wishes: &KitWishes,
    notes: &mut Vec<String>,
) -> Result<Option<Policy>, KitFailure> {
    if !store.has_shares() {
        // The account is opened by something else than its key, and tells its policies to nobody else.
        return if wishes.has_signature {
            Err(store.shares().err().map_or(KitFailure::NoShare, KitFailure::Store))
        } else {
            Ok(None)
        };
    }
    let late = format!("the storage account does not answer within {SHARES_PAGE_WAIT_MAX:?}");
    let policies = match tokio::time::timeout(SHARES_PAGE_WAIT_MAX, shares_of(store)).await {
        Ok(Ok(policies)) => policies.unwrap_or_default(),
        Ok(Err(error)) if wishes.has_signature => return Err(error.into()),
        Ok(Err(error)) => {
            notes.push(format!("the shares of the container cannot be read: {}", super::run::text_of(&error)));
            return Ok(None);
        }
        Err(_) => {
            notes.push(late);
            return Ok(None);
        }
    };
    if let Some(named) = &wishes.policy {
        let found = policies.into_iter().find(|policy| policy.id == *named);
        // One that others made is no share of haul's, and is taken as it is.
        return match found {
            None if wishes.has_signature || named.starts_with("haul-") => {
                Err(KitFailure::NoPolicy { policy: named.clone() })
            }
            found => Ok(found),
        };
    }
    let now = Clock.now();
    let live: Vec<Policy> = policies.into_iter().filter(|policy| is_live(policy, now)).collect();
    Ok(newest_of(&live, job, now).cloned())
}

/// The way that an address says. What its query holds becomes fields: those that change with every new signature as parameters,
/// and what opens it only where signatures are wanted.
fn reach_by(url: &Url, has_signature: bool) -> Result<Reach, KitFailure> {
    let wrong = |why| {
        let mut shown = url.clone();
        shown.set_query(None);
        let _ = (shown.set_username(""), shown.set_password(None));
        KitFailure::Address { url: shown.to_string(), why }
    };
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong("it must begin with https:// or http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("there is a user or a password in it"));
    }
    if url.fragment().is_some() {
        return Err(wrong("there is a `#` in it"));
    }
    let base = url.origin().ascii_serialization();
    let folder = url.path().trim_matches('/').to_owned();
    let fields: Vec<SignedField> = url
        .query_pairs()
        .map(|(name, value)| match &*name {
            name if is_fixed(name) => fixed(name, &value),
            name => {
                let (named, is_open) = parameter_name(name);
                parameter(name, &named, (is_open || has_signature).then(|| value.into_owned()))
            }
        })
        .collect();
    let mut names: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
    names.extend(fields.iter().filter_map(|field| match &field.value {
        FieldValue::Parameter { name, .. } => Some(format!("parameter {}", name.to_ascii_lowercase())),
        FieldValue::Fixed(_) => None,
    }));
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(wrong("a field of its query is there twice"));
    }
    Ok(match fields.is_empty() {
        true => Reach::Open { base, folder },
        false => Reach::Signed { base, folder, fields },
    })
}

/// Whether a field of a signature is the same for all signatures of a kind.
pub(super) fn is_fixed(field: &str) -> bool {
    matches!(field, "sr" | "spr" | "sdd")
}

/// The parameter for a field of a signature, and whether its value may be seen.
pub(super) fn parameter_name(field: &str) -> (String, bool) {
    let known = match field {
        "sv" => "SasVersion",
        "si" => "SasPolicy",
        "sig" => return ("SasSignature".to_owned(), false),
        "sp" => "SasPermissions",
        "st" => "SasStart",
        "se" => "SasExpiry",
        "skoid" => "SasKeyObject",
        "sktid" => "SasKeyTenant",
        "skt" => "SasKeyStart",
        "ske" => "SasKeyExpiry",
        "sks" => "SasKeyService",
        "skv" => "SasKeyVersion",
        // Whatever it is, it may be what opens the folder.
        other => {
            let words = other.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
            let capital = |word: &str| format!("{}{}", word[..1].to_ascii_uppercase(), &word[1..]);
            return (format!("Link{}", words.map(capital).collect::<String>()), false);
        }
    };
    (known.to_owned(), true)
}

fn fixed(name: &str, text: &str) -> SignedField {
    SignedField { name: name.to_owned(), value: FieldValue::Fixed(text.to_owned()) }
}

fn parameter(name: &str, named: &str, value: Option<String>) -> SignedField {
    SignedField { name: name.to_owned(), value: FieldValue::Parameter { name: named.to_owned(), value } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_readers_become_a_base_a_folder_and_fields() {
        let reach = |url: &str| reach_by(&url.parse().expect("a URL"), false);
        let open = Reach::Open { base: "https://data.example.com:8443".to_owned(), folder: "a%20b/sales".to_owned() };
        assert_eq!(reach("https://data.example.com:8443/a b/sales/").expect("a reach"), open);
        let Reach::Signed { fields, folder, .. } =
            reach("https://x.blob.core.windows.net/t/sales?sv=2024&sr=d&sdd=1&skoid=o&sig=a%2Bb%3D&to-ken=s")
                .expect("a reach")
        else {
            panic!("it is signed")
        };
        assert_eq!(folder, "t/sales");
        let expected = vec![
            parameter("sv", "SasVersion", Some("2024".to_owned())),
            fixed("sr", "d"),
            fixed("sdd", "1"),
            parameter("skoid", "SasKeyObject", Some("o".to_owned())),
            parameter("sig", "SasSignature", None),
            parameter("to-ken", "LinkToKen", None),
        ];
        assert_eq!(fields, expected);
        let Reach::Signed { fields, .. } =
            reach_by(&"https://h/x?sig=a%2Bb%3D".parse().expect("a URL"), true).expect("a reach")
        else {
            panic!("it is signed")
        };
        assert_eq!(fields, [parameter("sig", "SasSignature", Some("a+b=".to_owned()))]);
        for wrong in [
            "ftp://h/x",
            "https://u:p@h/x",
            "https://h/x#y",
            "https://h/x?sig=a&sig=b",
            "https://h/x?a-b=1&A_b=2",
            "file:///x",
        ] {
            let error = reach(wrong).expect_err(wrong);
            assert!(matches!(&error, KitFailure::Address { .. }), "{error}");
            assert!(!error.to_string().contains("p@h") && !error.to_string().contains("sig="), "{error}");
        }
    }
}
