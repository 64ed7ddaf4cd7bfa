//! A scripted authorization server whose refresh tokens behave as those of one class, and which fails as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex};

use serde_json::json;

use super::server::{Answer, Request, Server, ok, status};

/// What happens when a refresh token is used twice; the names are those of the job file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    NotRotated,
    OldStaysValid,
    ValidUntilSuccessorUsed,
    ValidForWindow,
    SingleUse,
    ReuseRevokesFamily,
}

pub const CLASSES: [Class; 6] = [
    Class::NotRotated,
    Class::OldStaysValid,
    Class::ValidUntilSuccessorUsed,
    Class::ValidForWindow,
    Class::SingleUse,
    Class::ReuseRevokesFamily,
];

impl Class {
    pub fn name(self) -> &'static str {
        match self {
            Class::NotRotated => "not_rotated",
            Class::OldStaysValid => "old_stays_valid",
            Class::ValidUntilSuccessorUsed => "valid_until_successor_used",
            Class::ValidForWindow => "valid_for_window",
            Class::SingleUse => "single_use",
            Class::ReuseRevokesFamily => "reuse_revokes_family",
        }
    }
}

/// What goes wrong with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection breaks before anything happens.
    LoseRequest,
    /// The token is spent, then the connection breaks.
    LoseAnswer,
    /// Nothing happens, and this status says so.
    FailBefore(u16),
    /// The token is spent, and this status says that it was not.
    FailAfter(u16),
    /// The token is spent, and a web page comes back.
    Html,
    /// The token is spent, and half of the answer comes back as if it were whole.
    CutJson,
    /// The token stays good, and the answer brings no new one.
    NoRefreshToken,
    /// Nothing happens but this error code, with 400 or, for `invalid_client`, 401.
    Error(&'static str),
    /// The token is spent, and the answer waits for `release`.
    Hold,
}

#[derive(Debug)]
struct Issued {
    parent: String,
    is_spent: bool,
    is_revoked: bool,
}

#[derive(Debug)]
struct Book {
    class: Class,
    tokens: BTreeMap<String, Issued>,
    count: u64,
    is_window_over: bool,
    faults: VecDeque<Fault>,
    is_released: bool,
    expires_in: u64,
}

type Shared = Arc<(Mutex<Book>, Condvar)>;

pub struct Provider {
    server: Server,
    shared: Shared,
}

impl Provider {
    pub fn start(class: Class) -> Self {
        let book = Book {
            class,
            tokens: BTreeMap::new(),
            count: 0,
            is_window_over: false,
            faults: VecDeque::new(),
            is_released: false,
            expires_in: 3600,
        };
        let shared: Shared = Arc::new((Mutex::new(book), Condvar::new()));
        let of_server = Arc::clone(&shared);
        let server = Server::start(move |request, _| answer(&of_server, request));
        Provider { server, shared }
    }

    pub fn url(&self) -> &str {
        &self.server.url
    }

    /// Token requests so far.
    pub fn requests(&self) -> usize {
        self.server.asked().iter().filter(|request| request.path() == "/token").count()
    }

    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.shared.0.lock().expect("a book")
    }

    /// A refresh token of a new family, as a login would give it.
    pub fn new_family(&self) -> String {
        self.book().issue("")
    }

    pub fn fail(&self, faults: &[Fault]) {
        self.book().faults.extend(faults.iter().cloned());
    }

    pub fn close_window(&self) {
        self.book().is_window_over = true;
    }

    /// Access tokens live so long, in seconds.
    pub fn expire_in(&self, seconds: u64) {
        self.book().expires_in = seconds;
    }

    /// Sends what `Hold` held back.
    pub fn release(&self) {
        self.book().is_released = true;
        self.shared.1.notify_all();
    }

    /// Whether this refresh token would be taken now.
    pub fn takes(&self, token: &str) -> bool {
        self.book().takes(token)
    }

    /// The job's lines that use this provider.
    pub fn auth(&self) -> String {
        let class = self.book().class.name();
        format!(
            "auth:\n  oauth2:\n    grant: refresh_token\n    client_id: client\n    token_url: {}/token\n    \
             rotation: {{ class: {class}, window: 60s, invalid_codes: [unauthorized_client] }}\n    timeout: 1s\n",
            self.url()
        )
    }
}

impl Book {
    fn issue(&mut self, parent: &str) -> String {
        self.count += 1;
        let token = format!("canary-refresh-{}-{:08x}", self.count, self.count.wrapping_mul(0x9e37_79b9) as u32);
        self.tokens.insert(token.clone(), Issued { parent: parent.to_owned(), is_spent: false, is_revoked: false });
        token
    }

    fn takes(&self, token: &str) -> bool {
        let Some(issued) = self.tokens.get(token) else { return false };
        let is_successor_used = || self.tokens.values().any(|other| other.parent == token && other.is_spent);
        !issued.is_revoked
            && match self.class {
                Class::NotRotated | Class::OldStaysValid => true,
                Class::ValidUntilSuccessorUsed => !is_successor_used(),
                Class::ValidForWindow => !issued.is_spent || !self.is_window_over,
                Class::SingleUse | Class::ReuseRevokesFamily => !issued.is_spent,
            }
    }

    fn root(&self, token: &str) -> String {
        let mut at = token.to_owned();
        while let Some(issued) = self.tokens.get(&at).filter(|issued| !issued.parent.is_empty()) {
            at.clone_from(&issued.parent);
        }
        at
    }

    /// The token that follows; `None` = it is not taken.
    fn spend(&mut self, token: &str) -> Option<String> {
        if !self.takes(token) {
            if self.class == Class::ReuseRevokesFamily && self.tokens.contains_key(token) {
                let root = self.root(token);
                let family: Vec<String> =
                    self.tokens.keys().filter(|other| self.root(other) == root).cloned().collect();
                for member in family {
                    self.tokens.get_mut(&member).expect("issued").is_revoked = true;
                }
            }
            return None;
        }
        self.tokens.get_mut(token).expect("issued").is_spent = true;
        Some(if self.class == Class::NotRotated { token.to_owned() } else { self.issue(token) })
    }
}

fn error(code: &str) -> Answer {
    status(if code == "invalid_client" { 401 } else { 400 }, json!({ "error": code }).to_string())
}

fn answer(shared: &Shared, request: &Request) -> Answer {
    let token = url::form_urlencoded::parse(request.body.as_bytes())
        .find(|(name, _)| name == "refresh_token")
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default();
    let mut book = shared.0.lock().expect("a book");
    let fault = book.faults.pop_front();
    match fault {
        Some(Fault::LoseRequest) => return Answer::Reset,
        Some(Fault::FailBefore(code)) => return status(code, "try later"),
        Some(Fault::Error(code)) => return error(code),
        Some(Fault::NoRefreshToken) => {
            return ok(
                json!({ "access_token": "canary-access-0", "token_type": "bearer", "expires_in": 3600 }).to_string()
            );
        }
        _ => {}
    }
    let Some(new) = book.spend(&token) else { return error("invalid_grant") };
    let answer = json!({
        "access_token": format!("canary-access-{}", book.count),
        "token_type": "bearer",
        "expires_in": book.expires_in,
        "refresh_token": new,
    })
    .to_string();
    match fault {
        Some(Fault::LoseAnswer) => Answer::Reset,
        Some(Fault::FailAfter(code)) => status(code, "something went wrong"),
        Some(Fault::Html) => ok("<html><title>Sign in</title></html>").with("content-type", "text/html"),
        Some(Fault::CutJson) => ok(answer[..answer.len() / 2].to_owned()),
        Some(Fault::Hold) => {
            while !book.is_released {
                book = shared.1.wait(book).expect("a book");
            }
            ok(answer)
        }
        _ => ok(answer),
    }
}
