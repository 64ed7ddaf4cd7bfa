//! The model in TMDL: one file for the database, the model, the relationships and the shared queries, one for each table. Tabs and
//! LF, as the language wants them.

mod relations;
mod snapshot;
mod table;
mod text;

use std::collections::BTreeMap;

use super::file::{TextFile, name_of};
use super::ids::uuid;
use super::kit::{FUNCTION, Kit, SNAPSHOT};
use super::m::{self, Variant};
pub(super) use snapshot::{AGE, AS_OF, MIXED, rows_of};

/// What the file with the shared queries and the parameters is called.
pub(super) const EXPRESSIONS: &str = "expressions.tmdl";

/// The oldest level that knows all that we write, `lineageTag` (1540) and `refreshPolicy` (1450) included, and that Desktop makes
/// models of.
const COMPATIBILITY_LEVEL: u32 = 1567;

/// The files of the folder `definition`, and what the model could not say.
pub(super) fn files(kit: &Kit) -> (Vec<TextFile>, Vec<String>) {
    let (relations, notes) = relations::relations(kit);
    let mut files = vec![
        TextFile::new(
            "database.tmdl",
            format!("database {}\n\tcompatibilityLevel: {COMPATIBILITY_LEVEL}\n", text::name(&kit.job)),
        ),
        TextFile::new("model.tmdl", model(kit)),
        TextFile::new(EXPRESSIONS, expressions(kit)),
    ];
    if !relations.is_empty() {
        files.push(TextFile::new("relationships.tmdl", relationships(kit, &relations)));
    }
    files.push(TextFile::new(format!("tables/{SNAPSHOT}.tmdl"), snapshot::text(kit)));
    files.extend(
        kit.tables
            .iter()
            .map(|table| TextFile::new(format!("tables/{}.tmdl", name_of(&table.name)), table::text(kit, table))),
    );
    (files, notes)
}

/// No tables of dates of Desktop's own: they would be a hidden one for each column of dates.
fn model(kit: &Kit) -> String {
    let mut text =
        "model Model\n\tculture: en-US\n\tdefaultPowerBIDataSourceVersion: powerBI_V3\n\tsourceQueryCulture: en-US\n\n\
                    annotation __PBI_TimeIntelligenceEnabled = 0\n\n"
            .to_owned();
    let names = [SNAPSHOT].into_iter().chain(kit.tables.iter().map(|table| table.name.as_str()));
    text.extend(names.map(|table| format!("ref table {}\n", text::name(table))));
    text
}

fn relationships(kit: &Kit, relations: &[relations::Relation]) -> String {
    let one = |relation: &relations::Relation| {
        let relations::Relation { from, to, is_active } = relation;
        let id = uuid(&[&kit.job, "relationship", &from.0, &from.1, &to.0, &to.1]);
        let inactive = if *is_active { "" } else { "\tisActive: false\n" };
        let column = |(table, column): &(String, String)| format!("{}.{}", text::name(table), text::name(column));
        format!("relationship {id}\n{inactive}\tfromColumn: {}\n\ttoColumn: {}\n", column(from), column(to))
    };
    relations.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// The function and the parameters: every query that is no table.
fn expressions(kit: &Kit) -> String {
    let is_table = |name: &str| name == SNAPSHOT || kit.table(name).is_some();
    let queries = m::queries(kit, Variant::Shared).into_iter().filter(|query| !is_table(&query.name));
    let one = |query: m::Query| {
        let text = match query.text.contains('\n') {
            true => format!("\n{}", text::expression(&query.text, 2)),
            false => format!(" {}", query.text),
        };
        let kind = match query.name.as_str() {
            FUNCTION => "Function",
            name if super::kit::RANGE.contains(&name) => "DateTime",
            _ => "Text",
        };
        format!(
            "expression {} ={text}\n\tlineageTag: {}\n\n\tannotation PBI_ResultType = {kind}\n",
            text::name(&query.name),
            uuid(&[&kit.job, "expression", &query.name])
        )
    };
    queries.map(one).collect::<Vec<_>>().join("\n")
}

/// The texts that parameters have in a file of shared queries, whoever saved it.
pub(super) fn parameter_values(text: &str) -> BTreeMap<String, String> {
    let values = text.lines().filter_map(parameter_of);
    // What must be spelled otherwise stands in no signature.
    let plain = values.filter(|(_, value, _)| !value.contains(['"', '#']));
    plain.map(|(name, value, _)| (name.trim_matches('\'').to_owned(), value.to_owned())).collect()
}

/// The same file without them.
pub(super) fn without_parameter_values(text: &str) -> String {
    let line = |line: &str| match parameter_of(line) {
        Some((name, _, rest)) => format!("expression {name} = \"\" meta [{rest}\n"),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// Name, value and what follows, of a line with a parameter.
fn parameter_of(line: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = line.strip_prefix("expression ")?.split_once(" = \"")?;
    let (value, rest) = rest.split_once("\" meta [")?;
    Some((name, value, rest))
}
