//! What can be wrong with a body that is no small JSON page.

/// A body that cannot be read. No variant shows more of it than the names of its columns and elements.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the answer cannot be kept for reading")]
    Io {
        #[from]
        source: std::io::Error,
    },
    #[error("the document is no whole JSON: {why} at byte {at}")]
    Json { why: String, at: u64 },
    #[error("the document is larger than memory allows, and {what} of it has more than {limit} bytes ({name})")]
    Large { what: &'static str, limit: usize, name: &'static str },
    #[error("line {line} is no JSON object: {why}")]
    Line { line: u64, why: String },
    #[error("the CSV cannot be read: {why}")]
    Csv { why: String },
    #[error("the CSV has an odd number of quotes: a field is not closed, and rows may stand in it")]
    CsvQuote,
    #[error("the header of the CSV names `{name}` twice")]
    CsvHeader { name: String },
    #[error("line {line} of the CSV has {found} fields, its header {expected}")]
    CsvFields { line: u64, found: usize, expected: usize },
    #[error("the XML cannot be read: {why} at byte {at}")]
    Xml { why: String, at: u64 },
    #[error("the XML holds a document type, which is never read: it may name files and grow without end")]
    Doctype,
    #[error("the XML has no element `{path}`; elements on the way: {found}")]
    XmlNoRecords { path: String, found: String },
    #[error("an element `{element}` has an attribute and a child of the name `{name}`")]
    XmlTwice { element: String, name: String },
    #[error("the gzip cannot be unpacked: {why}")]
    Gzip { why: String },
    #[error("the zip cannot be unpacked: {why}")]
    Zip { why: String },
    #[error("unpacked, the answer has more than {limit} bytes (`source.network.page_mib`)")]
    Unpacked { limit: u64 },
    #[error("the archive holds {files} JSON documents; one is read")]
    SeveralDocuments { files: usize },
}

impl Error {
    /// Whether it looks like a body that broke off on its way: worth asking for again.
    pub(crate) fn is_broken_off(&self) -> bool {
        matches!(
            self,
            Error::Json { .. } | Error::CsvQuote | Error::Gzip { .. } | Error::Zip { .. } | Error::Xml { .. }
        )
    }

    /// What the user can do, where we know it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Error::Io { source } if source.kind() == std::io::ErrorKind::StorageFull => {
                Some("the disk for temporary files is full: make room, or set TMPDIR to another disk".to_owned())
            }
            Error::Line { .. } => Some("is it JSON with line breaks inside? then leave `format` out".to_owned()),
            Error::CsvFields { .. } | Error::Csv { .. } | Error::CsvHeader { .. } => Some(
                "look at the first lines: `format: { csv: { delimiter: \";\", skip_lines: 1, header: false } }`"
                    .to_owned(),
            ),
            Error::CsvQuote => Some(
                "the answer may be cut; where quotes are mere characters, `format: { csv: { quotes: false } }`"
                    .to_owned(),
            ),
            Error::XmlNoRecords { .. } => {
                Some("`records` names elements from below the root, for example `items.item`".to_owned())
            }
            Error::SeveralDocuments { .. } => {
                Some("archives of several files are read as csv, json_lines or xml".to_owned())
            }
            Error::Io { .. }
            | Error::Json { .. }
            | Error::Large { .. }
            | Error::Xml { .. }
            | Error::Doctype
            | Error::XmlTwice { .. }
            | Error::Gzip { .. }
            | Error::Zip { .. }
            | Error::Unpacked { .. } => None,
        }
    }
}
