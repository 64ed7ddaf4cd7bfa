//! The JSON Schema of the job file: editors read it from `config/`, and the shape of a file is checked by it. It is made
//! from the job's types, and compiled in as the committed file: making it anew took a seventh of `haul check`.

use serde_json::Value;

const COMMITTED: &str = include_str!("../../config/job.schema.json");

/// The schema as a value (JSON Schema draft 2020-12).
pub(super) fn schema() -> Value {
    serde_json::from_str(COMMITTED).expect("the committed schema is JSON")
}

/// The schema as the committed file holds it.
pub(crate) fn schema_text() -> &'static str {
    COMMITTED
}

#[cfg(test)]
mod tests {
    use schemars::generate::SchemaSettings;
    use serde_json::{Map, Value};

    use crate::job::spec::JobSpec;

    /// The schema that the types make.
    fn generated() -> Value {
        let generated = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<JobSpec>().to_value();
        let Value::Object(mut generated) = generated else { unreachable!("the schema of a struct is an object") };
        generated.remove("title");
        let mut schema = Map::new();
        schema.insert("$schema".to_owned(), generated.remove("$schema").expect("schemars names its dialect"));
        schema.insert("title".to_owned(), Value::from("haul job"));
        schema.extend(generated);
        let mut schema = Value::Object(schema);
        forbid_null(&mut schema);
        schema
    }

    /// An optional key may be left out, but not left empty: `header:` without a value is a slip, and taking it for "no
    /// header" would send a key to another place than the one that was begun.
    fn forbid_null(schema: &mut Value) {
        let null = Value::from("null");
        match schema {
            Value::Object(members) => {
                if let Some(Value::Array(types)) = members.get_mut("type") {
                    types.retain(|kind| *kind != null);
                    if let [only] = types.as_slice() {
                        let only = only.clone();
                        members.insert("type".to_owned(), only);
                    }
                }
                if let Some(Value::Array(choices)) = members.get_mut("anyOf") {
                    choices.retain(|choice| choice.get("type") != Some(&null));
                    if let [Value::Object(only)] = choices.as_slice() {
                        let only = only.clone();
                        members.remove("anyOf");
                        members.extend(only);
                    }
                }
                members.values_mut().for_each(forbid_null);
            }
            Value::Array(items) => items.iter_mut().for_each(forbid_null),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn the_committed_schema_is_fresh() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config/job.schema.json");
        let mut generated = serde_json::to_string_pretty(&generated()).unwrap();
        generated.push('\n');
        assert!(!generated.contains("\"null\"") && !generated.contains("\"$id\""));
        if std::env::var_os("HAUL_BLESS").is_some() {
            std::fs::write(file, &generated).unwrap();
        }
        let committed = std::fs::read_to_string(file).unwrap_or_default();
        assert!(committed == generated, "write it anew: `HAUL_BLESS=1 cargo test --lib job::`");
    }
}
