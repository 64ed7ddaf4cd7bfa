//! How a verb ends: exit codes, which are an interface, and failures with their hint.

use std::process::ExitCode;

use serde::Serialize;

use crate::engine::{Class, text_of};
use crate::job::load::SecretError;
use crate::job::{LoadError, Problem};

/// Exit codes; never reused for another meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    Held = 4,
    Login = 5,
    Skipped = 6,
    /// A check found something.
    Found = 7,
    Temporary = 75,
    Interrupted = 130,
    Terminated = 143,
}

impl Exit {
    pub(super) fn code(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}

impl From<Class> for Exit {
    fn from(class: Class) -> Self {
        match class {
            Class::Failed => Exit::Failed,
            Class::Usage => Exit::Usage,
            Class::Login => Exit::Login,
            Class::Held => Exit::Held,
            Class::Temporary => Exit::Temporary,
            Class::Interrupted => super::signals::exit(),
        }
    }
}

/// Why a verb could not do its work.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Failure {
    #[serde(skip)]
    pub exit: Exit,
    pub error: String,
    /// What to do, where we know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What is wrong in job files, each with its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

impl Failure {
    fn new(exit: Exit, error: impl Into<String>) -> Self {
        Failure { exit, error: error.into(), hint: None, problems: Vec::new() }
    }

    pub(super) fn usage(error: impl Into<String>) -> Self {
        Self::new(Exit::Usage, error)
    }

    pub(super) fn failed(error: impl Into<String>) -> Self {
        Self::new(Exit::Failed, error)
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn cause(mut self, cause: &dyn std::error::Error) -> Self {
        self.error = format!("{}: {}", self.error, text_of(cause));
        self
    }
}

impl From<crate::engine::Error> for Failure {
    fn from(error: crate::engine::Error) -> Self {
        Failure { hint: error.hint(), ..Self::new(error.class().into(), text_of(&error)) }
    }
}

impl From<crate::engine::OpenError> for Failure {
    fn from(error: crate::engine::OpenError) -> Self {
        match error {
            crate::engine::OpenError::Secret(error) => error.into(),
            crate::engine::OpenError::Run(error) => error.into(),
        }
    }
}

impl From<crate::auth::Error> for Failure {
    fn from(error: crate::auth::Error) -> Self {
        crate::engine::Error::from(error).into()
    }
}

impl From<crate::store::Error> for Failure {
    fn from(error: crate::store::Error) -> Self {
        crate::engine::Error::from(error).into()
    }
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        Failure { hint: error.hint(), ..Self::usage(text_of(&error)) }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Problems(problems) => {
                let count = problems.len();
                let error = format!("{count} {} in the job file", if count == 1 { "problem" } else { "problems" });
                Failure { problems, ..Self::usage(error) }
            }
            other => Self::usage(text_of(&other)),
        }
    }
}
