//! A client of Microsoft Entra, with its authority given or discovered.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::OnceCell;
use url::Url;

use super::challenge::authority_of;
use super::managed::ManagedIdentity;
use crate::auth::error::Error;
use crate::auth::grant::Granted;
use crate::auth::issuer::WayIn;
use crate::auth::oauth2::{HeldGrant, Oauth2Client, Proof};
use crate::auth::record::Identity;
use crate::http::TokenChannel;
use crate::limits::TOKEN_WAIT_MAX;
use crate::model::credential::{AuthServer, Authority, Discovery, Endpoints, Entra};
use crate::model::plan::Rotation;

/// How a client of Entra gets its tokens, with its secrets at hand.
pub(crate) enum EntraWay {
    Client(Arc<Proof>),
    Device(Arc<Proof>),
    Browser(Arc<Proof>),
    Managed(ManagedIdentity),
}

/// A client of Microsoft Entra.
pub(crate) struct EntraClient {
    plan: Entra,
    base_url: Url,
    /// Empty for a machine's own managed identity.
    id: String,
    way: EntraWay,
    channel: TokenChannel,
    /// Known once the authority is.
    client: OnceCell<Oauth2Client>,
    /// Absent = not discovered, or not yet.
    discovered: OnceCell<String>,
}

impl EntraClient {
    /// The client as the job describes it, bound to the source's data path.
    pub(crate) fn new(plan: Entra, base_url: Url, id: String, way: EntraWay, channel: TokenChannel) -> Self {
        EntraClient { plan, base_url, id, way, channel, client: OnceCell::new(), discovered: OnceCell::new() }
    }

    pub(in crate::auth) fn identity(&self) -> Identity {
        let grant = match self.way {
            EntraWay::Client(_) => "client_credentials",
            EntraWay::Device(_) => "device_code",
            EntraWay::Browser(_) => "authorization_code",
            EntraWay::Managed(_) => "managed_identity",
        };
        let authority = match &self.plan.authority {
            Authority::Given(url) => url,
            // Discovered or handed out by the platform: the service itself stands for it.
            Authority::Discovered { .. } => &self.base_url,
        };
        let of = Identity::of(&self.base_url, authority, &self.id, grant);
        Identity { id: of.id.replacen("oauth2", "entra", 1), ..of }
    }

    pub(in crate::auth) fn way_in(&self) -> WayIn {
        match self.way {
            EntraWay::Client(_) | EntraWay::Managed(_) => WayIn::Unneeded,
            EntraWay::Device(_) => WayIn::Device,
            EntraWay::Browser(_) => WayIn::Browser,
        }
    }

    pub(in crate::auth) fn rotation(&self) -> &Rotation {
        &self.plan.rotation
    }

    pub(in crate::auth) fn discovered_host(&self) -> Option<&str> {
        self.discovered.get().map(String::as_str)
    }

    /// Buys a token without anybody's login.
    pub(in crate::auth) async fn buy(&self) -> Granted {
        if let EntraWay::Managed(identity) = &self.way {
            let client_id = (!self.id.is_empty()).then_some(self.id.as_str());
            return identity.buy(&self.plan.resource, client_id, &self.channel).await;
        }
        match self.oauth2().await {
            Ok(Some(client)) => client.buy().await,
            Ok(None) => unreachable!("only a managed identity has no client"),
            Err(error) => Granted::hindered(error),
        }
    }

    /// The OAuth2 client at the authority. `Ok(None)` = a managed identity, which has none.
    pub(in crate::auth) async fn oauth2(&self) -> Result<Option<&Oauth2Client>, Error> {
        let (proof, grant) = match &self.way {
            EntraWay::Managed(_) => return Ok(None),
            EntraWay::Client(proof) => (proof, HeldGrant::ClientCredentials),
            EntraWay::Device(proof) => (proof, HeldGrant::DeviceCode),
            EntraWay::Browser(proof) => (proof, HeldGrant::AuthorizationCode),
        };
        let made = self.client.get_or_try_init(|| async {
            let server = self.server(&self.authority().await?, &grant);
            let (base_url, id) = (self.base_url.clone(), self.id.clone());
            Ok(Oauth2Client::new(server, base_url, id, Arc::clone(proof), grant, self.channel.clone()))
        });
        made.await.map(Some)
    }

    async fn authority(&self) -> Result<Url, Error> {
        match &self.plan.authority {
            Authority::Given(url) => Ok(url.clone()),
            Authority::Discovered { trusted_hosts } => {
                let url = authority_of(&self.base_url, trusted_hosts, &self.channel).await?;
                // The first one stays, and it is the same.
                let _ = self.discovered.set(url.host_str().unwrap_or_default().to_owned());
                Ok(url)
            }
        }
    }

    fn server(&self, authority: &Url, grant: &HeldGrant) -> AuthServer {
        let at = |name: &str| {
            let mut url = authority.clone();
            url.set_path(&format!("{}/oauth2/v2.0/{name}", authority.path().trim_end_matches('/')));
            Some(url)
        };
        let mut scopes = self.plan.scopes.clone();
        if scopes.is_empty() {
            scopes.push(format!("{}/.default", self.plan.resource.trim_end_matches('/')));
        }
        let is_login = matches!(grant, HeldGrant::DeviceCode | HeldGrant::AuthorizationCode);
        if is_login && !scopes.iter().any(|scope| scope == "offline_access") {
            // Without it there is no refresh token.
            scopes.push("offline_access".to_owned());
        }
        AuthServer {
            endpoints: Endpoints {
                token: at("token"),
                authorize: at("authorize"),
                device: at("devicecode"),
                revoke: None,
            },
            issuer: None,
            discovery: Discovery::Off,
            allow_http: self.plan.allow_http,
            scopes,
            scope_separator: " ".to_owned(),
            authorize_params: BTreeMap::new(),
            token_params: BTreeMap::new(),
            redirect: self.plan.redirect.clone(),
            rotation: self.plan.rotation.clone(),
            timeout: TOKEN_WAIT_MAX,
        }
    }
}
