//! A job whose tables are on Azurite, and what others see of it.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::support::rigs::{Rig, outcome_of, output_of};
use crate::support::server::{Server, ok};
use crate::support::{Done, Workplace, job};

/// Azure says at most 30 s.
pub(crate) const POLICY_WAIT: Duration = Duration::from_secs(30);

pub(crate) struct Scene {
    pub(crate) azurite: Rig,
    pub(crate) place: Workplace,
    pub(crate) file: String,
    _source: Server,
}

impl Scene {
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    pub(crate) fn start_with(rest: &str) -> Self {
        let azurite = Rig::start("azurite.mjs", &[]);
        output_of("blob.py", &["container", "--url", azurite.url(), "--name", "reports"]);
        let source = Server::start(|_, _| ok("[{\"id\":1,\"name\":\"one\"},{\"id\":2,\"name\":\"two\"}]"));
        let place = place_at(&azurite, azurite.text("key"));
        let text = job(&source.url, "", "paging: none").replace("url: out", "url: az://reports/exports");
        let file = place.file("jobs/test.yaml", &format!("{text}{rest}"));
        Scene { azurite, place, file, _source: source }
    }

    pub(crate) fn share(&self, args: &[&str]) -> Done {
        self.place.haul(&[&["share", args[0], &self.file, "--json"], &args[1..]].concat())
    }

    pub(crate) fn policies(&self) -> Value {
        let text = output_of("blob.py", &["policies", "--url", self.azurite.url(), "--container", "reports"]);
        serde_json::from_str(&text).expect("JSON")
    }

    pub(crate) fn add_policy(&self, name: &str, more: &[&str]) {
        let url = self.azurite.url();
        let args = ["policy", "--url", url, "--container", "reports", "--name", name];
        output_of("blob.py", &[&args, more].concat());
    }

    pub(crate) fn end_of(&self, policy: &str) -> DateTime<Utc> {
        let listed = self.share(&["list"]).expect_code(0).json();
        let shares = listed["shares"].as_array().expect("shares");
        let share = shares.iter().find(|share| share["policy"] == policy).expect("the share");
        share["expires_at"].as_str().expect("an end").parse().expect("an instant")
    }

    /// Whether DuckDB may read with a share.
    pub(crate) fn is_read_with(&self, share: &Value) -> bool {
        let url = format!("{}/items/current.parquet", share["base_url"].as_str().expect("an address"));
        let sql = format!("select count(*) from '{url}'");
        outcome_of("read.py", &["--sas", share["query"].as_str().expect("a query"), &sql]).status.success()
    }
}

pub(crate) fn place_at(azurite: &Rig, key: &str) -> Workplace {
    Workplace::new()
        .env("AZURE_STORAGE_ACCOUNT_NAME", azurite.text("account"))
        .env("AZURE_STORAGE_ACCOUNT_KEY", key)
        .env("AZURE_STORAGE_ENDPOINT", azurite.url())
        .env("AZURE_ALLOW_HTTP", "true")
}

pub(crate) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {value:#}"))
}

pub(crate) fn is_near(at: DateTime<Utc>, expect: DateTime<Utc>) -> bool {
    (at - expect).abs() < TimeDelta::minutes(5)
}

#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + POLICY_WAIT;
    while !is_so() {
        assert!(Instant::now() < end, "not within {POLICY_WAIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// What a plain GET of the container's list says.
pub(crate) struct Url<'u> {
    pub(crate) base: &'u str,
    pub(crate) query: &'u str,
}

pub(crate) struct ListAnswer {
    pub(crate) is_success: bool,
    pub(crate) text: String,
}

impl Url<'_> {
    pub(crate) fn list(&self) -> ListAnswer {
        let text = get(&format!("{}/reports?restype=container&comp=list&{}", self.base, self.query));
        ListAnswer { is_success: text.starts_with("HTTP/1.1 200"), text }
    }
}

/// The whole answer to a plain GET.
pub(crate) fn get(url: &str) -> String {
    use std::io::{Read, Write};

    let url: url::Url = url.parse().expect("a URL");
    let address = (url.host_str().expect("a host"), url.port().expect("a port"));
    let mut stream = std::net::TcpStream::connect(address).expect("the server is there");
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {}:{}\r\nConnection: close\r\n\r\n", address.0, address.1)
        .expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

/// A daemon for the jobs of a workplace, ended with the test.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) url: String,
}

impl Daemon {
    pub(crate) fn start(place: &Workplace) -> Self {
        use std::io::{BufRead, BufReader};

        let mut command = place.command(&["serve", "jobs", "--json", "--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("haul starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok);
        let first: Value = serde_json::from_str(&lines.next().expect("a line")).expect("JSON");
        std::thread::spawn(move || lines.for_each(drop));
        let daemon = Daemon { child, url: format!("http://{}", first["address"].as_str().expect("an address")) };
        wait_until("the job is opened", || daemon.get("/jobs/test/powerbi").starts_with("HTTP/1.1 200"));
        daemon
    }

    pub(crate) fn get(&self, path: &str) -> String {
        get(&format!("{}{path}", self.url))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
