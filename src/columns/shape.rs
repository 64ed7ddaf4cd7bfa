//! The objects of a table's records: which member of which object goes to which column.

use std::collections::HashMap;

use crate::model::fields::FieldPlan;

/// No lane or no child.
const NONE: u32 = u32::MAX;
/// How far ahead of the expected member we look before we ask the map: records that leave out empty members stay fast.
const LOOK_AHEAD: usize = 4;

/// One member of an object.
#[derive(Debug)]
pub(super) struct Field {
    key: Box<str>,
    /// The key as JSON writes it, in quotes. Empty = it may be written in several ways.
    quoted: Box<[u8]>,
    /// Number of the last record that had the member; 0 = none yet.
    pub(super) stamp: u64,
    lane: u32,
    child: u32,
    table: u32,
    /// Members that are the protocol's, not the record's, or that the job leaves out.
    pub(super) is_dropped: bool,
    /// Filled by the job, not by records.
    pub(super) is_added: bool,
}

impl Field {
    pub(super) fn lane(&self) -> Option<usize> {
        (self.lane != NONE).then_some(self.lane as usize)
    }

    pub(super) fn child(&self) -> Option<usize> {
        (self.child != NONE).then_some(self.child as usize)
    }

    /// The table that the items of this list are rows of.
    pub(super) fn table(&self) -> Option<usize> {
        (self.table != NONE).then_some(self.table as usize)
    }
}

/// One kind of object: the record itself, or what stands at one path below it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) fields: Vec<Field>,
    by_key: HashMap<Box<str>, u32>,
    /// Where the next member probably is.
    next: usize,
    path: Vec<String>,
    /// Only the members that are known beforehand are kept.
    is_closed: bool,
}

impl Node {
    fn at(path: Vec<String>) -> Self {
        Node { fields: Vec::new(), by_key: HashMap::new(), next: 0, path, is_closed: false }
    }

    /// Keys from the record down to this object.
    pub(super) fn path(&self) -> &[String] {
        &self.path
    }

    /// Begins another object of this kind.
    #[inline]
    pub(super) fn rewind(&mut self) {
        self.next = 0;
    }

    /// The member that probably comes next, if `is_there` finds its key, or else one of the few behind it.
    #[inline]
    pub(super) fn take_expected(&mut self, mut is_there: impl FnMut(&[u8]) -> bool) -> Option<usize> {
        let ahead = self.fields.iter().enumerate().skip(self.next).take(LOOK_AHEAD);
        for (at, field) in ahead {
            if !field.quoted.is_empty() && is_there(&field.quoted) {
                self.next = at + 1;
                return Some(at);
            }
        }
        None
    }

    /// The member with this key. Members mostly come in the order of the record before.
    #[inline]
    pub(super) fn find(&mut self, key: &str) -> Option<usize> {
        let ahead = self.fields.iter().enumerate().skip(self.next).take(LOOK_AHEAD);
        for (at, field) in ahead {
            if *field.key == *key {
                self.next = at + 1;
                return Some(at);
            }
        }
        let at = *self.by_key.get(key)? as usize;
        self.next = at + 1;
        Some(at)
    }

    /// Whether a member that is not known is left out.
    pub(super) fn leaves_out(&self, is_noise: bool) -> bool {
        is_noise || self.is_closed
    }

    /// Adds a member that `find` did not find.
    pub(super) fn add(&mut self, key: &str, is_dropped: bool) -> usize {
        let at = self.fields.len();
        let is_dropped = self.leaves_out(is_dropped);
        let (lane, child, table) = (NONE, NONE, NONE);
        let is_plain = !key.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\' | b'/') || byte >= 0x7f);
        let quoted = if is_plain { format!("\"{key}\"").into_bytes().into() } else { Box::default() };
        self.fields.push(Field { key: key.into(), quoted, stamp: 0, lane, child, table, is_dropped, is_added: false });
        self.by_key.insert(key.into(), at as u32);
        self.next = at + 1;
        at
    }
}

/// Address of a field.
pub(super) type FieldAt = (usize, usize);

/// All objects of a record; node 0 is the record itself.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) nodes: Vec<Node>,
}

impl Shape {
    /// What the job says about the fields; its child tables have numbers from `first_child` on, each with its own
    /// children behind it.
    pub(super) fn new(plan: &FieldPlan, first_child: usize) -> Self {
        let mut shape = Shape { nodes: vec![Node::at(Vec::new())] };
        let mut table = first_child;
        for child in &plan.children {
            let (node, field) = shape.field_at(&child.path).expect("the job's check refuses empty paths");
            shape.nodes[node].fields[field].table = table as u32;
            table += 1 + child.fields.tables().len();
        }
        let kept: Vec<&[String]> =
            plan.select.iter().chain(plan.children.iter().map(|child| &child.path)).map(Vec::as_slice).collect();
        for path in &plan.select {
            shape.field_at(path);
        }
        if !plan.select.is_empty() {
            for node in &mut shape.nodes {
                // What is selected whole stays open, and so does what is in it.
                node.is_closed = !kept.iter().any(|kept| node.path.starts_with(kept));
            }
        }
        for path in &plan.drop {
            if let Some((node, field)) = shape.field_at(path) {
                shape.nodes[node].fields[field].is_dropped = true;
            }
        }
        shape
    }

    /// Whether the job leaves out the field at this path, or something that it is in.
    pub(super) fn is_left_out(&self, path: &[String]) -> bool {
        let mut node = 0;
        for key in path {
            let known = &self.nodes[node];
            let Some(field) = known.by_key.get(key.as_str()).map(|field| &known.fields[*field as usize]) else {
                return known.is_closed;
            };
            match field.child() {
                _ if field.is_dropped || field.table().is_some() => return true,
                Some(child) => node = child,
                None => return false,
            }
        }
        false
    }

    pub(super) fn field(&self, (node, field): FieldAt) -> &Field {
        &self.nodes[node].fields[field]
    }

    /// Keys from the record down to this field.
    pub(super) fn path(&self, (node, field): FieldAt) -> Vec<String> {
        let node = &self.nodes[node];
        node.path.iter().cloned().chain([node.fields[field].key.to_string()]).collect()
    }

    pub(super) fn set_lane(&mut self, (node, field): FieldAt, lane: Option<usize>) {
        self.nodes[node].fields[field].lane = lane.map_or(NONE, |lane| lane as u32);
    }

    /// The object below a field, made where there was none.
    pub(super) fn child_of(&mut self, at: FieldAt) -> usize {
        if let Some(child) = self.field(at).child() {
            return child;
        }
        let path = self.path(at);
        let child = self.nodes.len();
        self.nodes.push(Node::at(path));
        self.nodes[at.0].fields[at.1].child = child as u32;
        child
    }

    /// The field at a path that is known before any record; made with its objects where it was not there.
    pub(super) fn field_at(&mut self, path: &[String]) -> Option<FieldAt> {
        let (last, above) = path.split_last()?;
        let mut node = 0;
        for key in above {
            let field = self.find_or_add(node, key);
            node = self.child_of((node, field));
        }
        Some((node, self.find_or_add(node, last)))
    }

    fn find_or_add(&mut self, node: usize, key: &str) -> usize {
        let node = &mut self.nodes[node];
        match node.find(key) {
            Some(field) => field,
            None => node.add(key, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_in_any_order() {
        let mut shape = Shape::new(&FieldPlan::default(), 1);
        let node = &mut shape.nodes[0];
        let keys: Vec<String> = (0..20).map(|n| format!("k{n}")).collect();
        for (at, key) in keys.iter().enumerate() {
            assert_eq!(node.find(key), None);
            assert_eq!(node.add(key, false), at);
        }
        node.rewind();
        for at in [0, 1, 4, 19, 3, 18, 2, 2] {
            assert_eq!(node.find(&keys[at]), Some(at));
        }
    }

    #[test]
    fn paths_reach_below_objects() {
        let mut shape = Shape::new(&FieldPlan::default(), 1);
        let path = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
        let at = shape.field_at(&path).expect("a path with keys");
        assert_eq!(shape.field_at(&path), Some(at));
        assert_eq!(shape.path(at), path);
        assert_eq!(shape.nodes[at.0].path(), &path[..2]);
        assert_eq!(shape.field_at(&[]), None);
    }
}
