//! How each kind of item is refreshed and looked at; the paths are below the service's root.
//!
//! - Datasets: <https://learn.microsoft.com/en-us/rest/api/power-bi/datasets/refresh-dataset-in-group> and
//!   <https://learn.microsoft.com/en-us/power-bi/connect-data/asynchronous-refresh>.
//! - Dataflows: <https://learn.microsoft.com/en-us/rest/api/power-bi/dataflows/refresh-dataflow>.
//! - Dataflows of generation 2: <https://learn.microsoft.com/en-us/rest/api/fabric/core/job-scheduler/run-on-demand-item-job>.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::error::{Error, cut, told, told_in_text};
use super::parameters::Parameter;
use super::service::{Answer, Service};
use crate::limits::REFRESH_HISTORY_MAX;
use crate::model::refresh::{Item, Target};

/// A refresh that the service took.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Its id in the history of the item. Absent = the answer did not say.
    pub id: Option<String>,
    pub request_id: Option<String>,
    /// When the service wants to be asked how it is.
    pub look_after: Option<Duration>,
    /// What the history held before.
    before: BTreeSet<String>,
}

/// Whether a refresh was taken.
pub(super) enum Start {
    Taken(Taken),
    /// Another refresh of the item is going on.
    Busy,
}

/// How a refresh is.
pub(super) enum Look {
    Going,
    Done {
        status: String,
    },
    Failed {
        status: String,
        code: Option<String>,
        said: Option<String>,
    },
    /// Left out by the service, because another one was going on.
    Skipped,
}

/// An item of the service.
pub(super) struct Conversation<'c> {
    pub service: &'c Service,
    pub target: &'c Target,
}

const NO_QUERY: BTreeMap<&str, String> = BTreeMap::new();

impl Conversation<'_> {
    /// Sets parameters of a semantic model's queries. Values stay secrets until they are sent.
    pub(super) async fn set_parameters(&self, parameters: &[Parameter]) -> Result<(), Error> {
        let details: Vec<Value> =
            parameters.iter().map(|one| json!({ "name": one.name, "newValue": one.expose() })).collect();
        let path =
            format!("groups/{}/datasets/{}/Default.UpdateParameters", self.target.workspace, self.target.item.id());
        let sent = self.service.post(&path, &NO_QUERY, Some(&json!({ "updateDetails": details }))).await;
        match sent {
            Ok(_) => Ok(()),
            Err(Error::Refused(refusal)) => Err(Error::Parameters(refusal)),
            Err(error) => Err(error),
        }
    }

    /// Asks for a refresh.
    pub(super) async fn start(&self) -> Result<Start, Error> {
        // A model's refreshes name themselves, and the service refuses a second one. Of the others what is there before tells
        // ours from the rest.
        let before = match &self.target.item {
            Item::Dataset { .. } => Vec::new(),
            Item::Dataflow { .. } | Item::DataflowGen2 { .. } => self.history().await?,
        };
        if self.is_any_going(&before) {
            return Ok(Start::Busy);
        }
        let before = before.into_iter().map(|entry| entry.id).collect();
        match self.ask().await {
            Ok(answer) => {
                let request_id = answer.request_id();
                let id = match &self.target.item {
                    Item::Dataset { .. } => answer.location_id().or_else(|| request_id.clone()),
                    Item::DataflowGen2 { .. } => answer.location_id(),
                    Item::Dataflow { .. } => None,
                };
                Ok(Start::Taken(Taken { id, request_id, look_after: answer.look_after(), before }))
            }
            Err(Error::Refused(refusal)) if matches!(refusal.status.as_u16(), 400 | 409) => {
                // Their words differ; what is going on does not.
                if refusal.is_of_another() || self.is_busy().await? {
                    Ok(Start::Busy)
                } else {
                    Err(Error::Refused(refusal))
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn ask(&self) -> Result<Answer, Error> {
        let (workspace, id) = (&self.target.workspace, self.target.item.id());
        // A mail cannot be sent for an application.
        let silent = json!({ "notifyOption": "NoNotification" });
        match &self.target.item {
            Item::Dataset { tables, .. } => {
                let body = if tables.is_empty() {
                    silent
                } else {
                    let objects: Vec<Value> = tables.iter().map(|table| json!({ "table": table })).collect();
                    json!({ "type": "full", "commitMode": "transactional", "objects": objects })
                };
                self.service.post(&format!("groups/{workspace}/datasets/{id}/refreshes"), &NO_QUERY, Some(&body)).await
            }
            Item::Dataflow { .. } => {
                self.service
                    .post(&format!("groups/{workspace}/dataflows/{id}/refreshes"), &NO_QUERY, Some(&silent))
                    .await
            }
            Item::DataflowGen2 { .. } => {
                let query = BTreeMap::from([("jobType", "Refresh".to_owned())]);
                self.service.post(&format!("workspaces/{workspace}/items/{id}/jobs/instances"), &query, None).await
            }
        }
    }

    /// Whether a refresh of the item is going on, whoever asked for it.
    pub(super) async fn is_busy(&self) -> Result<bool, Error> {
        Ok(self.is_any_going(&self.history().await?))
    }

    /// Only one goes on at a time. Of the histories whose order is known the newest entry decides: an old one may never have
    /// got its end.
    fn is_any_going(&self, history: &[Entry]) -> bool {
        match &self.target.item {
            Item::Dataset { .. } | Item::Dataflow { .. } => history.first().is_some_and(Entry::is_going),
            Item::DataflowGen2 { .. } => history.iter().any(Entry::is_going),
        }
    }

    /// How ours is.
    pub(super) async fn look(&self, taken: &mut Taken) -> Result<Look, Error> {
        let (workspace, item) = (&self.target.workspace, self.target.item.id());
        let entry = match (&self.target.item, &taken.id) {
            (Item::Dataset { tables, .. }, Some(id)) if !tables.is_empty() => {
                // The history of the item does not tell why a table failed.
                let path = format!("groups/{workspace}/datasets/{item}/refreshes/{id}");
                Some(Entry::of(&self.service.get(&path, &NO_QUERY).await?.document))
            }
            (Item::DataflowGen2 { .. }, Some(id)) => {
                let path = format!("workspaces/{workspace}/items/{item}/jobs/instances/{id}");
                let answer = self.service.get(&path, &NO_QUERY).await?;
                taken.look_after = answer.look_after();
                Some(Entry::of(&answer.document))
            }
            (_, Some(id)) => self.history().await?.into_iter().find(|entry| entry.id.eq_ignore_ascii_case(id)),
            // The newest that was not there before.
            (_, None) => self.history().await?.into_iter().find(|entry| !taken.before.contains(&entry.id)),
        };
        // The history knows of it a moment later.
        let Some(entry) = entry else { return Ok(Look::Going) };
        if taken.id.is_none() && !entry.id.is_empty() {
            taken.id = Some(entry.id.clone());
        }
        Ok(entry.look())
    }

    /// The newest refreshes, the newest first.
    async fn history(&self) -> Result<Vec<Entry>, Error> {
        let (workspace, id) = (&self.target.workspace, self.target.item.id());
        let answer = match &self.target.item {
            Item::Dataset { .. } => {
                let query = BTreeMap::from([("$top", REFRESH_HISTORY_MAX.to_string())]);
                self.service.get(&format!("groups/{workspace}/datasets/{id}/refreshes"), &query).await?
            }
            Item::Dataflow { .. } => {
                self.service.get(&format!("groups/{workspace}/dataflows/{id}/transactions"), &NO_QUERY).await?
            }
            Item::DataflowGen2 { .. } => {
                self.service.get(&format!("workspaces/{workspace}/items/{id}/jobs/instances"), &NO_QUERY).await?
            }
        };
        let entries = answer.document["value"].as_array().into_iter().flatten();
        Ok(entries.map(Entry::of).collect())
    }
}

/// A refresh as one of the histories has it.
struct Entry {
    id: String,
    status: String,
    is_ended: bool,
    code: Option<String>,
    said: Option<String>,
}

impl Entry {
    fn of(document: &Value) -> Self {
        let text = |name: &str| document[name].as_str().filter(|text| !text.is_empty());
        let id = text("requestId").or_else(|| text("id")).unwrap_or_default().to_owned();
        // The extended one says more than `Unknown`.
        let status = text("extendedStatus").or_else(|| text("status")).unwrap_or_default();
        let (code, said) = why(document);
        Entry {
            id,
            status: cut(status),
            is_ended: ["endTime", "endTimeUtc"].into_iter().any(|name| text(name).is_some()),
            code,
            said,
        }
    }

    fn is_going(&self) -> bool {
        // Entries of dataflows without a status are old ones.
        !self.status.is_empty() && matches!(self.look(), Look::Going)
    }

    fn look(&self) -> Look {
        let status = self.status.clone();
        match self.status.to_ascii_lowercase().as_str() {
            "completed" | "success" | "succeeded" => Look::Done { status },
            // `Unknown` is Power BI's word for a refresh that goes on.
            "" | "unknown" | "inprogress" | "notstarted" | "running" | "queued" | "cancelling" if !self.is_ended => {
                Look::Going
            }
            "deduped" => Look::Skipped,
            "failed" | "disabled" | "cancelled" | "canceled" | "timedout" | "error" => self.failed(status),
            // A word that we do not know: its end decides whether there is something to wait for.
            _ if self.is_ended => self.failed(status),
            _ => Look::Going,
        }
    }

    fn failed(&self, status: String) -> Look {
        Look::Failed { status, code: self.code.clone(), said: self.said.clone() }
    }
}

/// Why a refresh failed, wherever its history tells it.
fn why(document: &Value) -> (Option<String>, Option<String>) {
    let attempts = document["refreshAttempts"].as_array().into_iter().flatten().rev();
    let documents = std::iter::once(document).chain(attempts);
    let mut texts = documents.filter_map(|document| document["serviceExceptionJson"].as_str());
    if let Some(text) = texts.find(|text| !text.trim().is_empty()) {
        return told_in_text(text);
    }
    if document["failureReason"].is_object() {
        return told(&document["failureReason"]);
    }
    let messages = document["messages"].as_array().into_iter().flatten();
    let errors = messages.filter(|message| message["type"].as_str().is_none_or(|kind| kind == "Error"));
    let errors: Vec<&str> = errors.filter_map(|message| message["message"].as_str()).collect();
    (None, (!errors.is_empty()).then(|| cut(&errors.join("; "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histories_are_read_in_the_words_of_each_service() {
        let check = |document: Value, expect: &str| {
            let found = match Entry::of(&document).look() {
                Look::Going => "going".to_owned(),
                Look::Skipped => "skipped".to_owned(),
                Look::Done { .. } => "done".to_owned(),
                Look::Failed { status, code, said } => {
                    format!("{status} {} {}", code.unwrap_or_default(), said.unwrap_or_default())
                }
            };
            assert_eq!(found.trim(), expect, "{document}");
        };
        check(json!({ "status": "Unknown", "startTime": "2017-06-13T09:25:43.153Z" }), "going");
        check(json!({ "status": "Unknown", "extendedStatus": "NotStarted" }), "going");
        check(json!({ "status": "Unknown", "endTime": "2017-06-13T09:31:43.153Z" }), "Unknown");
        check(json!({ "status": "Completed", "endTime": "2017-06-13T09:31:43.153Z" }), "done");
        check(json!({ "status": "Success" }), "done");
        check(
            json!({ "status": "Failed", "serviceExceptionJson": "{\"errorCode\":\"A\",\"errorDescription\":\"b\"}" }),
            "Failed A b",
        );
        let attempts = json!([{ "serviceExceptionJson": "{\"errorCode\":\"old\"}" }, { "serviceExceptionJson": "{\"errorCode\":\"new\"}" }]);
        check(json!({ "status": "Failed", "refreshAttempts": attempts }), "Failed new");
        check(
            json!({ "status": "Failed", "messages": [{ "type": "Error", "message": "m" }, { "type": "Warning", "message": "w" }] }),
            "Failed  m",
        );
        check(json!({ "status": "Failed", "failureReason": { "errorCode": "C", "message": "d" } }), "Failed C d");
        check(json!({ "status": "Disabled" }), "Disabled");
        check(json!({ "status": "Cancelled" }), "Cancelled");
        check(json!({ "status": "Deduped", "endTimeUtc": "2023-04-22T06:35:00.8033333" }), "skipped");
        check(json!({ "status": "NewWord" }), "going");
        check(json!({ "status": "NewWord", "endTimeUtc": "2023-04-22T06:35:00.8033333" }), "NewWord");
        check(json!({ "id": "2020-08-26T16:40:55.0968787Z@e33eed4d-5b1a-4bb9-8b5b-dff1cd371109$1" }), "going");
    }
}
