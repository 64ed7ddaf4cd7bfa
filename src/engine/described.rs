//! What a service says of a stream before its first record.

use super::context::Context;
use super::error::Error;
use crate::columns;
use crate::model::column::{Column, TypeOrigin};
use crate::model::plan::Stream;
use crate::source::{Association, Endpoint, associations, fetched_columns};
use crate::telemetry::Event;

/// From `$metadata`.
#[derive(Debug, Default)]
pub(super) struct Described {
    pub columns: Vec<Column>,
    /// Absent = it says nothing that can be read.
    pub associations: Option<Vec<Association>>,
}

/// A service without a readable description is walked all the same; its columns are inferred.
pub(super) async fn describe(ctx: &Context, stream: &Stream, endpoint: &Endpoint) -> Result<Described, Error> {
    let wrong = |source| Error::Endpoint { stream: stream.name.clone(), source };
    let set = endpoint.last_segment();
    let read = match ctx.source.read_metadata(endpoint, &ctx.job.source.base_url).await {
        Ok(reply) => {
            let xml = reply.body.in_memory();
            fetched_columns(xml, &set).and_then(|types| Ok((types, Some(associations(xml, &set)?))))
        }
        Err(error @ crate::source::Error::Http(crate::http::Error::Interrupted)) => return Err(wrong(error)),
        Err(error @ crate::source::Error::Auth(_)) => return Err(wrong(error)),
        Err(error) => Err(error),
    };
    let (types, associations) = read.unwrap_or_else(|error| {
        let what = format!("stream `{}`: `$metadata` cannot be used, types are inferred: {error}", stream.name);
        ctx.telemetry.tell(Event::Warned { what });
        (Vec::new(), None)
    });
    let selected = endpoint.selected();
    let is_selected = |name: &str| selected.is_empty() || selected.iter().any(|selected| selected == name);
    let mut columns = Vec::with_capacity(types.len());
    for (name, kind) in types.into_iter().filter(|(name, _)| is_selected(name)) {
        let path = vec![name];
        let name =
            columns::column_name(&path).map_err(|source| Error::Columns { stream: stream.name.clone(), source })?;
        columns.push(Column { name, path, kind, origin: TypeOrigin::Fetched });
    }
    Ok(Described { columns, associations })
}
