//! Stores and settings that must be refused, and what is done only once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, Method, StatusCode, Uri};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::{Remote, unique};
use crate::secret::Secret;
use crate::state::error::Error;
use crate::state::store::RecordStore;

/// Which conditions a server of ours keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeps {
    Nothing,
    CreationOnly,
    All,
}

/// A store as S3 spells it, that keeps only some of the conditions of a write. The emulator known for that gives no
/// entity tag, and our client refuses to talk to it at all.
async fn serve(keeps: Keeps) -> String {
    type Objects = Arc<Mutex<HashMap<String, (u64, Bytes)>>>;

    async fn answer(
        State((keeps, objects)): State<(Keeps, Objects)>,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> (StatusCode, HeaderMap, Bytes) {
        let mut objects = objects.lock().expect("the objects");
        let tag = |number: u64| format!("\"tag-{number}\"");
        let found = objects.get(uri.path()).cloned();
        let mut fields = HeaderMap::new();
        fields.insert("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT".parse().expect("a field"));
        if method == Method::DELETE {
            objects.remove(uri.path());
            return (StatusCode::NO_CONTENT, fields, Bytes::new());
        }
        if method == Method::GET {
            let Some((number, content)) = found else { return (StatusCode::NOT_FOUND, fields, Bytes::new()) };
            fields.insert("etag", tag(number).parse().expect("a field"));
            return (StatusCode::OK, fields, content);
        }
        let is_taken = headers.contains_key("if-none-match") && found.is_some();
        let wanted = headers.get("if-match").map(|wanted| wanted.to_str().expect("a text").to_owned());
        let is_stale = wanted.is_some_and(|wanted| found.as_ref().is_none_or(|(number, _)| tag(*number) != wanted));
        if (is_taken && keeps != Keeps::Nothing) || (is_stale && keeps == Keeps::All) {
            return (StatusCode::PRECONDITION_FAILED, fields, Bytes::new());
        }
        let number = found.map_or(1, |(number, _)| number + 1);
        objects.insert(uri.path().to_owned(), (number, body));
        fields.insert("etag", tag(number).parse().expect("a field"));
        (StatusCode::OK, fields, Bytes::new())
    }

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let router = axum::Router::new().fallback(answer).with_state((keeps, Objects::default()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_ignores_the_conditions_of_a_write_is_refused() {
    for (keeps, says) in [
        (Keeps::Nothing, "it created an object whose name was taken"),
        (Keeps::CreationOnly, "it replaced an object that had changed meanwhile"),
    ] {
        let store = Remote::S3.store(&serve(keeps).await);
        // A refusal leaves no marker that would let a second try pass.
        for _ in 0..2 {
            let place = Path::from("state");
            let opened = RecordStore::open_objects(Arc::clone(&store), place, "s3://haul/state").await;
            let error = opened.err().expect("refused");
            assert!(matches!(error, Error::Unconditional { .. }), "{keeps:?}: {error:?}");
            assert!(!error.is_temporary() && error.to_string().contains("`s3://haul/state`"), "{error}");
            assert!(error.to_string().contains(says), "{keeps:?}: {error}");
        }
    }
    let store = Remote::S3.store(&serve(Keeps::All).await);
    RecordStore::open_objects(store, Path::from("state"), "s3://haul/state").await.expect("a store");
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
    let _ = rustls::crypto::ring::default_provider().install_default();
    let rig = Remote::Azure.rig();
    let missing = object_store::azure::MicrosoftAzureBuilder::new()
        .with_account(rig.text("account"))
        .with_access_key(rig.text("key"))
        .with_endpoint(rig.url().to_owned())
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
