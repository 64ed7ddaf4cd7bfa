//! Something that is wrong with a job file, and the list in which all of it is collected.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::yaml::{Mark, Tree};

/// One mistake in a job file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Problem {
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1.
    pub column: usize,
    /// Where it stands inside the file, as `streams[0].paging`; empty = the file itself.
    pub path: String,
    pub message: String,
    /// What stands there, in words; never the value of a secret. Absent = the message says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// Absent = there is no list of what may stand there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<String>,
    /// Absent = we know no remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        if !self.path.is_empty() {
            write!(f, "\n  at: {}", self.path)?;
        }
        if let Some(allowed) = &self.allowed {
            write!(f, "\n  allowed: {allowed}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// Problems of one file, in the order of the file.
pub(super) struct Problems<'a> {
    file: &'a str,
    tree: &'a Tree,
    found: Vec<Problem>,
}

/// A problem under construction.
pub(super) struct Draft {
    message: String,
    found: Option<String>,
    allowed: Option<String>,
    hint: Option<String>,
}

/// Begins a problem.
pub(super) fn wrong(message: impl Into<String>) -> Draft {
    Draft { message: message.into(), found: None, allowed: None, hint: None }
}

impl Draft {
    pub(super) fn found(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into());
        self
    }

    pub(super) fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = Some(allowed.into());
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }
}

impl<'a> Problems<'a> {
    pub(super) fn new(file: &'a str, tree: &'a Tree) -> Self {
        Problems { file, tree, found: Vec::new() }
    }

    /// Notes a problem at a path of the file; where nothing stands there, at its nearest ancestor.
    pub(super) fn at(&mut self, path: &str, draft: Draft) {
        self.at_mark(self.tree.mark(path), path, draft);
    }

    /// Notes a problem at a place that no path names, such as a key.
    pub(super) fn at_mark(&mut self, mark: Mark, path: &str, draft: Draft) {
        self.found.push(Problem {
            file: self.file.to_owned(),
            line: mark.line,
            column: mark.column,
            path: path.to_owned(),
            message: draft.message,
            found: draft.found,
            allowed: draft.allowed,
            hint: draft.hint,
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How many problems were noted so far.
    pub(super) fn len(&self) -> usize {
        self.found.len()
    }

    /// Forgets those of the problems after the first `kept` that this holds for.
    pub(super) fn forget(&mut self, kept: usize, is_forgotten: impl Fn(&Problem) -> bool) {
        let later = self.found.split_off(kept);
        self.found.extend(later.into_iter().filter(|problem| !is_forgotten(problem)));
    }

    /// In the order of the file; what two checks or two streams found alike stands there once.
    pub(super) fn into_sorted(mut self) -> Vec<Problem> {
        let mut told = BTreeSet::new();
        self.found.retain(|problem| told.insert((problem.path.clone(), problem.message.clone())));
        self.found.sort_by_key(|problem| (problem.line, problem.column));
        self.found
    }
}

/// A word without the marks in which spellings differ: `baseUrl`, `base-url` and `base_url` are one.
pub(super) fn plain(word: &str) -> String {
    word.to_lowercase().replace(['-', ' ', '_'], "")
}

/// The nearest of some words, when it is near enough to be what was meant.
pub(super) fn nearest<'a>(typed: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = plain(typed);
    words
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&typed, &plain(word)), word))
        // One slip in four letters: more, and `auth` would be taken for `path`.
        .filter(|(distance, word)| *distance <= plain(word).len().div_ceil(4))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// The hint that goes with [`nearest`].
pub(super) fn did_you_mean<'a>(typed: &str, words: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(typed, words).map(|near| format!("did you mean `{near}`?"))
}
