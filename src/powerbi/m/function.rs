//! The function that reads a table: the same text for every job but for the way to its folder.

use super::text::{literal, name};
use crate::powerbi::kit::Kit;
use crate::powerbi::reach::{FieldValue, Reach, SignedField};

const TEMPLATE: &str = include_str!("haul_table.pq");

pub(super) fn text(kit: &Kit) -> String {
    let marks = [
        ("{{job}}", literal(&kit.job)),
        ("{{read}}", read(&kit.reach, &kit.job)),
        ("{{from_file}}", from_file(kit).to_owned()),
        ("{{pointer}}", literal(&kit.pointer)),
        ("{{status}}", literal(&kit.status)),
    ];
    let mut text = String::with_capacity(TEMPLATE.len());
    let mut rest = TEMPLATE.trim_end();
    // One pass: what a mark stands for may look like a mark.
    while let Some((at, (mark, value))) =
        marks.iter().filter_map(|mark| Some((rest.find(mark.0)?, mark))).min_by_key(|(at, _)| *at)
    {
        text.push_str(&rest[..at]);
        text.push_str(value);
        rest = &rest[at + mark.len()..];
    }
    text.push_str(rest);
    text
}

/// The step that makes a table of a file. Excel refuses every query that names `Parquet.Document`, which it does not have, so it
/// stands only where some table needs it.
fn from_file(kit: &Kit) -> &'static str {
    if kit.tables.iter().all(|table| table.csv.is_some()) && !kit.tables.is_empty() {
        return "        FromFile = (path as text) as table => FromCsv(Read(path, false)),";
    }
    "        FromFile = (path as text) as table =>
            if Entry[format] = \"csv\" then
                FromCsv(Read(path, false))
            else
                Parquet.Document(Read(path, false)),"
}

/// The step that reads one file. The base is a literal and the only one: whatever else the address needs stands in
/// `RelativePath` and `Query`, or the Service would refuse to refresh it.
fn read(reach: &Reach, job: &str) -> String {
    let (base, folder, fields) = match reach {
        Reach::Folder { path } => {
            let folder = literal(&format!("{}/", path.trim_end_matches('/')));
            return format!(
                "        Read = (path as text, isFresh as logical) as binary => Binary.Buffer(File.Contents({folder} & path)),"
            );
        }
        Reach::Signed { base, folder, fields } => (base, folder, Some(fields)),
        Reach::Open { base, folder } => (base, folder, None),
    };
    let path = if folder.is_empty() { "path".to_owned() } else { format!("{} & path", literal(&format!("{folder}/"))) };
    let query =
        fields.map(|fields| format!("                        Query = [{}],\n", record(fields))).unwrap_or_default();
    format!(
        "        // A refused signature is the engine's own error: it asks for credentials, and means the signature.
        Read = (path as text, isFresh as logical) as binary =>
            let
                Response = Web.Contents(
                    {base},
                    [
                        RelativePath = {path},
{query}                        IsRetry = isFresh,
                        ManualStatusHandling = {{404}}
                    ]
                ),
                Content = Binary.Buffer(Response),
                Status = Value.Metadata(Response)[Response.Status]
            in
                if Status = 404 then
                    error Error.Record(
                        \"haul.NoSuchFile\",
                        \"There is no file \" & path & \" in the dataset \" & {job} & \".\",
                        \"Refresh once more. If that does not help, ask whoever runs haul to look at `haul powerbi check`.\"
                    )
                else
                    Content,",
        base = literal(base),
        job = literal(job),
    )
}

fn record(fields: &[SignedField]) -> String {
    let field = |field: &SignedField| {
        let value = match &field.value {
            FieldValue::Fixed(text) => literal(text),
            FieldValue::Parameter { name: parameter, .. } => name(parameter),
        };
        format!("{} = {value}", name(&field.name))
    };
    fields.iter().map(field).collect::<Vec<_>>().join(", ")
}
