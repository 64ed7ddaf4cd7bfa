//! What a column of haul's is in M and in a model, and how a spelling of dates in CSV is read back.

use super::kit::{KitError, Table};
use crate::model::column::{Column, ColumnType};

/// Digits before the point that the fixed decimal of Power BI holds, whatever they are: it ends at 922,337,203,685,477.5807.
const FIXED_WHOLE_DIGITS: u8 = 14;
/// Digits behind its point.
const FIXED_SCALE: u8 = 4;

/// What the values of a column are in Power BI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Integer,
    /// The fixed decimal of four places; shown with so many.
    Fixed {
        scale: u8,
    },
    /// A floating number.
    Number,
    Boolean,
    Date,
    DateTime,
}

impl Kind {
    pub(crate) fn of(kind: ColumnType) -> Self {
        match kind {
            ColumnType::Null | ColumnType::Text | ColumnType::Json | ColumnType::List(_) => Kind::Text,
            ColumnType::Boolean => Kind::Boolean,
            ColumnType::Integer => Kind::Integer,
            ColumnType::Decimal { precision, scale }
                if scale <= FIXED_SCALE && precision - scale <= FIXED_WHOLE_DIGITS =>
            {
                Kind::Fixed { scale }
            }
            ColumnType::Decimal { .. } | ColumnType::Float => Kind::Number,
            ColumnType::Date => Kind::Date,
            ColumnType::DateTime | ColumnType::Instant => Kind::DateTime,
        }
    }

    /// The type of a column of a model.
    pub(crate) fn data_type(self) -> &'static str {
        match self {
            Kind::Text => "string",
            Kind::Integer => "int64",
            Kind::Fixed { .. } => "decimal",
            Kind::Number => "double",
            Kind::Boolean => "boolean",
            Kind::Date | Kind::DateTime => "dateTime",
        }
    }

    /// How a report shows its values. `None` = as they are.
    pub(crate) fn format(self) -> Option<&'static str> {
        Some(match self {
            Kind::Text | Kind::Number => return None,
            Kind::Integer | Kind::Fixed { scale: 0 } => "0",
            Kind::Fixed { scale: 1 } => "#,0.0",
            Kind::Fixed { scale: 2 } => "#,0.00",
            Kind::Fixed { scale: 3 } => "#,0.00#",
            Kind::Fixed { .. } => "#,0.00##",
            Kind::Boolean => "\"\"\"TRUE\"\";\"\"TRUE\"\";\"\"FALSE\"\"\"",
            Kind::Date => "yyyy-mm-dd",
            Kind::DateTime => "yyyy-mm-dd hh:nn:ss",
        })
    }

    /// The type for `Table.TransformColumnTypes`.
    pub(crate) fn in_m(self) -> &'static str {
        match self {
            Kind::Text => "type text",
            Kind::Integer => "Int64.Type",
            Kind::Fixed { .. } => "Currency.Type",
            Kind::Number => "type number",
            Kind::Boolean => "type logical",
            Kind::Date => "type date",
            Kind::DateTime => "type datetime",
        }
    }
}

/// The format by which the texts of a column of a CSV table are read. `None` = they need none.
pub(crate) fn spelling(table: &Table, column: &Column) -> Result<Option<String>, KitError> {
    let Some(csv) = &table.csv else { return Ok(None) };
    let (what, format) = match column.kind {
        ColumnType::Date => ("dates", &csv.date_format),
        ColumnType::DateTime | ColumnType::Instant => ("times", &csv.datetime_format),
        _ => return Ok(None),
    };
    let Some(format) = format else { return Ok(None) };
    match custom_format(format) {
        Some(custom) => Ok(Some(custom)),
        None => Err(KitError::Spelling { table: table.name.clone(), what, format: format.clone() }),
    }
}

/// A format of strftime as M takes it, which is that of .NET. `None` = it has a field that there is no word for.
fn custom_format(format: &str) -> Option<String> {
    let mut custom = String::new();
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            custom.push_str(&quoted(c));
            continue;
        }
        let words = match rest.next()? {
            'Y' => "yyyy",
            // Two digits of a year are another year for .NET than for us: its border is that of the machine.
            'y' | 'D' => return None,
            'm' => "MM",
            'd' => "dd",
            'b' | 'h' => "MMM",
            'B' => "MMMM",
            'H' => "HH",
            'I' => "hh",
            'M' => "mm",
            'S' => "ss",
            'p' => "tt",
            'F' => "yyyy-MM-dd",
            'T' => "HH:mm:ss",
            'R' => "HH:mm",
            // Instants are in UTC, and wall clocks have no zone.
            'z' => "'+0000'",
            '%' => "'%'",
            // As many digits as there are; the point before them may be missing, too.
            '.' => match (rest.next()?, rest.as_str()) {
                ('f', _) => ".FFFFFF",
                ('3', tail) if tail.starts_with('f') => {
                    rest.next();
                    ".fff"
                }
                ('6', tail) if tail.starts_with('f') => {
                    rest.next();
                    ".ffffff"
                }
                _ => return None,
            },
            _ => return None,
        };
        custom.push_str(words);
    }
    Some(custom)
}

fn quoted(c: char) -> String {
    match c {
        // These mean themselves in a format of .NET for the culture en-US.
        '-' | '/' | ':' | '.' | ' ' | ',' | '_' => c.to_string(),
        '\'' | '"' | '\\' => format!("\\{c}"),
        c => format!("'{c}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_dates_are_read_back_or_refused() {
        let check =
            |format: &str, expect: Option<&str>| assert_eq!(custom_format(format).as_deref(), expect, "{format}");
        check("%d.%m.%Y", Some("dd.MM.yyyy"));
        check("%Y%m%d", Some("yyyyMMdd"));
        check("%Y-%m-%dT%H:%M:%S%.f", Some("yyyy-MM-dd'T'HH:mm:ss.FFFFFF"));
        check("%F %T%.3f", Some("yyyy-MM-dd HH:mm:ss.fff"));
        check("%d %b %Y, %I:%M %p", Some("dd MMM yyyy, hh:mm tt"));
        check("%d.%m.%y", None);
        check("%D", None);
        check("%F %T%.6f%z", Some("yyyy-MM-dd HH:mm:ss.ffffff'+0000'"));
        check("%s", None);
        check("%Y-%j", None);
        check("%", None);
        check("%.9f", None);
    }

    #[test]
    fn only_decimals_that_always_fit_are_fixed() {
        let check = |precision: u8, scale: u8, expect: &str| {
            assert_eq!(Kind::of(ColumnType::Decimal { precision, scale }).in_m(), expect, "{precision},{scale}");
        };
        check(18, 4, "Currency.Type");
        check(16, 2, "Currency.Type");
        check(14, 0, "Currency.Type");
        check(18, 2, "type number");
        check(15, 0, "type number");
        check(10, 5, "type number");
        check(38, 10, "type number");
        check(4, 4, "Currency.Type");
    }
}
