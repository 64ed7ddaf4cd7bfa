//! `haul check`: what is wrong with job files, all at once, without asking any server.

use serde::Serialize;

use super::args::CheckArgs;
use super::failure::{Exit, Failure};
use super::output::Output;
use crate::job::load::Secrets;
use crate::job::{LoadError, Problem, load};
use crate::model::plan::Place;

#[derive(Serialize)]
struct CheckReport {
    is_ok: bool,
    files: Vec<FileReport>,
}

#[derive(Serialize)]
struct FileReport {
    file: String,
    is_ok: bool,
    /// Absent = the file is no job.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<String>,
    streams: Vec<String>,
    /// What of Power BI its runs refresh.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refreshes: Vec<String>,
    problems: Vec<Problem>,
    /// Secrets that a run would miss on this machine.
    missing_secrets: Vec<String>,
    /// Why the file could not be read. Absent = it could.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) fn run(output: &Output, args: &CheckArgs) -> Result<Exit, Failure> {
    let mut report = CheckReport { is_ok: true, files: Vec::new() };
    for file in &args.files {
        let checked = check(file, &args.set, output);
        report.is_ok &= checked.is_ok;
        report.files.push(checked);
    }
    if output.is_json {
        output.json(&report);
    }
    Ok(if report.is_ok { Exit::Done } else { Exit::Usage })
}

fn check(file: &std::path::Path, set: &[(String, String)], output: &Output) -> FileReport {
    let mut report = FileReport {
        file: file.display().to_string(),
        is_ok: false,
        job: None,
        streams: Vec::new(),
        refreshes: Vec::new(),
        problems: Vec::new(),
        missing_secrets: Vec::new(),
        error: None,
    };
    match load(file, set) {
        Ok(job) => {
            report.is_ok = true;
            report.streams = job.streams.iter().map(|stream| stream.name.clone()).collect();
            report.missing_secrets = Secrets::missing(&job).iter().map(ToString::to_string).collect();
            report.refreshes = job.refreshed().map(str::to_owned).collect();
            if !output.is_json {
                let to = match &job.destination.place {
                    Place::Local(folder) => folder.display().to_string(),
                    Place::Remote(url) => url.to_string(),
                };
                let streams = report.streams.join(", ");
                output.line(format!("{}: ok: job `{}` reads {streams} into {to}", report.file, job.name));
                if !report.refreshes.is_empty() {
                    output.line(format!("  then refreshes in Power BI: {}", report.refreshes.join(", ")));
                }
                for missing in &report.missing_secrets {
                    output.note(format!("warning: {missing}"));
                }
            }
            report.job = Some(job.name);
        }
        Err(LoadError::Problems(problems)) => {
            if !output.is_json {
                for problem in &problems {
                    output.note(problem.to_string());
                }
                let count = problems.len();
                output.note(format!("{}: {count} {}", report.file, if count == 1 { "problem" } else { "problems" }));
            }
            report.problems = problems;
        }
        Err(error) => {
            let failure = Failure::from(error);
            if !output.is_json {
                output.note(format!("error: {}", failure.error));
            }
            report.error = Some(failure.error);
        }
    }
    report
}
