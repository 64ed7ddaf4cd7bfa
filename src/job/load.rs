//! The door to files and the environment: job files are read here, and secrets found here when a run starts.

use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};

use super::check::{JobText, job_from_text};
use super::problem::Problem;
use super::value::is_secret_option;
use super::yaml::join;
use crate::limits::{JOB_FILE_BYTES_MAX, SECRET_FILE_BYTES_MAX};
use crate::model::credential::{
    ClientAuth, Entra, EntraLogin, Grant, JsonTemplate, Oauth2, PrivateKey, Session, SessionBody,
};
use crate::model::network::ProxyPlan;
use crate::model::plan::{Auth, Job, Place, SecretSource, TextSource};
use crate::model::refresh::Item;
use crate::secret::Secret;

/// Why there is no job.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("the job file `{}` cannot be read", file.display())]
    Unreadable { file: PathBuf, source: std::io::Error },
    #[error("`{}` is a folder; a job file is expected", file.display())]
    Folder { file: PathBuf },
    #[error("`{}` is larger than {JOB_FILE_BYTES_MAX} bytes, limit JOB_FILE_BYTES_MAX", file.display())]
    TooLarge { file: PathBuf },
    #[error("`{}` is not UTF-8 text", file.display())]
    NotText { file: PathBuf },
    #[error("the job file has problems")]
    Problems(Vec<Problem>),
}

impl LoadError {
    /// With every problem on a line of its own.
    pub(crate) fn in_full(&self) -> String {
        let LoadError::Problems(problems) = self else { return crate::secret::mask(&self.to_string()) };
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }
}

/// Why a secret cannot be had. Never holds a value.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("the environment variable `{name}` is not set")]
    NotSet { name: String },
    #[error("the environment variable `{name}` is not UTF-8 text")]
    NotText { name: String },
    #[error("the environment variable `{name}` is empty")]
    EmptyVariable { name: String },
    #[error("the command in `{name}` cannot be run")]
    Command { name: &'static str, source: std::io::Error },
    #[error("the command in `{name}` failed ({status})")]
    CommandFailed { name: &'static str, status: std::process::ExitStatus },
    #[error("the command in `{name}` printed no secret")]
    CommandSilent { name: &'static str },
    #[error("the secret file `{}` cannot be read", file.display())]
    Unreadable { file: PathBuf, source: std::io::Error },
    #[error("the secret file `{}` is empty", file.display())]
    EmptyFile { file: PathBuf },
    #[error("the secret file `{}` is larger than {SECRET_FILE_BYTES_MAX} bytes, limit SECRET_FILE_BYTES_MAX", file.display())]
    LargeFile { file: PathBuf },
}

/// A secret that a run on this machine would miss.
#[derive(Debug)]
pub(crate) struct MissingSecret {
    /// Path inside the job file.
    pub wanted_by: String,
    pub error: SecretError,
}

impl fmt::Display for MissingSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (wanted by `{}`)", self.error, self.wanted_by)
    }
}

impl SecretError {
    /// What the user can do.
    pub(crate) fn hint(&self) -> Option<String> {
        Some(match self {
            SecretError::NotSet { name } | SecretError::NotText { name } | SecretError::EmptyVariable { name } => {
                format!(
                    "the job file asks for it as `${{{name}}}`: set it where haul runs, for example `export {name}=…`"
                )
            }
            SecretError::Command { name, .. }
            | SecretError::CommandFailed { name, .. }
            | SecretError::CommandSilent { name } => {
                format!(
                    "it is run by `sh -c`, and must print the secret and nothing else: try it with `sh -c \"${name}\"`"
                )
            }
            SecretError::Unreadable { file, .. }
            | SecretError::EmptyFile { file }
            | SecretError::LargeFile { file } => {
                let file = file.display();
                format!("the job file asks for it as `${{file:{file}}}`: put the secret there, readable for haul alone")
            }
        })
    }
}

/// Reads and checks a job file; `-` is standard input. `set` changes settings by name.
pub(crate) fn load(file: &Path, set: &[(String, String)]) -> Result<Job, LoadError> {
    let text = if file == Path::new("-") { read_bounded(file, std::io::stdin().lock())? } else { read_file(file)? };
    let base = std::env::current_dir().map_err(|source| LoadError::Unreadable { file: file.to_path_buf(), source })?;
    let shown = file.display().to_string();
    let folder = base.join(file.parent().unwrap_or(Path::new("")));
    job_from_text(&JobText { file: &shown, text: &text, base: &base, folder: &folder }, set)
        .map_err(LoadError::Problems)
}

/// Checks the text of a job file that is not written yet; `shown` is what messages call it.
pub(crate) fn load_text(shown: &str, text: &str) -> Result<Job, LoadError> {
    let file = Path::new(shown);
    let base = std::env::current_dir().map_err(|source| LoadError::Unreadable { file: file.to_path_buf(), source })?;
    let folder = base.join(file.parent().unwrap_or(Path::new("")));
    job_from_text(&JobText { file: shown, text, base: &base, folder: &folder }, &[]).map_err(LoadError::Problems)
}

fn read_file(file: &Path) -> Result<String, LoadError> {
    let wrong = |source| LoadError::Unreadable { file: file.to_path_buf(), source };
    if std::fs::metadata(file).map_err(wrong)?.is_dir() {
        return Err(LoadError::Folder { file: file.to_path_buf() });
    }
    read_bounded(file, std::fs::File::open(file).map_err(wrong)?)
}

fn read_bounded(file: &Path, from: impl Read) -> Result<String, LoadError> {
    let mut bytes = Vec::new();
    from.take(JOB_FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| LoadError::Unreadable { file: file.to_path_buf(), source })?;
    if bytes.len() as u64 > JOB_FILE_BYTES_MAX {
        return Err(LoadError::TooLarge { file: file.to_path_buf() });
    }
    String::from_utf8(bytes).map_err(|_| LoadError::NotText { file: file.to_path_buf() })
}

/// The environment of the process.
pub(crate) struct Environment;

impl Environment {
    /// A variable; `None` = not set, empty, or no text.
    pub(crate) fn get(name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    /// A variable that may name a file in any spelling; `None` = not set or empty.
    pub(crate) fn get_os(name: &str) -> Option<OsString> {
        std::env::var_os(name).filter(|value| !value.is_empty())
    }

    /// What the command in a variable prints; for secrets that a key store hands out.
    pub(crate) fn output_of(name: &'static str) -> Result<Secret, SecretError> {
        let command = Self::get_os(name).unwrap_or_default();
        let output = std::process::Command::new("sh")
            .arg("-c")
            .arg(command)
            .stdin(std::process::Stdio::null())
            .stderr(std::process::Stdio::inherit())
            .output()
            .map_err(|source| SecretError::Command { name, source })?;
        if !output.status.success() {
            return Err(SecretError::CommandFailed { name, status: output.status });
        }
        match String::from_utf8(output.stdout) {
            Ok(text) if !text.trim().is_empty() => Ok(Secret::new(text.trim().to_owned())),
            _ => Err(SecretError::CommandSilent { name }),
        }
    }

    /// Where the record store stands unless the operator says otherwise (XDG base directory specification).
    pub(crate) fn state_folder() -> Option<PathBuf> {
        let xdg = Self::get("XDG_STATE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
        let home = || Self::get("HOME").map(|home| PathBuf::from(home).join(".local/state"));
        Some(xdg.or_else(home)?.join("haul"))
    }

    /// The store's usual variables as object_store's options, sorted by name.
    pub(crate) fn store_options(place: &Place) -> Vec<(String, String)> {
        let Place::Remote(url) = place else { return Vec::new() };
        let prefix = match url.scheme() {
            "az" => "AZURE_",
            "s3" => "AWS_",
            _ => "GOOGLE_",
        };
        let mut options: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with(prefix))
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        options.sort();
        // Where Container Apps and Functions give the tokens of a managed identity. The library knows the name, but looks for it
        // only when it reads the environment itself; an option of the operator comes later and wins. The header that goes
        // with it the library reads by itself.
        if url.scheme() == "az"
            && let Some(endpoint) = Self::get("IDENTITY_ENDPOINT")
        {
            drop(Self::get("IDENTITY_HEADER").map(Secret::new));
            options.insert(0, ("identity_endpoint".to_owned(), endpoint));
        }
        for (_, value) in options.iter().filter(|(name, _)| is_secret_option(name)) {
            // Known to the mask from here on.
            drop(Secret::new(value.clone()));
        }
        options
    }
}

/// Secrets by their references.
pub(crate) struct Secrets;

impl Secrets {
    /// The secret behind a reference.
    pub(crate) fn resolve(source: &SecretSource) -> Result<Secret, SecretError> {
        match source {
            SecretSource::Environment(name) => match std::env::var(name) {
                Ok(value) if value.is_empty() => Err(SecretError::EmptyVariable { name: name.clone() }),
                Ok(value) => Ok(Secret::new(value)),
                Err(std::env::VarError::NotPresent) => Err(SecretError::NotSet { name: name.clone() }),
                Err(std::env::VarError::NotUnicode(_)) => Err(SecretError::NotText { name: name.clone() }),
            },
            SecretSource::File(file) => read_secret(file),
        }
    }

    /// A text that may be a reference.
    pub(crate) fn resolve_text(source: &TextSource) -> Result<String, SecretError> {
        match source {
            TextSource::Literal(text) => Ok(text.clone()),
            TextSource::Reference(source) => Ok(Self::resolve(source)?.expose().to_owned()),
        }
    }

    /// A hash over what all references of a job lead to, so that a change of one is noticed. What cannot be read counts as
    /// nothing.
    pub(crate) fn fingerprint(job: &Job) -> String {
        let mut digest = Context::new(&SHA256);
        for (wanted_by, source) in sources(job) {
            let value = Self::resolve(source).ok();
            let value = value.as_ref().map_or("", Secret::expose);
            // Lengths before the words, so that no two lists of words make one text.
            for word in [wanted_by.as_str(), value] {
                digest.update(&(word.len() as u64).to_le_bytes());
                digest.update(word.as_bytes());
            }
        }
        digest.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The environment variables that a job refers to, each once.
    pub(crate) fn variables(job: &Job) -> Vec<String> {
        let mut names = Vec::new();
        for (_, source) in sources(job) {
            if let SecretSource::Environment(name) = source
                && !names.contains(name)
            {
                names.push(name.clone());
            }
        }
        names
    }

    /// The secrets of a job that a run on this machine would miss, all of them.
    pub(crate) fn missing(job: &Job) -> Vec<MissingSecret> {
        let missing = |(wanted_by, source): (String, &SecretSource)| {
            Self::resolve(source).err().map(|error| MissingSecret { wanted_by, error })
        };
        let told = job.notify.iter().enumerate().flat_map(|(index, receiver)| {
            let of_receiver = receiver.secrets().into_iter();
            of_receiver.map(move |(name, source)| (format!("notify[{index}].{name}"), source))
        });
        sources(job).into_iter().chain(told).chain(powerbi_sources(job)).filter_map(missing).collect()
    }
}

fn read_secret(file: &Path) -> Result<Secret, SecretError> {
    let wrong = |source| SecretError::Unreadable { file: file.to_path_buf(), source };
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(wrong)?;
    opened.take(SECRET_FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(wrong)?;
    if text.len() as u64 > SECRET_FILE_BYTES_MAX {
        return Err(SecretError::LargeFile { file: file.to_path_buf() });
    }
    // Editors and `echo` end a file with a line break that is no part of the secret.
    let value = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if value.is_empty() {
        return Err(SecretError::EmptyFile { file: file.to_path_buf() });
    }
    Ok(Secret::new(value.to_owned()))
}

/// Every reference of a job that its tables depend on, with the path that wants it.
fn sources(job: &Job) -> Vec<(String, &SecretSource)> {
    let mut sources = Vec::new();
    let auth = |name: &str| format!("source.auth.{name}");
    match &job.source.auth {
        Auth::Anonymous => {}
        Auth::Key { value, .. } => sources.push((auth("key.value"), value)),
        Auth::Basic { username, password } => {
            sources.extend(text(auth("basic.username"), username));
            sources.push((auth("basic.password"), password));
        }
        Auth::Bearer { token } => sources.push((auth("bearer.token"), token)),
        Auth::Windows(windows) => {
            sources.extend(text(auth("windows.username"), &windows.username));
            sources.push((auth("windows.password"), &windows.password));
        }
        Auth::Oauth2(oauth2) => sources.extend(oauth2_sources(oauth2)),
        Auth::Entra(entra) => sources.extend(entra_sources(entra, "source.auth.entra")),
        Auth::Session(session) => sources.extend(session_sources(session)),
    }
    if let ProxyPlan::Via { login: Some((username, password)), .. } = &job.source.network.proxy {
        sources.extend(text("source.network.proxy_username".to_owned(), username));
        sources.push(("source.network.proxy_password".to_owned(), password));
    }
    for (name, value) in &job.destination.options {
        sources.extend(text(join("destination.options", name), value));
    }
    sources
}

fn text(path: String, source: &TextSource) -> Option<(String, &SecretSource)> {
    match source {
        TextSource::Literal(_) => None,
        TextSource::Reference(source) => Some((path, source)),
    }
}

fn key_sources<'k>(path: &str, key: &'k PrivateKey) -> Vec<(String, &'k SecretSource)> {
    let mut sources = vec![(join(path, "key"), &key.key)];
    sources.extend(key.certificate.as_ref().and_then(|certificate| text(join(path, "certificate"), certificate)));
    sources
}

fn oauth2_sources(oauth2: &Oauth2) -> Vec<(String, &SecretSource)> {
    let at = |name: &str| format!("source.auth.oauth2.{name}");
    let mut sources: Vec<_> = text(at("client_id"), &oauth2.client_id).into_iter().collect();
    match &oauth2.client_auth {
        ClientAuth::Basic(secret) | ClientAuth::Post(secret) => sources.push((at("client_secret"), secret)),
        ClientAuth::PrivateKey { key, .. } => sources.extend(key_sources(&at("private_key"), key)),
        ClientAuth::AssertionFile(_) | ClientAuth::Public | ClientAuth::Unnamed => {}
    }
    match &oauth2.grant {
        Grant::JwtBearer(assertion) => {
            sources.extend(key_sources(&at("assertion.private_key"), &assertion.key));
            sources.extend(text(at("assertion.issuer"), &assertion.issuer));
            sources.extend(assertion.subject.as_ref().and_then(|subject| text(at("assertion.subject"), subject)));
        }
        Grant::Password { username, password } => {
            sources.extend(text(at("username"), username));
            sources.push((at("password"), password));
        }
        Grant::AuthorizationCode | Grant::ClientCredentials | Grant::RefreshToken | Grant::DeviceCode => {}
    }
    sources
}

/// References that refreshes in Power BI want; tables do without them.
fn powerbi_sources(job: &Job) -> Vec<(String, &SecretSource)> {
    let Some(powerbi) = &job.powerbi else { return Vec::new() };
    let mut sources = entra_sources(&powerbi.login, "powerbi.auth");
    for (index, target) in powerbi.targets.iter().enumerate() {
        if let Item::Dataset { parameters, .. } = &target.item {
            let at = |name: &str| join(&format!("powerbi.refresh[{index}].parameters"), name);
            sources.extend(parameters.iter().filter_map(|(name, value)| text(at(name), value)));
        }
    }
    sources
}

fn entra_sources<'e>(entra: &'e Entra, path: &str) -> Vec<(String, &'e SecretSource)> {
    let at = |name: &str| format!("{path}.{name}");
    let mut sources: Vec<_> = entra.client_id.iter().filter_map(|id| text(at("client_id"), id)).collect();
    match &entra.login {
        EntraLogin::ClientSecret(secret) => sources.push((at("credential.client_secret"), secret)),
        EntraLogin::Certificate(key) => sources.extend(key_sources(&at("credential.certificate"), key)),
        EntraLogin::WorkloadIdentity(_)
        | EntraLogin::ManagedIdentity
        | EntraLogin::DeviceCode
        | EntraLogin::AuthorizationCode => {}
    }
    sources
}

fn session_sources(session: &Session) -> Vec<(String, &SecretSource)> {
    let at = |name: &str| format!("source.auth.session.{name}");
    let mut sources = Vec::new();
    match &session.body {
        SessionBody::Form(pairs) => {
            sources.extend(pairs.iter().filter_map(|(name, value)| text(join(&at("form"), name), value)));
        }
        SessionBody::Json(template) => collect_template(template, &at("json"), &mut sources),
    }
    sources.extend(session.headers.iter().filter_map(|(name, value)| text(join(&at("headers"), name), value)));
    sources
}

fn collect_template<'t>(template: &'t JsonTemplate, path: &str, into: &mut Vec<(String, &'t SecretSource)>) {
    match template {
        JsonTemplate::Text(value) => into.extend(text(path.to_owned(), value)),
        JsonTemplate::Plain(_) => {}
        JsonTemplate::List(items) => {
            for (index, item) in items.iter().enumerate() {
                collect_template(item, &format!("{path}[{index}]"), into);
            }
        }
        JsonTemplate::Object(members) => {
            for (name, member) in members {
                collect_template(member, &join(path, name), into);
            }
        }
    }
}
