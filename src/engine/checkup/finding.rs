//! What a check finds: a word that programs know, how bad it is, where, and what helps.

use serde::Serialize;

use crate::limits::CHECK_FINDINGS_MAX;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Severity {
    /// A refresh fails, or shows wrong values.
    Error,
    /// It works today, or for some.
    Warning,
    /// Nothing is wrong; what the check could not look at.
    Note,
}

impl Severity {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// One thing that was found. The codes are an interface: listed in docs/OPERATING.md, never reused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Finding {
    pub severity: Severity,
    pub code: &'static str,
    /// A share, a table, or a file below the job's folder.
    #[serde(rename = "where")]
    pub place: String,
    pub what: String,
    pub cure: String,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Findings {
    found: Vec<Finding>,
    pub left_out: u64,
}

impl Findings {
    /// When there is no room any more, the least of all goes.
    pub(super) fn add(&mut self, finding: Finding) {
        if self.found.len() < CHECK_FINDINGS_MAX {
            self.found.push(finding);
            return;
        }
        self.left_out += 1;
        let least = self.found.iter_mut().max_by(|one, other| one.severity.cmp(&other.severity));
        if let Some(least) = least.filter(|least| finding.severity < least.severity) {
            *least = finding;
        }
    }

    pub(super) fn extend(&mut self, more: impl IntoIterator<Item = Finding>) {
        more.into_iter().for_each(|finding| self.add(finding));
    }

    pub(super) fn has(&self, code: &str) -> bool {
        self.found.iter().any(|finding| finding.code == code)
    }

    /// The worst first; otherwise in the order of their codes and places, whatever was read first.
    pub(super) fn sorted(mut self) -> (Vec<Finding>, u64) {
        self.found.sort();
        self.found.dedup();
        (self.found, self.left_out)
    }
}

/// A failing refresh.
pub(super) fn error(code: &'static str, place: &str, what: impl Into<String>, cure: impl Into<String>) -> Finding {
    finding(Severity::Error, code, place, what, cure)
}

pub(super) fn warning(code: &'static str, place: &str, what: impl Into<String>, cure: impl Into<String>) -> Finding {
    finding(Severity::Warning, code, place, what, cure)
}

pub(super) fn note(code: &'static str, place: &str, what: impl Into<String>, cure: impl Into<String>) -> Finding {
    finding(Severity::Note, code, place, what, cure)
}

fn finding(
    severity: Severity,
    code: &'static str,
    place: &str,
    what: impl Into<String>,
    cure: impl Into<String>,
) -> Finding {
    Finding { severity, code, place: place.to_owned(), what: what.into(), cure: cure.into() }
}
