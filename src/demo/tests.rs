//! The demo API over real loopback connections.

use std::collections::HashMap;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

use super::memory::Fingerprint;
use super::{DemoApi, DemoStats, Error};

const VERIFIER: &str = "a-verifier-of-enough-characters-for-rfc-7636-to-like";
const REDIRECT: &str = "http://127.0.0.1:1/callback";

struct Answer {
    status: u16,
    headers: HashMap<String, String>,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn tokens(&self) -> (String, String) {
        assert_eq!(self.status, 200, "{}", self.body);
        assert_eq!(self.headers["cache-control"], "no-store");
        let json = self.json();
        assert_eq!((json["token_type"].as_str(), json["expires_in"].as_u64()), (Some("Bearer"), Some(600)));
        (json["access_token"].as_str().unwrap().to_owned(), json["refresh_token"].as_str().unwrap().to_owned())
    }
}

async fn send(api: &DemoApi, method: &str, target: &str, headers: &str, body: &str) -> Answer {
    let mut socket = TcpStream::connect(("127.0.0.1", api.port())).await.unwrap();
    let length = body.len();
    let head = format!("{method} {target} HTTP/1.1\r\nhost: demo\r\nconnection: close\r\ncontent-length: {length}");
    socket.write_all(format!("{head}\r\n{headers}\r\n{body}").as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let pairs = lines.map(|line| line.split_once(": ").unwrap());
    let headers = pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    Answer { status, headers, body: body.to_owned() }
}

async fn read(api: &DemoApi, target: &str, access: &str) -> Answer {
    send(api, "GET", target, &format!("authorization: Bearer {access}\r\n"), "").await
}

async fn post(api: &DemoApi, target: &str, form: &[(&str, &str)]) -> Answer {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    send(api, "POST", target, "content-type: application/x-www-form-urlencoded\r\n", &body).await
}

async fn authorize(api: &DemoApi, changes: &[(&str, &str)]) -> Answer {
    let challenge = Fingerprint::of(VERIFIER);
    let mut query = HashMap::from([
        ("response_type", "code"),
        ("client_id", "haul-demo"),
        ("redirect_uri", REDIRECT),
        ("state", "a b&c"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ]);
    query.extend(changes.iter().copied());
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    send(api, "GET", &format!("/oauth/authorize?{query}"), "", "").await
}

/// What the redirect carries.
fn redirected(answer: &Answer) -> HashMap<String, String> {
    assert_eq!(answer.status, 302, "{}", answer.body);
    let location: Url = answer.headers["location"].parse().unwrap();
    assert!(location.as_str().starts_with(REDIRECT));
    location.query_pairs().into_owned().collect()
}

async fn exchange(api: &DemoApi, verifier: &str) -> Answer {
    let code = redirected(&authorize(api, &[]).await)["code"].clone();
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", "haul-demo"),
        ("code", &code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", verifier),
    ];
    post(api, "/oauth/token", &form).await
}

async fn refresh(api: &DemoApi, token: &str) -> Answer {
    let form = [("grant_type", "refresh_token"), ("client_id", "haul-demo"), ("refresh_token", token)];
    post(api, "/oauth/token", &form).await
}

#[tokio::test]
async fn a_walk_sees_every_id_once_in_order_and_each_mishap_once() {
    let folder = tempfile::tempdir().unwrap();
    let api = DemoApi::start(folder.path(), None).await.unwrap();
    let (access, _) = exchange(&api, VERIFIER).await.tokens();
    let mut requests = 0;
    for (table, rows) in DemoApi::row_counts() {
        let start: Url = format!("{}/api/v1/{table}", api.url()).parse().unwrap();
        let mut next = Some(start.clone());
        let mut seen = 0;
        while let Some(url) = next.take() {
            let target = &url[url::Position::BeforePath..];
            let mut answer = read(&api, target, &access).await;
            requests += 1;
            if answer.status != 200 {
                match (table, seen) {
                    ("orders", 9_000) => assert_eq!((answer.status, &*answer.headers["retry-after"]), (429, "1")),
                    ("order_lines", 49_000) => assert_eq!(answer.status, 500),
                    _ => panic!("{} after {seen} records of {table}", answer.status),
                }
                answer = read(&api, target, &access).await;
                requests += 1;
            }
            assert_eq!((answer.status, &*answer.headers["content-type"]), (200, "application/json"));
            let page = answer.json();
            let records = page["data"].as_array().unwrap();
            assert_eq!(page["meta"]["count"], records.len());
            assert_eq!(page["meta"]["total"], rows);
            for record in records {
                seen += 1;
                assert_eq!(record["id"], seen);
            }
            if let Some(link) = page["links"]["next"].as_str() {
                assert_eq!(link.starts_with("http://127.0.0.1:"), table == "customers", "{link}");
                next = Some(url.join(link).unwrap());
            }
        }
        assert_eq!(seen, rows);
    }
    let expect = DemoStats { logins: 1, requests, throttled: 1, failed: 1, ..DemoStats::default() };
    assert_eq!(requests, 202);
    assert_eq!(api.stats(), expect);
    assert_eq!(api.stop().await, expect);
}

#[tokio::test]
async fn the_login_outlives_the_process_on_the_same_port_and_reuse_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let api = DemoApi::start(folder.path(), None).await.unwrap();
    let url = api.url().to_owned();
    let (_, first) = exchange(&api, VERIFIER).await.tokens();
    let (_, second) = refresh(&api, &first).await.tokens();
    assert!(matches!(DemoApi::start(folder.path(), None).await, Err(Error::Busy { .. })));
    assert_eq!(api.stop().await, DemoStats { logins: 1, refreshes: 1, ..DemoStats::default() });

    let api = DemoApi::start(folder.path(), None).await.unwrap();
    assert_eq!((api.url(), api.port_changed()), (&*url, false));
    let (access, third) = refresh(&api, &second).await.tokens();
    assert_eq!(read(&api, "/api/v1/orders", &access).await.status, 200);
    for token in [&first, &third] {
        let answer = refresh(&api, token).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("invalid_grant")));
    }
    let answer = read(&api, "/api/v1/orders", &access).await;
    assert_eq!(answer.status, 401);
    assert!(answer.headers["www-authenticate"].contains("error=\"invalid_token\""));
    assert_eq!(api.stop().await, DemoStats { refreshes: 1, reuses: 1, requests: 2, ..DemoStats::default() });
}

#[tokio::test]
async fn a_taken_port_is_told_when_it_was_remembered_and_an_error_when_it_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let api = DemoApi::start(folder.path(), None).await.unwrap();
    let port = api.port();
    api.stop().await;
    let stranger = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    assert!(matches!(DemoApi::start(folder.path(), Some(port)).await, Err(Error::Listen { .. })));
    let api = DemoApi::start(folder.path(), None).await.unwrap();
    assert!(api.port_changed() && api.port() != port);
    api.stop().await;
    drop(stranger);
}

#[tokio::test]
async fn the_authorization_endpoint_sends_code_state_and_issuer_to_loopback_only() {
    let folder = tempfile::tempdir().unwrap();
    let api = DemoApi::start(folder.path(), None).await.unwrap();
    let sent = redirected(&authorize(&api, &[]).await);
    assert_eq!((&*sent["state"], &*sent["iss"], sent["code"].len()), ("a b&c", api.url(), 43));
    for (name, value, error) in [
        ("response_type", "token", "unsupported_response_type"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
    ] {
        let sent = redirected(&authorize(&api, &[(name, value)]).await);
        assert_eq!((&*sent["error"], sent.contains_key("code"), &*sent["state"]), (error, false, "a b&c"));
    }
    for (name, value) in [
        ("client_id", "other"),
        ("redirect_uri", "https://127.0.0.1/callback"),
        ("redirect_uri", "http://example.com/callback"),
        ("redirect_uri", "http://127.0.0.1@example.com/callback"),
        ("redirect_uri", "not a URL"),
    ] {
        let answer = authorize(&api, &[(name, value)]).await;
        assert_eq!((answer.status, answer.headers.get("location")), (400, None), "{name}={value}");
    }
    api.stop().await;
}

#[tokio::test]
async fn wrong_requests_get_the_errors_of_the_standards() {
    let folder = tempfile::tempdir().unwrap();
    let api = DemoApi::start(folder.path(), None).await.unwrap();
    let answer = exchange(&api, "another-verifier-that-nobody-has-ever-hashed").await;
    assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("invalid_grant")));
    let client = ("client_id", "haul-demo");
    for (form, status, error) in [
        (vec![client], 400, "invalid_request"),
        (vec![client, ("grant_type", "password")], 400, "unsupported_grant_type"),
        (vec![client, ("grant_type", "refresh_token")], 400, "invalid_request"),
        (vec![client, client, ("grant_type", "refresh_token")], 400, "invalid_request"),
        (vec![("grant_type", "refresh_token"), ("refresh_token", "x")], 401, "invalid_client"),
        (vec![client, ("client_secret", "x"), ("grant_type", "refresh_token")], 401, "invalid_client"),
        (vec![client, ("grant_type", "refresh_token"), ("refresh_token", "x")], 400, "invalid_grant"),
    ] {
        let answer = post(&api, "/oauth/token", &form).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (status, Some(error)), "{form:?}");
    }

    let (access, token) = exchange(&api, VERIFIER).await.tokens();
    for (target, expect) in [("/api/v1/nothing", 404), ("/nothing", 404), ("/api/v1/orders?after=x", 400)] {
        assert_eq!(read(&api, target, &access).await.status, expect, "{target}");
    }
    let anonymous = send(&api, "GET", "/api/v1/orders", "", "").await;
    assert_eq!((anonymous.status, &*anonymous.headers["www-authenticate"]), (401, "Bearer realm=\"haul-demo\""));
    for form in [[client, ("token", "never issued")], [client, ("token", &*token)]] {
        assert_eq!(post(&api, "/oauth/revoke", &form).await.status, 200);
    }
    assert_eq!(read(&api, "/api/v1/orders", &access).await.status, 401);
    assert_eq!(refresh(&api, &token).await.json()["error"], "invalid_grant");
    api.stop().await;
}
