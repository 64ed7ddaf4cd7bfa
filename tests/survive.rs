//! Full runs killed at random, from the first page to the last step of the publication, with a reader that polls the
//! pointer and reads every part: it sees a whole dataset of one moment, always, and every later run completes.
//!
//! This is a short loop; what makes it long is set by variables:
//!
//! ```sh
//! HAUL_KILLS=3000 HAUL_SEED=7 cargo test --release --test survive -- --nocapture
//! ```

// The figures are what a long loop is for.
#![allow(missing_docs, clippy::print_stdout)]

mod support;

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use serde_json::{Value, json};
use support::random::Random;
use support::rigs::{Rig, output_of};
use support::server::{Answer, Request, Server, ok};
use support::{Workplace, job};

const PAGES: u64 = 12;
const RECORDS: u64 = 25;
const ANSWER_WAIT: Duration = Duration::from_millis(8);
/// Runs that are killed before one is let through.
const KILLS_BETWEEN: u64 = 4;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// The source holds `version` in every record of two streams; it changes between publications alone, because an API has
/// no more to offer: pages of one walk are of one moment only if nobody writes.
fn answer(request: &Request, version: u64) -> Answer {
    let page: u64 = request.param("page").map_or(1, |page| page.parse().expect("a number"));
    // No API answers at once, and pages that come all together are not worth keeping.
    std::thread::sleep(ANSWER_WAIT);
    let record =
        |n: u64| json!({ "id": (page - 1) * RECORDS + n, "version": version, "lines": [{ "version": version }] });
    let records: Vec<Value> = (0..RECORDS).map(record).collect();
    let next = (page < PAGES).then(|| format!("{}?page={}", request.path(), page + 1));
    ok(json!({ "data": records, "next": next }).to_string())
}

/// What a careful reader finds: the version that all tables have, and the snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    version: u64,
    snapshot: String,
}

async fn bytes(store: &dyn ObjectStore, name: &str) -> Result<Bytes, object_store::Error> {
    store.get(&Path::from(name)).await?.bytes().await
}

/// `None` = nothing is published. Panics where the dataset is torn, mixed, or not what the source held.
async fn read(store: &dyn ObjectStore, job: &str) -> Option<Seen> {
    let pointer = match bytes(store, &format!("{job}/_latest.json")).await {
        Err(object_store::Error::NotFound { .. }) => return None,
        found => found.expect("a pointer"),
    };
    let pointer: Value = serde_json::from_slice(&pointer).expect("a whole pointer");
    let name = format!("{job}/{}", pointer["manifest"].as_str().expect("a path"));
    let manifest: Value = serde_json::from_slice(&bytes(store, &name).await.expect(&name)).expect("a whole manifest");
    let mut versions = BTreeSet::new();
    for (table, column, rows) in
        [("items", 1, PAGES * RECORDS), ("others", 1, PAGES * RECORDS), ("lines", 2, PAGES * RECORDS)]
    {
        let mut ids = BTreeSet::new();
        let mut count = 0;
        for part in manifest["tables"][table]["parts"].as_array().expect("parts") {
            let name = format!("{job}/{}", part["path"].as_str().expect("a path"));
            let content = bytes(store, &name).await.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(part["bytes"], content.len(), "{name}");
            let reader = SerializedFileReader::new(content).expect("a whole part");
            for row in reader.get_row_iter(None).expect("rows") {
                let row = row.expect("a row");
                versions.insert(row.get_long(column).expect("a version"));
                ids.insert(row.get_long(0).expect("an id"));
                count += 1;
            }
        }
        assert_eq!((count, ids.len() as u64), (rows, rows), "table `{table}` has lost or doubled rows");
    }
    assert_eq!(versions.len(), 1, "the tables are of several moments: {versions:?}");
    let version = u64::try_from(*versions.first().expect("a version")).expect("a number");
    Some(Seen { version, snapshot: pointer["snapshot"].as_str().expect("a snapshot").to_owned() })
}

/// Polls until it is told to stop. Returns how often it read.
async fn poll(store: Arc<dyn ObjectStore>, is_over: Arc<AtomicBool>, newest: Arc<AtomicU64>) -> u64 {
    let (mut reads, mut last) = (0, 0);
    while !is_over.load(Ordering::SeqCst) {
        if let Some(seen) = read(store.as_ref(), "test").await {
            assert!(seen.version >= last && seen.version <= newest.load(Ordering::SeqCst), "{seen:?} after {last}");
            last = seen.version;
            reads += 1;
        }
        tokio::task::yield_now().await;
    }
    reads
}

async fn survive(place: &Workplace, url: &str, store: Arc<dyn ObjectStore>, kills: u64) {
    let version = Arc::new(AtomicU64::new(1));
    let now = Arc::clone(&version);
    let server = Server::start(move |request, _| answer(request, now.load(Ordering::SeqCst)));
    let text = job(&server.url, "", "records: data\npaging: { next_url: next }\nkey: [id]\ntables: [{ name: lines, from: lines }]\n")
        .replace("destination:\n  url: out\n", &format!("  - {{ name: others, path: /others, records: data, paging: {{ next_url: next }} }}\ndestination:\n  url: {url}\n"));
    let file = place.file("job.yaml", &text);
    let whole = || {
        let began = Instant::now();
        let done = place.haul(&["run", &file, "--json"]).expect_code(0).json();
        assert!(["published", "unchanged"].contains(&done["outcome"].as_str().expect("an outcome")), "{done}");
        (began.elapsed(), done["tables"]["items"]["resumed_pages"].as_u64().unwrap_or(0))
    };
    // As long as a run takes: the first one also makes the state.
    let took = whole().0;
    let is_over = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(poll(Arc::clone(&store), Arc::clone(&is_over), Arc::clone(&version)));
    let mut random = Random(number("HAUL_SEED", 20_261_126));
    let (mut killed, mut late, mut resumed) = (0, 0, 0);
    while killed < kills {
        version.fetch_add(1, Ordering::SeqCst);
        for _ in 0..KILLS_BETWEEN {
            let mut command = place.command(&["run", &file, "--quiet"]);
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("haul starts");
            let wait = Duration::from_micros(random.below(u64::try_from(took.as_micros()).expect("short") * 5 / 4));
            tokio::time::sleep(wait).await;
            match child.try_wait().expect("a process") {
                Some(_) => late += 1,
                None => {
                    child.kill().expect("killed");
                    child.wait().expect("it ends");
                    killed += 1;
                }
            }
        }
        // Whatever became of those, this one completes, and readers see what the source holds.
        resumed += u64::from(tokio::task::block_in_place(whole).1 > 0);
        let seen = read(store.as_ref(), "test").await.expect("a dataset");
        assert_eq!(seen.version, version.load(Ordering::SeqCst));
    }
    is_over.store(true, Ordering::SeqCst);
    let reads = reader.await.expect("the reader saw nothing wrong");
    println!("{url}: {killed} kills, {late} runs were over before, {resumed} runs went on, {reads} reads, 0 torn");
    assert!(reads > 0, "the reader saw nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn full_runs_are_killed_at_random_on_a_local_folder() {
    let place = Workplace::new();
    let folder = place.path("out");
    std::fs::create_dir(&folder).expect("a folder");
    let store = Arc::new(LocalFileSystem::new_with_prefix(&folder).expect("a store"));
    survive(&place, "out", store, number("HAUL_KILLS", 60)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn full_runs_are_killed_at_random_on_azurite() {
    let rig = Rig::start("azurite.mjs", &[]);
    output_of("blob.py", &["container", "--url", rig.url(), "--name", "reports"]);
    let place = Workplace::new()
        .env("AZURE_STORAGE_ACCOUNT_NAME", rig.text("account"))
        .env("AZURE_STORAGE_ACCOUNT_KEY", rig.text("key"))
        .env("AZURE_STORAGE_ENDPOINT", rig.url())
        .env("AZURE_ALLOW_HTTP", "true");
    // The store's client leaves the choice to whoever uses it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let store = MicrosoftAzureBuilder::new()
        .with_account(rig.text("account"))
        .with_access_key(rig.text("key"))
        .with_endpoint(rig.url().to_owned())
        .with_container_name("reports")
        .with_allow_http(true)
        .build()
        .expect("a store");
    survive(&place, "az://reports", Arc::new(store), number("HAUL_KILLS", 60) / 4).await;
}
