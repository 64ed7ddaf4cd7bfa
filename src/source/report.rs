//! Reports that the API makes before they can be read: asked for, waited for, and given back.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::error::Error;
use super::fetch::Source;
use super::request::Endpoint;
use super::rules;
use super::template::Context;
use crate::http::Reply;
use crate::limits::REPORT_POLL_MAX;
use crate::model::plan::{Source as SourcePlan, Stream};
use crate::model::request::{ReportPlan, RequestPlan};
use crate::paging::walk::PageToken;

/// How much longer each wait for a report is than the one before, in percent.
const SLOWER_PERCENT: u32 = 150;

/// The steps of one report.
pub(crate) struct ReportSteps<'a> {
    pub source: &'a Source,
    pub stream: &'a Stream,
    pub plan: &'a ReportPlan,
    pub base: &'a SourcePlan,
}

impl ReportSteps<'_> {
    /// Has the report made and waits for it. The context then knows the answers as `report.create` and `report.poll`.
    pub(crate) async fn make(&self, context: &Context) -> Result<Context, Error> {
        let created = self.ask("report.create", &self.plan.create, context).await?;
        let created = document(&created);
        let mut context = context.with_value("report", &json!({ "create": created }));
        let began = Instant::now();
        let mut wait = self.plan.every;
        loop {
            let reply = self.ask("report.poll", &self.plan.poll, &context).await?;
            let polled = document(&reply);
            let answer = Ok(reply);
            if let Some(failed) = &self.plan.failed
                && rules::holds_for(failed, &answer)?
            {
                return Err(Error::ReportFailed { answer: crate::http::excerpt(polled.to_string().as_bytes()) });
            }
            if rules::holds_for(&self.plan.done, &answer)? {
                context = context.with_value("report", &json!({ "create": created, "poll": polled }));
                return Ok(context);
            }
            let waited = began.elapsed();
            if waited + wait > self.plan.wait_max {
                return Err(Error::ReportLate { waited, wait_max: self.plan.wait_max });
            }
            self.source.client().pause(wait).await?;
            wait = (wait * SLOWER_PERCENT / 100).min(REPORT_POLL_MAX.max(self.plan.every));
        }
    }

    /// Gives the report back to the API.
    pub(crate) async fn delete(&self, context: &Context) -> Result<(), Error> {
        if let Some(delete) = &self.plan.delete {
            self.ask("report.delete", delete, context).await?;
        }
        Ok(())
    }

    async fn ask(&self, step: &'static str, request: &RequestPlan, context: &Context) -> Result<Reply, Error> {
        let of = |what: &str| format!("{what} of `{step}` of stream `{}`", self.stream.name);
        let endpoint = Endpoint::of_request(request, &of, self.base, context)?;
        self.source.read_once(endpoint.request(&PageToken::First, None)?).await
    }
}

/// The whole answer as JSON, or as a text.
fn document(reply: &Reply) -> Value {
    serde_json::from_slice(reply.body.in_memory())
        .unwrap_or_else(|_| String::from_utf8_lossy(reply.body.in_memory()).into_owned().into())
}
