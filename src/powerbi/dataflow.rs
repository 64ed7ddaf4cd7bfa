//! A Dataflow Gen2 as Fabric's items define it: the queries, each with all that it needs, and what is said of them
//! (<https://learn.microsoft.com/rest/api/fabric/articles/item-management/definitions/dataflow-definition>).

use serde_json::{Map, Value, json};

use super::file::TextFile;
use super::ids::uuid;
use super::kit::{Kit, Table};
use super::m::{self, Variant};
use super::pbip::platform;

/// The one that there is.
const FORMAT_VERSION: &str = "202502";

pub(crate) fn files(kit: &Kit) -> Vec<TextFile> {
    // Dataflows have an incremental refresh of their own, which is set there.
    let whole = |table: &Table| Table { ranged: None, ..table.clone() };
    let kit = Kit { tables: kit.tables.iter().map(whole).collect(), ..kit.clone() };
    let queries = m::queries(&kit, Variant::SelfContained);
    let of_queries: Map<String, Value> = queries
        .iter()
        .map(|query| {
            let entry = json!({
                "queryId": uuid(&[&kit.job, "query", &query.name]),
                "queryName": query.name,
                "queryGroupId": null,
                "isHidden": false,
                "loadEnabled": true,
            });
            (query.name.clone(), entry)
        })
        .collect();
    vec![
        TextFile::new("mashup.pq", m::document(&queries)),
        TextFile::json(
            "queryMetadata.json",
            &json!({
                "formatVersion": FORMAT_VERSION,
                "name": kit.job,
                "documentLocale": "en-US",
                "queryGroups": [],
                "queriesMetadata": of_queries,
                "fastCombine": false,
                "allowNativeQueries": false,
                "skipAutomaticTypeAndHeaderDetection": true,
            }),
        ),
        TextFile::json(".platform", &platform(&kit, "Dataflow")),
    ]
}
