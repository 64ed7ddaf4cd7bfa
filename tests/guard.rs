//! The guard that every request passes: where requests may go, what they may bring back, how long they may take, and
//! the ways through a company's network. Whatever is refused, the foreign server is never asked and nothing is published.

#![allow(missing_docs)]

mod support;

use std::time::Duration;

use async_compression::tokio::bufread::{BrotliEncoder, GzipEncoder};
use serde_json::{Value, json};
use support::server::{Answer, Request, Server, ok, status};
use support::tls::{Authority, Tunnel};
use support::{Done, Workplace, job};
use tokio::io::AsyncReadExt;

const ROW: &str = r#"[{"id":1}]"#;

/// A server of pages whose first one leads to a link.
fn linking(link: String) -> Server {
    Server::start(move |request, _| {
        let next = if request.target == "/items" { json!(link) } else { Value::Null };
        ok(json!({ "data": [{ "id": 1, "at": request.target.len() }], "next": next }).to_string())
    })
}

#[track_caller]
fn nothing_is_published(place: &Workplace, done: &Done) {
    assert!(!place.path("out/test/_latest.json").exists(), "something was published: {done:?}");
}

/// Runs a job and expects this end, and these words.
#[track_caller]
fn ends(place: &Workplace, text: &str, code: i32, says: &[&str]) -> Done {
    let file = place.file("job.yaml", text);
    let done = place.haul(&["run", &file]).expect_code(code).expect_says(says);
    if code != 0 {
        nothing_is_published(place, &done);
    }
    done
}

/// The same for a source that answers by a script.
#[track_caller]
fn check(
    source: &str,
    code: i32,
    says: &[&str],
    script: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static,
) -> Vec<Request> {
    let server = Server::start(script);
    ends(&Workplace::new(), &job(&server.url, source, "paging: none"), code, says);
    server.asked()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Followed,
    Refused,
}

/// `{own}` and `{foreign}` are the ports of two servers on 127.0.0.1.
const LINKS: &[(Link, &str)] = &[
    (Link::Followed, "?p=2"),
    (Link::Followed, "/items?p=2"),
    (Link::Followed, "\\items?p=2"),
    (Link::Followed, "/x/../items?p=2"),
    (Link::Followed, "//127.0.0.1:{own}/items?p=2"),
    (Link::Followed, "HTTP://127.0.0.1:{own}/items?p=2"),
    (Link::Followed, "http://127.0.0.1:0{own}/items?p=2"),
    (Link::Followed, "http://127.0.0.1.:{own}/items?p=2"),
    (Link::Followed, "http://2130706433:{own}/items?p=2"),
    (Link::Followed, "http://0x7f.1:{own}/items?p=2"),
    (Link::Followed, "http://0177.0.0.1:{own}/items?p=2"),
    (Link::Followed, "http://１２７.０.０.１:{own}/items?p=2"),
    (Link::Followed, "http:127.0.0.1:{foreign}/items?p=2"),
    (Link::Followed, "http://127.0.0.1:{own}\\@127.0.0.1:{foreign}/?p=2"),
    (Link::Followed, "http://127.0.0.1:{own}/?p=2#@127.0.0.1:{foreign}/"),
    (Link::Followed, "http://127.0.0.1:{own}?p=2&@127.0.0.1:{foreign}/"),
    (Link::Followed, "/%2f127.0.0.1:{foreign}/?p=2"),
    (Link::Refused, "http://127.0.0.1:{foreign}/items?p=2"),
    (Link::Refused, "//127.0.0.1:{foreign}/items?p=2"),
    (Link::Refused, "\\\\127.0.0.1:{foreign}\\items?p=2"),
    (Link::Refused, "/\\127.0.0.1:{foreign}/items?p=2"),
    (Link::Refused, "\\/127.0.0.1:{foreign}/items?p=2"),
    (Link::Refused, "///127.0.0.1:{foreign}/items?p=2"),
    (Link::Refused, "http:\\\\127.0.0.1:{foreign}/?p=2"),
    (Link::Refused, "http:/\\127.0.0.1:{foreign}/?p=2"),
    (Link::Refused, "http:////127.0.0.1:{foreign}/?p=2"),
    (Link::Refused, " http://127.0.0.1:{foreign}/?p=2 "),
    (Link::Refused, "ht\ttp://127.0.0.1:{foreign}/?p=2"),
    (Link::Refused, "http://127.0.0\n.1:{foreign}/?p=2"),
    (Link::Refused, "/\t/127.0.0.1:{foreign}/?p=2"),
    (Link::Refused, "http://127.0.0.1:{own}\t.evil.test/?p=2"),
    (Link::Refused, "http://user@127.0.0.1:{own}/items?p=2"),
    (Link::Refused, "http://user:password@127.0.0.1:{own}/items?p=2"),
    (Link::Refused, "http://127.0.0.1:{own}@127.0.0.1:{foreign}/?p=2"),
    (Link::Refused, "http://127.0.0.1%2f@127.0.0.1:{foreign}/?p=2"),
    (Link::Refused, "http://127.0.0.1:{own}%2f@127.0.0.1:{foreign}/?p=2"),
    (Link::Refused, "http://127.0.0.1%2fx:{own}/?p=2"),
    (Link::Refused, "http://127.0.0.1:{foreign}%00/?p=2"),
    (Link::Refused, "https://127.0.0.1:{own}/items?p=2"),
    (Link::Refused, "https://127.0.0.1:{foreign}/?p=2"),
    (Link::Refused, "http://localhost:{own}/items?p=2"),
    (Link::Refused, "http://localhost:{foreign}/?p=2"),
    (Link::Refused, "http://ⓛocalhost:{foreign}/?p=2"),
    (Link::Refused, "http://xn--/?p=2"),
    (Link::Refused, "http://2130706433:{foreign}/?p=2"),
    (Link::Refused, "http://0x7f000001:{foreign}/?p=2"),
    (Link::Refused, "http://017700000001:{foreign}/?p=2"),
    (Link::Refused, "http://127.1:{foreign}/?p=2"),
    (Link::Refused, "http://１２７.０.０.１:{foreign}/?p=2"),
    (Link::Refused, "http://127。0。0。1:{foreign}/?p=2"),
    (Link::Refused, "http://%31%32%37.0.0.1:{foreign}/?p=2"),
    (Link::Refused, "http://127.0.0.2:{foreign}/?p=2"),
    (Link::Refused, "http://0.0.0.0:{own}/items?p=2"),
    (Link::Refused, "http://0:{foreign}/?p=2"),
    (Link::Refused, "http://[::ffff:127.0.0.1]:{own}/items?p=2"),
    (Link::Refused, "http://[::ffff:7f00:1]:{foreign}/?p=2"),
    (Link::Refused, "http://[::1]:{foreign}/?p=2"),
    (Link::Refused, "http://127.0.0.1/items?p=2"),
    (Link::Refused, "http://127.0.0.1:99999/?p=2"),
    (Link::Refused, "http://256.0.0.1:{foreign}/?p=2"),
    (Link::Refused, "http://127.0.0.1:{own}.evil.test/?p=2"),
    (Link::Refused, "blob:http://127.0.0.1:{own}/items?p=2"),
    (Link::Refused, "ws://127.0.0.1:{own}/items?p=2"),
    (Link::Refused, "ftp://127.0.0.1:{foreign}/?p=2"),
    (Link::Refused, "file:///etc/passwd"),
    (Link::Refused, "data:application/json,[]"),
    (Link::Refused, "javascript:alert(1)"),
];

fn port(server: &Server) -> &str {
    server.url.rsplit(':').next().expect("a port")
}

/// Puts the ports into a link.
fn spelled(link: &str, own: &str, foreign: &str) -> String {
    link.replace("{own}", own).replace("{foreign}", foreign)
}

#[test]
fn next_links_stay_at_home_in_every_spelling() {
    let foreign = Server::start(|_, _| ok(r#"{"data":[],"next":null}"#));
    let other = port(&foreign).to_owned();
    for (expect, link) in LINKS {
        let (typed, to) = ((*link).to_owned(), other.clone());
        let server = Server::start(move |request, before| {
            let own = request.header("host").and_then(|host| host.rsplit(':').next()).unwrap_or_default().to_owned();
            let next = if before == 0 { json!(spelled(&typed, &own, &to)) } else { Value::Null };
            ok(json!({ "data": [{ "id": before }], "next": next }).to_string())
        });
        let place = Workplace::new();
        let file = place.file("job.yaml", &job(&server.url, "", "records: data\npaging: { next_url: next }"));
        let done = place.haul(&["run", &file]);
        let asked = server.asked().len();
        match expect {
            Link::Followed => assert_eq!((done.code, asked), (0, 2), "{link}: {done:?}"),
            Link::Refused => {
                assert_eq!((done.code, asked), (1, 1), "{link}: {done:?}");
                nothing_is_published(&place, &done);
            }
        }
        assert_eq!(foreign.asked().len(), 0, "{link}: the foreign server was asked");
    }
}

#[test]
fn redirects_stay_at_home_in_every_spelling() {
    let foreign = Server::start(|_, _| ok(ROW));
    let other = port(&foreign).to_owned();
    let refused = LINKS.iter().filter(|(expect, link)| {
        *expect == Link::Refused && link.is_ascii() && !link.contains(|c: char| c.is_control())
    });
    for (status_code, (_, link)) in [301, 302, 303, 307, 308].into_iter().cycle().zip(refused) {
        let (typed, to) = ((*link).to_owned(), other.clone());
        let asked = check("", 1, &["redirects to", "refused"], move |request, _| {
            let own = request.header("host").and_then(|host| host.rsplit(':').next()).unwrap_or_default().to_owned();
            status(status_code, "").with("location", &spelled(&typed, &own, &to))
        });
        assert_eq!((asked.len(), foreign.asked().len()), (1, 0), "{link}");
    }
}

#[test]
fn a_link_header_stays_at_home() {
    let foreign = Server::start(|_, _| ok(ROW));
    let link = format!("<{}/items>; rel=\"next\"", foreign.url);
    let server = Server::start(move |_, _| ok(ROW).with("link", &link));
    let place = Workplace::new();
    ends(&place, &job(&server.url, "", "paging: link_header"), 1, &["not on the source's origin"]);
    assert_eq!((server.asked().len(), foreign.asked().len()), (1, 0));
}

#[test]
fn localhost_is_its_own_origin() {
    for (link, expect) in [
        ("http://LOCALHOST:{own}/items?p=2", Link::Followed),
        ("http://ｌocalhost:{own}/items?p=2", Link::Followed),
        ("http://%6cocalhost:{own}/items?p=2", Link::Followed),
        ("http://127.0.0.1:{own}/items?p=2", Link::Refused),
        ("http://localhost.:{own}/items?p=2", Link::Refused),
        ("http://localhost.localdomain:{own}/items?p=2", Link::Refused),
        ("http://xn--localhost-:{own}/items?p=2", Link::Refused),
        ("http://x.localhost:{own}/items?p=2", Link::Refused),
    ] {
        let server = Server::start(move |request, before| {
            let own = request.header("host").and_then(|host| host.rsplit(':').next()).unwrap_or_default().to_owned();
            let next = if before == 0 { json!(spelled(link, &own, "")) } else { Value::Null };
            ok(json!({ "data": [{ "id": before }], "next": next }).to_string())
        });
        let place = Workplace::new();
        let base_url = format!("http://localhost:{}", port(&server));
        let file = place.file("job.yaml", &job(&base_url, "", "records: data\npaging: { next_url: next }"));
        let done = place.haul(&["run", &file]);
        let got = if done.code == 0 { Link::Followed } else { Link::Refused };
        assert_eq!((got, server.asked().len()), (expect, 1 + usize::from(expect == Link::Followed)), "{link} {done:?}");
    }
}

#[test]
fn long_links_and_locations_are_refused_by_their_length() {
    let stream = "records: data\npaging: { next_url: next }";
    let long = |length: usize| linking(format!("/items?p={}", "2".repeat(length)));
    ends(&Workplace::new(), &job(&long(30_000).url, "", stream), 0, &[]);
    let server = long(40_000);
    ends(&Workplace::new(), &job(&server.url, "", stream), 1, &["limit URL_BYTES_MAX"]);
    assert_eq!(server.asked().len(), 1);
    let server = linking("//127.0.0.1".to_owned() + &"/".repeat(40_000));
    ends(&Workplace::new(), &job(&server.url, "", stream), 1, &["limit URL_BYTES_MAX"]);
    let location = |length: usize| format!("/items?p={}", "2".repeat(length));
    for length in [40_000, 70_000] {
        let asked =
            check("", 1, &["limit URL_BYTES_MAX"], move |_, _| status(302, "").with("location", &location(length)));
        assert_eq!(asked.len(), 1);
    }
}

#[test]
fn chains_of_redirects_end() {
    let step = |request: &Request| request.param("step").and_then(|step| step.parse().ok()).unwrap_or(0_u32);
    let asked = check("", 0, &[], move |request, _| match step(request) {
        5 => ok(ROW),
        step => status(307, "").with("location", &format!("/items?step={}", step + 1)),
    });
    assert_eq!(asked.len(), 6);
    let asked = check("", 1, &["limit REDIRECTS_MAX"], |_, _| status(302, "").with("location", "/items"));
    assert_eq!(asked.len(), 6);
    let foreign = Server::start(|_, _| ok(ROW));
    let to = foreign.url.clone();
    let asked = check("", 1, &["redirects to", "refused"], move |request, _| match step(request) {
        2 => status(303, "").with("location", &to),
        step => status(302, "").with("location", &format!("?step={}", step + 1)),
    });
    assert_eq!((asked.len(), foreign.asked().len()), (3, 0));
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(work)
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    wait(GzipEncoder::new(plain).read_to_end(&mut packed)).expect("packed");
    packed
}

fn brotli(plain: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    wait(BrotliEncoder::new(plain).read_to_end(&mut packed)).expect("packed");
    packed
}

#[test]
fn a_bomb_ends_at_the_page_or_at_the_ratio() {
    let bomb = gzip(&vec![b' '; 10_000_000]);
    assert!(bomb.len() < 11_000, "{}", bomb.len());
    let answer = ok(bomb).with("content-encoding", "gzip");
    let (first, second) = (answer.clone(), answer);
    let asked = check("network: { page_mib: 1 }", 1, &["1048576 bytes", "`source.network.page_mib`"], move |_, _| {
        first.clone()
    });
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].header("accept-encoding"), Some("gzip, br, zstd, deflate"));
    check("", 1, &["limit INFLATION_MAX"], move |_, _| second.clone());
    check("network: { page_mib: 1 }", 1, &["`source.network.page_mib`"], |_, _| ok(vec![b' '; 1_100_000]));
    check("network: { page_mib: 2 }", 0, &[], |_, _| ok(format!("{}{ROW}", " ".repeat(1_100_000))));
}

#[test]
fn codings_are_undone_or_named() {
    let both = brotli(&gzip(ROW.as_bytes()));
    check("", 0, &[], move |_, _| ok(both.clone()).with("content-encoding", "gzip, br"));
    check("", 1, &["`compress`"], |_, _| ok(ROW).with("content-encoding", "compress"));
    check("", 1, &["limit CODINGS_MAX"], |_, _| ok(ROW).with("content-encoding", "gzip, br, gzip"));
    let cut = |body: &[u8]| ok(&body[..body.len() - 4]).with("content-encoding", "gzip");
    let whole = gzip(ROW.as_bytes());
    let body = whole.clone();
    // A cut body is asked for again, and told where it stays cut.
    let asked = check("", 0, &[], move |_, before| match before {
        0 => cut(&body),
        _ => ok(body.clone()).with("content-encoding", "gzip"),
    });
    assert_eq!(asked.len(), 2);
    let asked = check("", 75, &["ends or breaks inside its coding gzip"], move |_, _| cut(&whole));
    assert_eq!(asked.len(), 3);
}

#[test]
fn slow_answers_end_by_the_limit_that_they_reach() {
    let second = Duration::from_secs(1);
    let asked =
        check("network: { total_timeout: 2s }", 75, &["2s, limit `source.network.total_timeout`"], move |_, _| {
            Answer::Drip { wait: second, body: ROW.into() }
        });
    assert_eq!(asked.len(), 1);
    let asked = check("network: { stall_timeout: 1s }", 0, &[], move |_, before| match before {
        0 => Answer::Stall { wait: second * 3, body: ROW.into(), sent: 4 },
        _ => ok(ROW),
    });
    assert_eq!(asked.len(), 2);
}

#[test]
fn a_server_that_never_answers_ends_by_the_first_byte() {
    let source = "network: { first_byte_timeout: 1s }";
    let asked = check(source, 75, &["1s, limit `source.network.first_byte_timeout`"], |_, _| Answer::Late {
        wait: Duration::from_secs(3),
        body: ROW.into(),
    });
    assert_eq!(asked.len(), 3);
}

#[test]
fn a_connection_that_never_speaks_ends_by_the_connection() {
    // Accepted by the system, never answered: the TLS handshake hangs.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let base_url = format!("https://{}", silent.local_addr().expect("an address"));
    let text = job(&base_url, "network: { connect_timeout: 1s }", "");
    ends(&Workplace::new(), &text, 75, &["1s, limit `source.network.connect_timeout`"]);
}

/// Runs a job on a machine whose hosts file has these lines; `more` takes more of the machine away.
fn with_hosts(place: &Workplace, hosts: &str, text: &str, more: &[&str]) -> Done {
    let (hosts, file) = (place.file("hosts", hosts), place.file("job.yaml", text));
    let inner = place.command(&[]);
    let haul = env!("CARGO_BIN_EXE_haul");
    let mut command = std::process::Command::new("unshare");
    let script = format!("mount --bind '{hosts}' /etc/hosts && exec '{haul}' run '{file}'");
    command
        .args(["--user", "--map-root-user", "--mount"])
        .args(more)
        .args(["sh", "-c", &script])
        .current_dir(place.path(""));
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let done = Done::of(command.output().expect("unshare runs (package util-linux)"));
    nothing_is_published(place, &done);
    done
}

#[test]
fn a_name_that_leads_inside_is_refused_when_the_connection_is_made() {
    let server = Server::start(|_, _| ok(ROW));
    let port = port(&server);
    let check = |address: &str, key: &str, says: &[&str]| {
        let source = format!("allow_http: true\nnetwork: {{ {key} }}");
        let text = job(&format!("http://erp.test:{port}"), &source, "");
        let done = with_hosts(&Workplace::new(), &format!("{address} erp.test\n"), &text, &[]);
        done.expect_code(1).expect_says(&["`erp.test`", "refused, no request was sent"]).expect_says(says);
    };
    check("10.1.2.3", "", &["a private address", "`source.network.allow_private: true`"]);
    check("192.168.0.9", "", &["a private address", "`source.network.allow_private: true`"]);
    check("100.64.0.9", "", &["shared, 100.64.0.0/10", "`source.network.allow_private: true`"]);
    check("fd00::9", "", &["unique local", "`source.network.allow_private: true`"]);
    check("::ffff:10.1.2.3", "", &["a private address"]);
    check("127.0.0.1", "", &["loopback", "write `localhost`"]);
    check("127.0.0.1", "allow_private: true", &["loopback", "write `localhost`"]);
    check("::ffff:127.0.0.1", "allow_private: true", &["loopback"]);
    check("0.0.0.0", "allow_private: true", &["an unspecified address"]);
    check("169.254.7.7", "allow_private: true", &["a link-local address"]);
    check("169.254.169.254", "allow_private: true", &["the metadata service of a cloud"]);
    check("fd00:ec2::254", "allow_private: true", &["the metadata service of a cloud"]);
    assert_eq!(server.asked().len(), 0);
}

#[test]
fn a_private_name_is_tried_where_the_job_allows_it() {
    let source = "allow_http: true\nnetwork: { allow_private: true, connect_timeout: 1s }";
    // Without any network: that the connection is tried shows that the guard let it pass.
    let text = job("http://erp.test:9", source, "");
    let done = with_hosts(&Workplace::new(), "10.1.2.3 erp.test\n", &text, &["--net"]);
    let done = done.expect_code(75).expect_says(&["cannot reach http://erp.test:9"]);
    assert!(!done.stderr.contains("refused, no request was sent"), "{done:?}");
}

#[test]
fn an_address_that_the_job_spells_out_is_meant_unless_nothing_good_lives_there() {
    let server = Server::start(|_, _| ok(ROW));
    let port = port(&server);
    for host in ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1"] {
        ends(&Workplace::new(), &job(&format!("http://{host}:{port}"), "", ""), 0, &[]);
    }
    let asked = server.asked().len();
    for (host, says) in [
        ("0.0.0.0", "an unspecified address"),
        ("0", "an unspecified address"),
        ("[::]", "an unspecified address"),
        ("169.254.169.254", "the metadata service"),
        ("0xa9fea9fe", "the metadata service"),
        ("[::ffff:a9fe:a9fe]", "the metadata service"),
        ("[fd00:ec2::254]", "the metadata service"),
        ("224.0.0.1", "a multicast address"),
        ("255.255.255.255", "a reserved address"),
    ] {
        let source = "allow_http: true\nnetwork: { allow_private: true }";
        ends(&Workplace::new(), &job(&format!("http://{host}:{port}"), source, ""), 1, &[says, "refused"]);
    }
    assert_eq!(server.asked().len(), asked);
}

#[test]
fn token_requests_pass_the_same_guard() {
    let server = Server::start(|_, _| ok(ROW));
    let port = port(&server);
    let auth = |endpoint: &str| {
        format!(
            "allow_http: true\nauth:\n  oauth2: {{ grant: client_credentials, client_id: haul, client_secret: \
             \"${{SECRET}}\", client_auth: post, {endpoint} }}"
        )
    };
    let place = Workplace::new().env("SECRET", "canary-client-secret");
    let text = job(&server.url, &auth(&format!("token_url: 'http://login.test:{port}/token'")), "");
    let done = with_hosts(&place, "127.0.0.1 login.test\n", &text, &[]);
    done.expect_code(1).expect_says(&["`login.test`", "loopback", "refused", "write `localhost`"]);
    assert_eq!(server.asked().len(), 0);
    // What the job names leads to metadata, and those lead elsewhere.
    let issuer = Server::start(|request, _| {
        let host = request.header("host").unwrap_or_default();
        ok(json!({ "issuer": format!("http://{host}"), "token_endpoint": "http://10.1.2.3/token" }).to_string())
    });
    let place = Workplace::new().env("SECRET", "canary-client-secret");
    let text = job(&server.url, &auth(&format!("issuer: '{}'", issuer.url)), "");
    ends(&place, &text, 1, &["`10.1.2.3`", "a private address", "refused", "`source.network.allow_private: true`"]);
    assert_eq!(server.asked().len(), 0);
}

#[test]
fn an_authority_of_the_companys_own_is_trusted_by_its_file() {
    let place = Workplace::new().env("SECRET", "canary-client-secret");
    let authority = Authority::make(&place.path(""), "DNS:localhost,IP:127.0.0.1");
    let foreign = Server::start(|_, _| ok(ROW));
    let plain = foreign.url.clone();
    let server = authority.serve(move |path| match path {
        "/token" => support::tls::json(r#"{"access_token":"canary-access","expires_in":600}"#),
        "/away" => {
            format!("HTTP/1.1 302 Found\r\nlocation: {plain}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        }
        _ => support::tls::json(ROW),
    });
    let auth = "auth:\n  oauth2: { grant: client_credentials, client_id: haul, client_secret: \"${SECRET}\", \
                client_auth: post, token_url: '{base}/token' }\n";
    let base_url = format!("https://{server}");
    let auth = auth.replace("{base}", &base_url);
    place.file("tls/readme", "beside the job");
    std::fs::copy(place.path("ca.pem"), place.path("tls/ca.pem")).expect("a copy");
    let trusting = "network: { ca_file: tls/ca.pem }";
    ends(&place, &job(&base_url, "", ""), 75, &["cannot reach", "`source.network.ca_file`"]);
    ends(
        &place,
        &job(&base_url, "network: { ca_file: tls/none.pem }", ""),
        1,
        &["`source.network.ca_file`", "none.pem"],
    );
    ends(&place, &job(&base_url, "network: { ca_file: job.yaml }", ""), 1, &["no `BEGIN CERTIFICATE`"]);
    let away = job(&base_url, trusting, "").replace("path: /items", "path: /away");
    ends(&place, &away, 1, &["redirects to", "refused"]);
    assert_eq!(foreign.asked().len(), 0);
    ends(&place, &job(&base_url, trusting, ""), 0, &[]);
    ends(&place, &job(&base_url, &format!("{auth}{trusting}"), ""), 0, &[]);
}

#[test]
fn a_proxy_of_the_job_or_of_the_environment_carries_the_requests() {
    let answer = |_: &Request, _: usize| ok(ROW);
    // The name is resolved by nobody but the proxy.
    let base_url = "http://api.example.test/v1";
    let proxy = Server::start(answer);
    let place = Workplace::new().env("PROXY_PASSWORD", "canary-proxy");
    let source = format!(
        "allow_http: true\nnetwork: {{ proxy: '{}', proxy_username: me, proxy_password: \"${{PROXY_PASSWORD}}\" }}",
        proxy.url.replace("127.0.0.1", "localhost")
    );
    ends(&place, &job(base_url, &source, ""), 0, &[]);
    assert_eq!(proxy.asked()[0].target, "http://api.example.test/v1/items");
    let login = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, "me:canary-proxy");
    assert_eq!(proxy.asked()[0].header("proxy-authorization"), Some(format!("Basic {login}").as_str()));

    let in_environment = || Workplace::new().env("HTTP_PROXY", &proxy.url).env("NO_PROXY", "127.0.0.1");
    ends(&in_environment(), &job(base_url, "allow_http: true", ""), 0, &[]);
    assert_eq!(proxy.asked().len(), 2);
    let server = Server::start(answer);
    ends(&in_environment(), &job(&server.url, "", ""), 0, &[]);
    let by_name = server.url.replace("127.0.0.1", "localhost");
    ends(&in_environment(), &job(&by_name, "network: { proxy: none }", ""), 0, &[]);
    assert_eq!((proxy.asked().len(), server.asked().len()), (2, 2));
    ends(&in_environment(), &job(&by_name, "", ""), 0, &[]);
    assert_eq!((proxy.asked().len(), server.asked().len()), (3, 2));
}

#[test]
fn https_and_token_requests_go_through_a_tunnel() {
    let place = Workplace::new().env("SECRET", "canary-client-secret");
    let authority = Authority::make(&place.path(""), "DNS:api.example.test");
    let server = authority.serve(|path| match path {
        "/token" => support::tls::json(r#"{"access_token":"canary-access","expires_in":600}"#),
        _ => support::tls::json(ROW),
    });
    let tunnel = Tunnel::start(server);
    let source = format!(
        "auth:\n  oauth2: {{ grant: client_credentials, client_id: haul, client_secret: \"${{SECRET}}\", client_auth: \
         post, token_url: 'https://api.example.test/token' }}\nnetwork: {{ proxy: '{}', ca_file: ca.pem }}",
        tunnel.url
    );
    ends(&place, &job("https://api.example.test", &source, ""), 0, &[]);
    let asked = tunnel.asked();
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|head| head.starts_with("CONNECT api.example.test:443 ")), "{asked:?}");
}
