//! From a job's credential to one that can be used: secrets are resolved and keys read here, and nowhere later.

use std::sync::Arc;

use serde_json::Value;
use url::Url;

use super::context::{OpenError, Settings};
use super::error::Error;
use crate::auth::{
    EntraClient, EntraWay, HeldGrant, Issuer, Kind, ManagedIdentity, Oauth2Client, Proof, SessionClient, SigningKey,
    Statement, WindowsLogin,
};
use crate::http::{Network, ProxyLogin, TokenChannel};
use crate::job::load::{Environment, SecretError, Secrets};
use crate::model::credential::{
    Assertion, AssertionAudience, ClientAuth, Entra, EntraLogin, Grant, JsonTemplate, Oauth2, PrivateKey, Session,
    SessionBody, TokenPlace,
};
use crate::model::network::ProxyPlan;
use crate::model::plan::{Auth, Job, KeyPlace};
use crate::secret::Secret;
use crate::state::RecordStore;

/// What the source's requests are sent with.
pub(super) async fn open_kind(job: &Job, settings: &Settings, records: &Arc<RecordStore>) -> Result<Kind, OpenError> {
    let issued = async |issuer: Issuer, place| -> Result<Kind, OpenError> {
        Ok(Kind::Issued { issuer: Arc::new(issuer), vault: settings.open_vault(records).await?, place })
    };
    match &job.source.auth {
        Auth::Anonymous => Ok(Kind::Anonymous),
        Auth::Key { value, place, prefix } => {
            let key = Secrets::resolve(value)?;
            let value = if prefix.is_empty() { key } else { Secret::new(format!("{prefix}{}", key.expose())) };
            Ok(match place {
                // Basic with an empty user: what Power Query's Key kind sends.
                KeyPlace::Basic => Kind::Basic { username: String::new(), password: value },
                KeyPlace::Header(name) => Kind::Header { name: name.clone(), value },
                KeyPlace::Param(name) => Kind::Param { name: name.clone(), value },
                KeyPlace::Body(path) => Kind::Body { path: path.clone(), value },
                KeyPlace::Cookie(name) => Kind::Cookie { name: name.clone(), value },
            })
        }
        Auth::Basic { username, password } => {
            let username = Secrets::resolve_text(username)?;
            Ok(Kind::Basic { username, password: Secrets::resolve(password)? })
        }
        Auth::Bearer { token } => Ok(Kind::Bearer { token: Secrets::resolve(token)? }),
        Auth::Windows(plan) => {
            let host = job.source.base_url.host_str().unwrap_or_default();
            Ok(Kind::Windows(Box::new(WindowsLogin::new(
                Secrets::resolve_text(&plan.username)?,
                Secrets::resolve(&plan.password)?,
                plan.scheme,
                plan.spn.clone().unwrap_or_else(|| format!("HTTP/{host}")),
                plan.kdc.clone(),
            ))))
        }
        Auth::Oauth2(plan) => issued(open_issuer(job, plan)?, TokenPlace::bearer()).await,
        Auth::Entra(plan) => issued(open_entra(job, plan, &job.source.base_url)?, TokenPlace::bearer()).await,
        Auth::Session(plan) => {
            let client = open_session(job, plan)?;
            let place = client.place();
            issued(Issuer::Session(Box::new(client)), place).await
        }
    }
}

/// The job's issuer of tokens with its secrets at hand; for a login and a logout. `None` = its kind buys no tokens.
pub(crate) fn issuer_of(job: &Job) -> Result<Option<Arc<Issuer>>, OpenError> {
    let issuer = match &job.source.auth {
        Auth::Oauth2(plan) => Some(open_issuer(job, plan)?),
        Auth::Entra(plan) => Some(open_entra(job, plan, &job.source.base_url)?),
        Auth::Session(plan) => Some(Issuer::Session(Box::new(open_session(job, plan)?))),
        Auth::Anonymous | Auth::Key { .. } | Auth::Basic { .. } | Auth::Bearer { .. } | Auth::Windows(_) => None,
    };
    Ok(issuer.map(Arc::new))
}

/// The job's way through the network, with its certificates read and its secrets at hand.
pub(super) fn open_network(job: &Job) -> Result<Arc<Network>, OpenError> {
    let plan = &job.source.network;
    let login = match &plan.proxy {
        ProxyPlan::Via { login: Some((username, password)), .. } => {
            Some(ProxyLogin { username: Secrets::resolve_text(username)?, password: Secrets::resolve(password)? })
        }
        ProxyPlan::Via { login: None, .. } | ProxyPlan::Environment | ProxyPlan::Direct => None,
    };
    Ok(Network::open(plan, login).map_err(Error::from)?)
}

fn open_channel(job: &Job) -> Result<TokenChannel, OpenError> {
    Ok(TokenChannel::new(open_network(job)?))
}

/// An OAuth2 client with its secrets at hand.
pub(crate) fn open_issuer(job: &Job, plan: &Oauth2) -> Result<Issuer, OpenError> {
    let id = Secrets::resolve_text(&plan.client_id)?;
    let proof = match &plan.client_auth {
        ClientAuth::Basic(secret) => Proof::Basic(Secrets::resolve(secret)?),
        ClientAuth::Post(secret) => Proof::Post(Secrets::resolve(secret)?),
        ClientAuth::PrivateKey { key, audience } => {
            Proof::PrivateKey { key: Box::new(open_key(key)?), audience: *audience }
        }
        ClientAuth::AssertionFile(file) => Proof::AssertionFile(file.clone()),
        ClientAuth::Public => Proof::Public,
        ClientAuth::Unnamed => Proof::Unnamed,
    };
    let grant = match &plan.grant {
        Grant::AuthorizationCode => HeldGrant::AuthorizationCode,
        Grant::ClientCredentials => HeldGrant::ClientCredentials,
        Grant::RefreshToken => HeldGrant::RefreshToken,
        Grant::DeviceCode => HeldGrant::DeviceCode,
        Grant::JwtBearer(assertion) => HeldGrant::JwtBearer(Box::new(open_statement(assertion)?)),
        Grant::Password { username, password } => {
            HeldGrant::Password { username: Secrets::resolve_text(username)?, password: Secrets::resolve(password)? }
        }
    };
    let (server, base_url) = (plan.server.clone(), job.source.base_url.clone());
    let channel = open_channel(job)?;
    Ok(Issuer::Oauth2(Box::new(Oauth2Client::new(server, base_url, id, Arc::new(proof), grant, channel))))
}

fn open_statement(plan: &Assertion) -> Result<Statement, OpenError> {
    Ok(Statement {
        key: open_key(&plan.key)?,
        issuer: Secrets::resolve_text(&plan.issuer)?,
        subject: plan.subject.as_ref().map(Secrets::resolve_text).transpose()?,
        audience: plan.audience.clone(),
        claims: plan.claims.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        lifetime_secs: plan.lifetime.as_secs().cast_signed(),
    })
}

fn open_key(plan: &PrivateKey) -> Result<SigningKey, OpenError> {
    let key = Secrets::resolve(&plan.key)?;
    let certificate = plan.certificate.as_ref().map(Secrets::resolve_text).transpose()?;
    Ok(SigningKey::new(&key, plan.algorithm, plan.kid.as_deref(), certificate.as_deref())?)
}

/// A client of Microsoft Entra, whose tokens go to `base_url` only, with its secrets at hand.
pub(super) fn open_entra(job: &Job, plan: &Entra, base_url: &Url) -> Result<Issuer, OpenError> {
    let id = plan.client_id.as_ref().map(Secrets::resolve_text).transpose()?.unwrap_or_default();
    let way = match &plan.login {
        EntraLogin::ClientSecret(secret) => EntraWay::Client(Arc::new(Proof::Post(Secrets::resolve(secret)?))),
        EntraLogin::Certificate(key) => {
            let audience = AssertionAudience::TokenEndpoint;
            EntraWay::Client(Arc::new(Proof::PrivateKey { key: Box::new(open_key(key)?), audience }))
        }
        EntraLogin::WorkloadIdentity(Some(file)) => EntraWay::Client(Arc::new(Proof::AssertionFile(file.clone()))),
        EntraLogin::WorkloadIdentity(None) => {
            let name = "AZURE_FEDERATED_TOKEN_FILE".to_owned();
            let file = Environment::get(&name).ok_or(SecretError::NotSet { name })?;
            EntraWay::Client(Arc::new(Proof::AssertionFile(file.into())))
        }
        EntraLogin::ManagedIdentity => EntraWay::Managed(ManagedIdentity::new(
            Environment::get("IDENTITY_ENDPOINT").as_deref(),
            Environment::get("IDENTITY_HEADER").map(Secret::new),
            Environment::get("AZURE_POD_IDENTITY_AUTHORITY_HOST").as_deref(),
        )?),
        EntraLogin::DeviceCode => EntraWay::Device(Arc::new(Proof::Public)),
        EntraLogin::AuthorizationCode => EntraWay::Browser(Arc::new(Proof::Public)),
    };
    Ok(Issuer::Entra(Box::new(EntraClient::new(plan.clone(), base_url.clone(), id, way, open_channel(job)?))))
}

fn open_session(job: &Job, plan: &Session) -> Result<SessionClient, OpenError> {
    let (content_type, body) = match &plan.body {
        SessionBody::Json(template) => ("application/json", filled_in(template)?.to_string()),
        SessionBody::Form(pairs) => {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            for (name, value) in pairs {
                form.append_pair(name, &Secrets::resolve_text(value)?);
            }
            ("application/x-www-form-urlencoded", form.finish())
        }
    };
    let headers: Result<Vec<_>, SecretError> = plan
        .headers
        .iter()
        .map(|(name, value)| Ok((name.clone(), Secret::new(Secrets::resolve_text(value)?))))
        .collect();
    Ok(SessionClient {
        base_url: job.source.base_url.clone(),
        url: plan.url.clone(),
        content_type,
        body: Secret::new(body),
        headers: headers?,
        carries: plan.carries.clone(),
        lifetime_secs: plan.lifetime.map(|lifetime| lifetime.as_secs().cast_signed()),
        channel: open_channel(job)?,
    })
}

fn filled_in(template: &JsonTemplate) -> Result<Value, SecretError> {
    Ok(match template {
        JsonTemplate::Text(text) => Value::String(Secrets::resolve_text(text)?),
        JsonTemplate::Plain(value) => value.clone(),
        JsonTemplate::List(items) => Value::Array(items.iter().map(filled_in).collect::<Result<_, _>>()?),
        JsonTemplate::Object(members) => {
            let members = members.iter().map(|(name, member)| Ok((name.clone(), filled_in(member)?)));
            Value::Object(members.collect::<Result<_, SecretError>>()?)
        }
    })
}
