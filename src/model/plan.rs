//! The checked job: what the file means. Building it opens nothing, reads no secret and asks no server.

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use crate::limits::{PAGES_MAX, WALK_BYTES_MAX, WALK_TIME_MAX};
use crate::model::answer::{AnswerFormat, Packing};
use crate::model::credential::{Entra, Oauth2, Session, Windows};
use crate::model::deletes::Deletes;
use crate::model::destination::Destination;
use crate::model::fields::{Contract, FieldPlan};
use crate::model::gates::Gates;
use crate::model::incremental::Incremental;
use crate::model::json_path::JsonPath;
use crate::model::network::NetworkPlan;
use crate::model::notify::Receiver;
use crate::model::quota::{BudgetLimits, QuotaHeaders};
use crate::model::refresh::PowerBi;
use crate::model::request::{ReportPlan, RequestPlan, ResponseRule};
use crate::model::slices::{Dimension, FailingSlices, Parent};
use crate::paging::Paginator;
use crate::schedule::Schedule;

/// A job whose every value was checked; only `Job::from_spec` makes one.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// Folder name in the destination; `[a-z0-9_-]+`.
    pub name: String,
    pub source: Source,
    /// At least one; names unique.
    pub streams: Vec<Stream>,
    pub destination: Destination,
    pub alias: bool,
    pub tables: Tables,
    /// Absent = it runs when somebody says so.
    pub schedule: Option<Schedule>,
    /// Who is told what became of runs.
    pub notify: Vec<Receiver>,
    /// What of Power BI is refreshed. Absent = nothing.
    pub powerbi: Option<PowerBi>,
    pub resume: Resumption,
    pub timeouts: Timeouts,
    /// What each table must be like to be published.
    pub gates: BTreeMap<String, Gates>,
    pub keep: Keep,
    /// The settings' values after `--set`, for templates.
    pub settings: BTreeMap<String, SettingValue>,
    /// SHA-256 of the job file's text, for the manifest.
    pub config_hash: String,
}

impl Job {
    /// Names of what its runs refresh in Power BI.
    pub(crate) fn refreshed(&self) -> impl Iterator<Item = &str> {
        self.powerbi.iter().flat_map(|powerbi| powerbi.targets.iter().map(|target| target.name.as_str()))
    }

    /// The gates of one of the job's tables.
    pub(crate) fn gates_of(&self, table: &str) -> &Gates {
        self.gates.get(table).expect("every table of the job has its gates")
    }
}

/// When a run is given up. Absent = never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Timeouts {
    /// The whole run, waits included.
    pub run: Option<Duration>,
    /// Without a page, a part or anything else that gets it further; a wait for a quota is none.
    pub stall: Option<Duration>,
}

/// What becomes of a run that was not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resumption {
    /// Nothing is kept, and the next run begins anew.
    Never,
    /// The next run goes on where it stopped, if it began no longer ago.
    Within(Duration),
}

/// Whether a table that fails holds back the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tables {
    #[default]
    Together,
    /// It keeps its former rows.
    Independent,
}

/// What stays of former snapshots: the last ones, and those that were replaced less than the time ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keep {
    /// The current one counts; at least one.
    pub snapshots: usize,
    /// At least as long as the longest refresh of a reader, and the longest run. A file that no manifest names stays for
    /// as long, too.
    pub time: Duration,
}

/// Value of a setting as templates see it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub(crate) enum SettingValue {
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
}

/// A remote API: one origin, one credential.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// https, or http to loopback or where the job allows it; no user, query or fragment; its path ends with `/`.
    pub base_url: Url,
    /// Other origins that links may lead to; no credential goes there.
    pub allow_origins: Vec<Url>,
    pub dialect: Dialect,
    /// Whether the service describes its types.
    pub has_metadata: bool,
    pub auth: Auth,
    pub limits: SourceLimits,
    pub network: NetworkPlan,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Rest,
    Odata,
}

/// Bounds of the requests of one source, over all its streams.
#[derive(Debug, Clone)]
pub(crate) struct SourceLimits {
    pub in_flight: u32,
    /// Of this process. Absent = no such limit was set by the job.
    pub per_second: Option<u32>,
    /// Of everybody who uses the budget.
    pub budget: BudgetLimits,
    /// Name of the budget. Absent = it is named after the origin and the credential.
    pub shared_as: Option<String>,
    /// Longest wait inside a run, for our own budget or for the server's.
    pub pause_max: Duration,
    pub headers: QuotaHeaders,
}

/// How requests prove who they are; secrets stay references until `Secrets::resolve`.
#[derive(Debug, Clone)]
pub(crate) enum Auth {
    Anonymous,
    Key { value: SecretSource, place: KeyPlace, prefix: String },
    Basic { username: TextSource, password: SecretSource },
    Bearer { token: SecretSource },
    Oauth2(Box<Oauth2>),
    Entra(Box<Entra>),
    Session(Box<Session>),
    Windows(Box<Windows>),
}

#[derive(Debug, Clone)]
pub(crate) enum KeyPlace {
    /// Basic with an empty user: what Power Query's Key kind sends.
    Basic,
    Header(String),
    Param(String),
    Cookie(String),
    /// A member of a JSON body or a field of a form.
    Body(JsonPath),
}

/// What a provider does with a refresh token that was used, and how often it may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rotation {
    pub class: RotationClass,
    /// How long a used refresh token is still taken. Absent = not known.
    pub window: Option<Duration>,
    /// A refresh token that is not used for so long is void. Absent = not known.
    pub idle: Option<Duration>,
    /// The provider refuses to replace an access token younger than this. Zero = it does not.
    pub age_min: Duration,
    /// Error codes by which the provider says, beside the standard's `invalid_grant`, that it does not take a token.
    pub invalid_codes: Vec<String>,
}

/// What happens when a refresh token is used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum RotationClass {
    /// A: there is one refresh token for good.
    NotRotated,
    /// B: every refresh token stays valid.
    OldStaysValid,
    /// C: the old one stays valid until its successor is used.
    ValidUntilSuccessorUsed,
    /// D: the old one stays valid for `Rotation::window`.
    ValidForWindow,
    /// E: the old one is refused.
    SingleUse,
    /// F: the old one is refused and takes all its successors with it.
    ReuseRevokesFamily,
}

/// Where a secret is found when the run starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SecretSource {
    Environment(String),
    File(std::path::PathBuf),
}

/// A text that may be public: typed in the job or found like a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TextSource {
    Literal(String),
    Reference(SecretSource),
}

/// One dataset of the source.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    /// `[a-z][a-z0-9_]*`, at most 63 characters.
    pub name: String,
    pub request: RequestPlan,
    /// Absent = the answers are there when they are asked for.
    pub report: Option<ReportPlan>,
    pub records: RecordsAt,
    pub format: AnswerFormat,
    pub packing: Packing,
    pub paginator: Paginator,
    /// In their order; the first that holds decides.
    pub rules: Vec<ResponseRule>,
    /// Empty = not cut.
    pub slices: Vec<Dimension>,
    /// Absent = the stream stands alone.
    pub parent: Option<Parent>,
    pub failing_slices: FailingSlices,
    pub budget: WalkBudget,
    pub changes: Changes,
    /// Absent = read whole every time.
    pub incremental: Option<Incremental>,
    pub key: Vec<String>,
    pub write: WriteMode,
    /// Absent = rows of records that are gone stay.
    pub deletes: Option<Deletes>,
    pub fields: FieldPlan,
    /// An expression over `record`. Absent = every record becomes a row.
    pub filter: Option<String>,
    /// Columns that the job adds; texts are templates.
    pub added: Vec<(String, serde_json::Value)>,
    pub contract: Contract,
}

impl Stream {
    /// Names of the streams that are read before this one.
    pub(crate) fn waits_for(&self) -> impl Iterator<Item = &str> {
        let parent = self.parent.iter().map(|parent| parent.stream.as_str());
        parent.chain(self.deletes.as_ref().and_then(Deletes::list))
    }

    /// Names of the tables that the stream becomes, its own first.
    pub(crate) fn table_names(&self) -> Vec<&str> {
        let children = self.fields.tables().into_iter().map(|child| child.table.as_str());
        std::iter::once(self.name.as_str()).chain(children).collect()
    }
}

/// What a read does to the rows that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum WriteMode {
    /// They go.
    #[default]
    Replace,
    /// They stay; of records that come again by their key, too.
    Append,
    /// They stay but for those that come again by their key.
    Merge,
}

/// What one walk may cost; more is an error that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WalkBudget {
    pub pages: u64,
    pub bytes: u64,
    pub time: Duration,
}

impl Default for WalkBudget {
    fn default() -> Self {
        WalkBudget { pages: PAGES_MAX, bytes: WALK_BYTES_MAX, time: WALK_TIME_MAX }
    }
}

/// What is done about a table that changed while it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Changes {
    /// It is an error.
    #[default]
    Fail,
    /// It is read once more; if it changed again it is published with a flag.
    RepeatThenFlag,
}

/// Where the records stand in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RecordsAt {
    /// The job names the path.
    Path(JsonPath),
    /// The document when it is an array; OData's `value`, `d.results` or `d`; else the only array among its members.
    Found,
    /// The job names a list and a place inside each of its items: `edges[*].node`. A list there gives all its items.
    Each { list: JsonPath, inner: JsonPath },
}

/// A store and the prefix below which the job's folder stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A folder of this machine, absolute.
    Local(std::path::PathBuf),
    /// `az`, `s3` or `gs`.
    Remote(Url),
}
