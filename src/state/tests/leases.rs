//! Who gets a lease, and when a host takes one over whose holder is silent.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::unique;
use crate::state::lease::{Acquired, Lease, process_start};
use crate::state::observed::{BootTime, Judgement, Observations, Sight, judge, patience};
use crate::state::store::{RecordStore, Version, Versioned};

const TIME_TO_LIVE: Duration = Duration::from_secs(120);

fn record(version: &str, value: &str) -> Versioned {
    Versioned { key: "lease/run/x".to_owned(), version: Version(version.to_owned()), value: value.to_owned() }
}

fn at(boot: &str, secs: u64) -> BootTime {
    BootTime { id: boot.to_owned(), since: Duration::from_secs(secs) }
}

fn first_seen(record: &Versioned, now: &BootTime) -> Sight {
    match judge(None, record, now, TIME_TO_LIVE) {
        Judgement::FirstSeen(sight) => sight,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lease_lapses_when_it_was_seen_unchanged_for_a_quarter_more_than_its_life() {
    let seen = first_seen(&record("7", "a"), &at("boot", 1_000));
    let check = |found: &Versioned, now: BootTime| judge(Some(&seen), found, &now, TIME_TO_LIVE);
    assert_eq!(check(&record("7", "a"), at("boot", 1_000)), Judgement::StillHeld(Duration::from_secs(150)));
    assert_eq!(check(&record("7", "a"), at("boot", 1_149)), Judgement::StillHeld(Duration::from_secs(1)));
    assert_eq!(check(&record("7", "a"), at("boot", 1_150)), Judgement::Lapsed);
    assert_eq!(check(&record("7", "a"), at("boot", 9_999_999)), Judgement::Lapsed);
    // Renewed, replaced, or of another store with the same count.
    for changed in [record("8", "a"), record("7", "b")] {
        assert!(matches!(check(&changed, at("boot", 9_999_999)), Judgement::FirstSeen(_)));
    }
    // Another start of this machine, or a clock that ran backwards, begins anew.
    assert!(matches!(check(&record("7", "a"), at("other", 9_999_999)), Judgement::FirstSeen(_)));
    assert!(matches!(check(&record("7", "a"), at("boot", 999)), Judgement::FirstSeen(_)));
}

/// A store with one lease of a host that is not this one. `time_to_live_secs` decides how long we must look.
async fn foreign(time_to_live_secs: u64) -> (TempDir, Arc<RecordStore>, Observations, String) {
    let folder = TempDir::new().expect("a temporary folder");
    let store = Arc::new(RecordStore::open_folder(&folder.path().join("state")).expect("a store"));
    let name = unique("run/job");
    store.create(&format!("lease/{name}"), &lease(time_to_live_secs, 41)).await.expect("created");
    let observations = Observations::new(&folder.path().join("state"));
    (folder, store, observations, name)
}

/// Its wall clock is a century ahead, which must not matter.
fn lease(time_to_live_secs: u64, epoch: u64) -> String {
    json!({
        "holder": { "host": "elsewhere/boot", "pid": 1, "started": "1" },
        "epoch": epoch,
        "until": "2126-01-01T00:00:00Z",
        "time_to_live_secs": time_to_live_secs,
    })
    .to_string()
}

async fn epoch_of(store: &RecordStore, name: &str) -> u64 {
    let found = store.get(&format!("lease/{name}")).await.expect("read").expect("a record");
    serde_json::from_str::<Value>(&found.value).expect("JSON")["epoch"].as_u64().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_lease_is_held_at_first_sight_and_taken_by_a_later_process() {
    let (folder, store, observations, name) = foreign(0).await;
    // Nobody saw it before, so even one without any life is held.
    let Acquired::Held(held) = Lease::acquire(&store, &observations, &name, TIME_TO_LIVE).await.expect("asked") else {
        panic!("it was taken at first sight")
    };
    assert_eq!((held.holder.host.as_str(), held.lapses_in), ("elsewhere/boot", patience(Duration::ZERO)));
    // What a later process would have: the same folder, nothing in memory.
    let observations = Observations::new(&folder.path().join("state"));
    let Acquired::Lease(lease) = Lease::acquire(&store, &observations, &name, TIME_TO_LIVE).await.expect("asked")
    else {
        panic!("it did not lapse")
    };
    assert!(lease.is_taken_over(), "its holder is gone without a word");
    assert_eq!(epoch_of(&store, &name).await, 42);
    assert!(lease.renew().await.expect("renewed"));
    lease.release().await.expect("released");
    assert_eq!(epoch_of(&store, &name).await, 42);
    let left = std::fs::read_dir(folder.path().join("state/observed")).expect("a folder").count();
    assert_eq!(left, 0, "the sight stayed behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_lease_that_is_renewed_is_never_taken() {
    let (_folder, store, observations, name) = foreign(0).await;
    for epoch in 42..47 {
        let taken = Lease::acquire(&store, &observations, &name, TIME_TO_LIVE).await.expect("asked");
        assert!(matches!(taken, Acquired::Held(_)));
        let found = store.get(&format!("lease/{name}")).await.expect("read").expect("a record");
        assert!(store.swap(&found.key, &found.version, &lease(0, epoch)).await.expect("renewed"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_of_this_host_is_held_while_its_process_lives_and_taken_at_once_when_it_is_dead() {
    let (_folder, store, observations, _) = foreign(120).await;
    let name = unique("run/own");
    let Acquired::Lease(first) = Lease::acquire(&store, &observations, &name, TIME_TO_LIVE).await.expect("asked")
    else {
        panic!("a free lease was not given")
    };
    let again = Lease::acquire(&store, &observations, &name, TIME_TO_LIVE).await.expect("asked");
    assert!(matches!(again, Acquired::Held(_)), "a lease was given twice");
    let found = store.get(&format!("lease/{name}")).await.expect("read").expect("a record");
    let mut dead: Value = serde_json::from_str(&found.value).expect("JSON");
    dead["holder"]["started"] = json!("0");
    assert!(store.swap(&found.key, &found.version, &dead.to_string()).await.expect("swapped"));
    let Acquired::Lease(second) = Lease::acquire(&store, &observations, &name, TIME_TO_LIVE).await.expect("asked")
    else {
        panic!("a dead process still holds its lease")
    };
    assert_eq!(epoch_of(&store, &name).await, 2);
    assert!(!first.renew().await.expect("asked"), "a lost lease was renewed");
    assert!(second.renew().await.expect("asked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_of_an_earlier_version_is_read_and_another_text_is_an_error() {
    let (_folder, store, observations, name) = foreign(120).await;
    let key = format!("lease/{name}");
    let found = store.get(&key).await.expect("read").expect("a record");
    let old = r#"{"holder":null,"epoch":6,"until":"2026-01-01T00:00:00Z"}"#;
    assert!(store.swap(&key, &found.version, old).await.expect("swapped"));
    let taken = Lease::acquire(&store, &observations, &name, TIME_TO_LIVE).await.expect("asked");
    assert!(matches!(taken, Acquired::Lease(_)));
    assert_eq!(epoch_of(&store, &name).await, 7);
    let found = store.get(&key).await.expect("read").expect("a record");
    assert!(store.swap(&key, &found.version, "{}").await.expect("swapped"));
    assert!(Lease::acquire(&store, &observations, &name, TIME_TO_LIVE).await.is_err());
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_that_nobody_buried_is_gone() {
    let mut child = std::process::Command::new("sleep").arg("600").spawn().expect("a process");
    let start = process_start(child.id());
    assert!(start.is_some(), "it lives");
    child.kill().expect("killed");
    // Over, but not waited for: its entry stays until it is.
    let stat = format!("/proc/{}/stat", child.id());
    while !std::fs::read_to_string(&stat).expect("an entry").contains(") Z ") {
        std::thread::yield_now();
    }
    assert_eq!(process_start(child.id()), None);
    child.wait().expect("buried");
}
