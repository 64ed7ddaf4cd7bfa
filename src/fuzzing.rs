//! The entries of the fuzz targets in `fuzz/`; only there with `--cfg fuzzing`. What must hold for any bytes is asserted
//! here, where the rooms can be reached.

mod slow;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use arrow::array::{AsArray, RecordBatch};

use crate::columns::{Decoder, Error, Options, convert_stepwise, list_array, list_texts};
use crate::model::column::{Column, ColumnType};
use crate::model::destination::{LongText, Profile, ValueLimits};
use crate::model::fields::{BadRecords, ChildPlan, Contract, FieldPlan};
use crate::source::fuzzing::{items, records_of};

/// Columns of one made-up table.
const COLUMNS_MAX: usize = 3;

/// One table as it came out.
#[derive(Debug, PartialEq)]
struct Table {
    columns: Vec<Column>,
    batches: Vec<RecordBatch>,
    warnings: usize,
}

/// The bytes of an answer, of which the first chooses options.
///
/// - No panic.
/// - The same records in pages of one, two or all of them give the same tables, or the same refusal.
/// - Every record becomes a row, or is set aside where the options say so.
/// - What is taken is JSON for serde_json, too; and what is no JSON for us is none for it, but for escapes of half
///   characters.
/// - Batches turn into the columns of the end without a loss, wherever they were cut.
pub fn decode_page(data: &[u8]) {
    let Some((choice, answer)) = data.split_first() else { return };
    let Some(records) = records_of(answer) else { return };
    let items = items(&records);
    let options = || options(*choice);
    let whole = decode(options(), &[records.to_vec()], false);
    for rows in [1, 2, items.len().max(1)] {
        let pages: Vec<Vec<u8>> =
            items.chunks(rows).map(|page| [b"[", page.join(&b","[..]).as_slice(), b"]"].concat()).collect();
        match (&whole, decode(options(), &pages, false)) {
            (Ok(whole), Ok(paged)) => assert_eq!(*whole, paged, "{rows} records a page"),
            (Err(_), Err(_)) => {}
            (whole, paged) => panic!("{rows} records a page: {whole:?} {paged:?}"),
        }
        let cut = decode(options(), &pages, true);
        assert_eq!(whole.is_ok(), cut.is_ok(), "{cut:?}");
        if let (Ok((tables, _)), Ok((cut, _))) = (&whole, cut) {
            for (table, cut) in tables.iter().zip(&cut) {
                assert_eq!(kinds(table), kinds(cut), "types do not depend on where batches end");
            }
        }
    }
    let is_json = |text: &[u8]| serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok();
    match whole {
        Ok((tables, bad)) => {
            let rows: usize = tables[0].batches.iter().map(RecordBatch::num_rows).sum();
            assert_eq!(rows as u64 + bad, items.len() as u64);
            assert!(items.iter().all(|item| is_json(item)), "a record is no JSON");
        }
        Err(Error::Syntax { .. }) => {
            let has_escapes = records.windows(2).any(|two| two == b"\\u");
            let is_text = std::str::from_utf8(&records).is_ok();
            assert!(has_escapes || !is_text || !is_json(&records), "the records are JSON");
        }
        Err(_) => {}
    }
}

fn options(choice: u8) -> Options {
    let child = ChildPlan { path: vec!["c".to_owned()], table: "children".to_owned(), fields: FieldPlan::default() };
    let declared = [("a", ColumnType::Text), ("b", ColumnType::Integer), ("d", ColumnType::DateTime)];
    Options {
        name: "table".to_owned(),
        is_odata: choice & 1 > 0,
        fields: FieldPlan {
            children: if choice & 2 > 0 { vec![child] } else { Vec::new() },
            columns: declared
                .iter()
                .filter(|_| choice & 8 > 0)
                .map(|(name, kind)| ((*name).to_owned(), *kind))
                .collect(),
            ..FieldPlan::default()
        },
        contract: Contract {
            bad_records: if choice & 4 > 0 { BadRecords::Quarantine { max: 1_000 } } else { BadRecords::Fail },
            ..Contract::default()
        },
        limits: if choice & 16 > 0 {
            ValueLimits::of(Profile::Analytics, LongText::Truncate)
        } else {
            ValueLimits::default()
        },
        ..Options::default()
    }
}

fn kinds(table: &Table) -> BTreeMap<&str, ColumnType> {
    table.columns.iter().map(|column| (column.name.as_str(), column.kind)).collect()
}

/// Decodes pages, with batches that end where pages end or not, and turns all batches into the columns of the end. Also
/// says how many records were set aside.
fn decode(options: Options, pages: &[Vec<u8>], is_cut: bool) -> Result<(Vec<Table>, u64), Error> {
    let mut decoder = Decoder::new(options)?;
    let mut found = Vec::new();
    for page in pages {
        // One number for all: where a record stood is not what is compared.
        decoder.push(page, 1)?;
        if is_cut {
            decoder.cut()?;
        }
        found.extend(std::iter::from_fn(|| decoder.next_batch()));
    }
    decoder.finish()?;
    found.extend(std::iter::from_fn(|| decoder.next_batch()));
    let mut tables = Vec::new();
    for table in 0..decoder.tables() {
        let (columns, once_datetimes) = (decoder.columns(table).to_vec(), decoder.once_datetimes(table));
        let mut batches = Vec::new();
        for (_, batch) in found.iter().filter(|(of, _)| *of == table) {
            let schema = batch.schema();
            let from = decoder.columns_of(table, &schema).expect("the batch is this decoder's");
            let turned = convert_stepwise(batch, from, &columns, &once_datetimes);
            batches.push(turned.expect("every batch turns into the columns of the end"));
            check_lists(batches.last().expect("a batch"), &columns);
        }
        let warnings = decoder.warnings(table).len();
        tables.push(Table { columns, batches, warnings });
    }
    Ok((tables, decoder.bad_count()))
}

/// Lists come back as the values that they were stored as.
fn check_lists(batch: &RecordBatch, columns: &[Column]) {
    for (column, values) in columns.iter().zip(batch.columns()) {
        if let ColumnType::List(items) = column.kind {
            let lists = list_array(values.as_string(), items);
            assert_eq!(list_array(&list_texts(&lists), items), lists, "{column:?}");
        }
    }
}

/// Bytes that become scalars of one to three columns, and places where batches end.
///
/// - Every value of a column equals what a slow reading of its token says.
/// - The type of a column of numbers does not depend on their order, nor on where batches end.
pub fn infer(data: &[u8]) {
    let Some((choice, tokens)) = data.split_first() else { return };
    let columns = usize::from(*choice) % COLUMNS_MAX + 1;
    let tokens = slow::tokens(tokens);
    let rows: Vec<&[String]> = tokens.chunks_exact(columns).collect();
    let forward = table_of(&rows, usize::from(choice >> 4));
    let backward: Vec<&[String]> = rows.iter().rev().copied().collect();
    let backward = table_of(&backward, 1);
    for column in 0..columns.min(forward.columns.len()) {
        let values: Vec<&str> = rows.iter().map(|row| row[column].as_str()).collect();
        let kind = forward.columns[column].kind;
        if values.iter().all(|value| slow::is_number(value)) {
            assert_eq!(kind, slow::numeric_kind(&values), "{values:?}");
            assert_eq!(kind, backward.columns[column].kind, "{values:?} backwards");
        }
        let mut row = 0;
        for batch in &forward.batches {
            for at in 0..batch.num_rows() {
                slow::check(batch.column(column), at, kind, values[row], &values);
                row += 1;
            }
        }
        assert_eq!(row, rows.len());
    }
}

/// The table of rows of tokens; `every` so many rows end a batch, 0 = none do.
fn table_of(rows: &[&[String]], every: usize) -> Table {
    let mut pages = vec![b"[".to_vec()];
    for (at, row) in rows.iter().enumerate() {
        if every > 0 && at > 0 && at.is_multiple_of(every) {
            pages.last_mut().expect("a page").push(b']');
            pages.push(b"[".to_vec());
        }
        let page = pages.last_mut().expect("a page");
        let mut record = String::from(if page.len() > 1 { ",{" } else { "{" });
        for (column, token) in row.iter().enumerate() {
            let comma = if column > 0 { "," } else { "" };
            write!(record, "{comma}\"k{column}\":{token}").expect("writing to a string cannot fail");
        }
        record.push('}');
        page.extend_from_slice(record.as_bytes());
    }
    pages.last_mut().expect("a page").push(b']');
    let options = Options { name: "table".to_owned(), ..Options::default() };
    let (mut tables, _) = decode(options, &pages, every > 0).expect("every token is taken");
    tables.remove(0)
}
