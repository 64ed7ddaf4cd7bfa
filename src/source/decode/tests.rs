//! Documents in every form, whole and cut, small and larger than memory.

use std::io::{Read, Write};
use std::ops::Range;

use serde_json::{Value, json};

use super::*;
use crate::model::answer::{CsvShape, TextEncoding};
use crate::source::envelope::{ArrayFound, Envelope};

fn document(bytes: &[u8]) -> Document {
    Document::Memory(Cursor::new(Bytes::copy_from_slice(bytes)))
}

fn json_of(bytes: &[u8], packing: Packing, format: &AnswerFormat, at: &str) -> Result<String, Error> {
    let at = (!at.is_empty()).then(|| at.parse().expect("a path"));
    let mut json = to_json(document(bytes), packing, format, at.as_ref(), 1 << 30)?;
    let mut text = Vec::new();
    json.read_to_end(&mut text).expect("read");
    // What is no UTF-8 is refused where records are decoded.
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[track_caller]
fn check(bytes: &[u8], format: &AnswerFormat, at: &str, expect: Result<&str, &str>) {
    match (json_of(bytes, Packing::Nothing, format, at), expect) {
        (Ok(json), Ok(expect)) => assert_eq!(json, expect),
        (Err(error), Err(says)) => assert!(error.to_string().contains(says), "{error}"),
        (got, _) => panic!("{got:?}"),
    }
}

#[test]
fn json_lines_become_an_array() {
    let lines = &AnswerFormat::JsonLines;
    check(b"{\"a\":1}\r\n\n{\"a\":1.10}", lines, "", Ok("[{\"a\":1},{\"a\":1.10}]"));
    check(b"\xef\xbb\xbf{}", lines, "", Ok("[{}]"));
    check(b"", lines, "", Ok("[]"));
    check(b"{}\n[1]", lines, "", Err("line 2"));
    check(b"{}\n{\"a\":", lines, "", Err("line 2"));
    check(b"{} {}", lines, "", Err("something follows"));
}

#[test]
fn csv_becomes_an_array() {
    let csv = |change: fn(&mut CsvShape)| {
        let mut shape = CsvShape::default();
        change(&mut shape);
        AnswerFormat::Csv(shape)
    };
    let plain = &csv(|_| {});
    check(
        b"id,name\r\n1,\"a,\"\"b\"\"\"\r\n007,\r\n",
        plain,
        "",
        Ok("[{\"id\":1,\"name\":\"a,\\\"b\\\"\"},{\"id\":\"007\",\"name\":null}]"),
    );
    check(b"\xef\xbb\xbfid,\n1,2.50\n", plain, "", Ok("[{\"id\":1,\"c2\":2.50}]"));
    check(b"id,id\n1,2\n", plain, "", Err("`id` twice"));
    check(b"a,b\n1\n", plain, "", Err("line 2"));
    check(b"a,b\n", plain, "", Ok("[]"));
    check(b"", plain, "", Ok("[]"));
    check(b"a,b\n1,\"x\n2,y\n", plain, "", Err("odd number of quotes"));
    check(b"a,b\n1,\"x", plain, "", Err("odd number of quotes"));
    check(b"a\n5\" pipe\n", &csv(|shape| shape.has_quotes = false), "", Ok("[{\"a\":\"5\\\" pipe\"}]"));
    check(b"<!DOCTYPE html><title>Sign in</title>", plain, "", Err("markup"));
    check(b"{\"error\":\"quota\"}", plain, "", Err("JSON object"));
    check(b"a\xff,b\n1,2\n", plain, "", Err("cannot be read"));
    check(b"a;b\n1;2\n", &csv(|shape| shape.delimiter = b';'), "", Ok("[{\"a\":1,\"b\":2}]"));
    check(b"1,2\n3,4\n", &csv(|shape| shape.has_header = false), "", Ok("[{\"c1\":1,\"c2\":2},{\"c1\":3,\"c2\":4}]"));
    check(b"Report\nx\na\n1\n", &csv(|shape| shape.skip_lines = 2), "", Ok("[{\"a\":1}]"));
    let latin = &csv(|shape| shape.encoding = TextEncoding::Latin1);
    check(b"n\nGr\xfc\xdfe\n", latin, "", Ok("[{\"n\":\"Grüße\"}]"));
}

#[test]
fn xml_becomes_an_array() {
    let xml = &AnswerFormat::Xml;
    let items = "<?xml version=\"1.0\"?><r xmlns=\"u\"><n>2</n><items><item id=\"1\"><name>A &amp; B</name><tag>x</tag><tag>y</tag></item><item id=\"2\"><name/><price cur=\"EUR\">1.50</price></item></items></r>";
    let expect = "[{\"id\":1,\"name\":\"A & B\",\"tag\":[\"x\",\"y\"]},{\"id\":2,\"name\":null,\"price\":{\"cur\":\"EUR\",\"text\":1.50}}]";
    check(items.as_bytes(), xml, "items.item", Ok(expect));
    check(items.as_bytes(), xml, "r.items.item", Ok(expect));
    check(items.as_bytes(), xml, "things.item", Err("`things.item`"));
    check(b"<r><a>1</a><a>2</a></r>", xml, "", Ok("[{\"text\":1},{\"text\":2}]"));
    check(
        b"<r><i><v xmlns:x=\"u\" x:nil=\"true\">7</v><w><![CDATA[<b>]]></w></i></r>",
        xml,
        "i",
        Ok("[{\"v\":null,\"w\":\"<b>\"}]"),
    );
    check(b"<r><items/></r>", xml, "items.item", Ok("[]"));
    check(b"<r><items/></r>", xml, "r.items.item", Ok("[]"));
    check(b"<r/>", xml, "item", Ok("[]"));
    check(b"<r><item/></r>", xml, "itme", Err("`itme`"));
    check(b"<r><items><item/></items></r>", xml, "items.itme", Err("`items.itme`"));
    check(b"", xml, "item", Err("no element"));
    check(b"Service unavailable", xml, "item", Err("outside of the root"));
    check(b"<r/><r/>", xml, "item", Err("two roots"));
    check(b"<r><i><text>a</text>tail</i></r>", xml, "i", Err("`text`"));
    check(b"<r xmlns:a=\"u\" xmlns:b=\"v\"><i a:x=\"1\" b:x=\"2\"/></r>", xml, "i", Err("`x`"));
    check(b"<r><i nil=\"1\"/></r>", xml, "i", Ok("[{\"nil\":1}]"));
    check(b"<!DOCTYPE r [<!ENTITY x \"y\">]><r/>", xml, "i", Err("document type"));
    check(b"<r><i>&x;</i></r>", xml, "i", Err("not defined"));
    check(b"<r><i>1</i>", xml, "i", Err("not closed"));
    check(b"<r><i>1</j></r>", xml, "i", Err("cannot be read"));
    check(b"<r><i id=\"1\"><id>2</id></i></r>", xml, "i", Err("`id`"));
}

#[test]
fn archives_are_unpacked() {
    let lines = AnswerFormat::JsonLines;
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).expect("packed");
        encoder.finish().expect("packed")
    };
    let two = [gzip(b"{\"a\":1}\n"), gzip(b"{\"a\":2}\n")].concat();
    assert_eq!(json_of(&two, Packing::Gzip, &lines, "").expect("JSON"), "[{\"a\":1},{\"a\":2}]");
    assert!(json_of(&two[..two.len() - 6], Packing::Gzip, &lines, "").is_err(), "a cut gzip");
    let bomb = gzip(&vec![b' '; 1 << 20]);
    let error = to_json(document(&bomb), Packing::Gzip, &lines, None, 1 << 16).expect_err("a bomb");
    assert!(matches!(error, Error::Unpacked { .. }), "{error}");

    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (name, text) in [("b.csv", "a\n2\n"), ("a.csv", "a\n1\n")] {
        archive.start_file(name, options).expect("a file");
        archive.write_all(text.as_bytes()).expect("written");
    }
    let archive = archive.finish().expect("an archive").into_inner();
    let csv = AnswerFormat::Csv(CsvShape::default());
    assert_eq!(json_of(&archive, Packing::Zip, &csv, "").expect("JSON"), "[{\"a\":1},{\"a\":2}]");
    assert!(json_of(&archive, Packing::Zip, &AnswerFormat::Json, "").is_err(), "two documents");
    assert!(json_of(b"PK no", Packing::Zip, &csv, "").is_err());
}

/// Gives so many bytes at once, and no more.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.1.min(self.0.len()).min(buffer.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

/// The lists outside of lists, with their paths, as serde_json sees them.
fn lists_of(value: &Value, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, Value)>) {
    match value {
        Value::Array(_) => found.push((path.clone(), value.clone())),
        Value::Object(members) if path.len() < 6 => {
            for (name, value) in members {
                path.push(name.clone());
                lists_of(value, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}

#[track_caller]
fn check_scan(text: &str) {
    let whole = Envelope::read(text.as_bytes()).map_err(drop);
    if let Ok(value) = serde_json::from_str(text) {
        let envelope = whole.as_ref().expect("serde_json takes it");
        let mut expect = Vec::new();
        lists_of(&value, &mut Vec::new(), &mut expect);
        let parsed =
            |bytes: &Range<usize>| -> Value { serde_json::from_slice(&text.as_bytes()[bytes.clone()]).expect("JSON") };
        let list = |list: &ArrayFound| (list.path.clone(), parsed(&list.bytes));
        assert_eq!(envelope.arrays.iter().map(list).collect::<Vec<_>>(), expect, "{text}");
        for list in &envelope.arrays {
            let items = parsed(&list.bytes).as_array().expect("a list").clone();
            assert_eq!(
                (list.items, list.is_of_objects),
                (items.len() as u64, items.iter().all(Value::is_object)),
                "{text}"
            );
            assert_eq!(list.last_item.as_ref().map(parsed).as_ref(), items.last(), "{text}");
        }
    }
    for step in [1, 2, 3, 7, 1000] {
        let scanned = Envelope::read_large(Slow(text.as_bytes(), step));
        match (&whole, scanned) {
            (Ok(whole), Ok(scanned)) => {
                let scanned = Envelope { objects: whole.objects.clone(), ..scanned };
                // Objects too deep to look into are members of nobody.
                assert_eq!(*whole, scanned, "{text} in steps of {step}");
            }
            (Err(()), Err(_)) => {}
            // What stands inside records is checked where they are decoded.
            (Err(()), Ok(_)) => assert!(text.contains("inside"), "{text}"),
            (Ok(_), Err(error)) => panic!("{text}: {error}"),
        }
    }
}

#[test]
fn a_scan_sees_what_a_whole_reading_sees() {
    for text in [
        "[]",
        "{}",
        "[{\"a\":1},{\"a\":[2]}]",
        " {\"value\" : [ {\"x\":\"]}\\\"\"} , {} ] , \"next\":\"u\" } ",
        "{\"d\":{\"results\":[{}],\"__count\":\"2\"},\"n\":null,\"t\":true,\"f\":-1.5e3}",
        "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":{\"g\":1}}}}}}}",
        "{\"\\u0061b\":[1,\"x\",null]}",
        "7",
        "\"x\"",
        "",
        "{",
        "[",
        "[1",
        "[1,",
        "{\"a\"",
        "{\"a\":}",
        "{\"a\":1,}",
        "[] []",
        "{\"a\":1} x",
        "{\"a\":[1}",
        "{a:1}",
        "{\"a\":tru}",
        "{\"a\":1 2}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":[1,]}",
        "{\"a\":[{}{}]}",
        "{\"a\":[{\"b\":[}]}",
        "{\"a\":[{\"b\":\"}]}",
        "{\"a\":[{\"b\":NaN}]}",
        "[{\"a\":1},{\"a\":{\"b\":\"\\\\\"}}, {\"a\":null} ]",
        "[\"inside\\q\"]",
    ] {
        check_scan(text);
    }
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }

    fn value(&mut self, depth: u64) -> Value {
        match self.below(if depth > 5 { 5 } else { 8 }) {
            0 => Value::Null,
            1 => json!(self.below(2) == 1),
            2 => json!(self.below(1 << 40)),
            3 => json!(self.below(1000) as f64 / 8.0),
            4 => json!(["", "a\"]}", "\\", "ü\u{1F600}", "[{"][self.below(5) as usize]),
            5 | 6 => (0..self.below(4)).map(|_| self.value(depth + 1)).collect(),
            _ => Value::Object((0..self.below(4)).map(|at| (format!("k\"{at}"), self.value(depth + 1))).collect()),
        }
    }
}

#[test]
fn random_documents_are_scanned_alike_and_broken_ones_do_no_harm() {
    let mut random = Random(0x5EED);
    for _ in 0..400 {
        let text = random.value(0).to_string();
        check_scan(&text);
        let mut broken = text.into_bytes();
        for _ in 0..10 {
            let at = random.below(broken.len() as u64) as usize;
            broken[at] = b"{}[]\",:\\0 a\xff"[random.below(12) as usize];
            let _ = (Envelope::read(&broken), Envelope::read_large(Slow(&broken, 5)));
            for format in [AnswerFormat::JsonLines, AnswerFormat::Csv(CsvShape::default()), AnswerFormat::Xml] {
                let _ = json_of(&broken, Packing::Nothing, &format, "");
            }
        }
    }
}

#[test]
fn a_large_list_comes_in_pieces() {
    let records: Vec<String> = (0..200_000).map(|n| format!("{{\"n\": {n}, \"t\":\"x]\\\"{n}\"}}")).collect();
    let text = format!("{{\"a\":[1],\"rows\":[{}],\"next\":\"u\"}}", records.join(" , "));
    let envelope = Envelope::read_large(text.as_bytes()).expect("a document");
    let list = envelope.arrays.iter().find(|array| array.path == ["rows"]).expect("a list");
    assert_eq!((list.items, envelope.arrays.len()), (200_000, 2));
    let mut pieces = Pieces::new(document(text.as_bytes()), list.bytes.clone()).expect("pieces");
    let (mut count, mut number) = (0, 0);
    while let Some(piece) = pieces.next_piece().expect("a piece") {
        assert!(piece.len() < crate::limits::PIECE_BYTES + 1000);
        let values: Vec<Value> = serde_json::from_slice(&piece).expect("an array");
        for value in values {
            assert_eq!(value["n"], number);
            number += 1;
        }
        count += 1;
    }
    assert_eq!((number, count > 2), (200_000, true));
    let mut none = Pieces::new(document(b"[ ]"), 0..3).expect("pieces");
    assert_eq!(none.next_piece().expect("the end"), None);
}

#[test]
fn what_is_too_large_for_memory_is_refused_before_it_is_there() {
    let long = format!("{{\"rows\":[],\"note\":\"{}\"}}", "x".repeat(crate::limits::ENVELOPE_BYTES_MAX * 2));
    assert!(matches!(Envelope::read_large(long.as_bytes()), Err(Error::Large { name: "ENVELOPE_BYTES_MAX", .. })));
}
