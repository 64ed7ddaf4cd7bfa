//! What a profile's readers take: what lies beyond is changed and counted, refused, or kept.

use super::{Table, check_error, declared, decode};
use crate::columns::options::Options;
use crate::model::destination::{LongText, Profile, ValueLimits};
use crate::model::warning::WarningKind;

fn options(profile: Profile, long_text: LongText, columns: &[(&str, &str)]) -> Options {
    Options { limits: ValueLimits::of(profile, long_text), ..declared(columns) }
}

fn powerbi(columns: &[(&str, &str)]) -> Options {
    options(Profile::Powerbi, LongText::Truncate, columns)
}

fn analytics(columns: &[(&str, &str)]) -> Options {
    options(Profile::Analytics, LongText::Truncate, columns)
}

fn read(options: Options, records: &str) -> Table {
    decode(options, &[records]).unwrap_or_else(|error| panic!("{error}"))
}

fn counts(table: &Table) -> Vec<(&str, WarningKind, u64)> {
    table.warnings.iter().map(|warning| (warning.column.as_str(), warning.kind, warning.count)).collect()
}

#[test]
fn texts_are_measured_as_power_bi_does() {
    // An emoji is two units of UTF-16: 32,000 of them would be cut in silence.
    let records = format!(
        r#"[{{"a":"{}"}},{{"a":"{}"}},{{"a":"{}"}},{{"a":["{}"]}}]"#,
        "😀".repeat(16_000),
        "😀".repeat(16_001),
        "x".repeat(32_001),
        "y".repeat(32_000)
    );
    let table = read(powerbi(&[("a", "text")]), &records);
    let lengths: Vec<usize> = table.rows.iter().map(|row| row[0].chars().count()).collect();
    assert_eq!(lengths, [16_000, 16_000, 32_000, 32_000]);
    assert_eq!(counts(&table), [("a", WarningKind::TextTruncated, 3)]);
    let table = read(analytics(&[("a", "text")]), &records);
    let lengths: Vec<usize> = table.rows.iter().map(|row| row[0].chars().count()).collect();
    assert_eq!((lengths.as_slice(), counts(&table)), (&[16_000, 16_001, 32_001, 32_004][..], vec![]));
}

#[test]
fn a_long_text_is_refused_with_its_place_where_the_job_says_so() {
    let strict = |columns: &[(&str, &str)]| options(Profile::Powerbi, LongText::Fail, columns);
    let long = "x".repeat(32_001);
    let expect = |units: usize, start: &str| {
        format!(
            "column `a`: record 2 of page 1 has a text of {units} characters, of which the readers keep 32000: \
             `{start}…`"
        )
    };
    for columns in [&[][..], &[("a", "text")], &[("a", "json")]] {
        // In a column of JSON the quotes count, too.
        let quotes = usize::from(columns == [("a", "json")]);
        let records = format!(r#"[{{"a":"{}"}},{{"a":"{long}"}}]"#, "y".repeat(31_998));
        let start = format!("{}{}", "\"".repeat(quotes), "x".repeat(60 - quotes));
        check_error(strict(columns), &records, &expect(32_001 + 2 * quotes, &start));
        let records = format!(r#"[{{"a":null}},{{"a":[ "{long}" ]}}]"#);
        check_error(strict(columns), &records, &expect(32_005, &format!("[\"{}", "x".repeat(58))));
    }
    let kept = format!(r#"[{{"a":"{}"}}]"#, "x".repeat(32_000));
    assert_eq!(read(strict(&[]), &kept).rows[0][0].len(), 32_000);
}

#[test]
fn dates_outside_of_power_bi_are_null_there_and_kept_elsewhere() {
    let records = r#"[
        {"d":"1899-12-31","t":"1899-12-31T23:59:59","i":"9999-12-31T23:00:00-02:00"},
        {"d":"1900-01-01","t":"9999-12-31T23:59:59.999999","i":"/Date(-62135596800000+0000)/"},
        {"d":"0001-01-01","t":"0000-01-01T00:00:00","i":"2024-01-31T00:00:00Z"}
    ]"#;
    let columns = [("d", "date"), ("t", "datetime"), ("i", "instant")];
    let table = read(powerbi(&columns), records);
    assert_eq!(table.text(), "∅|∅|∅\n1900-01-01|9999-12-31T23:59:59.999999|∅\n∅|∅|2024-01-31T00:00:00Z");
    let out_of_range = WarningKind::DateOutOfRange;
    assert_eq!(counts(&table), [("d", out_of_range, 2), ("i", out_of_range, 2), ("t", out_of_range, 2)]);
    let table = read(analytics(&columns), records);
    let kept = "1899-12-31|1899-12-31T23:59:59|+10000-01-01T01:00:00Z\n\
                1900-01-01|9999-12-31T23:59:59.999999|0001-01-01T00:00:00Z\n\
                0001-01-01|0000-01-01T00:00:00|2024-01-31T00:00:00Z";
    assert_eq!((table.text().as_str(), counts(&table)), (kept, vec![]));
}

#[test]
fn what_is_no_finite_number_is_null_in_power_bi_and_kept_elsewhere() {
    let records = r#"[{"a":"INF"},{"a":"-INF"},{"a":"NaN"},{"a":1.5},{"a":1e999}]"#;
    let table = read(powerbi(&[("a", "float")]), records);
    assert_eq!(table.text(), "∅\n∅\n∅\n1.5\n∅");
    assert_eq!(counts(&table), [("a", WarningKind::FloatNotFinite, 4)]);
    // A number that is too large was finite when it was sent.
    let table = read(analytics(&[("a", "float")]), records);
    assert_eq!(table.text(), "INF\n-INF\nNaN\n1.5\n∅");
    assert_eq!(counts(&table), [("a", WarningKind::FloatNotFinite, 1)]);
    // Without a type from the job or the source these are words.
    let table = read(analytics(&[]), r#"[{"a":"INF"},{"a":"x"}]"#);
    assert_eq!((table.schema().as_str(), table.text().as_str()), ("a text", "INF\nx"));
}
