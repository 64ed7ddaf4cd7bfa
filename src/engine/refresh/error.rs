//! Why a refresh was not had, in the service's words, and what to do about it.

use std::time::Duration;

use ::http::StatusCode;
use serde_json::Value;

use crate::engine::context::OpenError;
use crate::engine::error::{Class, Error as EngineError, of_auth};
use crate::http::Error as HttpError;
use crate::job::load::SecretError;
use crate::limits::REFRESH_ERROR_CHARS_MAX;
use crate::model::amounts::span;
use crate::model::refresh::RefreshOutcome;
use crate::secret::mask;
use crate::source::Error as SourceError;

/// Why a refresh was not had.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{0}")]
    Open(#[from] OpenError),
    #[error("{0}")]
    Secret(#[from] SecretError),
    #[error("{0}")]
    Source(SourceError),
    #[error("{0}")]
    Refused(Refusal),
    #[error("the parameters cannot be set: {0}")]
    Parameters(Refusal),
    #[error("the share cannot be kept up to date: {0}")]
    Share(Box<EngineError>),
    #[error("the job has no share of its {} that the parameters could hold", if *is_folder_only { "folder" } else { "container" })]
    NoShare { is_folder_only: bool },
    #[error("{what} within {}", span(limit.as_secs()))]
    Over { what: &'static str, limit: Duration },
    #[error("other refreshes were in its way {times} times, limit REFRESH_STARTS_MAX")]
    Busy { times: usize },
    #[error("stopped by a signal")]
    Stopped,
}

/// An answer that is a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub status: StatusCode,
    pub code: Option<String>,
    pub said: Option<String>,
    pub request_id: Option<String>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Power BI answered {}", self.status)?;
        if let Some(code) = &self.code {
            write!(f, ", `{code}`")?;
        }
        match &self.said {
            Some(said) => write!(f, ": {said}"),
            None => Ok(()),
        }
    }
}

impl Refusal {
    /// The refusal of a service that writes its errors in one of these ways: `{"error":{"code","message","pbi.error":{…}}}`
    /// is Power BI's, `{"errorCode","message","requestId"}` Fabric's.
    pub(super) fn read(status: StatusCode, body: &[u8], request_id: Option<String>) -> Self {
        let document: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let (code, said) = told(&document);
        let of_body = document["requestId"].as_str().map(cut);
        Refusal { status, code, said, request_id: request_id.or(of_body) }
    }

    /// Whether it says that another refresh is going on.
    pub(super) fn is_of_another(&self) -> bool {
        const SIGNS: &[&str] = &[
            "refreshinprogress",
            "inprogress",
            "in progress",
            "already running",
            "already executing",
            "alreadyrunning",
            "being refreshed",
            "already in",
        ];
        if !matches!(self.status.as_u16(), 400 | 409) {
            return false;
        }
        let told = [&self.code, &self.said].into_iter().flatten().map(|text| text.to_lowercase());
        told.into_iter().any(|text| SIGNS.iter().any(|sign| text.contains(sign)))
    }

    fn hint(&self, kind: &str) -> Option<String> {
        let told = [&self.code, &self.said].into_iter().flatten().map(String::as_str);
        let of_code = cure(&told.collect::<Vec<_>>().join(" "));
        of_code.or_else(|| {
            let hint = match self.status.as_u16() {
                401 => {
                    "an administrator of the tenant must allow service principals to use the APIs of Power BI and Fabric, \
                     for a group that has the application (tenant settings, Developer settings)"
                }
                403 if kind == "dataflow_gen2" => {
                    "give the application the role Contributor in the workspace; Fabric runs not every dataflow of \
                     generation 2 for a service principal, see Microsoft's documentation of `Run On Demand Item Job`"
                }
                403 => "give the application the role Contributor in the workspace",
                404 => {
                    "check the ids of `powerbi.refresh`, and that the application is a member of the workspace: what it may \
                     not see is answered as if it were not there; a personal workspace cannot be used"
                }
                429 => LIMIT_HINT,
                _ => return None,
            };
            Some(hint.to_owned())
        })
    }
}

const LIMIT_HINT: &str = "without a capacity Power BI allows eight refreshes of a model a day, those of its own schedule counted, and on a \
                          capacity as many as it has room for: run the job less often, or leave it at `on: published`";

const OWNER_HINT: &str = "only the owner of a model sets its parameters: take it over as the application (`Default.TakeOver` of the REST \
                          API), then enter the credentials of its data source once more; names of parameters are case-sensitive";

impl Error {
    /// What came of the refresh when this happened before Power BI took it.
    pub(super) fn outcome(&self) -> RefreshOutcome {
        match self {
            Error::Open(_) | Error::Secret(_) | Error::Refused(_) | Error::Parameters(_) => RefreshOutcome::Refused,
            Error::Source(SourceError::Auth(error))
                if !matches!(of_auth(error), Class::Temporary | Class::Interrupted) =>
            {
                RefreshOutcome::Refused
            }
            Error::Share(error) if error.class() != Class::Temporary => RefreshOutcome::Refused,
            Error::NoShare { .. } => RefreshOutcome::Refused,
            Error::Share(_) | Error::Source(_) | Error::Over { .. } | Error::Busy { .. } | Error::Stopped => {
                RefreshOutcome::NotStarted
            }
        }
    }

    pub(super) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Error::Refused(refusal) | Error::Parameters(refusal) => Some(refusal),
            Error::Open(_)
            | Error::Secret(_)
            | Error::Source(_)
            | Error::Share(_)
            | Error::NoShare { .. }
            | Error::Over { .. }
            | Error::Busy { .. }
            | Error::Stopped => None,
        }
    }

    /// What to do, where we know; `kind` is that of the target.
    pub(super) fn hint(&self, kind: &str) -> Option<String> {
        match self {
            Error::Open(OpenError::Secret(error)) | Error::Secret(error) => error.hint(),
            Error::Open(OpenError::Run(error)) => error.hint(),
            Error::Parameters(refusal) if matches!(refusal.status.as_u16(), 400 | 403 | 404) => {
                Some(OWNER_HINT.to_owned())
            }
            Error::Refused(refusal) | Error::Parameters(refusal) => refusal.hint(kind),
            Error::Source(
                SourceError::Http(HttpError::WaitTooLong { .. })
                | SourceError::GaveUp { source: HttpError::WaitTooLong { .. }, .. },
            ) => Some(LIMIT_HINT.to_owned()),
            Error::Source(error) => error.hint(),
            Error::Share(error) => error.hint(),
            Error::NoShare { is_folder_only: false } => Some("`haul share create JOBFILE` makes one".to_owned()),
            Error::NoShare { is_folder_only: true } => {
                Some("`haul share create JOBFILE --folder` makes one".to_owned())
            }
            Error::Over { .. } | Error::Busy { .. } => {
                Some("the next run asks again; `powerbi.wait` may be longer".to_owned())
            }
            Error::Stopped => Some("the next run asks again".to_owned()),
        }
    }
}

/// Code and text of an error document.
pub(super) fn told(document: &Value) -> (Option<String>, Option<String>) {
    let error = if document["error"].is_object() { &document["error"] } else { document };
    let inner = &error["pbi.error"];
    let texts =
        |values: [&Value; 4]| values.into_iter().find_map(Value::as_str).filter(|text| !text.is_empty()).map(cut);
    let code = texts([&error["errorCode"], &inner["code"], &error["code"], &document["error"]]);
    let details = inner["details"].as_array().into_iter().flatten();
    let details: Vec<&str> = details.filter_map(|detail| detail["detail"]["value"].as_str()).collect();
    let said = if details.is_empty() {
        texts([&error["message"], &error["Message"], &error["errorDescription"], &document["error_description"]])
    } else {
        Some(cut(&details.join("; ")))
    };
    // Some say the same twice.
    let said = said.filter(|said| code.as_ref() != Some(said));
    (code, said)
}

/// What the end of a refresh says of its failure: a document in a text, which may be cut.
pub(super) fn told_in_text(text: &str) -> (Option<String>, Option<String>) {
    match serde_json::from_str::<Value>(text) {
        Ok(document) => told(&document),
        Err(_) if text.trim().is_empty() => (None, None),
        Err(_) => (None, Some(cut(text))),
    }
}

/// A text of the service on one line, without secrets and no longer than is read.
pub(super) fn cut(text: &str) -> String {
    let masked = mask(text);
    let plain = masked.split_whitespace().collect::<Vec<_>>().join(" ");
    let plain: String = plain.chars().filter(|c| !c.is_control()).collect();
    if plain.chars().count() <= REFRESH_ERROR_CHARS_MAX {
        return plain;
    }
    let mut cut: String = plain.chars().take(REFRESH_ERROR_CHARS_MAX).collect();
    cut.push('…');
    cut
}

/// What to do about an error of a refresh, by its code and text. `None` = we do not know.
pub(super) fn cure(told: &str) -> Option<String> {
    /// Words of which one must be there, and the cure. The first that fits is taken.
    const CURES: &[(&[&str], &str)] = &[
        (
            &["refreshlimit", "limitexceeded", "exceeded allowed limit", "toomanyrequests", "refreshes per day"],
            LIMIT_HINT,
        ),
        (
            &["accesstotheresourceisforbidden", "access to the resource is forbidden", "(403)", "authenticationfailed"],
            "the share of the files has ended or its signature is another one: `haul share show JOBFILE`, then set the \
             parameters of the model",
        ),
        (
            &["credentialsnotspecified", "credentialnotspecified", "nocredential", "credential", "accessunauthorized"],
            "enter the credentials of the data source in the settings of the model or dataflow: Anonymous, privacy level \
             Organizational, `Skip test connection`",
        ),
        (
            &["firewall", "privacy level", "privacylevel"],
            "the model mixes sources of several privacy levels: give them the same one",
        ),
        (
            &["refreshdisabled", "disabled"],
            "Power BI switched the refresh off after failures or two months without a visit: repair the cause, then \
             switch it on in the settings of the model",
        ),
        (
            &["memory", "resourcegovern"],
            "the model needs more memory than its capacity gives: load fewer tables or columns, or use incremental refresh",
        ),
        (
            &["timeout", "timed out", "timedout"],
            "load fewer rows at once: incremental refresh, or several refreshes with `tables`",
        ),
        (
            &["column", "rowset"],
            "a table has other columns than the model: make the queries anew with `haul powerbi` and load them",
        ),
        // The last: the names of errors of cloud sources have the word, too.
        (
            &["gatewayunreachable", "gateway"],
            "files that haul publishes to the cloud need no gateway: choose the cloud connection in the settings of the \
             model; a local folder or another source in the model needs one that is online",
        ),
    ];
    let told = told.to_lowercase();
    let found = CURES.iter().find(|(signs, _)| signs.iter().any(|sign| told.contains(sign)))?;
    Some(found.1.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read_in_the_ways_the_services_write_them() {
        let check = |text: &str, code: Option<&str>, said: Option<&str>| {
            let (found, words) = told_in_text(text);
            assert_eq!((found.as_deref(), words.as_deref()), (code, said), "{text}");
        };
        check(
            r#"{"error":{"code":"PowerBIEntityNotFound","pbi.error":{"code":"PowerBIEntityNotFound","parameters":{},"details":[],"exceptionCulprit":1}}}"#,
            Some("PowerBIEntityNotFound"),
            None,
        );
        check(
            r#"{"error":{"code":"A","pbi.error":{"code":"B","details":[{"code":"DetailsMessage","detail":{"type":1,"value":"why\n so"}}]}}}"#,
            Some("B"),
            Some("why so"),
        );
        check(r#"{"code":"X","message":"y"}"#, Some("X"), Some("y"));
        check(
            r#"{"requestId":"1","errorCode":"InsufficientPrivileges","message":"no"}"#,
            Some("InsufficientPrivileges"),
            Some("no"),
        );
        check(
            r#"{"errorCode":"ModelRefreshFailed_CredentialsNotSpecified"}"#,
            Some("ModelRefreshFailed_CredentialsNotSpecified"),
            None,
        );
        check(
            r#"{"Message":"API is not accessible for application"}"#,
            None,
            Some("API is not accessible for application"),
        );
        check(r#"{"errorCode":"Cut","errorDescr"#, None, Some(r#"{"errorCode":"Cut","errorDescr"#));
        check("", None, None);
    }

    #[test]
    fn known_errors_have_their_cure() {
        let check = |told: &str, expect: &str| assert!(cure(told).is_some_and(|cure| cure.contains(expect)), "{told}");
        check("ModelRefreshFailed_CredentialsNotSpecified", "enter the credentials");
        check("DM_GWPipeline_Client_GatewayUnreachable", "no gateway");
        check("ModelRefreshDisabled", "switch it on");
        check("DailyDataflowRefreshLimitExceeded", "eight refreshes of a model a day");
        check("Web.Contents failed to get contents (403): Forbidden", "share of the files");
        check("The column 'x' of the table wasn't found.", "other columns");
        assert_eq!(cure("something else"), None);
    }

    #[test]
    fn another_refresh_is_told_from_other_refusals() {
        let check = |status: u16, code: &str, expect: bool| {
            let body = serde_json::json!({ "error": { "code": code } }).to_string();
            let refusal = Refusal::read(StatusCode::from_u16(status).unwrap(), body.as_bytes(), None);
            assert_eq!(refusal.is_of_another(), expect, "{status} {code}");
        };
        check(400, "RefreshInProgressException", true);
        check(409, "DataflowRefreshInProgress", true);
        check(400, "Another refresh request is already executing", true);
        check(400, "InvalidRequest", false);
        check(403, "RefreshInProgressException", false);
    }
}
