//! `haul serve` as a child of the test, with the notes that it tells and a clock that the test sets.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::clock::faketime;
use super::server::{Server, ok};
use super::{Workplace, job, terminate};

/// How long a note is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A job with this schedule, as the lines in braces.
pub fn scheduled(url: &str, schedule: &str) -> String {
    format!("{}schedule: {{ {schedule} }}\n", job(url, "", "key: [id]\n"))
}

/// A source whose records differ from request to request.
pub fn source() -> Server {
    Server::start(|_, before| ok(json!([{ "id": before }]).to_string()))
}

/// What became of a job's slots and runs, the newest first.
pub fn history(place: &Workplace, file: &str) -> Vec<Value> {
    let runs = place.haul(&["runs", file, "--last", "10000", "--json"]).expect_code(0).json();
    runs["history"].as_array().expect("entries").clone()
}

/// The outcomes of a history, the oldest first.
pub fn outcomes(history: &[Value]) -> Vec<&str> {
    history.iter().rev().map(|entry| entry["outcome"].as_str().expect("a word")).collect()
}

/// The slots of a history, the oldest first.
pub fn slots(history: &[Value]) -> Vec<&str> {
    let mut slots: Vec<&str> = history.iter().filter_map(|entry| entry["slot"].as_str()).collect();
    slots.sort_unstable();
    slots
}

/// No slot has two entries, but for those that were stopped and gone on with.
#[track_caller]
pub fn assert_each_once(history: &[Value]) {
    let ended: Vec<Value> = history.iter().filter(|entry| entry["outcome"] != "interrupted").cloned().collect();
    let all = slots(&ended);
    let twice: Vec<&str> = all.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    assert!(twice.is_empty(), "served twice: {twice:?}\n{history:#?}");
}

/// A clock that several processes share.
#[derive(Debug, Clone)]
pub enum Time {
    Real,
    /// It shows this instant of UTC when the process starts, and runs so many times faster.
    From(String, u64),
    /// What a file says, which the test changes; spans are of the real clock.
    Set(PathBuf),
}

impl Time {
    /// Lets a command live by it.
    pub fn apply(&self, command: &mut Command) {
        // Files are as old as they are.
        command.env("TZ", "UTC").env("NO_FAKE_STAT", "1");
        match self {
            Time::Real => {}
            Time::From(start, speed) => {
                command.env("LD_PRELOAD", faketime()).env("FAKETIME", format!("@{start} x{speed}"));
            }
            Time::Set(file) => {
                command.env("LD_PRELOAD", faketime()).env("FAKETIME_TIMESTAMP_FILE", file);
                command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
            }
        }
    }
}

/// A daemon, and the notes it tells.
pub struct Daemon {
    pub child: Child,
    /// Of its page.
    pub url: String,
    notes: Receiver<Value>,
    /// All that were told so far.
    told: Mutex<Vec<Value>>,
}

impl Daemon {
    pub fn start(place: &Workplace, folder: &str) -> Self {
        Self::start_at(place, &["serve", folder, "--json"], &Time::Real)
    }

    /// On a free port, unless the arguments say otherwise.
    pub fn start_at(place: &Workplace, args: &[&str], time: &Time) -> Self {
        let is_placed = args.contains(&"--listen");
        let free = ["--listen", "127.0.0.1:0"];
        let mut command = place.command(&[args, if is_placed { &[] } else { &free[..] }].concat());
        time.apply(&mut command);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("haul starts");
        let (told, notes) = channel();
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let first = lines.next().expect("it says where its page is").expect("a line");
        let first: Value = serde_json::from_str(&first).expect("a document a line");
        let address = first["address"].as_str().unwrap_or_else(|| panic!("it does not listen: {first}"));
        let url = format!("http://{address}");
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if told.send(serde_json::from_str(&line).expect("a document a line")).is_err() {
                    break;
                }
            }
        });
        Daemon { child, url, notes, told: Mutex::default() }
    }

    /// Waits for a note that is like that, and gives it.
    #[track_caller]
    pub fn wait_for(&self, note: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(began.elapsed());
            let Ok(told) = self.notes.recv_timeout(left) else {
                panic!("no such `{note}` was told: {:#?}", self.told.lock().expect("notes"));
            };
            self.told.lock().expect("notes").push(told.clone());
            if told["note"] == note && is_it(&told) {
                return told;
            }
        }
    }

    #[track_caller]
    pub fn wait(&self, note: &str) -> Value {
        self.wait_for(note, |_| true)
    }

    /// The next run that is over.
    #[track_caller]
    pub fn ended(&self) -> Value {
        self.wait("ended")
    }

    pub fn signal(&self, signal: &str) {
        terminate(self.child.id(), signal);
    }

    /// Waits for its end, and gives its exit code and how long that took.
    pub fn end(&mut self) -> (i32, Duration) {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a process") {
                return (status.code().unwrap_or(-1), began.elapsed());
            }
            assert!(began.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn stop(mut self) -> i32 {
        self.signal("-TERM");
        self.end().0
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // A test that failed leaves nothing behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
