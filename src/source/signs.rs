//! Signs of further pages: the Link header, and members and headers that tell of more where the job does not look.

use http::HeaderMap;

use super::envelope::{Envelope, Scalar};
use super::records::shown;

/// The target of `rel="next"` (RFC 8288); several headers and several links in one are both usual.
pub(super) fn next_in_link_header(headers: &HeaderMap) -> Option<String> {
    headers.get_all(http::header::LINK).iter().find_map(|value| {
        // A title may hold what is no ASCII; the address next to it counts all the same.
        let value = String::from_utf8_lossy(value.as_bytes());
        let mut rest = value.as_ref();
        while let Some(start) = rest.find('<') {
            let (target, after) = rest[start + 1..].split_once('>')?;
            let mut is_quoted = false;
            let is_end = |sign: char| {
                is_quoted ^= sign == '"';
                sign == ',' && !is_quoted
            };
            let end = after.find(is_end).unwrap_or(after.len());
            if after[..end].split(';').any(is_rel_next) {
                return Some(target.to_owned());
            }
            rest = &after[end..];
        }
        None
    })
}

fn is_rel_next(param: &str) -> bool {
    param.split_once('=').is_some_and(|(name, value)| {
        name.trim().eq_ignore_ascii_case("rel")
            && value.trim().trim_matches('"').split_whitespace().any(|rel| rel.eq_ignore_ascii_case("next"))
    })
}

/// Scalars outside the records by their plain name: `next_page`, `nextPage` and `@odata.nextPage` differ in taste alone.
pub(super) fn plain_names(envelope: &Envelope) -> impl Iterator<Item = (String, &[String], &Scalar)> {
    let plain = |name: &str| name.to_ascii_lowercase().replace(['_', '-', '@', '.', '$'], "");
    envelope.scalars.iter().filter_map(move |(path, scalar)| {
        let name = plain(path.last()?);
        let is_address = path.len() > 1 && matches!(name.as_str(), "href" | "uri" | "url");
        Some((if is_address { plain(&path[path.len() - 2]) } else { name }, path.as_slice(), scalar))
    })
}

/// A member that says that there is a next page: a link or token that is set, a flag that is true.
pub(super) fn sign_of_next(envelope: &Envelope) -> Option<String> {
    let (_, path, _) = plain_names(envelope).find(|(name, _, scalar)| match name.as_str() {
        "next" | "nextlink" | "nexturl" | "nexturi" | "nextpage" | "nextpagetoken" | "nexttoken" | "nextcursor"
        | "nextpageurl" | "nextpagelink" | "continuationtoken" => {
            scalar.token().is_some() && **scalar != Scalar::Number("0".into())
        }
        "hasmore" | "hasnext" | "hasnextpage" | "moreresults" | "moreitemsincollection" => scalar.flag() == Some(true),
        _ => false,
    })?;
    Some(shown(path))
}

/// A total above the count, a number of pages, an end cursor; in the answer or in the usual headers.
pub(super) fn sign_of_total(envelope: &Envelope, headers: &HeaderMap, count: u64) -> Option<String> {
    let in_body = plain_names(envelope).find(|(name, _, scalar)| match name.as_str() {
        "endcursor" => scalar.token().is_some(),
        "total" | "totalcount" | "totalrecords" | "totalitems" | "totalresults" | "totalelements" => {
            scalar.count().is_some_and(|total| total > count)
        }
        "totalpages" | "pagecount" | "lastpage" => scalar.count().is_some_and(|pages| pages > 1),
        _ => false,
    });
    let number = |name: &str| -> Option<u64> {
        let text = headers.get(name)?.to_str().ok()?;
        // `Content-Range: items 0-24/3573`, but not of bytes.
        if text.starts_with("bytes") {
            return None;
        }
        text.rsplit('/').next()?.trim().parse().ok()
    };
    let in_headers = || {
        let totals = ["x-total-count", "x-total", "content-range"].into_iter();
        let mut found = totals.filter(|name| number(name).is_some_and(|total| total > count));
        let mut pages = ["x-total-pages", "x-next-page"].into_iter();
        found.next().or_else(|| pages.find(|name| number(name).is_some_and(|page| page > 1)))
    };
    in_body.map(|(_, path, _)| shown(path)).or_else(|| in_headers().map(|name| format!("header {name}")))
}
