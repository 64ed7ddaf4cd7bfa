//! The part of the job file about Power BI: what is refreshed there, and by whom. Nothing here is checked beyond its shape.
//!
//! The doc comments become the descriptions of the JSON Schema in `config/`, which editors show.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::spec::SecretRef;
use super::spec_auth::CertificateSpec;

/// What of Power BI is refreshed when there is something new, by an application of Microsoft Entra (a service principal).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PowerBiSpec {
    /// The application that asks for refreshes.
    pub auth: PrincipalSpec,
    /// What is refreshed, in this order, one after the other.
    #[schemars(length(min = 1))]
    pub refresh: Vec<RefreshSpec>,
    /// Whether and how long a run waits for the end of each refresh: `true`, `false` or a time. Default `30m`.
    pub wait: Option<WaitSpec>,
    /// Which runs refresh. Default `published`.
    pub on: Option<RefreshOnSpec>,
    /// Address of the Power BI REST API. Default `https://api.powerbi.com`.
    pub api: Option<String>,
    /// Address of the Fabric REST API, for dataflows of generation 2. Default `https://api.fabric.microsoft.com`.
    pub fabric: Option<String>,
    /// Address of the login. Default `https://login.microsoftonline.com`.
    pub login: Option<String>,
    /// Whom tokens for the Power BI REST API are for; national clouds have their own. Default `https://analysis.windows.net/powerbi/api`.
    pub resource: Option<String>,
    /// Allow plain `http` for these addresses to a host other than this machine. Tokens are then readable on the network.
    #[serde(default)]
    pub allow_http: bool,
}

/// An application of Microsoft Entra that acts for itself.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PrincipalSpec {
    /// Tenant: its id or one of its domains. Only a managed identity does without.
    pub tenant: Option<String>,
    /// Application id; may be a reference. With `managed_identity` that of a user-assigned identity.
    pub client_id: Option<String>,
    /// How haul proves who it is.
    pub credential: PrincipalCredentialSpec,
}

/// How an application proves who it is to Microsoft Entra.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PrincipalCredentialSpec {
    /// A client secret, as a reference.
    ClientSecret(SecretRef),
    /// A certificate and its private key.
    Certificate(CertificateSpec),
    /// The token that AZURE_FEDERATED_TOKEN_FILE names, as workload identity on Kubernetes sets it.
    WorkloadIdentity,
    /// A file with a token that another issuer made for this application.
    FederatedTokenFile(String),
    /// The identity of the machine or app service that haul runs on.
    ManagedIdentity,
}

/// One semantic model or dataflow; one of `dataset` and `dataflow`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefreshSpec {
    /// What reports and messages call it. Default: its kind and id.
    pub name: Option<String>,
    /// Id of the workspace, as its address in the browser has it behind `/groups/`.
    pub workspace: String,
    /// Id of the semantic model, as its address in the browser has it behind `/datasets/`.
    pub dataset: Option<String>,
    /// Id of the dataflow.
    pub dataflow: Option<String>,
    /// Generation of the dataflow: 1 is Power BI's own, 2 is an item of Fabric. Default 1.
    #[schemars(range(min = 1, max = 2))]
    pub generation: Option<u8>,
    /// Only these tables of the semantic model, by their names there (enhanced refresh; needs a capacity). Default: all.
    pub tables: Option<Vec<String>>,
    /// Parameters of the semantic model's queries that are set before every refresh, for example `SasSignature: ${SAS_SIGNATURE}`. The application must be the owner of the model.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// Keeps the parameters of haul's queries (`SasVersion`, `SasPolicy`, `SasSignature` and others) up to date with the job's share: after a rotation, and, where the storage account is opened by a login of Entra, with a new signature before the old one ends after seven days. The application must be the owner of the model.
    pub share: Option<ShareScopeSpec>,
    /// As `powerbi.wait`, for this one.
    pub wait: Option<WaitSpec>,
    /// As `powerbi.on`, for this one.
    pub on: Option<RefreshOnSpec>,
}

/// What the signature opens that the queries of a model are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ShareScopeSpec {
    /// The container, as `haul share create` makes it.
    Container,
    /// The job's folder, as `haul share create --folder` makes it.
    Folder,
}

/// Whether and how long a run waits for the end of a refresh.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum WaitSpec {
    /// `true`: as long as by default; `false`: not at all, what comes of it is not known then.
    Flag(bool),
    /// No longer than this, for example `1h`; at most `5h`.
    Within(String),
}

/// Which runs refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefreshOnSpec {
    /// Those behind which there is a snapshot that it was not refreshed for.
    Published,
    /// Every good run, whether there is something new or not.
    EveryRun,
}
