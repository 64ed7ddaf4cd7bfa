//! What a stream's requests look like and how their answers are judged, as the job says it. Texts are templates; they
//! are filled in where requests are made.

use std::time::Duration;

use serde_json::Value;

/// The method of a stream's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Method {
    #[default]
    Get,
    Post,
    Put,
    Delete,
}

/// A request as the job says it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct RequestPlan {
    pub method: Method,
    /// Template of the path below `base_url`, without a leading slash.
    pub path: String,
    /// Templates; defaults of the source merged in.
    pub params: Vec<(String, String)>,
    /// Templates; defaults of the source merged in.
    pub headers: Vec<(String, String)>,
    pub body: Body,
}

/// A report that the API makes first: asked for, waited for, fetched by the stream's own request, and given back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ReportPlan {
    pub create: RequestPlan,
    pub poll: RequestPlan,
    /// Expression over `status`, `headers` and `body`: the report is there.
    pub done: String,
    /// Expression: it will never be there. Absent = the API tells by status.
    pub failed: Option<String>,
    pub every: Duration,
    pub wait_max: Duration,
    /// Template of the address of the finished report. Absent = the stream's own path.
    pub download_url: Option<String>,
    /// Absent = the API forgets it by itself.
    pub delete: Option<RequestPlan>,
}

/// What a request carries.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) enum Body {
    #[default]
    Nothing,
    /// A JSON document whose texts are templates. A text that is one expression keeps the expression's type.
    Json(Value),
    Form(Vec<(String, String)>),
    Text {
        content_type: String,
        text: String,
    },
    /// `query` is sent as it is; the texts of `variables` are templates.
    Graphql {
        query: String,
        variables: Value,
    },
}

/// What a rule makes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing is there: on the first page zero records. On a later page the error it is.
    Empty,
    /// The page before was the last one. On the first page the error it is.
    End,
    Fail,
    Retry,
    /// It is taken as it is, though it tells of an error.
    Accept,
}

/// One line of `responses`: all that is said must hold. The first rule that holds decides.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ResponseRule {
    /// Empty = any status.
    pub statuses: Vec<u16>,
    /// An expression over `status`, `headers` and `body`. Absent = always.
    pub when: Option<String>,
    pub verdict: Verdict,
    /// What a failure by this rule says. Absent = what the answer says.
    pub say: Option<String>,
}
