//! How Power BI reads a job's tables: choose some, copy the queries, download the project, see the shares.

mod choice;
mod download;

use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::http::header::HOST;
use axum::response::Response;
use serde_json::{Value, json};
use url::Url;

use self::choice::Choice;
pub(super) use self::download::file;
use super::Site;
use super::overview::zone_of;
use super::session::Visitor;
use super::shares::Found;
use super::view::{Problem, TheSite, instant, page as show};
use crate::clock::Clock;
use crate::engine::{ShareKind, Shared, load_kit, text_of};
use crate::model::amounts::{count, size};
use crate::powerbi::m;
use crate::state::LinkKind;

pub(super) async fn page(
    State(site): TheSite,
    Extension(visitor): Extension<Visitor>,
    Path(job): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (seat, store) = site.open_store(&job)?;
    let current = store.load_current().await.map_err(|error| Problem::failed(&error))?;
    let (now, zone) = (Clock.now(), zone_of(&seat));
    let choice = Choice::read(query.as_deref());
    let tables: Vec<Value> = current
        .iter()
        .flat_map(|current| &current.manifest.tables)
        .map(|(name, table)| {
            json!({
                "name": name,
                "rows": count(table.rows),
                "bytes": size(table.bytes),
                "is_chosen": choice.has(name),
            })
        })
        .collect();
    let address = site_of(&site, &headers);
    let shares = site.shares.of(&store).await;
    let kit = match &current {
        None => Value::Null,
        Some(_) => match load_kit(&store, &choice.wishes(&job, address.as_ref(), &live_link(&shares))).await {
            Err(error) => json!({ "error": text_of(&error), "hint": error.hint() }),
            Ok(loaded) => {
                let is_parameter = |name: &str| loaded.kit.reach.parameters().iter().any(|(known, _)| *known == name);
                let queries = m::queries(&loaded.kit, choice.variant());
                let queries = queries.iter().filter(|query| !is_parameter(&query.name));
                let parameter = |(name, value): &(&str, &str)| json!({ "name": name, "value": value });
                json!({
                    "address": loaded.kit.reach.address(),
                    "parameters": loaded.kit.reach.parameters().iter().map(parameter).collect::<Vec<_>>(),
                    "queries": queries.map(|query| json!({ "name": query.name, "text": query.text })).collect::<Vec<_>>(),
                    "notes": loaded.notes,
                })
            }
        },
    };
    let shown = shares.iter().flatten().map(|share| {
        json!({
            "policy": share.terms.id,
            "may": share.terms.may(),
            "until": share.terms.expires_at().map(|until| instant(until, now, zone)),
            "is_over": share.terms.expires_at().is_some_and(|until| until <= now),
        })
    });
    let file = |(name, what): &(&str, &str)| json!({ "name": name, "what": what, "href": format!("/jobs/{job}/powerbi/{name}?{}", choice.query()) });
    let content = json!({
        "job": job,
        "file": seat.file.display().to_string(),
        "shares": shown.collect::<Vec<_>>(),
        "shares_unread": shares.as_ref().err(),
        "is_folder": store.is_local(),
        "is_by_link": choice.is_by_link,
        "form": choice.form(),
        "link_address": address.as_ref().map(|site| site.as_str().trim_end_matches('/')),
        "published": current.as_ref().map(|current| instant(current.manifest.published_at, now, zone)),
        "share_until": store.share_until().map(|until| instant(until, now, zone)),
        "tables": tables,
        "kit": kit,
        "files": download::FILES.iter().map(file).collect::<Vec<_>>(),
    });
    let title = format!("{job} in Power BI");
    Ok(show(&site, &visitor, "powerbi.html", &title, content))
}

/// The link of this daemon that goes on longest. Empty = there is none.
fn live_link(shares: &Found) -> String {
    let now = Clock.now();
    let goes_on = |share: &&Shared| {
        share.kind == ShareKind::Link(LinkKind::Served)
            && !share.terms.is_ending()
            && share.terms.expires_at().is_none_or(|end| end > now)
    };
    let live = shares.iter().flatten().filter(goes_on);
    live.max_by_key(|share| share.terms.expires_at()).map(|share| share.terms.id.clone()).unwrap_or_default()
}

/// Where readers find this daemon: the address that it was told, or that by which it is looked at.
fn site_of(site: &Site, headers: &HeaderMap) -> Option<Url> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    site.web.access.public.clone().or_else(|| format!("http://{}", host?).parse().ok())
}
