//! One table while records arrive: every member goes to its column as soon as it is read.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::Range;

use arrow::array::{BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use jiter::{JiterError, JiterErrorType, JsonErrorType, Peek};

use crate::limits::{BATCH_ROWS, COLUMNS_MAX, FLATTEN_DEPTH_MAX, JSON_DEPTH_MAX, SAMPLE_BYTES_MAX, SAMPLE_ROWS};
use crate::model::column::{Column, ColumnType, ListItem, TypeOrigin};
use crate::model::destination::ValueLimits;
use crate::model::fields::Contract;
use crate::model::warning::Warning;

use super::added::Added;
use super::convert::schema_of;
use super::error::{Error, Place, Refusal, excerpt, shown};
use super::lane::Lane;
use super::names::folded;
use super::options::{Names, TableOptions};
use super::raw_json::{TooDeep, compact};
use super::reason::Reason;
use super::shape::{FieldAt, Shape};
use super::tokens::Tokens;

/// A list of the record being read that is a table of its own.
#[derive(Debug, Clone)]
pub(super) struct FoundList {
    pub(super) table: usize,
    /// Where it stands in the text that was read.
    pub(super) at: Range<usize>,
}

/// The columns of one table, being filled.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) shape: Shape,
    pub(super) lanes: Vec<Lane>,
    /// Lanes by the folded name of their column.
    pub(super) by_name: HashMap<String, usize>,
    pub(super) names: Names,
    pub(super) contract: Contract,
    /// Folded names of the last snapshot's columns, so that a new one can be told. Absent = there was none.
    pub(super) former: Option<BTreeSet<String>>,
    /// Fields in the order of their first appearance.
    pub(super) appeared: Vec<FieldAt>,
    /// Lanes in the order of the columns, from the first batch on; before it, those that are given.
    order: Vec<usize>,
    /// Lanes known beforehand, those of the last snapshot first and in its order, for fields that never appear.
    pub(super) known: Vec<usize>,
    /// Columns of the last snapshot that no field fills, in case the job adds them.
    pub(super) set_aside: Vec<Column>,
    is_odata: bool,
    is_xml: bool,
    /// What the table's readers take.
    pub(super) limits: ValueLimits,
    /// Columns that the job adds, the computed ones last.
    pub(super) added: Vec<Added>,
    pub(super) computed: usize,
    /// Lists of the record being read.
    pub(super) found: Vec<FoundList>,
    /// New fields that the contract leaves out.
    pub(super) left_out: Vec<String>,
    /// Number of the record being read, over all pages; it stamps the fields that the record has.
    pub(super) stamp: u64,
    pub(super) place: Place,
    pub(super) rows: usize,
    /// Rows of the coming batch that belong to bad records.
    bad_rows: Vec<usize>,
    row_bytes: usize,
    rows_max: usize,
    batches: VecDeque<RecordBatch>,
    /// Every set of columns that batches had, the newest last; never empty.
    views: Vec<(SchemaRef, Vec<Column>)>,
}

impl Table {
    /// A table that knows these columns. Two of them with the same name but for case are an error.
    pub(super) fn new(options: &TableOptions<'_>) -> Result<Self, Error> {
        let mut table = Table {
            shape: Shape::new(options.fields, options.first_child),
            lanes: Vec::new(),
            by_name: HashMap::new(),
            names: Names::of(options.fields),
            contract: options.contract,
            former: None,
            appeared: Vec::new(),
            order: Vec::new(),
            known: Vec::new(),
            set_aside: Vec::new(),
            is_odata: options.is_odata,
            is_xml: options.is_xml,
            limits: options.limits,
            added: Vec::new(),
            computed: 0,
            found: Vec::new(),
            left_out: Vec::new(),
            stamp: 0,
            place: Place { page: 0, record: 0 },
            rows: 0,
            bad_rows: Vec::new(),
            row_bytes: 0,
            rows_max: SAMPLE_ROWS,
            batches: VecDeque::new(),
            views: Vec::new(),
        };
        for column in &options.given {
            let mut lane = Lane::new(column.clone(), None);
            lane.is_given = true;
            table.add_lane(lane)?;
        }
        table.know_all(options)?;
        table.renew_order();
        table.renew_view();
        // Only what is given has its place before the first record.
        table.order.retain(|lane| table.lanes[*lane].is_given);
        Ok(table)
    }

    /// Reads the object at which `tokens` stand into the coming row; `take_row` ends it.
    #[inline]
    pub(super) fn record(&mut self, tokens: &mut Tokens<'_>) -> Result<(), Error> {
        self.begin_record();
        self.object(tokens, 0)?;
        if self.added.is_empty() { Ok(()) } else { self.stamp_added() }
    }

    /// The record being read has this field.
    pub(super) fn see(&mut self, at: FieldAt) {
        let field = &mut self.shape.nodes[at.0].fields[at.1];
        if field.stamp == 0 {
            self.appeared.push(at);
        }
        field.stamp = self.stamp;
    }

    /// Begins a row that is no object.
    pub(super) fn begin_record(&mut self) {
        self.stamp += 1;
        self.found.clear();
    }

    /// The coming row is complete; `bytes` of JSON went into it.
    #[inline]
    pub(super) fn take_row(&mut self, bytes: usize) {
        self.rows += 1;
        self.row_bytes += bytes;
    }

    /// Makes a batch where there is enough for one.
    #[inline]
    pub(super) fn emit_full(&mut self) -> Result<(), Error> {
        if self.rows >= self.rows_max || self.row_bytes >= SAMPLE_BYTES_MAX { self.emit() } else { Ok(()) }
    }

    /// Makes a batch of what there is.
    pub(super) fn emit_rest(&mut self) -> Result<(), Error> {
        if self.rows > 0 { self.emit() } else { Ok(()) }
    }

    /// Throws away the rows from `mark` on and the one that was being read. They go when their batch is made, because
    /// no builder gives back what it took.
    pub(super) fn reject_rows(&mut self, mark: usize) {
        self.rows += 1;
        self.bad_rows.extend(mark..self.rows);
    }

    /// The next finished batch.
    pub(super) fn next_batch(&mut self) -> Option<RecordBatch> {
        self.batches.pop_front()
    }

    /// The columns as of the newest batch; before it, those known beforehand.
    pub(super) fn columns(&self) -> &[Column] {
        &self.view().1
    }

    pub(super) fn arrow_schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.view().0)
    }

    pub(super) fn columns_of(&self, schema: &SchemaRef) -> Option<&[Column]> {
        let known = self.views.iter().rev().find(|(known, _)| std::sync::Arc::ptr_eq(known, schema));
        known.map(|(_, columns)| columns.as_slice())
    }

    pub(super) fn warnings(&self) -> Vec<Warning> {
        self.lanes.iter().flat_map(Lane::warnings).collect()
    }

    /// Why the columns of the newest batch have their types, in their order.
    pub(super) fn reasons(&self) -> Vec<Reason> {
        let shown = self.order.iter().map(|lane| &self.lanes[*lane]).filter(|lane| lane.is_shown());
        shown.map(|lane| Reason::of(&lane.column, lane.first.as_deref(), lane.last.as_deref())).collect()
    }

    /// Columns that are text and were `datetime` before.
    pub(super) fn once_datetimes(&self) -> Vec<String> {
        self.lanes.iter().filter(|lane| lane.was_datetime).map(|lane| lane.column.name.clone()).collect()
    }

    /// New fields that the contract left out.
    pub(super) fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// The lane of a column by its name, without regard to case.
    pub(super) fn lane_named(&self, name: &str) -> Option<&Lane> {
        self.by_name.get(&folded(name)).map(|lane| &self.lanes[*lane])
    }

    /// The columns' types changed from outside.
    pub(super) fn renew_view(&mut self) {
        let lanes = self.order.iter().map(|lane| &self.lanes[*lane]);
        let columns: Vec<Column> = lanes.filter(|lane| lane.is_shown()).map(published).collect();
        if self.views.last().is_none_or(|(_, known)| *known != columns) {
            self.views.push((schema_of(&columns), columns));
        }
    }

    fn view(&self) -> &(SchemaRef, Vec<Column>) {
        self.views.last().expect("the constructor makes the first view")
    }

    /// Reads the members of the object at which `tokens` stand.
    fn object(&mut self, tokens: &mut Tokens<'_>, node: usize) -> Result<(), Error> {
        self.shape.nodes[node].rewind();
        let mut mark = b'{';
        loop {
            let known = &mut self.shape.nodes[node];
            let field = match known.take_expected(|key| tokens.take_key(mark, key)) {
                Some(field) => field,
                None => {
                    let next = if mark == b'{' { tokens.known_object() } else { tokens.next_key() };
                    match next {
                        Ok(Some(key)) => match known.find(key) {
                            Some(field) => field,
                            None => {
                                let is_noise = self.is_odata && is_odata_noise(key);
                                if known.leaves_out(is_noise) && known.fields.len() >= COLUMNS_MAX {
                                    // Keys that are data are not remembered for ever.
                                    tokens.next_skip().map_err(|source| self.syntax(source))?;
                                    mark = b',';
                                    continue;
                                }
                                known.add(key, is_noise)
                            }
                        },
                        Ok(None) => return Ok(()),
                        Err(source) => return Err(self.syntax(source)),
                    }
                }
            };
            mark = b',';
            self.member(tokens, (node, field))?;
        }
    }

    fn member(&mut self, tokens: &mut Tokens<'_>, at: FieldAt) -> Result<(), Error> {
        let field = &mut self.shape.nodes[at.0].fields[at.1];
        if field.is_dropped {
            return tokens.next_skip().map_err(|source| self.syntax(source));
        }
        if field.stamp == self.stamp {
            return Err(Error::DuplicateMember { place: self.place, path: shown(&self.shape.path(at)) });
        }
        if field.stamp == 0 {
            self.appeared.push(at);
        }
        field.stamp = self.stamp;
        let peek = match tokens.peek() {
            Ok(peek) => peek,
            Err(source) => return Err(self.syntax(source)),
        };
        if peek == Peek::Null {
            // A field that is null where it is no object or list needs no column beside those of what is in it.
            if field.lane().is_none() && field.child().is_none() && field.table().is_none() {
                self.lane_for(at)?;
            }
            return tokens.known_null().map_err(|source| self.syntax(source));
        }
        if peek == Peek::Object {
            return self.object_member(tokens, at);
        }
        let lane = match field.lane() {
            Some(lane) => lane,
            None => match field.table() {
                Some(table) => return self.list_member(tokens, at, table, peek),
                None => match self.lane_for(at)? {
                    Some(lane) => lane,
                    None => return tokens.known_skip(peek).map_err(|source| self.syntax(source)),
                },
            },
        };
        if peek == Peek::Array || self.lanes[lane].keeps_json() {
            return self.json_member(tokens, at, lane, peek);
        }
        self.scalar(tokens, lane, peek)
    }

    /// A value without members at which `tokens` stand, into the coming row.
    #[inline]
    pub(super) fn scalar(&mut self, tokens: &mut Tokens<'_>, at: usize, peek: Peek) -> Result<(), Error> {
        let lane = &mut self.lanes[at];
        let taken = match peek {
            Peek::String => match tokens.take_str() {
                Some(text) => Ok(lane.text(self.rows, text)),
                None => tokens.known_str().map(|text| lane.text(self.rows, text)),
            },
            Peek::True | Peek::False => tokens.known_bool(peek).map(|value| lane.boolean(self.rows, value)),
            _ => tokens.known_number_bytes(peek).map(|text| lane.number(self.rows, text)),
        };
        match taken {
            Ok(Ok(())) => {
                if lane.turned.is_some() {
                    lane.note_turn(self.place);
                }
                Ok(())
            }
            Ok(Err(refusal)) => Err(self.refused(at, *refusal)),
            Err(source) => Err(self.syntax(source)),
        }
    }

    /// An object below the record: its members become columns, unless its column keeps it or it lies too deep.
    fn object_member(&mut self, tokens: &mut Tokens<'_>, at: FieldAt) -> Result<(), Error> {
        let field = self.shape.field(at);
        if let Some(table) = field.table() {
            return self.list_member(tokens, at, table, Peek::Object);
        }
        let mut lane = field.lane();
        if lane.is_none() && field.child().is_none() {
            // A declared column whose field no record showed so far may be this one; its type decides, not ours.
            let name = self.names.name(&self.shape.path(at))?;
            let known = self.by_name.get(&folded(&name)).map(|known| &self.lanes[*known]);
            let is_seen = |home| self.shape.field(home).stamp > 0;
            if known.is_some_and(|known| known.is_fixed() && !known.home.is_some_and(is_seen)) {
                lane = self.lane_for(at)?;
            }
        }
        if let Some(lane) = lane
            && self.lanes[lane].is_fixed()
        {
            return self.json_member(tokens, at, lane, Peek::Object);
        }
        if self.shape.nodes[at.0].path().len() >= FLATTEN_DEPTH_MAX {
            return match self.lane_for(at)? {
                Some(lane) => self.json_member(tokens, at, lane, Peek::Object),
                None => tokens.known_skip(Peek::Object).map_err(|source| self.syntax(source)),
            };
        }
        if let Some(lane) = lane {
            self.lanes[lane].is_beside_object = true;
        }
        if self.shape.nodes.len() > COLUMNS_MAX && self.shape.field(at).child().is_none() {
            return Err(Error::ManyColumns { path: shown(&self.shape.path(at)), limit: COLUMNS_MAX });
        }
        let child = self.shape.child_of(at);
        self.object(tokens, child)
    }

    /// A list, or the only item of one, that is a table of its own: read when the record's key is known.
    fn list_member(&mut self, tokens: &mut Tokens<'_>, at: FieldAt, table: usize, peek: Peek) -> Result<(), Error> {
        if !self.is_xml && !matches!(peek, Peek::Array | Peek::Object) {
            return Err(Error::NoList { place: self.place, path: shown(&self.shape.path(at)), found: kind_word(peek) });
        }
        let start = tokens.at();
        tokens.known_skip(peek).map_err(|source| self.syntax(source))?;
        self.found.push(FoundList { table, at: start..tokens.at() });
        Ok(())
    }

    fn json_member(&mut self, tokens: &mut Tokens<'_>, at: FieldAt, lane: usize, peek: Peek) -> Result<(), Error> {
        let start = tokens.at();
        tokens.known_skip(peek).map_err(|source| self.syntax(source))?;
        let depth = self.shape.nodes[at.0].path().len() + 1;
        self.json(lane, tokens.since(start), depth)
    }

    /// A value that stays JSON, below so many levels, into the coming row.
    pub(super) fn json(&mut self, lane: usize, text: &[u8], depth: usize) -> Result<(), Error> {
        let place = self.place;
        let text = std::str::from_utf8(text).map_err(|source| Error::NotUtf8 { place, source })?;
        // The record itself and the objects above are levels, too.
        let json = compact(text, JSON_DEPTH_MAX - depth);
        let json = json.map_err(|TooDeep| Error::TooDeep { place, limit: JSON_DEPTH_MAX })?;
        self.lanes[lane].json(self.rows, &json).map_err(|refusal| self.refused(lane, *refusal))?;
        if self.lanes[lane].turned.is_some() {
            self.lanes[lane].note_turn(place);
        }
        Ok(())
    }

    fn emit(&mut self) -> Result<(), Error> {
        self.renew_order();
        let rows = self.rows;
        let shown: Vec<usize> = self.order.iter().copied().filter(|lane| self.lanes[*lane].is_shown()).collect();
        let arrays = shown.into_iter().map(|lane| self.lanes[lane].take(rows)).collect();
        self.renew_view();
        let options = RecordBatchOptions::new().with_match_field_names(true).with_row_count(Some(rows));
        let wrong = |source| Error::Batch { source };
        let mut batch = RecordBatch::try_new_with_options(self.arrow_schema(), arrays, &options).map_err(wrong)?;
        if !self.bad_rows.is_empty() {
            let mut is_kept = vec![true; rows];
            self.bad_rows.drain(..).for_each(|row| is_kept[row] = false);
            batch = filter_record_batch(&batch, &BooleanArray::from(is_kept)).map_err(wrong)?;
        }
        if batch.num_rows() > 0 {
            self.batches.push_back(batch);
        }
        self.rows = 0;
        self.row_bytes = 0;
        self.rows_max = BATCH_ROWS;
        Ok(())
    }

    /// Gives a place to every lane that has none.
    pub(super) fn renew_order(&mut self) {
        let mut is_placed = vec![false; self.lanes.len()];
        for lane in &self.order {
            is_placed[*lane] = true;
        }
        let appeared = self.appeared.drain(..).filter_map(|at| self.shape.field(at).lane());
        let added = self.added.iter().map(|added| added.lane);
        for lane in appeared.chain(self.known.iter().copied()).chain(added).chain(0..self.lanes.len()) {
            if !is_placed[lane] {
                is_placed[lane] = true;
                self.order.push(lane);
            }
        }
    }

    pub(super) fn refused(&self, lane: usize, refusal: Refusal) -> Error {
        let Column { name, kind, .. } = &self.lanes[lane].column;
        let value = excerpt(&refusal.value);
        if refusal.long_units > 0 {
            let (column, units, limit) = (name.clone(), refusal.long_units, self.limits.text_units_max);
            return Error::LongText { column, value, units, limit, place: self.place };
        }
        Error::Value { column: name.clone(), kind: *kind, value, why: refusal.why, place: self.place }
    }

    pub(super) fn syntax(&self, source: JiterError) -> Error {
        syntax_error(source, self.place)
    }
}

/// What the tokenizer found in a record.
pub(super) fn syntax_error(source: JiterError, place: Place) -> Error {
    let too_deep = JiterErrorType::JsonError(JsonErrorType::RecursionLimitExceeded);
    if source.error_type == too_deep {
        return Error::TooDeep { place, limit: JSON_DEPTH_MAX };
    }
    Error::Syntax { place, source }
}

/// A lane's column as readers see it.
fn published(lane: &Lane) -> Column {
    match lane.column.kind {
        ColumnType::Null => Column { kind: ColumnType::Text, origin: TypeOrigin::Unseen, ..lane.column.clone() },
        ColumnType::List(ListItem::Null) => {
            let kind = ColumnType::List(ListItem::Text);
            Column { kind, origin: TypeOrigin::Unseen, ..lane.column.clone() }
        }
        _ => lane.column.clone(),
    }
}

fn is_odata_noise(key: &str) -> bool {
    key.contains("@odata.") || matches!(key, "__metadata" | "__deferred")
}

pub(super) fn kind_word(peek: Peek) -> &'static str {
    match peek {
        Peek::Null => "null",
        Peek::True | Peek::False => "a boolean",
        Peek::String => "a string",
        Peek::Array => "an array",
        Peek::Object => "an object",
        _ => "a number",
    }
}
