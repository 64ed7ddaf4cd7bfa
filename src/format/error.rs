//! What can be wrong with files and batches.

/// Why a file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot {doing} the Parquet file")]
    Parquet { doing: &'static str, source: parquet::errors::ParquetError },
    #[error("cannot {doing} the file")]
    Io { doing: &'static str, source: std::io::Error },
    #[error("cannot read a batch of the Parquet file")]
    Batch { source: arrow::error::ArrowError },
    #[error("a batch does not have the file's columns: the file has {expected}, the batch {found}")]
    OtherSchema { expected: String, found: String },
    #[error(
        "input {input} of a joined Parquet file does not have its columns: the file has {expected}, the input {found}"
    )]
    OtherInput { input: usize, expected: String, found: String },
    #[error("column `{column}` holds {value}, which is no decimal of its type")]
    NoDecimal { column: String, value: f64 },
    #[error(
        "`{column}` is the only column and null in a row, which would be a blank line that readers skip: give nulls a \
         spelling (`csv: {{ null_text: \"NULL\" }}` under `destination`)"
    )]
    BlankLine { column: String },
    #[error("column `{column}` has the Arrow type {found}, which no CSV file of ours holds")]
    UnknownType { column: String, found: String },
}

/// A schema as messages show it: `id Int64, name Utf8`.
pub(super) fn shown(schema: &arrow::datatypes::Schema) -> String {
    let fields: Vec<String> =
        schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect();
    fields.join(", ")
}
