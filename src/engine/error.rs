//! Errors as a run sees them: what failed, of which stream, and what kind of ending that means.

use std::time::Duration;

use crate::model::column::ColumnType;
use crate::paging::walk;
use crate::{auth, columns, format, http, source, state, store};

/// A failed run or stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Http(#[from] http::Error),
    #[error("{0}")]
    Auth(#[from] auth::Error),
    #[error("{0}")]
    State(#[from] state::Error),
    #[error("{0}")]
    Store(#[from] store::Error),
    #[error("stream `{stream}`, page {page}: {source}")]
    Page { stream: String, page: u64, source: source::Error },
    #[error("stream `{stream}`, its report: {source}")]
    Report { stream: String, source: source::Error },
    #[error("stream `{stream}`: {source}")]
    Endpoint { stream: String, source: source::Error },
    #[error("stream `{stream}`: {source}")]
    Walk { stream: String, source: walk::Error },
    #[error("stream `{stream}`: {source}")]
    Columns { stream: String, source: columns::Error },
    #[error("stream `{stream}`: {doing} a file: {source}")]
    Format { stream: String, doing: &'static str, source: format::Error },
    #[error("stream `{stream}`: writing a temporary file")]
    Spool { stream: String, source: std::io::Error },
    #[error("stream `{stream}`: the raw copy `{path}` cannot be read: {why}")]
    RawUnreadable { stream: String, path: String, why: String },
    #[error("making tables anew in a temporary folder")]
    Workshop { source: std::io::Error },
    #[error("stream `{stream}`: {why}, so its tables cannot be made anew")]
    NoRawCopy { stream: String, why: &'static str },
    #[error("no table of this job has a raw copy of its records")]
    NoRawCopies,
    #[error("keeping the pages of an unfinished run")]
    Kept { source: std::io::Error },
    #[error("stream `{stream}`: {rows} rows were walked, but its files hold {written}")]
    RowsDiffer { stream: String, rows: u64, written: u64 },
    #[error("stream `{stream}`: its records have no members, so there is no column to write")]
    NoColumns { stream: String },
    #[error("there is no stream `{name}`; the job has {known}")]
    UnknownStream { name: String, known: String },
    #[error("slice `{slice}`: {source}")]
    Slice { slice: String, source: Box<Error> },
    #[error("stream `{stream}`, page {page}: by the job's `responses` the answer means that nothing is there, which only {} can", if *page == 1 { "a later page" } else { "a first page" })]
    RuleOutOfPlace { stream: String, page: u64 },
    #[error("stream `{stream}`: none of its {rows} records has a value for the cursor `{column}`")]
    NoCursor { stream: String, column: String, rows: u64 },
    #[error("stream `{stream}`: {without} of {rows} records have no value for the cursor `{column}`")]
    CursorMissing { stream: String, column: String, without: u64, rows: u64 },
    #[error("stream `{stream}`: the cursor `{column}` is {kind}, which is neither its number nor its time")]
    CursorUnreadable { stream: String, column: String, kind: ColumnType },
    #[error("stream `{stream}` has more than {limit} records, and others are read for each of them (SLICES_MAX)")]
    TooManyParents { stream: String, limit: usize },
    #[error("stream `{stream}` was not read, because `{parent}`, which it is read for, failed")]
    ParentFailed { stream: String, parent: String },
    #[error("stream `{stream}`: {reached} and no end, limit `budget.{name}`")]
    Budget { stream: String, name: &'static str, reached: String },
    #[error("stream `{stream}` has no column `{column}`, which its key names")]
    NoKey { stream: String, column: String },
    #[error(
        "stream `{stream}`: column `{column}` of its key is {kind}, of which the files keep the nearest double only"
    )]
    RoundedKey { stream: String, column: String, kind: ColumnType },
    #[error("stream `{stream}`: its rows were written as `{former}`, and the job now says `{now}`")]
    OtherForm { stream: String, former: String, now: String },
    #[error("table `{table}`: column `{was}` is `{now}` now, and its former rows keep the old name")]
    RenamedColumn { table: String, was: String, now: String },
    #[error("stream `{stream}` is not incremental{}", if known.is_empty() { "; no stream of the job is".to_owned() } else { format!("; these are: {known}") })]
    NotIncremental { stream: String, known: String },
    #[error("`{value}` is no value for the cursor of stream `{stream}`")]
    CursorValue { stream: String, value: String },
    #[error("nothing is published yet")]
    NothingPublished,
    #[error("no run of this job is held")]
    NothingHeld,
    #[error("no run `{run}` is held")]
    NotHeld { run: String },
    #[error("{} runs of this job are held", runs.len())]
    ManyHeld { runs: Vec<String> },
    #[error("run `{run}` cannot be published any more: table `{table}` was published since it was held")]
    Overtaken { run: String, table: String },
    #[error("there is no snapshot before the current one")]
    NoFormerSnapshot,
    #[error("there is no snapshot `{snapshot}`")]
    SnapshotUnknown { snapshot: String },
    #[error("the snapshot `{snapshot}` was never published: another run was faster, or its own one died")]
    SnapshotUnseen { snapshot: String },
    #[error("the snapshot `{snapshot}` is what readers see already")]
    SnapshotCurrent { snapshot: String },
    #[error("the snapshot `{snapshot}` cannot be shown again: {source}")]
    SnapshotIncomplete { snapshot: String, source: store::Error },
    #[error("table `{table}`: its files are of a form `{form}` that this haul does not know")]
    UnknownForm { table: String, form: String },
    #[error("another run of this job is going on ({process})")]
    RunGoingOn { process: String },
    #[error(
        "stream `{stream}`: table `{table}` is new, and an incremental read shows the lists of the changed records only"
    )]
    NewChild { stream: String, table: String },
    #[error("stream `{stream}` has more pages than a shared record store is to hold, limit PAGE_COPIES_MAX ({limit})")]
    ManyCopies { stream: String, limit: usize },
    #[error("stream `{stream}` was not read, because `{list}`, which tells its deleted records, failed")]
    ListFailed { stream: String, list: String },
    #[error("stream `{stream}`: its sweep `{sweep}` names no key at all, and every row would go")]
    EmptySweep { stream: String, sweep: String },
    #[error("stream `{stream}`: no record has the field `{field}`, which `{word}` reads for deletions")]
    NoFeedField { stream: String, field: String, word: &'static str },
    #[error(
        "stream `{feed}`, of whose `{column}` ({kind}) a deletion in `{stream}` takes its time, has records without one"
    )]
    UndatedDeletion { stream: String, feed: String, column: String, kind: ColumnType },
    #[error("stream `{stream}`: the condition `when` on its deletions: {why}")]
    Condition { stream: String, why: String },
    #[error("stopped because another stream failed")]
    Stopped,
    #[error("stopped by a signal")]
    Interrupted,
    #[error("another run took over the lease of this job")]
    LeaseLost,
    #[error("the run was not over within {} s (`timeouts.run`)", limit.as_secs())]
    RunTooLong { limit: Duration },
    #[error("the run got no further for {} s (`timeouts.stall`)", limit.as_secs())]
    Stalled { limit: Duration },
}

/// What kind of ending an error means; each has its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Failed,
    Usage,
    Login,
    /// A person must decide.
    Held,
    /// Trying again later is useful.
    Temporary,
    Interrupted,
}

impl Error {
    pub(crate) fn class(&self) -> Class {
        match self {
            Error::Interrupted => Class::Interrupted,
            Error::UnknownStream { .. }
            | Error::OtherForm { .. }
            | Error::RenamedColumn { .. }
            | Error::RoundedKey { .. }
            | Error::NotIncremental { .. }
            | Error::CursorValue { .. }
            | Error::NothingHeld
            | Error::NotHeld { .. }
            | Error::ManyHeld { .. }
            | Error::Overtaken { .. }
            | Error::NothingPublished
            | Error::NoFormerSnapshot
            | Error::SnapshotUnknown { .. }
            | Error::SnapshotUnseen { .. }
            | Error::SnapshotCurrent { .. }
            | Error::NoRawCopy { .. }
            | Error::NoRawCopies => Class::Usage,
            Error::RunGoingOn { .. } => Class::Temporary,
            Error::Slice { source, .. } => source.class(),
            Error::Http(source) => of_http(source),
            Error::Auth(source) => of_auth(source),
            Error::State(source) => of_state(source),
            Error::LeaseLost | Error::RunTooLong { .. } | Error::Stalled { .. } => Class::Temporary,
            Error::Store(source) if source.is_temporary() => Class::Temporary,
            Error::Store(store::Error::Unconditional { .. }) => Class::Usage,
            Error::Page { source, .. } | Error::Report { source, .. } | Error::Endpoint { source, .. } => {
                of_source(source)
            }
            Error::Walk { .. }
            | Error::Columns { .. }
            | Error::Format { .. }
            | Error::Spool { .. }
            | Error::RowsDiffer { .. }
            | Error::NoColumns { .. }
            | Error::RuleOutOfPlace { .. }
            | Error::Budget { .. }
            | Error::NoKey { .. }
            | Error::NewChild { .. }
            | Error::NoCursor { .. }
            | Error::CursorMissing { .. }
            | Error::CursorUnreadable { .. }
            | Error::TooManyParents { .. }
            | Error::ParentFailed { .. }
            | Error::ManyCopies { .. }
            | Error::Kept { .. }
            | Error::RawUnreadable { .. }
            | Error::Workshop { .. }
            | Error::SnapshotIncomplete { .. }
            | Error::UnknownForm { .. }
            | Error::ListFailed { .. }
            | Error::EmptySweep { .. }
            | Error::NoFeedField { .. }
            | Error::UndatedDeletion { .. }
            | Error::Condition { .. }
            | Error::Stopped
            | Error::Store(_) => Class::Failed,
        }
    }

    /// What the user can do, where we know it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Error::Http(source) => source.hint(),
            Error::Auth(source) => source.hint(),
            Error::Store(source) => source.hint(),
            Error::Page { source, .. } | Error::Report { source, .. } | Error::Endpoint { source, .. } => source.hint(),
            Error::Walk { source, .. } => source.hint().map(str::to_owned),
            Error::Spool { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Some("the disk is full: make room and run again; what readers see is untouched".to_owned())
            }
            Error::Format { source, .. } if is_disk_full(source) => {
                Some("the disk is full: make room and run again; what readers see is untouched".to_owned())
            }
            Error::Columns { source, .. } => source.hint(),
            Error::State(source) => source.hint(),
            Error::Slice { source, .. } => source.hint(),
            Error::Kept { .. } => {
                Some("check the state folder and its disk; `resume: never` in the job does without it".to_owned())
            }
            Error::RawUnreadable { .. } => Some(
                "the tables are as they were; `haul run --full` reads the stream anew and keeps another copy".to_owned(),
            ),
            Error::Workshop { .. } => {
                Some("check the folder that TMPDIR names and its disk: the tables stand there while they are made".to_owned())
            }
            Error::NoRawCopies => Some(
                "`destination.raw_copy: true` keeps them from the next run on; incremental tables need `haul run --full` once"
                    .to_owned(),
            ),
            Error::NoRawCopy { .. } => {
                Some("`haul run --full` reads the stream from its start, and keeps what comes".to_owned())
            }
            Error::NotHeld { .. } => Some("`haul runs` lists those that are".to_owned()),
            Error::ManyHeld { runs } => Some(format!("name one of them: {}", runs.join(", "))),
            Error::Overtaken { .. } => {
                Some("discard it with `haul publish --discard`, and run the job again".to_owned())
            }
            Error::NoCursor { .. } => {
                Some("`incremental.cursor` is the path of a field in the records; `haul preview` shows them".to_owned())
            }
            Error::CursorMissing { .. } => Some("`incremental.missing: keep` keeps them".to_owned()),
            Error::CursorUnreadable { .. } => Some(
                "a cursor of time has a date in `start`, one of numbers a number; `format` says how texts are read"
                    .to_owned(),
            ),
            Error::RuleOutOfPlace { .. } => Some(
                "`then: empty` holds for a first page and `then: end` for a later one; name the other for this answer"
                    .to_owned(),
            ),
            Error::Budget { .. } => Some("the walk may go round; if not, raise the stream's `budget`".to_owned()),
            Error::RoundedKey { column, .. } => Some(format!(
                "two keys could become one: declare `{column}: text` under `columns`, or `wide_decimals: exact`"
            )),
            Error::RenamedColumn { .. } => {
                Some("`haul run --full` reads the table anew with the new name; or keep the former one".to_owned())
            }
            Error::OtherForm { .. } => Some(
                "`haul run --full` reads the table anew in the new form: what the former one changed in values is not \
                 in its files; or keep the former words"
                    .to_owned(),
            ),
            Error::NoKey { .. } => Some("`key` names columns of the table; `haul preview` shows them".to_owned()),
            Error::NewChild { .. } => Some("`haul run --full` reads the stream whole, once".to_owned()),
            Error::TooManyParents { .. } => Some("read several in one request with `for_each.batch`".to_owned()),
            Error::CursorValue { .. } => {
                Some("a number or an instant such as 2024-01-31, as `start` in the job".to_owned())
            }
            Error::EmptySweep { .. } => {
                Some("if no record may be there at all, say so: `deleted: { allow_empty: true }`".to_owned())
            }
            Error::NoFeedField { .. } => Some(
                "fields are named as in the answers, and must not be dropped; `haul preview` shows them".to_owned(),
            ),
            Error::UndatedDeletion { .. } => {
                Some("name another field under `deleted.at`: every deletion must be comparable with rows".to_owned())
            }
            Error::RunGoingOn { .. } => Some("wait until it is over".to_owned()),
            Error::RunTooLong { .. } | Error::Stalled { .. } => {
                Some("the next run goes on behind the pages that were read".to_owned())
            }
            Error::SnapshotUnknown { .. }
            | Error::SnapshotUnseen { .. }
            | Error::SnapshotCurrent { .. }
            | Error::SnapshotIncomplete { .. } => Some("`haul snapshots` lists what was published".to_owned()),
            Error::NotIncremental { .. }
            | Error::NothingHeld
            | Error::NothingPublished
            | Error::NoFormerSnapshot
            | Error::UnknownForm { .. }
            | Error::ParentFailed { .. }
            | Error::ListFailed { .. }
            | Error::Condition { .. }
            | Error::Spool { .. }
            | Error::Format { .. }
            | Error::RowsDiffer { .. }
            | Error::NoColumns { .. }
            | Error::UnknownStream { .. }
            | Error::ManyCopies { .. }
            | Error::Stopped
            | Error::Interrupted
            | Error::LeaseLost => None,
        }
    }
}

impl Error {
    /// The same error with the slice it happened in.
    pub(super) fn in_slice(self, slice: &str) -> Self {
        match self {
            Error::Stopped | Error::Interrupted => self,
            error => Error::Slice { slice: slice.to_owned(), source: Box::new(error) },
        }
    }

    /// Whether no table may be published after it, even where the job lets tables fail one by one.
    pub(super) fn ends_run(&self) -> bool {
        matches!(self.class(), Class::Interrupted | Class::Login | Class::Held | Class::Usage)
            || matches!(self, Error::Stopped | Error::LeaseLost)
    }

    /// Whether the pages that were read are good, so that another run may go on behind them.
    pub(super) fn leaves_pages(&self) -> bool {
        match self {
            Error::Slice { source, .. } => source.leaves_pages(),
            Error::Stopped | Error::Page { .. } | Error::Endpoint { .. } | Error::Report { .. } | Error::Store(_) => {
                true
            }
            Error::ParentFailed { .. } | Error::ListFailed { .. } | Error::Spool { .. } => true,
            error => matches!(error.class(), Class::Interrupted | Class::Temporary | Class::Login | Class::Held),
        }
    }

    /// Whether only the slice is at fault: the API refused it or answered nonsense. What is wrong with the job, the
    /// credential, this machine or the whole run is not.
    pub(super) fn is_of_slice(&self) -> bool {
        match self {
            Error::Page { source, .. } | Error::Report { source, .. } => source.is_of_answer(),
            Error::Walk { .. } | Error::RuleOutOfPlace { .. } => true,
            _ => false,
        }
    }
}

fn is_disk_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::StorageFull) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn of_state(error: &state::Error) -> Class {
    if error.is_temporary() { Class::Temporary } else { Class::Usage }
}

fn of_http(error: &http::Error) -> Class {
    match error {
        http::Error::Interrupted => Class::Interrupted,
        error if error.is_temporary() => Class::Temporary,
        _ => Class::Failed,
    }
}

pub(super) fn of_auth(error: &auth::Error) -> Class {
    match error {
        auth::Error::NeverLoggedIn { .. }
        | auth::Error::LoginLost { .. }
        | auth::Error::LoginRefused { .. }
        | auth::Error::DeviceCodeOver { .. } => Class::Login,
        auth::Error::NoEndpoint { .. } | auth::Error::SigningKey { .. } => Class::Usage,
        auth::Error::Held { .. } => Class::Held,
        auth::Error::Unanswered { source: http::Error::AddressRefused { .. } } => Class::Failed,
        auth::Error::Unanswered { .. }
        | auth::Error::Busy { .. }
        | auth::Error::Spilled { .. }
        | auth::Error::Kdc { .. }
        | auth::Error::Disk { .. } => Class::Temporary,
        auth::Error::KeyOpen { .. } | auth::Error::Key { .. } | auth::Error::KeyNotOurs => Class::Usage,
        auth::Error::Stopped => Class::Interrupted,
        auth::Error::Store(source) => of_state(source),
        _ => Class::Failed,
    }
}

fn of_source(error: &source::Error) -> Class {
    match error {
        source::Error::Http(source)
        | source::Error::GaveUp { source, .. }
        | source::Error::PerhapsPastEnd { source } => of_http(source),
        source::Error::Auth(source) => of_auth(source),
        source::Error::Template { .. } | source::Error::Header { .. } => Class::Usage,
        source::Error::NotReady { .. } | source::Error::RuleGaveUp { .. } | source::Error::ReportLate { .. } => {
            Class::Temporary
        }
        source::Error::Bound { .. } | source::Error::TooManySlices { .. } => Class::Usage,
        source::Error::Decode(_)
        | source::Error::Rule { .. }
        | source::Error::ReportFailed { .. }
        | source::Error::NotJson { .. }
        | source::Error::Malformed { .. }
        | source::Error::Empty { .. }
        | source::Error::Complaint { .. }
        | source::Error::Twice { .. }
        | source::Error::NoRecords { .. }
        | source::Error::Moved { .. }
        | source::Error::Metadata { .. } => Class::Failed,
    }
}
