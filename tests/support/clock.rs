//! Calls of haul at another time: libfaketime moves the wall clock of the process.

use std::process::Command;

use super::{Done, Workplace};

/// The library that does it.
pub fn faketime() -> String {
    let folders = std::fs::read_dir("/usr/lib").expect("/usr/lib").flatten().map(|entry| entry.path());
    let library = folders.map(|folder| folder.join("faketime/libfaketime.so.1")).find(|file| file.exists());
    library.expect("libfaketime is not installed: run `tests/rigs/install`").to_string_lossy().into_owned()
}

/// Lets a command run so many hours from now.
pub fn in_hours(command: &mut Command, hours: u64) {
    command.env("LD_PRELOAD", faketime()).env("FAKETIME", format!("+{hours}h"));
    // Files are as old as they are.
    command.env("NO_FAKE_STAT", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
}

impl Workplace {
    /// A call so many hours from now.
    pub fn haul_in(&self, hours: u64, args: &[&str]) -> Done {
        let mut command = self.command(args);
        in_hours(&mut command, hours);
        Done::of(command.output().expect("haul starts"))
    }
}
