//! How Power BI reads a job's tables: the addresses, and a query for each, ready to paste.

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::{Value, json};

use super::overview::zone_of;
use super::session::Visitor;
use super::view::{Problem, TheSite, instant, page as show};
use crate::clock::Clock;
use crate::model::amounts::{count, size};
use crate::store::Store;

pub(super) async fn page(
    State(site): TheSite,
    Extension(visitor): Extension<Visitor>,
    Path(job): Path<String>,
) -> Result<Response, Problem> {
    let (seat, store) = site.open_store(&job)?;
    let current = store.load_current().await.map_err(|error| Problem::failed(&error))?;
    let (now, zone) = (Clock.now(), zone_of(&seat));
    let tables: Vec<Value> = current
        .iter()
        .flat_map(|current| &current.manifest.tables)
        .map(|(name, table)| {
            let is_parquet = table.csv.is_none();
            let file = format!("{name}/current.{}", if is_parquet { "parquet" } else { "csv" });
            json!({
                "name": name,
                "rows": count(table.rows),
                "bytes": size(table.bytes),
                "file": file,
                "query": query(&store, &file, is_parquet),
            })
        })
        .collect();
    let shares = site.shares.of(&store).await;
    let shown = shares.iter().flatten().map(|share| {
        json!({
            "policy": share.id,
            "may": share.may(),
            "until": share.expires_at().map(|until| instant(until, now, zone)),
            "is_over": share.expires_at().is_some_and(|until| until <= now),
        })
    });
    let content = json!({
        "job": job,
        "file": seat.file.display().to_string(),
        "can_share": store.has_shares(),
        "shares": shown.collect::<Vec<_>>(),
        "shares_unread": shares.as_ref().err(),
        "destination": store.shown(),
        "is_remote": store.reader_address().is_some(),
        "has_alias": seat.job.alias,
        "published": current.as_ref().map(|current| instant(current.manifest.published_at, now, zone)),
        "share_until": store.share_until().map(|until| instant(until, now, zone)),
        "tables": tables,
    });
    let title = format!("{job} in Power BI");
    Ok(show(&site, &visitor, "powerbi.html", &title, content))
}

/// A query in M. The base address is a literal and the fields of the SAS are given one by one: otherwise the Service refuses to
/// refresh it.
fn query(store: &Store, file: &str, is_parquet: bool) -> String {
    let text = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let content = match store.reader_address() {
        Some((base, prefix)) => {
            let path = if prefix.is_empty() { file.to_owned() } else { format!("{prefix}/{file}") };
            let path = text(&path);
            // As haul makes its shares: plain http is that of an emulator.
            let protocol = if base.starts_with("https:") { "spr = \"https\", " } else { "" };
            format!(
                "Binary.Buffer(Web.Contents(\n        {},\n        [RelativePath = {path}, Query = [sv = SasVersion, sr = \"c\", {protocol}\
                 si = SasPolicy, sig = SasSignature]]\n    ))",
                text(&base)
            )
        }
        None => format!("File.Contents({})", text(&format!("{}/{file}", store.shown()))),
    };
    match is_parquet {
        true => format!("let\n    Source = Parquet.Document({content})\nin\n    Source"),
        false => format!(
            "let\n    Source = Csv.Document({content}, [Delimiter = \",\", Encoding = 65001]),\n    Promoted = \
             Table.PromoteHeaders(Source)\nin\n    Promoted"
        ),
    }
}
