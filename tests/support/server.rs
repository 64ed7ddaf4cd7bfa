//! A scripted HTTP server on loopback that can answer anything: wrong, late, half or not at all.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// Path with query.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Value of a query parameter.
    pub fn param(&self, name: &str) -> Option<String> {
        let query = self.target.split_once('?')?.1;
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.into_owned())
    }
}

/// What goes back.
#[derive(Debug, Clone)]
pub enum Answer {
    Whole {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// Announces the whole length, sends a part and cuts the connection.
    Half {
        body: Vec<u8>,
        sent: usize,
    },
    /// Exactly these bytes, status line included, and then the end of the connection.
    Raw(Vec<u8>),
    /// Closes without a byte.
    Reset,
    /// One byte at a time.
    Drip {
        wait: Duration,
        body: Vec<u8>,
    },
    /// Announces the whole length, sends a part and then nothing for a while.
    Stall {
        wait: Duration,
        body: Vec<u8>,
        sent: usize,
    },
    /// Answers later.
    Late {
        wait: Duration,
        body: Vec<u8>,
    },
}

pub fn ok(body: impl Into<Vec<u8>>) -> Answer {
    status(200, body)
}

pub fn status(status: u16, body: impl Into<Vec<u8>>) -> Answer {
    Answer::Whole { status, headers: vec![("content-type".into(), "application/json".into())], body: body.into() }
}

impl Answer {
    pub fn with(mut self, name: &str, value: &str) -> Self {
        if let Answer::Whole { headers, .. } = &mut self {
            headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}

/// A running server with what it was asked.
pub struct Server {
    pub url: String,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers every request by the script, which is also told how many requests came before.
    pub fn start(script: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, script) = (Arc::clone(&asked), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, script) = (Arc::clone(&log), Arc::clone(&script));
                std::thread::spawn(move || serve(stream, &log, script.as_ref()));
            }
        });
        Server { url, asked }
    }

    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().expect("a log").clone()
    }
}

fn serve(stream: TcpStream, log: &Mutex<Vec<Request>>, script: &(dyn Fn(&Request, usize) -> Answer + Send + Sync)) {
    // Head and body are two writes: without this the second waits 40 ms for the client's kernel.
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
    let mut stream = stream;
    while let Some(request) = read(&mut reader) {
        let before = {
            let mut log = log.lock().expect("a log");
            log.push(request.clone());
            log.len() - 1
        };
        if !write(&mut stream, script(&request, before)) {
            let _ = stream.shutdown(Shutdown::Both);
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut request = Request { method, target, headers, body: String::new() };
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    request.body = String::from_utf8_lossy(&body).into_owned();
    Some(request)
}

/// Whether the connection goes on.
fn write(stream: &mut TcpStream, answer: Answer) -> bool {
    match answer {
        Answer::Whole { status, headers, body } => {
            let mut head = format!("HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\n", body.len());
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str("\r\n");
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).is_ok()
        }
        Answer::Half { body, sent } => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body[..sent]));
            false
        }
        Answer::Raw(bytes) => {
            let _ = stream.write_all(&bytes);
            false
        }
        Answer::Drip { wait, body } => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            let mut is_there = stream.write_all(head.as_bytes()).is_ok();
            for byte in body.chunks(1) {
                std::thread::sleep(wait);
                is_there = is_there && stream.write_all(byte).is_ok();
                if !is_there {
                    break;
                }
            }
            is_there
        }
        Answer::Stall { wait, body, sent } => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body[..sent]));
            std::thread::sleep(wait);
            false
        }
        Answer::Reset => false,
        Answer::Late { wait, body } => {
            std::thread::sleep(wait);
            write(stream, ok(body))
        }
    }
}
