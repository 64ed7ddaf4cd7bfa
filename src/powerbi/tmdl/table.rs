//! The file of a table: its columns, its query, and, where only a part of it is refreshed, the rule for that.

use super::text::{expression, name, value};
use crate::model::column::Column;
use crate::powerbi::ids::uuid;
use crate::powerbi::kit::{Kit, Ranged, SNAPSHOT, Table};
use crate::powerbi::m::{self, Variant};
use crate::powerbi::types::Kind;

pub(super) fn text(kit: &Kit, table: &Table) -> String {
    let mut text = head(kit, &table.name);
    for column in &table.columns {
        let kind = Kind::of(column.kind);
        let traits = Traits {
            is_hidden: false,
            is_key: table.key == [column.name.clone()],
            is_summed: is_summed(table, column, kind),
        };
        text.push_str(&self::column(kit, &table.name, &column.name, kind, &traits));
    }
    let hidden = Traits { is_hidden: true, is_key: false, is_summed: false };
    text.push_str(&column(kit, &table.name, SNAPSHOT, Kind::Text, &hidden));
    let source = m::query(kit, table, Variant::Shared).text;
    if let (Some(ranged), Some(polling)) = (&table.ranged, m::polling(table)) {
        text.push_str(&refresh_policy(ranged, &polling, &source));
    }
    text.push_str(&partition(&table.name, &source));
    text
}

pub(super) fn head(kit: &Kit, table: &str) -> String {
    format!("table {}\n\tlineageTag: {}\n", name(table), uuid(&[&kit.job, "table", table]))
}

/// What a column is besides its type.
pub(super) struct Traits {
    pub is_hidden: bool,
    pub is_key: bool,
    pub is_summed: bool,
}

pub(super) fn column(kit: &Kit, table: &str, column: &str, kind: Kind, traits: &Traits) -> String {
    let mut text = format!("\n\tcolumn {}\n\t\tdataType: {}\n", name(column), kind.data_type());
    if traits.is_hidden {
        text.push_str("\t\tisHidden\n");
    }
    if traits.is_key {
        text.push_str("\t\tisKey\n");
    }
    if let Some(format) = kind.format() {
        text.push_str(&format!("\t\tformatString: {format}\n"));
    }
    text.push_str(&format!(
        "\t\tlineageTag: {}\n\t\tsummarizeBy: {}\n\t\tsourceColumn: {}\n\n\t\tannotation SummarizationSetBy = Automatic\n",
        uuid(&[&kit.job, "column", table, column]),
        if traits.is_summed { "sum" } else { "none" },
        value(column)
    ));
    if kind == Kind::Date {
        text.push_str("\n\t\tannotation UnderlyingDateTimeDataType = Date\n");
    }
    text
}

pub(super) fn partition(table: &str, source: &str) -> String {
    format!("\n\tpartition {} = m\n\t\tmode: import\n\t\tsource =\n{}\n", name(table), expression(source, 4))
}

fn refresh_policy(ranged: &Ranged, polling: &str, source: &str) -> String {
    format!(
        "\n\trefreshPolicy\n\t\tpolicyType: basic\n\t\trollingWindowGranularity: year\n\t\trollingWindowPeriods: {}\n\t\t\
         incrementalGranularity: day\n\t\tincrementalPeriods: {}\n\t\tpollingExpression =\n{}\n\t\tsourceExpression =\n{}\n",
        ranged.years,
        ranged.days,
        expression(polling, 4),
        expression(source, 4)
    )
}

/// Whether a report may add its values up by itself: no keys, no ids, nothing that only looks like a number.
fn is_summed(table: &Table, column: &Column, kind: Kind) -> bool {
    let links = table.parent.iter().map(|parent| &parent.columns);
    let mut links = links.chain(table.references.iter().map(|reference| &reference.columns));
    match kind {
        Kind::Fixed { .. } | Kind::Number => !table.key.contains(&column.name),
        Kind::Integer => {
            !table.key.contains(&column.name)
                && !links.any(|columns| columns.contains_key(&column.name))
                && !is_a_name(&column.name)
        }
        Kind::Text | Kind::Boolean | Kind::Date | Kind::DateTime => false,
    }
}

/// Whether a column of integers names something by its numbers.
fn is_a_name(column: &str) -> bool {
    let lower = column.to_ascii_lowercase();
    let last = lower.rsplit('_').next().unwrap_or(&lower);
    ["id", "ids", "no", "nr", "number", "code", "key", "year", "month", "day", "week", "line", "position", "version"]
        .contains(&last)
        || ["Id", "ID", "Number", "Code", "Key", "Year", "Month"].iter().any(|end| column.ends_with(end))
}
