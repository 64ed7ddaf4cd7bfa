//! How the records of an answer are spelled, as the job says it.

/// The form of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum AnswerFormat {
    #[default]
    Json,
    /// One JSON object a line.
    JsonLines,
    Csv(CsvShape),
    Xml,
}

/// How a CSV answer is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CsvShape {
    pub delimiter: u8,
    /// Without a header the columns are `c1`, `c2` and so on.
    pub has_header: bool,
    /// Without quotes a `"` is a character like others.
    pub has_quotes: bool,
    /// Lines before the header.
    pub skip_lines: u32,
    pub encoding: TextEncoding,
}

impl Default for CsvShape {
    fn default() -> Self {
        CsvShape { delimiter: b',', has_header: true, has_quotes: true, skip_lines: 0, encoding: TextEncoding::Utf8 }
    }
}

/// The encoding of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum TextEncoding {
    #[default]
    Utf8,
    /// ISO 8859-1; of Windows-1252 the same but for the quotes and dashes that it puts between.
    Latin1,
}

/// What an answer is packed in, apart from its transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Packing {
    #[default]
    Nothing,
    Gzip,
    /// All files of the archive, one after another, in the order of their names.
    Zip,
}
