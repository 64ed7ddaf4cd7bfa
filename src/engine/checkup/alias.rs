//! The alias of a table: whether it shows the rows that the manifest shows.

use chrono::{DateTime, Utc};

use super::TableCheck;
use super::finding::{Finding, warning};
use super::part::{read_footer, sha256_of};
use super::unread;
use crate::model::destination::Format;
use crate::store::{Reader, Unread, layout};

/// `written` = when the newest part of the table was written.
pub(super) async fn check_alias(
    reader: &Reader,
    table: &TableCheck<'_>,
    written: Option<DateTime<Utc>>,
) -> Option<Finding> {
    let path = layout::alias(table.name, table.format.extension());
    let cure = "run the job again, which repairs it";
    let facts = match reader.facts(&path).await {
        Ok(facts) => facts,
        Err(Unread::Missing) => return Some(warning("alias_missing", &path, "it is not there", cure)),
        Err(unread) => return Some(unread::of_document("part_refused", &path, &unread)),
    };
    let is_older = matches!((facts.modified, written), (Some(alias), Some(part)) if alias < part);
    let refused = |unread| Some(unread::of_document("part_refused", &path, &unread));
    let is_stale = match (table.entry.parts.as_slice(), table.format) {
        ([part], _) if facts.bytes != part.bytes => true,
        // It is a copy, and a folder that was moved has new times.
        ([part], _) if is_older => match sha256_of(reader, &path, facts.bytes).await {
            Ok(sha256) => sha256 != part.sha256,
            Err(unread) => return refused(unread),
        },
        ([_], _) => false,
        (_, Format::Parquet(_)) => match read_footer(reader, &path, facts.bytes).await {
            Ok(footer) => is_older || footer.map_or(0, |footer| footer.rows()) != table.entry.rows,
            Err(unread) => return refused(unread),
        },
        (_, Format::Csv(_)) => is_older,
    };
    let what = "it shows the rows of an earlier snapshot: reports that read it and not the manifest are behind";
    is_stale.then(|| warning("alias_stale", &path, what, cure))
}
