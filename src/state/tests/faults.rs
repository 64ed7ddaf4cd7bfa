//! What a store says when the network loses requests and answers, and when its server is down.

use std::time::{Duration, Instant};

use super::proxy::{LOST, Mode, Proxy};
use super::rigs::Rig;
use super::{REMOTES, Remote, unique};
use crate::limits::{STATE_ANSWER_MAX, STATE_CONNECT_MAX, STATE_RETRY_WAIT, STATE_TRIES_MAX};
use crate::secret::Secret;
use crate::state::store::RecordStore;

struct Setting {
    proxy: Proxy,
    prefix: String,
    /// By way of the proxy.
    store: RecordStore,
    /// Past the proxy, as another host would see it.
    direct: RecordStore,
}

impl Setting {
    async fn of(remote: Remote) -> Self {
        let proxy = Proxy::start(remote.address()).await;
        let prefix = unique("faults");
        let store = remote.open(&proxy.address, &prefix).await.expect("a store");
        let direct = remote.open(&remote.address(), &prefix).await.expect("a store");
        Setting { proxy, prefix, store, direct }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_reported_as_what_really_happened() {
    for remote in REMOTES {
        for mode in [Mode::LoseAnswer, Mode::LoseRequest] {
            let at = Setting::of(remote).await;
            let key = format!("lease/{}", unique("lost"));
            at.proxy.set(mode);
            let created = at.store.create(&key, &format!("\"{LOST} created\"")).await;
            assert!(matches!(created, Ok(true)), "{remote:?} {mode:?}: {created:?}");
            assert_eq!(at.proxy.lost(), 1, "{remote:?} {mode:?}: nothing was lost");
            let found = at.direct.get(&key).await.expect("read").expect("a record");
            at.proxy.set(mode);
            let swapped = at.store.swap(&key, &found.version, &format!("\"{LOST} swapped\"")).await;
            assert!(matches!(swapped, Ok(true)), "{remote:?} {mode:?}: {swapped:?}");
            assert_eq!(at.proxy.lost(), 2, "{remote:?} {mode:?}: nothing was lost");
            let end = at.direct.get(&key).await.expect("read").expect("a record");
            assert_eq!(end.value, format!("\"{LOST} swapped\""));
            // A write that somebody else was faster with stays refused, whatever is lost.
            at.proxy.set(mode);
            let late = at.store.swap(&key, &found.version, &format!("\"{LOST} late\"")).await;
            assert!(!matches!(late, Ok(true)), "{remote:?} {mode:?}: {late:?}");
            assert_eq!(at.direct.get(&key).await.expect("read").expect("a record").value, end.value);
        }
    }
}

/// The write was applied, its answer was lost, and another host went on from there: "refused" would be a lie.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_in_doubt_that_was_replaced_is_an_error_and_not_a_refusal() {
    for remote in REMOTES {
        let at = Setting::of(remote).await;
        let key = format!("lease/{}", unique("doubt"));
        assert!(at.direct.create(&key, "\"first\"").await.expect("created"));
        let first = at.direct.get(&key).await.expect("read").expect("a record");
        at.proxy.set(Mode::LoseAnswer);
        at.proxy.hold();
        let ours_text = format!("\"{LOST} ours\"");
        let ours = at.store.swap(&key, &first.version, &ours_text);
        let theirs = async {
            at.proxy.answer_came().await;
            let found = at.direct.get(&key).await.expect("read").expect("a record");
            assert_eq!(found.value, format!("\"{LOST} ours\""), "{remote:?}");
            assert!(at.direct.swap(&key, &found.version, "\"theirs\"").await.expect("swapped"));
            at.proxy.go_on();
        };
        let (ours, ()) = tokio::join!(ours, theirs);
        let error = ours.expect_err("it is not known what happened");
        assert!(error.is_temporary(), "{remote:?}: {error:?}");
        assert_eq!(at.direct.get(&key).await.expect("read").expect("a record").value, "\"theirs\"");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_is_a_temporary_error_at_once_and_is_found_again() {
    for remote in REMOTES {
        let Setting { proxy, store, direct, prefix } = Setting::of(remote).await;
        let key = format!("lease/{}", unique("down"));
        let address = proxy.stop().await;
        let begin = Instant::now();
        let read = store.get(&key).await.expect_err("the server is down");
        let written = store.create(&key, "\"first\"").await.expect_err("the server is down");
        let opened = remote.open(&address, &prefix).await.err().expect("the server is down");
        for error in [read, written, opened] {
            assert!(error.is_temporary(), "{remote:?}: {error:?}");
            let text = format!("{error} {:?}", error.hint());
            assert!(!text.contains("rig-Pa55word"), "{text}");
        }
        let most = STATE_RETRY_WAIT * u32::try_from(4 * STATE_TRIES_MAX).expect("a small number");
        assert!(begin.elapsed() < most + Duration::from_secs(2), "{remote:?}: {:?}", begin.elapsed());
        assert_eq!(direct.get(&key).await.expect("read"), None);
    }
}

/// A database ends idle sessions, a restart ends all of them: the next use opens another connection.
#[tokio::test(flavor = "multi_thread")]
async fn an_ended_session_is_opened_again() {
    const END: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'haul'";
    // Its own server: the sessions of other tests go on. A session that is ending may be listed still.
    let rig = Rig::start("postgres.mjs", &[]);
    let store = RecordStore::open_postgres(&Secret::new(rig.url().to_owned()), None).await.expect("a store");
    assert!(store.create("lease/again", "0").await.expect("created"));
    let (client, connection) = tokio_postgres::connect(rig.url(), tokio_postgres::NoTls).await.expect("a connection");
    tokio::spawn(connection);
    for count in 1..=5 {
        assert!(client.execute(END, &[]).await.expect("ended") >= 1);
        let found = store.get("lease/again").await.expect("read").expect("a record");
        assert!(client.execute(END, &[]).await.expect("ended") >= 1);
        assert!(store.swap("lease/again", &found.version, &count.to_string()).await.expect("swapped"));
    }
}

/// A server that takes connections and never answers.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_hangs_longer_than_its_limit() {
    for remote in REMOTES {
        let at = Setting::of(remote).await;
        at.proxy.set(Mode::Silent);
        let begin = Instant::now();
        let (read, opened) = tokio::join!(at.store.get("lease/silent"), remote.open(&at.proxy.address, &at.prefix));
        for error in [read.expect_err("no answer"), opened.err().expect("no answer")] {
            assert!(error.is_temporary(), "{remote:?}: {error:?}");
        }
        let most = STATE_ANSWER_MAX.max(STATE_CONNECT_MAX) + Duration::from_secs(2);
        assert!(begin.elapsed() < most, "{remote:?}: {:?}", begin.elapsed());
    }
}
