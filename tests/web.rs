//! The daemon's web page, its health checks and its metrics: in a real browser, with a real authorization server, and by hand.

#![allow(missing_docs)]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use support::rigs::{Rig, output_of};
use support::scene::wait_until;
use support::server::{Answer, Server, ok, status};
use support::{Workplace, job, terminate};

const PAGES: usize = 40;

/// A daemon with its page.
struct Daemon {
    child: Child,
    url: String,
}

impl Daemon {
    fn start(place: &Workplace, args: &[&str]) -> Self {
        let all = [&["serve", "jobs", "--json", "--listen", "127.0.0.1:0"], args].concat();
        let mut child = place.command(&all).stdout(Stdio::piped()).spawn().expect("haul starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok);
        let first: Value = serde_json::from_str(&lines.next().expect("a line")).expect("JSON");
        assert_eq!(first["note"], "listening", "{first}");
        let url = format!("http://{}", first["address"].as_str().expect("an address"));
        std::thread::spawn(move || lines.for_each(drop));
        Daemon { child, url }
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let authority = self.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(authority).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time-out");
        let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "host") {
            head.push_str(&format!("host: {authority}\r\n"));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            head.push_str("content-type: application/x-www-form-urlencoded\r\n");
        }
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        Reply { code, head: head.to_owned(), body: body.to_owned() }
    }

    fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], "")
    }

    fn stop(mut self) -> i32 {
        terminate(self.child.id(), "-TERM");
        self.child.wait().expect("it ends").code().unwrap_or(-1)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug)]
struct Reply {
    code: u16,
    head: String,
    body: String,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.into_iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn csrf(&self) -> String {
        let (_, rest) = self.body.split_once("name=\"csrf\" value=\"").expect("a form");
        rest.split('"').next().expect("a value").to_owned()
    }
}

/// Pages that come slowly, an API that fails, one that shrinks, and one behind a login.
fn source() -> Server {
    Server::start(|request, before| match request.path() {
        "/slow/items" => {
            let page: usize = request.param("page").and_then(|page| page.parse().ok()).unwrap_or(1);
            let rows: Vec<Value> = (0..50).map(|row| json!({ "id": page * 50 + row, "amount": "12.50" })).collect();
            let next = (page < PAGES).then(|| format!("/slow/items?page={}", page + 1));
            let body = json!({ "data": rows, "next": next }).to_string().into_bytes();
            Answer::Late { wait: Duration::from_millis(100), body }
        }
        "/broken/items" => status(403, "{\"error\":\"the contract has ended\"}"),
        "/shrinking/items" => {
            let rows = if before == 0 { 2_000 } else { 300 };
            ok(json!((0..rows).map(|id| json!({ "id": id })).collect::<Vec<_>>()).to_string())
        }
        _ => ok("[{\"id\":1},{\"id\":2}]"),
    })
}

/// The same source for each job, so that none hinders the other's count of requests.
fn write_jobs(place: &Workplace, oidc: &Rig) -> Vec<Box<dyn std::any::Any>> {
    let (slow, broken, shrinking, api) = (source(), source(), source(), source());
    let guard = Rig::start("guard.mjs", &["--upstream", &api.url, "--oidc", oidc.url()]);
    let write = |name: &str, text: String, more: &str| {
        place.file(
            &format!("jobs/{name}.yaml"),
            &format!("{}{more}", text.replace("job: test", &format!("job: {name}"))),
        );
    };
    let never = "schedule: { cron: '0 0 1 1 *', timezone: Europe/Amsterdam }\n";
    let paged = "records: data\npaging: { next_url: next }\nkey: [id]\ncolumns: { amount: 'decimal(18,4)' }\n";
    write("slow", job(&format!("{}/slow", slow.url), "", paged), never);
    write(
        "broken",
        job(&format!("{}/broken", broken.url), "", ""),
        "schedule: { every: 1s, timezone: UTC, overlap: skip }\n",
    );
    write("shrinking", job(&format!("{}/shrinking", shrinking.url), "", "key: [id]\n"), "");
    let auth = format!(
        "auth:\n  oauth2:\n    issuer: {}\n    grant: authorization_code\n    client_id: haul-public\n    scopes: [openid, offline_access]\n    authorize_params: {{ prompt: consent }}\n",
        oidc.url()
    );
    write("finance", job(guard.url(), &auth, "key: [id]\n"), never);
    vec![Box::new(slow), Box::new(broken), Box::new(shrinking), Box::new(api), Box::new(guard)]
}

#[test]
fn a_person_sees_runs_watches_previews_connects_and_approves() {
    let (place, oidc) = (Workplace::new(), Rig::start("oidc.mjs", &[]));
    let _servers = write_jobs(&place, &oidc);
    let daemon = Daemon::start(&place, &[]);
    wait_until(|| daemon.get("/").body.contains("failing"));
    let pictures = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    let seen = output_of("page.mjs", &["--base", &daemon.url, "--out", &pictures.to_string_lossy()]);
    println!("{seen}");
    let seen: Value = serde_json::from_str(&seen).expect("JSON");
    assert_eq!(seen["faults"], json!([]), "of the pages and their accessibility");
    assert_eq!(seen["preview"], 50);
    assert_eq!(seen["first_row"], json!(["50", "12.5000"]));
    assert!(seen["approved"].as_str().is_some_and(|text| text.starts_with("300 rows")), "{seen}");
    assert!(seen["without_scripts"].as_u64().is_some_and(|count| count >= 1), "{seen}");
    assert!(seen["pictures"].as_u64().is_some_and(|count| count >= 30), "{seen}");
    assert_eq!(daemon.stop(), 0);
}
