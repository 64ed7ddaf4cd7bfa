//! The JSON Schema of the job file, generated from its types: editors read it from `config/`, and the shape of a file
//! is checked by it.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::spec::JobSpec;

/// The schema as a value (JSON Schema draft 2020-12).
pub(super) fn schema() -> Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<JobSpec>().to_value()
}

/// The schema as the committed file holds it.
pub(crate) fn schema_text() -> String {
    let mut text = serde_json::to_string_pretty(&schema()).expect("a schema is JSON");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_schema_is_fresh() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config/job.schema.json");
        let committed = std::fs::read_to_string(file).unwrap_or_default();
        assert!(committed == super::schema_text(), "write it anew: `cargo run -- schema > config/job.schema.json`");
    }
}
