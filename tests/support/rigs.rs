//! The real servers of `tests/rigs`, started for one test and ended with it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

/// Looks at a rig that was asked to end, 20 ms apart.
const ENDING_TRIES_MAX: u32 = 150;

/// A running rig; its standard input is a pipe whose end ends the rig, so that a dead test leaves nothing behind.
pub struct Rig {
    child: Child,
    /// What it printed when it was ready.
    pub ready: Value,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/rigs")
}

fn command(program: &str) -> Command {
    let folder = folder();
    assert!(
        folder.join("node_modules").exists() && folder.join(".venv").exists(),
        "the test servers are not installed: run `tests/rigs/install`"
    );
    let file = folder.join(program);
    let mut command =
        if program.ends_with(".py") { Command::new(folder.join(".venv/bin/python")) } else { Command::new("node") };
    command.arg(file);
    command
}

impl Rig {
    pub fn start(program: &str, args: &[&str]) -> Self {
        let mut child = command(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} does not start ({error}): run `tests/rigs/install`"));
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        stdout.read_line(&mut line).expect("a line");
        // A server that writes to a closed pipe dies.
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        let ready = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{program} is not ready; it said `{line}`"));
        Rig { child, ready }
    }

    pub fn url(&self) -> &str {
        self.text("url")
    }

    pub fn text(&self, name: &str) -> &str {
        self.ready[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {}", self.ready))
    }

    /// GET of one of the rig's own pages, as JSON.
    pub fn get(&self, path: &str) -> Value {
        let text = get(&format!("{}{path}", self.url()));
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON at {path}: {text}"))
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // The end of its input ends it, with what it started itself; a kill would leave that behind.
        drop(self.child.stdin.take());
        for _ in 0..ENDING_TRIES_MAX {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs one of the rigs' commands to its end and gives its standard output.
pub fn output_of(program: &str, args: &[&str]) -> String {
    let output = command(program).args(args).stdin(Stdio::null()).output().expect("the command starts");
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

/// Runs one of the rigs' commands with this on its standard input, whatever it says.
pub fn outcome_with(program: &str, args: &[&str], input: &str) -> Output {
    use std::io::Write;

    let mut child = command(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    // What it prints may fill its pipe before it has read all.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("the thread ends").expect("it reads its input");
    output
}

/// The same to its end, for its standard output.
pub fn output_with(program: &str, args: &[&str], input: &str) -> String {
    let output = outcome_with(program, args, input);
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

/// Runs one of the rigs' checkers (a script of theirs, or a program that came with their Python packages), whatever it says.
pub fn outcome_of(program: &str, args: &[&str]) -> Output {
    let mut command = if program.ends_with(".py") { command(program) } else { tool(program) };
    command.args(args).stdin(Stdio::null()).output().expect("the checker starts")
}

/// A program that came with the rigs' Python packages.
fn tool(program: &str) -> Command {
    let file = folder().join(".venv/bin").join(program);
    assert!(file.exists(), "`{program}` is not installed: run `tests/rigs/install`");
    Command::new(file)
}

/// Rows that DuckDB reads; `sas` is added to every URL of the query by the reader.
pub fn read(sql: &str, sas: Option<&str>) -> Value {
    let mut args = Vec::new();
    if let Some(sas) = sas {
        args.extend(["--sas", sas]);
    }
    args.push(sql);
    serde_json::from_str(&output_of("read.py", &args)).expect("JSON")
}

/// The body of a GET over plain HTTP.
fn get(url: &str) -> String {
    use std::io::{Read, Write};

    let url: url::Url = url.parse().expect("a URL");
    let address = (url.host_str().expect("a host"), url.port().expect("a port"));
    let mut stream = std::net::TcpStream::connect(address).expect("the rig is there");
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    write!(stream, "GET {target} HTTP/1.0\r\nHost: {}:{}\r\n\r\n", address.0, address.1).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}
