//! A small report: how fresh the data are, and how many rows each table has. It is written once, and then belongs to whoever
//! builds on it. The form is PBIR in its first published versions (1.0.0 of June 2024), which newer versions of Desktop read.

use serde_json::{Value, json};

use super::file::{TextFile, json_text};
use super::ids::short;
use super::kit::{Kit, SNAPSHOT};
use super::tmdl::{AGE, AS_OF, MIXED, rows_of};

const SCHEMAS: &str = "https://developer.microsoft.com/json-schemas/fabric/item/report/definition";

/// The files of the folder `definition` of a report.
pub(super) fn files(kit: &Kit) -> Vec<TextFile> {
    let page = short(&[&kit.job, "page"]);
    let schema = |of: &str| format!("{SCHEMAS}/{of}/1.0.0/schema.json");
    let mut files = vec![
        once("version.json", &json!({ "$schema": schema("versionMetadata"), "version": "1.0.0" })),
        once(
            "report.json",
            &json!({ "$schema": schema("report"), "layoutOptimization": "None", "themeCollection": {} }),
        ),
        once(
            "pages/pages.json",
            &json!({ "$schema": schema("pagesMetadata"), "pageOrder": [page], "activePageName": page }),
        ),
        once(
            format!("pages/{page}/page.json"),
            &json!({
                "$schema": schema("page"),
                "name": page,
                "displayName": kit.job,
                "displayOption": "FitToPage",
                "height": 720,
                "width": 1280,
            }),
        ),
    ];
    let mut add = |of: &str, visual_type: &str, [x, y, width, height]: [u32; 4], measures: &[String]| {
        let name = short(&[&kit.job, "visual", of]);
        let order = files.len();
        files.push(once(
            format!("pages/{page}/visuals/{name}/visual.json"),
            &json!({
                "$schema": schema("visualContainer"),
                "name": name,
                "position": { "x": x, "y": y, "z": order, "width": width, "height": height, "tabOrder": order },
                "visual": {
                    "visualType": visual_type,
                    "query": {
                        "queryState": {
                            "Values": { "projections": measures.iter().map(|of| projection(of)).collect::<Vec<_>>() },
                        },
                    },
                },
            }),
        ));
    };
    for (at, measure) in (0..).zip([AS_OF, AGE, MIXED]) {
        add(measure, "card", [40 + 400 * at, 40, 380, 160], &[measure.to_owned()]);
    }
    let rows: Vec<String> = kit.tables.iter().map(|table| rows_of(&table.name)).collect();
    if !rows.is_empty() {
        add("rows", "multiRowCard", [40, 220, 1180, 460], &rows);
    }
    files
}

fn projection(measure: &str) -> Value {
    json!({
        "field": { "Measure": { "Expression": { "SourceRef": { "Entity": SNAPSHOT } }, "Property": measure } },
        "queryRef": format!("{SNAPSHOT}.{measure}"),
    })
}

fn once(path: impl Into<String>, value: &Value) -> TextFile {
    TextFile::once(path, json_text(value))
}
