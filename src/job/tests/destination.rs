//! The profile of a job's readers, the form of its files, and every combination that is refused.

use super::{SHORTEST, check, job};
use crate::model::csv_form::{CsvForm, LineEnd, Quotes};
use crate::model::destination::{Destination, Format, LongText, NotFinite, ParquetForm, Profile, WideDecimals};

const MIB: u64 = 1024 * 1024;

fn text(more: &str) -> String {
    SHORTEST.replace("url: ./out", &format!("url: ./out, {more}"))
}

fn destination(more: &str) -> Destination {
    job(&text(more)).destination
}

fn csv(more: &str) -> CsvForm {
    match destination(&format!("format: csv, csv: {{ {more} }}")).format {
        Format::Csv(form) => *form,
        other => panic!("{other:?}"),
    }
}

fn refused(more: &str, place: &str, says: &str) {
    check(&text(more), &[(place, says)]);
}

fn csv_refused(more: &str, place: &str, says: &str) {
    refused(&format!("format: csv, csv: {{ {more} }}"), &format!("destination.csv.{place}"), says);
}

#[test]
fn the_default_is_parquet_for_power_bi() {
    let as_said = destination("format: parquet, profile: powerbi, wide_decimals: exact, long_text: truncate");
    for destination in [job(SHORTEST).destination, as_said] {
        assert_eq!(destination.profile, Profile::Powerbi);
        assert_eq!(destination.format, Format::Parquet(ParquetForm::default()));
        assert_eq!((destination.limits.text_units_max, destination.limits.long_text), (32_000, LongText::Truncate));
        assert_eq!(destination.limits.not_finite, NotFinite::Null);
        assert_eq!(destination.part_bytes_max, 64 * MIB);
    }
    let strict = destination("long_text: fail, wide_decimals: float, part_mib: 8");
    assert_eq!((strict.limits.long_text, strict.part_bytes_max), (LongText::Fail, 8 * MIB));
    let rounded = ParquetForm { profile: Profile::Powerbi, wide_decimals: WideDecimals::Float };
    assert_eq!(strict.format, Format::Parquet(rounded));
}

#[test]
fn analytics_has_no_limits_of_values() {
    let destination = destination("profile: analytics, wide_decimals: exact");
    let form = ParquetForm { profile: Profile::Analytics, wide_decimals: WideDecimals::Exact };
    assert_eq!((destination.profile, destination.format), (Profile::Analytics, Format::Parquet(form)));
    assert_eq!((destination.limits.text_units_max, destination.limits.not_finite), (usize::MAX, NotFinite::Kept));
    assert_eq!(destination.part_bytes_max, 256 * MIB);
    assert_eq!(self::destination("profile: analytics, part_mib: 4096").part_bytes_max, 4096 * MIB);
}

#[test]
fn options_that_do_not_go_together_are_told() {
    refused("profile: powerbii", "destination.profile", "did you mean `powerbi`?");
    refused("profile: analytics, long_text: fail", "destination.long_text", "keeps texts of any length");
    refused("profile: analytics, long_text: truncate", "destination.long_text", "remove `long_text`");
    refused("profile: analytics, wide_decimals: float", "destination.wide_decimals", "allowed: exact");
    refused("format: csv, wide_decimals: float", "destination.wide_decimals", "is for `format: parquet`");
    refused("part_mib: 65", "destination.part_mib", "allowed: 1 to 64");
    refused("format: csv, part_mib: 100", "destination.part_mib", "`profile: analytics` allows");
    refused("csv: { bom: false }", "destination.csv", "write `format: csv`, or remove `csv`");
    refused("profile: analytics, csv: {}", "destination.csv", "the files are Parquet");
    refused("format: csv, csv: { delimeter: ';' }", "destination.csv.delimeter", "did you mean `delimiter`?");
    refused("delimiter: ';'", "destination.delimiter", "`delimiter` belongs to `destination.csv`");
    check(
        &text("format: csv, profile: analytics, long_text: fail, wide_decimals: float, csv: { delimiter: x }"),
        &[
            ("destination.long_text", "keeps texts of any length"),
            ("destination.wide_decimals", "takes all digits"),
            ("destination.csv.delimiter", "`x` is no delimiter"),
        ],
    );
}

#[test]
fn csv_is_written_as_the_job_says() {
    assert_eq!(csv(""), CsvForm::default());
    assert_eq!(destination("format: csv").format, Format::Csv(Box::default()));
    let all = "delimiter: tab, bom: false, line_end: lf, header: false, quotes: strings, null_text: 'NULL', true_text: \
               '1', false_text: '0', decimal_point: ',', date_format: '%d-%m-%Y', datetime_format: '%d-%m-%Y %T', \
               guard_formulas: true";
    let expect = CsvForm {
        delimiter: '\t',
        bom: false,
        line_end: LineEnd::Lf,
        header: false,
        quotes: Quotes::Strings,
        null_text: "NULL".into(),
        true_text: "1".into(),
        false_text: "0".into(),
        decimal_point: ',',
        date_format: Some("%d-%m-%Y".into()),
        datetime_format: Some("%d-%m-%Y %T".into()),
        guard_formulas: true,
        utc_mark: false,
    };
    assert_eq!(csv(all), expect);
    for (typed, delimiter) in [("','", ','), ("';'", ';'), ("'|'", '|'), ("\"\\t\"", '\t'), ("tab", '\t')] {
        assert_eq!(csv(&format!("delimiter: {typed}")).delimiter, delimiter);
    }
    // UTC is marked for those who know what that means, and only in ISO.
    for (more, is_marked) in [("", true), (", csv: { datetime_format: '%F %T' }", false)] {
        let Format::Csv(form) = destination(&format!("format: csv, profile: analytics{more}")).format else { panic!() };
        assert_eq!(form.utc_mark, is_marked);
    }
}

#[test]
fn csv_that_could_be_read_in_two_ways_is_refused() {
    csv_refused("delimiter: ':'", "delimiter", "allowed: `,`, `;`, `|`, `tab`");
    csv_refused("delimiter: tabs", "delimiter", "did you mean `tab`?");
    csv_refused("decimal_point: ','", "delimiter", "write `delimiter: \";\"`");
    csv_refused("decimal_point: ';'", "decimal_point", "allowed: `.`, `,`");
    csv_refused("null_text: '0'", "null_text", "looks like a number");
    csv_refused("null_text: '1900-01-01'", "null_text", "looks like a number or a date");
    csv_refused("null_text: nan", "null_text", "looks like a number");
    csv_refused("null_text: 'true'", "null_text", "null would look like the boolean `true`");
    csv_refused("null_text: 'a,b'", "null_text", "no delimiter, quote or line break");
    csv_refused("null_text: '\"'", "null_text", "cannot stand in a field without quotes");
    csv_refused("null_text: null", "null_text", "give it a value");
    csv_refused("true_text: \"a\\nb\"", "true_text", "`a\\nb` cannot stand in a field");
    csv_refused("true_text: ''", "true_text", "a boolean would look like nothing");
    csv_refused("true_text: x, false_text: x", "true_text", "would look the same");
    csv_refused("true_text: true", "true_text", "put the value in quotes");
    csv_refused("quotes: none", "quotes", "allowed: needed, strings, all");
    csv_refused("line_end: cr", "line_end", "allowed: crlf, lf");
}

#[test]
fn formats_that_lose_a_part_of_a_date_are_refused() {
    for format in ["%d-%m", "%d-%m-%y", "%d,%m,%Y", "%Y-%m-%d %H", "%Q", "date", "%Y-%m-%d\"", ""] {
        csv_refused(&format!("date_format: '{format}'"), "date_format", "for example `%d-%m-%Y`");
    }
    for format in ["%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %I:%M:%S", "%Y-%m-%dT%H:%M:%S%z", "%d,%m,%Y %T"] {
        csv_refused(&format!("datetime_format: '{format}'"), "datetime_format", "no zone and no delimiter");
    }
    for format in ["%d %B %Y", "%Y%m%d", "%F", "%Y-%j"] {
        assert_eq!(csv(&format!("date_format: '{format}'")).date_format.as_deref(), Some(format));
    }
    for format in ["%F %T", "%m/%d/%Y %I:%M:%S %p", "%Y-%m-%dT%H:%M:%S%.6fZ"] {
        assert_eq!(csv(&format!("datetime_format: '{format}'")).datetime_format.as_deref(), Some(format));
    }
}
