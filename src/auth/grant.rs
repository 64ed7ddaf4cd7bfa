//! How a purchase of tokens ended, as far as the vault must tell the cases apart.

use super::error::Error;
use super::record::Tokens;

/// How a token request ended.
pub(super) enum Granted {
    Yes(Box<Tokens>),
    /// The server certainly did not act: nothing was spent.
    NotSent(crate::http::Error),
    /// The server may have acted: the same token may be sent again.
    Ambiguous(crate::http::Error),
    /// The grant itself is no longer valid.
    InvalidGrant {
        why: String,
    },
    /// The client or the request is wrong; says nothing of the grant.
    Refused {
        why: String,
    },
    /// A good status whose body is no token answer: the server may have rotated.
    Unreadable {
        why: String,
    },
}

impl Granted {
    /// What kept us from asking at all, told as an outcome: nothing was spent.
    pub(super) fn hindered(error: Error) -> Self {
        match error {
            Error::Unanswered { source } => Granted::NotSent(source),
            other => {
                let cause = std::error::Error::source(&other).map(|cause| format!(": {cause}")).unwrap_or_default();
                Granted::Refused { why: format!("{other}{cause}") }
            }
        }
    }

    /// The tokens, or why a login got none.
    pub(super) fn into_login(self) -> Result<Tokens, Error> {
        match self {
            Granted::Yes(tokens) => Ok(*tokens),
            Granted::NotSent(source) | Granted::Ambiguous(source) => Err(Error::Unanswered { source }),
            Granted::InvalidGrant { why } => Err(Error::LoginRefused { why }),
            Granted::Refused { why } => Err(Error::ClientRefused { why }),
            Granted::Unreadable { why } => Err(Error::Unreadable { why }),
        }
    }
}
