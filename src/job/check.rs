//! From the text of a job file to a checked `Job`: first its shape, then the meaning of every value. Pure: no file,
//! server or secret is opened.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use serde_json::Value;
use url::Url;

use super::check_auth::check_auth;
use super::check_destination::check_destination;
use super::check_limits::check_limits;
use super::check_network::check_network;
use super::check_notify::check_notify;
use super::check_powerbi::check_powerbi;
use super::check_publish::check_require;
use super::check_schedule::{check_schedule, check_timeouts};
use super::check_stream::{check_streams, is_name};
use super::problem::{Problem, Problems, did_you_mean, wrong};
use super::schema::schema;
use super::shape::check_shape;
use super::spec::{DialectSpec, JobSpec, ResumeSpec, SettingSpec, SourceSpec};
use super::spec_publish::TablesSpec;
use super::value::{check_duration, check_literal, check_url};
use super::yaml::{SyntaxError, Tree, join, leads_to};
use crate::limits::{KEEP_SNAPSHOTS_DEFAULT, KEEP_TIME_DEFAULT, RESUME_AGE_DEFAULT};
use crate::model::plan::{Dialect, Job, Keep, Resumption, SettingValue, Source, Tables};

/// Folder names that Windows keeps for itself; a dataset may be copied there.
const RESERVED: &[&str] = &[
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "lpt1", "lpt2",
    "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];
const JOB_NAME_CHARS_MAX: usize = 64;
/// Values that do not fit and are left out one after the other, to check the rest of the file.
const LEFT_OUT_MAX: usize = 50;

pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// A job file's text and where it came from.
pub(super) struct JobText<'a> {
    /// As the user typed it.
    pub file: &'a str,
    pub text: &'a str,
    /// Relative folders of the job start here.
    pub base: &'a Path,
    /// The folder of the job file: its other files are looked for here.
    pub folder: &'a Path,
}

/// Checks a whole file; all problems at once.
pub(super) fn job_from_text(text: &JobText<'_>, set: &[(String, String)]) -> Result<Job, Vec<Problem>> {
    let tree = Tree::parse(text.text).map_err(|error| vec![syntax_problem(text.file, error)])?;
    let schema = schema();
    let mut problems = Problems::new(text.file, &tree);
    let misfits = check_shape(&tree.root, &schema, &mut problems);
    let Some((spec, left_out)) = read_spec(&tree, misfits, &mut problems) else {
        return Err(problems.into_sorted());
    };
    let of_shape = problems.len();
    let hash = digest(&SHA256, text.text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let job = Job::from_spec(spec, hash, text, set, &mut problems);
    // What misses a value that was left out is not the user's mistake.
    problems.forget(of_shape, |problem| left_out.iter().any(|path| leads_to(&problem.path, path)));
    job.ok_or(()).map_err(|()| problems.into_sorted())
}

/// The spec of a file, without what does not fit: the meaning of the rest is checked all the same. `None` = something
/// is missing without which there is nothing to check.
fn read_spec(
    tree: &Tree,
    misfits: BTreeSet<String>,
    problems: &mut Problems<'_>,
) -> Option<(JobSpec, BTreeSet<String>)> {
    let mut left_out = misfits;
    for _ in 0..LEFT_OUT_MAX {
        let value = tree.root.value_without(&left_out, "").unwrap_or(Value::Null);
        let error = match serde_path_to_error::deserialize(value) {
            Ok(spec) => return Some((spec, left_out)),
            Err(error) => error,
        };
        let path = error.path().to_string();
        if problems.is_empty() {
            // The shape was checked, so our check knows less than serde. Its text may hold a value: it is not shown.
            problems.at(&path, wrong("this value does not fit here"));
        }
        // Without this value its parent may do. An item of a list stays: the others would be told by a wrong number.
        if path == "." || path.ends_with(']') || !left_out.insert(path) {
            return None;
        }
    }
    None
}

fn syntax_problem(file: &str, error: SyntaxError) -> Problem {
    Problem {
        file: file.to_owned(),
        line: error.mark.line,
        column: error.mark.column,
        path: String::new(),
        message: format!("this is no YAML that haul reads: {}", error.why),
        found: None,
        allowed: None,
        hint: error.hint.map(str::to_owned),
    }
}

impl Job {
    /// The only maker of a job. `None` = the problems say why.
    fn from_spec(
        spec: JobSpec,
        config_hash: String,
        text: &JobText<'_>,
        set: &[(String, String)],
        problems: &mut Problems<'_>,
    ) -> Option<Job> {
        check_job_name(&spec.job, problems);
        let settings = check_settings(&spec.settings, set, problems);
        let streams = check_streams(&spec, problems);
        let source = check_source(&spec.source, text.folder, problems);
        let destination = check_destination(&spec.destination, text.base, problems);
        let schedule = spec.schedule.as_ref().map(|schedule| check_schedule(schedule, problems));
        let timeouts = check_timeouts(&spec.timeouts, problems);
        let notify = check_notify(&spec.notify, problems);
        let powerbi = spec.powerbi.as_ref().and_then(|powerbi| check_powerbi(powerbi, problems));
        let resume = check_resume(spec.resume.as_ref(), problems);
        let gates = check_require(&spec.publish.require, &streams, problems);
        if !problems.is_empty() {
            return None;
        }
        Some(Job {
            name: spec.job,
            source: source?,
            streams,
            destination: destination?,
            alias: spec.publish.alias,
            tables: match spec.publish.tables {
                TablesSpec::Together => Tables::Together,
                TablesSpec::Independent => Tables::Independent,
            },
            schedule: schedule.flatten(),
            notify,
            powerbi,
            resume: resume?,
            timeouts,
            gates,
            keep: Keep {
                snapshots: spec.publish.keep.snapshots.unwrap_or(KEEP_SNAPSHOTS_DEFAULT),
                time: spec.publish.keep.hours.map_or(KEEP_TIME_DEFAULT, |hours| Duration::from_secs(hours * 3600)),
            },
            settings,
            config_hash,
        })
    }
}

/// `None` = the problems say why.
fn check_resume(spec: Option<&ResumeSpec>, problems: &mut Problems<'_>) -> Option<Resumption> {
    match spec {
        None => Some(Resumption::Within(RESUME_AGE_DEFAULT)),
        Some(ResumeSpec::Never) => Some(Resumption::Never),
        Some(ResumeSpec::Within(text)) => check_duration(text, "resume.within", problems).map(Resumption::Within),
    }
}

/// Whether a name can stand in paths and keys everywhere.
pub(super) fn is_plain(name: &str) -> bool {
    name.len() <= JOB_NAME_CHARS_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}

fn check_job_name(name: &str, problems: &mut Problems<'_>) {
    if !is_plain(name) || is_reserved(name) {
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
    for (name, default) in defaults {
        let path = join("settings", name);
        if !is_name(name) {
            let draft = wrong(format!("`{name}` cannot be a setting's name"));
            problems.at(&path, draft.allowed("a-z, 0-9 and _, starting with a letter"));
        }
        if let SettingSpec::Text(text) = default {
            check_literal(text, &path, problems);
        }
    }
    for (name, typed) in set {
        let Some(value) = settings.get_mut(name) else {
            let known: Vec<&str> = defaults.keys().map(String::as_str).collect();
            let near = did_you_mean(name, known.iter().copied());
            let allowed = if known.is_empty() { "the job has no settings".to_owned() } else { known.join(", ") };
            let draft = wrong(format!("`--set {name}`: there is no such setting"));
            problems.at("settings", draft.allowed(allowed).maybe_hint(near));
            continue;
        };
        let (parsed, wanted) = match value {
            SettingValue::Boolean(_) => (typed.parse().map(SettingValue::Boolean).ok(), "true, false"),
            SettingValue::Integer(_) => (typed.parse().map(SettingValue::Integer).ok(), "a whole number"),
            SettingValue::Float(_) => (parse_float(typed).map(SettingValue::Float), "a number"),
            SettingValue::Text(_) => (Some(SettingValue::Text(typed.clone())), "a text"),
        };
        match parsed {
            Some(parsed) => *value = parsed,
            None => {
                let message = format!("`--set {name}={typed}`: the value is not of the default's type");
                problems.at(&join("settings", name), wrong(message).allowed(wanted));
            }
        }
    }
    settings
}

/// JSON knows neither `NaN` nor `inf`.
fn parse_float(typed: &str) -> Option<f64> {
    typed.parse().ok().filter(|number: &f64| number.is_finite())
}

fn check_source(spec: &SourceSpec, folder: &Path, problems: &mut Problems<'_>) -> Option<Source> {
    let base_url = check_base_url(spec, problems);
    let auth = check_auth(spec, problems);
    let mut allow_origins = Vec::new();
    for (index, text) in spec.allow_origins.iter().enumerate() {
        let path = format!("source.allow_origins[{index}]");
        let Some(url) = check_url(text, &path, spec.allow_http, problems) else { continue };
        if url.path() != "/" || url.query().is_some() {
            let hint = format!("write `{}`", url.origin().ascii_serialization());
            problems.at(&path, wrong("an origin is a scheme, a host and a port").hint(hint));
        }
        allow_origins.push(url);
    }
    let limits = check_limits(&spec.limits, problems);
    let network = check_network(&spec.network, folder, problems);
    Some(Source {
        base_url: base_url?,
        allow_origins,
        has_metadata: spec.metadata && spec.dialect == DialectSpec::Odata,
        dialect: match spec.dialect {
            DialectSpec::Rest => Dialect::Rest,
            DialectSpec::Odata => Dialect::Odata,
        },
        auth: auth?,
        limits: limits?,
        network: network?,
    })
}

fn check_base_url(spec: &SourceSpec, problems: &mut Problems<'_>) -> Option<Url> {
    let path = "source.base_url";
    if spec.base_url.contains('?') {
        let hint = "write parameters under `source.defaults.params`";
        problems.at(path, wrong("`base_url` has a query").hint(hint));
    }
    let mut url = check_url(&spec.base_url, path, spec.allow_http, problems)?;
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Some(url)
}
