//! The meaning of `destination.csv`: every combination that a reader could not tell apart is refused.

use chrono::{NaiveDate, NaiveDateTime};

use super::problem::{Problems, did_you_mean, wrong};
use super::spec::{CsvFormSpec, LineEndSpec, QuotesSpec};
use crate::model::csv_form::{CsvForm, LineEnd, Quotes, probes, spelled_date, spelled_moment};

/// Characters of a text that stands for null, true or false.
const WORD_CHARS_MAX: usize = 32;

fn at(name: &str) -> String {
    format!("destination.csv.{name}")
}

/// `None` = the problems say why.
pub(super) fn check_csv(spec: Option<&CsvFormSpec>, problems: &mut Problems<'_>) -> Option<CsvForm> {
    let Some(spec) = spec else { return Some(CsvForm::default()) };
    let before = problems.len();
    let default = CsvForm::default();
    let word = |typed: &Option<String>, default: &str| typed.clone().unwrap_or_else(|| default.to_owned());
    let form = CsvForm {
        delimiter: check_delimiter(spec, problems),
        bom: spec.bom.unwrap_or(default.bom),
        line_end: match spec.line_end {
            None | Some(LineEndSpec::Crlf) => LineEnd::Crlf,
            Some(LineEndSpec::Lf) => LineEnd::Lf,
        },
        header: spec.header.unwrap_or(default.header),
        quotes: match spec.quotes {
            None | Some(QuotesSpec::Needed) => Quotes::Needed,
            Some(QuotesSpec::Strings) => Quotes::Strings,
            Some(QuotesSpec::All) => Quotes::All,
        },
        null_text: word(&spec.null_text, &default.null_text),
        true_text: word(&spec.true_text, &default.true_text),
        false_text: word(&spec.false_text, &default.false_text),
        decimal_point: check_decimal_point(spec, problems),
        date_format: spec.date_format.clone(),
        datetime_format: spec.datetime_format.clone(),
        guard_formulas: spec.guard_formulas.unwrap_or(default.guard_formulas),
        utc_mark: default.utc_mark,
    };
    if form.delimiter == form.decimal_point {
        let draft = wrong("a `,` cannot both end a field and stand in a number").allowed("`;`, `|`, `tab`");
        problems.at(&at("delimiter"), draft.hint("write `delimiter: \";\"`"));
    }
    check_words(&form, problems);
    check_formats(&form, problems);
    (problems.len() == before).then_some(form)
}

fn check_delimiter(spec: &CsvFormSpec, problems: &mut Problems<'_>) -> char {
    match spec.delimiter.as_deref() {
        None | Some(",") => ',',
        Some(";") => ';',
        Some("|") => '|',
        Some("tab" | "\t") => '\t',
        Some(other) => {
            let words = ["tab", ",", ";", "|"];
            let draft = wrong(format!("`{other}` is no delimiter")).allowed("`,`, `;`, `|`, `tab`");
            problems.at(&at("delimiter"), draft.maybe_hint(did_you_mean(other, words)));
            ','
        }
    }
}

fn check_decimal_point(spec: &CsvFormSpec, problems: &mut Problems<'_>) -> char {
    match spec.decimal_point.as_deref() {
        None | Some(".") => '.',
        Some(",") => ',',
        Some(other) => {
            problems.at(&at("decimal_point"), wrong(format!("`{other}` is no decimal point")).allowed("`.`, `,`"));
            '.'
        }
    }
}

fn check_words(form: &CsvForm, problems: &mut Problems<'_>) {
    let words = [("null_text", &form.null_text), ("true_text", &form.true_text), ("false_text", &form.false_text)];
    for (name, word) in words {
        if breaks_line(word, form) || word.chars().count() > WORD_CHARS_MAX {
            let draft = wrong(format!("`{}` cannot stand in a field without quotes", word.escape_debug()));
            let allowed = format!("at most {WORD_CHARS_MAX} characters, no delimiter, quote or line break");
            problems.at(&at(name), draft.allowed(allowed));
        }
    }
    let null = &form.null_text;
    if null.starts_with(|first: char| first.is_ascii_digit()) || null.parse::<f64>().is_ok() {
        let hint = "a word such as `NULL`, or nothing";
        problems.at(&at("null_text"), wrong(format!("`{null}` looks like a number or a date")).hint(hint));
    }
    if form.true_text.is_empty() || form.false_text.is_empty() {
        let name = if form.true_text.is_empty() { "true_text" } else { "false_text" };
        problems.at(&at(name), wrong("a boolean would look like nothing").hint("write a word, for example `\"1\"`"));
    } else if form.true_text == form.false_text {
        problems.at(&at("true_text"), wrong("true and false would look the same"));
    } else if [&form.true_text, &form.false_text].contains(&null) {
        problems.at(&at("null_text"), wrong(format!("null would look like the boolean `{null}`")));
    }
}

/// Whether a text would end a field, or need quotes.
fn breaks_line(text: &str, form: &CsvForm) -> bool {
    text.contains([form.delimiter, '"', '\r', '\n'])
}

/// What a format spells must be readable again. What it may leave out are digits of the second, which are counted.
fn check_formats(form: &CsvForm, problems: &mut Problems<'_>) {
    if let Some(format) = &form.date_format {
        let is_read = |date: NaiveDate| {
            let text = spelled_date(format, date).filter(|text| !breaks_line(text, form));
            text.is_some_and(|text| NaiveDate::parse_from_str(&text, format) == Ok(date))
        };
        if !probes().into_iter().all(|probe| is_read(probe.date())) {
            let draft = wrong(format!("`{format}` does not spell whole dates so that they can be read again"));
            let hint = "strftime with year, month and day and no delimiter, for example `%d-%m-%Y`";
            problems.at(&at("date_format"), draft.hint(hint));
        }
    }
    if let Some(format) = &form.datetime_format {
        let is_read = |moment: NaiveDateTime| {
            let text = spelled_moment(format, moment).filter(|text| !breaks_line(text, form));
            let read = text.and_then(|text| NaiveDateTime::parse_from_str(&text, format).ok());
            read.is_some_and(|read| read.and_utc().timestamp() == moment.and_utc().timestamp())
        };
        if !probes().into_iter().all(is_read) {
            let draft = wrong(format!("`{format}` does not spell whole timestamps so that they can be read again"));
            let hint = "strftime with date and time to the second, no zone and no delimiter, for example \
                        `%Y-%m-%d %H:%M:%S`";
            problems.at(&at("datetime_format"), draft.hint(hint));
        }
    }
}
