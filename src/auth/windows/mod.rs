//! Windows authentication: Negotiate (RFC 4559) with Kerberos, and NTLM (MS-NTHT). The messages of one login
//! go over one connection; some servers then know the connection, others ask anew for every request.

mod handshake;
mod kdc;

use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use tokio::sync::Mutex;
use url::Url;

use self::handshake::Handshake;
use super::access::sensitive;
use super::error::Error;
use crate::http::{BodyBound, Challenge, Client, Error as HttpError, Reply, Request};
use crate::model::credential::WindowsScheme;
use crate::secret::Secret;

/// Messages of one login; Kerberos needs one or two, NTLM two.
const LEGS_MAX: usize = 5;
/// Logins begun anew because their messages did not go over one connection.
const LOGINS_MAX: usize = 5;

/// A user of a Windows domain, and where to log in.
pub(crate) struct WindowsLogin {
    /// `DOMAIN\user`, `user@realm` or a local `user`.
    pub username: String,
    pub password: Secret,
    pub scheme: WindowsScheme,
    /// Service principal name of the source, `HTTP/host`.
    pub spn: String,
    /// Absent = as the machine's Kerberos configuration says.
    pub kdc: Option<Url>,
    /// One login at a time, and nothing else between its messages.
    turn: Mutex<()>,
    /// A login went well.
    is_known: AtomicBool,
    /// The server forgets after every request: the login comes with it at once.
    is_asked_always: AtomicBool,
    /// The server does not let this user in. It is not asked again: many tries lock an account.
    is_refused: AtomicBool,
}

/// How the messages of a login were taken.
enum Login {
    Ended(Box<Result<Reply, HttpError>>),
    /// They went over different connections, so the server could not put them together.
    Scattered,
    /// The first one was not answered: the connection was in the middle of another login.
    Unheard,
}

impl WindowsLogin {
    pub(crate) fn new(
        username: String,
        password: Secret,
        scheme: WindowsScheme,
        spn: String,
        kdc: Option<Url>,
    ) -> Self {
        WindowsLogin {
            username,
            password,
            scheme,
            spn,
            kdc,
            turn: Mutex::new(()),
            is_known: AtomicBool::new(false),
            is_asked_always: AtomicBool::new(false),
            is_refused: AtomicBool::new(false),
        }
    }

    /// Sends a request, logging in where the server asks for it. The outer error is of the login.
    pub(super) async fn send(
        &self,
        client: &Client,
        request: Request,
        bound: BodyBound,
    ) -> Result<Result<Reply, HttpError>, Error> {
        let _turn = self.turn.lock().await;
        if self.is_refused.load(Ordering::Relaxed) {
            return Err(Error::WindowsRefused { user: self.username.clone() });
        }
        let sent = self.send_in_turn(client, request, bound).await;
        if matches!(sent, Err(Error::WindowsRefused { .. })) {
            self.is_refused.store(true, Ordering::Relaxed);
        }
        sent
    }

    async fn send_in_turn(
        &self,
        client: &Client,
        request: Request,
        bound: BodyBound,
    ) -> Result<Result<Reply, HttpError>, Error> {
        if !self.is_asked_always.load(Ordering::Relaxed) {
            let error = match client.send(request.clone(), bound).await {
                Ok(reply) => return Ok(Ok(reply)),
                Err(error) => error,
            };
            let Some(challenge) = challenge_of(&error) else { return Ok(Err(error)) };
            self.check_offered(challenge)?;
            // NTLM is asked again when the connection is another one.
            let is_forgotten = self.is_known.load(Ordering::Relaxed) && self.scheme == WindowsScheme::Negotiate;
            self.is_asked_always.store(is_forgotten, Ordering::Relaxed);
        }
        let mut last = Login::Scattered;
        for _ in 0..LOGINS_MAX {
            last = match self.log_in(client, &request, bound).await? {
                Login::Ended(ended) => return Ok(*ended),
                again => again,
            };
        }
        Err(match last {
            Login::Scattered => Error::Connections { spn: self.spn.clone() },
            Login::Ended(_) | Login::Unheard => Error::WindowsRefused { user: self.username.clone() },
        })
    }

    async fn log_in(&self, client: &Client, request: &Request, bound: BodyBound) -> Result<Login, Error> {
        let mut handshake = Handshake::new(self)?;
        let mut input = Vec::new();
        let mut connection = None;
        for leg in 0..LEGS_MAX {
            let output = handshake.step(&input).await?;
            let mut sent = request.clone();
            let token = format!("{} {}", self.scheme.name(), STANDARD.encode(output));
            sent.headers.insert(AUTHORIZATION, sensitive(&token)?);
            let error = match client.send(sent, bound).await {
                Ok(reply) => {
                    self.check_server(&mut handshake, &reply.headers).await?;
                    self.is_known.store(true, Ordering::Relaxed);
                    return Ok(Login::Ended(Box::new(Ok(reply))));
                }
                Err(error) => error,
            };
            let Some(challenge) = challenge_of(&error) else { return Ok(Login::Ended(Box::new(Err(error)))) };
            if leg > 0 && challenge.connection != connection {
                return Ok(Login::Scattered);
            }
            connection = challenge.connection;
            match self.message_in(challenge.offers.iter().map(String::as_str)) {
                Some(message) => input = message,
                // A ticket is a proof of its own.
                None if leg == 0 && self.scheme == WindowsScheme::Negotiate => {
                    return Err(Error::TicketRefused { spn: self.spn.clone() });
                }
                None if leg == 0 => return Ok(Login::Unheard),
                None => return Err(Error::WindowsRefused { user: self.username.clone() }),
            }
        }
        Err(Error::WindowsRefused { user: self.username.clone() })
    }

    /// The server's own proof, where it sends one.
    async fn check_server(&self, handshake: &mut Handshake, headers: &HeaderMap) -> Result<(), Error> {
        let offers = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|offer| offer.to_str().ok());
        if let Some(proof) = self.message_in(offers)
            && !handshake.is_done()
        {
            handshake.step(&proof).await.map_err(|_| Error::ServerUnproved { spn: self.spn.clone() })?;
        }
        Ok(())
    }

    fn check_offered(&self, challenge: &Challenge) -> Result<(), Error> {
        let schemes = || challenge.offers.iter().filter_map(|offer| offer.split_whitespace().next());
        if schemes().any(|scheme| scheme.eq_ignore_ascii_case(self.scheme.name())) {
            return Ok(());
        }
        let offered = schemes().map(|scheme| scheme.trim_end_matches(',').to_owned()).collect::<Vec<_>>().join(", ");
        Err(Error::NotOffered { wanted: self.scheme.name(), offered: crate::http::excerpt(offered.as_bytes()) })
    }

    /// The message behind the scheme's name in a challenge.
    fn message_in<'o>(&self, offers: impl Iterator<Item = &'o str>) -> Option<Vec<u8>> {
        offers
            .filter_map(|offer| offer.split_once(' '))
            .find(|(scheme, _)| scheme.eq_ignore_ascii_case(self.scheme.name()))
            .and_then(|(_, message)| STANDARD.decode(message.trim()).ok())
    }
}

fn challenge_of(error: &HttpError) -> Option<&Challenge> {
    match error {
        HttpError::Status { challenge, .. } => challenge.as_deref(),
        _ => None,
    }
}
