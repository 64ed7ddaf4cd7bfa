//! A program that is told: without a shell, with the event on its standard input, for a bounded time.

use std::io::{Read, Seek, Write};
use std::process::{Child, Command, ExitStatus, Stdio};

use tokio::time::Instant;

use crate::http::excerpt;
use crate::limits::{EXCERPT_CHARS_MAX, NOTICE_LOOK_EVERY, NOTICE_WAIT_MAX};
use crate::secret::mask;

/// What only haul may read; the program finds the rest of the environment.
const HIDDEN: [&str; 3] = ["HAUL_VAULT_KEY", "HAUL_VAULT_KEY_FILE", "HAUL_VAULT_KEY_COMMAND"];

/// Runs the program to its end. An error says why it was told nothing, or may not have acted.
pub(super) async fn tell(words: &[String], job: &str, event: &str, input: &[u8]) -> Result<(), String> {
    let [program, arguments @ ..] = words else { return Err("it names no program".to_owned()) };
    // Files, not pipes: whatever the program does with them, nobody waits for it.
    let (input, mut complaint) = file_with(input)
        .and_then(|input| Ok((input, tempfile::tempfile()?)))
        .map_err(|error| format!("a temporary file cannot be written: {error}"))?;
    let mut command = Command::new(program);
    command.args(arguments).env("HAUL_JOB", job).env("HAUL_EVENT", event).stdin(Stdio::from(input));
    for name in HIDDEN {
        command.env_remove(name);
    }
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let output = complaint.try_clone().map_err(|error| format!("a temporary file cannot be used: {error}"))?;
    let child = command.stdout(Stdio::null()).stderr(Stdio::from(output)).spawn();
    let mut running = Running(child.map_err(|error| format!("it cannot be started: {error}"))?);
    match running.end().await {
        Ok(Some(status)) if status.success() => Ok(()),
        Ok(Some(status)) => Err(format!("it failed ({status}){}", said(&mut complaint))),
        Ok(None) => Err(format!("it was not done within {NOTICE_WAIT_MAX:?} and was ended")),
        Err(error) => Err(format!("it cannot be waited for: {error}")),
    }
}

fn file_with(content: &[u8]) -> std::io::Result<std::fs::File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(content)?;
    file.rewind()?;
    Ok(file)
}

fn said(complaint: &mut std::fs::File) -> String {
    let mut text = Vec::new();
    // What cannot be read is not told.
    let _ = complaint.rewind().and_then(|()| complaint.take(EXCERPT_CHARS_MAX as u64 * 4).read_to_end(&mut text));
    let text = excerpt(&text);
    if text.is_empty() { String::new() } else { mask(&format!(": {text}")) }
}

/// A program with all that it started; ended when nobody waits for it any more.
struct Running(Child);

impl Running {
    /// `None` = it was not over in time.
    async fn end(&mut self) -> std::io::Result<Option<ExitStatus>> {
        let until = Instant::now() + NOTICE_WAIT_MAX;
        while Instant::now() < until {
            if let Some(status) = self.0.try_wait()? {
                return Ok(Some(status));
            }
            tokio::time::sleep(NOTICE_LOOK_EVERY).await;
        }
        Ok(None)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(Some(_))) {
            return;
        }
        #[cfg(unix)]
        if let Some(group) = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw) {
            // Its own group: what it started goes with it.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.0.kill();
        // It is dead: this does not wait.
        let _ = self.0.wait();
    }
}
