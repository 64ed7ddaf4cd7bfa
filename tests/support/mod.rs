//! What the black-box tests share: a workplace for the binary, a scripted HTTP server, the rigs, and the independent
//! reader. Nothing here knows the inside of haul.

#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod clock;
pub mod daemon;
pub mod dataset;
pub mod faults;
pub mod footer;
pub mod one_page;
pub mod page;
pub mod provider;
pub mod random;
pub mod rigs;
pub mod scene;
pub mod server;
pub mod tls;
pub mod truth;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::Value;
use tempfile::TempDir;

/// A folder of its own for one test: job files, state, output.
///
/// Secrets of tests have `canary` in them. When the test is over, every file that haul wrote and everything that it
/// printed is searched for that word, and every Parquet file is held against the profile of Power BI.
pub struct Workplace {
    folder: TempDir,
    env: Vec<(String, String)>,
    is_mounted: bool,
    is_analytics: bool,
    /// Written by the test itself.
    own: Mutex<Vec<PathBuf>>,
    said: Mutex<Vec<String>>,
}

/// What one call of haul did.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Workplace {
    pub fn new() -> Self {
        Workplace {
            folder: TempDir::new().expect("a temporary folder"),
            env: Vec::new(),
            is_mounted: false,
            is_analytics: false,
            own: Mutex::default(),
            said: Mutex::default(),
        }
    }

    /// The same in memory where the system has a folder for that: for a thousand runs, of which each waits for a disk forty times.
    pub fn in_memory() -> Self {
        let mut place = Self::new();
        if let Ok(folder) = TempDir::new_in("/dev/shm") {
            place.folder = folder;
        }
        place
    }

    /// The same with its state on a disk of this size in bytes. Needs the right to mount.
    pub fn on_small_disk(bytes: u64) -> Self {
        let mut place = Self::new();
        let state = place.path("state");
        std::fs::create_dir(&state).expect("a folder");
        let size = format!(
            "size={bytes},mode=0700,uid={0}",
            std::os::unix::fs::MetadataExt::uid(&state.metadata().expect("a folder"))
        );
        as_root("mount", &["-t", "tmpfs", "-o", &size, "haul-test", &state.to_string_lossy()]);
        place.is_mounted = true;
        place
    }

    /// An environment variable of every later call.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Its jobs write for another profile than Power BI's.
    pub fn expects_analytics(mut self) -> Self {
        self.is_analytics = true;
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file and gives its path.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, text).expect("a file");
        self.is_own(&path);
        path.to_string_lossy().into_owned()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_haul"));
        command.args(args).current_dir(self.folder.path()).env_clear();
        // One file instead of the hundreds of a folder.
        command.env("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt");
        command.env("HAUL_STATE", self.path("state")).env("HOME", self.folder.path()).env("TMPDIR", self.folder.path());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    pub fn haul(&self, args: &[&str]) -> Done {
        let done = Done::of(self.command(args).output().expect("haul starts"));
        self.said.lock().expect("a list").extend([done.stdout.clone(), done.stderr.clone()]);
        done
    }

    /// A file that the test wrote: secrets in it are the test's.
    pub fn is_own(&self, path: &Path) {
        self.own.lock().expect("a list").push(path.to_path_buf());
    }

    fn search_for_canaries(&self) {
        let spellings = spellings("canary");
        let found =
            |text: &[u8]| spellings.iter().find(|spelling| memchr::memmem::find(text, spelling.as_bytes()).is_some());
        for said in self.said.lock().expect("a list").iter() {
            assert_eq!(found(said.as_bytes()), None, "a secret was printed: {said}");
        }
        let own = self.own.lock().expect("a list");
        walk(self.folder.path(), &mut |file| {
            let content = std::fs::read(file).unwrap_or_default();
            let is_own = own.iter().any(|own| own == file);
            assert!(is_own || found(&content).is_none(), "a secret is in {}", file.display());
        });
    }

    fn check_footers(&self) {
        let own = self.own.lock().expect("a list");
        let mut breaches = Vec::new();
        walk(self.folder.path(), &mut |file| {
            let content = std::fs::read(file).unwrap_or_default();
            if footer::is_parquet(file, &content) && !own.iter().any(|own| own == file) {
                let found = footer::breaches(file);
                breaches.extend(found.into_iter().map(|breach| format!("{}: {breach}", file.display())));
            }
        });
        assert!(breaches.is_empty(), "files differ from the profile of Power BI:\n{}", breaches.join("\n"));
    }

    /// A call under `strace`, which does to it what its own arguments say.
    pub fn traced(&self, strace: &[&str], args: &[&str]) -> Command {
        let plain = self.command(args);
        let mut command = Command::new("strace");
        command.args(["-qq", "-o", "/dev/null"]).args(strace).arg(plain.get_program()).args(plain.get_args());
        command.current_dir(self.folder.path()).env_clear();
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::null());
        command
    }

    /// Every byte of every file of the workplace and of a call holds none of these, in any spelling.
    pub fn assert_holds_none_of(&self, done: &[&Done], secrets: &[&str]) {
        let secrets: Vec<String> = secrets.iter().flat_map(|secret| spellings(secret)).collect();
        for secret in secrets.iter().map(String::as_str) {
            for done in done {
                assert!(
                    !done.stdout.contains(secret) && !done.stderr.contains(secret),
                    "a secret was printed: {done:?}"
                );
            }
        }
        walk(self.folder.path(), &mut |file| {
            let content = std::fs::read(file).unwrap_or_default();
            for secret in &secrets {
                let found = memchr::memmem::find(&content, secret.as_bytes()).is_some();
                assert!(!found, "a secret is in {}", file.display());
            }
        });
    }

    /// All files below a folder of the workplace with their content, to prove that nothing changed.
    pub fn contents(&self, folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        walk(&self.path(folder), &mut |file| files.push((file.to_path_buf(), std::fs::read(file).expect("a file"))));
        files.sort();
        files
    }
}

/// A secret as it is, in a URL, in JSON, and in base64 wherever it may begin there.
fn spellings(secret: &str) -> Vec<String> {
    let url = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let json = Value::from(secret).to_string();
    let mut spellings = vec![secret.to_owned(), url, json[1..json.len() - 1].to_owned()];
    for before in 0..3 {
        let text = [&b"\0\0"[..before], secret.as_bytes()].concat();
        // The characters at both ends depend on what stands beside it.
        let (start, end) = ([0, 2, 3][before], text.len() * 4 / 3 - 1);
        for engine in [&STANDARD, &URL_SAFE] {
            spellings.push(engine.encode(&text)[start..end].to_owned());
        }
    }
    spellings
}

impl Drop for Workplace {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.search_for_canaries();
            if !self.is_analytics {
                self.check_footers();
            }
        }
        if self.is_mounted {
            as_root("umount", &[&self.path("state").to_string_lossy()]);
        }
    }
}

fn as_root(program: &str, args: &[&str]) {
    let is_root = std::os::unix::fs::MetadataExt::uid(&Path::new("/proc/self").metadata().expect("/proc")) == 0;
    let mut command = Command::new(if is_root { program } else { "sudo" });
    if !is_root {
        command.args(["--non-interactive", program]);
    }
    let status = command.args(args).status().expect("a program of Debian's base");
    assert!(status.success(), "`{program}` needs root, or sudo without a password");
}

fn walk(folder: &Path, visit: &mut impl FnMut(&Path)) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() { walk(&path, visit) } else { visit(&path) }
    }
}

impl Done {
    pub fn of(output: Output) -> Self {
        Done {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// The report of a call with `--json`.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    #[track_caller]
    pub fn expect_says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text) || self.stdout.contains(text), "`{text}` is not said: {self:?}");
        }
        self
    }
}

/// A job that reads one stream `items` of a source into `out`, with further lines for the source and the stream.
pub fn job(base_url: &str, source: &str, stream: &str) -> String {
    format!(
        "job: test\nsource:\n  base_url: {base_url}\n{}streams:\n  - name: items\n    path: /items\n{}destination:\n  url: out\n",
        indent(source, 2),
        indent(stream, 4),
    )
}

fn indent(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{}{line}\n", " ".repeat(by))).collect()
}

/// Ends a process that this test started, the way a container scheduler does.
pub fn terminate(pid: u32, signal: &str) {
    let status = Command::new("kill").args([signal, &pid.to_string()]).status().expect("kill runs");
    assert!(status.success());
}
