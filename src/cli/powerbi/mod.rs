//! `haul powerbi`: queries, projects and dataflows that read the published tables.

mod check;
mod link_file;
mod refresh;
mod written;

use std::path::Path;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use self::written::Change;
use super::Surroundings;
use super::args::{
    IncrementalArgs, JobArgs, KitArgs, PowerbiArgs, PowerbiDataflowArgs, PowerbiMArgs, PowerbiPbidsArgs,
    PowerbiPbipArgs, PowerbiVerb, WayArgs,
};
use super::failure::{Exit, Failure};
use super::output::{Output, columns};
use super::signals::{interrupted, until_signalled};
use crate::engine::{KitFailure, KitWishes, LoadedKit, load_kit, open_store};
use crate::job::load;
use crate::powerbi::m::{self, Variant};
use crate::powerbi::{Reach, TextFile, dataflow, pbids, pbip, query_files};

/// The parameter with the name of the share.
const POLICY: &str = "SasPolicy";

pub(super) async fn run(around: Surroundings, args: PowerbiArgs) -> Result<Exit, Failure> {
    let output = around.output;
    match args.verb {
        PowerbiVerb::M(args) => queries(output, args).await,
        PowerbiVerb::Pbip(args) => project(output, args).await,
        PowerbiVerb::Dataflow(args) => dataflow(output, args).await,
        PowerbiVerb::Pbids(args) => data_source(output, args).await,
        PowerbiVerb::Check(args) => check::run(output, args).await,
        PowerbiVerb::Refresh(args) => refresh::run(around, args).await,
    }
}

async fn queries(output: Output, args: PowerbiMArgs) -> Result<Exit, Failure> {
    let loaded = kit(output, &args.kit, &args.incremental).await?;
    let variant = if args.self_contained { Variant::SelfContained } else { Variant::Shared };
    let queries = match (&loaded.kit.tables[..], variant) {
        ([only], Variant::SelfContained) if !args.kit.tables.is_empty() => vec![m::query(&loaded.kit, only, variant)],
        _ => m::queries(&loaded.kit, variant),
    };
    let pollings = m::pollings(&loaded.kit);
    if let Some(folder) = &args.out {
        let mut files = query_files(&queries);
        files.extend(query_files(&pollings).into_iter().map(|file| file.below("polling")));
        return write(output, &loaded, folder, "m", &files, args.force, &[]);
    }
    if output.is_json {
        let list = |queries: &[m::Query]| -> Value {
            queries.iter().map(|query| json!({ "name": query.name, "text": query.text })).collect()
        };
        let mut document = document(&loaded, &[], "queries", list(&queries));
        document["polling"] = list(&pollings);
        output.json(&document);
        return Ok(Exit::Done);
    }
    match &queries[..] {
        [only] => output.link(&only.text),
        queries => output.link(m::document(queries).trim_end()),
    }
    told(output, &loaded, &[]);
    Ok(Exit::Done)
}

async fn project(output: Output, args: PowerbiPbipArgs) -> Result<Exit, Failure> {
    let mut loaded = kit(output, &args.kit, &args.incremental).await?;
    let parameters = args.out.join(pbip::parameters_path(&loaded.kit.job));
    if let Some(text) = written::read(&parameters)? {
        let known = pbip::parameter_values(&text);
        // Another policy has another signature.
        let is_same = args.kit.way.share.is_none() || args.kit.way.share.as_ref() == known.get(POLICY);
        let reach = &mut loaded.kit.reach;
        let newest = reach.parameters().into_iter().find(|(name, _)| *name == POLICY).map(|(_, id)| id.to_owned());
        if is_same && reach.fill(&known) {
            loaded.notes.push("the project keeps the signature that was filled in there".to_owned());
            let kept = known.get(POLICY).map(String::as_str).unwrap_or_default();
            if let Some(newest) = newest.filter(|newest| !newest.is_empty() && newest != kept) {
                loaded.notes.push(format!(
                    "it is of `{kept}`, and the share that ends last is `{newest}`; `--share {newest}` takes that one"
                ));
            }
        }
    }
    let project = pbip::project(&loaded.kit);
    let mut next = vec![format!("open `{}` in Power BI Desktop", project.entry)];
    next.extend(unfilled(&loaded.kit.reach).map(|names| format!("there: Transform data > Edit parameters > {names}")));
    loaded.notes.extend(project.notes);
    write(output, &loaded, &args.out, "pbip", &project.files, args.force, &next)
}

async fn dataflow(output: Output, args: PowerbiDataflowArgs) -> Result<Exit, Failure> {
    let loaded = kit(output, &args.kit, &IncrementalArgs { incremental: Vec::new() }).await?;
    let next = unfilled(&loaded.kit.reach).map(|names| format!("in each query fill in {names}"));
    let next: Vec<String> = next.into_iter().collect();
    write(output, &loaded, &args.out, "dataflow", &dataflow::files(&loaded.kit), args.force, &next)
}

async fn data_source(output: Output, args: PowerbiPbidsArgs) -> Result<Exit, Failure> {
    let wishes = KitWishes { address: args.address, ..KitWishes::default() };
    let loaded = loaded(output, &args.job, &wishes).await?;
    let change = written::write_one(&args.out, &pbids::text(&loaded.kit), args.force)?;
    if output.is_json {
        let file = json!({ "path": args.out.display().to_string(), "change": change });
        output.json(&document(&loaded, &[], "files", json!([file])));
        return Ok(Exit::Done);
    }
    output.line(format!("{change} {}", args.out.display()));
    Ok(Exit::Done)
}

async fn kit(output: Output, args: &KitArgs, incremental: &IncrementalArgs) -> Result<LoadedKit, Failure> {
    let WayArgs { share, folder, address, address_file, with_signature } = &args.way;
    let address = match address_file {
        Some(file) => Some(link_file::read_address(file)?),
        None => address.clone(),
    };
    let wishes = KitWishes {
        tables: args.tables.clone(),
        ranges: incremental.incremental.iter().cloned().collect(),
        address,
        policy: share.clone(),
        is_folder_only: *folder,
        has_signature: *with_signature,
    };
    loaded(output, &args.job, &wishes).await
}

async fn loaded(output: Output, args: &JobArgs, wishes: &KitWishes) -> Result<LoadedKit, Failure> {
    let job = load(&args.file, &args.set)?;
    let store = open_store(&job)?;
    let cancel = CancellationToken::new();
    let loaded = until_signalled(output, &cancel, async {
        tokio::select! {
            loaded = load_kit(&store, wishes) => Some(loaded),
            () = cancel.cancelled() => None,
        }
    });
    loaded.await?.ok_or_else(interrupted)?.map_err(failure)
}

/// What somebody asked for wrongly is one kind of ending, what is not there another one.
fn failure(error: KitFailure) -> Failure {
    let hint = error.hint();
    let failure = match error {
        KitFailure::Store(error) => return error.into(),
        KitFailure::Unpublished { .. } => Failure::failed(error.to_string()),
        error => Failure::usage(error.to_string()),
    };
    Failure { hint, ..failure }
}

fn write(
    output: Output,
    loaded: &LoadedKit,
    folder: &Path,
    kind: &str,
    files: &[TextFile],
    is_forced: bool,
    next: &[String],
) -> Result<Exit, Failure> {
    let changes = written::write(folder, kind, &loaded.kit, files, is_forced)?;
    if output.is_json {
        let files: Vec<Value> =
            changes.iter().map(|(path, change)| json!({ "path": path, "change": change })).collect();
        output.json(&document(loaded, next, "files", Value::from(files)));
        return Ok(Exit::Done);
    }
    let seen = changes.iter().filter(|(_, change)| *change != Change::Unchanged);
    let rows: Vec<Vec<String>> = seen.map(|(path, change)| vec![change.to_string(), path.clone()]).collect();
    for line in columns(&rows, &[false, false]) {
        output.line(line);
    }
    let unchanged = changes.iter().filter(|(_, change)| *change == Change::Unchanged).count();
    if unchanged > 0 {
        let all = if unchanged == changes.len() { "all".to_owned() } else { format!("{unchanged} of") };
        output.line(format!("{all} {} files in {} are unchanged", changes.len(), folder.display()));
    }
    told(output, loaded, next);
    Ok(Exit::Done)
}

fn document(loaded: &LoadedKit, next: &[String], name: &str, value: Value) -> Value {
    json!({
        "job": loaded.kit.job,
        "snapshot": loaded.snapshot,
        "address": loaded.kit.reach.address(),
        "unfilled": loaded.kit.reach.unfilled(),
        name: value,
        "notes": loaded.notes,
        "next": next,
    })
}

/// What the result cannot say itself.
fn told(output: Output, loaded: &LoadedKit, next: &[String]) {
    for note in &loaded.notes {
        output.note(format!("note: {note}"));
    }
    let reach = &loaded.kit.reach;
    if reach.has_secret() {
        output.note("note: the signature stands in it, and is a password: keep it out of repositories and mails");
    } else if let Some(names) = unfilled(reach) {
        let is_policy = reach.unfilled().contains(&POLICY);
        let hint = if is_policy { "`haul share create JOBFILE` makes a share" } else { "`haul share show` prints it" };
        output.note(format!("note: {names} is to be filled in; {hint}"));
    }
    for step in next {
        output.note(format!("next: {step}"));
    }
}

/// The parameters that wait for a value, for people.
fn unfilled(reach: &Reach) -> Option<String> {
    let names = reach.unfilled();
    (!names.is_empty()).then(|| names.join(", "))
}
