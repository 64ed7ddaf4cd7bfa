//! One suite for every backend, against real servers: SQLite, PostgreSQL, Azurite and moto's S3. What a store does when
//! the network fails is in `faults`, stores that must be refused are in `refused`.

// Written for the tests that start the binary, which use more of it.
#[allow(dead_code, missing_docs, unreachable_pub)]
#[path = "../../../tests/support/rigs.rs"]
mod rigs;

mod conformance;
mod faults;
mod leases;
mod proxy;
mod refused;

use std::sync::{Arc, OnceLock};

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::path::Path;
use object_store::{ObjectStore, RetryConfig};
use tempfile::TempDir;
use ulid::Ulid;

use self::rigs::Rig;
use super::error::Error;
use super::store::RecordStore;
use crate::secret::Secret;

/// The kinds of remote stores; a server of each is started once and ends with the test process.
#[derive(Debug, Clone, Copy)]
enum Remote {
    Postgres,
    Azure,
    S3,
}

const REMOTES: [Remote; 3] = [Remote::Postgres, Remote::Azure, Remote::S3];

impl Remote {
    fn rig(self) -> &'static Rig {
        static POSTGRES: OnceLock<Rig> = OnceLock::new();
        static AZURE: OnceLock<Rig> = OnceLock::new();
        static S3: OnceLock<Rig> = OnceLock::new();
        match self {
            Remote::Postgres => POSTGRES.get_or_init(|| Rig::start("postgres.mjs", &[])),
            Remote::Azure => AZURE.get_or_init(|| {
                let rig = Rig::start("azurite.mjs", &[]);
                rigs::output_of("blob.py", &["container", "--url", rig.url(), "--name", "state"]);
                rig
            }),
            Remote::S3 => S3.get_or_init(|| Rig::start("s3.py", &[])),
        }
    }

    /// Where its server listens.
    fn address(self) -> String {
        let url: url::Url = self.rig().url().parse().expect("a URL");
        format!("127.0.0.1:{}", url.port().expect("a port"))
    }

    /// Opens the records by way of an address; a prefix of its own where there are prefixes.
    async fn open(self, address: &str, prefix: &str) -> Result<RecordStore, Error> {
        match self {
            Remote::Postgres => {
                let direct = self.rig().url();
                let url = Secret::new(direct.replace(&self.address(), address));
                RecordStore::open_postgres(&url, None).await
            }
            Remote::Azure | Remote::S3 => {
                let url = self.rig().url().replace(&self.address(), address);
                RecordStore::open_objects(self.store(&url), Path::from(prefix), "test://state").await
            }
        }
    }

    /// As the engine opens it: nothing is repeated by the library.
    fn store(self, url: &str) -> Arc<dyn ObjectStore> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let retry = RetryConfig { max_retries: 0, ..RetryConfig::default() };
        match self {
            Remote::Postgres => panic!("a database is no object store"),
            Remote::Azure => {
                let rig = self.rig();
                let builder = MicrosoftAzureBuilder::new()
                    .with_account(rig.text("account"))
                    .with_access_key(rig.text("key"))
                    .with_endpoint(url.to_owned())
                    .with_container_name("state");
                Arc::new(builder.with_allow_http(true).with_retry(retry).build().expect("an Azure store"))
            }
            Remote::S3 => {
                let builder = AmazonS3Builder::new()
                    .with_endpoint(url)
                    .with_region("us-east-1")
                    .with_access_key_id("writer")
                    .with_secret_access_key("writer")
                    .with_bucket_name("haul");
                Arc::new(builder.with_allow_http(true).with_retry(retry).build().expect("an S3 store"))
            }
        }
    }
}

/// A name that no other test uses.
fn unique(name: &str) -> String {
    format!("{name}-{}", Ulid::generate().to_string().to_ascii_lowercase())
}

/// Two stores opened apart on the same place, as two processes would; the folder lives as long as they do.
struct Pair {
    one: Arc<RecordStore>,
    other: Arc<RecordStore>,
    _folder: Option<TempDir>,
}

impl Pair {
    fn sqlite() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let open = || Arc::new(RecordStore::open_folder(&folder.path().join("state")).expect("a store"));
        Pair { one: open(), other: open(), _folder: Some(folder) }
    }

    async fn remote(remote: Remote) -> Self {
        let prefix = unique("pair");
        let open = async || Arc::new(remote.open(&remote.address(), &prefix).await.expect("a store"));
        Pair { one: open().await, other: open().await, _folder: None }
    }
}
