//! What every backend promises.

use std::sync::Arc;

use super::{Pair, Remote, unique};
use crate::limits::RECORD_BYTES_MAX;
use crate::state::error::Error;
use crate::state::store::{RecordStore, Version};

const TASKS: usize = 8;
const INCREMENTS: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_keeps_the_promises() {
    check(&Pair::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_the_promises() {
    check(&Pair::remote(Remote::Postgres).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_keeps_the_promises() {
    check(&Pair::remote(Remote::Azure).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_keeps_the_promises() {
    check(&Pair::remote(Remote::S3).await).await;
}

async fn check(pair: &Pair) {
    reads_what_was_written(pair).await;
    lists_by_prefix(pair).await;
    keeps_any_text(pair).await;
    counts_every_increment(pair).await;
    removes_what_is_there(pair).await;
}

async fn removes_what_is_there(Pair { one, other, .. }: &Pair) {
    let key = unique("pages");
    one.remove(&key).await.expect("nothing to do");
    assert!(one.create(&key, "\"first\"").await.expect("created"));
    let first = one.get(&key).await.expect("read").expect("a record");
    other.remove(&key).await.expect("removed");
    assert_eq!(one.get(&key).await.expect("read"), None);
    assert!(!one.swap(&key, &first.version, "\"second\"").await.expect("answered"), "a removed record was swapped");
    assert!(one.create(&key, "\"third\"").await.expect("created"), "a name is free again");
}

/// The second store stands for another process that opened the place anew.
async fn reads_what_was_written(Pair { one, other, .. }: &Pair) {
    let key = format!("credential/{}", unique("oauth2"));
    assert_eq!(one.get(&key).await.expect("read"), None);
    let nothing = Version("1".to_owned());
    assert!(!one.swap(&key, &nothing, "\"early\"").await.expect("answered"), "a record that is not there was swapped");
    assert!(one.create(&key, "\"first\"").await.expect("created"));
    assert!(!other.create(&key, "\"second\"").await.expect("answered"), "a record was created twice");
    let first = other.get(&key).await.expect("read").expect("a record");
    assert_eq!((first.key.as_str(), first.value.as_str()), (key.as_str(), "\"first\""));
    assert!(other.swap(&key, &first.version, "\"third\"").await.expect("swapped"));
    assert!(!one.swap(&key, &first.version, "\"fourth\"").await.expect("answered"), "a stale version was swapped");
    let third = one.get(&key).await.expect("read").expect("a record");
    assert_eq!(third.value, "\"third\"");
    // Back to a former value: its former version must not come back with it.
    assert!(one.swap(&key, &third.version, "\"first\"").await.expect("swapped"));
    assert!(!one.swap(&key, &first.version, "\"fifth\"").await.expect("answered"), "a version came back");
    assert_eq!(other.get(&key).await.expect("read").expect("a record").value, "\"first\"");
}

async fn lists_by_prefix(Pair { one, other, .. }: &Pair) {
    let room = unique("lease");
    let keys = ["a/x/y", "a/x/z", "a/xylophone", "ab/x", "b"].map(|key| format!("{room}/{key}"));
    for key in keys.iter().rev() {
        assert!(one.create(key, &format!("\"{key}\"")).await.expect("created"));
    }
    let listed = async |prefix: &str| -> Vec<String> {
        let found = other.list(&format!("{room}/{prefix}")).await.expect("listed");
        assert!(found.iter().all(|record| record.value == format!("\"{}\"", record.key)), "{found:?}");
        found.into_iter().map(|record| record.key.replace(&format!("{room}/"), "")).collect()
    };
    assert_eq!(listed("").await, ["a/x/y", "a/x/z", "a/xylophone", "ab/x", "b"]);
    assert_eq!(listed("a/x").await, ["a/x/y", "a/x/z", "a/xylophone"]);
    assert_eq!(listed("a/x/").await, ["a/x/y", "a/x/z"]);
    assert_eq!(listed("a").await, ["a/x/y", "a/x/z", "a/xylophone", "ab/x"]);
    assert_eq!(listed("c/").await, [""; 0]);
    let named = async |prefix: &str| other.keys(&format!("{room}/{prefix}")).await.expect("listed");
    assert_eq!(named("").await, keys);
    assert_eq!(named("a/x").await, keys[..3]);
    assert_eq!(named("a/x/").await, keys[..2]);
    assert_eq!(named("c/").await, [""; 0]);
    let all = other.list("").await.expect("listed");
    assert!(all.len() >= 5 && all.iter().all(|record| !record.key.starts_with('_')), "a store lists its own objects");
}

async fn keeps_any_text(Pair { one, other, .. }: &Pair) {
    let room = unique("text");
    for (name, value) in [
        ("large", "0123456789".repeat(20_000)),
        ("unicode", "Zoë \u{1F980} \u{FEFF} 漢字 \u{301} \"quoted\" \\ \n\t\u{7f}".to_owned()),
        ("Größe %2F?#[x] .json", "{}".to_owned()),
        (".", "\"a dot\"".to_owned()),
        ("..", "\"two dots\"".to_owned()),
        ("empty", String::new()),
    ] {
        let key = format!("{room}/{name}");
        assert!(one.create(&key, &value).await.expect("created"), "{name}");
        let found = other.get(&key).await.expect("read").expect("a record");
        assert_eq!((found.key, found.value), (key.clone(), value));
        let listed = other.list(&key).await.expect("listed");
        assert_eq!(listed.len(), 1, "{name}");
    }
    let too_large = "x".repeat(RECORD_BYTES_MAX as usize + 1);
    let refused = one.create(&format!("{room}/too-large"), &too_large).await;
    assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
}

async fn counts_every_increment(pair: &Pair) {
    let key = format!("lease/run/{}", unique("count"));
    assert!(pair.one.create(&key, "0").await.expect("created"));
    let tasks = (0..TASKS).map(|task| {
        let store = Arc::clone(if task % 2 == 0 { &pair.one } else { &pair.other });
        let key = key.clone();
        tokio::spawn(async move { increment(&store, &key, task).await })
    });
    for task in futures_util::future::join_all(tasks).await {
        task.expect("a task");
    }
    let end = pair.one.get(&key).await.expect("read").expect("a record");
    assert_eq!(count_of(&end.value), TASKS * INCREMENTS);
}

/// The value names its writer, because nobody may write the same value twice.
async fn increment(store: &RecordStore, key: &str, task: usize) {
    let mut done = 0;
    while done < INCREMENTS {
        let found = store.get(key).await.expect("read").expect("a record");
        let value = format!("{} by {task}", count_of(&found.value) + 1);
        done += usize::from(store.swap(key, &found.version, &value).await.expect("answered"));
    }
}

fn count_of(value: &str) -> usize {
    value.split(' ').next().expect("a number").parse().expect("a number")
}
