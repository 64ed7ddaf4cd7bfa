//! Keys that come more than once in a table that is replaced. Only hashes are kept, in memory up to a bound and in a
//! temporary file behind it, and they are counted in as many passes as memory asks for.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use arrow::array::{Array, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::limits::KEY_HASHES_IN_MEMORY;
use crate::model::column::Column;

/// Between the values of a key of several columns; no text that came as JSON is likely to hold it.
const BETWEEN: u8 = 0x1f;

/// What was found in the keys of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::engine) struct KeyFindings {
    /// Rows whose key an earlier row had.
    pub repeated: u64,
    /// Rows with a null in the key.
    pub nulls: u64,
}

/// Looks at the keys of all rows of a stream.
#[derive(Debug)]
pub(in crate::engine) struct Repeats {
    key: Vec<String>,
    hashers: [RandomState; 2],
    hashes: Vec<u128>,
    overflow: Option<BufWriter<File>>,
    overflowed: u64,
    nulls: u64,
}

impl Repeats {
    pub(in crate::engine) fn of(key: &[String]) -> Self {
        Repeats {
            key: key.to_vec(),
            hashers: [RandomState::new(), RandomState::new()],
            hashes: Vec::new(),
            overflow: None,
            overflowed: 0,
            nulls: 0,
        }
    }

    /// Takes the keys of a batch. Values are compared by their text, so that a number that another batch has as text is
    /// the same; a key column that is missing is null in every row.
    pub(in crate::engine) fn take(&mut self, batch: &RecordBatch, columns: &[Column]) -> std::io::Result<()> {
        let at = |name: &String| columns.iter().position(|column| column.has_name(name));
        let found: Option<Vec<usize>> = self.key.iter().map(at).collect();
        let Some(found) = found else {
            self.nulls += batch.num_rows() as u64;
            return Ok(());
        };
        let values: Vec<&dyn Array> = found.iter().map(|at| batch.column(*at).as_ref()).collect();
        let options = FormatOptions::new();
        let shown: Result<Vec<ArrayFormatter<'_>>, _> =
            values.iter().map(|values| ArrayFormatter::try_new(*values, &options)).collect();
        let shown = shown.map_err(std::io::Error::other)?;
        let mut text = Vec::new();
        for row in 0..batch.num_rows() {
            if values.iter().any(|values| values.is_null(row)) {
                self.nulls += 1;
                continue;
            }
            text.clear();
            for shown in &shown {
                write!(text, "{}", shown.value(row))?;
                text.push(BETWEEN);
            }
            let [high, low] = [0, 1].map(|at| u128::from(self.hashers[at].hash_one(&text)));
            self.hashes.push(high << 64 | low);
        }
        if self.hashes.len() > KEY_HASHES_IN_MEMORY { self.put_down() } else { Ok(()) }
    }

    fn put_down(&mut self) -> std::io::Result<()> {
        let file = match &mut self.overflow {
            Some(file) => file,
            None => self.overflow.insert(BufWriter::new(tempfile::tempfile()?)),
        };
        for hash in &self.hashes {
            file.write_all(&hash.to_le_bytes())?;
        }
        self.overflowed += self.hashes.len() as u64;
        self.hashes.clear();
        Ok(())
    }

    /// What there was, after the last batch.
    pub(in crate::engine) fn finish(mut self) -> std::io::Result<KeyFindings> {
        if self.overflow.is_none() {
            return Ok(KeyFindings { repeated: repeated_among(&mut self.hashes), nulls: self.nulls });
        }
        self.put_down()?;
        let mut file = self.overflow.expect("it was just filled").into_inner().map_err(|error| error.into_error())?;
        // Equal hashes have the same remainder, so each pass finds its own.
        let passes = self.overflowed.div_ceil(KEY_HASHES_IN_MEMORY as u64);
        let mut repeated = 0;
        for pass in 0..passes {
            file.seek(SeekFrom::Start(0))?;
            let mut reader = BufReader::new(&mut file);
            let mut hashes = std::mem::take(&mut self.hashes);
            hashes.clear();
            for _ in 0..self.overflowed {
                let mut bytes = [0; 16];
                reader.read_exact(&mut bytes)?;
                let hash = u128::from_le_bytes(bytes);
                if (hash >> 64) as u64 % passes == pass {
                    hashes.push(hash);
                }
            }
            repeated += repeated_among(&mut hashes);
            self.hashes = hashes;
        }
        Ok(KeyFindings { repeated, nulls: self.nulls })
    }
}

fn repeated_among(hashes: &mut [u128]) -> u64 {
    hashes.sort_unstable();
    hashes.windows(2).filter(|pair| pair[0] == pair[1]).count() as u64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use arrow::datatypes::{Field, Schema};

    use super::*;
    use crate::model::column::{Column, ColumnType, TypeOrigin};

    fn column(name: &str, kind: ColumnType) -> Column {
        Column { name: name.to_owned(), path: vec![name.to_owned()], kind, origin: TypeOrigin::Inferred }
    }

    fn batch(values: ArrayRef) -> RecordBatch {
        let schema = Schema::new(vec![Field::new("id", values.data_type().clone(), true)]);
        RecordBatch::try_new(Arc::new(schema), vec![values]).expect("a batch")
    }

    #[test]
    fn repeated_and_null_keys_are_counted_over_batches_and_types() {
        let mut repeats = Repeats::of(&["ID".to_owned()]);
        let (number, text) = (column("id", ColumnType::Integer), column("id", ColumnType::Text));
        let numbers = batch(Arc::new(Int64Array::from(vec![Some(1), Some(2), None, Some(1)])));
        let texts = batch(Arc::new(StringArray::from(vec!["2", "b", "1"])));
        repeats.take(&numbers, &[number]).expect("room");
        repeats.take(&texts, &[text]).expect("room");
        repeats.take(&texts, &[column("other", ColumnType::Text)]).expect("room");
        assert_eq!(repeats.finish().expect("read back"), KeyFindings { repeated: 3, nulls: 4 });
    }

    #[test]
    fn what_memory_does_not_hold_is_counted_in_passes() {
        let mut repeats = Repeats::of(&["id".to_owned()]);
        let rows = KEY_HASHES_IN_MEMORY as i64 + 5;
        let first: Vec<i64> = (0..rows).collect();
        let again: Vec<i64> = (0..rows).map(|n| n + rows - 7).collect();
        for values in [first, again] {
            let numbers = batch(Arc::new(Int64Array::from(values)));
            repeats.take(&numbers, &[column("id", ColumnType::Integer)]).expect("room");
        }
        assert!(repeats.overflow.is_some());
        assert_eq!(repeats.finish().expect("read back"), KeyFindings { repeated: 7, nulls: 0 });
    }
}
