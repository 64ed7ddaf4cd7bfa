//! How a CSV file is written. The same words stand in the job file, in the manifest and in a table's list of columns.

use std::fmt::Write;

use chrono::{NaiveDate, NaiveDateTime};
use serde::{Deserialize, Serialize};

/// The form of CSV files. What stands in it was checked: no two things that a reader must tell apart look the same.
///
/// - `delimiter` is `,`, `;`, `|` or a tab, and is not `decimal_point`, which is `.` or `,`.
/// - The texts and formats hold no delimiter, quote or line break, and neither does what they spell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CsvForm {
    pub delimiter: char,
    pub bom: bool,
    pub line_end: LineEnd,
    pub header: bool,
    pub quotes: Quotes,
    /// What stands for null; never in quotes. A text that is spelled the same is in quotes.
    pub null_text: String,
    pub true_text: String,
    pub false_text: String,
    pub decimal_point: char,
    /// As strftime spells it. Absent = ISO.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_format: Option<String>,
    /// The same, for wall clocks and instants. Absent = ISO, with as many digits of the second as there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datetime_format: Option<String>,
    pub guard_formulas: bool,
    /// ISO instants end with `Z`.
    pub utc_mark: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LineEnd {
    Crlf,
    Lf,
}

/// Which fields stand in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Quotes {
    /// Those that could not be read otherwise.
    Needed,
    /// All but nulls.
    All,
    /// All texts, and the header.
    Strings,
}

impl Default for CsvForm {
    fn default() -> Self {
        CsvForm {
            delimiter: ',',
            bom: true,
            line_end: LineEnd::Crlf,
            header: true,
            quotes: Quotes::Needed,
            null_text: String::new(),
            true_text: "true".to_owned(),
            false_text: "false".to_owned(),
            decimal_point: '.',
            date_format: None,
            datetime_format: None,
            guard_formulas: false,
            utc_mark: false,
        }
    }
}

/// Microseconds of 2023-11-09T18:07:05.123456 and of the first moment of 1900: every part of both has another value.
const PROBES: [i64; 2] = [1_699_553_225_123_456, -2_208_988_800_000_000];

/// A date as the format spells it. `None` = the format speaks of what a date does not have.
pub(crate) fn spelled_date(format: &str, date: NaiveDate) -> Option<String> {
    let mut text = String::new();
    write!(text, "{}", date.format(format)).ok()?;
    Some(text)
}

/// The same for a moment.
pub(crate) fn spelled_moment(format: &str, moment: NaiveDateTime) -> Option<String> {
    let mut text = String::new();
    write!(text, "{}", moment.format(format)).ok()?;
    Some(text)
}

/// Two moments that every format of a date must be able to give back.
pub(crate) fn probes() -> [NaiveDateTime; 2] {
    PROBES.map(|micros| chrono::DateTime::from_timestamp_micros(micros).expect("a moment of the calendar").naive_utc())
}

impl CsvForm {
    /// Whether timestamps keep all their digits of the second.
    pub(crate) fn keeps_micros(&self) -> bool {
        let Some(format) = &self.datetime_format else { return true };
        probes().into_iter().all(|probe| {
            let spelled = spelled_moment(format, probe);
            spelled.and_then(|text| NaiveDateTime::parse_from_str(&text, format).ok()) == Some(probe)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_that_cut_the_second_are_known() {
        let keeps =
            |format: &str| CsvForm { datetime_format: Some(format.to_owned()), ..CsvForm::default() }.keeps_micros();
        assert!(CsvForm::default().keeps_micros());
        assert!(keeps("%Y-%m-%d %H:%M:%S%.f") && keeps("%d/%m/%Y %T%.6f"));
        assert!(!keeps("%Y-%m-%d %H:%M:%S") && !keeps("%Y-%m-%d %H:%M:%S%.3f"));
    }
}
