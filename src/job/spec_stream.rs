//! The part of the job file about streams: requests, paging, slices, incremental reading. Nothing here is checked beyond
//! its shape.
//!
//! The doc comments become the descriptions of the JSON Schema in `config/`, which editors show.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::spec::{ColumnTypeSpec, ParamSpec};
use super::spec_deletes::DeletedSpec;
use super::spec_table::{ChildTableSpec, ContractSpec, NestedSpec};

/// One dataset of the source; becomes one table.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamSpec {
    /// Name of the table: `a-z`, `0-9`, `_`, starting with a letter, at most 63 characters.
    pub name: String,
    /// Path below `base_url`, for example `/orders`; a template.
    pub path: String,
    /// Query parameters of the first request; values are templates.
    #[serde(default)]
    pub params: BTreeMap<String, ParamSpec>,
    /// Method of the requests. Default `GET`, with a body `POST`.
    pub method: Option<MethodSpec>,
    /// What the requests carry.
    pub body: Option<BodySpec>,
    /// Headers of every request; values are templates.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Path to the records in an answer; without it: the answer itself when it is an array, OData's `value` or `d.results`, or the only array among its members. `edges[*].node` takes a place inside each item of a list.
    pub records: Option<String>,
    /// Form of the answers. Default `json`.
    #[serde(default)]
    pub format: AnswerFormatSpec,
    /// What the answers are packed in, apart from their transfer.
    pub compression: Option<CompressionSpec>,
    /// How further pages are found; without it: OData next links, the Link header, or a single page.
    pub paging: Option<PagingSpec>,
    /// A report that the API makes before it can be read. Templates of the stream read the answers as `report.create` and `report.poll`.
    pub report: Option<ReportSpec>,
    /// What answers mean that are neither records nor plain failures; the first rule that holds decides.
    #[serde(default)]
    pub responses: Vec<ResponseSpec>,
    /// Parts that the stream is read in; several make every combination. Templates read them as `slice.<name>`.
    #[serde(default)]
    pub slices: Vec<SliceSpec>,
    /// Read the stream once for every record of another stream.
    pub for_each: Option<ForEachSpec>,
    /// What one walk of the stream may cost; reaching a bound is an error.
    #[serde(default)]
    pub budget: BudgetSpec,
    /// What happens when a slice fails. Default `fail`.
    #[serde(default)]
    pub failed_slices: FailedSlicesSpec,
    /// What happens when the table changed while it was read, so that rows may be missing or double. Default `fail`.
    #[serde(default)]
    pub changes: ChangesSpec,
    /// Read only what is new since the last run.
    pub incremental: Option<IncrementalSpec>,
    /// Columns that identify a record.
    #[serde(default)]
    pub key: Vec<String>,
    /// What a read does to the rows that are there. Default: `replace`; with `incremental`, `merge` where there is a key, else `append`.
    pub write: Option<WriteSpec>,
    /// How the stream learns of records that are gone, and what becomes of their rows. Needs `write: merge` and a `key`.
    pub deleted: Option<DeletedSpec>,
    /// Keep only the records for which this expression holds, for example `record.status != 'draft'`; it reads the record as `record`, where a member that is missing is none.
    pub filter: Option<String>,
    /// Fields to keep, with all that is in them, for example `customer.name`. Default: all.
    #[serde(default)]
    pub select: Vec<String>,
    /// Fields to leave out.
    #[serde(default)]
    pub drop: Vec<String>,
    /// Names of columns by the path of their field, for example `customer.name: customer`. For an object: what the names of its columns begin with.
    #[serde(default)]
    pub rename: BTreeMap<String, String>,
    /// Objects that become one column of JSON text instead of a column for each member.
    #[serde(default)]
    pub nested: BTreeMap<String, NestedSpec>,
    /// Lists in the records that become tables of their own. They need the stream's `key`.
    #[serde(default)]
    pub tables: Vec<ChildTableSpec>,
    /// Columns to add, by their name: a value, or a template such as `{{ record.gross - record.tax }}` or `{{ run.started_at }}`.
    #[serde(default)]
    pub add: BTreeMap<String, ParamSpec>,
    /// Types of columns by their name in the table, for example `amount: decimal(18,4)`.
    #[serde(default)]
    pub columns: BTreeMap<String, ColumnTypeSpec>,
    /// What may change from one snapshot to the next, and what becomes of records that do not fit.
    #[serde(default)]
    pub contract: ContractSpec,
}

/// Where the next page is found, and when the walk ends.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PagingSpec {
    /// One page is all there is.
    None,
    /// The `Link` header with `rel="next"` (RFC 8288); ends when there is none.
    LinkHeader,
    /// OData next links: `@odata.nextLink` (v4), `odata.nextLink` (v3), `d.__next` (v2).
    Odata,
    /// Path to the next page's URL in the answer; ends when it is absent, null or empty.
    NextUrl(String),
    /// OData without next links: `$top` and `$skip`, proved against `$count`.
    OdataSkip(OdataSkipSpec),
    /// A token from the answer, sent with the next request.
    Cursor(CursorSpec),
    /// The key of the last record, in a condition of the next request; ends at an empty page. The records must come in the order of the key.
    Keyset(KeysetSpec),
    /// A connection of GraphQL (Relay): `pageInfo { hasNextPage endCursor }`, and `totalCount` where the query asks for it.
    Graphql(GraphqlSpec),
    /// Records to skip, counted by haul; ends at an empty page or at the total.
    Offset(OffsetSpec),
    /// Page numbers, counted by haul; ends at an empty page or at the total.
    Page(PageSpec),
}

/// Cursor paging. One of `from`, `from_header` and `from_last_record`, one of `param`, `header` and `body`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CursorSpec {
    /// Path to the token in the answer.
    pub from: Option<String>,
    /// Response header that holds the token.
    pub from_header: Option<String>,
    /// Path to the token in the last record.
    pub from_last_record: Option<String>,
    /// Query parameter that sends the token.
    pub param: Option<String>,
    /// Request header that sends the token.
    pub header: Option<String>,
    /// Path in the body that sends the token.
    pub body: Option<String>,
    /// Path to a flag that is false on the last page.
    pub has_more: Option<String>,
}

/// Offset paging.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OffsetSpec {
    /// Query parameter of the number of records to skip. Default `offset`.
    pub param: Option<String>,
    /// Query parameter of the page size. Default `limit`.
    pub size_param: Option<String>,
    /// Records to ask for in one page.
    #[schemars(range(min = 1, max = 1000000))]
    pub size: u64,
    /// Path to the total number of records; the count is proved against it.
    pub total: Option<String>,
    /// Response header with the total number of records.
    pub total_header: Option<String>,
    /// Path to a flag that is false on the last page.
    pub has_more: Option<String>,
    /// Take a page with fewer than `size` records for the last one. Saves a request; loses data where a server shortens pages.
    #[serde(default)]
    pub short_page_ends: bool,
    /// Send the numbers in the body instead of the query; the names are then paths there.
    #[serde(default)]
    pub in_body: bool,
    /// Ask for pages before the ones before them are there, as far as the total tells how many there are and `limits.in_flight` allows.
    #[serde(default)]
    pub parallel: bool,
}

/// Page-number paging.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageSpec {
    /// Query parameter of the page number. Default `page`.
    pub param: Option<String>,
    /// Number of the first page. Default 1.
    pub first: Option<u64>,
    /// Query parameter of the page size, when one is sent.
    pub size_param: Option<String>,
    /// Records to ask for in one page.
    #[schemars(range(min = 1, max = 1000000))]
    pub size: Option<u64>,
    /// Path to the total number of records; the count is proved against it.
    pub total: Option<String>,
    /// Response header with the total number of records.
    pub total_header: Option<String>,
    /// Path to the total number of pages.
    pub total_pages: Option<String>,
    /// Path to a flag that is false on the last page.
    pub has_more: Option<String>,
    /// Take a page with fewer than `size` records for the last one. Saves a request; loses data where a server shortens pages.
    #[serde(default)]
    pub short_page_ends: bool,
    /// Send the numbers in the body instead of the query; the names are then paths there.
    #[serde(default)]
    pub in_body: bool,
    /// Ask for pages before the ones before them are there, as far as the total tells how many there are and `limits.in_flight` allows.
    #[serde(default)]
    pub parallel: bool,
}

/// OData's `$top` and `$skip`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OdataSkipSpec {
    /// Records to ask for in one page.
    #[schemars(range(min = 1, max = 1000000))]
    pub size: u64,
    /// Ask for pages before the ones before them are there, as far as the count tells how many there are and `limits.in_flight` allows.
    #[serde(default)]
    pub parallel: bool,
}

/// Keyset paging.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeysetSpec {
    /// Path to the key in a record.
    pub field: String,
    /// Query parameter of the condition, for example `$filter` or `since_id`.
    pub param: String,
    /// The condition as a template that reads the key as `last`, for example `Id gt {{ last }}`. Default: the key alone. A condition that the stream's own parameter holds stays, joined by `and`.
    pub condition: Option<String>,
}

/// A connection of GraphQL.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GraphqlSpec {
    /// Path to the connection in the answer, for example `data.orders`.
    pub connection: String,
    /// Variable of the query that takes the cursor. Default `after`.
    pub variable: Option<String>,
}

/// Method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum MethodSpec {
    Get,
    Post,
    Put,
    Delete,
}

/// What a request carries.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BodySpec {
    /// A JSON document; its texts are templates, and a text that is one expression keeps the expression's type.
    Json(Value),
    /// Fields of a form; values are templates.
    Form(BTreeMap<String, ParamSpec>),
    /// A text; a template.
    Text(TextBodySpec),
    /// A query of GraphQL.
    Graphql(GraphqlBodySpec),
}

/// A body of text.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TextBodySpec {
    /// The text; a template.
    pub content: String,
    /// Its media type. Default `text/plain; charset=utf-8`.
    pub content_type: Option<String>,
}

/// A query of GraphQL.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GraphqlBodySpec {
    /// The query, sent as it is; what varies belongs into its variables.
    pub query: String,
    /// Values of the query's variables; texts are templates.
    #[serde(default)]
    pub variables: BTreeMap<String, Value>,
}

/// A report: asked for, waited for, fetched by the stream's own request, and given back.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportSpec {
    /// The request that has it made.
    pub create: StepSpec,
    /// The request that tells how far it is.
    pub poll: StepSpec,
    /// When it is there: an expression over `status`, `headers` and `body` of the poll's answer, for example `body.state == 'done'`.
    pub done: String,
    /// When it will never be there: an expression as in `done`.
    pub failed: Option<String>,
    /// Time between two looks; grows while it takes long. Default `5s`.
    pub every: Option<String>,
    /// How long it may take. Default `2h`.
    pub wait_max: Option<String>,
    /// Address of the finished report, a template such as `{{ report.poll.url }}`; the stream's `path` is not used then. Another origin must stand in `source.allow_origins`.
    pub download_url: Option<String>,
    /// The request that gives it back when it was read.
    pub delete: Option<StepSpec>,
}

/// One request of a report.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StepSpec {
    /// Path below `base_url`; a template.
    pub path: String,
    /// Default `GET`, with a body `POST`.
    pub method: Option<MethodSpec>,
    /// Query parameters; values are templates.
    #[serde(default)]
    pub params: BTreeMap<String, ParamSpec>,
    /// What the request carries.
    pub body: Option<BodySpec>,
}

/// Form of an answer.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AnswerFormatSpec {
    /// A JSON document of any size.
    #[default]
    Json,
    /// One JSON object a line.
    JsonLines,
    /// CSV with the usual delimiter, quotes and header, or as it is described here.
    Csv(CsvSpec),
    /// XML; `records` names elements from below the root, for example `items.item`.
    Xml,
}

/// How a CSV answer is written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CsvSpec {
    /// Between fields. Default `,`; `tab` for a tab.
    pub delimiter: Option<String>,
    /// Whether the first line names the columns. Default true; else they are `c1`, `c2` and so on.
    pub header: Option<bool>,
    /// Whether fields may stand in quotes. Default true; without them a `"` is a character like others.
    pub quotes: Option<bool>,
    /// Lines before the header. Default 0.
    pub skip_lines: Option<u32>,
    /// `utf8` or `latin1`. Default `utf8`.
    #[serde(default)]
    pub encoding: EncodingSpec,
}

/// Encoding of a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EncodingSpec {
    #[default]
    Utf8,
    Latin1,
}

/// What an answer is packed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CompressionSpec {
    Gzip,
    /// All files of the archive, one after another, in the order of their names.
    Zip,
}

/// A rule about answers; all that is said must hold.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResponseSpec {
    /// Status of the answer, or several.
    pub status: Option<StatusSpec>,
    /// An expression over `status`, `headers` (`-` as `_`) and `body`, for example `body.error.code == 'NO_DATA'`.
    pub when: Option<String>,
    /// What the answer means.
    pub then: VerdictSpec,
    /// What a failure says; default: the answer's first words.
    pub say: Option<String>,
}

/// One status or several.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum StatusSpec {
    One(u16),
    Several(Vec<u16>),
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum VerdictSpec {
    /// There are no records. Holds on a first page only.
    Empty,
    /// The page before was the last one. Holds behind the first page only.
    End,
    /// A failure.
    Fail,
    /// Ask again later.
    Retry,
    /// Take it as it is, although it seems to tell of an error.
    Accept,
}

/// What a read does to the rows that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WriteSpec {
    /// They go.
    Replace,
    /// They stay; what comes again by its key is left out.
    Append,
    /// They stay, and what comes again by its key takes the place of the former row.
    Merge,
}

/// What one walk may cost.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BudgetSpec {
    /// Pages. Default and most 1,000,000.
    #[schemars(range(min = 1, max = 1000000))]
    pub pages: Option<u64>,
    /// Size of the records in MiB. Default and most 4,194,304.
    #[schemars(range(min = 1, max = 4194304))]
    pub mib: Option<u64>,
    /// Time with all waits, for example `2h`. Default and most `30d`.
    pub time: Option<String>,
}

/// What happens when a slice fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailedSlicesSpec {
    /// The table fails.
    #[default]
    Fail,
    /// The table is published without it, and the manifest and the report say so.
    LeaveOut,
}

/// What happens when a table changed while it was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChangesSpec {
    /// It is an error.
    #[default]
    Fail,
    /// It is read once more; should it change again, it is published with a flag in the manifest and the report.
    Repeat,
}

/// One direction in which a stream is cut.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SliceSpec {
    /// One slice for every value.
    List(ListSpec),
    /// Windows of time.
    Dates(DateSpec),
    /// Ranges of whole numbers.
    Integers(IntegerSpec),
}

/// One slice for every value.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListSpec {
    /// Templates read the value as `slice.<name>`.
    pub name: String,
    /// The values.
    #[schemars(length(min = 1))]
    pub values: Vec<ParamSpec>,
    /// Column of the table that keeps the value.
    pub column: Option<String>,
}

/// Windows of time; templates read `slice.<name>.start` and `slice.<name>.end`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DateSpec {
    /// Name of the dimension.
    pub name: String,
    /// First instant, for example `2024-01-01`; a template.
    pub from: String,
    /// End, not part of the windows: an instant, `now` (the start of the run) or `today`; a template. Default `now`.
    pub until: Option<String>,
    /// Length of a window: `1 month`, `7d`, `12h`.
    pub step: String,
    /// How bounds are sent: `iso`, `date`, `unix`, `unix_ms`, `odata_v2`, or a strftime pattern. Default `iso`.
    pub format: Option<String>,
    /// Zone of bounds without one, for example `Europe/Amsterdam`. Default `UTC`.
    pub timezone: Option<String>,
    /// What `end` is less than the next window's start, for APIs that include their end, for example `1s` or `1d`. Default: nothing.
    pub granularity: Option<String>,
    /// Column of the table that keeps the window's start.
    pub column: Option<String>,
}

/// Ranges of whole numbers; templates read `slice.<name>.start` and `slice.<name>.end`, both part of the range.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IntegerSpec {
    /// Name of the dimension.
    pub name: String,
    /// First number; a number or a template.
    pub from: ParamSpec,
    /// End, not part of the ranges; a number or a template.
    pub until: ParamSpec,
    /// Numbers in one range.
    #[schemars(range(min = 1))]
    pub step: u64,
    /// Column of the table that keeps the range's start.
    pub column: Option<String>,
}

/// Reads a stream once for every record of another one.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForEachSpec {
    /// The other stream.
    pub stream: String,
    /// Templates read its record by this name.
    #[serde(rename = "as")]
    pub name: String,
    /// Columns to add, with the fields of the other stream's record that fill them. Default: its key, named as the record.
    pub columns: Option<BTreeMap<String, String>>,
    /// Records in one request; the name is then a list of them, for example `{{ orders | map(attribute='id') | join(',') }}`. No columns are added.
    #[schemars(range(min = 1, max = 10000))]
    pub batch: Option<u64>,
}

/// Reads only what is new since the last run. Templates read where to begin as `cursor`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IncrementalSpec {
    /// Column whose greatest value is kept for the next run.
    pub cursor: String,
    /// Where the first run begins: a whole number, or an instant such as `2020-01-01`. Its kind is the cursor's.
    pub start: ParamSpec,
    /// How instants are sent, and read where the column is a text: `iso`, `date`, `unix`, `unix_ms`, `odata_v2`, or a strftime pattern. Default `iso`.
    pub format: Option<String>,
    /// Zone of instants without one. Default `UTC`.
    pub timezone: Option<String>,
    /// How far before the cursor to begin, for records that arrive late: a span such as `1d`, or a whole number.
    pub lookback: Option<ParamSpec>,
    /// Read in windows of this length up to the start of the run; templates read `slice.window.start` and `slice.window.end`.
    pub window: Option<String>,
    /// What a window's end is less than the next one's start, for APIs that include their end.
    pub granularity: Option<String>,
    /// How long the API keeps what it tells; with an older cursor everything is read from `start`.
    pub retention: Option<String>,
    /// `newest_first`: the walk ends at the first page whose last record is older than the cursor.
    #[serde(default)]
    pub order: OrderSpec,
    /// Records without a value for the cursor: `keep` them or `fail`. Default `keep`.
    #[serde(default)]
    pub missing: MissingSpec,
    /// A cursor for every slice instead of one for the stream.
    #[serde(default)]
    pub per_slice: bool,
}

/// Order in which an API gives records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OrderSpec {
    #[default]
    Any,
    NewestFirst,
}

/// What happens to records without a cursor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MissingSpec {
    #[default]
    Keep,
    Fail,
}
