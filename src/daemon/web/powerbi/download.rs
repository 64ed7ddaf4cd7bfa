//! The kit's files, to be downloaded. No signature is in them: whoever made a share pastes it in.

use std::io::{Cursor, Write};

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use zip::write::SimpleFileOptions;

use super::choice::Choice;
use super::{live_link, site_of};
use crate::daemon::web::view::{Problem, TheSite};
use crate::engine::load_kit;
use crate::powerbi::{TextFile, dataflow, m, pbids, pbip, query_files};

/// What can be downloaded: the end of the file's name, and what it is.
pub(super) const FILES: [(&str, &str); 4] = [
    ("project.zip", "Power BI Project: model, relationships, measures, a small report"),
    ("queries.zip", "one file for each query"),
    ("dataflow.zip", "Dataflow Gen2, for Git integration"),
    ("source.pbids", "opens Desktop at the address; no query"),
];

pub(in crate::daemon::web) async fn file(
    State(site): TheSite,
    Path((job, name)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (seat, store) = site.open_store(&job)?;
    let choice = Choice::read(query.as_deref());
    let link = live_link(&site.shares.of(&store).await);
    let wishes = choice.wishes(&seat.job.name, site_of(&site, &headers).as_ref(), &link);
    let kit = load_kit(&store, &wishes).await.map_err(|error| Problem::failed(&error))?.kit;
    let (kind, bytes) = match name.as_str() {
        "project.zip" => ("application/zip", zipped(&pbip::project(&kit).files)?),
        "queries.zip" => ("application/zip", zipped(&query_files(&m::queries(&kit, choice.variant())))?),
        "dataflow.zip" => ("application/zip", zipped(&dataflow::files(&kit))?),
        "source.pbids" => ("application/json", pbids::text(&kit).into_bytes()),
        _ => return Err(Problem::not_found("There is no such file.")),
    };
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{job}-{name}\""));
    let head = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_DISPOSITION, disposition.expect("a job's name has only letters, digits, `-` and `_`")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((head, bytes).into_response())
}

/// The same files give the same bytes: no time stands in it.
fn zipped(files: &[TextFile]) -> Result<Vec<u8>, Problem> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let made = files.iter().try_for_each(|file| {
        archive.start_file(file.path.as_str(), SimpleFileOptions::default())?;
        Ok::<(), zip::result::ZipError>(archive.write_all(file.text.as_bytes())?)
    });
    let bytes = made.and_then(|()| archive.finish()).map_err(|error| Problem::failed(&error))?;
    Ok(bytes.into_inner())
}
