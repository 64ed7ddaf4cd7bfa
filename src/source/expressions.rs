//! What a job's expressions make of records: a condition that they must fulfil, and values for the columns that it adds.
//! Compiled once, evaluated for every record.
//!
//! A member that a record does not have is none here, unlike a name in a request's template: APIs leave out what is
//! empty. Arithmetic is that of the expression language, with doubles for fractions.

use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior};

use super::error::Error;
use super::template::{Context, environment, fields_read, single_expression, why};
use crate::model::fields::RECORD;

/// Names of the compiled templates, and of the value that they set.
const FILTER: &str = "filter";
const VALUE: &str = "value";

/// The expressions of one stream.
pub(crate) struct Expressions {
    environment: Environment<'static>,
    has_filter: bool,
    /// Columns whose values depend on the record.
    computed: Vec<Computed>,
    /// Columns whose values do not.
    constants: Vec<(String, serde_json::Value)>,
}

struct Computed {
    column: String,
    /// The text is one expression, whose type the column keeps.
    is_expression: bool,
}

impl Expressions {
    /// Compiles a stream's `filter` and `add`.
    pub(crate) fn new(filter: Option<&str>, added: &[(String, serde_json::Value)]) -> Result<Self, Error> {
        let mut environment = environment();
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        let mut expressions =
            Expressions { environment, has_filter: filter.is_some(), computed: Vec::new(), constants: Vec::new() };
        if let Some(filter) = filter {
            expressions.compile(FILTER, format!("{{% set {VALUE} = ({filter}) %}}"))?;
        }
        for (column, value) in added {
            let text = value.as_str().filter(|text| !fields_read([*text], RECORD).is_empty());
            let Some(text) = text else {
                expressions.constants.push((column.clone(), value.clone()));
                continue;
            };
            let expression = single_expression(text);
            let source = match expression {
                Some(expression) => format!("{{% set {VALUE} = ({expression}) %}}"),
                None => text.to_owned(),
            };
            expressions.compile(&format!("add.{column}"), source)?;
            expressions.computed.push(Computed { column: column.clone(), is_expression: expression.is_some() });
        }
        Ok(expressions)
    }

    fn compile(&mut self, place: &str, source: String) -> Result<(), Error> {
        let wrong = |error: minijinja::Error| Error::Template { place: place.to_owned(), why: why(&error) };
        self.environment.add_template_owned(place.to_owned(), source).map_err(wrong)
    }

    /// Whether records have to be looked at one by one.
    pub(crate) fn reads_records(&self) -> bool {
        self.has_filter || !self.computed.is_empty()
    }

    /// Columns whose values [`Expressions::compute`] gives.
    pub(crate) fn computed(&self) -> Vec<String> {
        self.computed.iter().map(|computed| computed.column.clone()).collect()
    }

    /// Columns that have one value for all records of what `context` speaks of.
    pub(crate) fn constants(&self, context: &Context) -> Result<Vec<(String, serde_json::Value)>, Error> {
        let fill = |(column, value): &(String, serde_json::Value)| {
            Ok((column.clone(), context.fill_json(|| format!("add.{column}"), value)?))
        };
        self.constants.iter().map(fill).collect()
    }

    /// The values of the computed columns for a record. `None` = the filter leaves it out. The error is for people.
    pub(crate) fn compute(
        &self,
        context: &mut Context,
        record: &serde_json::Value,
    ) -> Result<Option<Vec<serde_json::Value>>, String> {
        context.set_value(RECORD, Value::from(Serde(record)));
        if self.has_filter {
            let holds = self.value_of(FILTER, context)?;
            if !holds.is_true() {
                return Ok(None);
            }
        }
        let mut values = Vec::with_capacity(self.computed.len());
        for Computed { column, is_expression } in &self.computed {
            let place = format!("add.{column}");
            let value = if *is_expression {
                let value = self.value_of(&place, context)?;
                serde_json::to_value(&value).map_err(|error| format!("`{place}`: {error}"))?
            } else {
                let template = self.environment.get_template(&place).expect("it was compiled under this name");
                let text = template.render(context.names()).map_err(|error| format!("`{place}`: {}", why(&error)))?;
                serde_json::Value::String(text)
            };
            values.push(value);
        }
        Ok(Some(values))
    }

    fn value_of(&self, place: &str, context: &Context) -> Result<Value, String> {
        let template = self.environment.get_template(place).expect("it was compiled under this name");
        let rendered = template.render_captured(context.names());
        let rendered = rendered.map_err(|error| format!("`{place}`: {}", why(&error)))?;
        Ok(rendered.state().lookup(VALUE).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn check(
        filter: Option<&str>,
        added: &[(&str, &str)],
        record: serde_json::Value,
        expect: Option<serde_json::Value>,
    ) {
        let added: Vec<_> = added.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect();
        let expressions = Expressions::new(filter, &added).expect("expressions");
        let mut context = Context::new(&BTreeMap::new(), "run", "2026-01-01T00:00:00Z");
        let got = expressions.compute(&mut context, &record).expect("values");
        assert_eq!(got.map(serde_json::Value::from), expect, "{filter:?} {added:?} {record}");
    }

    #[test]
    fn filters_and_computed_columns_read_the_record() {
        check(Some("record.a > 1"), &[], json!({"a": 2}), Some(json!([])));
        check(Some("record.a > 1"), &[], json!({"a": 1}), None);
        check(Some("record.state != 'draft'"), &[], json!({}), Some(json!([])));
        check(Some("record.a.b is defined"), &[], json!({"a": {}}), None);
        check(None, &[("n", "{{ record.a + record.b }}")], json!({"a": 1, "b": 2}), Some(json!([3])));
        check(None, &[("n", "{{ record.a }}-{{ record.b }}")], json!({"a": 1, "b": "x"}), Some(json!(["1-x"])));
        check(None, &[("n", "{{ record.missing }}")], json!({}), Some(json!([null])));
        check(None, &[("n", "{{ (record.net * 1.21) | round(2) }}")], json!({"net": 10}), Some(json!([12.1])));
    }

    #[test]
    fn what_does_not_read_the_record_is_the_same_for_all() {
        let added = [("at".to_owned(), json!("{{ run.started_at }}")), ("n".to_owned(), json!(5))];
        let expressions = Expressions::new(None, &added).expect("expressions");
        assert!(!expressions.reads_records());
        let context = Context::new(&BTreeMap::new(), "run", "2026-01-01T00:00:00Z");
        let constants = expressions.constants(&context).expect("constants");
        assert_eq!(constants, [("at".to_owned(), json!("2026-01-01T00:00:00Z")), ("n".to_owned(), json!(5))]);
    }
}
