//! Queries in M: one shared function that reads a table by the manifest, and one query for each table that chooses and types
//! its columns, one a line.

mod function;
mod table;
mod text;

use super::kit::{FUNCTION, Kit, RANGE, SNAPSHOT, Table};
pub(super) use table::SNAPSHOT_COLUMNS;
pub(crate) use text::{literal, name};

/// A query of its own in Power Query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Query {
    pub name: String,
    /// The expression, without its name.
    pub text: String,
}

/// How queries are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    /// The function and the parameters are queries that the tables share.
    Shared,
    /// Each table's query holds all that it needs: for Excel and dataflows, or to be pasted.
    SelfContained,
}

/// All queries of a kit, in the order in which they are shown: the function, the parameters, the snapshot, the tables.
pub(crate) fn queries(kit: &Kit, variant: Variant) -> Vec<Query> {
    let mut queries = Vec::new();
    if variant == Variant::Shared {
        queries.push(Query { name: FUNCTION.to_owned(), text: function::text(kit) });
        queries.extend(parameters(kit));
    }
    if kit.tables.iter().any(|table| table.ranged.is_some()) {
        queries.extend(range_parameters());
    }
    queries.push(snapshot(kit, variant));
    queries.extend(kit.tables.iter().map(|table| query(kit, table, variant)));
    queries
}

/// The query of one table.
pub(crate) fn query(kit: &Kit, table: &Table, variant: Variant) -> Query {
    Query { name: table.name.clone(), text: whole(kit, variant, &table::steps(table)) }
}

/// The query of the one row that says which snapshot was read.
pub(crate) fn snapshot(kit: &Kit, variant: Variant) -> Query {
    Query { name: SNAPSHOT.to_owned(), text: whole(kit, variant, &table::snapshot_steps()) }
}

/// What differs when the rows of a range do, for "detect data changes". `None` = the table is read whole.
pub(crate) fn polling(table: &Table) -> Option<String> {
    let column = &table.ranged.as_ref()?.column;
    let [start, end] = RANGE;
    Some(format!(
        "let\n    Source = {FUNCTION}({}, {}, {start}, {end}, \"changes\"),\n    Changes = Source{{0}}[changes]\nin\n    Changes",
        literal(&table.name),
        literal(column)
    ))
}

/// The same for all tables that are refreshed by ranges.
pub(crate) fn pollings(kit: &Kit) -> Vec<Query> {
    let query = |table: &Table| Some(Query { name: table.name.clone(), text: polling(table)? });
    kit.tables.iter().filter_map(query).collect()
}

/// The queries as one section document.
pub(crate) fn document(queries: &[Query]) -> String {
    let mut document = "section Section1;\n".to_owned();
    for query in queries {
        document.push_str(&format!("\nshared {} =\n{};\n", name(&query.name), indented(&query.text, "    ")));
    }
    document
}

/// The parameters of the signature. Their values are texts that somebody pastes in.
fn parameters(kit: &Kit) -> Vec<Query> {
    let meta = "meta [IsParameterQuery=true, Type=\"Text\", IsParameterQueryRequired=true]";
    let query =
        |(name, value): (&str, &str)| Query { name: name.to_owned(), text: format!("{} {meta}", literal(value)) };
    kit.reach.parameters().into_iter().map(query).collect()
}

/// What Power BI sets while it refreshes a part of a table; until then, two years that show something.
fn range_parameters() -> Vec<Query> {
    let meta = "meta [IsParameterQuery=true, Type=\"DateTime\", IsParameterQueryRequired=true]";
    let values = ["#datetime(2020, 1, 1, 0, 0, 0)", "#datetime(2040, 1, 1, 0, 0, 0)"];
    let query = |(name, value): (&str, &str)| Query { name: name.to_owned(), text: format!("{value} {meta}") };
    RANGE.into_iter().zip(values).map(query).collect()
}

/// A `let` of these steps; the last one is the result.
fn whole(kit: &Kit, variant: Variant, steps: &[(&str, String)]) -> String {
    let mut all: Vec<(String, String)> = Vec::new();
    if variant == Variant::SelfContained {
        let parameters = kit.reach.parameters().into_iter();
        all.extend(parameters.map(|(parameter, value)| (name(parameter), literal(value))));
        all.push((FUNCTION.to_owned(), format!("\n{}", indented(&function::text(kit), "        "))));
    }
    all.extend(steps.iter().map(|(step, text)| ((*step).to_owned(), text.clone())));
    let last = all.last().map(|(step, _)| step.clone()).unwrap_or_default();
    let steps: Vec<String> = all
        .iter()
        .map(
            |(step, text)| {
                if text.starts_with('\n') { format!("    {step} ={text}") } else { format!("    {step} = {text}") }
            },
        )
        .collect();
    format!("let\n{}\nin\n    {last}", steps.join(",\n"))
}

/// Every line that has something on it, moved to the right.
pub(crate) fn indented(text: &str, by: &str) -> String {
    let lines = text.lines().map(|line| if line.is_empty() { String::new() } else { format!("{by}{line}") });
    lines.collect::<Vec<_>>().join("\n")
}
