//! From the text of a job file to a checked `Job`: first its shape, then the meaning of every value. Pure: no file,
//! server or secret is opened.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use object_store::aws::AmazonS3ConfigKey;
use object_store::azure::AzureConfigKey;
use object_store::gcp::GoogleConfigKey;
use ring::digest::{SHA256, digest};
use url::Url;

use super::check_auth::check_auth;
use super::check_stream::{check_streams, is_name};
use super::load::is_secret_option;
use super::problem::{Problem, Problems, nearest, wrong};
use super::schema::schema;
use super::shape::check_shape;
use super::spec::{DestinationSpec, DialectSpec, FormatSpec, JobSpec, LimitsSpec, SettingSpec, SourceSpec};
use super::yaml::{Mark, Tree};
use crate::limits::{PART_BYTES_MAX, REQUESTS_IN_FLIGHT_DEFAULT};
use crate::model::plan::{
    Destination, Dialect, Format, Job, Place, SecretSource, SettingValue, Source, SourceLimits, TextSource,
};

/// Folder names that Windows keeps for itself; a dataset may be copied there.
const RESERVED: &[&str] = &["con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "lpt1", "lpt2", "lpt3"];
const JOB_NAME_CHARS_MAX: usize = 64;

/// A job file's text and where it came from.
pub(super) struct JobText<'a> {
    /// As the user typed it.
    pub file: &'a str,
    pub text: &'a str,
    /// Relative folders of the job start here.
    pub base: &'a Path,
}

/// Checks a whole file; all problems at once.
pub(super) fn job_from_text(text: &JobText<'_>, set: &[(String, String)]) -> Result<Job, Vec<Problem>> {
    let tree = Tree::parse(text.text).map_err(|error| vec![syntax_problem(text.file, error.mark, error.why)])?;
    let schema = schema();
    let mut problems = Problems::new(text.file, &tree);
    check_shape(&tree.root, &schema, &mut problems);
    if !problems.is_empty() {
        return Err(problems.into_sorted());
    }
    // The shape was checked, so this fails only where our checks know less than serde.
    let spec: JobSpec = match serde_path_to_error::deserialize(tree.root.value()) {
        Ok(spec) => spec,
        Err(error) => {
            problems.at(&error.path().to_string(), wrong(error.inner().to_string()));
            return Err(problems.into_sorted());
        }
    };
    let hash = digest(&SHA256, text.text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Job::from_spec(spec, hash, text.base, set, &mut problems).ok_or(()).map_err(|()| problems.into_sorted())
}

fn syntax_problem(file: &str, mark: Mark, why: String) -> Problem {
    Problem {
        file: file.to_owned(),
        line: mark.line,
        column: mark.column,
        path: String::new(),
        message: format!("this is no YAML that haul reads: {why}"),
        allowed: None,
        hint: None,
    }
}

impl Job {
    /// The only maker of a job. `None` = the problems say why.
    fn from_spec(
        spec: JobSpec,
        config_hash: String,
        base: &Path,
        set: &[(String, String)],
        problems: &mut Problems<'_>,
    ) -> Option<Job> {
        check_job_name(&spec.job, problems);
        let settings = check_settings(&spec.settings, set, problems);
        let streams = check_streams(&spec, problems);
        let source = check_source(&spec.source, problems);
        let destination = check_destination(&spec.destination, base, problems);
        if !problems.is_empty() {
            return None;
        }
        Some(Job {
            name: spec.job,
            source: source?,
            streams,
            destination: destination?,
            alias: spec.publish.alias,
            settings,
            config_hash,
        })
    }
}

fn check_job_name(name: &str, problems: &mut Problems<'_>) {
    let is_plain = name.len() <= JOB_NAME_CHARS_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_');
    if !is_plain || RESERVED.contains(&name) {
        let draft = wrong(format!("`{name}` cannot be a job's name")).allowed(format!(
            "a-z, 0-9, - and _, starting with a letter or digit, at most {JOB_NAME_CHARS_MAX} characters"
        ));
        problems.at("job", draft);
    }
}

fn check_settings(
    defaults: &BTreeMap<String, SettingSpec>,
    set: &[(String, String)],
    problems: &mut Problems<'_>,
) -> BTreeMap<String, SettingValue> {
    let mut settings: BTreeMap<String, SettingValue> = defaults
        .iter()
        .map(|(name, default)| {
            let value = match default {
                SettingSpec::Boolean(flag) => SettingValue::Boolean(*flag),
                SettingSpec::Integer(number) => SettingValue::Integer(*number),
                SettingSpec::Float(number) => SettingValue::Float(*number),
                SettingSpec::Text(text) => SettingValue::Text(text.clone()),
            };
            (name.clone(), value)
        })
        .collect();
    for name in defaults.keys().filter(|name| !is_name(name)) {
        problems.at(
            &format!("settings.{name}"),
            wrong(format!("`{name}` cannot be a setting's name")).allowed("a-z, 0-9 and _, starting with a letter"),
        );
    }
    for (name, typed) in set {
        let Some(value) = settings.get_mut(name) else {
            let known: Vec<&str> = defaults.keys().map(String::as_str).collect();
            let near = nearest(name, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            let allowed = if known.is_empty() { "the job has no settings".to_owned() } else { known.join(", ") };
            problems.at(
                "settings",
                wrong(format!("`--set {name}`: there is no such setting")).allowed(allowed).maybe_hint(near),
            );
            continue;
        };
        let parsed = match value {
            SettingValue::Boolean(_) => typed.parse().map(SettingValue::Boolean).ok(),
            SettingValue::Integer(_) => typed.parse().map(SettingValue::Integer).ok(),
            SettingValue::Float(_) => typed.parse().map(SettingValue::Float).ok(),
            SettingValue::Text(_) => Some(SettingValue::Text(typed.clone())),
        };
        match parsed {
            Some(parsed) => *value = parsed,
            None => problems.at(
                &format!("settings.{name}"),
                wrong(format!("`--set {name}={typed}`: the value is not of the default's type")),
            ),
        }
    }
    settings
}

fn check_source(spec: &SourceSpec, problems: &mut Problems<'_>) -> Option<Source> {
    let base_url = check_url(&spec.base_url, "source.base_url", spec.allow_http, problems).map(|mut url| {
        if url.query().is_some() || url.fragment().is_some() {
            let hint = "write parameters under `source.defaults.params`";
            problems.at("source.base_url", wrong("`base_url` has a query or fragment").hint(hint));
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        url
    });
    let auth = check_auth(&spec.auth, spec.allow_http, problems);
    Some(Source {
        base_url: base_url?,
        dialect: match spec.dialect {
            DialectSpec::Rest => Dialect::Rest,
            DialectSpec::Odata => Dialect::Odata,
        },
        auth: auth?,
        limits: limits(&spec.limits),
    })
}

fn limits(spec: &LimitsSpec) -> SourceLimits {
    SourceLimits {
        in_flight: spec.in_flight.unwrap_or(REQUESTS_IN_FLIGHT_DEFAULT),
        per_second: spec.per_second,
        per_minute: spec.per_minute,
    }
}

/// An address that credentials may go to: https, or http on this machine or where the job allows it.
pub(super) fn check_url(text: &str, path: &str, allow_http: bool, problems: &mut Problems<'_>) -> Option<Url> {
    let url: Url = match text.parse() {
        Ok(url) => url,
        Err(error) => {
            let hint = "write a whole address, for example `https://api.example.com/v1`";
            problems.at(path, wrong(format!("this is no address: {error}")).hint(hint));
            return None;
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        problems.at(
            path,
            wrong("an address must not hold a user or password").hint("use `source.auth.basic` with a reference"),
        );
        return None;
    }
    match url.scheme() {
        "https" => Some(url),
        "http" if allow_http || is_loopback(&url) => Some(url),
        "http" => {
            let hint = "use https; in a network that you trust, `source.allow_http: true`";
            problems.at(path, wrong("plain http would show the credential to the network").hint(hint));
            None
        }
        other => {
            problems.at(path, wrong(format!("`{other}` is no scheme for an API")).allowed("https, http"));
            None
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn check_destination(spec: &DestinationSpec, base: &Path, problems: &mut Problems<'_>) -> Option<Destination> {
    let place = check_place(&spec.url, base, problems);
    let mut options = BTreeMap::new();
    for (name, value) in &spec.options {
        let path = format!("destination.options.{name}");
        if let Some(place) = &place {
            check_option(place, name, &path, problems);
        }
        if is_secret_option(name) && reference(value).is_none() {
            problems.at(&path, literal_secret(name));
        } else if let Some(text) = check_text(value, &path, problems) {
            options.insert(name.clone(), text);
        }
    }
    Some(Destination {
        place: place?,
        format: match spec.format {
            FormatSpec::Parquet => Format::Parquet,
            FormatSpec::Csv => Format::Csv,
        },
        options,
        part_bytes_max: spec.part_mib.map_or(PART_BYTES_MAX, |mib| mib * 1024 * 1024),
    })
}

fn check_place(text: &str, base: &Path, problems: &mut Problems<'_>) -> Option<Place> {
    const ALLOWED: &str = "a folder, az://container/prefix, s3://bucket/prefix, gs://bucket/prefix";
    let path = "destination.url";
    if text.trim().is_empty() {
        problems.at(path, wrong("the destination is empty").allowed(ALLOWED));
        return None;
    }
    if !text.contains("://") {
        return Some(Place::Local(base.join(text)));
    }
    let Ok(url) = text.parse::<Url>() else {
        problems.at(path, wrong("this is no address of a store").allowed(ALLOWED));
        return None;
    };
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        let hint = "give a SAS as `destination.options.sas_token: ${NAME}`";
        problems.at(path, wrong("the destination's address holds a query, user or password").hint(hint));
        return None;
    }
    match url.scheme() {
        "file" => url.to_file_path().ok().map(Place::Local).or_else(|| {
            problems.at(path, wrong("this is no folder of this machine"));
            None
        }),
        "az" | "s3" | "gs" if url.host_str().is_some_and(|host| !host.is_empty()) => Some(Place::Remote(url)),
        "az" | "s3" | "gs" => {
            problems.at(path, wrong("the container or bucket is missing").allowed(ALLOWED));
            None
        }
        other => {
            problems.at(path, wrong(format!("`{other}` is no store that haul writes to")).allowed(ALLOWED));
            None
        }
    }
}

fn check_option(place: &Place, name: &str, path: &str, problems: &mut Problems<'_>) {
    let (is_known, usual): (bool, &[&str]) = match place {
        Place::Local(_) => (false, &[]),
        Place::Remote(url) => match url.scheme() {
            "az" => (
                AzureConfigKey::from_str(name).is_ok(),
                &[
                    "account_name",
                    "access_key",
                    "sas_token",
                    "client_id",
                    "client_secret",
                    "tenant_id",
                    "endpoint",
                    "use_emulator",
                    "allow_http",
                ],
            ),
            "s3" => (
                AmazonS3ConfigKey::from_str(name).is_ok(),
                &[
                    "access_key_id",
                    "secret_access_key",
                    "region",
                    "endpoint",
                    "token",
                    "virtual_hosted_style_request",
                    "allow_http",
                ],
            ),
            _ => (
                GoogleConfigKey::from_str(name).is_ok(),
                &["service_account", "service_account_key", "application_credentials", "base_url"],
            ),
        },
    };
    if !is_known {
        let near = nearest(name, usual.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        let allowed =
            if usual.is_empty() { "a folder has no options".to_owned() } else { format!("{}, …", usual.join(", ")) };
        problems.at(path, wrong(format!("`{name}` is no option of this store")).allowed(allowed).maybe_hint(near));
    }
}

/// `${NAME}` or `${file:/path}` as the whole text.
pub(super) fn reference(text: &str) -> Option<SecretSource> {
    let inside = text.trim().strip_prefix("${")?.strip_suffix('}')?;
    if let Some(file) = inside.strip_prefix("file:") {
        return (!file.is_empty()).then(|| SecretSource::File(file.into()));
    }
    let is_name = !inside.starts_with(|c: char| c.is_ascii_digit())
        && !inside.is_empty()
        && inside.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then(|| SecretSource::Environment(inside.to_owned()))
}

/// A literal where a reference is wanted. Its value is never shown.
pub(super) fn literal_secret(name: &str) -> super::problem::Draft {
    let upper = name.rsplit('.').next().unwrap_or(name).to_ascii_uppercase();
    wrong(format!("`{name}` must be a reference, not the secret itself: a job file is committed and shared"))
        .allowed("${NAME} for an environment variable, ${file:/path} for a file")
        .hint(format!("set the secret in the environment and write `${{{upper}}}`"))
}

/// A text that may be a reference as a whole, but does not mix both.
pub(super) fn check_text(text: &str, path: &str, problems: &mut Problems<'_>) -> Option<TextSource> {
    if let Some(source) = reference(text) {
        return Some(TextSource::Reference(source));
    }
    if text.contains("${") {
        let hint = "a reference is the whole value, `${NAME}`; for parts of a text use `settings`";
        problems.at(path, wrong("a reference stands inside a text").hint(hint));
        return None;
    }
    Some(TextSource::Literal(text.to_owned()))
}
