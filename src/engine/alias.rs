//! The alias of a table: all its rows in one file under a fixed name, for clients that know one URL. Written after the
//! publication; a crash here leaves an alias of the former snapshot, which the next run repairs.

use super::error::Error;
use crate::format::concat;
use crate::model::manifest::TableManifest;
use crate::store::{Store, layout};

/// Makes a table's alias show its published parts.
pub(super) async fn write_alias(store: &Store, table: &str, manifest: &TableManifest) -> Result<(), Error> {
    let Some(format) = manifest.form() else {
        return Err(Error::UnknownForm { table: table.to_owned(), form: manifest.format.clone() });
    };
    let alias = layout::alias(table, format.extension());
    match manifest.parts.as_slice() {
        [] => Ok(()),
        [part] => Ok(store.alias_part(part, &alias).await?),
        parts => {
            let mut files = Vec::with_capacity(parts.len());
            for part in parts {
                files.push(store.fetch(part).await?);
            }
            let spool = store.spool(&alias)?;
            let spool = tokio::task::block_in_place(|| concat(&format, files, spool))
                .map_err(|source| Error::Format { stream: table.to_owned(), doing: "joining", source })?;
            let spooled = spool.finish().map_err(|source| Error::Spool { stream: table.to_owned(), source })?;
            Ok(store.alias_file(spooled, &alias).await?)
        }
    }
}

/// Whether a table's alias was written after the snapshot that readers see.
pub(super) async fn is_alias_current(store: &Store, table: &str, manifest: &TableManifest) -> Result<bool, Error> {
    Ok(store.is_up_to_date(&layout::alias(table, &manifest.format)).await?)
}
