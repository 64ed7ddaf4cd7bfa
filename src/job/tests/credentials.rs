//! Credentials that are bought: what a job means by them, and the mistakes that are told.

use std::time::Duration;

use super::{check, job, with_source};
use crate::model::credential::{
    Algorithm, Authority, ClientAuth, Discovery, EntraLogin, Grant, Oauth2, SessionToken, TokenPlace,
};
use crate::model::plan::{Auth, RotationClass};

fn oauth2_text(rest: &str) -> String {
    with_source(&format!("auth: {{ oauth2: {{ {rest} }} }}"))
}

fn oauth2(rest: &str) -> Oauth2 {
    match job(&oauth2_text(rest)).source.auth {
        Auth::Oauth2(oauth2) => *oauth2,
        other => panic!("{other:?}"),
    }
}

const OAUTH2: &str = "source.auth.oauth2";

#[test]
fn a_provider_gives_defaults_and_the_job_overrides_them() {
    let exact = "provider: exact_online, provider_params: { country: co.uk }, grant: authorization_code, client_id: c";
    let plan = oauth2(&format!("{exact}, client_secret: '${{S}}'"));
    let token = plan.server.endpoints.token.unwrap();
    assert_eq!(token.as_str(), "https://start.exactonline.co.uk/api/oauth2/token");
    assert!(matches!(plan.client_auth, ClientAuth::Post(_)));
    assert_eq!(plan.server.rotation.class, RotationClass::ValidUntilSuccessorUsed);
    assert_eq!(plan.server.rotation.age_min, Duration::from_secs(570));
    assert_eq!(plan.server.rotation.idle, Some(Duration::from_secs(30 * 86_400)));
    assert_eq!(plan.server.discovery, Discovery::Off);
    let own = oauth2(&format!(
        "{exact}, token_url: https://h/t, client_auth: basic, client_secret: '${{S}}', rotation: {{ class: reuse_revokes_family, age_min: 5s }}"
    ));
    assert_eq!(own.server.endpoints.token.unwrap().as_str(), "https://h/t");
    assert!(matches!(own.client_auth, ClientAuth::Basic(_)));
    assert_eq!(own.server.rotation.class, RotationClass::ReuseRevokesFamily);
    assert_eq!(own.server.rotation.age_min, Duration::from_secs(5));
    let google = oauth2("provider: google, grant: device_code, client_id: c, authorize_params: { prompt: none }");
    assert_eq!(google.server.authorize_params["prompt"], "none");
    assert_eq!(google.server.authorize_params["access_type"], "offline");
    let unknown = oauth2("grant: authorization_code, client_id: c, token_url: https://h/t, authorize_url: https://h/a");
    assert_eq!(unknown.server.rotation.class, RotationClass::SingleUse);
}

#[test]
fn mistakes_about_providers_are_told() {
    let base = "grant: authorization_code, client_id: c";
    check(&oauth2_text(&format!("{base}, provider: exact")), &[("source.auth.oauth2.provider", "allowed: atlassian")]);
    check(
        &oauth2_text(&format!("{base}, provider: exactonline")),
        &[("source.auth.oauth2.provider", "did you mean `exact_online`?")],
    );
    check(
        &oauth2_text(&format!("{base}, provider: exact_online")),
        &[(OAUTH2, "write `provider_params: { country: nl }`")],
    );
    for value in ["evil.test/x", "nl@evil.test", "a..b", "nl#", ""] {
        check(
            &oauth2_text(&format!("{base}, provider: exact_online, provider_params: {{ country: '{value}' }}")),
            &[("source.auth.oauth2.provider_params.country", "cannot stand in an address")],
        );
    }
    check(
        &oauth2_text(&format!("{base}, provider: xero, provider_params: {{ country: nl }}")),
        &[("source.auth.oauth2.provider_params.country", "`xero` has no `country`")],
    );
    let known = "token_url: https://h/t, authorize_url: https://h/a";
    let rotation = |text: &str, path: &str, says: &str| {
        check(&oauth2_text(&format!("{base}, {known}, rotation: {{ {text} }}")), &[(path, says)])
    };
    rotation("class: valid_for_window", "source.auth.oauth2.rotation", "needs a `window`");
    rotation("class: once", "source.auth.oauth2.rotation.class", "allowed: not_rotated");
    for span in ["10", "ten m", "0s", "9999999d", "-1m", "1.5h", "10é"] {
        rotation(&format!("class: single_use, idle: '{span}'"), "source.auth.oauth2.rotation.idle", "no span of time");
    }
}

#[test]
fn every_grant_has_what_it_needs() {
    let token = "client_id: c, token_url: https://h/t";
    let needs = |rest: &str, says: &str| check(&oauth2_text(rest), &[(OAUTH2, says)]);
    needs("grant: client_credentials, client_id: c, client_secret: '${S}'", "needs a `token_url`");
    needs(&format!("grant: device_code, {token}"), "needs a `device_authorize_url`");
    needs(&format!("grant: jwt_bearer, {token}"), "needs an `assertion`");
    needs(&format!("grant: password, {token}, username: u"), "needs `username` and `password`");
    needs("grant: refresh_token, token_url: https://h/t", "needs `client_id`");
    assert!(matches!(oauth2(&format!("grant: refresh_token, {token}")).grant, Grant::RefreshToken));
    assert!(matches!(
        oauth2(&format!("grant: password, {token}, username: u, password: '${{P}}'")).grant,
        Grant::Password { .. }
    ));
    let found = oauth2("grant: device_code, client_id: c, issuer: https://h");
    assert_eq!((found.server.discovery, found.server.issuer.as_deref()), (Discovery::On, Some("https://h")));
    let statement = |rest: &str| {
        format!("grant: jwt_bearer, token_url: https://h/t, assertion: {{ private_key: {{ key: '${{K}}' }}, {rest} }}")
    };
    let google = oauth2(&statement("issuer: sa@p.iam, claims: { scope: a b }"));
    assert!(matches!(google.client_auth, ClientAuth::Unnamed));
    let path = "source.auth.oauth2.assertion";
    check(&oauth2_text(&statement("subject: s")), &[(path, "write `issuer`")]);
    check(
        &oauth2_text(&statement("issuer: i, claims: { exp: 1 }")),
        &[("source.auth.oauth2.assertion.claims.exp", "made by haul")],
    );
    check(
        &oauth2_text(&statement("issuer: i, lifetime: 2h")),
        &[("source.auth.oauth2.assertion.lifetime", "at most 1h")],
    );
    check(
        &oauth2_text(&format!("grant: refresh_token, {token}, password: '${{P}}'")),
        &[("source.auth.oauth2.password", "belongs to the grant `password`")],
    );
}

#[test]
fn a_client_has_one_proof() {
    let base = "grant: client_credentials, client_id: c, token_url: https://h/t";
    let key = "private_key: { key: '${K}', algorithm: ps256, kid: a }";
    let plan = oauth2(&format!("{base}, {key}"));
    assert!(matches!(plan.client_auth, ClientAuth::PrivateKey { key, .. } if key.algorithm == Some(Algorithm::Ps256)));
    let plan = oauth2(&format!("{base}, client_assertion_file: /run/token"));
    assert!(matches!(plan.client_auth, ClientAuth::AssertionFile(_)));
    let path = "source.auth.oauth2.client_auth";
    check(&oauth2_text(&format!("{base}, {key}, client_secret: '${{S}}'")), &[(OAUTH2, "a client has one proof")]);
    check(&oauth2_text(&format!("{base}, {key}, client_auth: basic")), &[(path, "a `client_secret` alone")]);
    check(
        &oauth2_text(&format!("{base}, client_secret: '${{S}}', client_auth: private_key_jwt")),
        &[(path, "a `private_key` alone")],
    );
    check(
        &oauth2_text(&format!("{base}, {key}, assertion_audience: issuer")),
        &[("source.auth.oauth2.assertion_audience", "there is no `issuer`")],
    );
    check(
        &oauth2_text(&format!("{base}, private_key: {{ key: canary-1-secret }}")),
        &[("source.auth.oauth2.private_key.key", "must be a reference")],
    );
}

#[test]
fn entra_names_its_authority_or_finds_it() {
    let entra = |rest: &str| match job(&with_source(&format!("auth: {{ entra: {{ {rest} }} }}"))).source.auth {
        Auth::Entra(entra) => *entra,
        other => panic!("{other:?}"),
    };
    let secret = "client_id: c, credential: { client_secret: '${S}' }";
    let found = entra(secret);
    assert!(matches!(&found.authority, Authority::Discovered { trusted_hosts } if trusted_hosts.is_empty()));
    assert_eq!(found.resource, "https://api.example.com");
    let authority = |rest: &str| match entra(&format!("{secret}, {rest}")).authority {
        Authority::Given(url) => url.to_string(),
        Authority::Discovered { .. } => "discovered".to_owned(),
    };
    assert_eq!(authority("tenant: contoso.com"), "https://login.microsoftonline.com/contoso.com");
    for uri in ["https://h/t/oauth2/authorize", "https://h/t/oauth2/v2.0/authorize", "https://h/t/", "https://h/t"] {
        assert_eq!(authority(&format!("authorization_uri: {uri}")), "https://h/t");
    }
    let managed = entra("credential: managed_identity");
    assert!(matches!(managed.login, EntraLogin::ManagedIdentity) && managed.client_id.is_none());
    let wrong = |rest: &str, path: &str, says: &str| {
        check(&with_source(&format!("auth: {{ entra: {{ {rest} }} }}")), &[(path, says)]);
    };
    wrong("credential: device_code", "source.auth.entra", "needs `client_id`");
    wrong(&format!("{secret}, tenant: a, authorization_uri: https://h"), "source.auth.entra", "there is one authority");
    wrong(&format!("{secret}, tenant: a/b"), "source.auth.entra.tenant", "no tenant");
    wrong(
        &format!("{secret}, tenant: a, trusted_hosts: [h]"),
        "source.auth.entra.trusted_hosts",
        "discovered authority",
    );
    wrong("client_id: c, credential: secret", "source.auth.entra.credential", "allowed: workload_identity");
}

#[test]
fn sessions_send_secrets_by_reference_to_their_own_host() {
    let text = |rest: &str| with_source(&format!("auth: {{ session: {{ {rest} }} }}"));
    let session = |rest: &str| match job(&text(rest)).source.auth {
        Auth::Session(session) => *session,
        other => panic!("{other:?}"),
    };
    let plain =
        session("path: /login, json: { user: u, nested: { password: '${P}' } }, token: data.token, lifetime: 30m");
    assert_eq!(plain.url.as_str(), "https://api.example.com/v1/login");
    assert!(matches!(plain.carries, SessionToken::Body { place, .. } if place == TokenPlace::bearer()));
    assert_eq!(plain.lifetime, Some(Duration::from_secs(1800)));
    let cookies = session("path: login, form: { user: u, password: '${P}' }, cookies: [SID]");
    assert!(matches!(cookies.carries, SessionToken::Cookies(names) if names == ["SID"]));
    let wrong = |rest: &str, path: &str, says: &str| check(&text(rest), &[(path, says)]);
    let path = "source.auth.session";
    wrong("path: /l, token: t", path, "one of json, form");
    wrong("path: /l, form: { a: b }", path, "one of token, cookies");
    wrong("path: https://evil.test/l, form: { a: b }, token: t", "source.auth.session.path", "the source's own host");
    wrong("path: /l, json: { password: canary }, token: t", "source.auth.session.json.password", "must be a reference");
    wrong(
        "path: /l, json: { a: { pin_key: 12345 } }, token: t",
        "source.auth.session.json.a.pin_key",
        "must be a reference",
    );
    wrong("path: /l, form: { a: b }, token: t, send: { header: A, param: b }", "source.auth.session.send", "one place");
    wrong("path: /l, form: { a: b }, cookies: [], send: { header: A }", "source.auth.session.send", "remove `send`");
    wrong("path: /l, form: { a: b }, token: t, lifetime: long", "source.auth.session.lifetime", "30s, 10m");
}

#[test]
fn the_examples_of_the_documentation_are_jobs() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/JOBS.md")).unwrap();
    let blocks: Vec<&str> = text.split("```yaml\n").skip(1).filter_map(|after| after.split("```").next()).collect();
    let mut kinds = 0;
    for block in blocks.iter().filter(|block| block.starts_with("auth:")) {
        // A block may hold several examples, each from its own `auth:` on.
        for example in block.split("auth:\n").skip(1) {
            let indented: String = example.lines().map(|line| format!("  {line}\n")).collect();
            job(&format!(
                "job: x\nsource:\n  base_url: https://api.example.com\n  auth:\n{indented}streams: [{{ name: a, path: /a }}]\ndestination: {{ url: out }}\n"
            ));
            kinds += 1;
        }
    }
    assert!(kinds >= 12, "only {kinds} examples were found");
}
