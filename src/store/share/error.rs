//! What can go wrong with shares.

use std::time::Duration;

use super::POLICIES_MAX;

/// No variant shows a key or a signature.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShareError {
    #[error("{place} is no container of Azure Blob")]
    NotAzure { place: String },
    #[error(
        "a share of {place} is signed with the key of its storage account, or by a login of Entra, and there is neither"
    )]
    NoKey { place: String },
    #[error("no token of Entra for the storage account can be had: {why}")]
    NoToken { why: String },
    #[error("{place} has no signed addresses")]
    NoSigner { place: String },
    #[error("the files of {place} cannot be signed for: {why}")]
    Unsigned { place: String, why: String },
    #[error("there is no published table with one file to sign for: {why}")]
    NoFile { why: String },
    #[error("{place} cannot be shared: {why}")]
    Place { place: String, why: String },
    #[error("the storage account cannot be reached: {why}")]
    Unreachable { why: String },
    #[error("the storage account does not answer within {waited:?}")]
    Late { waited: Duration },
    #[error("the storage account refuses the key (status {status}{})", code_of(.code))]
    Refused { status: u16, code: Option<String> },
    #[error("there is no container `{container}`")]
    NoContainer { container: String },
    #[error("the storage account answered status {status}{}", code_of(.code))]
    Status { status: u16, code: Option<String> },
    #[error("the list of the container's stored access policies cannot be read: {why}")]
    Unreadable { why: String },
    #[error("the container has {count} stored access policies, and {POLICIES_MAX} is the most: {names}")]
    Full { count: usize, names: String },
    #[error("the job has {count} links of `haul serve`, limit SHARE_LINKS_MAX")]
    Many { count: usize },
    #[error("there is no share `{id}`")]
    Unknown { id: String },
    #[error("the stored access policy `{id}` is not haul's: their names begin with `haul-`")]
    NotOurs { id: String },
    #[error("the stored access policies are changed by others all the time: gave up after {tries} tries")]
    Contended { tries: usize },
}

fn code_of(code: &Option<String>) -> String {
    code.as_ref().map(|code| format!(", {code}")).unwrap_or_default()
}

impl ShareError {
    pub(in crate::store) fn hint(&self) -> Option<String> {
        Some(match self {
            ShareError::NotAzure { .. } | ShareError::NoSigner { .. } => {
                "`--address` with that of a running `haul serve` lets this one publish the files by a signed link".to_owned()
            }
            ShareError::NoKey { .. } => "set `access_key` in `destination.options`, or AZURE_STORAGE_ACCOUNT_KEY; or log in by \
                                         Entra, with which a user-delegation SAS is made that ends after 7 days"
                .to_owned(),
            ShareError::NoToken { .. } => {
                "check the login of `destination.options`: client and secret, managed identity, or `az login`".to_owned()
            }
            ShareError::Unsigned { .. } => {
                "an access key of Amazon S3 signs, and a service account's key of Google does".to_owned()
            }
            ShareError::NoFile { .. } => "run the job first; `publish.alias: true` gives each table one file".to_owned(),
            ShareError::Refused { code: Some(code), .. } if code == "KeyBasedAuthenticationNotPermitted" => {
                "the account does not allow access by key: allow it, or leave the key out of the options and log in by Entra"
                    .to_owned()
            }
            ShareError::Refused { code: Some(code), .. } if code == "AuthorizationPermissionMismatch" => {
                "for a user-delegation SAS the login needs the role `Storage Blob Delegator` on the account, and `Storage \
                 Blob Data Reader` on the container"
                    .to_owned()
            }
            ShareError::Refused { .. } => {
                "check the account's name and key, its firewall, and the clock of this machine".to_owned()
            }
            ShareError::NoContainer { .. } => "check `destination.url`; haul creates no container".to_owned(),
            ShareError::Full { .. } => {
                "`haul share revoke JOBFILE POLICY` ends one of haul's; `haul share rotate JOBFILE POLICY --revoke` puts a new one \
                 in its place"
                    .to_owned()
            }
            ShareError::Many { .. } => "`haul share revoke JOBFILE POLICY` ends one".to_owned(),
            ShareError::Unknown { .. } => "`haul share list JOBFILE` shows them".to_owned(),
            ShareError::NotOurs { .. } => "whoever made it takes it away".to_owned(),
            ShareError::Place { .. }
            | ShareError::Unreachable { .. }
            | ShareError::Late { .. }
            | ShareError::Status { .. }
            | ShareError::Unreadable { .. }
            | ShareError::Contended { .. } => return None,
        })
    }

    pub(in crate::store) fn is_temporary(&self) -> bool {
        match self {
            ShareError::Unreachable { .. } | ShareError::Late { .. } | ShareError::Contended { .. } => true,
            ShareError::Status { status, .. } => *status >= 500 || matches!(*status, 408 | 429),
            _ => false,
        }
    }
}
