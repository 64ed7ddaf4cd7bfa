//! The walk through a page's records: each becomes a row of the stream's table, and its lists rows of child tables.

use std::collections::VecDeque;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use jiter::Peek;
use serde_json::Value;

use crate::model::column::{Column, ColumnType, TypeOrigin};
use crate::model::fields::{BadRecords, ChildPlan, FieldPlan};
use crate::model::warning::Warning;

use super::children::{Given, key_of};
use super::error::{Error, Place};
use super::names::{folded, name_of};
use super::options::{Options, PARENT_ROW, POSITION, TableOptions};
use super::reason::Reason;
use super::table::{Table, kind_word, syntax_error};
use super::tokens::Tokens;
use super::tombstones::{GoneBatch, Tombstones};

/// What the job's expressions make of a record: values for the computed columns, or `None` where its filter leaves the
/// record out. The error is for people.
pub(crate) type Compute = Box<dyn FnMut(&Value) -> Result<Option<Vec<Value>>, String> + Send>;

/// A record that became no row, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadRecord {
    pub(crate) place: Place,
    pub(crate) reason: String,
    /// As it was sent.
    pub(crate) json: String,
}

/// One table of the stream.
#[derive(Debug)]
struct Known {
    name: String,
    table: Table,
}

/// Turns pages of records into batches of one or several tables.
///
/// - Table 0 is the stream's own; those of its lists follow, each with its own lists' tables behind it.
/// - Every batch of a table but the first and the last has [`crate::limits::BATCH_ROWS`] rows, or fewer where their JSON
///   reaches [`crate::limits::SAMPLE_BYTES_MAX`]; the first has up to [`crate::limits::SAMPLE_ROWS`]. Pages play no part
///   in it.
/// - Columns stand in the order in which their fields first appear, those known beforehand that never appear behind them.
///   A column that has its place keeps it.
/// - After an error nothing that comes out is of any use.
pub(crate) struct Decoder {
    tables: Vec<Known>,
    key: Vec<String>,
    is_odata: bool,
    has_parent_rows: bool,
    bad_records: BadRecords,
    bad: VecDeque<BadRecord>,
    bad_count: u64,
    first_bad: Option<String>,
    compute: Option<Compute>,
    filtered: u64,
    /// Absent = no record tells that it is gone.
    tombstones: Option<Tombstones>,
    /// Rows of the stream's own table so far.
    rows: u64,
}

impl Decoder {
    /// A decoder that knows these columns. Two of them with the same name but for case are an error.
    pub(crate) fn new(options: Options) -> Result<Self, Error> {
        let tombstones = Tombstones::of(&options)?;
        let fields = &options.fields;
        let mut own = Table::new(&TableOptions {
            fields,
            fetched: &options.fetched,
            former: &options.former,
            is_odata: options.is_odata,
            is_xml: options.is_xml,
            contract: options.contract,
            limits: options.limits,
            given: Vec::new(),
            first_child: 1,
        })?;
        own.add_computed(&options.computed)?;
        let mut tables = vec![Known { name: options.name.clone(), table: own }];
        if !fields.children.is_empty() {
            let given = given_columns(&tables[0], &options)?;
            add_children(&mut tables, fields, &given, &options)?;
        }
        Ok(Decoder {
            tables,
            key: options.key,
            is_odata: options.is_odata,
            has_parent_rows: options.has_parent_rows,
            bad_records: options.contract.bad_records,
            bad: VecDeque::new(),
            bad_count: 0,
            first_bad: None,
            compute: None,
            filtered: 0,
            tombstones,
            rows: 0,
        })
    }

    /// Every record goes through this first.
    pub(crate) fn set_compute(&mut self, compute: Compute) {
        self.compute = Some(compute);
    }

    /// Reads the records of one page: the text of a JSON array of objects, or of a single object. Returns how many.
    pub(crate) fn push(&mut self, records: &[u8], page: u64) -> Result<u64, Error> {
        self.push_piece(records, page, 0)
    }

    /// As `push`, for a piece of a page behind so many of the page's records.
    pub(crate) fn push_piece(&mut self, records: &[u8], page: u64, before: u64) -> Result<u64, Error> {
        let place = Place { page, record: before + 1 };
        let mut reading = Reading { text: records, tokens: Tokens::new(records), place };
        let mut count = 0;
        match reading.tokens.peek().map_err(|source| syntax_error(source, reading.place))? {
            Peek::Object => {
                self.record(&mut reading, Peek::Object)?;
                count += 1;
            }
            Peek::Array => {
                let mut next = reading.tokens.known_array().map_err(|source| syntax_error(source, reading.place))?;
                while let Some(peek) = next {
                    reading.place.record = before + count + 1;
                    self.record(&mut reading, peek)?;
                    count += 1;
                    next = reading.tokens.array_step().map_err(|source| syntax_error(source, reading.place))?;
                }
            }
            _ => return Err(Error::NoRecords { page }),
        }
        reading.tokens.finish().map_err(|source| syntax_error(source, reading.place))?;
        Ok(count)
    }

    /// From now on every record gets these columns, too. A record that has such a member itself is an error.
    pub(crate) fn set_constants(&mut self, constants: &[(String, Value)]) -> Result<(), Error> {
        if let Some(tombstones) = &mut self.tombstones {
            tombstones.set_constants(constants)?;
        }
        self.tables[0].table.set_constants(constants)
    }

    /// Makes batches of what is there, so that what follows is apart from it.
    pub(crate) fn cut(&mut self) -> Result<(), Error> {
        self.tombstones.iter_mut().try_for_each(Tombstones::emit_rest)?;
        self.tables.iter_mut().try_for_each(|known| known.table.emit_rest())
    }

    /// The next finished batch with the number of its table.
    pub(crate) fn next_batch(&mut self) -> Option<(usize, RecordBatch)> {
        let next = |(number, known): (usize, &mut Known)| known.table.next_batch().map(|batch| (number, batch));
        self.tables.iter_mut().enumerate().find_map(next)
    }

    /// The next records that say that they are gone.
    pub(crate) fn next_gone(&mut self) -> Option<GoneBatch> {
        self.tombstones.as_mut()?.next_batch()
    }

    /// Ends the tables: what remains becomes batches, for [`Decoder::next_batch`]. From now on [`Decoder::columns`] are
    /// the tables'.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        self.cut()?;
        // Columns that the job adds are there without a record, too.
        self.tables[0].table.renew_order();
        self.tables[0].table.renew_view();
        // A parent's column has at least the types of what its children were given of it, for it saw more.
        let types: Vec<ColumnType> = self.key.iter().map(|name| self.key_type(name)).collect();
        for known in self.tables.iter_mut().skip(1) {
            known.table.set_given_types(&types);
        }
        Ok(())
    }

    /// How many tables there are.
    pub(crate) fn tables(&self) -> usize {
        self.tables.len()
    }

    pub(crate) fn name(&self, table: usize) -> &str {
        &self.tables[table].name
    }

    /// The columns as of the newest batch; before it, those known beforehand.
    pub(crate) fn columns(&self, table: usize) -> &[Column] {
        self.tables[table].table.columns()
    }

    /// The columns of a batch that this decoder gave out, by the batch's own schema; `None` = it is not ours.
    pub(crate) fn columns_of(&self, table: usize, schema: &SchemaRef) -> Option<&[Column]> {
        self.tables[table].table.columns_of(schema)
    }

    /// What was changed in values so far, by column and kind.
    pub(crate) fn warnings(&self, table: usize) -> Vec<Warning> {
        self.tables[table].table.warnings()
    }

    /// Why the columns have their types, in the order of [`Decoder::columns`].
    pub(crate) fn reasons(&self, table: usize) -> Vec<Reason> {
        self.tables[table].table.reasons()
    }

    /// Columns that are text and were `datetime` before, for [`super::convert_stepwise`].
    pub(crate) fn once_datetimes(&self, table: usize) -> Vec<String> {
        self.tables[table].table.once_datetimes()
    }

    /// New fields that the contract left out.
    pub(crate) fn left_out(&self, table: usize) -> &[String] {
        self.tables[table].table.left_out()
    }

    /// The next record that became no row.
    pub(crate) fn next_bad(&mut self) -> Option<BadRecord> {
        self.bad.pop_front()
    }

    /// Records that became no row because something is wrong with them.
    pub(crate) fn bad_count(&self) -> u64 {
        self.bad_count
    }

    /// Records that the job's filter left out.
    pub(crate) fn filtered(&self) -> u64 {
        self.filtered
    }

    #[inline]
    fn record(&mut self, reading: &mut Reading<'_>, peek: Peek) -> Result<(), Error> {
        match self.bad_records {
            BadRecords::Fail => self.rows_of_record(reading, peek),
            BadRecords::Quarantine { max } => {
                let start = reading.tokens.at();
                let marks: Vec<usize> = self.tables.iter().map(|known| known.table.rows).collect();
                let gone_mark = self.tombstones.as_ref().map_or(0, Tombstones::rows);
                match self.rows_of_record(reading, peek) {
                    Err(error) if error.is_of_record() => {
                        for (known, mark) in self.tables.iter_mut().zip(marks) {
                            known.table.reject_rows(mark);
                        }
                        if let Some(tombstones) = &mut self.tombstones {
                            tombstones.reject_rows(gone_mark);
                        }
                        self.keep_bad(reading, start, &error, max)
                    }
                    taken => taken,
                }
            }
        }
    }

    /// Sets a record aside and stands behind it.
    #[cold]
    fn keep_bad(&mut self, reading: &mut Reading<'_>, start: usize, error: &Error, max: u64) -> Result<(), Error> {
        reading.tokens.go_to(start);
        reading.tokens.next_skip().map_err(|source| syntax_error(source, reading.place))?;
        let json = String::from_utf8_lossy(&reading.text[start..reading.tokens.at()]).into_owned();
        let reason = crate::secret::mask(&error.to_string());
        self.bad_count += 1;
        let first = self.first_bad.get_or_insert_with(|| reason.clone());
        if self.bad_count > max {
            return Err(Error::ManyBadRecords { count: self.bad_count, limit: max, first: first.clone() });
        }
        self.bad.push_back(BadRecord { place: reading.place, reason, json });
        for known in &mut self.tables {
            known.table.emit_full()?;
        }
        self.tombstones.iter_mut().try_for_each(Tombstones::emit_full)
    }

    #[inline]
    fn rows_of_record(&mut self, reading: &mut Reading<'_>, peek: Peek) -> Result<(), Error> {
        let own = &mut self.tables[0].table;
        own.place = reading.place;
        if peek != Peek::Object {
            return Err(Error::NoObject { place: reading.place, found: kind_word(peek) });
        }
        let start = reading.tokens.at();
        if self.tombstones.is_some() && self.take_tombstone(reading, start)? {
            return Ok(());
        }
        if self.compute.is_some() && !self.compute_record(reading, start)? {
            self.filtered += 1;
            return Ok(());
        }
        let own = &mut self.tables[0].table;
        own.record(&mut reading.tokens)?;
        let end = reading.tokens.at();
        if !own.found.is_empty() {
            self.rows_of_lists(reading, start..end)?;
        }
        let own = &mut self.tables[0].table;
        own.take_row(end - start);
        self.rows += 1;
        if self.tables.len() == 1 {
            return self.tables[0].table.emit_full();
        }
        self.tables.iter_mut().try_for_each(|known| known.table.emit_full())
    }

    /// Takes a record that says that it is gone; stays where it is otherwise. It comes before the filter, which may read
    /// what such a record does not have.
    fn take_tombstone(&mut self, reading: &mut Reading<'_>, start: usize) -> Result<bool, Error> {
        let tombstones = self.tombstones.as_mut().expect("the caller looked");
        if !tombstones.is_gone(&reading.text[start..], reading.place)? {
            return Ok(false);
        }
        tombstones.take(&mut reading.tokens, reading.place, self.rows)?;
        Ok(true)
    }

    /// Asks the job's expressions about the record; stands behind it where they leave it out.
    fn compute_record(&mut self, reading: &mut Reading<'_>, start: usize) -> Result<bool, Error> {
        let place = reading.place;
        reading.tokens.known_skip(Peek::Object).map_err(|source| syntax_error(source, reading.place))?;
        let text = &reading.text[start..reading.tokens.at()];
        let record: Value = serde_json::from_slice(text).map_err(|source| Error::Unread { place, source })?;
        let compute = self.compute.as_mut().expect("the caller looked");
        let Some(values) = compute(&record).map_err(|why| Error::Expression { place, why })? else {
            return Ok(false);
        };
        self.tables[0].table.set_computed(values);
        reading.tokens.go_to(start);
        Ok(true)
    }

    /// The rows of the record's lists, and of the lists in these.
    fn rows_of_lists(&mut self, reading: &Reading<'_>, record: std::ops::Range<usize>) -> Result<(), Error> {
        let mut given = key_of(&self.tables[0].table, &self.key, &reading.text[record], reading.place)?;
        if self.has_parent_rows {
            given.push(self.rows.to_string().into_bytes());
        }
        self.lists_of(0, reading.text, &given, reading.place)
    }

    /// The rows of the lists that were found in the last record of `table`, which stand in `text`.
    fn lists_of(&mut self, table: usize, text: &[u8], given: &Given, place: Place) -> Result<(), Error> {
        let found = std::mem::take(&mut self.tables[table].table.found);
        for list in &found {
            self.list(list.table, &text[list.at.clone()], given, place)?;
        }
        // The room is kept for the next record.
        let known = &mut self.tables[table].table;
        known.found = found;
        known.found.clear();
        Ok(())
    }

    fn list(&mut self, table: usize, text: &[u8], given: &Given, place: Place) -> Result<(), Error> {
        let mut tokens = Tokens::new(text);
        self.tables[table].table.place = place;
        let mut next = Some(tokens.peek().map_err(|source| syntax_error(source, place))?);
        let is_list = next == Some(Peek::Array);
        if is_list {
            next = tokens.known_array().map_err(|source| syntax_error(source, place))?;
        } else if self.is_odata
            && let Some(items) = super::children::results_of(text)
        {
            // Version 2 wraps a list of an expanded record; what was not expanded is a link.
            return if items.is_empty() { Ok(()) } else { self.list(table, items, given, place) };
        }
        let mut position = 0_u64;
        while let Some(peek) = next {
            position += 1;
            self.item(table, &mut tokens, text, peek, (given, position), place)?;
            if !is_list {
                break;
            }
            next = tokens.array_step().map_err(|source| syntax_error(source, place))?;
        }
        Ok(())
    }

    fn item(
        &mut self,
        table: usize,
        tokens: &mut Tokens<'_>,
        text: &[u8],
        peek: Peek,
        (given, position): (&Given, u64),
        place: Place,
    ) -> Result<(), Error> {
        let own = &mut self.tables[table].table;
        let start = tokens.at();
        match peek {
            Peek::Object => own.record(tokens)?,
            peek => own.item(tokens, peek)?,
        }
        let mut given = given.clone();
        given.push(position.to_string().into_bytes());
        own.give(&given)?;
        let bytes = tokens.at() - start;
        let has_lists = !own.found.is_empty();
        own.take_row(bytes);
        if has_lists { self.lists_of(table, text, &given, place) } else { Ok(()) }
    }

    fn key_type(&self, name: &str) -> ColumnType {
        self.tables[0].table.lane_named(name).map_or(ColumnType::Null, |lane| lane.column.kind)
    }
}

/// A page being read.
struct Reading<'a> {
    text: &'a [u8],
    tokens: Tokens<'a>,
    place: Place,
}

/// The columns that rows of a child table are given of the stream's record; none has a value yet.
fn given_columns(own: &Known, options: &Options) -> Result<Vec<Column>, Error> {
    let mut given = Vec::new();
    for name in &options.key {
        let known = own.table.lane_named(name).map(|lane| &lane.column);
        let declared = options.fields.columns.iter().find(|(declared, _)| folded(declared) == folded(name));
        let (kind, origin) = match (known, declared) {
            (Some(column), _) => (column.kind, column.origin),
            (None, Some((_, kind))) => (*kind, TypeOrigin::Declared),
            (None, None) => (ColumnType::Null, TypeOrigin::Inferred),
        };
        let path = vec![own.name.clone(), name.clone()];
        given.push(Column { name: name_of(&path)?, path, kind, origin });
    }
    if options.has_parent_rows {
        given.push(position_column(PARENT_ROW));
    }
    Ok(given)
}

fn position_column(name: &str) -> Column {
    let path = vec![name.to_owned()];
    Column { name: name.to_owned(), path, kind: ColumnType::Integer, origin: TypeOrigin::Declared }
}

fn add_children(tables: &mut Vec<Known>, fields: &FieldPlan, given: &[Column], options: &Options) -> Result<(), Error> {
    for ChildPlan { table, fields, .. } in &fields.children {
        let mut own = given.to_vec();
        own.push(position_column(POSITION));
        let former = options.former_children.get(table).map(Vec::as_slice).unwrap_or_default();
        let number = tables.len();
        let made = Table::new(&TableOptions {
            fields,
            fetched: &[],
            former,
            is_odata: options.is_odata,
            is_xml: options.is_xml,
            contract: options.contract,
            limits: options.limits,
            given: own,
            first_child: number + 1,
        })?;
        tables.push(Known { name: table.clone(), table: made });
        // What is below is given the place of its item under the name of this table.
        let mut given = given.to_vec();
        let path = vec![table.clone(), POSITION.trim_start_matches('_').to_owned()];
        given.push(Column { name: name_of(&path)?, path, ..position_column(POSITION) });
        add_children(tables, fields, &given, options)?;
    }
    Ok(())
}
