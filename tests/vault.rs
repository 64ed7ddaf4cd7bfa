//! No credential is lost: every fault of a refresh, each against a scripted authorization server, the state afterwards
//! read as a user would, with `haul credentials`.

#![allow(missing_docs)]

mod support;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::Child;

use support::provider::{CLASSES, Class, Fault, Provider};
use support::rigs::Rig;
use support::scene::{Scene, wait_until};
use support::{Done, Workplace, job, terminate};

/// Whether a spent token whose successor is lost is still taken.
fn forgives(class: Class) -> bool {
    !matches!(class, Class::SingleUse | Class::ReuseRevokesFamily)
}

/// A refresh token that is not used becomes void: a test of the credential uses it when half of that time is over, however
/// long the access token is still good.
#[test]
fn an_idle_refresh_token_is_kept_alive() {
    let provider = Provider::start(Class::SingleUse);
    let place = Workplace::new();
    let auth = provider.auth().replace("window: 60s", "idle: 6s");
    let file = place.file("job.yaml", &job(provider.url(), &auth, ""));
    let scene = Scene { provider, place, file };
    scene.import(&scene.provider.new_family()).expect_code(0);
    let test = || scene.place.haul(&["credentials", "test", &scene.file]).expect_code(0);
    test();
    let until = scene.credential()["refresh_token_void_at"].clone();
    assert!(until.is_string(), "{until}");
    wait_until(|| {
        test();
        scene.provider.requests() == 2
    });
    assert_ne!(scene.credential()["refresh_token_void_at"], until);
}

/// Exact Online refuses to replace an access token before 570 s, and counts the attempt as an error.
#[test]
fn a_token_that_is_too_young_is_not_replaced() {
    let provider = Provider::start(Class::ValidUntilSuccessorUsed);
    let place = Workplace::new();
    let auth = provider.auth().replace("window: 60s", "age_min: 570s");
    let file = place.file("job.yaml", &job(provider.url(), &auth, ""));
    let scene = Scene { provider, place, file };
    scene.import(&scene.provider.new_family()).expect_code(0);
    scene.place.haul(&["credentials", "test", &scene.file]).expect_code(0);
    scene.refresh().expect_code(1).expect_says(&["replaces none before 570 s"]);
    assert_eq!(scene.provider.requests(), 1);
}

#[test]
fn every_class_refreshes_again_and_again() {
    for class in CLASSES {
        let scene = Scene::new(class);
        for _ in 0..5 {
            scene.refresh().expect_code(0);
        }
        let credential = scene.expect_state("idle");
        assert_eq!((credential["generation"].as_u64(), scene.provider.requests()), (Some(6), 5), "{class:?}");
    }
}

#[test]
fn a_good_token_is_not_replaced() {
    let scene = Scene::new(Class::SingleUse);
    for _ in 0..3 {
        scene.place.haul(&["credentials", "test", &scene.file]).expect_code(0).expect_says(&["good until"]);
    }
    assert_eq!(scene.provider.requests(), 1);
}

#[test]
fn a_lost_request_costs_nothing() {
    for class in CLASSES {
        let scene = Scene::new(class);
        scene.provider.fail(&[Fault::LoseRequest]);
        scene.survives();
    }
}

/// The server acted and nobody heard of it: the same token is sent again, which only a forgiving provider takes.
fn answer_lost(fault: &Fault) {
    for class in CLASSES {
        let scene = Scene::new(class);
        scene.provider.fail(std::slice::from_ref(fault));
        if forgives(class) {
            scene.survives();
        } else {
            scene.refresh().expect_code(5).expect_says(&["invalid_grant", "haul login"]);
            scene.expect_state("reauth");
            scene.place.haul(&["credentials"]).expect_code(0).expect_says(&["login needed", "haul login JOBFILE"]);
            scene.import(&scene.provider.new_family()).expect_code(0);
            scene.survives();
        }
    }
}

#[test]
fn an_answer_lost_on_its_way() {
    answer_lost(&Fault::LoseAnswer);
}

#[test]
fn a_5xx_after_the_server_acted() {
    answer_lost(&Fault::FailAfter(502));
}

#[test]
fn a_web_page_instead_of_an_answer() {
    answer_lost(&Fault::Html);
}

#[test]
fn an_answer_cut_in_the_middle_of_its_json() {
    answer_lost(&Fault::CutJson);
}

#[test]
fn a_5xx_before_the_server_acted_is_tried_again() {
    for class in CLASSES {
        let scene = Scene::new(class);
        scene.provider.fail(&[Fault::FailBefore(503), Fault::FailBefore(500)]);
        scene.survives();
    }
}

#[test]
fn a_provider_that_does_not_answer_for_long_is_a_temporary_failure() {
    let scene = Scene::new(Class::SingleUse);
    scene.provider.fail(&vec![Fault::FailBefore(503); 4]);
    scene.refresh().expect_code(75).expect_says(&["503", "nothing is lost"]);
    scene.expect_state("idle");
    scene.survives();
}

#[test]
fn an_answer_without_a_refresh_token_leaves_the_old_one() {
    for class in CLASSES {
        let scene = Scene::new(class);
        scene.provider.fail(&[Fault::NoRefreshToken]);
        scene.refresh().expect_code(0);
        let credential = scene.expect_state("idle");
        assert_eq!(credential["has_refresh_token"], true);
        let last = credential["outcomes"].as_array().expect("outcomes").last().expect("one")["what"].clone();
        assert_eq!(last, "refreshed; the refresh token stays the same");
        scene.survives();
    }
}

#[test]
fn invalid_grant_asks_for_a_login_and_stays_until_there_is_one() {
    let scene = Scene::new(Class::SingleUse);
    scene.import("canary-refresh-of-somebody-else").expect_code(0);
    scene.refresh().expect_code(5).expect_says(&["no longer valid", "haul login"]);
    scene.expect_state("reauth");
    let requests = scene.provider.requests();
    scene.refresh().expect_code(5);
    assert_eq!(scene.provider.requests(), requests, "a dead token is not sent again and again");
    scene.import(&scene.provider.new_family()).expect_code(0);
    scene.survives();
}

/// Exact Online says so when a refresh token was used before.
#[test]
fn a_providers_own_word_for_an_invalid_token_is_understood() {
    let scene = Scene::new(Class::SingleUse);
    scene.provider.fail(&[Fault::Error("unauthorized_client")]);
    scene.refresh().expect_code(5).expect_says(&["unauthorized_client", "haul login"]);
    scene.expect_state("reauth");
}

#[test]
fn invalid_client_says_nothing_of_the_token() {
    for class in CLASSES {
        let scene = Scene::new(class);
        scene.provider.fail(&[Fault::Error("invalid_client")]);
        scene.refresh().expect_code(1).expect_says(&["invalid_client", "client_auth"]);
        scene.expect_state("idle");
        scene.survives();
    }
}

/// Spoils the record store so that every write fails, and mends it.
struct SpoiltStore<'a>(&'a Scene);

impl<'a> SpoiltStore<'a> {
    fn new(scene: &'a Scene) -> Self {
        sql(scene, "CREATE TRIGGER spoilt BEFORE UPDATE ON records BEGIN SELECT RAISE(FAIL, 'the disk is gone'); END");
        SpoiltStore(scene)
    }
}

impl Drop for SpoiltStore<'_> {
    fn drop(&mut self) {
        sql(self.0, "DROP TRIGGER spoilt");
    }
}

fn sql(scene: &Scene, text: &str) {
    let connection = rusqlite::Connection::open(scene.place.path("state/state.db")).expect("a store");
    connection.execute_batch(text).expect("SQL");
}

#[test]
fn a_store_that_is_down_before_the_announcement_spends_nothing() {
    for class in CLASSES {
        let scene = Scene::new(class);
        let spoilt = SpoiltStore::new(&scene);
        scene.refresh().expect_code(75).expect_says(&["cannot be written"]);
        assert_eq!(scene.provider.requests(), 0, "{class:?}");
        drop(spoilt);
        scene.survives();
    }
}

#[test]
fn a_store_that_is_down_after_the_answer_costs_nothing() {
    for class in CLASSES {
        let scene = Scene::new(class);
        scene.provider.fail(&[Fault::Hold]);
        let child = scene.spawn(&["credentials", "test", &scene.file, "--new"]);
        wait_until(|| scene.provider.requests() == 1);
        let spoilt = SpoiltStore::new(&scene);
        scene.provider.release();
        let done = Done::of(child.wait_with_output().expect("it ends")).expect_code(75);
        if class != Class::NotRotated {
            done.expect_says(&["safe in the local folder"]);
            assert_eq!(scene.spilled(), 1, "{class:?}");
        }
        drop(spoilt);
        scene.survives();
    }
}

/// A stopped process whose lease is over wakes up and gets its answer.
#[test]
fn a_stopped_holder_that_wakes_after_its_lease_harms_nothing() {
    for class in CLASSES {
        let scene = Scene::new(class);
        scene.provider.fail(&[Fault::Hold]);
        let holder = scene.spawn(&["credentials", "test", &scene.file, "--new"]);
        wait_until(|| scene.provider.requests() == 1);
        terminate(holder.id(), "-STOP");
        let other = scene.refresh();
        match class {
            Class::SingleUse => assert_eq!(other.code, 5, "{other:?}"),
            // Sending the token again would revoke the answer that the holder waits for.
            Class::ReuseRevokesFamily => assert_eq!(other.code, 4, "{other:?}"),
            _ => assert_eq!(other.code, 0, "{other:?}"),
        }
        scene.provider.release();
        terminate(holder.id(), "-CONT");
        holder.wait_with_output().expect("it ends");
        scene.survives();
    }
}

/// Both processes read the old token; only one may spend it.
#[test]
fn two_refreshes_at_once_are_one() {
    for class in CLASSES {
        let scene = Scene::new(class);
        let children: Vec<Child> = (0..8).map(|_| scene.spawn(&["credentials", "test", &scene.file])).collect();
        for child in children {
            Done::of(child.wait_with_output().expect("it ends")).expect_code(0);
        }
        assert_eq!(scene.provider.requests(), 1, "{class:?}");
    }
}

/// The database is put back from a backup, in place, after two more refreshes.
#[test]
fn a_restored_backup_is_noticed_where_it_is_dangerous() {
    for class in CLASSES {
        let scene = Scene::new(class);
        scene.refresh().expect_code(0);
        let backup = std::fs::read(scene.place.path("state/state.db")).expect("a store");
        scene.refresh().expect_code(0);
        scene.refresh().expect_code(0);
        let requests = scene.provider.requests();
        std::fs::write(scene.place.path("state/state.db"), backup).expect("restored");
        let done = scene.refresh();
        match class {
            Class::NotRotated | Class::OldStaysValid => assert_eq!(done.code, 0, "{done:?}"),
            // Its successor was used: the provider refuses it, and nothing else comes of it.
            Class::ValidUntilSuccessorUsed => assert_eq!(done.code, 5, "{done:?}"),
            Class::ValidForWindow | Class::SingleUse | Class::ReuseRevokesFamily => {
                done.expect_code(4).expect_says(&["older than what this host has seen", "takeover", "haul login"]);
                assert_eq!(scene.provider.requests(), requests, "{class:?}: nothing was spent");
                scene.expect_state("held");
                scene.place.haul(&["credentials"]).expect_code(0).expect_says(&["held", "takeover"]);
            }
        }
        scene.import(&scene.provider.new_family()).expect_code(0);
        scene.survives();
    }
}

/// The whole state folder is copied, and both go on.
#[test]
fn a_copied_state_folder_is_noticed_where_it_is_dangerous() {
    for class in CLASSES {
        let scene = Scene::new(class);
        scene.refresh().expect_code(0);
        let copy = scene.place.path("copy");
        let copied = std::process::Command::new("cp")
            .args(["--archive".as_ref(), scene.place.path("state").as_os_str(), copy.as_os_str()])
            .status()
            .expect("cp runs");
        assert!(copied.success());
        let copy = copy.to_string_lossy().into_owned();
        let requests = scene.provider.requests();
        let refresh = || scene.place.haul(&["--state", &copy, "credentials", "test", &scene.file, "--new"]);
        let done = refresh();
        if matches!(class, Class::NotRotated | Class::OldStaysValid | Class::ValidUntilSuccessorUsed) {
            done.expect_code(0);
        } else {
            done.expect_code(4).expect_says(&["its store is a copy"]);
            assert_eq!(scene.provider.requests(), requests, "{class:?}: nothing was spent");
            // The original goes on.
            scene.survives();
            if class == Class::ValidForWindow {
                // A person who says that the copy is the only one is believed.
                scene.place.haul(&["--state", &copy, "credentials", "takeover", &scene.file]).expect_code(0);
                refresh().expect_code(0);
            }
        }
    }
}

#[test]
fn a_clock_that_is_a_day_off_loses_nothing() {
    for offset in ["-1d", "+1d"] {
        for class in [Class::ValidUntilSuccessorUsed, Class::SingleUse, Class::ReuseRevokesFamily] {
            let scene = Scene::new(class);
            scene.refresh().expect_code(0);
            let faked = scene
                .place
                .command(&["credentials", "test", &scene.file])
                .env("LD_PRELOAD", faketime())
                .env("FAKETIME", offset)
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
                .output()
                .expect("haul starts");
            Done::of(faked).expect_code(0);
            assert_eq!(scene.provider.requests(), 2, "{offset}: an expiry that cannot be believed is not believed");
            scene.survives();
        }
    }
}

fn faketime() -> String {
    let folders = std::fs::read_dir("/usr/lib").expect("/usr/lib").flatten().map(|entry| entry.path());
    let library = folders.map(|folder| folder.join("faketime/libfaketime.so.1")).find(|file| file.exists());
    library.expect("libfaketime is not installed: run `tests/rigs/install`").to_string_lossy().into_owned()
}

#[test]
fn a_full_disk_before_the_announcement_spends_nothing() {
    let scene = Scene::at(Workplace::on_small_disk(512 * 1024), Class::SingleUse);
    let ballast = scene.place.path("state/ballast");
    fill(&ballast);
    scene.refresh().expect_code(75).expect_says(&["nothing was spent"]);
    assert_eq!(scene.provider.requests(), 0);
    std::fs::remove_file(ballast).expect("removed");
    scene.survives();
}

/// The room for the answer is taken before the token is spent.
#[test]
fn a_disk_that_fills_up_during_the_request_still_takes_the_answer() {
    let scene = Scene::at(Workplace::on_small_disk(512 * 1024), Class::ReuseRevokesFamily);
    scene.provider.fail(&[Fault::Hold]);
    let child = scene.spawn(&["credentials", "test", &scene.file, "--new"]);
    wait_until(|| scene.provider.requests() == 1);
    let ballast = scene.place.path("state/ballast");
    fill(&ballast);
    scene.provider.release();
    let done = Done::of(child.wait_with_output().expect("it ends"));
    done.expect_code(75).expect_says(&["safe in the local folder"]);
    std::fs::remove_file(ballast).expect("removed");
    scene.survives();
}

fn fill(file: &std::path::Path) {
    let mut file = File::create(file).expect("a file");
    for size in [64 * 1024, 4096, 512, 1] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
}

/// Sync fails with EIO at every place where the store or the spill is synced.
#[test]
fn a_failed_sync_loses_nothing() {
    for class in [Class::ValidUntilSuccessorUsed, Class::SingleUse, Class::ReuseRevokesFamily] {
        let scene = Scene::new(class);
        for nth in 1..=20 {
            let inject = format!("--inject=fsync,fdatasync:error=EIO:when={nth}");
            let mut traced = scene.place.traced(&["-f", &inject], &["credentials", "test", &scene.file, "--new"]);
            let done = Done::of(traced.output().expect("strace runs"));
            assert!([0, 75].contains(&done.code), "{class:?}, sync {nth}: {done:?}");
            scene.survives();
        }
    }
}

/// Two hosts with folders of their own share records in PostgreSQL.
struct Hosts {
    /// Ended last.
    _database: Rig,
    provider: Provider,
    one: Workplace,
    other: Workplace,
}

impl Hosts {
    fn new(class: Class) -> Self {
        let database = Rig::start("postgres.mjs", &[]);
        let provider = Provider::start(class);
        let text = job(provider.url(), &provider.auth(), "");
        let host = || {
            let place = Workplace::new();
            place.file("job.yaml", &text);
            let local = place.path("local").to_string_lossy().into_owned();
            let place = place.env("HAUL_STATE", database.url()).env("HAUL_LOCAL", &local);
            place.env("HAUL_VAULT_KEY", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
        };
        let (one, other) = (host(), host());
        let token = one.file("token", &provider.new_family());
        let import =
            one.command(&["credentials", "import", "job.yaml"]).stdin(File::open(token).expect("a file")).output();
        Done::of(import.expect("haul starts")).expect_code(0);
        Hosts { _database: database, provider, one, other }
    }
}

const TEST: [&str; 3] = ["credentials", "test", "job.yaml"];
const RENEW: [&str; 4] = ["credentials", "test", "job.yaml", "--new"];

#[test]
fn hosts_share_credential_and_access_token() {
    let hosts = Hosts::new(Class::ReuseRevokesFamily);
    hosts.one.haul(&TEST).expect_code(0);
    hosts.other.haul(&TEST).expect_code(0);
    assert_eq!(hosts.provider.requests(), 1, "the access token is shared too");
    for _ in 0..3 {
        hosts.other.haul(&RENEW).expect_code(0);
        hosts.one.haul(&RENEW).expect_code(0);
    }
    assert_eq!(hosts.provider.requests(), 7);
}

/// The first host dies with the answer on its disk only: the second must not send the token again where that would revoke
/// the answer, and goes on by itself once the first one is back.
#[test]
fn an_answer_on_a_dead_hosts_disk_is_waited_for() {
    for class in CLASSES {
        let hosts = Hosts::new(class);
        hosts.one.haul(&RENEW).expect_code(0);
        // Room and its folder are synced, then the answer; the fourth is the folder again.
        let mut killed = hosts.one.traced(&["-f", "--inject=fsync:signal=KILL:when=4"], &RENEW);
        let killed = killed.output().expect("strace runs");
        if class != Class::NotRotated {
            assert_eq!(std::os::unix::process::ExitStatusExt::signal(&killed.status), Some(9), "{class:?}: {killed:?}");
        }
        let other = hosts.other.haul(&RENEW);
        match class {
            Class::SingleUse => other.expect_code(5),
            Class::ReuseRevokesFamily => other.expect_code(4).expect_says(&["another host", "start haul on that host"]),
            _ => other.expect_code(0),
        };
        hosts.one.haul(&RENEW).expect_code(0);
        hosts.other.haul(&RENEW).expect_code(0);
    }
}

#[test]
fn a_folder_that_others_can_read_or_that_is_a_link_is_refused() {
    let scene = Scene::new(Class::SingleUse);
    let state = scene.place.path("state");
    let key = state.join("vault.key");
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("a mode");
    };
    mode(&state, 0o755);
    scene.refresh().expect_code(2).expect_says(&["open to other users", "chmod 700"]);
    mode(&state, 0o700);
    mode(&key, 0o644);
    scene.refresh().expect_code(2).expect_says(&["open to other users", "chmod 600"]);
    mode(&key, 0o600);
    let moved = scene.place.path("moved");
    std::fs::rename(&state, &moved).expect("moved");
    std::os::unix::fs::symlink(&moved, &state).expect("a link");
    scene.refresh().expect_code(2).expect_says(&["is a link"]);
    assert_eq!(scene.provider.requests(), 0);
    std::fs::remove_file(&state).expect("removed");
    std::fs::rename(&moved, &state).expect("moved back");
    scene.survives();
}

#[test]
fn the_key_of_the_vault_can_be_replaced() {
    let scene = Scene::new(Class::SingleUse);
    scene.refresh().expect_code(0);
    let former = std::fs::read_to_string(scene.place.path("state/vault.key")).expect("a key");
    scene.place.haul(&["credentials", "rotate-key"]).expect_code(0).expect_says(&["1 credentials"]);
    let key = std::fs::read_to_string(scene.place.path("state/vault.key")).expect("a key");
    assert!(key != former && key.lines().count() == 1);
    scene.survives();
    let with = |key: &str| {
        let command = scene.place.command(&["credentials", "test", &scene.file]).env("HAUL_VAULT_KEY", key).output();
        Done::of(command.expect("haul starts"))
    };
    with(&former).expect_code(1).expect_says(&["cannot be opened with this vault key"]);
    with(&key).expect_code(0);
}

#[test]
fn the_key_comes_from_a_variable_a_file_or_a_command() {
    let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    let scene = Scene::at(Workplace::new().env("HAUL_VAULT_KEY", key), Class::SingleUse);
    scene.refresh().expect_code(0);
    assert!(!scene.place.path("state/vault.key").exists());
    let file = scene.place.file("key.txt", &format!("{key}\n"));
    let with = |name: &str, value: &str| {
        let mut command = scene.place.command(&["credentials", "test", &scene.file]);
        Done::of(command.env_remove("HAUL_VAULT_KEY").env(name, value).output().expect("haul starts"))
    };
    with("HAUL_VAULT_KEY_FILE", &file).expect_code(0);
    with("HAUL_VAULT_KEY_COMMAND", &format!("cat {file}")).expect_code(0);
    with("HAUL_VAULT_KEY_COMMAND", "exit 3").expect_code(2).expect_says(&["HAUL_VAULT_KEY_COMMAND", "exit status: 3"]);
    with("HAUL_VAULT_KEY_COMMAND", "true").expect_code(2).expect_says(&["printed no secret"]);
    with("HAUL_VAULT_KEY_FILE", "nowhere").expect_code(2).expect_says(&["nowhere"]);
    with("HAUL_VAULT_KEY", "short").expect_code(2).expect_says(&["openssl rand -base64 32"]);
}

/// The operator's own key is replaced in three steps, none of which haul can do alone.
#[test]
fn a_key_of_the_operator_is_replaced_with_both_at_hand() {
    let (old, new) = ("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", "OTg3NjU0MzIxMDk4NzY1NDMyMTA5ODc2NTQzMjEwOTg=");
    let scene = Scene::at(Workplace::new().env("HAUL_VAULT_KEY", old), Class::SingleUse);
    let with = |key: &str, args: &[&str]| {
        Done::of(scene.place.command(args).env("HAUL_VAULT_KEY", key).output().expect("haul starts"))
    };
    let test = ["credentials", "test", &scene.file, "--new"];
    with(old, &["credentials", "rotate-key"]).expect_code(2).expect_says(&["put the new key before the old one"]);
    with(&format!("{new} {old}"), &["credentials", "rotate-key"]).expect_code(0);
    with(old, &test).expect_code(1).expect_says(&["cannot be opened with this vault key"]);
    with(new, &test).expect_code(0);
}

#[test]
fn no_core_is_dumped() {
    let scene = Scene::new(Class::SingleUse);
    scene.provider.fail(&[Fault::Hold]);
    let child = scene.spawn(&["credentials", "test", &scene.file, "--new"]);
    wait_until(|| scene.provider.requests() == 1);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).expect("a process");
    scene.provider.release();
    child.wait_with_output().expect("it ends");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
}

/// A run that is told to stop, even twice, does not drop a token on its way.
#[test]
fn a_signal_does_not_cut_off_a_refresh() {
    for class in [Class::SingleUse, Class::ReuseRevokesFamily] {
        let scene = Scene::new(class);
        scene.provider.fail(&[Fault::Hold]);
        let mut child = scene.spawn(&["run", &scene.file]);
        wait_until(|| scene.provider.requests() == 1);
        let mut said = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
        for answer in ["stopping after", "waiting for a token"] {
            terminate(child.id(), "-TERM");
            said.find(|line| line.contains(answer)).expect("it answers the signal");
        }
        scene.provider.release();
        assert_eq!(child.wait().expect("it ends").code(), Some(143));
        let credential = scene.expect_state("idle");
        assert_eq!(credential["generation"], 2, "the answer was stored");
        scene.survives();
    }
}

#[test]
fn a_wrong_key_spends_nothing() {
    let scene = Scene::new(Class::SingleUse);
    std::fs::remove_file(scene.place.path("state/vault.key")).expect("removed");
    scene.refresh().expect_code(1).expect_says(&["cannot be opened with this vault key"]);
    assert_eq!(scene.provider.requests(), 0);
    scene.import(&scene.provider.new_family()).expect_code(0);
    scene.survives();
}

/// No value of a token is in any output or file, in any spelling.
#[test]
fn tokens_are_nowhere_in_the_open() {
    let scene = Scene::new(Class::SingleUse);
    let mut done =
        vec![scene.refresh(), scene.place.haul(&["credentials"]), scene.place.haul(&["credentials", "--json"])];
    scene.provider.fail(&[Fault::LoseAnswer]);
    done.push(scene.refresh());
    done.push(scene.refresh());
    let done: Vec<&Done> = done.iter().collect();
    scene.place.assert_holds_none_of(&done, &["canary-refresh", "canary-access"]);
}
