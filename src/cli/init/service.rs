//! An OData service: which of its entity sets are read, and each of them tried.

use super::Init;
use super::finish::Report;
use crate::cli::failure::Failure;
use crate::engine::Class;
use crate::engine::guide::{Guide, GuideError, Looked, Settled, untried};
use crate::job::draft::{Draft, Said, StreamDraft, flow, stream_name};
use crate::limits::GUESS_SETS_TRIED_MAX;
use crate::source::EntitySet;
use crate::source::guess::Sighting;

/// Entity sets that are listed to choose from.
const SETS_LISTED_MAX: usize = 80;
/// Tables whose first rows are shown.
const SHOWN_MAX: usize = 3;

impl Init {
    /// Whether an OData service describes itself, and the keys of the streams from there.
    pub(super) async fn describe(&self, draft: &mut Draft) -> Result<Vec<EntitySet>, Failure> {
        let mut asked = draft.clone();
        asked.is_odata = true;
        asked.streams =
            vec![StreamDraft { name: "metadata".into(), path: "/$metadata".into(), ..StreamDraft::default() }];
        let guide = self.open(&asked).await?;
        let sets = match guide.look(&asked, 0).await {
            Ok(Looked::Sighted(sighting)) => match *sighting {
                Sighting::Service { sets, .. } => sets,
                Sighting::Records(_) | Sighting::OpenApi { .. } => Vec::new(),
            },
            Err(GuideError::Run(error)) if error.class() == Class::Interrupted => return Err(error.into()),
            Ok(Looked::Refused { .. } | Looked::Graphql(_)) | Err(_) => Vec::new(),
        };
        draft.has_metadata = !sets.is_empty();
        for stream in &mut draft.streams {
            let set = stream.path.trim_matches('/');
            key_of(stream, sets.iter().find(|known| known.name == set));
        }
        Ok(sets)
    }

    pub(super) async fn service(
        &self,
        draft: &mut Draft,
        sets: Vec<EntitySet>,
        report: &mut Report,
    ) -> Result<(), Failure> {
        draft.is_odata = true;
        draft.streams.clear();
        let described = self.describe(draft).await?;
        // A service document leaves out what cannot be read; the description knows the keys.
        let sets: Vec<EntitySet> = sets
            .into_iter()
            .map(|set| described.iter().find(|known| known.name == set.name).cloned().unwrap_or(set))
            .collect();
        let chosen = self.choose_sets(&sets).await?;
        let mut failure = None;
        let mut guide: Option<Guide> = None;
        for (number, set) in chosen.iter().enumerate() {
            let mut stream = StreamDraft {
                name: stream_name(&set.name, &draft.streams),
                path: format!("/{}", set.name.trim_start_matches('/')),
                ..StreamDraft::default()
            };
            key_of(&mut stream, Some(set));
            if number >= GUESS_SETS_TRIED_MAX {
                stream.paging = Some(Said::new("odata".into(), "Next links, as OData services send them."));
                untried(&mut stream, &format!("{GUESS_SETS_TRIED_MAX} entity sets were, limit GUESS_SETS_TRIED_MAX"));
                draft.streams.push(stream);
                continue;
            }
            draft.streams.push(stream);
            let open = match guide.take() {
                Some(open) => open,
                None => self.open(draft).await?,
            };
            match self.settle_set(&open, draft).await {
                Ok(settled) => {
                    self.show(&settled.previews, &settled.paging, number < SHOWN_MAX);
                    report.add(draft.streams.last().expect("it was pushed"), &settled);
                }
                Err(GuideError::Run(error)) if matches!(error.class(), Class::Interrupted | Class::Login) => {
                    return Err(error.into());
                }
                Err(error) => {
                    draft.streams.pop();
                    let left_out = Failure::from(error);
                    self.note(format!("{}: left out: {}", set.name, left_out.error));
                    draft.head.push(format!("Left out: {}. {}", set.name, left_out.error));
                    failure = Some(left_out);
                }
            }
            guide = Some(open);
        }
        match failure {
            Some(failure) if draft.streams.is_empty() => Err(failure),
            _ => Ok(()),
        }
    }

    async fn settle_set(&self, guide: &Guide, draft: &mut Draft) -> Result<Settled, GuideError> {
        let at = draft.streams.len() - 1;
        match guide.look(draft, at).await? {
            Looked::Sighted(sighting) => match *sighting {
                Sighting::Records(records) => guide.settle(draft, at, &records).await,
                Sighting::Service { .. } | Sighting::OpenApi { .. } => Err(GuideError::NoRecords),
            },
            Looked::Graphql(_) => Err(GuideError::NoRecords),
            Looked::Refused { error, .. } => Err(GuideError::Run(*error)),
        }
    }

    async fn choose_sets(&self, sets: &[EntitySet]) -> Result<Vec<EntitySet>, Failure> {
        let names: Vec<&str> = sets.iter().map(|set| set.name.as_str()).collect();
        let chosen = self.choose_names("entity set", &names).await?;
        Ok(chosen.into_iter().map(|at| sets[at].clone()).collect())
    }

    /// Which of these lists are read: as the arguments say, or as somebody answers, or all.
    pub(super) async fn choose_names(&self, what: &str, names: &[&str]) -> Result<Vec<usize>, Failure> {
        if names.is_empty() {
            return Err(Failure::failed(format!("the service names no {what}")));
        }
        let listed = || names.iter().take(SETS_LISTED_MAX).copied().collect::<Vec<_>>().join(", ");
        let find = |name: &str| {
            let found = names.iter().position(|known| known.eq_ignore_ascii_case(name));
            found.ok_or_else(|| format!("there is no {what} `{name}`; the service has {}", listed()))
        };
        if !self.args.streams.is_empty() {
            return self.args.streams.iter().map(|name| find(name).map_err(Failure::usage)).collect();
        }
        if self.asker.is_silent || names.len() == 1 {
            return Ok((0..names.len()).collect());
        }
        self.asker.output.note(format!("It has {}", listed()));
        let pick = |answer: &str| -> Result<Vec<usize>, String> {
            if answer == "all" {
                return Ok((0..names.len()).collect());
            }
            answer.split(',').map(str::trim).filter(|name| !name.is_empty()).map(&find).collect()
        };
        let check = |answer: &str| match pick(answer)? {
            picked if picked.is_empty() => Err("name at least one".to_owned()),
            _ => Ok(()),
        };
        let answer =
            self.asker.ask("Which of them, separated by commas, or all", Some("all"), "--stream", check).await?;
        pick(&answer).map_err(Failure::usage)
    }
}

fn key_of(stream: &mut StreamDraft, set: Option<&EntitySet>) {
    if let Some(set) = set.filter(|set| !set.key.is_empty()) {
        let why = format!("The service's $metadata says so: {}.", flow(&serde_json::json!(set.key)));
        stream.key = Some(Said::new(serde_json::json!(set.key), why));
    }
}
