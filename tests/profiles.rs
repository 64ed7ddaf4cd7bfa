//! The form of the files: the same records in every profile and every form of CSV are the same rows to an independent
//! reader, and every value that a form cannot hold is counted and told.

#![allow(missing_docs)]

mod support;

use std::sync::{Arc, Mutex};

use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::{Value, json};
use support::rigs::{output_of, read};
use support::server::{Server, ok};
use support::{Done, Workplace, job};

const COLUMNS: &str = "columns: { id: integer, name: text, open: boolean, amount: \"decimal(18,4)\", wide: \"decimal(38,10)\", \
     rate: float, day: date, at: datetime, seen: instant, list: json }\n";

/// Sixty records with all that CSV files stumble over.
fn records() -> Value {
    let name = |id: i64| match id % 12 {
        0 => json!("Müller, \"Ä\"\r\nB"),
        1 => json!(""),
        2 => Value::Null,
        3 => json!("NULL"),
        4 => json!("a;b|c\td"),
        5 => json!("=1+1"),
        6 => json!(" blank "),
        7 => json!("😀 ü"),
        8 => json!("\""),
        9 => json!("007"),
        10 => json!("true"),
        _ => json!(format!("name {id}")),
    };
    let record = |id: i64| {
        let some = |value: Value| if id % 7 == 3 { Value::Null } else { value };
        let wide = format!("1234567890123456{id}.0000000{id}");
        json!({
            "id": id,
            "name": name(id),
            "open": some(json!(id % 2 == 0)),
            "amount": some(json!(format!("{}.{:04}", id * 1_000_003, id))),
            "wide": some(json!(wide)),
            "rate": some(json!(id as f64 * 0.1)),
            "day": some(json!(format!("19{:02}-02-{:02}", 10 + id, 1 + id % 28))),
            "at": some(json!(format!("2024-01-31T10:20:{:02}.{:06}", id, id * 16_001))),
            "seen": some(json!(format!("2024-01-31T00:20:{:02}.5+02:00", id))),
            "list": some(json!([id, "x\"y"])),
        })
    };
    (0..60).map(record).collect()
}

fn with_destination(base_url: &str, stream: &str, destination: &str) -> String {
    let lines: String = destination.lines().map(|line| format!("  {line}\n")).collect();
    job(base_url, "", stream).replace("  url: out\n", &format!("  url: out\n{lines}"))
}

/// Runs a job over these records.
fn run(place: &Workplace, records: &Value, stream: &str, destination: &str) -> Done {
    let body = records.to_string();
    let server = Server::start(move |_, _| ok(body.clone()));
    place.haul(&["run", &place.file("job.yaml", &with_destination(&server.url, stream, destination)), "--json"])
}

/// What stands for the alias of the table in a query: the columns of a CSV file, and how it is written, come from the
/// list beside it.
fn source(place: &Workplace) -> String {
    let folder = place.path("out/test/items");
    if !folder.join("columns.json").exists() {
        return format!("read_parquet('{}')", folder.join("current.parquet").display());
    }
    let list: Value =
        serde_json::from_slice(&std::fs::read(folder.join("columns.json")).expect("a list")).expect("JSON");
    let sql_type = |kind: &str| match kind {
        "integer" => "BIGINT".to_owned(),
        "float" => "DOUBLE".to_owned(),
        "instant" if list["csv"]["utc_mark"] == true => "TIMESTAMPTZ".to_owned(),
        "datetime" | "instant" => "TIMESTAMP".to_owned(),
        "text" | "json" => "VARCHAR".to_owned(),
        list if list.starts_with("list(") => "VARCHAR".to_owned(),
        other => other.to_uppercase(),
    };
    let columns: Vec<String> = list["columns"]
        .as_array()
        .expect("columns")
        .iter()
        .map(|column| {
            let (name, kind) = (column["name"].as_str().expect("a name"), column["type"].as_str().expect("a type"));
            format!("'{name}': '{}'", sql_type(kind))
        })
        .collect();
    let csv = &list["csv"];
    let text = |name: &str| csv[name].as_str().expect("a text");
    let mut options = format!(
        "delim='{}', header={}, quote='\"', escape='\"', nullstr='{}', allow_quoted_nulls=false, decimal_separator='{}', \
         auto_detect=false, columns={{{}}}",
        text("delimiter"),
        csv["header"],
        text("null_text"),
        text("decimal_point"),
        columns.join(", ")
    );
    for (name, option) in [("date_format", "dateformat"), ("datetime_format", "timestampformat")] {
        if let Some(format) = csv[name].as_str() {
            options.push_str(&format!(", {option}='{}'", format.replace("%.6f", ".%f")));
        }
    }
    format!("read_csv('{}', {options})", folder.join("current.csv").display())
}

/// The rows in one spelling, whatever the file.
fn rows(place: &Workplace) -> Value {
    let sql = format!(
        "select id, name, open, amount::varchar, wide::varchar, rate::varchar, day::varchar, epoch_us(\"at\"), epoch_us(seen), list \
         from {} order by id",
        source(place)
    );
    read(&sql, None)["rows"].clone()
}

/// The same rows, made from the records by other means.
fn expected() -> Value {
    let micros = |text: &str| {
        let moment = chrono::DateTime::parse_from_rfc3339(text).expect("a moment");
        json!(moment.timestamp_micros())
    };
    let row = |record: &Value| {
        let text = |name: &str| record[name].as_str();
        json!([
            record["id"],
            record["name"],
            record["open"],
            record["amount"],
            text("wide").map(|wide| {
                let (whole, places) = wide.split_once('.').expect("a point");
                format!("{whole}.{places:0<10}")
            }),
            record["rate"].as_f64().map(|rate| format!("{rate:?}")),
            record["day"],
            text("at").map(|at| micros(&format!("{at}Z"))),
            text("seen").map(micros),
            record["list"].as_array().map(|list| json!(list).to_string()),
        ])
    };
    records().as_array().expect("records").iter().map(row).collect()
}

#[track_caller]
fn check(destination: &str) -> Workplace {
    let place = Workplace::new().expects_analytics();
    let report = run(&place, &records(), COLUMNS, destination).expect_code(0).json();
    assert_eq!(report["tables"]["items"]["warnings"], Value::Null, "{destination}: {report}");
    let (found, expected) = (rows(&place), expected());
    for (found, expected) in found.as_array().expect("rows").iter().zip(expected.as_array().expect("rows")) {
        assert_eq!(found, expected, "{destination}");
    }
    assert_eq!(found, expected, "{destination}");
    place
}

fn types(place: &Workplace) -> Vec<(String, String)> {
    let described =
        read(&format!("select column_name, column_type from (describe select * from {})", source(place)), None);
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    described["rows"].as_array().expect("rows").iter().map(|row| (text(&row[0]), text(&row[1]))).collect()
}

#[test]
fn both_profiles_hold_the_same_rows() {
    for (destination, seen, version, codec) in
        [("profile: powerbi", "TIMESTAMP", 1, "SNAPPY"), ("profile: analytics", "TIMESTAMP WITH TIME ZONE", 2, "ZSTD")]
    {
        let place = check(destination);
        let types = types(&place);
        let type_of = |name: &str| types.iter().find(|(column, _)| column == name).map(|(_, kind)| kind.as_str());
        assert_eq!(type_of("seen"), Some(seen));
        assert_eq!((type_of("at"), type_of("wide")), (Some("TIMESTAMP"), Some("DECIMAL(38,10)")));
        let file = std::fs::File::open(place.path("out/test/items/current.parquet")).expect("a file");
        let footer = SerializedFileReader::new(file).expect("Parquet").metadata().clone();
        assert_eq!(footer.file_metadata().version(), version);
        assert!(footer.row_group(0).column(0).compression().to_string().starts_with(codec));
        let manifest = manifest(&place);
        assert_eq!(manifest["tables"]["items"]["profile"], json!(destination.trim_start_matches("profile: ")));
        assert!(!place.path("out/test/items/columns.json").exists());
    }
}

fn manifest(place: &Workplace) -> Value {
    let text = |name: &str| std::fs::read_to_string(place.path(&format!("out/test/{name}"))).expect("a file");
    let parse = |text: String| -> Value { serde_json::from_str(&text).expect("JSON") };
    let pointer = parse(text("_latest.json"));
    parse(text(pointer["manifest"].as_str().expect("a path")))
}

#[test]
fn every_form_of_csv_holds_the_same_rows() {
    for csv in [
        "",
        "delimiter: \";\", decimal_point: \",\", date_format: \"%d-%m-%Y\"",
        "delimiter: \"|\", quotes: all, null_text: \"NULL\", line_end: lf",
        "delimiter: tab, bom: false, header: false, quotes: strings",
        "datetime_format: \"%d/%m/%Y %H:%M:%S%.6f\", true_text: \"TRUE\", false_text: \"FALSE\"",
    ] {
        check(&format!("format: csv\ncsv: {{ {csv} }}"));
    }
    check("format: csv\nprofile: analytics");
}

#[test]
fn the_list_of_columns_is_repaired_and_says_the_same_again() {
    let place = check("format: csv");
    let list = place.path("out/test/items/columns.json");
    let first = std::fs::read(&list).expect("a list");
    let parsed: Value = serde_json::from_slice(&first).expect("JSON");
    assert_eq!(parsed["columns"][3], json!({ "name": "amount", "type": "decimal(18,4)" }));
    assert_eq!((&parsed["csv"]["delimiter"], &parsed["key"]), (&json!(","), &json!([])));
    std::fs::write(&list, "broken").expect("a file");
    run(&place, &records(), COLUMNS, "format: csv").expect_code(0);
    assert_eq!(std::fs::read(&list).expect("a list"), first);
}

/// Records beyond every limit: one of each, and one that is within.
fn beyond() -> Value {
    json!([
        { "t": "x".repeat(40_000), "d": "1850-01-01", "f": "INF", "i": "2024-01-31T10:20:30.1234567Z", "w": "12345678901234567890.5" },
        { "t": "short", "d": "2024-01-31", "f": 1.5, "i": "2024-01-31T10:20:30Z", "w": "1.5" },
    ])
}

const BEYOND: &str = "columns: { t: text, d: date, f: float, i: instant, w: \"decimal(38,10)\" }\n";

fn warnings(done: &Done) -> Vec<(String, String, u64)> {
    let report = done.json();
    let warnings = report["tables"]["items"]["warnings"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let warning = |it: &Value| (text(&it["column"]), text(&it["kind"]), it["count"].as_u64().expect("a count"));
    let mut found: Vec<_> = warnings.iter().map(warning).collect();
    found.sort();
    found
}

fn expect(list: &[(&str, &str)]) -> Vec<(String, String, u64)> {
    list.iter().map(|(column, kind)| ((*column).to_owned(), (*kind).to_owned(), 1)).collect()
}

#[test]
fn every_change_of_a_value_is_counted() {
    let select = "select length(t), d::varchar, f::varchar, w::varchar from {} order by length(t) desc limit 1";
    let first = |place: &Workplace| read(&select.replace("{}", &source(place)), None)["rows"][0].clone();
    let limits = [("d", "date_out_of_range"), ("f", "float_not_finite"), ("i", "fraction_truncated")];
    let cut = ("t", "text_truncated");

    for destination in ["", "format: csv"] {
        let place = Workplace::new().expects_analytics();
        let done = run(&place, &beyond(), BEYOND, destination).expect_code(0);
        assert_eq!(warnings(&done), expect(&[&limits[..], &[cut]].concat()), "{destination}");
        assert_eq!(first(&place), json!([32_000, null, null, "12345678901234567890.5000000000"]));
    }

    let place = Workplace::new().expects_analytics();
    let done = run(&place, &beyond(), BEYOND, "wide_decimals: float").expect_code(0);
    assert_eq!(warnings(&done), expect(&[&limits[..], &[cut, ("w", "decimal_rounded")]].concat()));
    assert_eq!(first(&place), json!([32_000, null, null, "1.2345678901234567e+19"]));
    let types = types(&place);
    assert!(types.contains(&("w".to_owned(), "DOUBLE".to_owned())), "{types:?}");

    for destination in ["profile: analytics", "profile: analytics\nformat: csv"] {
        let place = Workplace::new().expects_analytics();
        let done = run(&place, &beyond(), BEYOND, destination).expect_code(0);
        assert_eq!(warnings(&done), expect(&[("i", "fraction_truncated")]), "{destination}");
        assert_eq!(first(&place), json!([40_000, "1850-01-01", "inf", "12345678901234567890.5000000000"]));
    }
}

#[test]
fn changes_are_told_to_people_and_long_texts_can_be_refused() {
    let body = beyond().to_string();
    let server = Server::start(move |_, _| ok(body.clone()));
    let place = Workplace::new().expects_analytics();
    let file = place.file("job.yaml", &with_destination(&server.url, BEYOND, "wide_decimals: float"));
    place.haul(&["run", &file]).expect_code(0).expect_says(&[
        "warning: table `items`, column `t`: 1 value cut to 32,000 characters, as Power BI counts them",
        "column `d`: 1 value outside of the years 1900 to 9999 made null",
        "column `f`: 1 value without a finite number made null",
        "column `i`: 1 value without some digits of the second",
        "column `w`: 1 value rounded to the nearest double",
    ]);
    let place = Workplace::new().expects_analytics();
    let file = place.file("job.yaml", &with_destination(&server.url, BEYOND, "long_text: fail"));
    place.haul(&["run", &file]).expect_code(1).expect_says(&[
        "column `t`: record 1 of page 1 has a text of 40000 characters, of which the readers keep 32000: `xxxx",
        "`long_text: truncate` under `destination`",
    ]);
    let place = Workplace::new().expects_analytics();
    let formulas = json!([{ "a": "=1" }, { "a": "-1" }, { "a": "x" }]);
    let done = run(&place, &formulas, "", "format: csv\ncsv: { guard_formulas: true, datetime_format: \"%F %T\" }");
    assert_eq!(warnings(&done), [("a".to_owned(), "formula_guarded".to_owned(), 2)]);
}

#[test]
fn decimals_that_become_wide_late_are_counted_once() {
    // The first file is closed with narrow decimals, and is written anew when the column has become wide.
    let records: Value = (0..25_000)
        .map(|id| if id < 22_000 { json!({ "id": id, "w": 1.5 }) } else { json!({ "id": id, "w": "wide" }) })
        .collect();
    let body = records.to_string().replace("\"wide\"", "12345678901234567.123456789");
    let place = Workplace::new().expects_analytics();
    let server = Server::start(move |_, _| ok(body.clone()));
    let file = place.file("job.yaml", &with_destination(&server.url, "", "wide_decimals: float"));
    let done = place.haul(&["run", &file, "--json"]).expect_code(0);
    assert_eq!(warnings(&done), [("w".to_owned(), "decimal_rounded".to_owned(), 3_000)]);
    let sql = format!("select count(*), count(distinct w), min(w), max(w) from {}", source(&place));
    assert_eq!(read(&sql, None)["rows"][0], json!([25_000, 2, 1.5, 12_345_678_901_234_567.0]));
}

#[test]
fn parts_are_never_larger_than_they_may_be() {
    // Texts that no compression makes smaller by much.
    let mut seed = 88_172_645_463_325_252_u64;
    let mut word = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        format!("{seed:016x}")
    };
    let records: Value = (0..40_000).map(|id| json!({ "id": id, "a": word() + &word(), "b": word() })).collect();
    for (destination, extension) in [
        ("part_mib: 1", "parquet"),
        ("part_mib: 1\nprofile: analytics", "parquet"),
        ("part_mib: 1\nformat: csv", "csv"),
    ] {
        let place = Workplace::new().expects_analytics();
        run(&place, &records, "", destination).expect_code(0);
        let manifest = manifest(&place);
        let parts = manifest["tables"]["items"]["parts"].as_array().expect("parts");
        let bytes: Vec<u64> = parts.iter().map(|part| part["bytes"].as_u64().expect("a size")).collect();
        assert!(bytes.len() > 1 && bytes.iter().all(|bytes| *bytes <= 1024 * 1024), "{destination}: {bytes:?}");
        assert!(parts.iter().all(|part| part["path"].as_str().expect("a path").ends_with(extension)));
        let sql = format!("select count(*), count(distinct id), count(distinct a) from {}", source(&place));
        assert_eq!(read(&sql, None)["rows"][0], json!([40_000, 40_000, 40_000]), "{destination}");
    }
}

/// Records of an incremental stream: what a run asks for since its cursor.
fn growing() -> (Server, Arc<Mutex<Vec<Value>>>) {
    let held = Arc::new(Mutex::new(Vec::<Value>::new()));
    let of_server = Arc::clone(&held);
    let server = Server::start(move |request, _| {
        let since: i64 = request.param("since").and_then(|text| text.parse().ok()).unwrap_or(0);
        let held = of_server.lock().expect("records");
        ok(json!(held.iter().filter(|it| it["n"].as_i64() >= Some(since)).collect::<Vec<_>>()).to_string())
    });
    (server, held)
}

const GROWING: &str = "key: [id]\nparams: { since: \"{{ cursor }}\" }\nincremental: { cursor: n, start: 0 }\n\
     columns: { w: \"decimal(38,10)\", seen: instant }\n";

fn grown(id: i64, n: i64) -> Value {
    json!({ "id": id, "n": n, "w": format!("12345678901234567{n}.5"), "seen": format!("2024-01-31T10:20:{:02}Z", n % 60),
            "tags": [format!("t{n}"), null] })
}

#[test]
fn merged_tables_keep_the_form_of_their_files() {
    for (destination, seen, wide, tags) in [
        ("profile: analytics", "TIMESTAMP WITH TIME ZONE", "DECIMAL(38,10)", "VARCHAR[]"),
        ("wide_decimals: float", "TIMESTAMP", "DOUBLE", "VARCHAR"),
    ] {
        let (server, held) = growing();
        let place = Workplace::new().expects_analytics();
        let file = place.file("job.yaml", &with_destination(&server.url, GROWING, destination));
        *held.lock().expect("records") = (0..20).map(|id| grown(id, id + 1)).collect();
        let first = place.haul(&["run", &file, "--json"]).expect_code(0);
        // One row changes, one is new: the former file is rewritten without the changed one.
        held.lock().expect("records").extend([grown(3, 30), grown(20, 31)]);
        let second = place.haul(&["run", &file, "--json"]).expect_code(0);
        assert_eq!(second.json()["tables"]["items"]["merge"]["parts_rewritten"], 1, "{second:?}");
        let counted = |done: &Done| warnings(done).first().map_or(0, |(_, _, count)| *count);
        // What the former file holds was counted when it came.
        let expect = if wide == "DOUBLE" { (20, 3) } else { (0, 0) };
        assert_eq!((counted(&first), counted(&second)), expect, "{destination}");
        let types = types(&place);
        assert!(types.contains(&("seen".to_owned(), seen.to_owned())), "{types:?}");
        assert!(types.contains(&("w".to_owned(), wide.to_owned())), "{types:?}");
        assert!(types.contains(&("tags".to_owned(), tags.to_owned())), "{types:?}");
        let tag = if tags == "VARCHAR" { "(tags::json ->> '$[0]')" } else { "tags[1]" };
        let sql = format!("select count(*) from {} where {tag} = 't' || n", source(&place));
        assert_eq!(read(&sql, None)["rows"][0][0], 21, "{destination}");
        let sql = format!("select count(*), sum(n), max(w)::double, max(epoch_us(seen)) from {}", source(&place));
        let seen = chrono::DateTime::parse_from_rfc3339("2024-01-31T10:20:31Z").expect("a moment").timestamp_micros();
        let sum = (1..=20).sum::<i64>() - 4 + 30 + 31;
        assert_eq!(read(&sql, None)["rows"][0], json!([21, sum, 1.234_567_890_123_456_8e18, seen]), "{destination}");
    }
}

#[test]
fn rows_of_two_profiles_never_stand_in_one_table() {
    let (server, held) = growing();
    *held.lock().expect("records") = (0..5).map(|id| grown(id, id + 1)).collect();
    let place = Workplace::new().expects_analytics();
    let file = |destination: &str| place.file("job.yaml", &with_destination(&server.url, GROWING, destination));
    place.haul(&["run", &file("")]).expect_code(0);
    let before = place.contents("out/test/_snapshots");
    let asked = server.asked().len();
    for (destination, now) in [
        ("profile: analytics", "format: parquet, profile: analytics"),
        ("wide_decimals: float", "format: parquet, profile: powerbi, wide_decimals: float"),
    ] {
        place.haul(&["run", &file(destination)]).expect_code(2).expect_says(&[
            &format!("its rows were written as `format: parquet, profile: powerbi`, and the job now says `{now}`"),
            "`haul run --full` reads the table anew in the new form",
        ]);
    }
    // Nothing was asked for, and nothing was published.
    assert_eq!((server.asked().len(), place.contents("out/test/_snapshots")), (asked, before));
    place.haul(&["run", &file("profile: analytics"), "--full"]).expect_code(0);
    held.lock().expect("records").push(grown(5, 9));
    let report = place.haul(&["run", &file("profile: analytics"), "--json"]).expect_code(0).json();
    assert_eq!(report["tables"]["items"]["rows"], 6);
    assert_eq!(manifest(&place)["tables"]["items"]["profile"], "analytics");
}

#[test]
fn keys_are_never_rounded() {
    // As doubles these two are one.
    let records =
        [9_007_199_254_740_992_i64, 9_007_199_254_740_993].map(|id| json!({ "id": format!("10{id}"), "n": 1 }));
    let (server, held) = growing();
    *held.lock().expect("records") = records.to_vec();
    let stream = GROWING.replace("columns: { w", "columns: { id: \"decimal(38,0)\", w");
    let place = Workplace::new().expects_analytics();
    let file = place.file("job.yaml", &with_destination(&server.url, &stream, "wide_decimals: float"));
    place.haul(&["run", &file]).expect_code(2).expect_says(&[
        "column `id` of its key is decimal(38,0), of which the files keep the nearest double only",
        "declare `id: text` under `columns`",
    ]);
    let file = place.file("job.yaml", &with_destination(&server.url, &stream, ""));
    let report = place.haul(&["run", &file, "--json"]).expect_code(0).json();
    assert_eq!(report["tables"]["items"]["rows"], 2);
}

/// Lists of many rows on one page; from row 30,000 on, some change what their items are.
fn lists() -> Value {
    let record = |id: i64| {
        let is_late = id >= 30_000;
        json!({
            "id": id,
            "n": if is_late { json!([id, 0.5]) } else { json!([id, null]) },
            "t": if id % 3 == 0 { json!([]) } else { json!([format!("a\"{id}"), "ü"]) },
            "flags": if id % 5 == 0 { Value::Null } else { json!([id % 2 == 0]) },
            "mixed": if is_late { json!(["x"]) } else { json!([id]) },
            "deep": [[id]],
        })
    };
    (0..40_000).map(record).collect()
}

#[test]
fn lists_are_lists_for_readers_that_know_them() {
    let kinds = |place: &Workplace| -> Vec<String> { types(place).into_iter().map(|(_, kind)| kind).collect() };
    let place = Workplace::new().expects_analytics();
    run(&place, &lists(), "", "profile: analytics").expect_code(0);
    assert_eq!(kinds(&place), ["BIGINT", "DECIMAL(18,4)[]", "VARCHAR[]", "BOOLEAN[]", "VARCHAR", "VARCHAR"]);
    let sql = format!(
        "select sum(list_sum(n))::varchar, sum(len(n)), sum(len(t)), count(distinct t[1]), count(flags), \
         count(*) filter (flags[1]), min(mixed), max(mixed), sum((deep::json -> '$[0][0]')::bigint) from {}",
        source(&place)
    );
    let ids = (0..40_000_i64).sum::<i64>();
    let texts = (0..40_000).filter(|id| id % 3 != 0).count();
    let flags = (0..40_000).filter(|id| id % 5 != 0).count();
    let expect = json!([
        format!("{}.0000", ids + 5_000),
        80_000,
        2 * texts,
        texts,
        flags,
        (0..40_000).filter(|id| id % 5 != 0 && id % 2 == 0).count(),
        "[\"x\"]",
        "[9]",
        ids
    ]);
    assert_eq!(read(&sql, None)["rows"][0], expect);
    let folder = place.path("out/test").display().to_string();
    let told: Value = serde_json::from_str(&output_of("read_all.py", &[&folder])).expect("JSON");
    assert_eq!(told["items"]["rows"], 40_000, "three readers find the same values");

    for destination in ["", "profile: analytics\nformat: csv"] {
        let place = Workplace::new().expects_analytics();
        run(&place, &lists(), "", destination).expect_code(0);
        let sql = format!("select n, t, flags, mixed from {} where id = 31", source(&place));
        let row = json!(["[31,null]", "[\"a\\\"31\",\"ü\"]", "[false]", "[31]"]);
        assert_eq!(read(&sql, None)["rows"][0], row, "{destination}");
    }
}
