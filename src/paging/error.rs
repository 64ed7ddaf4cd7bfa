//! Why a walk is not whole, and what to do about it.

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
    #[error("page {page} does not say whether there is more")]
    FlagMissing { page: u64 },
    #[error(
        "the API told a total of {first} records first and of {last} on page {page}: the table changed while it was read"
    )]
    Changed { first: u64, last: u64, page: u64 },
    #[error("page {page} tells of a next page (`{sign}`), but not where the job looks for it")]
    MoreElsewhere { page: u64, sign: String },
    #[error("page {page}: {place} is neither a link nor a token, and not empty either")]
    UnreadableNext { page: u64, place: String },
    #[error("the last record of page {page} has no value at `{path}`, so the next page cannot be asked for")]
    NoTokenInRecord { page: u64, path: String },
}

impl Error {
    /// Whether another walk may go well because the table was changing.
    pub(crate) fn is_of_changes(&self) -> bool {
        match self {
            Error::Changed { .. } | Error::TotalDiffers { .. } => true,
            Error::Unstated { .. }
            | Error::Loop { .. }
            | Error::RepeatedBody { .. }
            | Error::TooManyEmpty { .. }
            | Error::TooManyPages { .. }
            | Error::MoreWithoutPlace { .. }
            | Error::MoreElsewhere { .. }
            | Error::UnreadableNext { .. }
            | Error::NoTokenInRecord { .. }
            | Error::FlagMissing { .. } => false,
        }
    }

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
            Error::Changed { .. } => Some(
                "run again when fewer people work with it, or allow it with `changes: repeat`: then it is read once more and published with a flag",
            ),
            Error::FlagMissing { .. } => {
                Some("ask for the flag in the query (`pageInfo { hasNextPage endCursor }`), or correct its path")
            }
            Error::MoreElsewhere { .. } | Error::UnreadableNext { .. } | Error::NoTokenInRecord { .. } => {
                Some("check the places that the stream's `paging` names; `haul preview` shows an answer")
            }
            Error::TooManyEmpty { .. } | Error::TooManyPages { .. } | Error::MoreWithoutPlace { .. } => None,
        }
    }
}
