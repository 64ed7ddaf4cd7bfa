//! The end of a guided start: rows for people, the file, and what comes next.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use serde_json::{Value, json};

use super::Init;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::counted;
use crate::cli::preview::{document, show_rows};
use crate::engine::Preview;
use crate::engine::guide::Settled;
use crate::job::draft::{Draft, StreamDraft, is_job_name, job_name};
use crate::job::load::{Environment, Secrets};
use crate::job::load_text;
use crate::model::credential::{EntraLogin, Grant};
use crate::model::plan::Auth;

/// Columns of a terminal.
const LINE_CHARS_MAX: usize = 80;

/// What is told to programs.
pub(super) struct Report {
    file: String,
    streams: Vec<Value>,
    is_sure: bool,
}

impl Report {
    pub(super) fn new(file: &Path) -> Self {
        Report { file: file.display().to_string(), streams: Vec::new(), is_sure: true }
    }

    pub(super) fn add(&mut self, stream: &StreamDraft, settled: &Settled) {
        self.is_sure &= settled.is_sure;
        let said = |said: &Option<crate::job::draft::Said>| {
            said.as_ref().map(|said| json!({ "value": said.value, "why": said.why }))
        };
        self.streams.push(json!({
            "name": stream.name,
            "path": stream.path,
            "records": said(&stream.records),
            "paging": said(&stream.paging),
            "found": settled.paging,
            "is_sure": settled.is_sure,
            "key": said(&stream.key),
            "tables": settled.previews.iter().map(few).map(|shown| document(&shown)).collect::<Vec<_>>(),
        }));
    }

    pub(super) fn add_tables(&mut self, stream: &str, previews: &[Preview]) {
        self.streams.push(json!({ "name": stream, "tables": previews.iter().map(document).collect::<Vec<_>>() }));
    }
}

/// A preview with a few of its rows.
fn few(preview: &Preview) -> Preview {
    const ROWS_MAX: usize = 5;
    let rows = preview.rows.as_ref().map(|rows| rows.slice(0, rows.num_rows().min(ROWS_MAX)));
    Preview {
        table: preview.table.clone(),
        columns: preview.columns.clone(),
        reasons: Vec::new(),
        rows,
        notes: preview.notes.clone(),
    }
}

impl Init {
    pub(super) async fn job_name(&self, default: &str) -> Result<String, Failure> {
        let check = |name: &str| match is_job_name(name) {
            true => Ok(()),
            false => Err(format!(
                "`{name}` cannot be a job's name: write it with a-z, 0-9, `-` and `_`, for example `{}`",
                job_name(name)
            )),
        };
        if let Some(name) = &self.args.name {
            return check(name).map(|()| name.clone()).map_err(Failure::usage);
        }
        self.asker.ask("Name of the job", Some(default), "--name", check).await
    }

    /// The file to write, which is not there unless it may go.
    pub(super) async fn file(&self, name: &str) -> Result<PathBuf, Failure> {
        let file = self.args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{name}.yaml")));
        if file.is_dir() {
            return Err(Failure::usage(format!("`{}` is a folder; a file is expected", file.display())));
        }
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(Failure::usage(format!("the folder `{}` is not there", folder.display())).hint("make it first"));
        }
        if file.symlink_metadata().is_ok() && !self.args.force {
            return Err(Failure::usage(format!("`{}` is there already", file.display()))
                .hint("name another file with `--output`, or write over it with `--force`"));
        }
        Ok(file)
    }

    pub(super) async fn destination(&self) -> Result<String, Failure> {
        let check = |answer: &str| if answer.is_empty() { Err("name a folder".to_owned()) } else { Ok(()) };
        let asked = "Where do the tables go (a folder, or az://container/folder)";
        self.asker.ask(asked, Some(&self.args.destination), "--destination", check).await
    }

    pub(super) fn show_one(&self, shown: &Preview, has_rows: bool) {
        let output = self.around.output;
        match &shown.rows {
            Some(rows) if has_rows => {
                output.line(format!("{}:", shown.table));
                let rows = rows.slice(0, rows.num_rows().min(self.args.rows as usize));
                let fitting = fitting(&rows);
                show_rows(output, &fitting);
                let hidden = rows.num_columns() - fitting.num_columns();
                if hidden > 0 {
                    output.line(format!("  and {} to the right", counted(hidden as u64, "column")));
                }
                let types: Vec<String> =
                    shown.columns.iter().map(|column| format!("{}: {}", column.name, column.kind)).collect();
                output.line(format!("columns: {}", types.join(", ")));
            }
            Some(rows) => output.line(format!("{}: {}", shown.table, counted(rows.num_columns() as u64, "column"))),
            None => output.line(format!("{}: no records", shown.table)),
        }
    }

    pub(super) async fn finish(&self, mut draft: Draft, file: &Path, report: Report) -> Result<Exit, Failure> {
        draft.destination = self.destination().await?;
        self.write(&draft.text(), file, report, None).await
    }

    /// A file that has to be there before it can be tried.
    pub(super) async fn finish_untried(
        &self,
        mut draft: Draft,
        file: &Path,
        report: Report,
        why: &str,
    ) -> Result<Exit, Failure> {
        let again = "haul init with the same words and `--force` goes on from there";
        draft.head.push(format!("Not tried yet: {why}. Records and paging are not known: after a login, {again}."));
        draft.destination = self.destination().await?;
        self.write(&draft.text(), file, report, Some(why.to_owned())).await
    }

    /// Writes the file and says what comes next. `untried` = why its answers are not known.
    pub(super) async fn write(
        &self,
        text: &str,
        file: &Path,
        report: Report,
        untried: Option<String>,
    ) -> Result<Exit, Failure> {
        let output = self.around.output;
        let shown = file.display().to_string();
        // What is written is a job, whatever was typed and told.
        let job = load_text(&shown, text)?;
        if !self.asker.is_silent && !self.asker.confirm(&format!("Write {shown}"), true, "--yes").await? {
            return Err(Failure::failed("nothing was written"));
        }
        put(file, text, self.args.force)?;
        let needs_login = untried.is_some() && is_of_people(&job.source.auth);
        let mut unset = Secrets::variables(&job);
        unset.retain(|name| Environment::get_os(name).is_none());
        let mut next: Vec<String> = unset.iter().map(|name| format!("export {name}=…")).collect();
        next.push(format!("haul check {shown}"));
        if needs_login {
            next.push(format!("haul login {shown}"));
        }
        next.push(if untried.is_some() { format!("haul preview {shown}") } else { format!("haul run {shown}") });
        if output.is_json {
            output.json(&json!({
                "file": report.file,
                "job": job.name,
                "streams": report.streams,
                "is_sure": report.is_sure && untried.is_none(),
                "untried": untried,
                "unset": unset,
                "next": next,
            }));
        } else {
            let streams: Vec<&str> = job.streams.iter().map(|stream| stream.name.as_str()).collect();
            output.line(format!("\nwrote {shown}: job `{}` reads {}", job.name, streams.join(", ")));
            if let Some(why) = &untried {
                output.note(format!("not tried: {why}"));
            }
            if !report.is_sure {
                output.note(format!("look at the comments of {shown}: not everything could be found out"));
            }
            output.line("next:");
            for command in &next {
                output.line(format!("  {command}"));
            }
        }
        Ok(if needs_login { Exit::Login } else { Exit::Done })
    }
}

/// Whether somebody has to log in before the first run.
fn is_of_people(auth: &Auth) -> bool {
    match auth {
        Auth::Oauth2(plan) => matches!(plan.grant, Grant::AuthorizationCode | Grant::DeviceCode),
        Auth::Entra(plan) => matches!(plan.login, EntraLogin::AuthorizationCode | EntraLogin::DeviceCode),
        Auth::Anonymous
        | Auth::Key { .. }
        | Auth::Basic { .. }
        | Auth::Bearer { .. }
        | Auth::Session(_)
        | Auth::Windows(_) => false,
    }
}

/// The file, whole or not at all, and never over another one unless that is meant.
fn put(file: &Path, text: &str, is_over: bool) -> Result<(), Failure> {
    let wrong =
        |error: &dyn std::error::Error| Failure::failed(format!("`{}` cannot be written", file.display())).cause(error);
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut made = tempfile::Builder::new().prefix(".haul-init-").tempfile_in(folder).map_err(|error| wrong(&error))?;
    made.write_all(text.as_bytes()).and_then(|()| made.as_file().sync_all()).map_err(|error| wrong(&error))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // It holds no secret, and others read and commit it.
        made.as_file().set_permissions(std::fs::Permissions::from_mode(0o644)).map_err(|error| wrong(&error))?;
    }
    match is_over {
        true => made.persist(file).map_err(|error| wrong(&error.error))?,
        false => made.persist_noclobber(file).map_err(|error| wrong(&error.error))?,
    };
    Ok(())
}

/// As many columns from the left as fit a terminal.
fn fitting(rows: &RecordBatch) -> RecordBatch {
    let width = |columns: usize| {
        let part = rows.project(&(0..columns).collect::<Vec<_>>()).ok()?;
        let text = pretty_format_batches(&[part]).ok()?.to_string();
        text.lines().map(|line| line.chars().count()).max()
    };
    let fits = |columns: &usize| width(*columns).is_some_and(|width| width <= LINE_CHARS_MAX);
    let columns = (1..=rows.num_columns()).take_while(fits).last().unwrap_or(1).min(rows.num_columns());
    rows.project(&(0..columns).collect::<Vec<_>>()).unwrap_or_else(|_| rows.clone())
}
