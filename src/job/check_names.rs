//! The names that a stream's templates read: each must be there when the stream is read, or a run would fail at it.

use super::problem::{Problems, did_you_mean, wrong};
use super::spec::JobSpec;
use super::yaml::join;
use crate::model::fields::RECORD;
use crate::model::plan::Stream;
use crate::model::slices::WINDOW;

/// Fields of `run`.
const RUN: &[&str] = &["id", "started_at"];

pub(super) fn check_names(spec: &JobSpec, stream: &Stream, path: &str, problems: &mut Problems<'_>) {
    let mut texts = vec![(format!("{path}.path"), stream.request.path.as_str())];
    let typed = &spec.streams;
    let own = typed.iter().find(|typed| typed.name == stream.name);
    for (kind, pairs) in [("params", &stream.request.params), ("headers", &stream.request.headers)] {
        for (name, text) in pairs {
            let is_own = own.is_some_and(|own| match kind {
                "params" => own.params.contains_key(name),
                _ => own.headers.contains_key(name),
            });
            let owner = if is_own { path } else { "source.defaults" };
            texts.push((join(&format!("{owner}.{kind}"), name), text.as_str()));
        }
    }
    for (place, text) in texts {
        for name in names_read(text) {
            check_name(spec, stream, &name, &place, problems);
        }
    }
    let filter = stream.filter.iter().map(|filter| (format!("{path}.filter"), format!("{{{{ {filter} }}}}")));
    let added = stream
        .added
        .iter()
        .filter_map(|(name, value)| Some((join(&format!("{path}.add"), name), value.as_str()?.to_owned())));
    for (place, text) in filter.chain(added) {
        for name in names_read(&text).iter().filter(|name| name.split('.').next() != Some(RECORD)) {
            check_name(spec, stream, name, &place, problems);
        }
    }
}

/// Names with their fields, as `slice.month.start`. A text that is no template is told elsewhere.
fn names_read(text: &str) -> Vec<String> {
    let environment = minijinja::Environment::new();
    let names = environment.template_from_str(text).map(|template| template.undeclared_variables(true));
    let mut names: Vec<String> = names.unwrap_or_default().into_iter().collect();
    names.sort();
    names
}

fn check_name(spec: &JobSpec, stream: &Stream, name: &str, place: &str, problems: &mut Problems<'_>) {
    let mut words = name.split('.');
    let (first, second) = (words.next().unwrap_or_default(), words.next());
    let has_window = stream.incremental.as_ref().is_some_and(|incremental| incremental.window.is_some());
    let slices: Vec<&str> =
        stream.slices.iter().map(|slice| slice.name.as_str()).chain(has_window.then_some(WINDOW)).collect();
    let settings: Vec<&str> = spec.settings.keys().map(String::as_str).collect();
    let fields: Option<&[&str]> = match first {
        "settings" => Some(&settings),
        "run" => Some(RUN),
        "slice" if !slices.is_empty() => Some(&slices),
        "cursor" if stream.incremental.is_some() => None,
        "report" if stream.report.is_some() => None,
        first if stream.parent.as_ref().is_some_and(|parent| parent.name == first) => None,
        first => {
            let mut known = vec!["settings", "run"];
            known.extend((!slices.is_empty()).then_some("slice"));
            known.extend(stream.incremental.is_some().then_some("cursor"));
            known.extend(stream.report.is_some().then_some("report"));
            known.extend(stream.parent.as_ref().map(|parent| parent.name.as_str()));
            let hint = match first {
                "cursor" => Some("a stream with `incremental` has one".to_owned()),
                "slice" => Some("a stream with `slices`, or with `incremental.window`, has them".to_owned()),
                first => did_you_mean(first, known.iter().copied()),
            };
            let draft = wrong(format!("the template reads `{first}`, which is not there")).allowed(known.join(", "));
            problems.at(place, draft.maybe_hint(hint));
            return;
        }
    };
    if let (Some(fields), Some(second)) = (fields, second)
        && !fields.contains(&second)
    {
        let allowed = if fields.is_empty() { format!("`{first}` has none") } else { fields.join(", ") };
        let draft = wrong(format!("the template reads `{first}.{second}`, which is not there")).allowed(allowed);
        problems.at(place, draft.maybe_hint(did_you_mean(second, fields.iter().copied())));
    }
}
