//! The meaning of `source.auth.entra`.

use std::path::PathBuf;

use url::Url;

use super::check_auth::check_secret;
use super::check_oauth2::{check_redirect, rotation_of};
use super::problem::{Problems, wrong};
use super::spec::SourceSpec;
use super::spec_auth::{CertificateSpec, EntraCredentialSpec, EntraSpec};
use super::value::{check_text, check_url};
use crate::model::credential::{Algorithm, Authority, Entra, EntraLogin, PrivateKey};
use crate::model::plan::TextSource;

const ENTRA: &str = "source.auth.entra";
pub(super) const PUBLIC_CLOUD: &str = "https://login.microsoftonline.com";

fn at(name: &str) -> String {
    format!("{ENTRA}.{name}")
}

/// `None` = the problems say why.
pub(super) fn check_entra(spec: &EntraSpec, source: &SourceSpec, problems: &mut Problems<'_>) -> Option<Entra> {
    let authority = check_authority(spec, source.allow_http, problems);
    let client_id = match &spec.client_id {
        Some(id) => check_text(id, &at("client_id"), problems).map(Some),
        None => Some(None),
    };
    if spec.client_id.is_none() && !matches!(spec.credential, EntraCredentialSpec::ManagedIdentity) {
        problems.at(ENTRA, wrong("`source.auth.entra` needs `client_id`"));
    }
    let login = check_credential(&spec.credential, problems);
    let redirect = check_redirect(spec.redirect_port, spec.redirect_url.as_deref(), ENTRA, problems);
    let rotation = rotation_of("entra", problems);
    // A base URL that is no address was told already.
    let root = source.base_url.parse::<Url>().ok().map(|url| url.origin().ascii_serialization());
    Some(Entra {
        authority: authority?,
        resource: spec.resource.clone().or(root)?,
        scopes: spec.scopes.clone(),
        client_id: client_id?,
        login: login?,
        redirect: redirect?,
        rotation: rotation?,
        allow_http: source.allow_http,
    })
}

fn check_authority(spec: &EntraSpec, allow_http: bool, problems: &mut Problems<'_>) -> Option<Authority> {
    if !spec.trusted_hosts.is_empty() && (spec.tenant.is_some() || spec.authorization_uri.is_some()) {
        let draft = wrong("`trusted_hosts` belong to a discovered authority, and this job names its own");
        problems.at(&at("trusted_hosts"), draft.hint("remove it, or remove `tenant` and `authorization_uri`"));
    }
    match (&spec.tenant, &spec.authorization_uri) {
        (Some(_), Some(_)) => {
            problems.at(ENTRA, wrong("there is one authority").allowed("one of tenant, authorization_uri, or neither"));
            None
        }
        (Some(tenant), None) => {
            let tenant = check_tenant(tenant, &at("tenant"), problems)?;
            format!("{PUBLIC_CLOUD}/{tenant}").parse().ok().map(Authority::Given)
        }
        (None, Some(uri)) => {
            let url = check_url(uri, &at("authorization_uri"), allow_http, problems)?;
            Some(Authority::Given(Authority::root_of(&url)))
        }
        (None, None) => Some(Authority::Discovered { trusted_hosts: spec.trusted_hosts.clone() }),
    }
}

fn check_credential(spec: &EntraCredentialSpec, problems: &mut Problems<'_>) -> Option<EntraLogin> {
    Some(match spec {
        EntraCredentialSpec::ClientSecret(secret) => {
            EntraLogin::ClientSecret(check_secret(secret, &at("credential.client_secret"), problems)?)
        }
        EntraCredentialSpec::Certificate(spec) => {
            EntraLogin::Certificate(check_certificate(spec, &at("credential.certificate"), problems)?)
        }
        EntraCredentialSpec::WorkloadIdentity => EntraLogin::WorkloadIdentity(None),
        EntraCredentialSpec::FederatedTokenFile(file) => EntraLogin::WorkloadIdentity(Some(PathBuf::from(file))),
        EntraCredentialSpec::ManagedIdentity => EntraLogin::ManagedIdentity,
        EntraCredentialSpec::DeviceCode => EntraLogin::DeviceCode,
        EntraCredentialSpec::AuthorizationCode => EntraLogin::AuthorizationCode,
    })
}

/// The id of a tenant or one of its domains.
pub(super) fn check_tenant<'t>(tenant: &'t str, path: &str, problems: &mut Problems<'_>) -> Option<&'t str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if tenant.is_empty() || !tenant.chars().all(is_plain) {
        problems.at(path, wrong("this is no tenant").allowed("its id, or one of its domains"));
        return None;
    }
    Some(tenant)
}

/// A certificate and its key, as an application proves itself with them.
pub(super) fn check_certificate(spec: &CertificateSpec, path: &str, problems: &mut Problems<'_>) -> Option<PrivateKey> {
    let certificate = check_secret(&spec.certificate, &format!("{path}.certificate"), problems);
    let key = check_secret(&spec.key, &format!("{path}.key"), problems);
    Some(PrivateKey {
        key: key?,
        // What Microsoft documents for `x5t#S256`.
        algorithm: Some(Algorithm::Ps256),
        kid: None,
        certificate: Some(TextSource::Reference(certificate?)),
    })
}
