//! Cron expressions as crontab knows them (crontab(5) of vixie cron): five fields, or six with seconds in front. The
//! `cron` crate finds the instants; its dialect is another one (days of the week count from Sunday = 1, both kinds of
//! days must match), so fields are read here and handed over as plain lists.

use std::fmt::Write as _;
use std::str::FromStr;

/// A checked cron expression.
#[derive(Debug, Clone)]
pub(crate) struct Cron {
    text: String,
    /// One, or two of which either makes a slot: days of the month and days of the week.
    pub(super) parts: Vec<cron::Schedule>,
    /// Minute and hour name times of the day.
    pub(super) is_fixed: bool,
}

/// Why a text is no cron expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CronError {
    #[error("a cron expression has five fields, or six with seconds in front; this has {0}")]
    Fields(usize),
    #[error("{field}: `{found}` is neither a number, a name, a range, a step nor `*`")]
    Unreadable { field: &'static str, found: String },
    #[error("{field}: {found} is not within {first} to {last}")]
    OutOfRange { field: &'static str, found: u32, first: u32, last: u32 },
    #[error("{field}: `{found}` runs backwards")]
    Backwards { field: &'static str, found: String },
    #[error("{field}: a step of 0")]
    NoStep { field: &'static str },
    #[error("`{0}` is no word of a schedule; these are: @hourly, @daily, @weekly, @monthly, @yearly")]
    Word(String),
    #[error("no date is ever like that")]
    Never,
}

struct Field {
    name: &'static str,
    first: u32,
    last: u32,
    names: &'static [&'static str],
}

const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const FIELDS: [Field; 6] = [
    Field { name: "second", first: 0, last: 59, names: &[] },
    Field { name: "minute", first: 0, last: 59, names: &[] },
    Field { name: "hour", first: 0, last: 23, names: &[] },
    Field { name: "day of the month", first: 1, last: 31, names: &[] },
    Field { name: "month", first: 1, last: 12, names: MONTHS },
    // 7 is Sunday, too.
    Field { name: "day of the week", first: 0, last: 7, names: DAYS },
];

/// The words that crontab knows, with their expressions.
const WORDS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// Reads a cron expression.
pub(crate) fn parse(text: &str) -> Result<Cron, CronError> {
    let typed = text.trim();
    let expression = match typed.strip_prefix('@') {
        None => typed,
        Some(_) => {
            let word = WORDS.iter().find(|(word, _)| typed.eq_ignore_ascii_case(word));
            word.ok_or_else(|| CronError::Word(typed.to_owned()))?.1
        }
    };
    let mut typed_fields: Vec<&str> = expression.split_whitespace().collect();
    match typed_fields.len() {
        5 => typed_fields.insert(0, "0"),
        6 => {}
        count => return Err(CronError::Fields(count)),
    }
    let mut values = Vec::with_capacity(FIELDS.len());
    for (field, typed) in FIELDS.iter().zip(&typed_fields) {
        values.push(field.values(typed)?);
    }
    let is_star = |at: usize| typed_fields[at].starts_with(['*', '?']);
    let [month_days, week_days] = [3, 5].map(|at| if is_all(&FIELDS[at], &values[at]) { None } else { Some(()) });
    // Where both kinds of days are named, either makes a slot; a field that begins with `*` names none (crontab(5)).
    let parts = match (month_days, week_days) {
        (Some(()), Some(())) if !is_star(3) && !is_star(5) => {
            vec![part(&values, true, false)?, part(&values, false, true)?]
        }
        _ => vec![part(&values, true, true)?],
    };
    let is_fixed = !is_star(1) && !is_star(2);
    let cron = Cron { text: typed.to_owned(), parts, is_fixed };
    // From a leap year on, which some dates wait for.
    let start = chrono::DateTime::from_timestamp(0, 0).expect("an instant");
    let has_any = cron.parts.iter().any(|part| part.after(&start).next().is_some());
    if has_any { Ok(cron) } else { Err(CronError::Never) }
}

impl Cron {
    /// As it was typed.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether minute and hour name times of the day, so that each of them comes once a day whatever the clock does.
    pub(crate) fn is_fixed(&self) -> bool {
        self.is_fixed
    }
}

impl Field {
    /// The numbers that a field names, in ascending order.
    fn values(&self, typed: &str) -> Result<Vec<u32>, CronError> {
        let mut values = Vec::new();
        for item in typed.split(',') {
            let unreadable = || CronError::Unreadable { field: self.name, found: item.to_owned() };
            let (range, step) = match item.split_once('/') {
                None => (item, None),
                Some((range, step)) => (range, Some(step.parse::<u32>().map_err(|_| unreadable())?)),
            };
            if step == Some(0) {
                return Err(CronError::NoStep { field: self.name });
            }
            let (from, until) = match range.split_once('-') {
                _ if range == "*" || range == "?" => (self.first, self.last_of_all()),
                Some((from, until)) => (self.value(from, unreadable)?, self.value(until, unreadable)?),
                // A number with a step goes on to the end, as in most crons.
                None if step.is_some() => (self.value(range, unreadable)?, self.last_of_all()),
                None => {
                    let value = self.value(range, unreadable)?;
                    (value, value)
                }
            };
            if from > until {
                return Err(CronError::Backwards { field: self.name, found: item.to_owned() });
            }
            values.extend((from..=until).step_by(step.unwrap_or(1) as usize));
        }
        values.sort_unstable();
        values.dedup();
        Ok(values)
    }

    fn value(&self, typed: &str, unreadable: impl Fn() -> CronError) -> Result<u32, CronError> {
        if let Some(at) = self.names.iter().position(|name| typed.eq_ignore_ascii_case(name)) {
            return Ok(self.first + at as u32);
        }
        if typed.is_empty() || !typed.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(unreadable());
        }
        let found = typed.parse().map_err(|_| unreadable())?;
        if (self.first..=self.last).contains(&found) {
            return Ok(found);
        }
        Err(CronError::OutOfRange { field: self.name, found, first: self.first, last: self.last })
    }

    /// The last value of `*`: Sunday once.
    fn last_of_all(&self) -> u32 {
        if self.last == 7 { 6 } else { self.last }
    }
}

/// Whether a field leaves nothing out.
fn is_all(field: &Field, values: &[u32]) -> bool {
    (field.first..=field.last_of_all()).all(|value| values.contains(&value) || (value == 0 && values.contains(&7)))
}

/// The expression in the dialect of the crate, with or without each kind of days.
fn part(values: &[Vec<u32>], has_month_days: bool, has_week_days: bool) -> Result<cron::Schedule, CronError> {
    let mut text = String::new();
    for (at, (field, values)) in FIELDS.iter().zip(values).enumerate() {
        let is_left_out = (at == 3 && !has_month_days) || (at == 5 && !has_week_days) || is_all(field, values);
        if is_left_out {
            text.push_str("* ");
            continue;
        }
        let spelled: Vec<String> = values
            .iter()
            .map(|value| match at {
                5 => DAYS[*value as usize % 7].to_owned(),
                _ => value.to_string(),
            })
            .collect();
        write!(text, "{} ", spelled.join(",")).expect("a text takes all");
    }
    cron::Schedule::from_str(text.trim_end()).map_err(|_| CronError::Never)
}
