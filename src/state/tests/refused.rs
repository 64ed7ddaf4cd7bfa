//! Stores and settings that must be refused, and what is done only once.

use std::sync::Arc;

use futures_util::future::join_all;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{ObjectStoreExt, RetryConfig};

use super::rigs::Rig;
use super::{Remote, unique};
use crate::secret::Secret;
use crate::state::error::Error;
use crate::state::store::RecordStore;

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_ignores_the_conditions_of_a_write_is_refused() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let rig = Rig::start("gcs.py", &[]);
    let store = GoogleCloudStorageBuilder::new()
        .with_base_url(rig.url())
        .with_bucket_name("haul")
        .with_skip_signature(true)
        .with_client_options(object_store::ClientOptions::new().with_allow_http(true))
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
        .build()
        .expect("a store");
    let opened = RecordStore::open_objects(Arc::new(store), Path::from("state"), "gs://haul/state").await;
    let error = opened.err().expect("refused");
    assert!(matches!(error, Error::Unconditional { .. }), "{error:?}");
    assert!(!error.is_temporary() && error.to_string().contains("`gs://haul/state`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_probed_once_and_the_probe_leaves_nothing() {
    use futures_util::TryStreamExt;
    use object_store::ObjectStore;

    let prefix = unique("probe");
    for _ in 0..2 {
        Remote::S3.open(&Remote::S3.address(), &prefix).await.expect("a store");
    }
    let store = Remote::S3.store(Remote::S3.rig().url());
    let place = Path::from(prefix.clone());
    let left: Vec<_> = store.list(Some(&place)).try_collect().await.expect("listed");
    let names: Vec<_> = left.iter().map(|meta| meta.location.filename().unwrap_or_default().to_owned()).collect();
    assert_eq!(names, ["_haul-state.json"]);
    let first = left.into_iter().next().expect("the marker");
    Remote::S3.open(&Remote::S3.address(), &prefix).await.expect("a store");
    let again = store.head(&first.location).await.expect("the marker");
    assert_eq!((again.e_tag, again.last_modified), (first.e_tag, first.last_modified), "the marker was written anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_is_missing_is_named() {
    let store = Remote::Azure.store(&Remote::Azure.rig().url().replace("/devstoreaccount1", "/devstoreaccount1"));
    drop(store);
    let missing = object_store::azure::MicrosoftAzureBuilder::new()
        .with_account(Remote::Azure.rig().text("account"))
        .with_access_key(Remote::Azure.rig().text("key"))
        .with_endpoint(Remote::Azure.rig().url().to_owned())
        .with_container_name("nowhere")
        .with_allow_http(true)
        .build()
        .expect("a store");
    let opened = RecordStore::open_objects(Arc::new(missing), Path::from("state"), "az://nowhere/state").await;
    let error = opened.err().expect("refused");
    assert!(!error.is_temporary(), "{error:?}");
    assert!(error.hint().is_some_and(|hint| hint.contains("container")), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_is_made_by_whoever_comes_first() {
    let schema = unique("race").replace('-', "_");
    let (client, connection) =
        tokio_postgres::connect(Remote::Postgres.rig().url(), tokio_postgres::NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client.batch_execute(&format!("CREATE SCHEMA {schema}")).await.expect("a schema");
    let url = Secret::new(format!("{}?options=-c%20search_path%3D{schema}", Remote::Postgres.rig().url()));
    let opened = join_all((0..8).map(|_| RecordStore::open_postgres(&url, None))).await;
    for (number, store) in opened.into_iter().enumerate() {
        store.expect("a store").create(&format!("lease/{number}"), "\"x\"").await.expect("created");
    }
    let count = client.query_one(&format!("SELECT count(*) FROM {schema}.haul_records"), &[]).await.expect("counted");
    assert_eq!(count.get::<_, i64>(0), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_no_temporary_failure_and_the_right_one_may_stand_beside() {
    let rig = Remote::Postgres.rig();
    let bare = Secret::new(rig.url().replace(&format!(":{}@", rig.text("password")), "@"));
    let right = Secret::new(rig.text("password").to_owned());
    RecordStore::open_postgres(&bare, Some(&right)).await.expect("a store");
    for password in [None, Some(Secret::new("not-the-password".to_owned()))] {
        let error = RecordStore::open_postgres(&bare, password.as_ref()).await.err().expect("refused");
        assert!(!error.is_temporary(), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_cannot_be_used_says_why_without_its_password() {
    for (address, says) in [
        ("postgres://haul:hunter22@/x", "no host"),
        ("postgres://:hunter22@db/x", "no user"),
        ("postgres://haul:hunter22@db", "no database"),
        ("postgres://haul:hunter22@db/x?sslmode=maybe", "sslmode"),
        ("postgres://haul:hunter22@db/x?schema=y", "schema"),
        ("postgres://haul:hunter22@db:port/x", "port"),
    ] {
        let error = RecordStore::open_postgres(&Secret::new(address.to_owned()), None).await.err().expect("refused");
        let text = format!("{error} {error:?}");
        assert!(matches!(error, Error::Place { .. }) && text.contains(says), "{address}: {text}");
        assert!(!text.contains("hunter22"), "{text}");
    }
}
