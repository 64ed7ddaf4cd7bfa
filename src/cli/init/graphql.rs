//! A GraphQL endpoint: which of its connections are read, and each of them tried.

use super::Init;
use super::finish::Report;
use crate::cli::failure::Failure;
use crate::engine::Class;
use crate::engine::guide::{Guide, GuideError, untried};
use crate::job::draft::{Draft, Said, StreamDraft, stream_name};
use crate::limits::GUESS_SETS_TRIED_MAX;
use crate::source::guess::{Connection, Records};

/// Tables whose first rows are shown.
const SHOWN_MAX: usize = 3;

impl Init {
    pub(super) async fn graphql(
        &self,
        draft: &mut Draft,
        guide: &Guide,
        connections: &[Connection],
        report: &mut Report,
    ) -> Result<(), Failure> {
        self.note(format!("GraphQL endpoint with {} connections", connections.len()));
        draft.head.push(
            "GraphQL. Each query asks for the plain fields of its records; add those of objects inside.".to_owned(),
        );
        let path = draft.streams[0].path.clone();
        draft.streams.clear();
        let names: Vec<&str> = connections.iter().map(|connection| connection.name.as_str()).collect();
        let mut failure = None;
        for (number, at) in self.choose_names("connection", &names).await?.into_iter().enumerate() {
            let connection = &connections[at];
            let mut stream = StreamDraft {
                name: stream_name(&connection.name, &draft.streams),
                path: path.clone(),
                graphql: Some((connection.query.clone(), connection.variables.clone())),
                ..StreamDraft::default()
            };
            if number >= GUESS_SETS_TRIED_MAX {
                stream.records = Some(Said::new(connection.records.value.clone(), connection.records.why.clone()));
                stream.paging = Some(Said::new(connection.paging.value.clone(), connection.paging.why.clone()));
                untried(&mut stream, &format!("{GUESS_SETS_TRIED_MAX} connections were, limit GUESS_SETS_TRIED_MAX"));
                draft.streams.push(stream);
                continue;
            }
            draft.streams.push(stream);
            let records = Records {
                at: Some(connection.records.clone()),
                count: 0,
                odata: None,
                pagings: vec![connection.paging.clone()],
                sign: Some("pageInfo".to_owned()),
                notes: Vec::new(),
            };
            let last = draft.streams.len() - 1;
            match guide.settle(draft, last, &records).await {
                Ok(settled) => {
                    self.show(&settled.previews, &settled.paging, number < SHOWN_MAX);
                    report.add(&draft.streams[last], &settled);
                }
                Err(GuideError::Run(error)) if matches!(error.class(), Class::Interrupted | Class::Login) => {
                    return Err(error.into());
                }
                Err(error) => {
                    draft.streams.pop();
                    let left_out = Failure::from(error);
                    self.note(format!("{}: left out: {}", connection.name, left_out.error));
                    draft.head.push(format!("Left out: {}. {}", connection.name, left_out.error));
                    failure = Some(left_out);
                }
            }
        }
        match failure {
            Some(failure) if draft.streams.is_empty() => Err(failure),
            _ => Ok(()),
        }
    }
}
