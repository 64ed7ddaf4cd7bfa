//! The meaning of `powerbi`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::check_auth::check_secret;
use super::check_entra::{PUBLIC_CLOUD, check_certificate, check_tenant};
use super::check_oauth2::{check_redirect, rotation_of};
use super::problem::{Problems, wrong};
use super::spec_powerbi::{
    PowerBiSpec, PrincipalCredentialSpec, PrincipalSpec, RefreshOnSpec, RefreshSpec, ShareScopeSpec, WaitSpec,
};
use super::value::{check_duration, check_text, check_url, literal_secret, reference};
use super::yaml::join;
use crate::limits::{REFRESH_PARAMETERS_MAX, REFRESH_TARGETS_MAX, REFRESH_WAIT_DEFAULT, REFRESH_WAIT_MAX};
use crate::model::credential::{Authority, Entra, EntraLogin};
use crate::model::plan::TextSource;
use crate::model::refresh::{Item, PowerBi, RefreshOn, RefreshWait, ShareScope, Target};

const AUTH: &str = "powerbi.auth";
const API: &str = "https://api.powerbi.com";
const FABRIC: &str = "https://api.fabric.microsoft.com";
/// Whom tokens for the Power BI REST API of the public cloud are for:
/// <https://learn.microsoft.com/en-us/power-bi/developer/embedded/generate-embed-token>.
const RESOURCE: &str = "https://analysis.windows.net/powerbi/api";

/// `None` = the problems say why.
pub(super) fn check_powerbi(spec: &PowerBiSpec, problems: &mut Problems<'_>) -> Option<PowerBi> {
    let api = check_origin(spec.api.as_deref(), API, "powerbi.api", spec.allow_http, problems);
    let fabric = check_origin(spec.fabric.as_deref(), FABRIC, "powerbi.fabric", spec.allow_http, problems);
    let login = check_login(spec, problems);
    if spec.refresh.len() > REFRESH_TARGETS_MAX {
        let draft = wrong(format!("{} targets are too many", spec.refresh.len()));
        problems.at("powerbi.refresh", draft.allowed(format!("at most {REFRESH_TARGETS_MAX}")));
    }
    let wait = match &spec.wait {
        Some(wait) => check_wait(wait, "powerbi.wait", problems),
        None => Some(RefreshWait::Within(REFRESH_WAIT_DEFAULT)),
    };
    let mut targets: Vec<Target> = Vec::new();
    for (index, target) in spec.refresh.iter().enumerate() {
        let path = format!("powerbi.refresh[{index}]");
        let Some(target) = check_target(target, (spec.on, wait), &path, problems) else { continue };
        if targets.iter().any(|other| other.key() == target.key()) {
            problems.at(&path, wrong("this is refreshed already").hint("remove one of both"));
        } else if targets.iter().any(|other| other.name == target.name) {
            problems.at(&join(&path, "name"), wrong(format!("two targets have the name `{}`", target.name)));
        }
        targets.push(target);
    }
    Some(PowerBi { api: api?, fabric: fabric?, login: login?, targets })
}

/// The address of a service, which is an origin: its paths are the service's own.
fn check_origin(
    typed: Option<&str>,
    default: &str,
    path: &str,
    allow_http: bool,
    problems: &mut Problems<'_>,
) -> Option<Url> {
    let url = check_url(typed.unwrap_or(default), path, allow_http, problems)?;
    if url.path() != "/" || url.query().is_some() {
        let hint = format!("write `{}`", url.origin().ascii_serialization());
        problems.at(path, wrong("this address has a path of its own").hint(hint));
        return None;
    }
    Some(url)
}

/// `None` = the problems say why.
fn check_login(spec: &PowerBiSpec, problems: &mut Problems<'_>) -> Option<Entra> {
    let PrincipalSpec { tenant, client_id, credential } = &spec.auth;
    let server = check_origin(spec.login.as_deref(), PUBLIC_CLOUD, "powerbi.login", spec.allow_http, problems);
    let is_managed = matches!(credential, PrincipalCredentialSpec::ManagedIdentity);
    for (name, is_there) in [("tenant", tenant.is_some()), ("client_id", client_id.is_some())] {
        if !is_there && !is_managed {
            problems.at(AUTH, wrong(format!("`{AUTH}` needs `{name}`")));
        }
    }
    let tenant = tenant.as_ref().map(|tenant| check_tenant(tenant, &join(AUTH, "tenant"), problems));
    let client_id = client_id.as_ref().map(|id| check_text(id, &join(AUTH, "client_id"), problems));
    let login = check_credential(credential, problems);
    let redirect = check_redirect(None, None, AUTH, problems);
    let rotation = rotation_of("entra", problems);
    let mut authority = server?;
    match tenant {
        Some(tenant) => authority.set_path(tenant?),
        // The platform hands out its tokens itself.
        None if is_managed => {}
        None => return None,
    }
    Some(Entra {
        authority: Authority::Given(authority),
        resource: spec.resource.clone().unwrap_or_else(|| RESOURCE.to_owned()),
        scopes: Vec::new(),
        client_id: match client_id {
            Some(id) => Some(id?),
            None => None,
        },
        login: login?,
        redirect: redirect?,
        rotation: rotation?,
        allow_http: spec.allow_http,
    })
}

fn check_credential(spec: &PrincipalCredentialSpec, problems: &mut Problems<'_>) -> Option<EntraLogin> {
    let path = "powerbi.auth.credential";
    Some(match spec {
        PrincipalCredentialSpec::ClientSecret(secret) => {
            EntraLogin::ClientSecret(check_secret(secret, &join(path, "client_secret"), problems)?)
        }
        PrincipalCredentialSpec::Certificate(spec) => {
            EntraLogin::Certificate(check_certificate(spec, &join(path, "certificate"), problems)?)
        }
        PrincipalCredentialSpec::WorkloadIdentity => EntraLogin::WorkloadIdentity(None),
        PrincipalCredentialSpec::FederatedTokenFile(file) => EntraLogin::WorkloadIdentity(Some(PathBuf::from(file))),
        PrincipalCredentialSpec::ManagedIdentity => EntraLogin::ManagedIdentity,
    })
}

/// `None` = the problems say why.
fn check_target(
    spec: &RefreshSpec,
    (on, wait): (Option<RefreshOnSpec>, Option<RefreshWait>),
    path: &str,
    problems: &mut Problems<'_>,
) -> Option<Target> {
    let workspace = check_guid(&spec.workspace, &join(path, "workspace"), problems);
    let on = match spec.on.or(on) {
        None | Some(RefreshOnSpec::Published) => RefreshOn::Published,
        Some(RefreshOnSpec::EveryRun) => RefreshOn::EveryRun,
    };
    let wait = match &spec.wait {
        Some(wait) => check_wait(wait, &join(path, "wait"), problems),
        None => wait,
    };
    let item = check_item(spec, path, problems)?;
    let name = match &spec.name {
        Some(name) if name.trim().is_empty() || name.chars().any(char::is_control) => {
            problems.at(&join(path, "name"), wrong("this cannot be a name"));
            return None;
        }
        Some(name) => name.clone(),
        None => format!("{} {}", if matches!(item, Item::Dataset { .. }) { "dataset" } else { "dataflow" }, item.id()),
    };
    Some(Target { name, workspace: workspace?, item, on, wait: wait? })
}

/// `None` = the problems say why.
fn check_item(spec: &RefreshSpec, path: &str, problems: &mut Problems<'_>) -> Option<Item> {
    let mut unfit = |is_there: bool, name: &str, hint: &str| {
        if is_there {
            problems.at(&join(path, name), wrong(format!("`{name}` says nothing here")).hint(hint.to_owned()));
        }
    };
    match (&spec.dataset, &spec.dataflow) {
        (Some(_), Some(_)) | (None, None) => {
            problems.at(path, wrong("a target is one thing").allowed("one of dataset, dataflow"));
            None
        }
        (Some(id), None) => {
            unfit(spec.generation.is_some(), "generation", "it belongs to `dataflow`");
            let tables = check_tables(spec.tables.as_deref(), &join(path, "tables"), problems);
            let parameters = check_parameters(spec, &join(path, "parameters"), problems);
            let id = check_guid(id, &join(path, "dataset"), problems);
            Some(Item::Dataset { id: id?, tables: tables?, parameters: parameters?, share: spec.share.map(scope) })
        }
        (None, Some(id)) => {
            unfit(spec.tables.is_some(), "tables", "a dataflow is refreshed as a whole");
            unfit(!spec.parameters.is_empty(), "parameters", "Power BI sets parameters of semantic models only");
            unfit(spec.share.is_some(), "share", "Power BI sets parameters of semantic models only");
            let id = check_guid(id, &join(path, "dataflow"), problems)?;
            Some(if spec.generation == Some(2) { Item::DataflowGen2 { id } } else { Item::Dataflow { id } })
        }
    }
}

fn scope(spec: ShareScopeSpec) -> ShareScope {
    match spec {
        ShareScopeSpec::Container => ShareScope::Container,
        ShareScopeSpec::Folder => ShareScope::Folder,
    }
}

fn check_tables(tables: Option<&[String]>, path: &str, problems: &mut Problems<'_>) -> Option<Vec<String>> {
    let Some(tables) = tables else { return Some(Vec::new()) };
    let before = problems.len();
    if tables.is_empty() {
        problems.at(path, wrong("`tables` is empty, so nothing would be refreshed").hint("remove it for all tables"));
    }
    let mut seen = BTreeSet::new();
    for (index, table) in tables.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if table.trim().is_empty() {
            problems.at(&path, wrong("a table has no name"));
        } else if !seen.insert(table) {
            problems.at(&path, wrong(format!("the table `{table}` stands here twice")));
        }
    }
    (problems.len() == before).then(|| tables.to_vec())
}

/// What Power BI takes: <https://learn.microsoft.com/en-us/rest/api/power-bi/datasets/update-parameters-in-group>.
fn check_parameters(spec: &RefreshSpec, path: &str, problems: &mut Problems<'_>) -> Option<Vec<(String, TextSource)>> {
    if spec.parameters.len() > REFRESH_PARAMETERS_MAX {
        let draft = wrong(format!("{} parameters are too many", spec.parameters.len()));
        problems.at(path, draft.allowed(format!("at most {REFRESH_PARAMETERS_MAX}")));
        return None;
    }
    let before = problems.len();
    let mut parameters = Vec::new();
    for (name, value) in &spec.parameters {
        let path = join(path, name);
        if name.trim().is_empty() {
            problems.at(&path, wrong("a parameter has no name"));
        }
        // A signature in a job file would be committed and shared.
        if name.to_ascii_lowercase().contains("signature") && reference(value).is_none() {
            problems.at(&path, literal_secret(&path));
            continue;
        }
        if let Some(value) = check_text(value, &path, problems) {
            parameters.push((name.clone(), value));
        }
    }
    (problems.len() == before).then_some(parameters)
}

fn check_wait(spec: &WaitSpec, path: &str, problems: &mut Problems<'_>) -> Option<RefreshWait> {
    let typed = match spec {
        WaitSpec::Flag(false) => return Some(RefreshWait::No),
        WaitSpec::Flag(true) => return Some(RefreshWait::Within(REFRESH_WAIT_DEFAULT)),
        WaitSpec::Within(typed) => typed,
    };
    let wait: Duration = check_duration(typed, path, problems)?;
    if wait > REFRESH_WAIT_MAX {
        let hint = "Power BI ends refreshes by itself then; `wait: false` asks for one and does not wait";
        let allowed = format!("at most {}h", REFRESH_WAIT_MAX.as_secs() / 3600);
        problems.at(path, wrong(format!("`{typed}` is too long")).allowed(allowed).hint(hint));
        return None;
    }
    Some(RefreshWait::Within(wait))
}

/// An id as addresses of Power BI have it, in lower case.
fn check_guid(typed: &str, path: &str, problems: &mut Problems<'_>) -> Option<String> {
    let lengths: Vec<usize> = typed.split('-').map(str::len).collect();
    let is_guid = lengths == [8, 4, 4, 4, 12] && typed.chars().all(|c| c == '-' || c.is_ascii_hexdigit());
    if !is_guid {
        let draft = wrong(format!("`{typed}` is no id")).allowed("a GUID: 01234567-89ab-cdef-0123-456789abcdef");
        let hint = "open it in the browser: the address has the id of the workspace behind `/groups/`, that of a semantic \
                    model behind `/datasets/`";
        problems.at(path, draft.hint(hint));
        return None;
    }
    Some(typed.to_ascii_lowercase())
}
