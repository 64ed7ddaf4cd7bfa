//! How further pages are found, as data: a paginator says what it wants to see of an answer, then where the next page
//! is or why the walk is over. Pure; the requests are made elsewhere.

use crate::model::json_path::JsonPath;

mod error;
#[cfg(test)]
mod tests;
pub(crate) mod walk;

/// A way of paging. Closed: what varies beyond it is data in the job file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Paginator {
    /// The job says that one page is all.
    Single,
    /// The job says nothing: the Link header and OData next links are followed, and an answer that shows other signs
    /// of further pages is an error.
    Unstated,
    LinkHeader,
    Odata,
    NextUrl {
        path: JsonPath,
    },
    Cursor {
        from: CursorFrom,
        send: CursorSend,
        has_more: Option<JsonPath>,
        flag: Flag,
        /// Absent = the API tells no total.
        total: Option<TotalAt>,
    },
    Offset {
        param: String,
        size_param: String,
        size: u64,
        sent_in: SentIn,
        reading: Reading,
        bounds: Bounds,
    },
    Page {
        param: String,
        first: u64,
        size: Option<PageSize>,
        total_pages: Option<JsonPath>,
        sent_in: SentIn,
        reading: Reading,
        bounds: Bounds,
    },
}

/// Whether every page must say if there is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Flag {
    #[default]
    Optional,
    Required,
}

/// Where the numbers of a counted walk are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum SentIn {
    #[default]
    Query,
    /// As members of the body, or fields of the form.
    Body,
}

/// Whether pages are asked for before the ones before them are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Reading {
    #[default]
    InTurn,
    /// As far as the total tells how many there are.
    Ahead,
}

/// Where a cursor's next value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CursorFrom {
    Body(JsonPath),
    Header(String),
    LastRecord(JsonPath),
}

/// How a cursor's value is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CursorSend {
    Param(String),
    Header(String),
    /// A member of the JSON body, a variable of GraphQL, a field of the form.
    Body(JsonPath),
    /// A parameter that holds a condition; `template` reads the cursor as `last`.
    Condition {
        param: String,
        template: String,
    },
}

/// The page size and the parameter that asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageSize {
    /// Absent = the size is known but not sent.
    pub param: Option<String>,
    pub size: u64,
}

/// What ends a counted walk besides an empty page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Bounds {
    /// Absent = the API tells no total.
    pub total: Option<TotalAt>,
    /// Absent = the API has no such flag.
    pub has_more: Option<JsonPath>,
    pub short_page_ends: bool,
}

/// Where the total number of records stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TotalAt {
    /// Where OData tells its count, of every version.
    Odata,
    Body(JsonPath),
    Header(String),
}
