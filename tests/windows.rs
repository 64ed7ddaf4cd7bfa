//! The `windows` kind against real servers: Apache behind MIT Kerberos, and an NTLM acceptor.

#![allow(missing_docs)]

mod support;

use support::rigs::Rig;
use support::{Done, Workplace, job};

const STREAM: &str = "records: data\npaging: { next_url: next }";

fn auth(lines: &[String]) -> String {
    let lines: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    format!("auth:\n  windows:\n    password: ${{PASSWORD}}\n{lines}")
}

fn run(rig: &Rig, password: &str, lines: &[String]) -> (Workplace, Done) {
    let place = Workplace::new().env("PASSWORD", password);
    // The first page has a number as well.
    let text = job(rig.url(), &auth(lines), STREAM).replace("path: /items", "path: /items1.json");
    let file = place.file("job.yaml", &text);
    let done = place.haul(&["run", &file, "--json"]);
    (place, done)
}

fn rows(done: &Done) -> String {
    done.json()["tables"]["items"]["rows"].to_string()
}

fn kerberos(rig: &Rig) -> Vec<String> {
    vec![format!("username: {}\\{}", rig.text("realm"), rig.text("user")), format!("kdc: {}", rig.text("kdc"))]
}

fn domain_user(rig: &Rig, scheme: &str) -> Vec<String> {
    let user = format!("username: {}\\{}", rig.text("domain"), rig.text("user"));
    vec![user, format!("scheme: {scheme}")]
}

#[test]
fn a_service_behind_kerberos_is_read_whole() {
    let rig = Rig::start("kerberos.mjs", &[]);
    let (_place, done) = run(&rig, rig.text("password"), &kerberos(&rig));
    assert_eq!(rows(&done.expect_code(0)), rig.text("rows"));
}

#[test]
fn what_is_wrong_with_a_kerberos_login_is_said() {
    let rig = Rig::start("kerberos.mjs", &[]);
    let (_place, done) = run(&rig, "canary-of-somebody-else", &kerberos(&rig));
    done.expect_code(1).expect_says(&["does not let", "check user, domain and password"]);
    let mut unknown = kerberos(&rig);
    unknown[0] = format!("username: {}\\nobody", rig.text("realm"));
    run(&rig, rig.text("password"), &unknown).1.expect_code(1).expect_says(&["does not let", "nobody"]);
    let mut spn = kerberos(&rig);
    spn.push("spn: HTTP/elsewhere.example.com".to_owned());
    run(&rig, rig.text("password"), &spn).1.expect_code(1).expect_says(&["elsewhere.example.com", "windows.spn"]);
    let mut kdc = kerberos(&rig);
    kdc[1] = "kdc: 127.0.0.1:1".to_owned();
    run(&rig, rig.text("password"), &kdc).1.expect_code(75).expect_says(&["127.0.0.1:1", "windows.kdc"]);
    let mut ntlm = kerberos(&rig);
    ntlm.push("scheme: ntlm".to_owned());
    run(&rig, rig.text("password"), &ntlm).1.expect_code(1).expect_says(&["offers Negotiate, not NTLM"]);
}

#[test]
fn a_service_behind_ntlm_is_read_whole_over_one_login() {
    let rig = Rig::start("ntlm.py", &[]);
    let (_place, done) = run(&rig, rig.text("password"), &domain_user(&rig, "ntlm"));
    assert_eq!(rows(&done.expect_code(0)), rig.text("rows"));
    assert_eq!(rig.get("/_stats")["passed"], 1, "the connection stays known");
}

/// Two streams, one refusal: many tries lock an account.
#[test]
fn a_wrong_password_is_tried_once() {
    let rig = Rig::start("ntlm.py", &[]);
    let place = Workplace::new().env("PASSWORD", "canary-wrong-password");
    let text = job(rig.url(), &auth(&domain_user(&rig, "ntlm")), STREAM);
    let second = "  - { name: more, path: /items1.json, records: data, paging: none }\ndestination:";
    let file = place.file("job.yaml", &text.replace("destination:", second));
    let done = place.haul(&["run", &file, "--json"]);
    let done = done.expect_code(1).expect_says(&["does not let", "may lock the account"]);
    assert!(rig.get("/_stats")["denied"] == 1, "{}", rig.get("/_stats"));
    place.assert_holds_none_of(&[&done], &["canary-wrong-password"]);
}

#[test]
fn a_server_that_wants_ntlm_is_not_met_with_negotiate() {
    let rig = Rig::start("ntlm.py", &[]);
    let (_place, done) = run(&rig, rig.text("password"), &domain_user(&rig, "negotiate"));
    done.expect_code(1).expect_says(&["offers NTLM, not Negotiate", "windows.scheme"]);
}
