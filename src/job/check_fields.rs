//! The meaning of what a job says about the fields of records: `select`, `drop`, `rename`, `nested`, `tables`,
//! `columns`, `filter`, `add`, `contract`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::check_request::param_json;
use super::problem::{Problems, did_you_mean, wrong};
use super::spec::{ColumnTypeSpec, ParamSpec, StreamSpec};
use super::spec_table::{BadRecordsSpec, ChangedTypesSpec, ChildTableSpec, ContractSpec, NestedSpec, NewColumnsSpec};
use super::value::{check_expression, check_path, check_template};
use super::yaml::join;
use crate::limits::CHILD_TABLES_DEPTH_MAX;
use crate::model::column::{COLUMN_TYPE_WORDS, ColumnType};
use crate::model::fields::{BadRecords, ChangedTypes, ChildPlan, Contract, FieldPath, FieldPlan, NewColumns};

/// What is typed about the fields of one table's records.
struct Typed<'a> {
    select: &'a [String],
    drop: &'a [String],
    rename: &'a BTreeMap<String, String>,
    nested: &'a BTreeMap<String, NestedSpec>,
    tables: &'a [ChildTableSpec],
    columns: &'a BTreeMap<String, ColumnTypeSpec>,
}

/// The fields of a stream's records.
pub(super) fn check_fields(stream: &StreamSpec, path: &str, problems: &mut Problems<'_>) -> FieldPlan {
    if let Some(first) = stream.tables.first()
        && stream.key.is_empty()
    {
        let draft = wrong(format!("the rows of `{}` could not be told whose they are", first.name));
        let hint = "name the columns that identify a record under the stream's `key`";
        problems.at(&format!("{path}.tables"), draft.hint(hint));
    }
    let StreamSpec { select, drop, rename, nested, tables, columns, .. } = stream;
    check(&Typed { select, drop, rename, nested, tables, columns }, path, 1, problems)
}

fn check(typed: &Typed<'_>, path: &str, depth: usize, problems: &mut Problems<'_>) -> FieldPlan {
    let list = |texts: &[String], key: &str, problems: &mut Problems<'_>| -> Vec<FieldPath> {
        let checked = texts.iter().enumerate();
        checked.filter_map(|(at, text)| field_path(text, &format!("{path}.{key}[{at}]"), problems)).collect()
    };
    let select = list(typed.select, "select", problems);
    let drop = list(typed.drop, "drop", problems);
    for (at, dropped) in drop.iter().enumerate() {
        if select.contains(dropped) {
            let draft = wrong(format!("`{}` is kept under `select` and left out under `drop`", typed.drop[at]));
            problems.at(&format!("{path}.drop[{at}]"), draft);
        }
    }
    let mut rename = Vec::new();
    for (field, name) in typed.rename {
        let place = join(&format!("{path}.rename"), field);
        if !is_column_name(name) {
            let draft = wrong(format!("`{name}` cannot be a column's name")).found(format!("`{name}`"));
            problems.at(&place, draft.allowed("A-Z, a-z, 0-9 and _, not starting with a digit"));
        }
        if let Some(field) = field_path(field, &place, problems) {
            rename.push((field, name.clone()));
        }
    }
    let mut json = Vec::new();
    for (field, nested) in typed.nested {
        let place = join(&format!("{path}.nested"), field);
        if let Some(field) = field_path(field, &place, problems)
            && *nested == NestedSpec::Json
        {
            json.push(field);
        }
    }
    FieldPlan {
        select,
        drop,
        rename,
        json,
        children: typed
            .tables
            .iter()
            .enumerate()
            .filter_map(|(at, child)| check_child(child, &format!("{path}.tables[{at}]"), depth, problems))
            .collect(),
        columns: check_columns(typed.columns, path, problems),
    }
}

fn check_child(spec: &ChildTableSpec, path: &str, depth: usize, problems: &mut Problems<'_>) -> Option<ChildPlan> {
    if depth > CHILD_TABLES_DEPTH_MAX {
        let draft = wrong(format!("lists in lists become tables {CHILD_TABLES_DEPTH_MAX} levels deep at most"));
        problems.at(path, draft.hint("leave this list out: it stays a column of JSON text"));
        return None;
    }
    let ChildTableSpec { name, from, select, drop, rename, nested, tables, columns } = spec;
    let fields = check(&Typed { select, drop, rename, nested, tables, columns }, path, depth + 1, problems);
    let from = field_path(from, &format!("{path}.from"), problems)?;
    Some(ChildPlan { path: from, table: name.clone(), fields })
}

/// Names of all tables: those of streams and those of their lists.
pub(super) fn check_table_names(streams: &[StreamSpec], problems: &mut Problems<'_>) {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for (at, stream) in streams.iter().enumerate() {
        known.entry(stream.name.clone()).or_insert_with(|| format!("streams[{at}]"));
    }
    for (at, stream) in streams.iter().enumerate() {
        check_child_names(&stream.tables, &format!("streams[{at}]"), &mut known, problems);
    }
}

fn check_child_names(
    tables: &[ChildTableSpec],
    path: &str,
    known: &mut BTreeMap<String, String>,
    problems: &mut Problems<'_>,
) {
    for (at, table) in tables.iter().enumerate() {
        let path = format!("{path}.tables[{at}]");
        super::check_stream::check_name(&table.name, &format!("{path}.name"), problems);
        if let Some(former) = known.insert(table.name.clone(), path.clone()) {
            let draft = wrong(format!("a second table is named `{}`", table.name));
            problems.at(&format!("{path}.name"), draft.hint(format!("the first is `{former}`")));
        }
        check_child_names(&table.tables, &path, known, problems);
    }
}

/// Types that the job declares.
fn check_columns(
    typed: &BTreeMap<String, ColumnTypeSpec>,
    path: &str,
    problems: &mut Problems<'_>,
) -> BTreeMap<String, ColumnType> {
    let mut columns = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (name, kind) in typed {
        let place = join(&format!("{path}.columns"), name);
        if name.trim().is_empty() {
            problems.at(&place, wrong("a column has no name"));
        }
        if !seen.insert(name.to_ascii_lowercase()) {
            problems.at(&place, wrong(format!("a second column is named `{name}`, apart from its case")));
        }
        match kind.0.parse() {
            Ok(kind) => {
                columns.insert(name.clone(), kind);
            }
            Err(_) => {
                let draft = wrong(format!("`{}` is no column type", kind.0)).found(format!("`{}`", kind.0));
                problems.at(&place, draft.allowed(COLUMN_TYPE_WORDS).maybe_hint(type_hint(&kind.0)));
            }
        }
    }
    columns
}

/// What was meant by a word of SQL, Power Query or JSON Schema.
fn type_hint(typed: &str) -> Option<String> {
    let word = typed.trim().to_ascii_lowercase();
    let meant = match word.as_str() {
        "string" | "varchar" | "nvarchar" | "char" | "uuid" | "guid" => "text",
        "int" | "int32" | "int64" | "bigint" | "long" | "number" => "integer",
        "double" | "real" | "float64" => "float",
        "bool" | "logical" => "boolean",
        "timestamp" | "timestamptz" | "datetimezone" | "datetimeoffset" => "instant",
        "money" | "currency" | "numeric" => "decimal(18,4)",
        "object" => "json",
        "array" | "list" => return Some("write `json`, or for scalars of one type `list(text)`".to_owned()),
        _ if word.starts_with("decimal(") => {
            return Some("1 to 38 digits, at most all of them decimals: `decimal(18,4)`".to_owned());
        }
        _ => return did_you_mean(&word, COLUMN_TYPE_WORDS.split(", ")),
    };
    Some(format!("write `{meant}`"))
}

/// The condition that records must fulfil.
pub(super) fn check_filter(filter: Option<&String>, path: &str, problems: &mut Problems<'_>) -> Option<String> {
    let filter = filter?;
    let place = format!("{path}.filter");
    if filter.contains("{{") {
        let draft = wrong("a filter is one expression, without braces");
        problems.at(&place, draft.hint("for example `record.status != 'draft'`"));
        return None;
    }
    check_expression(filter, &place, problems);
    Some(filter.clone())
}

/// Columns that the job adds, with the templates of their values.
pub(super) fn check_added(
    typed: &BTreeMap<String, ParamSpec>,
    path: &str,
    problems: &mut Problems<'_>,
) -> Vec<(String, Value)> {
    let mut added = Vec::new();
    for (name, value) in typed {
        let place = join(&format!("{path}.add"), name);
        if !is_column_name(name) {
            let draft = wrong(format!("`{name}` cannot be a column's name")).found(format!("`{name}`"));
            problems.at(&place, draft.allowed("A-Z, a-z, 0-9 and _, not starting with a digit"));
        }
        if let ParamSpec::Text(text) = value {
            check_template(text, &place, problems);
        }
        added.push((name.clone(), param_json(value)));
    }
    added
}

pub(super) fn check_contract(spec: &ContractSpec) -> Contract {
    Contract {
        new_columns: match spec.new_columns {
            NewColumnsSpec::Evolve => NewColumns::Evolve,
            NewColumnsSpec::Freeze => NewColumns::Freeze,
            NewColumnsSpec::Drop => NewColumns::Drop,
        },
        changed_types: match spec.changed_types {
            ChangedTypesSpec::Widen => ChangedTypes::Widen,
            ChangedTypesSpec::Fail => ChangedTypes::Fail,
        },
        bad_records: match spec.bad_records {
            BadRecordsSpec::Fail => BadRecords::Fail,
            BadRecordsSpec::Quarantine(max) => BadRecords::Quarantine { max },
        },
    }
}

fn field_path(text: &str, path: &str, problems: &mut Problems<'_>) -> Option<FieldPath> {
    let field = check_path(text, path, problems)?;
    if field.members().is_empty() {
        problems.at(path, wrong("this is the record itself, not a field of it").hint("name a field: `customer.name`"));
        return None;
    }
    Some(field.members().to_vec())
}

fn is_column_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
