//! What a GraphQL endpoint offers, by its own description: connections, which are read page by page.

use serde_json::{Value, json};

use super::Guess;
use crate::source::error::Error;

/// Asks an endpoint for its types, as deep as connections are wrapped.
pub(crate) const INTROSPECTION: &str = "query { __schema { queryType { name } types { kind name fields { name \
    args { name defaultValue type { kind name ofType { kind name } } } \
    type { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } }";

/// Records of a page: a size that all APIs allow.
const PAGE_RECORDS: u64 = 100;

/// A field of the query that gives a list page by page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Connection {
    /// As the API names it.
    pub name: String,
    /// What is sent: all fields of its records that are values.
    pub query: String,
    /// Values of the query's variables.
    pub variables: Value,
    pub records: Guess,
    pub paging: Guess,
}

/// The connections of an endpoint, from its answer to `INTROSPECTION`.
pub(crate) fn connections(body: &[u8]) -> Result<Vec<Connection>, Error> {
    let none = |why: &str| Error::NoRecords { why: why.to_owned() };
    let answer: Value = serde_json::from_slice(body).map_err(|_| none("the GraphQL endpoint answers with no JSON"))?;
    let schema = answer.pointer("/data/__schema").filter(|schema| schema.is_object());
    let schema = schema.ok_or_else(|| none("the GraphQL endpoint does not describe its types"))?;
    let types = schema["types"].as_array().map(Vec::as_slice).unwrap_or_default();
    let query = schema["queryType"]["name"].as_str().unwrap_or("Query");
    let fields = fields_of(types, query);
    Ok(fields.iter().filter_map(|field| connection(types, field)).collect())
}

fn connection(types: &[Value], field: &Value) -> Option<Connection> {
    let name = field["name"].as_str()?;
    let args = field["args"].as_array()?;
    let arg = |name: &str| args.iter().find(|arg| arg["name"] == name);
    let (first, after) = (arg("first")?, arg("after")?);
    let needs_more = args.iter().any(|arg| {
        arg["type"]["kind"] == "NON_NULL"
            && arg["defaultValue"].is_null()
            && !["first", "after"].contains(&arg["name"].as_str().unwrap_or_default())
    });
    let connection = fields_of(types, named(&field["type"])?.1);
    let of_connection = |name: &str| connection.iter().find(|field| field["name"] == name);
    of_connection("pageInfo")?;
    let total = if of_connection("totalCount").is_some() { " totalCount" } else { "" };
    let is_plain = of_connection("nodes").is_some();
    let node = match of_connection("nodes") {
        Some(nodes) => named(&nodes["type"])?.1,
        None => {
            let edge = fields_of(types, named(&of_connection("edges")?["type"])?.1);
            named(&edge.iter().find(|field| field["name"] == "node")?["type"])?.1
        }
    };
    let values: Vec<&str> = fields_of(types, node)
        .iter()
        .filter(|field| matches!(named(&field["type"]), Some(("SCALAR" | "ENUM", _))))
        .filter(|field| {
            field["args"].as_array().is_none_or(|args| args.iter().all(|arg| arg["type"]["kind"] != "NON_NULL"))
        })
        .filter_map(|field| field["name"].as_str())
        .collect();
    if needs_more || values.is_empty() {
        return None;
    }
    let (first, after) = (typed(&first["type"])?, typed(&after["type"])?);
    let values = values.join(" ");
    let (records, place) = match is_plain {
        true => (format!("nodes {{ {values} }}"), format!("data.{name}.nodes")),
        false => (format!("edges {{ node {{ {values} }} }}"), format!("data.{name}.edges[*].node")),
    };
    let query = format!(
        "query($first: {first}, $after: {after}) {{\n  {name}(first: $first, after: $after) {{\n    {records}\n    \
         pageInfo {{ hasNextPage endCursor }}{total}\n  }}\n}}"
    );
    let why = format!("`{name}` is a connection: it says whether there is more, and where");
    let records = Guess { value: json!(place), why: "the records of the connection stand there".to_owned() };
    let paging = Guess { value: json!({ "graphql": { "connection": format!("data.{name}") } }), why };
    Some(Connection { name: name.to_owned(), query, variables: json!({ "first": PAGE_RECORDS }), records, paging })
}

fn fields_of<'t>(types: &'t [Value], name: &str) -> &'t [Value] {
    let found = types.iter().find(|of| of["name"] == name);
    found.and_then(|of| of["fields"].as_array()).map(Vec::as_slice).unwrap_or_default()
}

/// Kind and name of what a type wraps.
fn named(of: &Value) -> Option<(&str, &str)> {
    let mut of = of;
    while let Some(inner) = of.get("ofType").filter(|inner| inner.is_object()) {
        of = inner;
    }
    Some((of["kind"].as_str()?, of["name"].as_str()?))
}

/// A type as a variable is declared.
fn typed(of: &Value) -> Option<String> {
    let must = if of["kind"] == "NON_NULL" { "!" } else { "" };
    Some(format!("{}{must}", named(of)?.1))
}
