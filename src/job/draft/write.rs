//! The text of a draft.

use std::fmt::Write;

use serde_json::Value;

use super::{Draft, StreamDraft};

/// Characters of a comment's line; terminals have 80 columns.
const COMMENT_CHARS_MAX: usize = 96;

/// The whole file.
pub(super) fn job(draft: &Draft, is_trial: bool) -> String {
    let mut text = "# yaml-language-server: $schema=job.schema.json\n".to_owned();
    text.push_str("# Editors complete and check this file with that schema: `haul schema > job.schema.json`.\n");
    for line in &draft.head {
        text.push_str(&comment(line, 0));
    }
    line(&mut text, 0, &format!("\njob: {}", draft.name));
    source(&mut text, draft, is_trial);
    text.push_str("\n# Each stream becomes one table.\nstreams:\n");
    for (index, stream) in draft.streams.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        self::stream(&mut text, stream);
    }
    if is_trial {
        // Nothing is written, and a store that is not there yet must not stand in the way.
        text.push_str("\ndestination: { url: out }\n");
        return text;
    }
    text.push_str("\n# A folder, or az://container/folder, s3://bucket/folder, gs://bucket/folder.\ndestination:\n");
    line(&mut text, 2, &format!("url: {}", scalar(&draft.destination)));
    if draft.destination.contains("://") {
        text.push_str(
            "  # Its account and key are read from the usual variables (AZURE_…, AWS_…, GOOGLE_…), or from here:\n",
        );
        text.push_str(
            "  # options: { account_name: \"${AZURE_STORAGE_ACCOUNT}\", access_key: \"${AZURE_STORAGE_KEY}\" }\n",
        );
    }
    text.push_str("  # format: csv                    # default: parquet, as Power BI reads it\n");
    text.push_str("\n# When it runs by itself, under `haul serve` or `haul run --due`:\n");
    text.push_str("# schedule: { cron: \"0 5 * * *\", timezone: Europe/Amsterdam }\n");
    text
}

fn source(text: &mut String, draft: &Draft, is_trial: bool) {
    text.push_str("\nsource:\n");
    line(text, 2, &format!("base_url: {}", scalar(draft.base_url.as_str().trim_end_matches('/'))));
    if draft.is_odata {
        text.push_str("  dialect: odata                   # next links, and types from $metadata\n");
        if !draft.has_metadata {
            text.push_str("  metadata: false                  # the service does not describe its types here\n");
        }
    }
    if draft.allow_http {
        text.push_str("  allow_http: true                 # plain http: everybody on the way can read along\n");
    }
    match &draft.auth {
        None => text.push_str("  auth: anonymous                  # it answers without a credential\n"),
        Some(auth) => {
            text.push_str(&comment(&auth.why, 2));
            text.push_str("  auth:\n");
            block(text, &auth.value, 4);
        }
    }
    if !draft.headers.is_empty() {
        text.push_str("  defaults:\n    headers:\n");
        for (name, value) in &draft.headers {
            line(text, 6, &format!("{}: {}", scalar(name), scalar(&template_text(value))));
        }
    }
    match (is_trial, draft.allow_private) {
        (true, private) => {
            let patience = &draft.patience;
            let waits =
                format!("connect_timeout: {patience}, first_byte_timeout: {patience}, stall_timeout: {patience}");
            line(text, 2, &format!("network: {{ allow_private: {private}, page_mib: 64, {waits} }}"));
        }
        (false, true) => text.push_str("  network: { allow_private: true } # it stands in a private network\n"),
        (false, false) => {}
    }
    if !is_trial {
        text.push_str("  # limits: { per_minute: 60 }     # what the API's documentation allows\n");
    }
}

fn stream(text: &mut String, stream: &StreamDraft) {
    line(text, 2, &format!("- name: {}", stream.name));
    line(text, 4, &format!("path: {}", scalar(&template_text(&stream.path))));
    if !stream.params.is_empty() {
        text.push_str("    params:\n");
        for (name, value) in &stream.params {
            line(text, 6, &format!("{}: {}", scalar(name), scalar(&template_text(value))));
        }
    }
    if let Some((query, variables)) = &stream.graphql {
        text.push_str("    body:\n      graphql:\n        query: |\n");
        for row in query.lines() {
            line(text, 10, row);
        }
        line(text, 8, &format!("variables: {}", flow(variables)));
    }
    if let Some(records) = &stream.records {
        text.push_str(&comment(&records.why, 4));
        line(text, 4, &format!("records: {}", flow(&records.value)));
    }
    for note in &stream.paging_notes {
        text.push_str(&comment(note, 4));
    }
    if let Some(paging) = &stream.paging {
        text.push_str(&comment(&paging.why, 4));
        line(text, 4, &format!("paging: {}", flow(&paging.value)));
    }
    if let Some(responses) = &stream.responses {
        text.push_str(&comment(&responses.why, 4));
        line(text, 4, &format!("responses: {}", flow(&responses.value)));
    }
    if let Some(key) = &stream.key {
        text.push_str(&comment(&key.why, 4));
        line(text, 4, &format!("key: {}", flow(&key.value)));
    }
    if !stream.columns.is_empty() {
        text.push_str(&comment(&stream.columns_why, 4));
        text.push_str("    columns:\n");
        for (name, kind) in &stream.columns {
            line(text, 6, &format!("{}: {}", scalar(name), scalar(kind)));
        }
    }
    for note in &stream.notes {
        text.push_str(&comment(note, 4));
    }
}

fn line(text: &mut String, indent: usize, words: &str) {
    let (breaks, words) = words.split_at(words.len() - words.trim_start_matches('\n').len());
    let _ = writeln!(text, "{breaks}{:indent$}{words}", "");
}

/// Words as lines of a comment. What servers say is in them: no sign may end the comment.
pub(super) fn comment(words: &str, indent: usize) -> String {
    let mut text = String::new();
    for paragraph in words.split('\n').filter(|paragraph| !paragraph.trim().is_empty()) {
        let plain: String = paragraph.chars().map(|c| if c.is_control() || is_break(c) { ' ' } else { c }).collect();
        let mut row = String::new();
        // What is indented stays so: it is an example of YAML.
        let is_kept = plain.starts_with("  ") || plain.chars().count() + indent <= COMMENT_CHARS_MAX;
        let words: Vec<&str> = if is_kept { vec![plain.trim_end()] } else { plain.split_whitespace().collect() };
        for word in words {
            if !row.is_empty() && indent + row.chars().count() + word.chars().count() + 3 > COMMENT_CHARS_MAX {
                let _ = writeln!(text, "{:indent$}# {row}", "");
                row.clear();
            }
            if !row.is_empty() {
                row.push(' ');
            }
            row.push_str(word);
        }
        if !row.is_empty() {
            let _ = writeln!(text, "{:indent$}# {row}", "");
        }
    }
    text
}

/// What YAML or an editor takes for the end of a line.
fn is_break(c: char) -> bool {
    matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// Members below each other; what is deeper than that in braces.
fn block(text: &mut String, value: &Value, indent: usize) {
    let Value::Object(members) = value else { return line(text, indent, &flow(value)) };
    for (name, member) in members {
        match member {
            Value::Object(inner) if !inner.is_empty() && inner.len() > 1 => {
                line(text, indent, &format!("{}:", scalar(name)));
                block(text, member, indent + 2);
            }
            _ => line(text, indent, &format!("{}: {}", scalar(name), flow(member))),
        }
    }
}

/// A value on one line.
pub(crate) fn flow(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: Vec<String> =
                members.iter().map(|(name, value)| format!("{}: {}", scalar(name), flow(value))).collect();
            if members.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", members.join(", ")) }
        }
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// Plain where every YAML reader agrees that it is this text, else in quotes: a JSON text is a YAML text.
fn scalar(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    let is_address = text.starts_with("http://") || text.starts_with("https://");
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '_')
        && text.chars().all(|c| is_plain(c) || is_address && ":%~+@".contains(c))
        && !text.ends_with(':')
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    let is_number =
        text.len() < 16 && !text.starts_with('0') && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if is_plain || is_number || text == "$" {
        return text.to_owned();
    }
    // JSON leaves some signs as they are that end a line in YAML.
    let quoted = serde_json::to_string(text).expect("a text is JSON");
    quoted.chars().map(|c| if is_break(c) { format!("\\u{:04x}", c as u32) } else { c.to_string() }).collect()
}

/// A literal text where the job file has a template.
fn template_text(text: &str) -> String {
    if text.contains("{{") || text.contains("{%") || text.contains("{#") {
        return format!("{{{{ {} }}}}", serde_json::to_string(text).expect("a text is JSON"));
    }
    text.to_owned()
}
