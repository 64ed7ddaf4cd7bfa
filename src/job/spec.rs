//! The job file exactly as it is typed. Nothing here is checked beyond its shape; `Job` is the checked form.
//!
//! The doc comments become the descriptions of the JSON Schema in `config/`, which editors show.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::spec_auth::{EntraSpec, Oauth2Spec, SessionSpec, WindowsSpec};
use super::spec_network::NetworkSpec;

/// A haul job: one source, its streams, one destination.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobSpec {
    /// Name of the job and of its folder in the destination: `a-z`, `0-9`, `-`, `_`, at most 64 characters.
    pub job: String,
    /// Values that `--set name=value` may change, with their defaults; templates read them as `{{ settings.name }}`.
    #[serde(default)]
    pub settings: BTreeMap<String, SettingSpec>,
    /// The API that is read.
    pub source: SourceSpec,
    /// What is read; each stream becomes one table.
    #[schemars(length(min = 1))]
    pub streams: Vec<StreamSpec>,
    /// Where the tables go.
    pub destination: DestinationSpec,
    /// How the tables are published.
    #[serde(default)]
    pub publish: PublishSpec,
}

/// Default of a setting: a text, a number or true/false.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum SettingSpec {
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
}

/// An API: one origin, one credential.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceSpec {
    /// Address of the API, for example `https://api.example.com/v1`. Requests never leave its origin.
    pub base_url: String,
    /// Which conventions the API follows; `odata` reads next links and types of OData v4, v3 and v2.
    #[serde(default)]
    pub dialect: DialectSpec,
    /// How haul proves who it is. Default: anonymous.
    #[serde(default)]
    pub auth: AuthSpec,
    /// What every stream inherits and may override key by key.
    #[serde(default)]
    pub defaults: DefaultsSpec,
    /// How fast the API may be asked.
    #[serde(default)]
    pub limits: LimitsSpec,
    /// How the API is reached: proxy, certificates, time-outs, private networks.
    #[serde(default)]
    pub network: NetworkSpec,
    /// Allow plain `http` to a host other than this machine. The credential is then readable on the network.
    #[serde(default)]
    pub allow_http: bool,
}

/// Conventions of an API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DialectSpec {
    /// JSON over HTTP without further conventions.
    #[default]
    Rest,
    /// OData v4, v3 or v2 in JSON.
    Odata,
}

/// A kind of authentication.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AuthSpec {
    /// Nothing is sent.
    #[default]
    Anonymous,
    /// A key in a header, query parameter or cookie; without a place: Basic with an empty user, as Power Query does it.
    Key(KeySpec),
    /// User and password.
    Basic(BasicSpec),
    /// A fixed bearer token.
    Bearer(BearerSpec),
    /// OAuth2.
    Oauth2(Box<Oauth2Spec>),
    /// Microsoft Entra (Azure AD).
    Entra(Box<EntraSpec>),
    /// A login request whose answer carries a token or cookies.
    Session(Box<SessionSpec>),
    /// A user of a Windows domain: Negotiate with Kerberos, or NTLM.
    Windows(WindowsSpec),
}

/// A key and the place where the API wants it; at most one of `header`, `param` and `cookie`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeySpec {
    /// The key, as a reference: `${API_KEY}` or `${file:/run/secrets/key}`.
    pub value: SecretRef,
    /// Name of the header that carries the key.
    pub header: Option<String>,
    /// Name of the query parameter that carries the key.
    pub param: Option<String>,
    /// Name of the cookie that carries the key.
    pub cookie: Option<String>,
    /// Text before the key, for example `Token `.
    pub prefix: Option<String>,
}

/// User and password for HTTP Basic.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BasicSpec {
    /// User name; may be a reference.
    pub username: String,
    /// Password, as a reference.
    pub password: SecretRef,
}

/// A fixed bearer token.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BearerSpec {
    /// The token, as a reference.
    pub token: SecretRef,
}

/// A reference to a secret: `${NAME}` reads the environment, `${file:/path}` a file. Never the secret itself.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct SecretRef(#[schemars(regex(pattern = r"^\$\{(file:.+|[A-Za-z_][A-Za-z0-9_]*)\}$"))] pub String);

/// What streams inherit.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DefaultsSpec {
    /// Headers of every request; values are templates.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Query parameters of every first request; values are templates.
    #[serde(default)]
    pub params: BTreeMap<String, ParamSpec>,
    /// Path to the records in an answer, for example `data.items`; `$` is the whole answer.
    pub records: Option<String>,
    /// How further pages are found.
    pub paging: Option<PagingSpec>,
}

/// Value of a query parameter: a text (a template), a number or true/false.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum ParamSpec {
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
}

/// Limits of a source.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsSpec {
    /// Requests in flight at once, over all streams. Default 4.
    #[schemars(range(min = 1, max = 256))]
    pub in_flight: Option<u32>,
    /// Requests per second, over all streams. Default: no limit.
    #[schemars(range(min = 1, max = 100000))]
    pub per_second: Option<u32>,
    /// Requests per minute, over all streams. Default: no limit.
    #[schemars(range(min = 1, max = 1000000))]
    pub per_minute: Option<u32>,
}

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
    /// Headers of every request; values are templates.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Path to the records in an answer; without it: the answer itself when it is an array, OData's `value` or `d.results`, or the only array among its members.
    pub records: Option<String>,
    /// How further pages are found; without it: OData next links, the Link header, or a single page.
    pub paging: Option<PagingSpec>,
    /// Columns that identify a record.
    #[serde(default)]
    pub key: Vec<String>,
    /// Types of columns by their name in the table, for example `amount: decimal(18,4)`.
    #[serde(default)]
    pub columns: BTreeMap<String, ColumnTypeSpec>,
}

/// A column's type: text, json, integer, decimal, decimal(P,S), float, boolean, date, datetime, instant.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct ColumnTypeSpec(
    #[schemars(regex(
        pattern = r"^(text|json|integer|decimal|decimal\( *[0-9]+ *, *[0-9]+ *\)|float|boolean|date|datetime|instant)$"
    ))]
    pub String,
);

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
    /// A token from the answer, sent with the next request.
    Cursor(CursorSpec),
    /// Records to skip, counted by haul; ends at an empty page or at the total.
    Offset(OffsetSpec),
    /// Page numbers, counted by haul; ends at an empty page or at the total.
    Page(PageSpec),
}

/// Cursor paging. One of `from`, `from_header` and `from_last_record`, one of `param` and `header`.
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
}

/// Where tables go.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DestinationSpec {
    /// A folder (`./out`), or `az://container/prefix`, `s3://bucket/prefix`, `gs://bucket/prefix`. The job's name is added to it.
    pub url: String,
    /// Format of the files. Default `parquet`.
    #[serde(default)]
    pub format: FormatSpec,
    /// Options of the store by their object_store names, for example `account_name`, `access_key: ${AZURE_KEY}`, `endpoint`. Missing ones are read from the usual environment variables (`AZURE_…`, `AWS_…`, `GOOGLE_…`).
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// Largest size of one file in MiB. Default 64, because Power Query holds a whole file in memory.
    #[schemars(range(min = 1, max = 4096))]
    pub part_mib: Option<u64>,
}

/// Format of the files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FormatSpec {
    /// Parquet that every version of Power BI reads.
    #[default]
    Parquet,
    /// CSV: UTF-8 with BOM, RFC 4180, ISO dates.
    Csv,
}

/// How tables are published.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublishSpec {
    /// Also keep one file per table under the fixed name `current`. Default true.
    #[serde(default = "yes")]
    pub alias: bool,
}

fn yes() -> bool {
    true
}

impl Default for PublishSpec {
    fn default() -> Self {
        PublishSpec { alias: true }
    }
}
