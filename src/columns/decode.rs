//! The walk through a page's records: every member goes to its column as soon as it is read.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use jiter::{Jiter, JiterError, JiterErrorType, JsonErrorType, Peek};

use crate::limits::{BATCH_ROWS, COLUMNS_MAX, FLATTEN_DEPTH_MAX, JSON_DEPTH_MAX, SAMPLE_BYTES_MAX, SAMPLE_ROWS};
use crate::model::column::{Column, ColumnType, TypeOrigin};
use crate::model::destination::ValueLimits;
use crate::model::warning::Warning;

use super::convert::schema_of;
use super::error::{Error, Place, Refusal, excerpt, shown};
use super::lane::Lane;
use super::names::{folded, name_of};
use super::raw_json::{TooDeep, compact};
use super::shape::{FieldAt, Shape};

/// What is known of a table before its first record.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// The job's types by column name; these never change.
    pub(crate) declared: BTreeMap<String, ColumnType>,
    /// The source's own description; these never change, either.
    pub(crate) fetched: Vec<Column>,
    /// Columns of the last snapshot in their order; these may widen.
    pub(crate) remembered: Vec<Column>,
    /// The records come from OData: `…@odata.…`, `__metadata` and `__deferred` are the protocol's, and left out.
    pub(crate) is_odata: bool,
    /// What the table's readers take.
    pub(crate) limits: ValueLimits,
}

/// A column with one value for many records.
#[derive(Debug)]
struct Constant {
    field: FieldAt,
    lane: usize,
    value: serde_json::Value,
}

/// Turns pages of records into batches.
///
/// - Every batch but the first and the last has [`BATCH_ROWS`] rows, or fewer where their JSON reaches
///   [`SAMPLE_BYTES_MAX`]; the first has up to [`SAMPLE_ROWS`]. Pages play no part in it.
/// - Columns stand in the order in which their fields first appear, those of the sample that never appear behind them.
///   A column that has its place keeps it.
/// - After an error nothing that comes out is of any use.
#[derive(Debug)]
pub(crate) struct Decoder {
    shape: Shape,
    lanes: Vec<Lane>,
    /// Lanes by the folded name of their column.
    by_name: HashMap<String, usize>,
    /// Fields in the order of their first appearance.
    appeared: Vec<FieldAt>,
    /// Lanes in the order of the columns, from the first batch on.
    order: Vec<usize>,
    is_odata: bool,
    limits: ValueLimits,
    /// Columns with one value for all records to come.
    constants: Vec<Constant>,
    /// Number of the record being read, over all pages; it stamps the fields that the record has.
    stamp: u64,
    place: Place,
    rows: usize,
    row_bytes: usize,
    rows_max: usize,
    batches: VecDeque<RecordBatch>,
    /// Every set of columns that batches had, the newest last; never empty.
    views: Vec<(SchemaRef, Vec<Column>)>,
}

impl Decoder {
    /// A decoder that knows these columns. Two of them with the same name but for case are an error.
    pub(crate) fn new(options: Options) -> Result<Self, Error> {
        let mut decoder = Decoder {
            shape: Shape::new(),
            lanes: Vec::new(),
            by_name: HashMap::new(),
            appeared: Vec::new(),
            order: Vec::new(),
            is_odata: options.is_odata,
            limits: options.limits,
            constants: Vec::new(),
            stamp: 0,
            place: Place { page: 0, record: 0 },
            rows: 0,
            row_bytes: 0,
            rows_max: SAMPLE_ROWS,
            batches: VecDeque::new(),
            views: Vec::new(),
        };
        let mut declared: BTreeMap<String, (String, ColumnType)> =
            options.declared.into_iter().map(|(name, kind)| (folded(&name), (name, kind))).collect();
        for column in options.fetched {
            let column = match declared.remove(&folded(&column.name)) {
                Some((_, kind)) => Column { kind, origin: TypeOrigin::Declared, ..column },
                None => Column { origin: TypeOrigin::Fetched, ..column },
            };
            decoder.know(column)?;
        }
        // Where a declared column stands in a record is known from the last snapshot, or shows with the first record.
        for (key, (name, kind)) in declared {
            let path = options.remembered.iter().find(|column| folded(&column.name) == key).map(|it| it.path.clone());
            let column = Column { path: path.unwrap_or_default(), name, kind, origin: TypeOrigin::Declared };
            decoder.know(column)?;
        }
        for column in options.remembered {
            if !decoder.by_name.contains_key(&folded(&column.name)) {
                decoder.know(Column { origin: TypeOrigin::Remembered, ..column })?;
            }
        }
        decoder.renew_empty_view();
        Ok(decoder)
    }

    /// Reads the records of one page: the text of a JSON array of objects, or of a single object. Returns how many.
    pub(crate) fn push(&mut self, records: &[u8], page: u64) -> Result<u64, Error> {
        self.place = Place { page, record: 1 };
        let mut jiter = Jiter::new(records);
        let mut count = 0;
        match jiter.peek().map_err(|source| self.syntax(source))? {
            Peek::Object => {
                self.record(&mut jiter)?;
                count += 1;
            }
            Peek::Array => {
                let mut next = jiter.known_array().map_err(|source| self.syntax(source))?;
                while let Some(peek) = next {
                    self.place.record = count + 1;
                    if peek != Peek::Object {
                        return Err(Error::NoObject { place: self.place, found: kind_word(peek) });
                    }
                    self.record(&mut jiter)?;
                    count += 1;
                    next = jiter.array_step().map_err(|source| self.syntax(source))?;
                }
            }
            _ => return Err(Error::NoRecords { page }),
        }
        jiter.finish().map_err(|source| self.syntax(source))?;
        Ok(count)
    }

    /// From now on every record gets these columns, too. A record that has such a member itself is an error.
    pub(crate) fn set_constants(&mut self, constants: &[(String, serde_json::Value)]) -> Result<(), Error> {
        self.constants.clear();
        for (name, value) in constants {
            let field = self.shape.field_at(std::slice::from_ref(name)).expect("the path has one key");
            let lane = self.lane_for(field)?;
            self.constants.push(Constant { field, lane, value: value.clone() });
        }
        Ok(())
    }

    /// Makes a batch of what is there, so that what follows is apart from it.
    pub(crate) fn cut(&mut self) -> Result<(), Error> {
        if self.rows > 0 { self.emit() } else { Ok(()) }
    }

    /// The next finished batch. Its columns are [`Decoder::columns_of`] its schema.
    pub(crate) fn next_batch(&mut self) -> Option<RecordBatch> {
        self.batches.pop_front()
    }

    /// Ends the table: what remains becomes a batch. Returns the next batch, as [`Decoder::next_batch`] goes on doing;
    /// `None` = all were taken. From now on [`Decoder::columns`] are the table's.
    pub(crate) fn finish(&mut self) -> Result<Option<RecordBatch>, Error> {
        if self.rows > 0 {
            self.emit()?;
        }
        Ok(self.next_batch())
    }

    /// The columns as of the newest batch; before it, those known beforehand.
    pub(crate) fn columns(&self) -> &[Column] {
        &self.view().1
    }

    /// The schema of [`Decoder::columns`]; the same allocation until a column appears or changes.
    pub(crate) fn arrow_schema(&self) -> SchemaRef {
        Arc::clone(&self.view().0)
    }

    /// The columns of a batch that this decoder gave out, by the batch's own schema; `None` = it is not ours.
    pub(crate) fn columns_of(&self, schema: &SchemaRef) -> Option<&[Column]> {
        self.views.iter().rev().find(|(known, _)| Arc::ptr_eq(known, schema)).map(|(_, columns)| columns.as_slice())
    }

    /// What was changed in values so far, by column and kind.
    pub(crate) fn warnings(&self) -> Vec<Warning> {
        self.lanes.iter().flat_map(Lane::warnings).collect()
    }

    fn view(&self) -> &(SchemaRef, Vec<Column>) {
        self.views.last().expect("the constructor makes the first view")
    }

    fn record(&mut self, jiter: &mut Jiter<'_>) -> Result<(), Error> {
        let start = jiter.current_index();
        self.stamp += 1;
        self.object(jiter, 0)?;
        if !self.constants.is_empty() {
            self.stamp_constants()?;
        }
        self.rows += 1;
        self.row_bytes += jiter.current_index() - start;
        if self.rows == self.rows_max || self.row_bytes >= SAMPLE_BYTES_MAX {
            self.emit()?;
        }
        Ok(())
    }

    fn stamp_constants(&mut self) -> Result<(), Error> {
        for at in 0..self.constants.len() {
            let Constant { field, lane, value } = &self.constants[at];
            let (field, lane) = (*field, *lane);
            let known = &mut self.shape.nodes[field.0].fields[field.1];
            if known.stamp == self.stamp {
                let path = shown(&self.shape.path(field));
                let name = self.lanes[lane].column.name.clone();
                return Err(Error::SameName { name, first: format!("{path}` of the slice and `{path}"), second: path });
            }
            if !known.is_constant {
                known.is_constant = true;
                self.appeared.push(field);
            }
            let row = self.rows;
            let put = match value {
                serde_json::Value::Null => Ok(()),
                serde_json::Value::Bool(flag) => self.lanes[lane].boolean(row, *flag),
                serde_json::Value::Number(number) => self.lanes[lane].number(row, number.to_string().as_bytes()),
                serde_json::Value::String(text) => self.lanes[lane].text(row, text),
                other => self.lanes[lane].json(row, &other.to_string()),
            };
            put.map_err(|refusal| self.refused(lane, *refusal))?;
        }
        Ok(())
    }

    /// Reads the members of the object at which `jiter` stands.
    fn object(&mut self, jiter: &mut Jiter<'_>, node: usize) -> Result<(), Error> {
        self.shape.nodes[node].rewind();
        let mut next = jiter.known_object();
        loop {
            let known = &mut self.shape.nodes[node];
            let field = match next {
                Ok(Some(key)) => match known.find(key) {
                    Some(field) => field,
                    None => known.add(key, self.is_odata && is_odata_noise(key)),
                },
                Ok(None) => return Ok(()),
                Err(source) => return Err(self.syntax(source)),
            };
            self.member(jiter, (node, field))?;
            next = jiter.next_key();
        }
    }

    fn member(&mut self, jiter: &mut Jiter<'_>, at: FieldAt) -> Result<(), Error> {
        let field = &mut self.shape.nodes[at.0].fields[at.1];
        if field.is_dropped {
            return jiter.next_skip().map_err(|source| self.syntax(source));
        }
        if field.stamp == self.stamp {
            return Err(Error::DuplicateMember { place: self.place, path: shown(&self.shape.path(at)) });
        }
        if field.stamp == 0 {
            self.appeared.push(at);
        }
        field.stamp = self.stamp;
        let peek = match jiter.peek() {
            Ok(peek) => peek,
            Err(source) => return Err(self.syntax(source)),
        };
        if peek == Peek::Null {
            // A field that is null where it is no object needs no column beside its members'.
            if field.lane().is_none() && field.child().is_none() {
                self.lane_for(at)?;
            }
            return jiter.known_null().map_err(|source| self.syntax(source));
        }
        if peek == Peek::Object {
            return self.object_member(jiter, at);
        }
        let lane = match field.lane() {
            Some(lane) => lane,
            None => self.lane_for(at)?,
        };
        if peek == Peek::Array || self.lanes[lane].keeps_json() {
            return self.json_member(jiter, at, lane, peek);
        }
        self.scalar(jiter, lane, peek)
    }

    fn scalar(&mut self, jiter: &mut Jiter<'_>, at: usize, peek: Peek) -> Result<(), Error> {
        let lane = &mut self.lanes[at];
        let taken = match peek {
            Peek::String => jiter.known_str().map(|text| lane.text(self.rows, text)),
            Peek::True | Peek::False => jiter.known_bool(peek).map(|value| lane.boolean(self.rows, value)),
            _ => jiter.known_number_bytes(peek).map(|text| lane.number(self.rows, text)),
        };
        match taken {
            Ok(Ok(())) => Ok(()),
            Ok(Err(refusal)) => Err(self.refused(at, *refusal)),
            Err(source) => Err(self.syntax(source)),
        }
    }

    /// An object below the record: its members become columns, unless its column keeps it or it lies too deep.
    fn object_member(&mut self, jiter: &mut Jiter<'_>, at: FieldAt) -> Result<(), Error> {
        let field = self.shape.field(at);
        let mut lane = field.lane();
        if lane.is_none() && field.child().is_none() {
            // A declared column whose field no record showed so far may be this one; its type decides, not ours.
            let name = name_of(&self.shape.path(at))?;
            let known = self.by_name.get(&folded(&name)).map(|known| &self.lanes[*known]);
            let is_seen = |home| self.shape.field(home).stamp > 0;
            if known.is_some_and(|known| known.is_fixed() && !known.home.is_some_and(is_seen)) {
                lane = Some(self.lane_for(at)?);
            }
        }
        if let Some(lane) = lane
            && self.lanes[lane].is_fixed()
        {
            return self.json_member(jiter, at, lane, Peek::Object);
        }
        if self.shape.nodes[at.0].path().len() >= FLATTEN_DEPTH_MAX {
            let lane = self.lane_for(at)?;
            return self.json_member(jiter, at, lane, Peek::Object);
        }
        if let Some(lane) = lane {
            self.lanes[lane].is_beside_object = true;
        }
        let child = self.shape.child_of(at);
        self.object(jiter, child)
    }

    fn json_member(&mut self, jiter: &mut Jiter<'_>, at: FieldAt, lane: usize, peek: Peek) -> Result<(), Error> {
        let start = jiter.current_index();
        jiter.known_skip(peek).map_err(|source| self.syntax(source))?;
        let place = self.place;
        let text =
            std::str::from_utf8(jiter.slice_to_current(start)).map_err(|source| Error::NotUtf8 { place, source })?;
        // The record itself and the objects above are levels, too.
        let depth_max = JSON_DEPTH_MAX - self.shape.nodes[at.0].path().len() - 1;
        let json = compact(text, depth_max).map_err(|TooDeep| Error::TooDeep { place, limit: JSON_DEPTH_MAX })?;
        self.lanes[lane].json(self.rows, &json).map_err(|refusal| self.refused(lane, *refusal))
    }

    /// The lane of a field that has none yet: one that was known by name and has no field so far, or a new one.
    fn lane_for(&mut self, at: FieldAt) -> Result<usize, Error> {
        if let Some(lane) = self.shape.field(at).lane() {
            return Ok(lane);
        }
        let path = self.shape.path(at);
        let name = name_of(&path)?;
        let is_beside_object = self.shape.field(at).child().is_some();
        let Some(known) = self.by_name.get(&folded(&name)).copied() else {
            let column = Column { name, path, kind: ColumnType::Null, origin: TypeOrigin::Inferred };
            let lane = self.add_lane(column, Some(at))?;
            self.lanes[lane].is_beside_object = is_beside_object;
            self.shape.set_lane(at, Some(lane));
            return Ok(lane);
        };
        // A column that no record filled so far follows its field when the source renames or moves it.
        if let Some(home) = self.lanes[known].home {
            if self.shape.field(home).stamp > 0 {
                let first = shown(&self.lanes[known].column.path);
                return Err(Error::SameName { name, first, second: shown(&path) });
            }
            self.shape.set_lane(home, None);
        }
        let lane = &mut self.lanes[known];
        lane.home = Some(at);
        lane.column.path = path;
        self.shape.set_lane(at, Some(known));
        Ok(known)
    }

    /// Adds a column that is known beforehand. An empty path = its field is not known.
    fn know(&mut self, mut column: Column) -> Result<(), Error> {
        let home = self.shape.field_at(&column.path);
        if column.path.is_empty() {
            column.path = vec![column.name.clone()];
        }
        if let Some(other) = home.and_then(|home| self.shape.field(home).lane()) {
            let path = shown(&column.path);
            let name = format!("{}` and `{}", self.lanes[other].column.name, column.name);
            return Err(Error::SameName { name, first: path.clone(), second: path });
        }
        let lane = self.add_lane(column, home)?;
        if let Some(home) = home {
            self.shape.set_lane(home, Some(lane));
        }
        Ok(())
    }

    fn add_lane(&mut self, column: Column, home: Option<FieldAt>) -> Result<usize, Error> {
        if self.lanes.len() == COLUMNS_MAX {
            return Err(Error::ManyColumns { path: shown(&column.path), limit: COLUMNS_MAX });
        }
        let key = folded(&column.name);
        if let Some(other) = self.by_name.get(&key) {
            let first = shown(&self.lanes[*other].column.path);
            return Err(Error::SameName { name: column.name, first, second: shown(&column.path) });
        }
        self.by_name.insert(key, self.lanes.len());
        let mut lane = Lane::new(column, home);
        lane.limits = self.limits;
        self.lanes.push(lane);
        Ok(self.lanes.len() - 1)
    }

    fn emit(&mut self) -> Result<(), Error> {
        self.renew_order();
        let rows = self.rows;
        let shown: Vec<usize> = self.order.iter().copied().filter(|lane| self.lanes[*lane].is_shown()).collect();
        let arrays = shown.into_iter().map(|lane| self.lanes[lane].take(rows)).collect();
        self.renew_view();
        let options = RecordBatchOptions::new().with_match_field_names(true).with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(self.arrow_schema(), arrays, &options)
            .map_err(|source| Error::Batch { source })?;
        self.batches.push_back(batch);
        self.rows = 0;
        self.row_bytes = 0;
        self.rows_max = BATCH_ROWS;
        Ok(())
    }

    /// Gives a place to every lane that has none.
    fn renew_order(&mut self) {
        let mut is_placed = vec![false; self.lanes.len()];
        for lane in &self.order {
            is_placed[*lane] = true;
        }
        let appeared = self.appeared.drain(..).filter_map(|at| self.shape.field(at).lane());
        for lane in appeared.chain(0..self.lanes.len()) {
            if !is_placed[lane] {
                is_placed[lane] = true;
                self.order.push(lane);
            }
        }
    }

    fn renew_view(&mut self) {
        let lanes = self.order.iter().map(|lane| &self.lanes[*lane]);
        let columns: Vec<Column> = lanes.filter(|lane| lane.is_shown()).map(published).collect();
        if self.views.last().is_none_or(|(_, known)| *known != columns) {
            self.views.push((schema_of(&columns), columns));
        }
    }

    /// The columns before the first record: in the order of their lanes, none of which has its place yet.
    fn renew_empty_view(&mut self) {
        self.renew_order();
        self.renew_view();
        self.order.clear();
    }

    fn refused(&self, lane: usize, refusal: Refusal) -> Error {
        let Column { name, kind, .. } = &self.lanes[lane].column;
        let value = excerpt(&refusal.value);
        if refusal.long_units > 0 {
            let (column, units, limit) = (name.clone(), refusal.long_units, self.limits.text_units_max);
            return Error::LongText { column, value, units, limit, place: self.place };
        }
        Error::Value { column: name.clone(), kind: *kind, value, why: refusal.why, place: self.place }
    }

    fn syntax(&self, source: JiterError) -> Error {
        let too_deep = JiterErrorType::JsonError(JsonErrorType::RecursionLimitExceeded);
        if source.error_type == too_deep {
            return Error::TooDeep { place: self.place, limit: JSON_DEPTH_MAX };
        }
        Error::Syntax { place: self.place, source }
    }
}

/// A lane's column as readers see it.
fn published(lane: &Lane) -> Column {
    match lane.column.kind {
        ColumnType::Null => Column { kind: ColumnType::Text, origin: TypeOrigin::Unseen, ..lane.column.clone() },
        _ => lane.column.clone(),
    }
}

fn is_odata_noise(key: &str) -> bool {
    key.contains("@odata.") || matches!(key, "__metadata" | "__deferred")
}

fn kind_word(peek: Peek) -> &'static str {
    match peek {
        Peek::Null => "null",
        Peek::True | Peek::False => "a boolean",
        Peek::String => "a string",
        Peek::Array => "an array",
        _ => "a number",
    }
}
