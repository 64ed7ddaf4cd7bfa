//! What a source says of its own data, at `/_truth`, against what an independent reader finds in our files.

use serde_json::Value;

use super::rigs::read;

/// Counts, exact sums and prints of every table as the source holds them are those that the reader finds.
///
/// A print is the sum, over all rows, of the first 32 bits of the MD5 of `key:value`, so that it tells a value that was
/// changed, or that stands in another row, wherever the rows stand.
pub fn assert_equals_truth(truth: &Value, table_of: impl Fn(&str) -> String, sas: Option<&str>) {
    for (entity, facts) in truth.as_object().expect("entities") {
        let asked = questions(facts);
        let sql: Vec<&str> = asked.iter().map(|question| question.sql.as_str()).collect();
        let found = read(&format!("select {} from {}", sql.join(", "), table_of(entity)), sas);
        for (question, found) in asked.iter().zip(found["rows"][0].as_array().expect("a row")) {
            assert_eq!(found, &question.answer, "{entity}: {}", question.name);
        }
    }
}

struct Question {
    name: String,
    sql: String,
    answer: Value,
}

fn questions(facts: &Value) -> Vec<Question> {
    let mut questions = vec![Question { name: "rows".into(), sql: "count(*)".into(), answer: facts["count"].clone() }];
    if let Some(distinct) = facts.get("distinct_ids") {
        questions.push(Question { name: "ids".into(), sql: "count(distinct id)".into(), answer: distinct.clone() });
    }
    let mut ask = |kind: &str, sql: &dyn Fn(&str) -> String| {
        for (column, answer) in facts.get(kind).and_then(Value::as_object).into_iter().flatten() {
            questions.push(Question {
                name: format!("{kind} of {column}"),
                sql: sql(&format!("\"{column}\"")),
                answer: answer.clone(),
            });
        }
    };
    ask("sums", &|column| format!("cast(cast(sum({column}) as decimal(38,4)) as varchar)"));
    ask("non_null", &|column| format!("count({column})"));
    ask("texts", &|column| print_of(&format!("cast({column} as varchar)")));
    ask("instants", &|column| print_of(&format!("cast(epoch_us({column}) as varchar)")));
    questions
}

fn print_of(text: &str) -> String {
    format!("cast(sum(cast('0x' || substr(md5(cast(id as varchar) || ':' || {text}), 1, 8) as bigint)) as varchar)")
}
