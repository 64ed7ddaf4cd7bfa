//! One walk through the pages of a slice: the only maker of a `WalkEnd`, and the guards that keep a walk from going
//! round in circles or stopping short in silence.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

use super::{Bounds, CursorFrom, Paginator, TotalAt};
use crate::limits::{EMPTY_PAGES_MAX, PAGES_MAX};
use crate::model::json_path::JsonPath;

/// Where the next page is. Never how far earlier runs got: that is a cursor.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum PageToken {
    First,
    /// As the server sent it: absolute or relative to the page it came from.
    Link(String),
    Cursor(String),
    Offset(u64),
    Page(u64),
}

impl fmt::Debug for PageToken {
    /// Links and cursors may carry credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PageToken::First => f.write_str("first page"),
            PageToken::Link(_) => f.write_str("next link"),
            PageToken::Cursor(_) => f.write_str("cursor"),
            PageToken::Offset(offset) => write!(f, "offset {offset}"),
            PageToken::Page(page) => write!(f, "page {page}"),
        }
    }
}

/// What of an answer a paginator needs to see, besides its records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wants {
    /// Places of the next page's URL, the first that is there wins.
    pub next_links: Vec<JsonPath>,
    pub link_header: bool,
    /// Absent = no cursor paging.
    pub cursor: Option<CursorFrom>,
    /// Places of the total, the first that is there wins.
    pub totals: Vec<TotalAt>,
    /// Absent = the API tells no number of pages.
    pub total_pages: Option<JsonPath>,
    /// Absent = the API has no such flag.
    pub has_more: Option<JsonPath>,
    /// Look for members and headers that tell of further pages where the job does not look.
    pub signs_of_more: bool,
}

/// What an answer said about paging. Each `Option` is absent when the answer did not say it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PageFacts {
    /// Raw records of the page, before any filter.
    pub records: u64,
    pub next_link: Option<String>,
    pub cursor: Option<String>,
    pub total: Option<u64>,
    pub total_pages: Option<u64>,
    pub has_more: Option<bool>,
    /// Where a next link or cursor should stand and something else stands: true, a list, an object without address.
    pub unreadable_next: Option<String>,
    /// A member that says that there is a next page.
    pub sign_of_next: Option<String>,
    /// A member or header with a total above this page's records.
    pub sign_of_total: Option<String>,
    /// Of the records' bytes. Absent = the page is empty.
    pub fingerprint: Option<u64>,
}

/// Why a walk ended; the word in a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndReason {
    NoNextLink,
    EmptyPage,
    ServerFlag,
    TotalReached,
    ShortPage,
    SinglePage,
}

/// Proof that a walk saw everything; made by `Walk::accept` alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WalkEnd {
    reason: EndReason,
    pages: u64,
    records: u64,
    moved: Option<(u64, u64)>,
}

impl WalkEnd {
    /// The total as first and as last told, where it changed under a walk that counts. Absent = it did not change, or
    /// was not told. Records that come or go while their neighbours are counted are read twice or not at all.
    pub(crate) fn moved(&self) -> Option<(u64, u64)> {
        self.moved
    }

    pub(crate) fn reason(&self) -> EndReason {
        self.reason
    }

    pub(crate) fn pages(&self) -> u64 {
        self.pages
    }

    pub(crate) fn records(&self) -> u64 {
        self.records
    }
}

/// What comes after a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    More(PageToken),
    End(WalkEnd),
}

/// Why a walk cannot go on. The pages so far are not the whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("the answer tells of further pages (`{sign}`), but the job states no paging")]
    Unstated { sign: String },
    #[error("page {page} leads to a page that was read before: the walk would go round for ever")]
    Loop { page: u64 },
    #[error("page {page} holds exactly the records of page {former}")]
    RepeatedBody { page: u64, former: u64 },
    #[error("{empty} empty pages in a row, limit EMPTY_PAGES_MAX")]
    TooManyEmpty { empty: u64 },
    #[error("{pages} pages and no end, limit PAGES_MAX")]
    TooManyPages { pages: u64 },
    #[error("the API told a total of {total} records, the walk found {records} on {pages} pages")]
    TotalDiffers { total: u64, records: u64, pages: u64 },
    #[error("page {page} says that there is more, but not where")]
    MoreWithoutPlace { page: u64 },
    #[error("page {page} tells of a next page (`{sign}`), but not where the job looks for it")]
    MoreElsewhere { page: u64, sign: String },
    #[error("page {page}: {place} is neither a link nor a token, and not empty either")]
    UnreadableNext { page: u64, place: String },
    #[error("the last record of page {page} has no value at `{path}`, so the next page cannot be asked for")]
    NoTokenInRecord { page: u64, path: String },
}

impl Error {
    /// What the user can do, where we know it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Error::Unstated { .. } => Some(
                "say how further pages are found, for example `paging: { next_url: next }`, or `paging: none` if one page is all",
            ),
            Error::Loop { .. } | Error::RepeatedBody { .. } => Some(
                "check the stream's `paging`: the parameter may be ignored by the server; where the last page repeats past the end, name `total` or `total_pages`",
            ),
            Error::TotalDiffers { .. } => Some(
                "records may have changed during the walk: run again; if it stays, check `paging`, a page may be cut by the server",
            ),
            Error::MoreElsewhere { .. } | Error::UnreadableNext { .. } | Error::NoTokenInRecord { .. } => {
                Some("check the places that the stream's `paging` names; `haul preview` shows an answer")
            }
            Error::TooManyEmpty { .. } | Error::TooManyPages { .. } | Error::MoreWithoutPlace { .. } => None,
        }
    }
}

/// Whether the API's own total must equal the records found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TotalProof {
    Required,
    /// The request itself asks for a part (`$top`, `$skip`), so the total speaks of something else.
    Waived,
}

impl Paginator {
    /// What this way of paging needs to see of an answer.
    pub(crate) fn wants(&self) -> Wants {
        let odata_links = || {
            vec![JsonPath::of(&["@odata.nextLink"]), JsonPath::of(&["odata.nextLink"]), JsonPath::of(&["d", "__next"])]
        };
        let odata_totals = || {
            let paths: [&[&str]; 3] = [&["@odata.count"], &["odata.count"], &["d", "__count"]];
            paths.iter().map(|path| TotalAt::Body(JsonPath::of(path))).collect()
        };
        let counted = |bounds: &Bounds| Wants {
            totals: bounds.total.iter().cloned().collect(),
            has_more: bounds.has_more.clone(),
            ..Wants::default()
        };
        match self {
            Paginator::Single => Wants::default(),
            Paginator::Unstated => Wants {
                next_links: odata_links(),
                link_header: true,
                totals: odata_totals(),
                signs_of_more: true,
                ..Wants::default()
            },
            Paginator::LinkHeader => Wants { link_header: true, signs_of_more: true, ..Wants::default() },
            Paginator::Odata => {
                Wants { next_links: odata_links(), totals: odata_totals(), signs_of_more: true, ..Wants::default() }
            }
            Paginator::NextUrl { path } => {
                Wants { next_links: vec![path.clone()], signs_of_more: true, ..Wants::default() }
            }
            Paginator::Cursor { from, has_more, .. } => Wants {
                cursor: Some(from.clone()),
                has_more: has_more.clone(),
                signs_of_more: true,
                ..Wants::default()
            },
            Paginator::Offset { bounds, .. } => counted(bounds),
            Paginator::Page { bounds, total_pages, .. } => {
                Wants { total_pages: total_pages.clone(), ..counted(bounds) }
            }
        }
    }

    /// The token of the first page.
    pub(crate) fn first(&self) -> PageToken {
        match self {
            Paginator::Offset { .. } => PageToken::Offset(0),
            Paginator::Page { first, .. } => PageToken::Page(*first),
            Paginator::Single
            | Paginator::Unstated
            | Paginator::LinkHeader
            | Paginator::Odata
            | Paginator::NextUrl { .. }
            | Paginator::Cursor { .. } => PageToken::First,
        }
    }
}

/// The state of one walk.
#[derive(Debug)]
pub(crate) struct Walk {
    paginator: Paginator,
    proof: TotalProof,
    current: PageToken,
    seen: HashSet<u64>,
    /// Pages by the fingerprint of their records.
    fingerprints: HashMap<u64, u64>,
    pages: u64,
    records: u64,
    empty_in_a_row: u64,
    /// As first told. Absent = not yet.
    first_total: Option<u64>,
    /// As last told. Absent = not yet.
    total: Option<u64>,
    /// As last told. Absent = not yet.
    total_pages: Option<u64>,
}

impl Walk {
    pub(crate) fn new(paginator: Paginator, proof: TotalProof) -> Self {
        let current = paginator.first();
        let seen = HashSet::from([token_hash(&current)]);
        Walk {
            paginator,
            proof,
            current,
            seen,
            fingerprints: HashMap::new(),
            pages: 0,
            records: 0,
            empty_in_a_row: 0,
            first_total: None,
            total: None,
            total_pages: None,
        }
    }

    /// The page to ask for now.
    pub(crate) fn current(&self) -> &PageToken {
        &self.current
    }

    /// Pages accepted so far.
    pub(crate) fn pages(&self) -> u64 {
        self.pages
    }

    /// Takes note of a page and says what comes next. After `Step::End` or an error the walk is over.
    pub(crate) fn accept(&mut self, facts: &PageFacts) -> Result<Step, Error> {
        self.pages += 1;
        self.records += facts.records;
        self.first_total = self.first_total.or(facts.total);
        self.total = facts.total.or(self.total);
        self.total_pages = facts.total_pages.or(self.total_pages);
        // Any former page, not only the last one: a server may start over, or alternate, under ever new tokens.
        if let Some(fingerprint) = facts.fingerprint
            && let Some(former) = self.fingerprints.insert(fingerprint, self.pages)
        {
            return Err(Error::RepeatedBody { page: self.pages, former });
        }
        if let Some(place) = &facts.unreadable_next {
            return Err(Error::UnreadableNext { page: self.pages, place: place.clone() });
        }
        self.empty_in_a_row = if facts.records == 0 { self.empty_in_a_row + 1 } else { 0 };
        match self.advance(facts)? {
            Ok(token) => self.go_on(token),
            Err(reason) => self.end(reason),
        }
    }

    /// `Ok` = the next token, `Err` = why there is none.
    fn advance(&self, facts: &PageFacts) -> Result<Result<PageToken, EndReason>, Error> {
        let link = || facts.next_link.clone().map(PageToken::Link);
        Ok(match &self.paginator {
            Paginator::Single => Err(EndReason::SinglePage),
            Paginator::Unstated => match (link(), facts.sign_of_next.as_ref().or(facts.sign_of_total.as_ref())) {
                (Some(token), _) => Ok(token),
                (None, Some(sign)) if self.pages == 1 => return Err(Error::Unstated { sign: sign.clone() }),
                (None, None) if self.pages == 1 => Err(EndReason::SinglePage),
                (None, _) => self.no_next_link(facts)?,
            },
            Paginator::LinkHeader | Paginator::Odata | Paginator::NextUrl { .. } => match link() {
                Some(token) => Ok(token),
                None => self.no_next_link(facts)?,
            },
            Paginator::Cursor { from, .. } => match (facts.has_more, &facts.cursor) {
                (Some(false), _) => Err(EndReason::ServerFlag),
                (_, Some(cursor)) => Ok(PageToken::Cursor(cursor.clone())),
                (Some(true), None) => return Err(Error::MoreWithoutPlace { page: self.pages }),
                (None, None) => match from {
                    CursorFrom::LastRecord(_) if facts.records == 0 => Err(EndReason::EmptyPage),
                    CursorFrom::LastRecord(path) => {
                        return Err(Error::NoTokenInRecord { page: self.pages, path: path.to_string() });
                    }
                    CursorFrom::Body(_) | CursorFrom::Header(_) => self.no_next_link(facts)?,
                },
            },
            Paginator::Offset { size, bounds, .. } => match self.counted_end(facts, bounds, Some(*size)) {
                Some(reason) => Err(reason),
                // The next offset would be this one: what else there is stands nowhere.
                None if facts.records == 0 => return Err(Error::MoreWithoutPlace { page: self.pages }),
                // Counted from what came, not from what was asked: servers lower the page size in silence.
                None => Ok(PageToken::Offset(self.records)),
            },
            Paginator::Page { first, size, bounds, .. } => {
                match self.counted_end(facts, bounds, size.as_ref().map(|size| size.size)) {
                    Some(reason) => Err(reason),
                    None => Ok(PageToken::Page(first + self.pages)),
                }
            }
        })
    }

    /// No link where one is expected is the end, unless the answer itself says that there is more.
    fn no_next_link(&self, facts: &PageFacts) -> Result<Result<PageToken, EndReason>, Error> {
        match &facts.sign_of_next {
            Some(sign) => Err(Error::MoreElsewhere { page: self.pages, sign: sign.clone() }),
            None => Ok(Err(EndReason::NoNextLink)),
        }
    }

    /// What the API says outright goes before what we conclude: an empty or short page is no end while it tells of more.
    fn counted_end(&self, facts: &PageFacts, bounds: &Bounds, size: Option<u64>) -> Option<EndReason> {
        if facts.has_more == Some(false) {
            Some(EndReason::ServerFlag)
        } else if facts.has_more == Some(true) {
            None
        } else if let Some(total_pages) = self.total_pages
            && (facts.records > 0 || self.pages < total_pages)
        {
            (self.pages >= total_pages).then_some(EndReason::TotalReached)
        } else if facts.records == 0 {
            Some(EndReason::EmptyPage)
        } else if self.total.is_some_and(|total| self.records >= total) {
            Some(EndReason::TotalReached)
        } else if bounds.short_page_ends && size.is_some_and(|size| facts.records < size) {
            Some(EndReason::ShortPage)
        } else {
            None
        }
    }

    fn go_on(&mut self, token: PageToken) -> Result<Step, Error> {
        if self.empty_in_a_row > EMPTY_PAGES_MAX {
            return Err(Error::TooManyEmpty { empty: self.empty_in_a_row });
        }
        if self.pages >= PAGES_MAX {
            return Err(Error::TooManyPages { pages: self.pages });
        }
        if !self.seen.insert(token_hash(&token)) {
            return Err(Error::Loop { page: self.pages });
        }
        self.current = token.clone();
        Ok(Step::More(token))
    }

    fn end(&self, reason: EndReason) -> Result<Step, Error> {
        let is_counted = matches!(self.paginator, Paginator::Offset { .. } | Paginator::Page { .. });
        let moved = self.first_total.zip(self.total).filter(|(first, last)| is_counted && first != last);
        match (self.proof, self.total) {
            (TotalProof::Required, Some(total)) if total != self.records => {
                Err(Error::TotalDiffers { total, records: self.records, pages: self.pages })
            }
            (TotalProof::Required | TotalProof::Waived, _) => {
                Ok(Step::End(WalkEnd { reason, pages: self.pages, records: self.records, moved }))
            }
        }
    }
}

/// 64 bits a token instead of the token: a million pages stay within a few MB.
fn token_hash(token: &PageToken) -> u64 {
    let mut hasher = DefaultHasher::new();
    token.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(records: u64) -> PageFacts {
        PageFacts { records, ..PageFacts::default() }
    }

    fn offset(bounds: Bounds) -> Paginator {
        Paginator::Offset { param: "offset".into(), size_param: "limit".into(), size: 10, bounds }
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
            send: super::super::CursorSend::Param("cursor".into()),
            has_more,
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
}
