//! The alias of a table: all its rows in one file under a fixed name, for clients that know one URL. Written after the
//! publication; a crash here leaves an alias of the former snapshot, which the next run repairs.

use super::context::Context;
use super::error::Error;
use crate::format::concat;
use crate::model::manifest::TableManifest;
use crate::store::layout;

/// Makes a table's alias show its published parts.
pub(super) async fn write_alias(ctx: &Context, table: &str, manifest: &TableManifest) -> Result<(), Error> {
    let format = &ctx.job.destination.format;
    let alias = layout::alias(table, format.extension());
    match manifest.parts.as_slice() {
        [] => Ok(()),
        [part] => Ok(ctx.store.alias_part(part, &alias).await?),
        parts => {
            let mut files = Vec::with_capacity(parts.len());
            for part in parts {
                files.push(ctx.store.fetch(part).await?);
            }
            let spool = ctx.store.spool(&alias)?;
            let spool = tokio::task::block_in_place(|| concat(format, files, spool))
                .map_err(|source| Error::Format { stream: table.to_owned(), doing: "joining", source })?;
            let spooled = spool.finish().map_err(|source| Error::Spool { stream: table.to_owned(), source })?;
            Ok(ctx.store.alias_file(spooled, &alias).await?)
        }
    }
}
