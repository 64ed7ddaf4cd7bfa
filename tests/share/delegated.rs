//! Signatures by a key that the account lends to a login of Entra, on Azurite with TLS and bearer tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::scene::{is_near, text};
use crate::support::rigs::{Rig, output_of};
use crate::support::server::{Server, ok, status};
use crate::support::tls::Authority;
use crate::support::{Workplace, job};

const TENANT: &str = "ab1f708d-50f6-404c-a006-d71b2ac7a606";
const USER: &str = "11059fcc-5514-4800-b5f8-49808b9cfab6";

/// A token as Entra gives it to a login, whose signature nobody looks at here.
pub(crate) fn token() -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let now = Utc::now().timestamp();
    let claims = json!({
        "aud": "https://storage.azure.com", "iss": format!("https://sts.windows.net/{TENANT}/"),
        "iat": now, "nbf": now - 60, "exp": now + 3_600, "oid": USER, "tid": TENANT,
    });
    format!("{}.{}.canary", part(json!({ "alg": "RS256", "typ": "JWT" })), part(claims))
}

pub(crate) struct Scene {
    azurite: Rig,
    folder: TempDir,
    pub(crate) place: Workplace,
    pub(crate) file: String,
    _source: Server,
}

impl Scene {
    /// A job that logs in with these options.
    fn start(login: &[(&str, &str)]) -> Self {
        Self::start_with(login, "")
    }

    /// With further lines for the job.
    pub(crate) fn start_with(login: &[(&str, &str)], rest: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        Authority::make(folder.path(), "DNS:localhost,IP:127.0.0.1");
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let azurite = Rig::start("azurite.mjs", &["--cert", &path("server.pem"), "--key", &path("server.key")]);
        output_of("blob.py", &["container", "--url", azurite.url(), "--name", "reports", "--ca", &path("ca.pem")]);
        let source = Server::start(|_, _| ok("[{\"id\":1,\"name\":\"one\"},{\"id\":2,\"name\":\"two\"}]"));
        let place = login.iter().fold(Workplace::new(), |place, (name, value)| place.env(name, value));
        let place = place
            .env("AZURE_STORAGE_ACCOUNT_NAME", azurite.text("account"))
            .env("AZURE_STORAGE_ENDPOINT", azurite.url())
            .env("SSL_CERT_FILE", &path("ca.pem"));
        let text = job(&source.url, "", "paging: none").replace("url: out", "url: az://reports/exports");
        let file = place.file("jobs/test.yaml", &format!("{text}{rest}"));
        Scene { azurite, folder, place, file, _source: source }
    }

    pub(crate) fn tried(&self, query: &str) -> Value {
        let ca = self.folder.path().join("ca.pem").to_string_lossy().into_owned();
        let (url, place) = (self.azurite.url(), ["--container", "reports", "--prefix", "exports/test"]);
        let args = [&["try", "--url", url][..], &place, &["--sas", query, "--ca", &ca]].concat();
        serde_json::from_str(&output_of("blob.py", &args)).expect("JSON")
    }
}

fn field<'m>(made: &'m Value, name: &str) -> &'m str {
    let fields = made["fields"].as_array().expect("fields");
    text(fields.iter().find(|field| field["name"] == name).unwrap_or_else(|| panic!("no `{name}`")), "value")
}

#[test]
fn a_login_of_entra_signs_for_a_week() {
    let token = token();
    let scene = Scene::start(&[("AZURE_STORAGE_TOKEN", &token)]);
    let haul = |args: &[&str]| scene.place.haul(&[&["share", args[0], &scene.file, "--json"], &args[1..]].concat());
    scene.place.haul(&["run", &scene.file]).expect_code(0);
    for (options, list) in [(&[][..], "AuthorizationPermissionMismatch"), (&["--list"][..], "done")] {
        let made = haul(&[&["create"], options].concat()).expect_code(0).json();
        assert_eq!(made["share"]["is_extended"], false);
        assert_eq!((&made["kind"], &made["parameters"]), (&json!("delegated"), &Value::Null));
        let end: DateTime<Utc> = field(&made, "se").parse().expect("an instant");
        // A key begins some minutes early, for clocks that differ, and is lent for seven days.
        let left = end - Utc::now();
        assert!(left < TimeDelta::days(7) && left > TimeDelta::days(7) - TimeDelta::minutes(10), "{end}");
        assert_eq!(field(&made, "sp"), if options.is_empty() { "r" } else { "rl" });
        assert_eq!((field(&made, "skoid"), field(&made, "sktid"), field(&made, "spr")), (USER, TENANT, "https"));
        let may = scene.tried(text(&made, "query"));
        let refused = "AuthorizationPermissionMismatch";
        let expect = json!({ "read": "done", "list": list, "write": refused, "overwrite": refused, "delete": refused });
        for (what, expect) in expect.as_object().expect("answers") {
            assert_eq!(&may[what], expect, "{what}: {may}");
        }
        // Any other field, and it opens nothing.
        let (end, later) = (field(&made, "se"), (end + TimeDelta::days(1)).format("%Y-%m-%dT%H:%M:%SZ").to_string());
        let spelled = |end: &str| format!("se={}", end.replace(':', "%3A"));
        let forged = text(&made, "query").replace(&spelled(end), &spelled(&later));
        assert_ne!(forged, text(&made, "query"));
        assert_ne!(scene.tried(&forged)["read"], "done");
    }

    // Haul remembers when they end, and no signature.
    let listed = haul(&["list"]).expect_code(0).json();
    let shares = listed["shares"].as_array().expect("shares");
    assert_eq!(shares.len(), 2);
    let policy = text(&shares[0], "policy").to_owned();
    assert_eq!((&shares[0]["kind"], &shares[0]["days"]), (&json!("delegated"), &json!(7)));
    haul(&["show", &policy]).expect_code(2).expect_says(&["cannot be made once more", "haul share create"]);
    haul(&["extend"]).expect_code(0).expect_says(&["\"shares\": []"]);
    haul(&["create", "--days", "8"]).expect_code(2).expect_says(&["7 days at most", "access_key"]);
    haul(&["rotate", &policy, "--revoke"]).expect_code(2).expect_says(&["nobody can take back"]);
    let second = haul(&["rotate", &policy]).expect_code(0).json();
    assert_eq!(scene.tried(text(&second, "query"))["read"], "done");
    let forgot = scene.place.haul(&["share", "revoke", &scene.file, &policy]).expect_code(0);
    forgot.expect_says(&["forgot", "nobody can take back", "revoke-delegation-keys"]);
    let told = scene.place.haul(&["share", "create", &scene.file]).expect_code(0);
    let told = told.expect_says(&["skoid", "nobody can extend it", "report's parameters"]);
    scene.place.assert_holds_none_of(&[], &[field(&second, "sig"), &token]);
    drop(told);
}

#[test]
fn a_client_with_its_secret_signs_too() {
    let entra = Server::start(|request, _| match request.path() {
        path if path == format!("/{TENANT}/oauth2/v2.0/token") => {
            ok(json!({ "access_token": token(), "token_type": "Bearer", "expires_in": 3_600 }).to_string())
        }
        _ => status(404, ""),
    });
    let scene = Scene::start(&[
        ("AZURE_STORAGE_CLIENT_ID", "haul"),
        ("AZURE_STORAGE_CLIENT_SECRET", "canary-client-secret"),
        ("AZURE_STORAGE_TENANT_ID", TENANT),
        ("AZURE_STORAGE_AUTHORITY_HOST", &entra.url),
        ("AZURE_ALLOW_HTTP", "true"),
    ]);
    scene.place.haul(&["run", &scene.file]).expect_code(0);
    let made = scene.place.haul(&["share", "create", &scene.file, "--days", "1", "--json"]).expect_code(0).json();
    let end: DateTime<Utc> = field(&made, "se").parse().expect("an instant");
    assert!(is_near(end, Utc::now() + TimeDelta::days(1)), "{end}");
    assert_eq!(scene.tried(text(&made, "query"))["read"], "done");
    let asked = entra.asked();
    assert!(
        asked.iter().all(|asked| asked.body.contains("scope=https%3A%2F%2Fstorage.azure.com%2F.default")),
        "{asked:?}"
    );

    let closed = Server::start(|_, _| status(401, json!({ "error": "invalid_client" }).to_string()));
    let place = [
        "AZURE_STORAGE_ACCOUNT_NAME",
        "AZURE_STORAGE_CLIENT_ID",
        "AZURE_STORAGE_CLIENT_SECRET",
        "AZURE_STORAGE_TENANT_ID",
    ]
    .iter()
    .fold(Workplace::new(), |place, name| place.env(name, "canary"));
    let place = place.env("AZURE_STORAGE_AUTHORITY_HOST", &closed.url).env("AZURE_ALLOW_HTTP", "true");
    let text = job("https://api.example.com", "", "").replace("url: out", "url: az://reports/exports");
    let file = place.file("job.yaml", &text);
    place.haul(&["share", "create", &file]).expect_code(1).expect_says(&["no token of Entra", "check the login"]);
}

#[test]
fn what_keeps_an_account_from_lending_a_key_is_said() {
    let lending = |answer: fn() -> crate::support::server::Answer| {
        let account = Server::start(move |request, _| match request.param("comp").as_deref() {
            Some("userdelegationkey") => answer(),
            _ => status(404, "<Error><Code>BlobNotFound</Code></Error>"),
        });
        let place = Workplace::new()
            .env("AZURE_STORAGE_ACCOUNT_NAME", "contoso")
            .env("AZURE_STORAGE_TOKEN", "canary-token")
            .env("AZURE_STORAGE_ENDPOINT", &account.url)
            .env("AZURE_ALLOW_HTTP", "true");
        let file = place
            .file("job.yaml", &job("https://api.example.com", "", "").replace("url: out", "url: az://reports/exports"));
        let done = place.haul(&["share", "create", &file]);
        let asked = account.asked();
        let asked = asked.iter().find(|asked| asked.method == "POST").expect("it was asked for");
        assert_eq!(asked.header("authorization"), Some("Bearer canary-token"));
        assert_eq!(asked.param("restype").as_deref(), Some("service"));
        assert!(asked.body.contains("<KeyInfo><Start>") && asked.body.contains("<Expiry>"), "{}", asked.body);
        let listed = place.haul(&["share", "list", &file]).expect_code(0);
        listed.expect_says(&["is not shared"]);
        done
    };
    let refused = lending(|| status(403, "").with("x-ms-error-code", "AuthorizationPermissionMismatch"));
    refused.expect_code(1).expect_says(&["status 403", "Storage Blob Delegator"]);
    lending(|| status(503, "")).expect_code(75).expect_says(&["status 503"]);
    lending(|| ok("<html><body>Sign in</body></html>")).expect_code(1).expect_says(&["the lent key", "no `SignedOid`"]);
    lending(|| ok("{}")).expect_code(1).expect_says(&["the lent key"]);
}
