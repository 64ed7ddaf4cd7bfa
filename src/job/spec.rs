//! The job file exactly as it is typed. Nothing here is checked beyond its shape; `Job` is the checked form.
//!
//! The doc comments become the descriptions of the JSON Schema in `config/`, which editors show.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::spec_auth::{EntraSpec, Oauth2Spec, SessionSpec, WindowsSpec};
use super::spec_network::NetworkSpec;
use super::spec_notify::ReceiverSpec;
use super::spec_powerbi::PowerBiSpec;
use super::spec_publish::PublishSpec;
use super::spec_schedule::{ScheduleSpec, TimeoutsSpec};
pub(crate) use super::spec_stream::{
    BodySpec, CursorSpec, ForEachSpec, IncrementalSpec, OffsetSpec, PageSpec, PagingSpec, ResponseSpec, SliceSpec,
    StreamSpec,
};

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
    /// When the job runs by itself.
    pub schedule: Option<ScheduleSpec>,
    /// When a run is given up.
    #[serde(default)]
    pub timeouts: TimeoutsSpec,
    /// Who is told when runs fail, are held, want a login, are good again, or read nothing; and who is told that they ran at all.
    #[serde(default)]
    pub notify: Vec<ReceiverSpec>,
    /// What of Power BI is refreshed when there is something new.
    pub powerbi: Option<PowerBiSpec>,
    /// What becomes of a run that was killed or failed on the way. Default: the next one goes on behind the pages it read, if it began no more than 12 hours ago.
    pub resume: Option<ResumeSpec>,
    /// How the tables are published.
    #[serde(default)]
    pub publish: PublishSpec,
}

/// What becomes of a run that was killed or failed on the way.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ResumeSpec {
    /// Nothing of it is kept: every run begins anew.
    Never,
    /// The next run goes on behind the pages it read, if it began no longer ago than this, for example `2h`.
    Within(String),
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
    /// Whether an OData service is asked for its `$metadata`, which names the columns' types. Default true.
    #[serde(default = "yes")]
    pub metadata: bool,
    /// How haul proves who it is. Default: anonymous.
    #[serde(default)]
    pub auth: AuthSpec,
    /// What every stream inherits and may override key by key.
    #[serde(default)]
    pub defaults: DefaultsSpec,
    /// How fast the API may be asked.
    #[serde(default)]
    pub limits: LimitsSpec,
    /// Other origins that next links and downloads may lead to, for example `https://files.example.com`. No credential goes there.
    #[serde(default)]
    pub allow_origins: Vec<String>,
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
    /// A key in a header, query parameter, cookie or body; without a place: Basic with an empty user, as Power Query does it.
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

/// A key and the place where the API wants it; at most one of `header`, `param`, `cookie` and `body`.
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
    /// Path in the body that carries the key: a member of JSON, or a field of a form. Requests without a body go without it.
    pub body: Option<String>,
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
    /// Rules about answers, behind those of a stream.
    #[serde(default)]
    pub responses: Vec<ResponseSpec>,
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

/// Limits of a source. Requests per minute and per day are counted over all jobs, processes and hosts that use the same credential and the same state.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsSpec {
    /// Requests in flight at once, over all streams. Default 4.
    #[schemars(range(min = 1, max = 256))]
    pub in_flight: Option<u32>,
    /// Requests per second, over all streams of one run. Default: no limit.
    #[schemars(range(min = 1, max = 100000))]
    pub per_second: Option<u32>,
    /// Requests in any 60 seconds, evenly spaced. Default: no limit.
    #[schemars(range(min = 1, max = 1000000))]
    pub per_minute: Option<u32>,
    /// Requests per day. Default: no limit.
    #[schemars(range(min = 1, max = 100000000))]
    pub per_day: Option<u32>,
    /// When the day begins anew: `rolling` for any 24 hours, or a time as `00:00`. Default `rolling`.
    #[schemars(regex(pattern = r"^(rolling|[0-2][0-9]:[0-5][0-9])$"))]
    pub day_resets: Option<String>,
    /// Zone of the time in `day_resets`, for example `Europe/Amsterdam`. Default `UTC`.
    pub timezone: Option<String>,
    /// Longest wait inside a run, for a used-up quota or because the server asks for it, for example `2h`; a longer one ends the run with exit code 75. Default `15m`, with `per_day` `25h`.
    pub pause_max: Option<String>,
    /// Name of the budget, for jobs that share one although their credentials or addresses differ: `a-z`, `0-9`, `-`, `_`. Default: origin and credential.
    pub shared_as: Option<String>,
    /// Headers in which the API says what is left, where they are not the usual ones.
    #[serde(default)]
    pub headers: QuotaHeadersSpec,
}

/// Response headers about a quota.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuotaHeadersSpec {
    /// Header with the number of requests that are left.
    pub remaining: Option<String>,
    /// Header that says when the quota is filled again: seconds from now, seconds or milliseconds since 1970, or a date.
    pub reset: Option<String>,
}

/// A column's type: text, json, integer, decimal, decimal(P,S), float, boolean, date, datetime, instant, list(TYPE).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct ColumnTypeSpec(
    #[schemars(regex(
        pattern = r"^(text|json|integer|decimal|decimal\( *[0-9]+ *, *[0-9]+ *\)|float|boolean|date|datetime|instant|list\((text|integer|decimal|decimal\( *[0-9]+ *, *[0-9]+ *\)|float|boolean)\))$"
    ))]
    pub String,
);

/// Where tables go.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DestinationSpec {
    /// A folder (`./out`), or `az://container/prefix`, `s3://bucket/prefix`, `gs://bucket/prefix`. The job's name is added to it.
    pub url: String,
    /// Format of the files. Default `parquet`.
    #[serde(default)]
    pub format: FormatSpec,
    /// Who reads the tables: what values may be, and how Parquet stores them. Default `powerbi`.
    #[serde(default)]
    pub profile: ProfileSpec,
    /// What becomes of texts of more than 32,000 characters, counted as UTF-16 does; Power BI cuts some hundred further on, in silence. Default `truncate`. Not for `analytics`, which keeps them.
    pub long_text: Option<LongTextSpec>,
    /// How Parquet for Power BI stores decimals of more than 18 digits. Default `exact`.
    pub wide_decimals: Option<WideDecimalsSpec>,
    /// How CSV files are written. Default: UTF-8 with BOM, commas, CRLF, ISO dates.
    pub csv: Option<CsvFormSpec>,
    /// Options of the store by their object_store names, for example `account_name`, `access_key: ${AZURE_KEY}`, `endpoint`. Missing ones are read from the usual environment variables (`AZURE_…`, `AWS_…`, `GOOGLE_…`).
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// Largest size of one file in MiB. For `powerbi` at most 64, which is the default, because Power Query holds a whole file in memory; for `analytics` 256.
    #[schemars(range(min = 1, max = 4096))]
    pub part_mib: Option<u64>,
    /// Also keep the records as they came, compressed, beside the tables: `haul rebuild` makes the tables from them without asking the API. Whoever may read the folder may read them, fields that the job drops included. Default false.
    #[serde(default)]
    pub raw_copy: bool,
}

/// Format of the files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FormatSpec {
    /// Parquet.
    #[default]
    Parquet,
    /// CSV: UTF-8 with BOM, RFC 4180, ISO dates, or as `csv` says; beside it `columns.json` with names and types.
    Csv,
}

/// Who reads the tables.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProfileSpec {
    /// Power BI, with every version and gateway of it: Parquet 1.0 with Snappy, UTC as wall clock, texts up to 32,000 characters, years 1900 to 9999, finite numbers.
    #[default]
    Powerbi,
    /// DuckDB, Polars, Spark and others of today: Parquet 2 with zstd and page index, instants marked as UTC, values without those limits.
    Analytics,
}

/// What becomes of a text that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LongTextSpec {
    /// It is cut, and the run tells how many were.
    Truncate,
    /// The run fails and names the record.
    Fail,
}

/// How decimals of more than 18 digits are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WideDecimalsSpec {
    /// As DECIMAL, with all digits.
    Exact,
    /// As DOUBLE, for readers that take no DECIMAL of 16 bytes; the run tells how many values lost digits.
    Float,
}

/// How CSV files are written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CsvFormSpec {
    /// Between fields: `,`, `;`, `|` or `tab`. Default `,`.
    pub delimiter: Option<String>,
    /// Whether the file begins with a byte order mark, by which Excel knows UTF-8. Default true.
    pub bom: Option<bool>,
    /// End of a line: `crlf` or `lf`. Default `crlf`.
    pub line_end: Option<LineEndSpec>,
    /// Whether the first line names the columns. Default true.
    pub header: Option<bool>,
    /// Which fields stand in quotes: `needed`, `strings` or `all`. Default `needed`.
    pub quotes: Option<QuotesSpec>,
    /// What stands for null, never in quotes. Default: nothing. An empty text is always `""`.
    pub null_text: Option<String>,
    /// Default `true`.
    pub true_text: Option<String>,
    /// Default `false`.
    pub false_text: Option<String>,
    /// `.` or `,`. Default `.`.
    pub decimal_point: Option<String>,
    /// Spelling of dates as strftime has it, for example `%d-%m-%Y`. Default ISO.
    pub date_format: Option<String>,
    /// Spelling of timestamps as strftime has it, for example `%Y-%m-%d %H:%M:%S`. Default ISO.
    pub datetime_format: Option<String>,
    /// Whether texts that a spreadsheet would take for a formula (`=`, `+`, `-`, `@`, tab or line break first) get a `'` before them. Default false.
    pub guard_formulas: Option<bool>,
}

/// End of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LineEndSpec {
    /// As Windows ends lines, and as RFC 4180 says.
    Crlf,
    /// As everything else does.
    Lf,
}

/// Which fields stand in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QuotesSpec {
    /// Those that could not be read otherwise.
    Needed,
    /// All texts, and the header.
    Strings,
    /// All but nulls.
    All,
}

fn yes() -> bool {
    true
}
