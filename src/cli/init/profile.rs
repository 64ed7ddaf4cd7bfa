//! A ready job, made one's own.

use super::Init;
use super::finish::Report;
use crate::cli::failure::{Exit, Failure};
use crate::cli::preview::chosen;
use crate::cli::progress::telemetry;
use crate::engine::{Class, Context, Error, OpenError, Preview, Purpose, preview};
use crate::job::draft::Profile;
use crate::job::load::Secrets;
use crate::job::load_text;
use crate::model::plan::Job;

/// Names of jobs that only show a shape: their servers do not exist until somebody names them.
const SHAPES: &[&str] = &["odata-oauth2", "rest-next-link"];

impl Init {
    pub(super) async fn start_from(&self, profile: &Profile) -> Result<Exit, Failure> {
        let known: Vec<&str> = profile.questions.iter().map(|question| question.name).collect();
        if let Some((name, _)) = self.args.set.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            let error = format!("`--set {name}`: the profile `{}` has no such question", profile.name);
            return Err(Failure::usage(error).hint(format!("it has {}", known.join(", "))));
        }
        let name = self.job_name(self.args.name.as_deref().unwrap_or(profile.name)).await?;
        let file = self.file(&name).await?;
        let mut answers = Vec::new();
        for question in profile.questions {
            let given = self.args.set.iter().find(|(name, _)| name == question.name).map(|(_, value)| value);
            answers.push(match given {
                Some(value) => question.check(value).map(|()| value.clone()).map_err(Failure::usage)?,
                None => {
                    let otherwise = format!("--set {}=…", question.name);
                    self.asker
                        .ask(question.asks, Some(question.default), &otherwise, |answer| question.check(answer))
                        .await?
                }
            });
        }
        let destination = self.destination().await?;
        let text = profile.text(&name, &file.display().to_string(), &answers, &destination);
        let shown = file.display().to_string();
        let job = load_text(&shown, &text)?;
        let mut report = Report::new(&file);
        let untried = self.try_profile(profile, &job, &mut report).await?;
        self.write(&text, &file, report, untried).await
    }

    /// Shows the first rows where all is there that they need. `Some` = why they were not asked for.
    async fn try_profile(&self, profile: &Profile, job: &Job, report: &mut Report) -> Result<Option<String>, Failure> {
        let is_example = job.source.base_url.host_str().is_some_and(|host| host.ends_with("example.com"));
        if SHAPES.contains(&profile.name) && is_example {
            return Ok(Some("it names a server that does not exist".to_owned()));
        }
        // Of the source alone: where the tables go is not needed to look at rows.
        let missing: Vec<String> = Secrets::missing(job)
            .into_iter()
            .filter(|missing| missing.wanted_by.starts_with("source."))
            .map(|missing| missing.to_string())
            .collect();
        if !missing.is_empty() {
            return Ok(Some(missing.join("; ")));
        }
        let mut local = job.clone();
        local.destination.place = crate::model::plan::Place::Local(std::env::temp_dir());
        local.destination.options.clear();
        let telemetry = telemetry(self.around.output, "init");
        let opened = Context::open(local, &self.around.settings, Purpose::Try, self.cancel.clone(), telemetry).await;
        let ctx = match opened {
            Ok(ctx) => ctx,
            Err(OpenError::Secret(error)) => return Ok(Some(error.to_string())),
            Err(OpenError::Run(error)) => return Err(error.into()),
        };
        let first = chosen(job, None)?.into_iter().next().expect("a job has streams");
        let rows = u64::from(self.args.rows);
        match preview(&ctx, &first, None, rows, self.args.rows as usize).await {
            Ok(previews) => {
                self.show(&previews, "", true);
                report.add_tables(&first.name, &previews);
                Ok(None)
            }
            Err(error) if error.class() == Class::Login => Ok(Some("nobody has logged in yet".to_owned())),
            Err(error) => Err(failed(error)),
        }
    }

    /// First rows for people.
    pub(super) fn show(&self, previews: &[Preview], paging: &str, has_rows: bool) {
        if self.around.output.is_json {
            return;
        }
        for shown in previews {
            self.show_one(shown, has_rows);
        }
        if !paging.is_empty() {
            self.around.output.line(format!("paging: {paging}"));
        }
    }
}

fn failed(error: Error) -> Failure {
    Failure::from(error)
}
