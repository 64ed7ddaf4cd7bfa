//! A proxy in front of a store that fails as it is told: it refuses, lies about what was done, or kills who asks.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use super::terminate;

/// A request to the store, without its body.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// Path with query.
    pub target: String,
    pub headers: Vec<(String, String)>,
}

impl Asked {
    /// The kind of step of a publication that it belongs to, on Azure.
    pub fn kind(&self) -> Kind {
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let has = |name: &str| self.headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
        match self.method.as_str() {
            "PUT" if query.contains("comp=blocklist") => Kind::BlockList,
            "PUT" if query.contains("comp=block") => Kind::Block,
            "PUT" if has("x-ms-copy-source") => Kind::Alias,
            "PUT" if path.ends_with("/_latest.json") => Kind::Pointer,
            "PUT" if path.ends_with("/_status.json") => Kind::Status,
            "PUT" if path.contains("/_snapshots/") => Kind::Manifest,
            "PUT" if path.contains("/data/") => Kind::Part,
            _ => Kind::Other,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Part,
    Block,
    BlockList,
    Manifest,
    Pointer,
    Alias,
    Status,
    Other,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Pass,
    /// It does not reach the store, and is answered with this status.
    Refuse(u16),
    /// The store does it, and the answer is this status.
    Lie(u16),
    /// The store does it, and the connection ends without an answer.
    Lose,
    /// The process that asks dies before the store hears of it.
    KillBefore,
    /// The process that asks dies when the store has done it.
    KillAfter,
}

type Plan = dyn Fn(&Asked, usize) -> Fault + Send + Sync;

/// A running proxy.
pub struct Faults {
    /// The upstream's address by way of the proxy.
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: String,
    plan: Mutex<Arc<Plan>>,
    asked: Mutex<Vec<Asked>>,
    victim: Mutex<Option<u32>>,
    is_known: Condvar,
}

impl Faults {
    /// `upstream` is the store's address, whose path stays.
    pub fn start(upstream: &str) -> Self {
        let upstream: url::Url = upstream.parse().expect("a URL");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}{}", listener.local_addr().expect("an address"), upstream.path());
        let shared = Arc::new(Shared {
            upstream: format!("{}:{}", upstream.host_str().expect("a host"), upstream.port().expect("a port")),
            plan: Mutex::new(Arc::new(|_: &Asked, _| Fault::Pass)),
            asked: Mutex::default(),
            victim: Mutex::default(),
            is_known: Condvar::new(),
        });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&served);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Faults { url, shared }
    }

    /// From now on requests are dealt with by this plan, which is told how many came before under it.
    pub fn plan(&self, plan: impl Fn(&Asked, usize) -> Fault + Send + Sync + 'static) {
        self.shared.asked.lock().expect("a log").clear();
        *self.shared.plan.lock().expect("a plan") = Arc::new(plan);
    }

    /// What was asked under the present plan.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().expect("a log").clone()
    }

    /// Whom the plan may kill; it waits for that.
    pub fn victim(&self, pid: Option<u32>) {
        *self.shared.victim.lock().expect("a process") = pid;
        self.shared.is_known.notify_all();
    }
}

impl Shared {
    fn kill(&self) {
        let mut victim = self.victim.lock().expect("a process");
        while victim.is_none() {
            victim = self.is_known.wait(victim).expect("a process");
        }
        terminate(victim.take().expect("a process"), "-KILL");
    }
}

fn serve(client: TcpStream, shared: &Shared) {
    let _ = client.set_nodelay(true);
    let mut reader = BufReader::new(client.try_clone().expect("a stream"));
    let mut client = client;
    while let Some((asked, head, body)) = read_request(&mut reader) {
        let number = {
            let mut log = shared.asked.lock().expect("a log");
            log.push(asked.clone());
            log.len() - 1
        };
        let plan = Arc::clone(&shared.plan.lock().expect("a plan"));
        let fault = plan(&asked, number);
        match fault {
            Fault::KillBefore => return shared.kill(),
            Fault::Refuse(status) => {
                if !answer_status(&mut client, status) {
                    return;
                }
                continue;
            }
            Fault::Pass | Fault::Lie(_) | Fault::Lose | Fault::KillAfter => {}
        }
        let Some(answer) = forward(&shared.upstream, &head, &body) else { return };
        let goes_on = match fault {
            Fault::Lie(status) => answer_status(&mut client, status),
            Fault::KillAfter => return shared.kill(),
            Fault::Lose => false,
            Fault::Pass | Fault::KillBefore | Fault::Refuse(_) => {
                // The answer says itself that the connection ends.
                let _ = client.write_all(&answer);
                false
            }
        };
        if !goes_on {
            let _ = client.shutdown(Shutdown::Both);
            return;
        }
    }
}

/// The request, its head for the upstream, and its body.
fn read_request(reader: &mut BufReader<TcpStream>) -> Option<(Asked, String, Vec<u8>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut head = line.clone();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if !name.eq_ignore_ascii_case("connection") {
            head.push_str(&line);
        }
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    head.push_str("connection: close\r\n\r\n");
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let mut body = vec![0; length.and_then(|(_, length)| length.parse().ok()).unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some((Asked { method, target, headers }, head, body))
}

fn forward(upstream: &str, head: &str, body: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(upstream).ok()?;
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    Some(answer)
}

fn answer_status(client: &mut TcpStream, status: u16) -> bool {
    client.write_all(format!("HTTP/1.1 {status} Told\r\ncontent-length: 0\r\n\r\n").as_bytes()).is_ok()
}
