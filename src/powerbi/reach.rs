//! Where the reader stands: under which address, and with which signature, it finds a job's folder.

use std::collections::BTreeMap;

/// The way from a reader to the files of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    /// A web address that wants a signature in the query.
    Signed {
        /// Scheme, host and what stands before the folder; without a slash at its end.
        base: String,
        /// Path of the job's folder below the base, without slashes around it.
        folder: String,
        fields: Vec<SignedField>,
    },
    /// A web address that everybody may read.
    Open { base: String, folder: String },
    /// A folder of the reader's machine, or of its network.
    Folder { path: String },
}

/// A field of the signature, in the order in which queries name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedField {
    pub name: String,
    pub value: FieldValue,
}

/// What a field of the signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FieldValue {
    /// The same for good: it stands in the query.
    Fixed(String),
    /// A parameter of the report, of this name. No value = whoever uses the report fills it in.
    Parameter { name: String, value: Option<String> },
}

impl Reach {
    /// The parameters that its fields read, with their values.
    pub(crate) fn parameters(&self) -> Vec<(&str, &str)> {
        let Reach::Signed { fields, .. } = self else { return Vec::new() };
        fields
            .iter()
            .filter_map(|field| match &field.value {
                FieldValue::Fixed(_) => None,
                FieldValue::Parameter { name, value } => Some((name.as_str(), value.as_deref().unwrap_or_default())),
            })
            .collect()
    }

    /// Takes over what somebody filled in: where a parameter has no value and such a one is known, all come from there, because a
    /// signature is good with its own policy and version only. Says whether anything was taken over.
    pub(crate) fn fill(&mut self, known: &BTreeMap<String, String>) -> bool {
        let Reach::Signed { fields, .. } = self else { return false };
        let is_known = |name: &str| known.get(name).is_some_and(|value| !value.is_empty());
        let is_wanted = |field: &SignedField| match &field.value {
            FieldValue::Parameter { name, value: None } => is_known(name),
            FieldValue::Parameter { value: Some(_), .. } | FieldValue::Fixed(_) => false,
        };
        if !fields.iter().any(is_wanted) {
            return false;
        }
        for field in fields {
            if let FieldValue::Parameter { name, value } = &mut field.value
                && is_known(name)
            {
                *value = known.get(name).cloned();
            }
        }
        true
    }

    /// Whether somebody who has its texts can read the data.
    pub(crate) fn has_secret(&self) -> bool {
        let is_open = |name: &str| name == "SasSignature" || name.starts_with("Link");
        self.parameters().iter().any(|(name, value)| is_open(name) && !value.is_empty())
    }

    /// Names of parameters that wait for a value.
    pub(crate) fn unfilled(&self) -> Vec<&str> {
        let parameters = self.parameters().into_iter();
        parameters.filter(|(_, value)| value.is_empty()).map(|(name, _)| name).collect()
    }

    /// The address of the folder, without a signature.
    pub(crate) fn address(&self) -> String {
        match self {
            Reach::Signed { base, folder, .. } | Reach::Open { base, folder } => format!("{base}/{folder}"),
            Reach::Folder { path } => path.clone(),
        }
    }
}
