//! How Parquet files store what has another type in memory, by the form of the files, and the way back. In memory every
//! column has the type that follows from its meaning alone, so that whoever turns, joins or compares columns need not
//! know who reads the files.
//!
//! | column | in memory | in a file |
//! |---|---|---|
//! | `instant` | timestamp without a zone | the same for Power BI, which would shift it by its own zone; for `analytics` adjusted to UTC |
//! | `decimal` of more than 18 digits | decimal | the same, or the nearest double where the job says so |
//! | `list(…)` | its JSON text | the same for Power BI, which knows no lists in flat tables; for `analytics` a list |
//! | all others | as in a file | as in memory |

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Float64Array, RecordBatch, RecordBatchOptions, TimestampMicrosecondArray,
};
use arrow::datatypes::{
    DataType, Decimal128Type, Field, Float64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};

use crate::columns::{list_array, list_texts, list_type};
use crate::model::column::{Column, ColumnType, ListItem};
use crate::model::destination::{Format, ParquetForm, Profile};
use crate::model::warning::{Warning, WarningKind};

use super::double;
use super::error::Error;

/// The columns of a file against those in memory.
pub(super) struct Storage {
    steps: Vec<Step>,
    schema: SchemaRef,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    None,
    /// Timestamps are said to be UTC's.
    Utc,
    /// JSON texts are lists.
    List(ListItem),
    /// Decimals are doubles.
    Double {
        precision: u8,
        scale: u8,
    },
}

impl Storage {
    /// For files of this form with the columns of `schema`.
    pub(super) fn of(form: ParquetForm, columns: &[Column], schema: &SchemaRef) -> Self {
        let mut steps = Vec::with_capacity(columns.len());
        let mut fields = Vec::with_capacity(columns.len());
        for (column, field) in columns.iter().zip(schema.fields()) {
            assert_eq!(column.name, *field.name(), "a batch is described by its own columns");
            let (step, stored) = match column.kind {
                ColumnType::Instant if form.profile == Profile::Analytics => {
                    (Step::Utc, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))
                }
                ColumnType::Decimal { precision, scale } if Format::Parquet(form).rounds(column.kind) => {
                    (Step::Double { precision, scale }, DataType::Float64)
                }
                ColumnType::List(items) if form.profile == Profile::Analytics => (Step::List(items), list_type(items)),
                _ => (Step::None, field.data_type().clone()),
            };
            steps.push(step);
            fields.push(Field::new(field.name(), stored, true));
        }
        assert_eq!(steps.len(), schema.fields().len(), "a batch is described by its own columns");
        Storage { steps, schema: Arc::new(Schema::new(fields)) }
    }

    /// The schema of the file.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// A batch as the file stores it; what gets lost is added to `lost`, by column.
    pub(super) fn stored(&self, batch: &RecordBatch, lost: &mut [u64]) -> Result<RecordBatch, Error> {
        if self.steps.iter().all(|step| *step == Step::None) {
            return Ok(batch.clone());
        }
        let mut arrays = Vec::with_capacity(self.steps.len());
        for ((step, values), lost) in self.steps.iter().zip(batch.columns()).zip(lost) {
            arrays.push(match step {
                Step::None => Arc::clone(values),
                Step::Utc => {
                    let values = values.as_primitive::<TimestampMicrosecondType>().clone();
                    Arc::new(values.with_timezone("UTC")) as ArrayRef
                }
                Step::List(items) => Arc::new(list_array(values.as_string(), *items)),
                Step::Double { precision, scale } => {
                    let values = values.as_primitive::<Decimal128Type>();
                    let doubles = values.iter().map(|units| {
                        let (value, is_kept) = double::of_decimal(units?, *precision, *scale);
                        *lost += u64::from(!is_kept);
                        Some(value)
                    });
                    Arc::new(doubles.collect::<Float64Array>())
                }
            });
        }
        assembled(Arc::clone(&self.schema), arrays, batch.num_rows())
    }

    /// The counts that [`Storage::stored`] made.
    pub(super) fn warnings<'a>(&'a self, lost: &'a [u64]) -> impl Iterator<Item = Warning> + 'a {
        self.schema.fields().iter().zip(lost).filter(|(_, count)| **count > 0).map(|(field, count)| Warning {
            column: field.name().clone(),
            kind: WarningKind::DecimalRounded,
            count: *count,
        })
    }
}

/// The schema in memory of columns that a file stores as `stored`.
pub(super) fn restored_schema(stored: &Schema, columns: &[Column]) -> SchemaRef {
    let fields = stored.fields().iter().map(|field| {
        let kind = match (field.data_type(), kind_of(field.name(), columns)) {
            (DataType::Timestamp(unit, Some(_)), _) => DataType::Timestamp(*unit, None),
            (DataType::List(_), _) => DataType::Utf8,
            (DataType::Float64, Some(ColumnType::Decimal { precision, scale })) => {
                DataType::Decimal128(precision, scale as i8)
            }
            (other, _) => other.clone(),
        };
        Field::new(field.name(), kind, field.is_nullable())
    });
    Arc::new(Schema::new(fields.collect::<Vec<Field>>()))
}

/// A batch of a file as it is in memory with `schema`, which is [`restored_schema`] of its own.
pub(super) fn restored(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Error> {
    if batch.schema_ref().fields() == schema.fields() {
        return Ok(batch.clone());
    }
    let mut arrays = Vec::with_capacity(batch.num_columns());
    for (field, values) in schema.fields().iter().zip(batch.columns()) {
        arrays.push(match (values.data_type(), field.data_type()) {
            (DataType::Timestamp(..), DataType::Timestamp(..)) => {
                let values: TimestampMicrosecondArray = values.as_primitive().clone();
                Arc::new(values.with_timezone_opt(None::<Arc<str>>)) as ArrayRef
            }
            (DataType::List(_), DataType::Utf8) => Arc::new(list_texts(values.as_list())),
            (DataType::Float64, DataType::Decimal128(precision, scale)) => {
                let wrong = |value: f64| Error::NoDecimal { column: field.name().clone(), value };
                let mut decimals = Vec::with_capacity(values.len());
                for value in values.as_primitive::<Float64Type>() {
                    let units = value.map(|value| double::to_decimal(value, *scale as u8).ok_or_else(|| wrong(value)));
                    decimals.push(units.transpose()?);
                }
                let decimals = Decimal128Array::from(decimals);
                Arc::new(decimals.with_data_type(DataType::Decimal128(*precision, *scale)))
            }
            _ => Arc::clone(values),
        });
    }
    assembled(Arc::clone(schema), arrays, batch.num_rows())
}

fn kind_of(name: &str, columns: &[Column]) -> Option<ColumnType> {
    columns.iter().find(|column| column.name == name).map(|column| column.kind)
}

fn assembled(schema: SchemaRef, arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, Error> {
    let options = RecordBatchOptions::new().with_match_field_names(true).with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, arrays, &options).map_err(|source| Error::Batch { source })
}
