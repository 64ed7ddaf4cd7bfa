//! Files that are written for a person, who may have changed those of the last time. A list beside them says which are haul's, and
//! how they were when it wrote them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::cli::failure::Failure;
use crate::powerbi::{Kit, TextFile, pbip};

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    Created,
    Changed,
    Unchanged,
    /// It is the user's: nothing was written.
    Kept,
    /// Nothing is made under its name any more.
    Removed,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Change::Created => "created",
            Change::Changed => "changed",
            Change::Unchanged => "unchanged",
            Change::Kept => "kept",
            Change::Removed => "removed",
        })
    }
}

/// The list of what haul wrote into a folder.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Listed {
    format_version: u32,
    job: String,
    /// Checksums by path.
    files: BTreeMap<String, String>,
}

const FORMAT_VERSION: u32 = 1;
/// Files that an error names.
const NAMED_MAX: usize = 5;

/// Writes the files of one kind into a folder; all of them, or none where one would be lost that is not haul's.
pub(super) fn write(
    folder: &Path,
    kind: &str,
    kit: &Kit,
    files: &[TextFile],
    is_forced: bool,
) -> Result<Vec<(String, Change)>, Failure> {
    let job = &kit.job;
    let list = folder.join(format!(".haul-{kind}.json"));
    let former = former(&list)?;
    if !former.job.is_empty() && former.job != *job && !is_forced {
        let text = format!("`{}` holds the files of the job `{}`", folder.display(), former.job);
        return Err(Failure::usage(text).hint("choose another folder; `--force` writes into this one"));
    }
    let mut changes = Vec::new();
    let mut lost = Vec::new();
    for file in files {
        let found = read(&folder.join(&file.path))?;
        let change = match &found {
            None => Change::Created,
            Some(found) if *found == file.text => Change::Unchanged,
            Some(_) if file.is_once && !is_forced => Change::Kept,
            Some(found) => {
                if former.files.get(&file.path) != Some(&checksum(found)) {
                    lost.push(file.path.clone());
                }
                Change::Changed
            }
        };
        changes.push((file.path.clone(), change));
    }
    for (path, was) in &former.files {
        let found = if files.iter().any(|file| file.path == *path) { None } else { read(&folder.join(path))? };
        let Some(found) = found else { continue };
        if checksum(&found) != *was {
            lost.push(path.clone());
        }
        changes.push((path.clone(), Change::Removed));
    }
    if !lost.is_empty() && !is_forced {
        return Err(would_lose(folder, &lost));
    }
    carry_out(folder, files, &changes, kit.reach.has_secret())?;
    let listed = Listed {
        format_version: FORMAT_VERSION,
        job: job.clone(),
        files: files
            .iter()
            .filter(|file| !file.is_once)
            .map(|file| (file.path.clone(), checksum(&file.text)))
            .collect(),
    };
    let text = serde_json::to_string_pretty(&listed).expect("it holds only texts and numbers");
    put(&list, &format!("{text}\n"), false)?;
    Ok(changes)
}

/// Writes one file; another one in its place only when told so.
pub(super) fn write_one(file: &Path, text: &str, is_forced: bool) -> Result<Change, Failure> {
    let change = match read(file)? {
        None => Change::Created,
        Some(found) if found == text => return Ok(Change::Unchanged),
        Some(_) if is_forced => Change::Changed,
        Some(_) => {
            let error = format!("`{}` is there, and is another file", file.display());
            return Err(Failure::usage(error).hint("`--force` overwrites it"));
        }
    };
    put(file, text, false)?;
    Ok(change)
}

/// A file's text. `None` = there is none.
pub(super) fn read(file: &Path) -> Result<Option<String>, Failure> {
    match std::fs::read(file) {
        // What is no text is nothing of haul's, and differs from everything.
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::failed(format!("`{}` cannot be read", file.display())).cause(&error)),
    }
}

fn former(list: &Path) -> Result<Listed, Failure> {
    let Some(text) = read(list)? else { return Ok(Listed::default()) };
    let unreadable = || Failure::usage(format!("`{}` is no list of haul's", list.display()));
    let listed: Listed = serde_json::from_str(&text)
        .map_err(|_| unreadable().hint("remove it, and give `--force` if the files may be overwritten"))?;
    let is_inside = |path: &String| {
        let path = Path::new(path);
        path.components().all(|component| matches!(component, std::path::Component::Normal(_)))
    };
    // Files that are not made any more are removed: a list must not lead out of its folder.
    if listed.format_version > FORMAT_VERSION || !listed.files.keys().all(is_inside) {
        return Err(unreadable().hint("it may be of a newer haul: use that one, or choose another folder"));
    }
    Ok(listed)
}

fn would_lose(folder: &Path, lost: &[String]) -> Failure {
    let named: Vec<String> = lost.iter().take(NAMED_MAX).map(|path| format!("`{path}`")).collect();
    let more = if lost.len() > NAMED_MAX { format!(" and {} more", lost.len() - NAMED_MAX) } else { String::new() };
    let are = if lost.len() == 1 { "is not as haul wrote it" } else { "are not as haul wrote them" };
    Failure::usage(format!("in `{}` {}{more} {are}; nothing was written", folder.display(), named.join(", "))).hint(
        "`--force` overwrites what was changed there; first move measures of your own into a table of your own, whose file \
         haul leaves alone",
    )
}

/// Differences of line ends, which come and go with version control, and values of parameters, which people paste in, are none.
fn checksum(text: &str) -> String {
    let text = pbip::without_parameter_values(&text.replace("\r\n", "\n"));
    digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn carry_out(folder: &Path, files: &[TextFile], changes: &[(String, Change)], is_secret: bool) -> Result<(), Failure> {
    for (path, change) in changes {
        let at: PathBuf = folder.join(path);
        match change {
            Change::Created | Change::Changed => {
                let file = files.iter().find(|file| file.path == *path).expect("only files of the kit are written");
                put(&at, &file.text, is_secret)?;
            }
            Change::Removed => {
                let wrong = |error| Failure::failed(format!("`{}` cannot be removed", at.display())).cause(&error);
                std::fs::remove_file(&at).map_err(wrong)?;
            }
            Change::Unchanged | Change::Kept => {}
        }
    }
    Ok(())
}

/// Whole or not at all. What holds a signature is for its user's eyes only.
fn put(file: &Path, text: &str, is_secret: bool) -> Result<(), Failure> {
    let wrong =
        |error: std::io::Error| Failure::failed(format!("`{}` cannot be written", file.display())).cause(&error);
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(wrong)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".haul-");
    // As any file that somebody writes; the library's own mode would hide a project from a group that shares it.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(if is_secret { 0o600 } else { 0o666 }));
    let mut made = builder.tempfile_in(folder).map_err(wrong)?;
    std::io::Write::write_all(&mut made, text.as_bytes()).map_err(wrong)?;
    made.persist(file).map_err(|error| wrong(error.error))?;
    Ok(())
}
