//! What cannot be read, in words: each answer of the service with what helps. Pure.

use super::finding::{Finding, error};
use crate::store::Unread;

/// What helps against a refusal, by the service's own word for it
/// (<https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes>).
fn cure_of(code: Option<&str>) -> &'static str {
    match code {
        Some("AuthenticationFailed") => {
            "the signature is wrong, or the share has ended or was revoked: take the signature once more from where it was \
             printed, or make a new one with `haul share create JOBFILE`"
        }
        Some("AuthorizationPermissionMismatch") => {
            "the share does not allow to read this: make one with `haul share create JOBFILE`"
        }
        Some("AuthorizationProtocolMismatch") => "the share is for https: use an address with https",
        Some("AuthorizationSourceIPMismatch") => "the share is for other addresses: make one without a range",
        Some("AuthorizationResourceTypeMismatch" | "AuthorizationServiceMismatch") => {
            "the SAS of the account does not cover blobs: make a share with `haul share create JOBFILE`"
        }
        // The emulator says it of wrong signatures, too.
        Some("AuthorizationFailure") => {
            "the account's firewall does not let this address in (the Power BI service needs public network access), or the \
             signature is wrong, or the share has ended or was revoked: `haul share list JOBFILE`"
        }
        Some("PublicAccessNotPermitted" | "ResourceNotFound" | "NoAuthenticationInformation") => {
            "the signature did not arrive: paste all of it, from `sv` to `sig`"
        }
        Some("BlobArchived") => {
            "the blob is in the archive tier: bring it back, and let no lifecycle rule move haul's files"
        }
        Some("LeaseIdMissing" | "LeaseAlreadyPresent") => "somebody holds a lease of the blob: break it",
        Some("AccountIsDisabled") => "the account is disabled: see its subscription",
        _ => "check the signature, the account's firewall, and who may read there",
    }
}

/// The pointer, with which every reader begins.
pub(super) fn of_pointer(path: &str, unread: &Unread) -> Finding {
    match unread {
        Unread::Missing => error(
            "not_published",
            path,
            "there is no dataset yet, or it is elsewhere",
            "`haul run JOBFILE` publishes one",
        ),
        other => of_document("refused", path, other),
    }
}

/// A part of a table.
pub(super) fn of_part(path: &str, unread: &Unread) -> Finding {
    match unread {
        Unread::Missing => {
            let cure = "somebody removed it: run the job again, with `--full` where its table is incremental; let nothing but \
                        haul remove files there";
            error("part_missing", path, "it is not there", cure)
        }
        other => of_document("part_refused", path, other),
    }
}

/// Anything else; `refused` is the code where the service says no.
pub(super) fn of_document(refused: &'static str, path: &str, unread: &Unread) -> Finding {
    let what = unread.to_string();
    match unread {
        Unread::Missing => error("document_missing", path, what, "run the job again"),
        Unread::Refused { code, .. } => error(refused, path, what, cure_of(code.as_deref())),
        Unread::Status { .. } => error("unreachable", path, what, "try again later"),
        Unread::Unreachable { .. } => {
            let cure = "check the address, the proxy and the certificates; for plain http, `AZURE_ALLOW_HTTP=true`";
            error("unreachable", path, what, cure)
        }
        Unread::Broken { .. } => error("part_unread", path, what, "try again; if it stays, run the job again"),
    }
}
