//! jiter's tokens straight into Arrow's builders: the members of a record come in the order of the generator, and
//! anything else is refused.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use jiter::{Jiter, NumberInt, Peek};

use crate::Failure;
use crate::writer::{BATCH_ROWS, MONEY, open, schema};

/// The values of one batch.
struct Batch {
    rows: usize,
    id: Int64Builder,
    guid: StringBuilder,
    customer: StringBuilder,
    email: StringBuilder,
    country: StringBuilder,
    ordered_at: TimestampMicrosecondBuilder,
    due_on: Date32Builder,
    quantity: Int64Builder,
    price: Decimal128Builder,
    discount: Decimal128Builder,
    is_paid: BooleanBuilder,
    status: StringBuilder,
    note: StringBuilder,
    street: StringBuilder,
    city: StringBuilder,
    reference: StringBuilder,
}

/// Turns the pages into one file; returns its rows.
pub(crate) fn convert(pages: &[Vec<u8>], sink: File) -> Result<usize, Failure> {
    let table = schema();
    let mut writer = open(&table, sink)?;
    let mut batch = Batch::new();
    let mut rows = 0;
    for page in pages {
        let mut jiter = Jiter::new(page);
        expect(jiter.next_object()?, "data")?;
        let mut item = jiter.next_array()?;
        while item.is_some() {
            batch.take(&mut jiter)?;
            rows += 1;
            if batch.rows == BATCH_ROWS {
                writer.write(&RecordBatch::try_new(Arc::clone(&table), batch.finish())?)?;
            }
            item = jiter.array_step()?;
        }
        expect(jiter.next_key()?, "next")?;
        jiter.next_skip()?;
        end(jiter.next_key()?)?;
        jiter.finish()?;
    }
    if batch.rows > 0 {
        writer.write(&RecordBatch::try_new(Arc::clone(&table), batch.finish())?)?;
    }
    writer.close()?;
    Ok(rows)
}

fn expect(found: Option<&str>, key: &str) -> Result<(), Failure> {
    if found == Some(key) { Ok(()) } else { Err(format!("`{key}` is expected, not {found:?}").into()) }
}

fn end(found: Option<&str>) -> Result<(), Failure> {
    found.map_or(Ok(()), |key| Err(format!("`{key}` is not expected").into()))
}

fn text(jiter: &mut Jiter<'_>, key: &str, column: &mut StringBuilder) -> Result<(), Failure> {
    expect(jiter.next_key()?, key)?;
    column.append_value(jiter.next_str()?);
    Ok(())
}

fn nullable_text(jiter: &mut Jiter<'_>, key: &str, column: &mut StringBuilder) -> Result<(), Failure> {
    expect(jiter.next_key()?, key)?;
    match jiter.peek()? {
        Peek::Null => {
            jiter.known_null()?;
            column.append_null();
        }
        _ => column.append_value(jiter.known_str()?),
    }
    Ok(())
}

fn integer(jiter: &mut Jiter<'_>) -> Result<i64, Failure> {
    let NumberInt::Int(value) = jiter.next_int()?;
    Ok(value)
}

fn money(jiter: &mut Jiter<'_>, key: &str, column: &mut Decimal128Builder) -> Result<(), Failure> {
    expect(jiter.next_key()?, key)?;
    let (mut units, mut places) = (0_i64, None);
    for byte in jiter.next_number_bytes()? {
        match byte {
            b'0'..=b'9' => {
                units = units * 10 + i64::from(byte - b'0');
                places = places.map(|places: usize| places + 1);
            }
            b'.' => places = Some(0),
            _ => return Err("a price with a sign or an exponent".into()),
        }
    }
    let shift = 4_usize.checked_sub(places.unwrap_or(0)).ok_or("a price with more than four places")?;
    column.append_value(i128::from(units * [1, 10, 100, 1_000, 10_000][shift]));
    Ok(())
}

/// Digits at a place of a text.
fn digits(text: &[u8], from: usize, count: usize) -> Result<i64, Failure> {
    let text = text.get(from..from + count).ok_or("a date that is too short")?;
    text.iter().try_fold(0, |value, byte| match byte {
        b'0'..=b'9' => Ok(value * 10 + i64::from(byte - b'0')),
        _ => Err("a date with other characters than digits".into()),
    })
}

/// Days since 1970 (<https://howardhinnant.github.io/date_algorithms.html>, `days_from_civil`), for years after 1970.
fn days(text: &[u8]) -> Result<i64, Failure> {
    let (year, month, day) = (digits(text, 0, 4)?, digits(text, 5, 2)?, digits(text, 8, 2)?);
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Ok(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

fn micros(text: &[u8]) -> Result<i64, Failure> {
    let seconds = digits(text, 11, 2)? * 3600 + digits(text, 14, 2)? * 60 + digits(text, 17, 2)?;
    Ok((days(text)? * 86_400 + seconds) * 1_000_000)
}

impl Batch {
    fn new() -> Self {
        let text = |bytes: usize| StringBuilder::with_capacity(BATCH_ROWS, BATCH_ROWS * bytes);
        let integer = || Int64Builder::with_capacity(BATCH_ROWS);
        let money = || Decimal128Builder::with_capacity(BATCH_ROWS).with_data_type(MONEY);
        Batch {
            rows: 0,
            id: integer(),
            guid: text(32),
            customer: text(40),
            email: text(40),
            country: text(2),
            ordered_at: TimestampMicrosecondBuilder::with_capacity(BATCH_ROWS),
            due_on: Date32Builder::with_capacity(BATCH_ROWS),
            quantity: integer(),
            price: money(),
            discount: money(),
            is_paid: BooleanBuilder::with_capacity(BATCH_ROWS),
            status: text(10),
            note: text(180),
            street: text(32),
            city: text(16),
            reference: text(16),
        }
    }

    /// One record, at whose brace the parser stands.
    fn take(&mut self, jiter: &mut Jiter<'_>) -> Result<(), Failure> {
        expect(jiter.next_object()?, "id")?;
        self.id.append_value(integer(jiter)?);
        text(jiter, "guid", &mut self.guid)?;
        text(jiter, "customer", &mut self.customer)?;
        nullable_text(jiter, "email", &mut self.email)?;
        text(jiter, "country", &mut self.country)?;
        expect(jiter.next_key()?, "ordered_at")?;
        self.ordered_at.append_value(micros(jiter.next_str()?.as_bytes())?);
        expect(jiter.next_key()?, "due_on")?;
        self.due_on.append_value(i32::try_from(days(jiter.next_str()?.as_bytes())?)?);
        expect(jiter.next_key()?, "quantity")?;
        self.quantity.append_value(integer(jiter)?);
        money(jiter, "price", &mut self.price)?;
        money(jiter, "discount", &mut self.discount)?;
        expect(jiter.next_key()?, "is_paid")?;
        self.is_paid.append_value(jiter.next_bool()?);
        text(jiter, "status", &mut self.status)?;
        text(jiter, "note", &mut self.note)?;
        expect(jiter.next_key()?, "address")?;
        expect(jiter.next_object()?, "street")?;
        self.street.append_value(jiter.next_str()?);
        text(jiter, "city", &mut self.city)?;
        end(jiter.next_key()?)?;
        text(jiter, "reference", &mut self.reference)?;
        end(jiter.next_key()?)?;
        self.rows += 1;
        Ok(())
    }

    /// The columns; what follows begins anew, with as much room.
    fn finish(&mut self) -> Vec<ArrayRef> {
        let mut full = std::mem::replace(self, Batch::new());
        vec![
            Arc::new(full.id.finish()),
            Arc::new(full.guid.finish()),
            Arc::new(full.customer.finish()),
            Arc::new(full.email.finish()),
            Arc::new(full.country.finish()),
            Arc::new(full.ordered_at.finish()),
            Arc::new(full.due_on.finish()),
            Arc::new(full.quantity.finish()),
            Arc::new(full.price.finish()),
            Arc::new(full.discount.finish()),
            Arc::new(full.is_paid.finish()),
            Arc::new(full.status.finish()),
            Arc::new(full.note.finish()),
            Arc::new(full.street.finish()),
            Arc::new(full.city.finish()),
            Arc::new(full.reference.finish()),
        ]
    }
}
