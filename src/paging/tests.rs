//! Walks over pages that were made up.

use super::walk::{EndReason, Error, PageFacts, Step, TotalProof, Walk};
use super::{Bounds, CursorFrom, CursorSend, Flag, Paginator, Reading, SentIn};
use crate::limits::EMPTY_PAGES_MAX;
use crate::model::json_path::JsonPath;

fn page(records: u64) -> PageFacts {
    PageFacts { records, ..PageFacts::default() }
}

fn offset(bounds: Bounds) -> Paginator {
    Paginator::Offset {
        param: "offset".into(),
        size_param: "limit".into(),
        size: 10,
        sent_in: SentIn::Query,
        reading: Reading::InTurn,
        bounds,
    }
}

/// Walks the pages and returns the reason and the records, or the error.
fn check(paginator: Paginator, pages: &[PageFacts], expect: Result<(EndReason, u64), Error>) {
    let mut walk = Walk::new(paginator, TotalProof::Required);
    for (index, facts) in pages.iter().enumerate() {
        match walk.accept(facts) {
            Ok(Step::More(_)) => assert!(index + 1 < pages.len(), "the walk wants more than {} pages", pages.len()),
            Ok(Step::End(end)) => {
                assert_eq!(Ok((end.reason(), end.records())), expect);
                assert_eq!(index + 1, pages.len(), "the walk ended early");
                return;
            }
            Err(error) => {
                assert_eq!(Err(error), expect);
                return;
            }
        }
    }
}

#[test]
fn links_are_followed_until_there_is_none() {
    let next = |link: &str, records| PageFacts { next_link: Some(link.into()), ..page(records) };
    check(Paginator::Odata, &[next("a", 5), next("b", 0), page(3)], Ok((EndReason::NoNextLink, 8)));
    check(Paginator::Odata, &[next("a", 5), next("b", 5), next("a", 5)], Err(Error::Loop { page: 3 }));
    check(Paginator::Unstated, &[page(7)], Ok((EndReason::SinglePage, 7)));
    let sign = PageFacts { sign_of_total: Some("total = 9".into()), ..page(7) };
    check(Paginator::Unstated, &[sign], Err(Error::Unstated { sign: "total = 9".into() }));
}

#[test]
fn a_short_page_does_not_end_a_counted_walk() {
    check(offset(Bounds::default()), &[page(10), page(4), page(10), page(0)], Ok((EndReason::EmptyPage, 24)));
    let short = Bounds { short_page_ends: true, ..Bounds::default() };
    check(offset(short), &[page(10), page(4)], Ok((EndReason::ShortPage, 14)));
}

#[test]
fn a_total_is_proved() {
    let total = |records, total| PageFacts { total: Some(total), ..page(records) };
    check(offset(Bounds::default()), &[total(10, 14), total(4, 14)], Ok((EndReason::TotalReached, 14)));
    check(
        offset(Bounds::default()),
        &[total(10, 14), total(0, 14)],
        Err(Error::TotalDiffers { total: 14, records: 10, pages: 2 }),
    );
}

#[test]
fn a_repeated_body_is_an_error() {
    let with = |fingerprint| PageFacts { fingerprint: Some(fingerprint), ..page(10) };
    let repeated = |page, former| Err(Error::RepeatedBody { page, former });
    check(offset(Bounds::default()), &[with(1), with(1)], repeated(2, 1));
    check(offset(Bounds::default()), &[with(1), with(2), with(3), with(2)], repeated(4, 2));
}

#[test]
fn a_cursor_ends_by_flag_or_absence() {
    let paginator = |has_more| Paginator::Cursor {
        from: CursorFrom::Body(JsonPath::of(&["next"])),
        send: CursorSend::Param("cursor".into()),
        has_more,
        flag: Flag::Optional,
        total: None,
    };
    let next = |cursor: &str| PageFacts { cursor: Some(cursor.into()), ..page(1) };
    check(paginator(None), &[next("a"), next("b"), page(1)], Ok((EndReason::NoNextLink, 3)));
    let last = PageFacts { has_more: Some(false), ..next("c") };
    check(paginator(None), &[next("a"), last], Ok((EndReason::ServerFlag, 2)));
    let lost = PageFacts { has_more: Some(true), ..page(1) };
    check(paginator(None), &[lost], Err(Error::MoreWithoutPlace { page: 1 }));
}

#[test]
fn empty_pages_are_bounded() {
    let pages: Vec<PageFacts> =
        (0..=EMPTY_PAGES_MAX).map(|n| PageFacts { next_link: Some(n.to_string()), ..page(0) }).collect();
    check(Paginator::Odata, &pages, Err(Error::TooManyEmpty { empty: EMPTY_PAGES_MAX + 1 }));
}
