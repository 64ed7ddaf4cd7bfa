//! The table with one row that says which snapshot was read, and the measures of how fresh the data are.

use super::table::{Traits, column, head, partition};
use super::text::{dax_column, dax_table, expression, name};
use crate::powerbi::ids::uuid;
use crate::powerbi::kit::{Kit, SNAPSHOT};
use crate::powerbi::m::{self, SNAPSHOT_COLUMNS, Variant};

/// When the data were published, in UTC.
pub(crate) const AS_OF: &str = "Data as of";
/// How long ago that is.
pub(crate) const AGE: &str = "Data age in hours";
/// Whether the tables are of more than one snapshot.
pub(crate) const MIXED: &str = "Mixed refresh";

pub(super) fn text(kit: &Kit) -> String {
    let mut text = head(kit, SNAPSHOT);
    let published = dax_column(SNAPSHOT, "published_at");
    text.push_str(&measure(kit, AS_OF, &format!("MAX({published})"), "yyyy-mm-dd hh:nn:ss"));
    let age = format!("DATEDIFF(MAX({published}), UTCNOW(), MINUTE) / 60");
    text.push_str(&measure(kit, AGE, &age, "0.0"));
    text.push_str(&measure(kit, MIXED, &mixed(kit), ""));
    for table in &kit.tables {
        let rows = format!("COALESCE(COUNTROWS({}), 0)", dax_table(&table.name));
        text.push_str(&measure(kit, &rows_of(&table.name), &rows, "#,0"));
    }
    for (of, kind) in SNAPSHOT_COLUMNS {
        let traits = Traits { is_hidden: false, is_key: false, is_summed: false };
        text.push_str(&column(kit, SNAPSHOT, of, kind, &traits));
    }
    text.push_str(&partition(SNAPSHOT, &m::snapshot(kit, Variant::Shared).text));
    text
}

/// The name of the measure that counts a table's rows.
pub(crate) fn rows_of(table: &str) -> String {
    format!("Rows of {table}")
}

/// A table of which only parts are refreshed is of several snapshots, and that is right: it is left out.
fn mixed(kit: &Kit) -> String {
    let whole = kit.tables.iter().filter(|table| table.ranged.is_none());
    let mut snapshots: Vec<String> =
        whole.map(|table| format!("ALLNOBLANKROW({})", dax_column(&table.name, SNAPSHOT))).collect();
    snapshots.push(format!("ALLNOBLANKROW({})", dax_column(SNAPSHOT, "snapshot")));
    let all = match &snapshots[..] {
        [only] => format!("    {only}"),
        _ => format!(
            "    DISTINCT(\n        UNION(\n            {}\n        )\n    )",
            snapshots.join(",\n            ")
        ),
    };
    format!("VAR Snapshots =\n{all}\nRETURN\n    IF(COUNTROWS(Snapshots) > 1, \"yes: refresh all tables\", \"no\")")
}

fn measure(kit: &Kit, of: &str, dax: &str, format: &str) -> String {
    let dax = if dax.contains('\n') { format!("\n{}", expression(dax, 3)) } else { format!(" {dax}") };
    let format = if format.is_empty() { String::new() } else { format!("\t\tformatString: {format}\n") };
    let tag = uuid(&[&kit.job, "measure", SNAPSHOT, of]);
    format!("\n\tmeasure {} ={dax}\n{format}\t\tlineageTag: {tag}\n", name(of))
}
