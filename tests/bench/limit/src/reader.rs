//! The same by the reader of arrow-json: the envelope is a schema, too, so that a page is read once.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use arrow::json::ReaderBuilder;

use crate::Failure;
use crate::writer::{open, schema};

/// Turns the pages into one file; returns its rows. A batch is a page.
pub(crate) fn convert(pages: &[Vec<u8>], sink: File) -> Result<usize, Failure> {
    let table = schema();
    let mut writer = open(&table, sink)?;
    let mut rows = 0;
    let mut decoder = ReaderBuilder::new(Arc::new(envelope())).with_batch_size(1).build_decoder()?;
    for page in pages {
        let read = decoder.decode(page)?;
        if read != page.len() {
            return Err("a page holds more than one document".into());
        }
        let document = decoder.flush()?.ok_or("an empty page")?;
        let records = document.column(0).as_list::<i32>().value(0);
        let records = records.as_struct();
        let mut columns = Vec::with_capacity(table.fields().len());
        for column in records.columns() {
            match column.as_struct_opt() {
                Some(address) => columns.extend(address.columns().iter().cloned()),
                None => columns.push(Arc::clone(column)),
            }
        }
        rows += records.len();
        writer.write(&RecordBatch::try_new(Arc::clone(&table), columns)?)?;
    }
    writer.close()?;
    Ok(rows)
}

/// A page: the list of records, and the next link.
fn envelope() -> Schema {
    let mut fields: Vec<Field> = Vec::new();
    let mut address = Vec::new();
    for field in schema().fields() {
        match field.name().strip_prefix("address_") {
            Some(inner) => address.push(Field::new(inner, field.data_type().clone(), true)),
            None => fields.push(field.as_ref().clone()),
        }
    }
    let note = fields.iter().position(|field| field.name() == "note").map_or(0, |note| note + 1);
    fields.insert(note, Field::new("address", DataType::Struct(Fields::from(address)), true));
    let item = Field::new("item", DataType::Struct(Fields::from(fields)), true);
    Schema::new(vec![
        Field::new("data", DataType::List(Arc::new(item)), true),
        Field::new("next", DataType::Utf8, true),
    ])
}
