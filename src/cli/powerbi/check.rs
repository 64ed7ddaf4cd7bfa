//! `haul powerbi check`: what would go wrong in Power BI, with its cure.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::link_file;
use crate::cli::args::PowerbiCheckArgs;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{Output, counted, size};
use crate::cli::signals::{interrupted, until_signalled};
use crate::engine::{Asked, Checkup, Depth, Finding, Severity, check_up, open_store};
use crate::job::load;
use crate::store::{self, GivenSas};

/// Places of one finding that are named to people.
const PLACES_NAMED: usize = 3;
/// A terminal of the usual width.
const LINE_CHARS: usize = 79;

pub(super) async fn run(output: Output, args: PowerbiCheckArgs) -> Result<Exit, Failure> {
    let job = load(&args.job.file, &args.job.set)?;
    let asked = match (args.share, &args.sas_file) {
        (Some(share), _) => Asked::Share(share),
        (None, Some(file)) => Asked::Sas(read_sas(file)?),
        (None, None) => Asked::Newest,
    };
    let store = open_store(&job)?;
    let depth = if args.deep { Depth::Values } else { Depth::Files };
    let cancel = CancellationToken::new();
    let checked = until_signalled(output, &cancel, async {
        tokio::select! {
            checked = check_up(&job, &store, asked, depth) => Some(checked),
            () = cancel.cancelled() => None,
        }
    });
    let checkup = checked.await?.ok_or_else(interrupted)?.map_err(failure)?;
    let exit = if checkup.errors + checkup.warnings > 0 { Exit::Found } else { Exit::Done };
    if output.is_json {
        output.json(&checkup);
    } else {
        show(output, &checkup, &args.job.file);
    }
    Ok(exit)
}

/// What the job or the arguments are wrong in is one kind of ending, what the account does another one.
fn failure(error: store::Error) -> Failure {
    use crate::store::ShareError;

    let is_usage = matches!(
        error,
        store::Error::Share(
            ShareError::NotAzure { .. }
                | ShareError::NoKey { .. }
                | ShareError::Place { .. }
                | ShareError::NotOurs { .. }
        )
    );
    let failure = Failure::from(error);
    if is_usage { Failure { exit: Exit::Usage, ..failure } } else { failure }
}

fn read_sas(file: &Path) -> Result<GivenSas, Failure> {
    let text = link_file::read(file)?;
    GivenSas::read(text.expose()).ok_or_else(|| {
        Failure::usage(format!("`{}` has no signature (`sig`)", file.display()))
            .hint("the file holds the query of the address, `sv=…&sig=…`, or the whole address")
    })
}

fn show(output: Output, checkup: &Checkup, file: &Path) {
    let Checkup { job, snapshot, published_at, tables, parts, bytes, read_as, share, .. } = checkup;
    match (snapshot, published_at) {
        (Some(snapshot), Some(at)) => {
            output.line(format!("{job}: snapshot {snapshot} of {}", at.format("%Y-%m-%d %H:%M:%SZ")));
            let (tables, parts) = (counted(*tables as u64, "table"), counted(*parts as u64, "part"));
            let how = match (*read_as, share) {
                ("share", Some(share)) => format!("with the share `{share}`"),
                ("share", None) => "with the SAS".to_owned(),
                ("folder", _) => "from the folder".to_owned(),
                (_, _) => "with the job's own credential".to_owned(),
            };
            wrapped(output, &format!("{tables} in {parts}, {}, read {how}", size(*bytes)), "");
        }
        (_, _) => output.line(format!("{job}: no dataset could be read")),
    }
    for same in grouped(&checkup.findings) {
        let Finding { severity, code, what, cure, .. } = same[0];
        output.line("");
        let places: Vec<&str> = same.iter().map(|finding| finding.place.as_str()).collect();
        output.line(format!("{} {code}", severity.word()));
        for place in places.iter().take(PLACES_NAMED) {
            wrapped(output, place, "  ");
        }
        if places.len() > PLACES_NAMED {
            output.line(format!("  … and {} more", places.len() - PLACES_NAMED));
        }
        wrapped(output, what, "  ");
        wrapped(output, &format!("cure: {}", cure.replace("JOBFILE", &file.display().to_string())), "  ");
    }
    output.line("");
    if checkup.left_out > 0 {
        output.line(format!("{} more are not listed", checkup.left_out));
    }
    let notes = checkup.findings.iter().filter(|finding| finding.severity == Severity::Note).count();
    match (checkup.errors, checkup.warnings) {
        (0, 0) if notes == 0 => output.line("nothing is wrong"),
        (0, 0) => output.line(format!("nothing is wrong, {}", counted(notes as u64, "note"))),
        (errors, warnings) => {
            output.line(format!("{}, {}", counted(errors as u64, "error"), counted(warnings as u64, "warning")));
        }
    }
}

/// What is the same in several places is told once.
fn grouped(findings: &[Finding]) -> Vec<Vec<&Finding>> {
    let mut groups: Vec<Vec<&Finding>> = Vec::new();
    for finding in findings {
        let is_same = |group: &&mut Vec<&Finding>| {
            let first = group[0];
            (first.code, &first.what, &first.cure) == (finding.code, &finding.what, &finding.cure)
        };
        match groups.iter_mut().find(is_same) {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    groups
}

/// A text in lines that fit a terminal; a word that does not is left whole, so that it can be copied.
fn wrapped(output: Output, text: &str, indent: &str) {
    let mut line = indent.to_owned();
    for word in text.split_whitespace() {
        let is_begun = line.len() > indent.len();
        if is_begun && line.chars().count() + 1 + word.chars().count() > LINE_CHARS {
            output.line(&line);
            line = format!("{indent}{word}");
        } else {
            if is_begun {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    output.line(line);
}
