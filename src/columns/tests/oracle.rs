//! Made-up records, decoded by us and by serde_json: the values must agree.

use super::decode;
use crate::columns::options::Options;
use serde_json::Value;

/// The same numbers on every run, on every machine (splitmix64 of a counter).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % below
    }
}

fn text(numbers: &mut Numbers) -> String {
    const PIECES: [&str; 9] = ["a", "ß", "😀", "\"", "\\", "\n", "\u{1}", "2024-01-31", " "];
    (0..numbers.next(5)).map(|_| PIECES[numbers.next(9) as usize]).collect()
}

/// A value as JSON; `family` keeps a column mostly of one kind.
fn value(numbers: &mut Numbers, family: u64) -> String {
    let family = if numbers.next(200) == 0 { numbers.next(8) } else { family };
    match family {
        0 => numbers.next(1000).to_string(),
        1 => format!("-{}.{:02}", numbers.next(1 << 40), numbers.next(100)),
        2 => ["true", "false"][numbers.next(2) as usize].to_owned(),
        3 => format!("\"20{:02}-0{}-1{}\"", numbers.next(100), 1 + numbers.next(9), numbers.next(10)),
        4 => serde_json::to_string(&text(numbers)).expect("a string"),
        5 => format!("[{}, {}]", numbers.next(9), serde_json::to_string(&text(numbers)).expect("a string")),
        6 => numbers.next(u64::MAX).to_string(),
        _ => "null".to_owned(),
    }
}

fn record(numbers: &mut Numbers) -> String {
    let mut members: Vec<String> = Vec::new();
    for column in 0..10 {
        if numbers.next(4) > 0 {
            members.push(format!("\"k{column}\" : {}", value(numbers, column % 8)));
        }
    }
    if numbers.next(3) == 0 {
        members.push(format!("\"o\":{{\"x\":{}, \"y\":{{\"z\":{}}}}}", value(numbers, 0), value(numbers, 4)));
    }
    if numbers.next(2) == 0 {
        members.reverse();
    }
    format!("{{{}}}", members.join(", "))
}

fn expected(record: &Value, path: &[String]) -> String {
    let mut value = record;
    for key in path {
        match value.get(key) {
            Some(below) => value = below,
            None => return "∅".to_owned(),
        }
    }
    match value {
        Value::Null | Value::Object(_) => "∅".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(_) => value.to_string(),
        Value::Number(number) => {
            let text = number.to_string();
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
        }
        Value::Bool(_) => value.to_string(),
    }
}

fn check(seed: u64, records: usize, page_rows: usize) {
    let mut numbers = Numbers(seed);
    let records: Vec<String> = (0..records).map(|_| record(&mut numbers)).collect();
    let pages: Vec<String> = records.chunks(page_rows).map(|page| format!("[{}]", page.join(","))).collect();
    let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
    let table = decode(Options::default(), &pages).expect("a table");
    assert_eq!(table.rows.len(), records.len());
    for (row, record) in records.iter().enumerate() {
        let tree: Value = serde_json::from_str(record).expect("valid JSON");
        for (at, column) in table.columns.iter().enumerate() {
            // JSON text keeps the spelling of its numbers and strings; ours are compared as trees.
            let (found, expect) = (&table.rows[row][at], expected(&tree, &column.path));
            let same = *found == expect
                || expect.starts_with('[')
                    && serde_json::from_str::<Value>(found).ok() == serde_json::from_str(&expect).ok();
            assert!(same, "seed {seed}, row {row}, {}: {found} is not {expect} in {record}", column.name);
        }
    }
}

#[test]
fn decoding_agrees_with_a_tree_of_values() {
    for seed in 0..40 {
        check(seed, 60, 7);
    }
    check(1_000, 30_000, 999);
}
