//! A published dataset as a careful reader takes it: the pointer, the manifest, and every part with its size, checksum
//! and rows. Local folders only.

use std::path::{Path, PathBuf};

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use ring::digest::{SHA256, digest};
use serde_json::Value;

/// What readers see in a job's folder, read whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub snapshot: String,
    pub sequence: u64,
    /// First column of every row of the table `items`, an integer; of all parts in their order.
    pub values: Vec<i64>,
}

/// Why a reader could not read.
#[derive(Debug)]
pub struct Unread(pub String);

fn json(path: &Path) -> Result<Value, Unread> {
    let text = std::fs::read(path).map_err(|error| Unread(format!("{}: {error}", path.display())))?;
    serde_json::from_slice(&text).map_err(|error| Unread(format!("{}: {error}", path.display())))
}

/// Reads what the pointer shows. `Ok(None)` = nothing is published.
pub fn read(folder: &Path) -> Result<Option<Seen>, Unread> {
    if !folder.join("_latest.json").exists() {
        return Ok(None);
    }
    let pointer = json(&folder.join("_latest.json"))?;
    read_pointed(folder, &pointer).map(Some)
}

/// Reads what a pointer shows, which was read before.
pub fn read_pointed(folder: &Path, pointer: &Value) -> Result<Seen, Unread> {
    let manifest = json(&folder.join(pointer["manifest"].as_str().expect("a path")))?;
    assert_eq!(pointer["snapshot"], manifest["snapshot"]);
    check_parts(folder, &manifest)?;
    let mut values = Vec::new();
    for part in manifest["tables"]["items"]["parts"].as_array().expect("parts") {
        let file = std::fs::File::open(folder.join(part["path"].as_str().expect("a path")));
        let file = file.map_err(|error| Unread(format!("{part}: {error}")))?;
        let reader = SerializedFileReader::new(file).map_err(|error| Unread(format!("{part}: {error}")))?;
        let rows = reader.get_row_iter(None).map_err(|error| Unread(format!("{part}: {error}")))?;
        values.extend(rows.map(|row| row.expect("a row").get_long(0).expect("an integer")));
    }
    let text = |name: &str| manifest[name].as_str().expect("a text").to_owned();
    Ok(Seen { snapshot: text("snapshot"), sequence: manifest["sequence"].as_u64().expect("a number"), values })
}

/// Whether every part of a manifest is there as it says.
pub fn check_parts(folder: &Path, manifest: &Value) -> Result<(), Unread> {
    for (_, table) in manifest["tables"].as_object().expect("tables") {
        for part in table["parts"].as_array().expect("parts") {
            let path = folder.join(part["path"].as_str().expect("a path"));
            let content = std::fs::read(&path).map_err(|error| Unread(format!("{}: {error}", path.display())))?;
            let sha256: String = digest(&SHA256, &content).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            if part["bytes"] != content.len() || part["sha256"] != sha256 {
                return Err(Unread(format!("{} is not what the manifest says", path.display())));
            }
        }
    }
    Ok(())
}

/// The manifests in a folder of the job's, `_snapshots` or `_held`, by name.
pub fn manifests(folder: &Path, within: &str) -> Vec<(PathBuf, Value)> {
    let Ok(entries) = std::fs::read_dir(folder.join(within)) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    // Both kinds of names begin with a number; other people's files do not.
    let is_manifest = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('0'));
    paths.retain(is_manifest);
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), json(&path).expect("a manifest"))).collect()
}

/// Rows of a table as DuckDB reads them from the parts of the current snapshot, each as one text.
pub fn rows(folder: &Path, table: &str) -> Vec<String> {
    let pointer = json(&folder.join("_latest.json")).expect("a pointer");
    let manifest = json(&folder.join(pointer["manifest"].as_str().expect("a path"))).expect("a manifest");
    let parts = manifest["tables"][table]["parts"].as_array().unwrap_or_else(|| panic!("no table `{table}`"));
    let path = |part: &Value| format!("'{}'", folder.join(part["path"].as_str().expect("a path")).display());
    let parts: Vec<String> = parts.iter().map(path).collect();
    let found = super::rigs::read(&format!("select * from read_parquet([{}])", parts.join(",")), None);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let rows = found["rows"].as_array().expect("rows").iter();
    rows.map(|row| row.as_array().expect("a row").iter().map(text).collect::<Vec<_>>().join("|")).collect()
}

/// Sequences of the manifests that are there.
pub fn sequences(folder: &Path) -> Vec<u64> {
    manifests(folder, "_snapshots")
        .iter()
        .map(|(_, manifest)| manifest["sequence"].as_u64().expect("a number"))
        .collect()
}

/// Nothing that a manifest names is missing.
#[track_caller]
pub fn assert_whole(folder: &Path) {
    for within in ["_snapshots", "_held"] {
        for (path, manifest) in manifests(folder, within) {
            if let Err(error) = check_parts(folder, &manifest) {
                panic!("{}: {error:?}", path.display());
            }
        }
    }
}

/// Snapshots from the pointer back to the first one; every step must be there.
#[track_caller]
pub fn chain(folder: &Path) -> Vec<String> {
    let pointer = json(&folder.join("_latest.json")).expect("a pointer");
    let mut chain = vec![pointer["snapshot"].as_str().expect("a snapshot").to_owned()];
    loop {
        let last = chain.last().expect("a snapshot");
        let manifest = json(&folder.join(format!("_snapshots/{last}.json"))).expect("the chain is unbroken");
        match manifest["previous"].as_str() {
            Some(previous) => chain.push(previous.to_owned()),
            None => return chain,
        }
    }
}
