//! Values that were changed on their way into a file: each is counted, none is changed in silence.

use serde::{Deserialize, Serialize};

/// What was changed in a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WarningKind {
    /// A text was longer than Power BI keeps, and was cut.
    TextTruncated,
    /// A date that the profile's readers do not show became null.
    DateOutOfRange,
    /// A number that is not finite became null.
    FloatNotFinite,
    /// Digits finer than a microsecond, or finer than the job's spelling of timestamps, were cut.
    FractionTruncated,
    /// A decimal lost digits in a double.
    DecimalRounded,
    /// A text that a spreadsheet would take for a formula got a `'` before it.
    FormulaGuarded,
}

impl WarningKind {
    /// All of them, in the order in which a report tells them; each stands at its own number.
    pub(crate) const ALL: [WarningKind; 6] = [
        WarningKind::TextTruncated,
        WarningKind::DateOutOfRange,
        WarningKind::FloatNotFinite,
        WarningKind::FractionTruncated,
        WarningKind::DecimalRounded,
        WarningKind::FormulaGuarded,
    ];

    /// What happened, for people, behind the number of values.
    pub(crate) fn told(self) -> &'static str {
        match self {
            WarningKind::TextTruncated => "cut to 32,000 characters, as Power BI counts them",
            WarningKind::DateOutOfRange => "outside of the years 1900 to 9999 made null",
            WarningKind::FloatNotFinite => "without a finite number made null",
            WarningKind::FractionTruncated => "without some digits of the second",
            WarningKind::DecimalRounded => "rounded to the nearest double",
            WarningKind::FormulaGuarded => "with a `'` before what looks like a formula",
        }
    }
}

/// How many values of a column were changed, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Warning {
    pub column: String,
    pub kind: WarningKind,
    pub count: u64,
}

/// Adds counts to others of the same column and kind; columns stay in the order in which they came.
pub(crate) fn add_warnings(to: &mut Vec<Warning>, more: impl IntoIterator<Item = Warning>) {
    for warning in more {
        match to.iter_mut().find(|known| known.column == warning.column && known.kind == warning.kind) {
            Some(known) => known.count += warning.count,
            None => to.push(warning),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_stands_at_its_number() {
        for (at, kind) in WarningKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, at);
        }
    }

    #[test]
    fn counts_of_one_column_and_kind_are_added() {
        let warning = |column: &str, kind, count| Warning { column: column.to_owned(), kind, count };
        let mut all = vec![warning("b", WarningKind::TextTruncated, 1)];
        add_warnings(
            &mut all,
            [
                warning("a", WarningKind::TextTruncated, 2),
                warning("b", WarningKind::TextTruncated, 3),
                warning("b", WarningKind::DateOutOfRange, 4),
            ],
        );
        let shown: Vec<(&str, u64)> = all.iter().map(|warning| (warning.column.as_str(), warning.count)).collect();
        assert_eq!(shown, [("b", 4), ("a", 2), ("b", 4)]);
    }
}
