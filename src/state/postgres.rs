//! Records in a table of a PostgreSQL database, over one connection that is opened again when it was lost.
//!
//! A client that gives up on an answer also gives up the connection: the answer would be taken for the next one's.

use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::Error;
use super::store::{Version, Versioned};
use crate::limits::{STATE_ANSWER_MAX, STATE_CONNECT_MAX, STATE_STATEMENT_MAX};
use crate::secret::Secret;

/// `CREATE TABLE IF NOT EXISTS` of two sessions at once fails for one of them; the lock lets them go one by one. Its
/// number is ours ("haul").
const MAKE_TABLE: &str = "
    BEGIN;
    SELECT pg_advisory_xact_lock(1751217516);
    CREATE TABLE IF NOT EXISTS haul_records (
        key text COLLATE \"C\" PRIMARY KEY,
        version bigint NOT NULL,
        value text NOT NULL,
        changed_at timestamptz NOT NULL
    );
    COMMIT";

/// The records of one database; any number of processes and hosts may use it at once.
pub(crate) struct PostgresRecords {
    /// Boxed: it is several times as large as the other backends.
    config: Box<Config>,
    /// Absent = there is none, or it was given up.
    client: Mutex<Option<Arc<Client>>>,
    /// For messages: host and database.
    place: String,
}

impl PostgresRecords {
    /// Connects, and makes the table where there is none.
    pub(super) async fn open(address: &Secret, password: Option<&Secret>) -> Result<Self, Error> {
        let (config, place) = read_address(address, password)?;
        let records = PostgresRecords { config: Box::new(config), client: Mutex::new(None), place };
        // A table that is there is not made again: a user without CREATE may then use it.
        let is_there = records
            .with("opened", |client| async move {
                client.query_one("SELECT to_regclass('haul_records') IS NOT NULL", &[]).await
            })
            .await?;
        if !is_there.get::<_, bool>(0) {
            records.with("made", |client| async move { client.batch_execute(MAKE_TABLE).await }).await?;
        }
        Ok(records)
    }

    /// The record, or `None` when there is none.
    pub(super) async fn get(&self, key: &str) -> Result<Option<Versioned>, Error> {
        let row = self
            .read(|client| async move {
                client.query_opt("SELECT key, version, value FROM haul_records WHERE key = $1", &[&key]).await
            })
            .await?;
        Ok(row.as_ref().map(versioned))
    }

    /// All records whose key starts with the prefix, by key.
    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<Versioned>, Error> {
        let rows = self
            .read(|client| async move {
                let statement = "SELECT key, version, value FROM haul_records WHERE starts_with(key, $1) ORDER BY key";
                client.query(statement, &[&prefix]).await
            })
            .await?;
        Ok(rows.iter().map(versioned).collect())
    }

    /// Their keys alone.
    pub(super) async fn keys(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let rows = self
            .read(|client| async move {
                let statement = "SELECT key FROM haul_records WHERE starts_with(key, $1) ORDER BY key";
                client.query(statement, &[&prefix]).await
            })
            .await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Creates the record; `false` = somebody else was first.
    pub(super) async fn create(&self, key: &str, value: &str) -> Result<bool, Error> {
        let changed = self
            .with("written", |client| async move {
                let statement = "INSERT INTO haul_records (key, version, value, changed_at) \
                                 VALUES ($1, 1, $2, now()) ON CONFLICT DO NOTHING";
                client.execute(statement, &[&key, &value]).await
            })
            .await?;
        Ok(changed == 1)
    }

    /// Replaces the record if it still has this version; `false` = it changed meanwhile. Durable when it returns.
    pub(super) async fn swap(&self, key: &str, version: &Version, value: &str) -> Result<bool, Error> {
        // A version of another kind of store is none of ours.
        let Ok(version) = version.0.parse::<i64>() else { return Ok(false) };
        let changed = self
            .with("written", |client| async move {
                let statement = "UPDATE haul_records SET version = version + 1, value = $3, changed_at = now() \
                                 WHERE key = $1 AND version = $2";
                client.execute(statement, &[&key, &version, &value]).await
            })
            .await?;
        Ok(changed == 1)
    }

    /// Removes the record, if it is there. May be repeated.
    pub(super) async fn remove(&self, key: &str) -> Result<(), Error> {
        self.read(|client| async move { client.execute("DELETE FROM haul_records WHERE key = $1", &[&key]).await })
            .await
            .map(|_| ())
    }

    /// A read on a connection that turns out to be gone is repeated on a new one.
    async fn read<T, F>(&self, work: impl Fn(Arc<Client>) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, tokio_postgres::Error>>,
    {
        match self.with("read", &work).await {
            Err(Error::Postgres { source, .. }) if is_session_over(&source) => self.with("read", &work).await,
            read => read,
        }
    }

    async fn with<T, F>(&self, doing: &'static str, work: impl FnOnce(Arc<Client>) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, tokio_postgres::Error>>,
    {
        let client = self.client().await?;
        match timeout(STATE_ANSWER_MAX, work(Arc::clone(&client))).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(source)) => {
                // The connection's task may still be about to notice.
                if is_session_over(&source) {
                    self.give_up(&client).await;
                }
                Err(Error::Postgres { place: self.place.clone(), doing, source })
            }
            Err(_) => {
                self.give_up(&client).await;
                Err(Error::Silent { place: self.place.clone(), limit: STATE_ANSWER_MAX })
            }
        }
    }

    /// The connection, opened where there is none or where the server ended it.
    async fn client(&self) -> Result<Arc<Client>, Error> {
        let mut slot = self.client.lock().await;
        if let Some(client) = slot.as_ref().filter(|client| !client.is_closed()) {
            return Ok(Arc::clone(client));
        }
        let connected = timeout(STATE_CONNECT_MAX, self.connect()).await;
        let client = connected.map_err(|_| Error::Silent { place: self.place.clone(), limit: STATE_CONNECT_MAX })??;
        let client = Arc::new(client);
        *slot = Some(Arc::clone(&client));
        Ok(client)
    }

    async fn give_up(&self, client: &Arc<Client>) {
        let mut slot = self.client.lock().await;
        if slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, client)) {
            *slot = None;
        }
    }

    async fn connect(&self) -> Result<Client, Error> {
        let wrong = |source| Error::Postgres { place: self.place.clone(), doing: "reached", source };
        let tls = tls().map_err(|error| Error::Place { place: self.place.clone(), why: error.to_string() })?;
        let (client, connection) = self.config.connect(tls).await.map_err(wrong)?;
        // It ends with its client; what goes wrong in it reaches whoever waits for an answer.
        tokio::spawn(connection);
        // The database's own settings may say otherwise, and an acknowledged record must survive the power going out.
        let settings = format!(
            "SET synchronous_commit = on; SET statement_timeout = {0}; SET lock_timeout = {0}",
            STATE_STATEMENT_MAX.as_millis()
        );
        client.batch_execute(&settings).await.map_err(wrong)?;
        Ok(client)
    }
}

/// Ended by the network, or by the server with a word: at its restart, or by an administrator.
fn is_session_over(error: &tokio_postgres::Error) -> bool {
    error.is_closed() || error.code() == Some(&SqlState::ADMIN_SHUTDOWN)
}

/// Whether an address of a database names a password; one that cannot be read is refused when it is opened.
pub(crate) fn holds_password(address: &Secret) -> bool {
    Config::from_str(address.expose()).is_ok_and(|config| config.get_password().is_some())
}

/// The address as a library's settings, and how it is shown: without user and password.
fn read_address(address: &Secret, password: Option<&Secret>) -> Result<(Config, String), Error> {
    let wrong = |why: String| Error::Place { place: "`postgres://…`".to_owned(), why };
    // libpq's stricter modes ask for what we always do: the certificate and the host's name are verified.
    let text = address.expose().replace("sslmode=verify-full", "sslmode=require");
    // The library's message names a parameter, never a value.
    let mut config = Config::from_str(&text).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        wrong(format!("{error}{cause}"))
    })?;
    if let (None, Some(password)) = (config.get_password(), password) {
        config.password(password.expose());
    }
    if let Some(password) = config.get_password() {
        // Known to the mask from here on.
        drop(Secret::new(String::from_utf8_lossy(password).into_owned()));
    }
    if config.get_hosts().is_empty() {
        return Err(wrong("it names no host".to_owned()));
    }
    if config.get_user().is_none_or(str::is_empty) {
        return Err(wrong("it names no user".to_owned()));
    }
    let Some(database) = config.get_dbname().map(str::to_owned) else {
        return Err(wrong("it names no database".to_owned()));
    };
    let hosts: Vec<String> = config.get_hosts().iter().map(host_text).collect();
    let place = format!("`postgres://{}/{database}`", hosts.join(","));
    // A host at a time; the whole attempt has its own limit.
    config.connect_timeout(STATE_CONNECT_MAX).tcp_user_timeout(STATE_ANSWER_MAX).application_name("haul");
    Ok((config, place))
}

fn host_text(host: &tokio_postgres::config::Host) -> String {
    match host {
        tokio_postgres::config::Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        tokio_postgres::config::Host::Unix(folder) => folder.display().to_string(),
    }
}

/// The provider and the certificates that the HTTP client uses too.
fn tls() -> Result<MakeRustlsConnect, rustls::Error> {
    use rustls_platform_verifier::BuilderVerifierExt;

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn versioned(row: &Row) -> Versioned {
    Versioned { key: row.get(0), version: Version(row.get::<_, i64>(1).to_string()), value: row.get(2) }
}
