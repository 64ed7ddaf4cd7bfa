//! Where the state is: what the operator typed, read. Nothing is opened here.

use std::ffi::OsStr;
use std::path::PathBuf;

use url::Url;

use crate::job::load::Environment;
use crate::model::plan::Place;
use crate::secret::Secret;
use crate::state::{Error, holds_password};

/// Where the records are. Not printable: options hold keys.
pub(crate) enum StatePlace {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A database; the whole address is secret, because it may hold a password. `password` is for an address without.
    Postgres { address: Secret, password: Option<Secret> },
    /// An object store with its options.
    Objects { url: Url, options: Vec<(String, String)> },
}

/// Where a place was said; other users of the machine can read arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    Argument,
    Environment,
}

const PLACES: &str = "a folder, `postgres://user@host/database`, `az://container/prefix`, `s3://bucket/prefix` or \
                      `gs://bucket/prefix`";

impl StatePlace {
    /// Reads `--state` or HAUL_STATE. No error shows a user, password or query.
    pub(crate) fn parse(text: &OsStr, said: Said) -> Result<Self, Error> {
        let Some(text) = text.to_str() else { return Ok(StatePlace::Folder(text.into())) };
        if let Some(folder) = text.strip_prefix("sqlite:") {
            let folder = folder.strip_prefix("//").unwrap_or(folder);
            return Ok(StatePlace::Folder(folder.into()));
        }
        let Some((scheme, _)) = text.split_once("://") else { return Ok(StatePlace::Folder(text.into())) };
        let wrong = |why: String| Error::Place { place: format!("`{scheme}://…`"), why };
        match scheme {
            "postgres" | "postgresql" => {
                let address = Secret::new(text.to_owned());
                if said == Said::Argument && holds_password(&address) {
                    return Err(Error::PasswordInArgument);
                }
                Ok(StatePlace::Postgres { address, password: Environment::get("PGPASSWORD").map(Secret::new) })
            }
            "az" | "s3" | "gs" => {
                let url: Url = text.parse().map_err(|error: url::ParseError| wrong(error.to_string()))?;
                let is_bare = url.query().is_none()
                    && url.fragment().is_none()
                    && url.username().is_empty()
                    && url.password().is_none();
                if !is_bare {
                    let why = "it holds a user, password, query or fragment; credentials and options come from AZURE_…, \
                               AWS_… or GOOGLE_… variables";
                    return Err(wrong(why.to_owned()));
                }
                if url.host_str().is_none_or(str::is_empty) {
                    return Err(wrong("the container or bucket is missing".to_owned()));
                }
                let options = Environment::store_options(&Place::Remote(url.clone()));
                Ok(StatePlace::Objects { url, options })
            }
            _ => Err(wrong(format!("allowed are {PLACES}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, said: Said, expect: &str) {
        let found = match StatePlace::parse(OsStr::new(text), said) {
            Ok(StatePlace::Folder(folder)) => format!("folder {}", folder.display()),
            Ok(StatePlace::Postgres { .. }) => "database".to_owned(),
            Ok(StatePlace::Objects { url, .. }) => format!("objects {url}"),
            Err(error) => error.to_string(),
        };
        assert!(found.contains(expect), "{text}: {found}");
        assert!(!found.contains("hunter22"), "{found}");
    }

    #[test]
    fn a_place_is_read_and_a_password_in_an_argument_is_refused() {
        check("/var/lib/haul", Said::Argument, "folder /var/lib/haul");
        check("sqlite:/var/lib/haul", Said::Argument, "folder /var/lib/haul");
        check("sqlite:///var/lib/haul", Said::Argument, "folder /var/lib/haul");
        check("C:\\haul", Said::Argument, "folder C:\\haul");
        check("postgres://haul@db/haul", Said::Argument, "database");
        check("postgres://haul:hunter22@db/haul", Said::Environment, "database");
        check("postgres://haul:hunter22@db/haul", Said::Argument, "a password stands in the argument");
        check("postgresql://haul@db/haul?password=hunter22", Said::Argument, "a password stands in the argument");
        check("az://state/haul", Said::Argument, "objects az://state/haul");
        check("s3://", Said::Argument, "cannot be used");
        check("s3://key:hunter22@bucket/p", Said::Environment, "it holds a user");
        check("az://state/haul?sig=hunter22", Said::Environment, "it holds a user");
        check("mysql://u:hunter22@db/haul", Said::Environment, "allowed are a folder");
    }
}
