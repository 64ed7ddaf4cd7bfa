//! What a reader is given: where the files begin, and the fields of the query that open them. Pure.

use url::form_urlencoded::Serializer;

/// A field of the query: its name, and its value without escapes.
pub(crate) type Field = (&'static str, String);

/// An address that opens a job's files, with the signature. No formatter shows it.
pub(crate) struct SignedLink {
    /// Of the service; what stands before the folder, for readers that want both apart.
    pub base: String,
    /// Of the job, below the base; no slash at either end.
    pub folder: String,
    fields: Vec<Field>,
}

impl SignedLink {
    pub(crate) fn new(base: &str, folder: &str, fields: Vec<Field>) -> Self {
        let base = base.trim_end_matches('/').to_owned();
        SignedLink { base, folder: folder.trim_matches('/').to_owned(), fields }
    }

    /// Of the job's folder, without the signature.
    pub(crate) fn folder_address(&self) -> String {
        format!("{}/{}", self.base, self.folder)
    }

    /// The fields of the query, in their order; only for whoever asked for the share.
    pub(crate) fn expose_fields(&self) -> &[Field] {
        &self.fields
    }

    /// The same as the query of an address; only for whoever asked for the share.
    pub(crate) fn expose_query(&self) -> String {
        query_of(&self.fields)
    }
}

/// Fields as the query of an address.
pub(super) fn query_of(fields: &[Field]) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in fields {
        query.append_pair(name, value);
    }
    query.finish()
}
