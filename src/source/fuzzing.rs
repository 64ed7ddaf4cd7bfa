//! What the fuzz targets see of this room: an answer's bytes in, the bytes of its records out.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::envelope::{Envelope, items_of};
use super::page::{PageReading, Trust, open_page};
use crate::http::{Body, Reply};
use crate::model::answer::{AnswerFormat, Packing};
use crate::model::json_path::JsonPath;
use crate::model::plan::RecordsAt;
use crate::paging::walk::{Signs, Wants};
use crate::paging::{CursorFrom, TotalAt};

/// The records of an answer whose place is not told. `None` = it has none, or is no JSON.
///
/// # Panics
/// Where the two readers of an answer, of which one holds it in memory and the other does not, disagree about it.
pub(crate) fn records_of(answer: &[u8]) -> Option<Bytes> {
    compare_readers(answer);
    let wants = Wants {
        next_links: vec![JsonPath::of(&["next"]), JsonPath::of(&["a", "next"])],
        link_header: true,
        cursor: Some(CursorFrom::LastRecord(JsonPath::of(&["a"]))),
        totals: vec![TotalAt::Odata, TotalAt::Body(JsonPath::of(&["total"]))],
        total_pages: Some(JsonPath::of(&["pages"])),
        has_more: Some(JsonPath::of(&["more"])),
        signs_of_more: Signs::Always,
        last_value: Some(JsonPath::of(&["a"])),
    };
    let reading = PageReading {
        at: &RecordsAt::Found,
        wants: &wants,
        rules: &[],
        format: &AnswerFormat::Json,
        packing: Packing::Nothing,
    };
    let reply = Reply {
        status: StatusCode::OK,
        url: "http://localhost/".parse().expect("a URL"),
        headers: HeaderMap::new(),
        body: Body::Memory(Bytes::copy_from_slice(answer)),
    };
    let page = open_page(reply, &reading, Trust::Looked, answer.len() as u64 + 1).ok()?;
    let count = page.facts.records;
    let records = page.pieces().ok()?.next_piece().ok()??;
    if records.starts_with(b"[") {
        let items = items_of(&records).expect("the records were found before");
        assert_eq!(items.len() as u64, count, "the facts count the records");
    }
    Some(records)
}

/// The items of a list of records; a single record is its own item.
pub(crate) fn items(records: &[u8]) -> Vec<&[u8]> {
    if records.starts_with(b"[") { items_of(records).expect("a list of records") } else { vec![records] }
}

fn compare_readers(answer: &[u8]) {
    let plain = answer.strip_prefix(b"\xef\xbb\xbf").unwrap_or(answer);
    match (Envelope::read(plain), Envelope::read_large(plain)) {
        (Ok(whole), Ok(large)) => assert_eq!(whole, Envelope { objects: whole.objects.clone(), ..large }),
        (whole, large) => {
            let is_text = std::str::from_utf8(plain).is_ok();
            assert!(!is_text || whole.is_ok() == large.is_ok(), "{whole:?} {large:?}");
        }
    }
}
