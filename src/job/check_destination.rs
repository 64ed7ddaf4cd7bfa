//! The meaning of `destination`.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use object_store::aws::AmazonS3ConfigKey;
use object_store::azure::AzureConfigKey;
use object_store::gcp::GoogleConfigKey;
use url::Url;

use super::check_csv::check_csv;
use super::problem::{Problems, did_you_mean, wrong};
use super::spec::{DestinationSpec, FormatSpec, LongTextSpec, ProfileSpec, WideDecimalsSpec};
use super::value::{check_text, holds_user, is_secret_option, literal_secret, reference};
use super::yaml::join;
use crate::limits::{PART_BYTES_DEFAULT_ANALYTICS, PART_BYTES_MAX};
use crate::model::destination::{Destination, Format, LongText, ParquetForm, Profile, ValueLimits, WideDecimals};
use crate::model::plan::Place;

const MIB: u64 = 1024 * 1024;
const PLACES: &str = "a folder, az://container/prefix, s3://bucket/prefix, gs://bucket/prefix";

/// `None` = the problems say why. `base` is where relative folders start.
pub(super) fn check_destination(
    spec: &DestinationSpec,
    base: &Path,
    problems: &mut Problems<'_>,
) -> Option<Destination> {
    let place = check_place(&spec.url, base, problems);
    let mut options = BTreeMap::new();
    for (name, value) in &spec.options {
        let path = join("destination.options", name);
        if let Some(place) = &place {
            check_option(place, name, &path, problems);
        }
        if (is_secret_option(name) || holds_credential(value)) && reference(value).is_none() {
            problems.at(&path, literal_secret(&path));
        } else if let Some(text) = check_text(value, &path, problems) {
            options.insert(name.clone(), text);
        }
    }
    let profile = match spec.profile {
        ProfileSpec::Powerbi => Profile::Powerbi,
        ProfileSpec::Analytics => Profile::Analytics,
    };
    let limits = check_limits(spec, profile, problems);
    let format = check_format(spec, profile, problems);
    let part_bytes_max = check_part(spec, profile, problems);
    let is_raw_kept = spec.raw_copy;
    Some(Destination { place: place?, profile, format: format?, limits, options, part_bytes_max, is_raw_kept })
}

fn check_limits(spec: &DestinationSpec, profile: Profile, problems: &mut Problems<'_>) -> ValueLimits {
    if spec.long_text.is_some() && profile == Profile::Analytics {
        let draft = wrong("the profile `analytics` keeps texts of any length");
        problems.at("destination.long_text", draft.hint("remove `long_text`, or write `profile: powerbi`"));
    }
    let long_text = match spec.long_text {
        None | Some(LongTextSpec::Truncate) => LongText::Truncate,
        Some(LongTextSpec::Fail) => LongText::Fail,
    };
    ValueLimits::of(profile, long_text)
}

/// `None` = the problems say why.
fn check_format(spec: &DestinationSpec, profile: Profile, problems: &mut Problems<'_>) -> Option<Format> {
    let is_rounded = spec.wide_decimals == Some(WideDecimalsSpec::Float);
    if is_rounded && (profile, spec.format) != (Profile::Powerbi, FormatSpec::Parquet) {
        let draft = wrong("every reader of this form takes all digits of a decimal").found("`float`").allowed("exact");
        let hint = "`wide_decimals: float` is for `format: parquet` with `profile: powerbi`";
        problems.at("destination.wide_decimals", draft.hint(hint));
    }
    match (spec.format, &spec.csv) {
        (FormatSpec::Parquet, Some(_)) => {
            let draft = wrong("the files are Parquet, which has none of these options");
            problems.at("destination.csv", draft.hint("write `format: csv`, or remove `csv`"));
            None
        }
        (FormatSpec::Parquet, None) => Some(Format::Parquet(ParquetForm {
            profile,
            wide_decimals: if is_rounded { WideDecimals::Float } else { WideDecimals::Exact },
        })),
        (FormatSpec::Csv, csv) => {
            let mut form = check_csv(csv.as_ref(), problems)?;
            // Power Query takes a marked timestamp for one with a zone, and shifts it.
            form.utc_mark = profile == Profile::Analytics && form.datetime_format.is_none();
            Some(Format::Csv(Box::new(form)))
        }
    }
}

fn check_part(spec: &DestinationSpec, profile: Profile, problems: &mut Problems<'_>) -> u64 {
    let default = match profile {
        Profile::Powerbi => PART_BYTES_MAX,
        Profile::Analytics => PART_BYTES_DEFAULT_ANALYTICS,
    };
    let Some(mib) = spec.part_mib else { return default };
    if profile == Profile::Powerbi && mib > PART_BYTES_MAX / MIB {
        let draft = wrong("Power Query holds a whole file in memory").found(format!("{mib}"));
        let hint = "`profile: analytics` allows files up to 4096 MiB";
        problems.at("destination.part_mib", draft.allowed(format!("1 to {}", PART_BYTES_MAX / MIB)).hint(hint));
    }
    mib * MIB
}

/// An address with a user, or with the signature of a SAS or a presigned URL.
fn holds_credential(value: &str) -> bool {
    let is_signed = |url: &Url| url.query_pairs().any(|(name, _)| name.to_ascii_lowercase().contains("sig"));
    value.parse::<Url>().is_ok_and(|url| holds_user(&url) || is_signed(&url))
}

fn check_place(text: &str, base: &Path, problems: &mut Problems<'_>) -> Option<Place> {
    let path = "destination.url";
    if text.trim().is_empty() {
        problems.at(path, wrong("the destination is empty").allowed(PLACES));
        return None;
    }
    if text.contains("${") || text.contains("{{") {
        let hint = "write the destination itself; only `destination.options` holds references";
        problems.at(path, wrong("the destination holds neither a reference nor a template").hint(hint));
        return None;
    }
    if text == "~" || text.starts_with("~/") {
        let hint = "a shell knows `~`, a job file does not: write the whole path";
        problems.at(path, wrong("the destination would be a folder named `~`").hint(hint));
        return None;
    }
    // A single letter before the colon is a drive of Windows.
    let scheme = text.split_once(':').map(|(scheme, _)| scheme).filter(|scheme| scheme.len() > 1);
    let is_scheme = |scheme: &str| scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    if !scheme.is_some_and(|scheme| is_scheme(scheme) && !text.starts_with('.')) {
        return Some(Place::Local(base.join(text)));
    }
    let Ok(url) = text.parse::<Url>() else {
        problems.at(path, wrong("this is no address of a store").allowed(PLACES));
        return None;
    };
    check_store(url, problems)
}

fn check_store(url: Url, problems: &mut Problems<'_>) -> Option<Place> {
    let path = "destination.url";
    let is_bare = url.query().is_none() && url.fragment().is_none() && !holds_user(&url);
    match url.scheme() {
        "file" | "az" | "s3" | "gs" if !is_bare => {
            let hint = "for Azure write `az://container/prefix`, and the account and a SAS as `destination.options`";
            problems.at(path, wrong("the destination's address holds a query, fragment, user or password").hint(hint));
            None
        }
        "file" => url.to_file_path().ok().map(Place::Local).or_else(|| {
            problems.at(
                path,
                wrong("this is no folder of this machine").hint("a whole path has three slashes: `file:///out`"),
            );
            None
        }),
        "az" | "s3" | "gs" if url.host_str().is_some_and(|host| !host.is_empty()) => Some(Place::Remote(url)),
        "az" | "s3" | "gs" => {
            problems.at(path, wrong("the container or bucket is missing").allowed(PLACES));
            None
        }
        other => {
            let hint = match other {
                "abfs" | "abfss" | "adl" | "wasb" | "wasbs" | "azure" | "https" | "http" => {
                    Some("for Azure write `az://container/prefix` and `options: { account_name: … }`")
                }
                "s3a" | "s3n" => Some("write `s3://bucket/prefix`"),
                "gcs" => Some("write `gs://bucket/prefix`"),
                _ => None,
            };
            let draft = wrong(format!("`{other}` is no store that haul writes to")).found(format!("`{other}`"));
            problems.at(path, draft.allowed(PLACES).maybe_hint(hint.map(str::to_owned)));
            None
        }
    }
}

/// Names that object_store reads, the usual ones first; its key types do not list theirs.
const AZURE: &[&str] = &[
    "account_name",
    "access_key",
    "sas_token",
    "client_id",
    "client_secret",
    "tenant_id",
    "endpoint",
    "use_emulator",
    "allow_http",
    "bearer_token",
    "authority_host",
    "federated_token_file",
    "msi_endpoint",
    "object_id",
    "msi_resource_id",
    "use_azure_cli",
    "use_fabric_endpoint",
    "skip_signature",
    "disable_tagging",
    "proxy_url",
];
const S3: &[&str] = &[
    "access_key_id",
    "secret_access_key",
    "region",
    "endpoint",
    "token",
    "virtual_hosted_style_request",
    "allow_http",
    "session_token",
    "role_arn",
    "role_session_name",
    "web_identity_token_file",
    "skip_signature",
    "unsigned_payload",
    "checksum_algorithm",
    "server_side_encryption",
    "sse_kms_key_id",
    "disable_tagging",
    "request_payer",
    "proxy_url",
];
const GOOGLE: &[&str] = &[
    "service_account",
    "service_account_key",
    "application_credentials",
    "base_url",
    "bearer_token",
    "skip_signature",
    "proxy_url",
];
/// Options that a message lists.
const USUAL: usize = 9;

fn check_option(place: &Place, name: &str, path: &str, problems: &mut Problems<'_>) {
    let (is_known, names) = match place {
        Place::Local(_) => (false, &[] as &[&str]),
        Place::Remote(url) => match url.scheme() {
            "az" => (AzureConfigKey::from_str(name).is_ok(), AZURE),
            "s3" => (AmazonS3ConfigKey::from_str(name).is_ok(), S3),
            _ => (GoogleConfigKey::from_str(name).is_ok(), GOOGLE),
        },
    };
    if is_known {
        return;
    }
    let draft = wrong(format!("`{name}` is no option of this store")).found(format!("`{name}`"));
    if names.is_empty() {
        problems.at(path, draft.allowed("a folder has no options"));
        return;
    }
    let bare = ["azure_storage_", "azure_", "aws_", "google_"].iter().find_map(|prefix| name.strip_prefix(prefix));
    let usual: Vec<&str> = names.iter().copied().take(USUAL).collect();
    let near = did_you_mean(bare.unwrap_or(name), names.iter().copied());
    problems.at(path, draft.allowed(format!("{}, …", usual.join(", "))).maybe_hint(near));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_option_is_known_to_object_store() {
        assert!(AZURE.iter().all(|name| AzureConfigKey::from_str(name).is_ok()));
        assert!(S3.iter().all(|name| AmazonS3ConfigKey::from_str(name).is_ok()));
        assert!(GOOGLE.iter().all(|name| GoogleConfigKey::from_str(name).is_ok()));
    }
}
