//! A Power BI Project that Desktop opens: a model and a small report. All of it is text, and every file of the model says the same
//! when it is written anew. The forms are the first published ones that hold TMDL and PBIR: files of version 4.0 by
//! `definitionProperties` 1.0.0 of a model and 2.0.0 of a report, `pbipProperties` 1.0.0, `platformProperties` 2.0.0.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::file::{TextFile, json_text, name_of};
use super::ids::uuid;
use super::kit::Kit;
use super::{report, tmdl};

const SCHEMAS: &str = "https://developer.microsoft.com/json-schemas/fabric";

/// A project with what it could not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Project {
    pub files: Vec<TextFile>,
    /// Path of the file that Desktop opens.
    pub entry: String,
    /// Links of tables that became no relationship, or an inactive one.
    pub notes: Vec<String>,
}

pub(crate) fn project(kit: &Kit) -> Project {
    let name = name_of(&kit.job);
    let (model, report_folder) = (format!("{name}.SemanticModel"), format!("{name}.Report"));
    let (definition, notes) = tmdl::files(kit);
    let mut files = vec![
        TextFile::json(
            format!("{name}.pbip"),
            &json!({
                "$schema": format!("{SCHEMAS}/pbip/pbipProperties/1.0.0/schema.json"),
                "version": "1.0",
                "artifacts": [{ "report": { "path": report_folder } }],
                "settings": { "enableAutoRecovery": true },
            }),
        ),
        TextFile::once(".gitignore", "**/.pbi/localSettings.json\n**/.pbi/cache.abf\n".to_owned()),
        TextFile::json(
            format!("{model}/definition.pbism"),
            &json!({
                "$schema": format!("{SCHEMAS}/item/semanticModel/definitionProperties/1.0.0/schema.json"),
                "version": "4.0",
                "settings": {},
            }),
        ),
        TextFile::json(format!("{model}/.platform"), &platform(kit, "SemanticModel")),
    ];
    files.extend(definition.into_iter().map(|file| file.below(&format!("{model}/definition"))));
    files.push(TextFile::once(
        format!("{report_folder}/definition.pbir"),
        json_text(&json!({
            "$schema": format!("{SCHEMAS}/item/report/definitionProperties/2.0.0/schema.json"),
            "version": "4.0",
            "datasetReference": { "byPath": { "path": format!("../{model}") } },
        })),
    ));
    files.push(TextFile::once(format!("{report_folder}/.platform"), json_text(&platform(kit, "Report"))));
    files.extend(report::files(kit).into_iter().map(|file| file.below(&format!("{report_folder}/definition"))));
    Project { files, entry: format!("{name}.pbip"), notes }
}

/// What Fabric knows an item by.
pub(super) fn platform(kit: &Kit, kind: &str) -> Value {
    json!({
        "$schema": format!("{SCHEMAS}/gitIntegration/platformProperties/2.0.0/schema.json"),
        "metadata": { "type": kind, "displayName": kit.job },
        "config": { "version": "2.0", "logicalId": uuid(&[&kit.job, "item", kind]) },
    })
}

/// Where a project of this job holds its parameters.
pub(crate) fn parameters_path(job: &str) -> String {
    format!("{}.SemanticModel/definition/{}", name_of(job), tmdl::EXPRESSIONS)
}

/// The texts that parameters have in such a file. Whoever pasted a signature into a project finds it there again.
pub(crate) fn parameter_values(text: &str) -> BTreeMap<String, String> {
    tmdl::parameter_values(text)
}

/// Such a file without them: what people paste in is no change of what haul wrote.
pub(crate) fn without_parameter_values(text: &str) -> String {
    tmdl::without_parameter_values(text)
}
