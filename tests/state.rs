//! Where the state lives, as an operator sees it: settings, errors, and several hosts on one state.

#![allow(missing_docs)]

mod support;

use std::os::unix::fs::PermissionsExt;

use support::rigs::{Rig, output_of};
use support::{Workplace, terminate};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A host: its own local folder, no state folder.
fn host(state: &str) -> Workplace {
    let place = Workplace::new().env("HAUL_STATE", state).env("HAUL_VAULT_KEY", KEY);
    let local = place.path("local").to_string_lossy().into_owned();
    place.env("HAUL_LOCAL", &local)
}

#[test]
fn a_password_in_an_argument_is_refused_and_never_shown() {
    let place = Workplace::new();
    let done = place
        .haul(&["credentials", "--state", "postgres://haul:hunter22@127.0.0.1:1/haul"])
        .expect_code(2)
        .expect_says(&["a password stands in the argument", "PGPASSWORD"]);
    place.assert_holds_none_of(&[&done], &["hunter22"]);
}

#[test]
fn a_setting_that_cannot_be_used_is_a_usage_error() {
    for (args, says) in [
        (&["--state", "mysql://db/haul"][..], "allowed are a folder"),
        (&["--state", "s3://key:pw@bucket/x"], "it holds a user"),
        (&["--state", "state", "--local", "elsewhere"], "the state is a folder"),
        (&["--state", "postgres://haul@127.0.0.1/haul?sslmode=maybe"], "sslmode"),
    ] {
        let place = Workplace::new();
        place.haul(&[&["credentials"], args].concat()).expect_code(2).expect_says(&[says]);
    }
}

#[test]
fn a_database_that_is_down_is_a_temporary_failure() {
    let place = host("postgres://haul:hunter22@127.0.0.1:1/haul");
    let done = place.haul(&["credentials"]).expect_code(75).expect_says(&["`postgres://127.0.0.1/haul`"]);
    place.assert_holds_none_of(&[&done], &["hunter22"]);
}

#[test]
fn a_local_folder_that_others_can_read_is_refused() {
    let place = host("postgres://haul@127.0.0.1:1/haul");
    let local = place.path("local");
    std::fs::create_dir(&local).expect("a folder");
    std::fs::set_permissions(&local, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    place.haul(&["credentials"]).expect_code(2).expect_says(&["open to other users"]);
}

#[test]
fn postgres_by_tls_wants_a_certificate_that_is_trusted() {
    let rig = Rig::start("postgres.mjs", &["--tls"]);
    let state = format!("{}?sslmode=require", rig.url());
    let done = host(&state).haul(&["credentials"]).expect_code(2).expect_says(&["certificate", "SSL_CERT_FILE"]);
    assert!(!done.stderr.contains(rig.text("password")), "{done:?}");
    host(&state).env("SSL_CERT_FILE", rig.text("authority")).haul(&["credentials"]).expect_code(0);
    // The same server under a name that its certificate does not have.
    let other = state.replace("@localhost", "@127.0.0.1");
    host(&other).env("SSL_CERT_FILE", rig.text("authority")).haul(&["credentials"]).expect_code(2);
    host(&other.replace("require", "disable")).haul(&["credentials"]).expect_code(0);
    // The password beside the address, and the address as an argument.
    let bare = state.replace(&format!(":{}@", rig.text("password")), "@").replace("require", "disable");
    let place = host("unused").env("PGPASSWORD", rig.text("password"));
    place.haul(&["credentials", "--state", &bare]).expect_code(0);
}

/// Two hosts, one job, one state: while one runs the other one skips; what the first leaves behind is seen by both.
#[test]
fn two_hosts_share_the_leases_of_every_remote_state() {
    let postgres = Rig::start("postgres.mjs", &[]);
    share(|| host(postgres.url()));
    let azurite = Rig::start("azurite.mjs", &[]);
    output_of("blob.py", &["container", "--url", azurite.url(), "--name", "state"]);
    share(|| {
        host("az://state/haul")
            .env("AZURE_STORAGE_ACCOUNT_NAME", azurite.text("account"))
            .env("AZURE_STORAGE_ACCOUNT_KEY", azurite.text("key"))
            .env("AZURE_STORAGE_ENDPOINT", azurite.url())
            .env("AZURE_ALLOW_HTTP", "true")
    });
    let s3 = Rig::start("s3.py", &[]);
    share(|| {
        host("s3://haul/state")
            .env("AWS_ENDPOINT", s3.url())
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "writer")
            .env("AWS_SECRET_ACCESS_KEY", "writer")
            .env("AWS_ALLOW_HTTP", "true")
    });
}

fn share(host: impl Fn() -> Workplace) {
    // Takes the request and never answers: the run keeps its lease until it is ended.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let out = tempfile::TempDir::new().expect("a temporary folder");
    let text = support::job(&url, "", "").replace("url: out", &format!("url: {}", out.path().join("out").display()));
    let (one, other) = (host(), host());
    let files = [one.file("job.yaml", &text), other.file("job.yaml", &text)];
    let mut running = one.command(&["run", &files[0], "--quiet"]).spawn().expect("haul starts");
    let _asked = listener.accept().expect("the run has its lease and asks");
    other.haul(&["run", &files[1]]).expect_code(6).expect_says(&["another run of this job is going on"]);
    terminate(running.id(), "-TERM");
    assert_eq!(running.wait().expect("it ends").code(), Some(143));
    // Given back, it is free for the other host at once: that run gets as far as asking.
    let mut second = other.command(&["run", &files[1], "--quiet"]).spawn().expect("haul starts");
    let _asked = listener.accept().expect("the other host has the lease");
    terminate(second.id(), "-TERM");
    assert_eq!(second.wait().expect("it ends").code(), Some(143));
    assert!(!other.path("state").exists(), "a state folder was made");
}

#[test]
fn a_local_folder_of_the_environment_does_not_matter_to_a_state_folder() {
    let place = Workplace::new().env("HAUL_LOCAL", "elsewhere");
    place.haul(&["credentials"]).expect_code(0);
    assert!(place.path("state/vault.key").exists() && !place.path("elsewhere").exists());
}

/// The lease of a run that was killed, as another container left it; it lives for two seconds without renewal.
fn left_lease(place: &Workplace, file: &str, listener: &std::net::TcpListener) -> rusqlite::Connection {
    let mut running = place.command(&["run", file, "--quiet"]).spawn().expect("haul starts");
    let _asked = listener.accept().expect("the run has its lease and asks");
    running.kill().expect("a signal");
    running.wait().expect("it ends");
    let state = rusqlite::Connection::open(place.path("state/state.db")).expect("a store");
    let (key, value): (String, String) = state
        .query_row("SELECT key, value FROM records WHERE key LIKE 'lease/run/%'", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .expect("one lease");
    let mut lease: serde_json::Value = serde_json::from_str(&value).expect("JSON");
    lease["holder"]["host"] = "pod-1/boot/pid:[1]".into();
    lease["time_to_live_secs"] = 2.into();
    let changed = state
        .execute("UPDATE records SET value = ?1, version = version + 1 WHERE key = ?2", [&lease.to_string(), &key])
        .expect("changed");
    assert_eq!(changed, 1);
    state
}

#[test]
fn a_container_that_remembers_nothing_takes_over_from_a_dead_one_and_leaves_a_living_one_alone() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let place = Workplace::new();
    let file = place.file("job.yaml", &support::job(&url, "", ""));
    let state = left_lease(&place, &file, &listener);

    let state = std::sync::Mutex::new(state);
    // Renewed meanwhile, as a living process does: left alone, and not after the whole time.
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (state, is_over) = (&state, &is_over);
        scope.spawn(move || {
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                let renew = "UPDATE records SET version = version + 1 WHERE key LIKE 'lease/run/%'";
                assert_eq!(state.lock().expect("a store").execute(renew, []).expect("changed"), 1);
                std::thread::sleep(std::time::Duration::from_millis(200));
            }
        });
        let done = place.haul(&["run", &file, "--takeover"]);
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        done.expect_code(6).expect_says(&["seems to be going on", "another run of this job is going on"]);
    });

    // Nothing is remembered, as in a new container, and without the option nothing is decided.
    std::fs::remove_dir_all(place.path("state/observed")).expect("a folder");
    place.haul(&["run", &file]).expect_code(6);
    std::fs::remove_dir_all(place.path("state/observed")).expect("a folder");
    let mut running = place.command(&["run", &file, "--takeover", "--quiet"]).spawn().expect("haul starts");
    let _asked = listener.accept().expect("it took over and asks");
    terminate(running.id(), "-TERM");
    assert_eq!(running.wait().expect("it ends").code(), Some(143));

    // A signal ends the watching.
    drop(state);
    let _state = left_lease(&place, &file, &listener);
    let _ = std::fs::remove_dir_all(place.path("state/observed"));
    let mut watching =
        place.command(&["run", &file, "--takeover"]).stderr(std::process::Stdio::piped()).spawn().expect("haul starts");
    let mut line = String::new();
    let mut said = std::io::BufReader::new(watching.stderr.take().expect("a pipe"));
    std::io::BufRead::read_line(&mut said, &mut line).expect("a line");
    assert!(line.contains("seems to be going on"), "{line}");
    terminate(watching.id(), "-TERM");
    assert_eq!(watching.wait().expect("it ends").code(), Some(143));
}
