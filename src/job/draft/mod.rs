//! A job file that is being written: what was said and guessed comes in, commented YAML goes out. Every guess stands there
//! with its reason, and what is not sure stands there as a comment. The same text is what is tried, so that what is
//! written is what was seen to work.

mod profiles;
#[cfg(test)]
mod tests;
mod write;

use serde_json::Value;
use url::Url;

pub(crate) use profiles::{Profile, profile, profiles};
pub(crate) use write::flow;

use super::check::{is_plain, is_reserved};
use super::check_stream::is_name;

/// Characters of a stream's name, at most.
const STREAM_NAME_CHARS_MAX: usize = 48;
const JOB_NAME_CHARS_MAX: usize = 48;

/// A value with the reasons for it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Said {
    pub value: Value,
    /// Become a comment. Empty = the user said so.
    pub why: String,
}

impl Said {
    pub(crate) fn new(value: Value, why: impl Into<String>) -> Self {
        Said { value, why: why.into() }
    }
}

/// A job file to be.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub name: String,
    /// Comments at its top.
    pub head: Vec<String>,
    pub base_url: Url,
    pub is_odata: bool,
    /// Whether an OData service describes its types.
    pub has_metadata: bool,
    /// Absent = anonymous.
    pub auth: Option<Said>,
    /// Headers of every request.
    pub headers: Vec<(String, String)>,
    pub allow_private: bool,
    pub allow_http: bool,
    pub streams: Vec<StreamDraft>,
    /// Where the tables go.
    pub destination: String,
    /// How long an answer may take while it is tried; no part of the file.
    pub patience: String,
}

/// A stream to be.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamDraft {
    pub name: String,
    /// Below the base URL.
    pub path: String,
    pub params: Vec<(String, String)>,
    /// A query of GraphQL with its variables. Absent = a plain GET.
    pub graphql: Option<(String, Value)>,
    /// Absent = where haul looks by itself.
    pub records: Option<Said>,
    /// Absent = nothing is stated.
    pub paging: Option<Said>,
    /// What could not be decided about paging; comments.
    pub paging_notes: Vec<String>,
    pub responses: Option<Said>,
    /// Absent = none was found.
    pub key: Option<Said>,
    /// Types of columns that a run would stumble over otherwise.
    pub columns: Vec<(String, String)>,
    /// Why these columns.
    pub columns_why: String,
    /// What a person should look at; comments at its end.
    pub notes: Vec<String>,
}

impl Draft {
    /// The job file.
    pub(crate) fn text(&self) -> String {
        write::job(self, false)
    }

    /// The same for a trial: answers must come soon and be of a moderate size.
    pub(crate) fn trial(&self) -> String {
        write::job(self, true)
    }
}

/// Whether a job may have this name.
pub(crate) fn is_job_name(name: &str) -> bool {
    is_plain(name) && !is_reserved(name)
}

/// A name of these words that a job may have.
pub(crate) fn job_name(words: &str) -> String {
    let name = in_small_letters(words, '-', JOB_NAME_CHARS_MAX);
    let name = if name.is_empty() || !is_plain(&name) { format!("api-{name}") } else { name };
    let name = name.trim_end_matches('-').to_owned();
    if is_reserved(&name) { format!("{name}-job") } else { name }
}

/// A name of these words that a stream may have, and that none of these has.
pub(crate) fn stream_name(words: &str, taken: &[StreamDraft]) -> String {
    // `OrderLines` is `order_lines`, and `HTTPCode` is `http_code`.
    let mut split = String::new();
    let letters: Vec<char> = words.chars().collect();
    for (at, letter) in letters.iter().enumerate() {
        let is_after_small = at > 0 && (letters[at - 1].is_lowercase() || letters[at - 1].is_ascii_digit());
        let is_before_small =
            at > 0 && letters[at - 1].is_uppercase() && letters.get(at + 1).is_some_and(|c| c.is_lowercase());
        if letter.is_uppercase() && (is_after_small || is_before_small) {
            split.push('_');
        }
        split.push(*letter);
    }
    let name = in_small_letters(&split, '_', STREAM_NAME_CHARS_MAX);
    let name = match name.as_str() {
        "" => "records".to_owned(),
        plain if is_name(plain) && !is_reserved(plain) => name,
        _ => format!("s_{name}"),
    };
    let is_free = |name: &str| taken.iter().all(|stream| stream.name != name);
    if is_free(&name) {
        return name;
    }
    // One of one more than there are is free.
    (2..taken.len() + 3).map(|number| format!("{name}_{number}")).find(|name| is_free(name)).unwrap_or(name)
}

fn in_small_letters(words: &str, between: char, chars_max: usize) -> String {
    let mut name = String::new();
    for letter in words.chars().map(|letter| letter.to_ascii_lowercase()) {
        if letter.is_ascii_alphanumeric() {
            name.push(letter);
        } else if !name.is_empty() && !name.ends_with(between) {
            name.push(between);
        }
    }
    name.chars().take(chars_max).collect::<String>().trim_matches(between).to_owned()
}
