//! Credentials of every kind: against a real authorization server, through a real browser, and against scripted servers
//! that answer as providers do.

#![allow(missing_docs)]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use support::rigs::{Rig, output_of};
use support::server::{Answer, Request, Server, ok, status};
use support::{Done, Workplace, job};

const ITEMS: &str = r#"[{"id":1},{"id":2}]"#;
const SECRET: &str = "canary-secret/+%&";

/// `haul login` that waits for a person.
struct Waiting {
    child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl Waiting {
    fn start(place: &Workplace, args: &[&str]) -> Self {
        let mut command = place.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("haul starts");
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        Waiting { child, stderr, said: String::new() }
    }

    /// The next address that it shows.
    fn url(&mut self) -> url::Url {
        loop {
            let mut line = String::new();
            assert!(self.stderr.read_line(&mut line).expect("a line") > 0, "haul showed no address: {}", self.said);
            self.said.push_str(&line);
            if line.trim().starts_with("http") {
                return line.trim().parse().expect("a URL");
            }
        }
    }

    fn paste(&mut self, text: &str) {
        let mut stdin = self.child.stdin.take().expect("a pipe");
        std::io::Write::write_all(&mut stdin, format!("{text}\n").as_bytes()).expect("pasted");
    }

    fn end(mut self) -> Done {
        self.stderr.read_to_string(&mut self.said).expect("UTF-8");
        let mut done = Done::of(self.child.wait_with_output().expect("it ends"));
        done.stderr.insert_str(0, &self.said);
        done
    }
}

/// An API behind a guard that asks the authorization server about every token.
struct Guarded {
    oidc: Rig,
    guard: Rig,
    _api: Server,
}

impl Guarded {
    fn start() -> Self {
        let api = Server::start(|_, _| ok(ITEMS));
        let oidc = Rig::start("oidc.mjs", &[]);
        let guard = Rig::start("guard.mjs", &["--upstream", &api.url, "--oidc", oidc.url()]);
        Guarded { oidc, guard, _api: api }
    }

    fn job(&self, place: &Workplace, oauth2: &str) -> String {
        let auth = format!("auth:\n  oauth2:\n    issuer: {}\n{}", self.oidc.url(), indented(oauth2, 4));
        place.file("job.yaml", &job(self.guard.url(), &auth, ""))
    }
}

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{}{}\n", " ".repeat(by), line.trim_start())).collect()
}

fn rows(done: &Done) -> u64 {
    done.json()["tables"]["items"]["rows"].as_u64().expect("a count")
}

fn form(request: &Request) -> std::collections::BTreeMap<String, String> {
    url::form_urlencoded::parse(request.body.as_bytes()).into_owned().collect()
}

fn posts(server: &Server) -> Vec<Request> {
    server.asked().into_iter().filter(|request| request.method == "POST").collect()
}

/// An API on `/items` that takes only these tokens, and an authorization server beside it.
fn api(token: &str, request: &Request) -> Option<Answer> {
    let is_good = request.header("authorization") == Some(&format!("Bearer {token}"));
    (request.path() == "/items").then(|| if is_good { ok(ITEMS) } else { status(401, "{}") })
}

const PERSON: &str = "grant: authorization_code\nclient_id: haul-public\nscopes: [openid, offline_access]\nauthorize_params: { prompt: consent }";

#[test]
fn a_real_browser_logs_in_at_a_server_that_was_discovered() {
    let guarded = Guarded::start();
    let place = Workplace::new();
    let file = guarded.job(&place, PERSON);
    let mut login = Waiting::start(&place, &["login", &file, "--no-browser"]);
    let page = output_of("chromium.mjs", &[login.url().as_str()]);
    assert!(page.contains("Logged in. You can close this page."), "{page}");
    login.end().expect_code(0);
    let run = place.haul(&["run", &file, "--json"]).expect_code(0);
    assert_eq!(rows(&run), 2);
    // The address to revoke at was discovered as well.
    place.haul(&["logout", &file]).expect_code(0).expect_says(&["revoked and forgotten"]);
    assert!(guarded.oidc.get("/_stats")["revoked"].as_u64().expect("a count") >= 1);
    place.haul(&["run", &file]).expect_code(5);
}

#[test]
fn a_device_logs_in_with_a_code() {
    let guarded = Guarded::start();
    for (grant, flag) in
        [(PERSON.replace("authorization_code", "device_code"), None), (PERSON.to_owned(), Some("--device"))]
    {
        let place = Workplace::new();
        let file = guarded.job(&place, &grant);
        let args: Vec<&str> = ["login", file.as_str()].into_iter().chain(flag).collect();
        let mut login = Waiting::start(&place, &args);
        let plain = login.url();
        let with_code = login.url();
        let code = with_code.query().expect("a code").split_once('=').expect("a pair").1.to_owned();
        assert!(login.said.contains(&code) && plain.query().is_none(), "{}", login.said);
        output_of("browser.mjs", &[with_code.as_str()]);
        login.end().expect_code(0);
        let run = place.haul(&["run", &file, "--json"]).expect_code(0);
        assert_eq!(rows(&run), 2);
        assert_eq!(place.haul(&["credentials", "--json"]).json()[0]["has_refresh_token"], true);
    }
}

#[test]
fn a_client_proves_itself_in_every_way() {
    let guarded = Guarded::start();
    let key = |name: &str, rest: &str| {
        format!(
            "client_id: haul-{name}\nprivate_key: {{ key: \"${{PEM}}\", kid: haul-{name}{rest} }}\nassertion_audience: issuer"
        )
    };
    let cases = [
        ("client_id: haul-cc\nclient_secret: ${CC}".to_owned(), "rsa_pem"),
        ("client_id: haul-post\nclient_auth: post\nclient_secret: ${CC}".to_owned(), "rsa_pem"),
        (key("rs256", ""), "rsa_pem"),
        (key("ps256", ", algorithm: ps256"), "rsa_pem"),
        (key("es256", ""), "p256_pem"),
    ];
    for (client, pem) in cases {
        let (secret, pem) = (guarded.oidc.text("cc_secret"), guarded.oidc.text(pem));
        let place = Workplace::new().env("CC", secret).env("PEM", pem);
        let file = guarded.job(&place, &format!("grant: client_credentials\nscopes: [api]\n{client}"));
        let run = place.haul(&["run", &file, "--json"]).expect_code(0);
        assert_eq!(rows(&run), 2, "{client}");
        place.assert_holds_none_of(&[&run], &[secret, pem]);
        place.haul(&["login", &file]).expect_code(2).expect_says(&["needs no login"]);
    }
    // The wrong key is the client's fault, and told as such.
    let place = Workplace::new().env("PEM", guarded.oidc.text("p256_pem"));
    let file = guarded.job(&place, &format!("grant: client_credentials\n{}", key("rs256", "")));
    place.haul(&["run", &file]).expect_code(1).expect_says(&["invalid_client"]);
    let file = guarded.job(&place, &format!("grant: client_credentials\n{}", key("es256", ", algorithm: rs256")));
    place.haul(&["run", &file]).expect_code(2).expect_says(&["a P-256 key, which signs `es256`"]);
}

/// A login by paste whose redirect comes back with this `iss`.
fn paste_with_issuer(metadata: impl Fn(&str) -> Value + Send + Sync + 'static, iss: Option<&str>) -> (Done, Server) {
    let server = Server::start(move |request, _| {
        let url = format!("http://{}", request.header("host").expect("a host"));
        match request.path() {
            "/.well-known/openid-configuration" => ok(metadata(&url).to_string()),
            "/token" => ok(r#"{"access_token":"a-token-of-this-test","refresh_token":"r-token-of-this-test"}"#),
            _ => status(404, "{}"),
        }
    });
    let place = Workplace::new();
    let auth = format!("auth: {{ oauth2: {{ grant: authorization_code, client_id: c, issuer: {} }} }}", server.url);
    let file = place.file("job.yaml", &job(&server.url, &auth, ""));
    let mut login = Waiting::start(&place, &["login", &file, "--paste"]);
    let asked = loop {
        let mut line = String::new();
        if login.stderr.read_line(&mut line).expect("a line") == 0 {
            return (login.end(), server);
        }
        login.said.push_str(&line);
        if line.trim().starts_with("http") {
            break line.trim().parse::<url::Url>().expect("a URL");
        }
    };
    let value = |name: &str| asked.query_pairs().find(|(other, _)| other == name).expect("it is there").1.into_owned();
    let mut back: url::Url = value("redirect_uri").parse().expect("a URL");
    back.query_pairs_mut().append_pair("code", "the-code").append_pair("state", &value("state"));
    if let Some(iss) = iss {
        back.query_pairs_mut().append_pair("iss", &iss.replace("SERVER", &server.url));
    }
    login.paste(back.as_str());
    (login.end(), server)
}

fn metadata_of(url: &str, is_iss_promised: bool) -> Value {
    json!({
        "issuer": url, "authorization_endpoint": format!("{url}/auth"), "token_endpoint": format!("{url}/token"),
        "authorization_response_iss_parameter_supported": is_iss_promised,
    })
}

#[test]
fn an_answer_of_another_server_is_refused() {
    let check = |is_iss_promised: bool, iss: Option<&str>, says: Option<&str>| {
        let (done, server) = paste_with_issuer(move |url| metadata_of(url, is_iss_promised), iss);
        match says {
            Some(says) => {
                assert!(done.code != 0 && done.stderr.contains(says), "{iss:?}: {done:?}");
                assert_eq!(posts(&server).len(), 0, "the code was sent: {iss:?}");
            }
            None => assert_eq!(done.code, 0, "{iss:?}: {done:?}"),
        }
    };
    check(false, None, None);
    check(true, Some("SERVER"), None);
    check(true, None, Some("does not say which authorization server"));
    check(false, Some("https://evil.test"), Some("another authorization server"));
    // Letter by letter: the same address with a slash is another issuer.
    check(false, Some("SERVER/"), Some("another authorization server"));
}

#[test]
fn metadata_of_another_issuer_or_without_https_are_not_used() {
    let (done, _) = paste_with_issuer(|url| metadata_of(&format!("{url}/"), false), None);
    assert!(done.code != 0 && done.stderr.contains("are of another issuer"), "{done:?}");
    let (done, _) = paste_with_issuer(
        |url| json!({ "issuer": url, "authorization_endpoint": format!("{url}/auth"), "token_endpoint": "http://login.test/t" }),
        None,
    );
    assert!(done.code != 0 && done.stderr.contains("which is not https"), "{done:?}");
}

/// A device's login against a server that answers its questions one after the other.
fn device_login(answers: &'static [(u16, &'static str)]) -> (Done, Vec<std::time::Instant>) {
    let asked: std::sync::Arc<std::sync::Mutex<Vec<std::time::Instant>>> = std::sync::Arc::default();
    let log = std::sync::Arc::clone(&asked);
    let server = Server::start(move |request, _| {
        match request.path() {
        "/device" => ok(json!({
            "device_code": "the-device-code", "user_code": "AB-\u{1b}[2JCD", "verification_url": "https://login.test/device",
            "expires_in": 600, "interval": 1,
        }).to_string()),
        _ => {
            let mut log = log.lock().expect("a log");
            log.push(std::time::Instant::now());
            let (code, body) = answers[log.len() - 1];
            status(code, body)
        }
    }
    });
    let place = Workplace::new();
    let auth = format!(
        "auth: {{ oauth2: {{ grant: device_code, client_id: c, token_url: {0}/token, device_authorize_url: {0}/device }} }}",
        server.url
    );
    let file = place.file("job.yaml", &job(&server.url, &auth, ""));
    let done = place.haul(&["login", &file]);
    let form = form(&posts(&server)[0]);
    assert_eq!(form.get("client_id").map(String::as_str), Some("c"));
    let times = asked.lock().expect("a log").clone();
    (done, times)
}

#[test]
fn a_device_waits_as_it_is_told() {
    let (done, times) = device_login(&[
        (400, r#"{"error":"authorization_pending"}"#),
        (400, r#"{"error":"slow_down"}"#),
        (200, r#"{"access_token":"a-token-of-this-test","refresh_token":"r-token-of-this-test","expires_in":600}"#),
    ]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(!done.stderr.contains('\u{1b}'), "the server wrote to the terminal: {done:?}");
    let gaps: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    assert!((0.9..3.0).contains(&gaps[0]) && (5.9..9.0).contains(&gaps[1]), "{gaps:?}");
    for (error, code, says) in [
        (r#"{"error":"access_denied","error_description":"no, thanks"}"#, 5, "no, thanks"),
        (r#"{"error":"expired_token"}"#, 5, "begin again with `haul login"),
    ] {
        let answers: &'static [(u16, &'static str)] = Vec::leak(vec![(400, error)]);
        device_login(answers).0.expect_code(code).expect_says(&[says]);
    }
}

#[test]
fn a_device_login_can_be_stopped() {
    let server = Server::start(|request, _| match request.path() {
        "/device" => {
            ok(r#"{"device_code":"d","user_code":"U","verification_uri":"https://login.test/","expires_in":600}"#)
        }
        _ => status(400, r#"{"error":"authorization_pending"}"#),
    });
    let place = Workplace::new();
    let auth = format!(
        "auth: {{ oauth2: {{ grant: device_code, client_id: c, token_url: {0}/token, device_authorize_url: {0}/device }} }}",
        server.url
    );
    let file = place.file("job.yaml", &job(&server.url, &auth, ""));
    let mut login = Waiting::start(&place, &["login", &file]);
    login.url();
    support::terminate(login.child.id(), "-TERM");
    login.end().expect_code(143);
}

/// Parts of a compact JWT, and what was signed.
fn jwt(text: &str) -> (Value, Value, String, Vec<u8>) {
    let parts: Vec<&str> = text.split('.').collect();
    let json = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON");
    let signature = URL_SAFE_NO_PAD.decode(parts[2]).expect("base64");
    (json(parts[0]), json(parts[1]), format!("{}.{}", parts[0], parts[1]), signature)
}

/// A fresh RSA key and its certificate, in PEM, and its public half in DER (PKCS#1).
fn rsa_key(place: &Workplace) -> (String, String, Vec<u8>) {
    let openssl = |args: &str| {
        let output =
            Command::new("openssl").args(args.split(' ')).current_dir(place.path("")).output().expect("openssl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    openssl("req -x509 -newkey rsa:2048 -nodes -keyout k.pem -out c.pem -subj /CN=haul -days 2");
    let public = openssl("rsa -in k.pem -RSAPublicKey_out -outform DER");
    let read = |name: &str| std::fs::read_to_string(place.path(name)).expect("a file");
    (read("k.pem"), read("c.pem"), public)
}

#[test]
fn a_signed_statement_is_a_grant() {
    let keys = Workplace::new();
    let (key, _, public) = rsa_key(&keys);
    let server = Server::start(|request, _| {
        api("a-token-of-this-test", request)
            .unwrap_or_else(|| ok(r#"{"access_token":"a-token-of-this-test","expires_in":"3600"}"#))
    });
    // As Google's key file holds it.
    let place = Workplace::new().env("KEY", &json!({ "type": "service_account", "private_key": key }).to_string());
    let auth = format!(
        "auth:\n  oauth2:\n    grant: jwt_bearer\n    token_url: {}/token\n    assertion:\n      private_key: {{ key: \"${{KEY}}\", kid: k1 }}\n      issuer: sa@project\n      subject: me\n      claims: {{ scope: a b, nested: {{ n: 1 }} }}\n      lifetime: 10m",
        server.url
    );
    let file = place.file("job.yaml", &job(&server.url, &auth, ""));
    let run = place.haul(&["run", &file, "--json"]).expect_code(0);
    let sent = form(&posts(&server)[0]);
    assert_eq!(sent["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    assert!(!sent.contains_key("client_id"), "{sent:?}");
    let (header, claims, signed, signature) = jwt(&sent["assertion"]);
    assert_eq!((&header["alg"], &header["kid"]), (&json!("RS256"), &json!("k1")));
    assert_eq!(claims["iss"], "sa@project");
    assert_eq!(claims["sub"], "me");
    assert_eq!(claims["aud"], format!("{}/token", server.url));
    assert_eq!((&claims["scope"], &claims["nested"]["n"]), (&json!("a b"), &json!(1)));
    assert_eq!(claims["exp"].as_i64().expect("a time") - claims["iat"].as_i64().expect("a time"), 600);
    ring::signature::UnparsedPublicKey::new(&ring::signature::RSA_PKCS1_2048_8192_SHA256, &public)
        .verify(signed.as_bytes(), &signature)
        .expect("the signature is good");
    // `expires_in` as a text, as Exact Online sends it.
    assert!(place.haul(&["credentials", "--json"]).json()[0]["expires_at"].is_string());
    place.assert_holds_none_of(&[&run], &["a-token-of-this-test", &key]);
}

/// A service that names its login as told, and the login.
struct EntraService {
    login: Server,
    service: Server,
}

impl EntraService {
    fn start(refusal: u16, challenge: &'static str) -> Self {
        let login = Server::start(|_, _| ok(r#"{"access_token":"a-token-of-this-test","expires_in":3599}"#));
        let named = login.url.clone();
        let service = Server::start(move |request, _| {
            if request.header("authorization").is_some() {
                return api("a-token-of-this-test", request).expect("a path");
            }
            let challenge = challenge.replace("LOGIN", &named);
            status(refusal, "").with("www-authenticate", &challenge).with("location", "https://elsewhere.test/")
        });
        EntraService { login, service }
    }

    fn run(&self, place: &Workplace, entra: &str) -> Done {
        let auth = format!("auth:\n  entra:\n{}", indented(entra, 4));
        place.haul(&["run", &place.file("job.yaml", &job(&self.service.url, &auth, "")), "--json"])
    }
}

const BY_SECRET: &str = "client_id: app\ncredential: { client_secret: \"${SECRET}\" }";

#[test]
fn entra_is_found_by_asking_the_service() {
    for (refusal, challenge) in [
        (401, "Bearer authorization_uri=LOGIN/t/oauth2/authorize"),
        (401, "Bearer authorization_uri=\"LOGIN/t/oauth2/authorize\", resource_id=\"https://other.test/\""),
        (302, "Bearer authorization_uri=LOGIN/t/oauth2/v2.0/authorize, error=invalid_token"),
        (401, "Bearer realm=\"\", authorization_uri=\"LOGIN/t,\""),
    ] {
        let entra = EntraService::start(refusal, challenge);
        let place = Workplace::new().env("SECRET", SECRET);
        let run = entra.run(&place, &format!("{BY_SECRET}\ntrusted_hosts: [127.0.0.1]")).expect_code(0);
        assert_eq!(rows(&run), 2, "{challenge}");
        let posts = posts(&entra.login);
        let sent = form(&posts[0]);
        assert_eq!((posts.len(), posts[0].path()), (1, "/t/oauth2/v2.0/token"), "{challenge}");
        assert_eq!((sent["client_id"].as_str(), sent["client_secret"].as_str()), ("app", SECRET));
        assert_eq!(sent["scope"], format!("{}/.default", entra.service.url));
        place.assert_holds_none_of(&[&run], &[SECRET, "a-token-of-this-test"]);
    }
}

#[test]
fn a_login_that_nobody_vouches_for_gets_no_secret() {
    for challenge in [
        "Bearer authorization_uri=LOGIN/t/oauth2/authorize",
        "Bearer authorization_uri=https://login.microsoftonline.com.evil.test/t/oauth2/authorize",
        "Bearer authorization_uri=https://login.microsoftonline.com:8443/t/oauth2/authorize",
        "Bearer authorization_uri=https://login.microsoftonline.com@evil.test/t/oauth2/authorize",
    ] {
        let entra = EntraService::start(401, challenge);
        let place = Workplace::new().env("SECRET", SECRET);
        let run = entra.run(&place, BY_SECRET).expect_code(1).expect_says(&["no credential was sent there"]);
        assert_eq!(entra.login.asked().len(), 0, "{challenge}");
        assert!(entra.service.asked().iter().all(|request| request.method == "GET" && request.body.is_empty()));
        place.assert_holds_none_of(&[&run], &[SECRET]);
    }
    let place = Workplace::new().env("SECRET", SECRET);
    for (refusal, challenge, says) in [
        (401, "Bearer authorization_uri=http://login.test/t", "not https"),
        (401, "Basic realm=x", "has no `WWW-Authenticate: Bearer"),
        (404, "Bearer authorization_uri=LOGIN/t", "401 or 302 was expected"),
    ] {
        EntraService::start(refusal, challenge).run(&place, BY_SECRET).expect_code(1).expect_says(&[says]);
    }
}

#[test]
fn entra_takes_a_certificate() {
    let place = Workplace::new();
    let (key, certificate, public) = rsa_key(&place);
    let place = Workplace::new().env("KEY", &key).env("CERT", &certificate);
    let entra = EntraService::start(401, "Bearer authorization_uri=LOGIN/t/oauth2/authorize");
    let by_certificate = "client_id: app\ncredential: { certificate: { certificate: \"${CERT}\", key: \"${KEY}\" } }";
    entra.run(&place, &format!("{by_certificate}\ntrusted_hosts: [127.0.0.1]")).expect_code(0);
    let sent = form(&posts(&entra.login)[0]);
    let (header, claims, signed, signature) = jwt(&sent["client_assertion"]);
    assert_eq!(sent["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    assert_eq!((&header["alg"], &claims["iss"], &claims["sub"]), (&json!("PS256"), &json!("app"), &json!("app")));
    assert_eq!(claims["aud"], format!("{}/t/oauth2/v2.0/token", entra.login.url));
    let der: String = certificate.lines().filter(|line| !line.starts_with('-')).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(der).expect("base64");
    let print = URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, &der));
    assert_eq!(header["x5t#S256"], print);
    ring::signature::UnparsedPublicKey::new(&ring::signature::RSA_PSS_2048_8192_SHA256, &public)
        .verify(signed.as_bytes(), &signature)
        .expect("the signature is good");
}

#[test]
fn entra_shows_the_host_that_a_person_logs_in_at() {
    let entra = EntraService::start(401, "Bearer authorization_uri=LOGIN/t/oauth2/authorize");
    let place = Workplace::new();
    let auth = "auth: { entra: { client_id: app, credential: authorization_code, trusted_hosts: [127.0.0.1] } }";
    let file = place.file("job.yaml", &job(&entra.service.url, auth, ""));
    let mut login = Waiting::start(&place, &["login", &file, "--paste"]);
    let url = login.url();
    assert!(login.said.contains("The service names 127.0.0.1 as its login."), "{}", login.said);
    assert_eq!(url.path(), "/t/oauth2/v2.0/authorize");
    let scope = url.query_pairs().find(|(name, _)| name == "scope").expect("a scope").1.into_owned();
    assert_eq!(scope, format!("{}/.default offline_access", entra.service.url));
    login.paste("");
    login.end().expect_code(2);
}

#[test]
fn a_federated_token_is_read_anew_for_every_purchase() {
    let server = Server::start(|request, _| {
        api("a-token-of-this-test", request)
            .unwrap_or_else(|| ok(r#"{"access_token":"a-token-of-this-test","expires_in":1}"#))
    });
    let place = Workplace::new();
    let token = place.file("federated", "first-federated-token\n");
    let place = place.env("AZURE_FEDERATED_TOKEN_FILE", &token);
    let auth = format!(
        "auth: {{ entra: {{ authorization_uri: {}/t, client_id: app, credential: workload_identity }} }}",
        server.url
    );
    let file = place.file("job.yaml", &job(&server.url, &auth, ""));
    place.haul(&["run", &file]).expect_code(0);
    std::fs::write(&token, "second-federated-token\n").expect("a file");
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    place.haul(&["run", &file]).expect_code(0);
    let sent: Vec<String> = posts(&server).iter().map(|request| form(request)["client_assertion"].clone()).collect();
    assert_eq!(sent, ["first-federated-token", "second-federated-token"]);
    std::fs::remove_file(&token).expect("removed");
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    place.haul(&["run", &file]).expect_code(1).expect_says(&["assertion file", "cannot be read"]);
}

#[test]
fn a_managed_identity_needs_no_secret() {
    let platform = || {
        Server::start(|request, _| {
            if let Some(answer) = api("a-token-of-this-test", request) {
                return answer;
            }
            ok(
                r#"{"access_token":"a-token-of-this-test","expires_on":"4102444800","resource":"r","token_type":"Bearer"}"#,
            )
        })
    };
    let token_request =
        |server: &Server| server.asked().into_iter().find(|request| request.path() != "/items").expect("asked");
    let run = |place: Workplace, server: &Server| {
        let auth = "auth: { entra: { client_id: app, resource: https://api.test, credential: managed_identity } }";
        let file = place.file("job.yaml", &job(&server.url, auth, ""));
        place.haul(&["run", &file]).expect_code(0);
    };
    let machine = platform();
    run(Workplace::new().env("AZURE_POD_IDENTITY_AUTHORITY_HOST", &machine.url), &machine);
    let asked = token_request(&machine);
    assert_eq!(asked.path(), "/metadata/identity/oauth2/token");
    assert_eq!(asked.header("metadata"), Some("true"));
    let params = |name: &str| asked.param(name);
    assert_eq!(params("resource").as_deref(), Some("https://api.test"));
    assert_eq!((params("client_id").as_deref(), params("api-version").as_deref()), (Some("app"), Some("2018-02-01")));

    let app = platform();
    let place = Workplace::new()
        .env("IDENTITY_ENDPOINT", &format!("{}/msi/token", app.url))
        .env("IDENTITY_HEADER", "canary-identity-header");
    run(place, &app);
    let asked = token_request(&app);
    assert_eq!((asked.path(), asked.header("x-identity-header")), ("/msi/token", Some("canary-identity-header")));
    assert_eq!(asked.param("api-version").as_deref(), Some("2019-08-01"));
}

/// A server with a login that gives session after session; only the newest is good.
fn session_server(is_cookie: bool) -> Server {
    let sessions = std::sync::atomic::AtomicU32::new(0);
    Server::start(move |request, _| {
        use std::sync::atomic::Ordering::SeqCst;
        if request.method == "POST" && request.path() == "/login" {
            let number = sessions.fetch_add(1, SeqCst) + 1;
            let token = format!("session-token-{number}");
            return if is_cookie {
                status(302, "").with("set-cookie", &format!("SID={token}; Path=/; HttpOnly")).with("location", "/home")
            } else {
                ok(json!({ "data": { "token": token } }).to_string())
            };
        }
        if request.path() == "/forget" {
            sessions.fetch_add(1, SeqCst);
            return ok("{}");
        }
        let token = format!("session-token-{}", sessions.load(SeqCst));
        let is_good = if is_cookie {
            request.header("cookie") == Some(&format!("SID={token}"))
        } else {
            request.header("x-session") == Some(&format!("S {token}"))
        };
        if is_good { ok(ITEMS) } else { status(401, "{}") }
    })
}

#[test]
fn a_session_is_kept_and_renewed_once_after_a_401() {
    let cases = [
        (
            false,
            "json: { user: me, in: [{ password: \"${SECRET}\" }] }\ntoken: data.token\nsend: { header: X-Session, prefix: 'S ' }",
        ),
        (true, "form: { user: me, password: \"${SECRET}\" }\ncookies: [SID]\nlifetime: 1h"),
    ];
    for (is_cookie, rest) in cases {
        let server = session_server(is_cookie);
        let place = Workplace::new().env("SECRET", SECRET);
        let auth = format!("auth:\n  session:\n    path: /login\n{}", indented(rest, 4));
        let file = place.file("job.yaml", &job(&server.url, &auth, ""));
        let first = place.haul(&["run", &file, "--json"]).expect_code(0);
        let second = place.haul(&["run", &file, "--json"]).expect_code(0);
        assert_eq!(posts(&server).len(), 1, "one session for both runs");
        let login = &posts(&server)[0];
        if is_cookie {
            assert_eq!(form(login)["password"], SECRET);
        } else {
            let body: Value = serde_json::from_str(&login.body).expect("JSON");
            assert_eq!(body, json!({ "user": "me", "in": [{ "password": SECRET }] }));
        }
        // Another login elsewhere ends ours: one 401, one new session.
        forget(&server);
        let third = place.haul(&["run", &file, "--json"]).expect_code(0);
        assert_eq!((rows(&third), posts(&server).len()), (2, 2));
        let refused = server.asked().len();
        let credentials = place.haul(&["credentials", "--json"]).expect_code(0);
        assert!(credentials.json()[0]["id"].as_str().expect("an id").starts_with("session-"));
        assert_eq!(server.asked().len(), refused, "listing asks nobody");
        place.assert_holds_none_of(
            &[&first, &second, &third, &credentials],
            &[SECRET, "session-token-1", "session-token-2"],
        );
        place.haul(&["logout", &file]).expect_code(0).expect_says(&["forgotten here"]);
    }
}

/// Somebody else logs in.
fn forget(server: &Server) {
    let url: url::Url = server.url.parse().expect("a URL");
    let address = (url.host_str().expect("a host"), url.port().expect("a port"));
    let mut stream = std::net::TcpStream::connect(address).expect("it is there");
    std::io::Write::write_all(&mut stream, b"GET /forget HTTP/1.1\r\n\r\n").expect("sent");
    let mut byte = [0];
    stream.read_exact(&mut byte).expect("an answer");
}

#[test]
fn what_is_refused_again_is_not_bought_again() {
    let refusing = || {
        Server::start(|request, _| match request.path() {
            "/items" => status(401, r#"{"error":"no"}"#),
            _ => ok(r#"{"token":"session-token-of-this-test","access_token":"a-token-of-this-test"}"#),
        })
    };
    for kind in ["session", "entra"] {
        let server = refusing();
        let place = Workplace::new().env("SECRET", SECRET);
        let auth = match kind {
            "session" => {
                "auth: { session: { path: /login, json: { password: \"${SECRET}\" }, token: token } }".to_owned()
            }
            _ => format!(
                "auth: {{ entra: {{ authorization_uri: {}/t, client_id: c, credential: {{ client_secret: \"${{SECRET}}\" }} }} }}",
                server.url
            ),
        };
        let file = place.file("job.yaml", &job(&server.url, &auth, ""));
        place.haul(&["run", &file]).expect_code(1).expect_says(&["401"]);
        let items = server.asked().iter().filter(|request| request.path() == "/items").count();
        assert_eq!((items, posts(&server).len()), (2, 2), "{kind}: one renewal, one more try");
    }
}

#[test]
fn a_session_that_is_refused_says_why_and_shows_nothing() {
    for (code, body, says) in [
        (403, r#"{"error":"bad password"}"#, "bad password"),
        (200, r#"{"data":{"tokn":"canary-token-in-the-answer"}}"#, "has no text at `data.token`"),
        (200, "<html>log in</html>", "is no JSON"),
    ] {
        let server = Server::start(move |_, _| status(code, body));
        let place = Workplace::new().env("SECRET", SECRET);
        let auth = "auth: { session: { path: /login, json: { password: \"${SECRET}\" }, token: data.token } }";
        let file = place.file("job.yaml", &job(&server.url, auth, ""));
        let run = place.haul(&["run", &file]).expect_code(1).expect_says(&[says]);
        place.assert_holds_none_of(&[&run], &[SECRET, "canary-token-in-the-answer"]);
    }
}

#[test]
fn a_password_is_a_grant_and_an_imported_token_names_its_command() {
    let server = Server::start(|request, _| {
        api("a-token-of-this-test", request)
            .unwrap_or_else(|| ok(r#"{"access_token":"a-token-of-this-test","expires_in":"600"}"#))
    });
    let place = Workplace::new().env("SECRET", SECRET);
    // A provider's row, its addresses overridden: its other conventions stay.
    let auth = format!(
        "auth: {{ oauth2: {{ provider: exact_online, provider_params: {{ country: nl }}, grant: password, client_id: c, client_secret: \"${{SECRET}}\", token_url: {}/token, username: me, password: \"${{SECRET}}\" }} }}",
        server.url
    );
    let file = place.file("job.yaml", &job(&server.url, &auth, ""));
    place.haul(&["run", &file]).expect_code(0);
    let sent = form(&posts(&server)[0]);
    assert_eq!(
        (sent["grant_type"].as_str(), sent["username"].as_str(), sent["password"].as_str()),
        ("password", "me", SECRET)
    );
    assert_eq!(sent["client_secret"], SECRET);
    let auth = format!("auth: {{ oauth2: {{ grant: refresh_token, client_id: c, token_url: {}/token }} }}", server.url);
    let file = place.file("import.yaml", &job(&server.url, &auth, ""));
    place.haul(&["login", &file]).expect_code(2).expect_says(&["haul credentials import"]);
    place.haul(&["run", &file]).expect_code(5);
}
