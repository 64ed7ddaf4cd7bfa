//! What can go wrong with the record store.

use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::error::SqlState;

/// What can go wrong with the record store. No variant shows a password or a query string.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the folder `{folder}` cannot be used")]
    Folder { folder: PathBuf, source: std::io::Error },
    #[error("the folder `{folder}` is open to other users (mode {mode:o}); it holds tokens or the key to them")]
    Open { folder: PathBuf, mode: u32 },
    #[error("the folder `{folder}` is a link")]
    Link { folder: PathBuf },
    #[error("the folder `{folder}` belongs to another user")]
    Foreign { folder: PathBuf },
    #[error("the record store `{file}` cannot be {doing}")]
    Sqlite { file: PathBuf, doing: &'static str, source: rusqlite::Error },
    #[error("the record store {place} cannot be {doing}")]
    Postgres { place: String, doing: &'static str, source: tokio_postgres::Error },
    #[error("the record `{key}` in {place} cannot be {doing}")]
    Object { place: String, key: String, doing: &'static str, source: object_store::Error },
    #[error("the record store {place} did not answer within {} s", .limit.as_secs())]
    Silent { place: String, limit: Duration },
    #[error("the record store {place} ignores the conditions of a write: {what}")]
    Unconditional { place: String, what: &'static str },
    #[error("the record `{key}` is not readable: {why}")]
    Record { key: String, why: String },
    #[error(
        "the record `{key}` could not be changed in {tries} tries: too many use it at once, or its store is too slow"
    )]
    Contended { key: String, tries: u32 },
    #[error("the record `{key}` has {bytes} bytes, limit RECORD_BYTES_MAX")]
    TooLarge { key: String, bytes: u64 },
    #[error("the state {place} cannot be used: {why}")]
    Place { place: String, why: String },
    #[error("a password stands in the argument `--state`, where every user of this machine can read it")]
    PasswordInArgument,
}

impl Error {
    /// What the user can do, where we know it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Error::Open { folder, .. } => Some(format!(
                "`chmod 700 {0}`, or name a folder below it: haul makes that one private",
                folder.display()
            )),
            Error::Link { .. } => Some("name the folder that it leads to".to_owned()),
            Error::Foreign { .. } => {
                Some("`chown` it to the user haul runs as, or name a folder below it: haul makes that one".to_owned())
            }
            Error::Folder { .. } => {
                Some("`--state` or HAUL_STATE, and with a remote state `--local` or HAUL_LOCAL, name it".to_owned())
            }
            Error::Sqlite { .. } => Some("the state folder is chosen by `--state` or HAUL_STATE".to_owned()),
            Error::Postgres { source, .. } => Some(postgres_hint(source)),
            Error::Object { source: object_store::Error::NotFound { .. }, .. } => {
                Some("check that the container or bucket of HAUL_STATE exists; haul does not create it".to_owned())
            }
            Error::Object {
                source: object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. },
                ..
            } => Some(
                "the credential must be allowed to read, list, create, replace and delete below the prefix; it comes \
                 from AZURE_…, AWS_… or GOOGLE_… variables"
                    .to_owned(),
            ),
            Error::Unconditional { .. } => Some(
                "two runs could overwrite each other's tokens there: keep the state in PostgreSQL, a folder, or a \
                 store with conditional puts (Azure Blob, Amazon S3, Google Cloud Storage)"
                    .to_owned(),
            ),
            Error::Silent { .. } => Some("nothing is lost: run again when the store answers".to_owned()),
            Error::Place { .. } => Some("`--state` and HAUL_STATE are described in docs/OPERATING.md".to_owned()),
            Error::PasswordInArgument => Some(
                "set HAUL_STATE in the environment, or leave the password out and set PGPASSWORD; and change this \
                 password"
                    .to_owned(),
            ),
            Error::Object { .. } | Error::Record { .. } | Error::Contended { .. } | Error::TooLarge { .. } => None,
        }
    }

    /// Whether the same run may succeed later without anybody changing anything.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Error::Sqlite { .. } | Error::Silent { .. } | Error::Contended { .. } => true,
            Error::Postgres { source, .. } => is_postgres_temporary(source),
            Error::Object { source, .. } => matches!(source, object_store::Error::Generic { .. }),
            Error::Folder { .. }
            | Error::Open { .. }
            | Error::Link { .. }
            | Error::Foreign { .. }
            | Error::Unconditional { .. }
            | Error::Record { .. }
            | Error::TooLarge { .. }
            | Error::Place { .. }
            | Error::PasswordInArgument => false,
        }
    }
}

fn postgres_hint(error: &tokio_postgres::Error) -> String {
    match error.code() {
        Some(&SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => {
            "check the user of HAUL_STATE, and its password there or in PGPASSWORD".to_owned()
        }
        Some(&SqlState::INVALID_CATALOG_NAME) => "create the database; haul creates its table only".to_owned(),
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            "the user needs CREATE on the schema once, then SELECT, INSERT and UPDATE on haul_records".to_owned()
        }
        _ if is_certificate(error) => {
            "the certificate must be valid for the host of HAUL_STATE; SSL_CERT_FILE names a private authority, and \
             `?sslmode=disable` is for a trusted network"
                .to_owned()
        }
        _ => "the database is chosen by HAUL_STATE or `--state`".to_owned(),
    }
}

/// Temporary is what a server says of itself (connection, resources, intervention, system, transaction: classes 08, 53,
/// 57, 58, 40; read only during a fail-over) and what the network does; a refused certificate is neither.
fn is_postgres_temporary(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        Some(code) => {
            let temporary = ["08", "53", "57", "58", "40"];
            temporary.iter().any(|class| code.code().starts_with(class)) || *code == SqlState::READ_ONLY_SQL_TRANSACTION
        }
        None => {
            error.is_closed() || (causes(error).any(|cause| cause.is::<std::io::Error>()) && !is_certificate(error))
        }
    }
}

fn is_certificate(error: &tokio_postgres::Error) -> bool {
    let is_tls = |io: &std::io::Error| io.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
    causes(error).filter_map(|cause| cause.downcast_ref::<std::io::Error>()).any(is_tls)
}

fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}
