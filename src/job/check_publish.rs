//! The meaning of `publish`.

use std::collections::BTreeMap;

use super::problem::{Problems, did_you_mean, wrong};
use super::spec_publish::{RequireSpec, VerdictSpec};
use super::value::check_duration;
use super::yaml::join;
use crate::model::gates::{Gates, Newest, Share, Verdict};
use crate::model::plan::{Stream, WriteMode};

/// Speaks of every table.
const ALL: &str = "*";

/// The gates of every table: the defaults, then what is said of all, then what is said of the table.
pub(super) fn check_require(
    spec: &BTreeMap<String, RequireSpec>,
    streams: &[Stream],
    problems: &mut Problems<'_>,
) -> BTreeMap<String, Gates> {
    let path = "publish.require";
    let names: Vec<&str> = streams.iter().flat_map(Stream::table_names).collect();
    for name in spec.keys().filter(|name| *name != ALL && !names.contains(&name.as_str())) {
        let draft = wrong(format!("the job has no table `{name}`")).allowed(format!("{}, \"*\"", names.join(", ")));
        problems.at(&join(path, name), draft.maybe_hint(did_you_mean(name, names.iter().copied())));
    }
    let all = spec.get(ALL).map(|spec| Asked::of(spec, &join(path, ALL), problems));
    let mut gates = BTreeMap::new();
    for stream in streams {
        for (number, name) in stream.table_names().into_iter().enumerate() {
            let mut of_table = Gates::default();
            if let Some(all) = &all {
                all.apply(&mut of_table);
            }
            if let Some(spec) = spec.get(name) {
                let path = join(path, name);
                if spec.keys.is_some() && (number > 0 || stream.key.is_empty() || stream.write != WriteMode::Replace) {
                    let draft = wrong(format!("the keys of `{name}` are not counted"));
                    let hint = "a table with a `key` that is replaced is looked through for keys that come twice; \
                                `write: append` and `merge` let none in";
                    problems.at(&join(&path, "keys"), draft.hint(hint));
                }
                Asked::of(spec, &path, problems).apply(&mut of_table);
            }
            gates.insert(name.to_owned(), of_table);
        }
    }
    gates
}

/// What the job says, read.
struct Asked<'a> {
    spec: &'a RequireSpec,
    rows_drop_max: Option<Share>,
    nulls_max: BTreeMap<String, Share>,
    newest: Option<Newest>,
}

impl<'a> Asked<'a> {
    fn of(spec: &'a RequireSpec, path: &str, problems: &mut Problems<'_>) -> Self {
        let drop = spec.rows_drop_max.as_ref();
        let rows_drop_max = drop.and_then(|text| check_share(text, &join(path, "rows_drop_max"), problems));
        let nulls = spec.nulls_max.iter().filter_map(|(column, text)| {
            let path = join(&join(path, "nulls_max"), column);
            Some((column.clone(), check_share(text, &path, problems)?))
        });
        let nulls_max = nulls.collect();
        let newest = spec.newest.as_ref().and_then(|newest| {
            let within = check_duration(&newest.within, &join(path, "newest.within"), problems)?;
            Some(Newest { column: newest.column.clone(), within })
        });
        Asked { spec, rows_drop_max, nulls_max, newest }
    }

    fn apply(&self, gates: &mut Gates) {
        let set = |verdict: &mut Verdict, said: Option<VerdictSpec>| match said {
            None => {}
            Some(VerdictSpec::Hold) => *verdict = Verdict::Hold,
            Some(VerdictSpec::Allow) => *verdict = Verdict::Allow,
        };
        gates.rows_min = self.spec.rows_min.unwrap_or(gates.rows_min);
        gates.rows_drop_max = self.rows_drop_max.unwrap_or(gates.rows_drop_max);
        set(&mut gates.empty, self.spec.empty);
        set(&mut gates.keys, self.spec.keys);
        set(&mut gates.schema_changes, self.spec.schema_changes);
        set(&mut gates.unfinished, self.spec.unfinished);
        gates.nulls_max.extend(self.nulls_max.iter().map(|(column, share)| (column.clone(), *share)));
        if let Some(newest) = &self.newest {
            gates.newest = Some(newest.clone());
        }
    }
}

fn check_share(text: &str, path: &str, problems: &mut Problems<'_>) -> Option<Share> {
    let percent = text.trim().strip_suffix('%').and_then(|number| number.trim().parse().ok());
    let share = percent.and_then(Share::of_percent);
    if share.is_none() {
        problems.at(path, wrong(format!("`{text}` is no share")).allowed("a number of percent from 0% to 100%"));
    }
    share
}
