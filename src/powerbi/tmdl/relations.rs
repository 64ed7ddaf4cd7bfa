//! Relationships of a model: from the links of lists to their parents, from streams that are read for each record of another, and
//! from what an OData service says. Power BI relates tables by one column, and lets filters go one way between any two tables.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::manifest::ReferenceOrigin;
use crate::powerbi::kit::{Kit, Table};
use crate::powerbi::types::Kind;

/// A relationship: many rows of one table name one row of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relation {
    pub from: (String, String),
    pub to: (String, String),
    /// Filters go its way. Only one way between two tables can be active.
    pub is_active: bool,
}

/// What relates two tables, before it is known whether a model can.
struct Link<'a> {
    from: &'a Table,
    to: &'a str,
    columns: &'a BTreeMap<String, String>,
}

/// The relationships, and why some links became none.
pub(super) fn relations(kit: &Kit) -> (Vec<Relation>, Vec<String>) {
    let mut relations: Vec<Relation> = Vec::new();
    let mut notes = Vec::new();
    let mut seen = BTreeSet::new();
    for link in links(kit) {
        let Some(to) = kit.table(link.to) else { continue };
        if !seen.insert((&link.from.name, link.to, link.columns)) {
            continue;
        }
        match relation(&link, to) {
            Ok(mut relation) => {
                relation.is_active = is_unambiguous(&relations, &link.from.name, &to.name);
                if !relation.is_active {
                    notes.push(format!(
                        "the relationship from `{}` to `{}` by `{}` is inactive: there is another way between them",
                        relation.from.0, relation.to.0, relation.from.1
                    ));
                }
                relations.push(relation);
            }
            Err(why) => notes.push(format!("`{}` has no relationship to `{}`: {why}", link.from.name, link.to)),
        }
    }
    (relations, notes)
}

/// In the order in which they may become active.
fn links(kit: &Kit) -> Vec<Link<'_>> {
    let parents = kit.tables.iter().filter_map(|from| {
        let parent = from.parent.as_ref()?;
        Some(Link { from, to: &parent.table, columns: &parent.columns })
    });
    // Tables of lists last: what their parent refers to, they refer to through it.
    let mut tables: Vec<&Table> = kit.tables.iter().collect();
    tables.sort_by_key(|table| table.parent.is_some());
    let of = |origin: ReferenceOrigin| {
        tables.iter().flat_map(move |from| {
            let references = from.references.iter().filter(move |reference| reference.origin == origin);
            references.map(move |reference| Link { from, to: &reference.table, columns: &reference.columns })
        })
    };
    parents.chain(of(ReferenceOrigin::ForEach)).chain(of(ReferenceOrigin::Association)).collect()
}

fn relation(link: &Link<'_>, to: &Table) -> Result<Relation, String> {
    if link.from.name == to.name {
        return Err("Power BI relates no table to itself".to_owned());
    }
    let mut columns = link.columns.iter();
    let (Some((own, other)), None) = (columns.next(), columns.next()) else {
        let names: Vec<&str> = link.columns.keys().map(String::as_str).collect();
        return Err(format!("it goes by {} columns ({}), and Power BI relates by one", names.len(), names.join(", ")));
    };
    if to.key != [other.clone()] {
        let key = if to.key.is_empty() { "none".to_owned() } else { to.key.join(", ") };
        return Err(format!("`{other}` is not the whole key there, which is {key}"));
    }
    let kind = |table: &Table, name: &str| {
        let column = table.columns.iter().find(|column| column.name == name);
        column.map(|column| Kind::of(column.kind)).ok_or_else(|| format!("there is no column `{name}`"))
    };
    if kind(link.from, own)?.data_type() != kind(to, other)?.data_type() {
        return Err(format!("`{own}` and `{other}` are of different types"));
    }
    Ok(Relation { from: (link.from.name.clone(), own.clone()), to: (to.name.clone(), other.clone()), is_active: false })
}

/// Whether one more active way from the one side to the many side leaves at most one between any two tables.
fn is_unambiguous(relations: &[Relation], many: &str, one: &str) -> bool {
    // A filter goes from the one side to the many side.
    let steps: Vec<(&str, &str)> = relations
        .iter()
        .filter(|relation| relation.is_active)
        .map(|relation| (relation.to.0.as_str(), relation.from.0.as_str()))
        .collect();
    let reversed: Vec<(&str, &str)> = steps.iter().map(|(from, to)| (*to, *from)).collect();
    let (above, below) = (reached(&reversed, one), reached(&steps, many));
    above.iter().all(|top| {
        let from_top = reached(&steps, top);
        below.iter().all(|bottom| top != bottom && !from_top.contains(bottom))
    }) && !below.contains(one)
}

/// What can be reached from a table, itself included.
fn reached<'a>(steps: &[(&'a str, &'a str)], start: &'a str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::from([start]);
    let mut open = vec![start];
    while let Some(at) = open.pop() {
        open.extend(steps.iter().filter(|(from, to)| *from == at && found.insert(*to)).map(|(_, to)| *to));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn active(many: &str, one: &str) -> Relation {
        Relation { from: (many.to_owned(), "x".to_owned()), to: (one.to_owned(), "x".to_owned()), is_active: true }
    }

    #[test]
    fn one_way_between_two_tables_is_active() {
        let check = |relations: &[(&str, &str)], next: (&str, &str), expect: bool| {
            let relations: Vec<Relation> = relations.iter().map(|(many, one)| active(many, one)).collect();
            assert_eq!(is_unambiguous(&relations, next.0, next.1), expect, "{relations:?} + {next:?}");
        };
        check(&[], ("orders", "customers"), true);
        check(&[("lines", "orders")], ("orders", "customers"), true);
        // The same two tables once more.
        check(&[("orders", "customers")], ("orders", "customers"), false);
        // customers -> orders -> lines, and customers -> lines.
        check(&[("orders", "customers"), ("lines", "orders")], ("lines", "customers"), false);
        check(&[("lines", "orders"), ("lines", "customers")], ("orders", "customers"), false);
        // Two ways around.
        check(&[("b", "a"), ("c", "a"), ("d", "b")], ("d", "c"), false);
        // Two tables on the one side of a third.
        check(&[("lines", "orders")], ("lines", "products"), true);
        // A circle.
        check(&[("a", "b")], ("b", "a"), false);
    }
}
