//! A field whose values are of another kind from row 900,000 on: every pair of kinds, in both directions; steps in a
//! row; objects; types that the last snapshot knew; types that the job declares. Every single value is compared.

use std::sync::Arc;

use serde_json::{Value, json};

use super::kinds::{
    BOOL, DATE, DATETIME, FLOAT, INSTANT, INT, JSON, Kind, MONEY, NULL, OBJECT, SAMPLES, SCALARS, TEXT, WIDE, duckdb,
    joined,
};
use super::scene::{PAGE_ROWS, PAGED, Published, ROWS, page};
use crate::support::server::{Server, ok};
use crate::support::{Workplace, job};

const CHANGE: u64 = 900_000;
/// Columns of one question to DuckDB: an argument has at most 128 KiB.
const ASKED_MAX: usize = 40;

/// One field: which kind of values it has from which row on.
#[derive(Debug, Clone)]
struct Course {
    name: String,
    phases: Vec<(u64, Kind)>,
}

impl Course {
    fn of(phases: &[(u64, Kind)]) -> Self {
        let names: Vec<&str> = phases.iter().map(|(_, kind)| kind.name).collect();
        Course { name: names.join("_"), phases: phases.to_vec() }
    }

    fn pair(before: Kind, after: Kind) -> Self {
        Course::of(&[(0, before), (CHANGE, after)])
    }

    fn kind_at(&self, row: u64) -> Kind {
        self.phases.iter().rev().find(|(from, _)| *from <= row).expect("a course begins at row 0").1
    }

    /// The same kinds in the opposite order at the same rows.
    fn reversed(&self) -> Self {
        let starts = self.phases.iter().map(|(from, _)| *from);
        let kinds = self.phases.iter().rev().map(|(_, kind)| *kind);
        Course { name: self.name.clone(), phases: starts.zip(kinds).collect() }
    }

    fn kinds(&self) -> Vec<Kind> {
        self.phases.iter().map(|(_, kind)| *kind).collect()
    }

    /// The columns of the field, each with its type and its value in every phase and sample, as SQL.
    fn columns(&self, is_remembered: bool) -> Vec<Wanted> {
        let kinds = self.kinds();
        let scalars: Vec<Kind> = kinds.iter().copied().filter(|kind| *kind != OBJECT).collect();
        let mut wanted = Vec::new();
        if kinds.contains(&OBJECT) {
            let value = |kind: Kind, at: usize| (kind == OBJECT).then(|| OBJECT.spelled[at].to_owned());
            wanted.push(Wanted::new(format!("{}_a", self.name), "integer", &kinds, value));
        }
        // A field that is null where it is no object has no column beside its members'.
        if !kinds.contains(&OBJECT) || scalars.iter().any(|kind| *kind != NULL) {
            let kind = joined(&scalars);
            let mut so_far = Vec::new();
            let mut wanted_here = Wanted { name: self.name.clone(), kind, values: Vec::new() };
            for phase in kinds {
                so_far.extend((phase != OBJECT).then_some(phase));
                // A string that comes when the column is text already is kept as it was sent.
                let is_kept = kind == "text" && (is_remembered || joined(&so_far) == "text");
                let value = |at: usize| {
                    let has_value = phase != NULL && phase != OBJECT;
                    has_value.then(|| match serde_json::from_str(phase.json[at]) {
                        Ok(Value::String(text)) if is_kept => text,
                        _ => phase.spelled[at].to_owned(),
                    })
                };
                wanted_here.values.push((0..SAMPLES).map(value).collect());
            }
            wanted.push(wanted_here);
        }
        wanted
    }
}

/// A column as it must be: its values by phase and sample.
struct Wanted {
    name: String,
    kind: &'static str,
    values: Vec<Vec<Option<String>>>,
}

impl Wanted {
    fn new(name: String, kind: &'static str, phases: &[Kind], value: impl Fn(Kind, usize) -> Option<String>) -> Self {
        let values = phases.iter().map(|phase| (0..SAMPLES).map(|at| value(*phase, at)).collect()).collect();
        Wanted { name, kind, values }
    }

    /// How many rows have another value than they should, as an expression over `id`.
    fn wrong(&self, starts: &[u64], every: u64) -> String {
        let kind = duckdb(self.kind);
        let literal = |value: &Option<String>| match value {
            Some(text) => format!("'{text}'"),
            None => "null".to_owned(),
        };
        let mut cases = String::new();
        for (from, values) in starts.iter().zip(&self.values).rev() {
            let list: Vec<String> = values.iter().map(literal).collect();
            let sample = format!("id // {every} % {SAMPLES} + 1");
            cases.push_str(&format!(" when id >= {from} then ([{}]::{kind}[])[{sample}]", list.join(",")));
        }
        let name = &self.name;
        format!("count(*) filter (\"{name}\" is distinct from case when id % {every} <> 0 then null{cases} end)")
    }
}

/// A server of these fields: in every `every`th row, the other rows have an `id` alone.
fn serve(courses: &[Course], every: u64) -> Server {
    let mut starts: Vec<u64> = courses.iter().flat_map(|course| course.phases.iter().map(|(from, _)| *from)).collect();
    starts.sort_unstable();
    starts.dedup();
    let members = |from: u64, sample: usize| -> String {
        courses.iter().map(|course| format!(",\"{}\":{}", course.name, course.kind_at(from).json[sample])).collect()
    };
    let prepared: Vec<Vec<String>> =
        starts.iter().map(|from| (0..SAMPLES).map(|sample| members(*from, sample)).collect()).collect();
    Server::start(move |request, _| {
        page(request, |row, body| {
            body.push_str("{\"id\":");
            body.push_str(&row.to_string());
            if row % every == 0 {
                let phase = starts.iter().rposition(|from| *from <= row).expect("a phase begins at row 0");
                body.push_str(&prepared[phase][(row / every) as usize % SAMPLES]);
            }
            body.push('}');
        })
    })
}

/// All columns of the published table, and each of their values in each of a million rows.
#[track_caller]
fn check(published: &Published<'_>, courses: &[Course], every: u64, is_remembered: bool) {
    let mut asked = Vec::new();
    for course in courses {
        let starts: Vec<u64> = course.phases.iter().map(|(from, _)| *from).collect();
        asked.extend(course.columns(is_remembered).into_iter().map(|wanted| (wanted.wrong(&starts, every), wanted)));
    }
    let mut expected: Vec<String> =
        asked.iter().map(|(_, wanted)| format!("{} {}", wanted.name, wanted.kind)).collect();
    expected.push("id integer".into());
    expected.sort();
    let mut found = published.columns("items");
    found.sort();
    assert_eq!(found, expected);
    let ids = published.query("items", "select count(*), count(distinct id), min(id), max(id) from {t}");
    assert_eq!(ids["rows"][0], json!([ROWS, ROWS, 0, ROWS - 1]));
    for asked in asked.chunks(ASKED_MAX) {
        let sql: Vec<String> = asked
            .iter()
            .map(|(wrong, wanted)| format!("{wrong} as \"{0}\", any_value(typeof(\"{0}\"))", wanted.name))
            .collect();
        let answer = published.query("items", &format!("select {} from {{t}}", sql.join(", ")));
        let row = answer["rows"][0].as_array().expect("a row");
        for ((_, wanted), found) in asked.iter().zip(row.chunks(2)) {
            let kind = duckdb(wanted.kind).to_uppercase();
            assert_eq!((&found[0], &found[1]), (&json!(0), &json!(kind)), "{}: rows that are wrong", wanted.name);
        }
    }
    if !is_remembered {
        assert_eq!(published.read_by_all()["items"]["rows"], ROWS);
    }
}

/// Runs the courses, and then their reverse where the types of the first run are remembered.
fn check_both_ways(courses: &[Course], every: u64) {
    let place = Workplace::new();
    for is_remembered in [false, true] {
        let courses: Vec<Course> =
            courses.iter().map(|course| if is_remembered { course.reversed() } else { course.clone() }).collect();
        let server = serve(&courses, every);
        let file = place.file("job.yaml", &job(&server.url, "", PAGED));
        place.haul(&["run", &file]).expect_code(0);
        check(&Published::of(&place, "out"), &courses, every, is_remembered);
    }
}

/// A hundredth of the rows have a value, so that all pairs fit into one table.
#[test]
fn every_pair_of_kinds_joins_at_row_900_000_and_when_its_type_is_remembered() {
    let mut courses = Vec::new();
    for before in SCALARS {
        courses.extend(SCALARS.into_iter().filter(|after| *after != before).map(|after| Course::pair(before, after)));
    }
    for other in [NULL, INT, DATE, TEXT, JSON] {
        courses.extend([Course::pair(other, OBJECT), Course::pair(OBJECT, other)]);
    }
    check_both_ways(&courses, 100);
}

/// Every row has a value; the columns that change more than once change in several batches.
#[test]
fn full_columns_change_at_row_900_000_once_and_again() {
    let courses = [
        Course::pair(NULL, BOOL),
        Course::pair(BOOL, TEXT),
        Course::pair(INT, MONEY),
        Course::pair(JSON, TEXT),
        Course::pair(INSTANT, TEXT),
        Course::of(&[(0, INT), (CHANGE, MONEY), (930_000, WIDE), (960_000, FLOAT), (990_000, TEXT)]),
        Course::pair(DATE, DATETIME),
    ];
    check_both_ways(&courses, 1);
}

/// One value at row 900,123 that the declared type does not hold.
#[test]
fn a_declared_type_refuses_the_value_by_value_record_and_page() {
    let cases = [
        ("integer", "7", "7.5", "7.5"),
        ("decimal(18,4)", "1.25", "1.00001", "1.00001"),
        ("float", "1e300", "\"much\"", "much"),
        ("boolean", "true", "1", "1"),
        ("date", "\"2024-01-31\"", "\"2024-01-31T12:00:00\"", "2024-01-31T12:00:00"),
        ("datetime", "\"2024-01-31T12:00:00\"", "\"31-01-2024\"", "31-01-2024"),
        ("instant", "\"2024-01-31T12:00:00Z\"", "[1]", "[1]"),
    ];
    let (page_number, record) = ((CHANGE + 123) / PAGE_ROWS + 1, 124);
    for (kind, good, bad, named) in cases {
        let rows = |is_bad: bool| {
            let mut rows = vec![good; PAGE_ROWS as usize];
            if is_bad {
                rows[record - 1] = bad;
            }
            rows.iter().map(|value| format!("{{\"v\":{value}}}")).collect::<Vec<_>>().join(",")
        };
        let (plain, spoilt) = (Arc::new(rows(false)), rows(true));
        let server = Server::start(move |request, _| {
            let page: u64 = request.param("page").map_or(1, |page| page.parse().expect("a number"));
            let rows = if page == page_number { &spoilt } else { plain.as_str() };
            // The pages are told apart by their link: the same page twice is an error.
            ok(format!("{{\"rows\":[{{\"n\":{page}}},{}],\"next\":\"/items?page={}\"}}", rows, page + 1))
        });
        let place = Workplace::new();
        let stream = format!("{PAGED}columns: {{ v: \"{kind}\" }}\n");
        let file = place.file("job.yaml", &job(&server.url, "", &stream));
        let done = place.haul(&["run", &file]).expect_code(1);
        let place_named = format!("record {} of page {page_number}", record + 1);
        done.expect_says(&["`v`", &format!("`{named}`"), &place_named, kind]);
        assert!(!place.path("out/test/_latest.json").exists(), "something was published");
    }
}
