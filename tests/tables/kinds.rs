//! Kinds of values in JSON, and the type that a column of several of them must have: the lattice, written down once more
//! and independently of the code.

/// Values of one kind. Every list has [`SAMPLES`] of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) json: [&'static str; SAMPLES],
    /// The same as text once the column had their type.
    pub(crate) spelled: [&'static str; SAMPLES],
}

pub(crate) const SAMPLES: usize = 3;

pub(crate) const NULL: Kind = Kind { name: "null", json: ["null"; SAMPLES], spelled: [""; SAMPLES] };
pub(crate) const BOOL: Kind =
    Kind { name: "bool", json: ["true", "false", "true"], spelled: ["true", "false", "true"] };
pub(crate) const INT: Kind =
    Kind { name: "int", json: ["7", "-12", "12345678901234"], spelled: ["7", "-12", "12345678901234"] };
pub(crate) const MONEY: Kind =
    Kind { name: "money", json: ["1.25", "-0.50", "1234567.8901"], spelled: ["1.25", "-0.5", "1234567.8901"] };
/// More than four places.
pub(crate) const WIDE: Kind =
    Kind { name: "wide", json: ["0.1234567", "-1.5", "99999.00001"], spelled: ["0.1234567", "-1.5", "99999.00001"] };
/// Whole numbers beyond 64 bits, which no double holds.
pub(crate) const HUGE: Kind = Kind {
    name: "huge",
    json: ["9223372036854775809", "-9223372036854775811", "12345678901234567890123"],
    spelled: ["9223372036854775809", "-9223372036854775811", "12345678901234567890123"],
};
pub(crate) const FLOAT: Kind = Kind {
    name: "float",
    json: ["1e300", "0.00000000001", "-2.5e-12"],
    spelled: ["1e300", "0.00000000001", "-0.0000000000025"],
};
/// Numbers that neither a decimal nor a double holds.
pub(crate) const BEYOND: Kind = Kind {
    name: "beyond",
    json: ["123456789012345678901234567890123456789", "0.123456789012345678901", "1.5e400"],
    spelled: ["123456789012345678901234567890123456789", "0.123456789012345678901", "1.5e400"],
};
pub(crate) const DATE: Kind = Kind {
    name: "date",
    json: ["\"2024-01-31\"", "\"1999-12-31\"", "\"2024-02-29\""],
    spelled: ["2024-01-31", "1999-12-31", "2024-02-29"],
};
pub(crate) const DATETIME: Kind = Kind {
    name: "datetime",
    json: ["\"2024-01-31T12:00:00\"", "\"2024-01-31T12:00:00.50\"", "\"2024-02-29 08:15\""],
    spelled: ["2024-01-31T12:00:00", "2024-01-31T12:00:00.5", "2024-02-29T08:15:00"],
};
pub(crate) const INSTANT: Kind = Kind {
    name: "instant",
    json: ["\"2024-01-31T12:00:00Z\"", "\"2024-01-31T12:00:00+02:00\"", "\"/Date(1700000000000+0000)/\""],
    spelled: ["2024-01-31T12:00:00Z", "2024-01-31T10:00:00Z", "2023-11-14T22:13:20Z"],
};
pub(crate) const TEXT: Kind =
    Kind { name: "text", json: ["\"plain\"", "\"\"", "\"007\""], spelled: ["plain", "", "007"] };
pub(crate) const JSON: Kind =
    Kind { name: "json", json: ["[1,2]", "[]", "[\"a\"]"], spelled: ["[1,2]", "[]", "[\"a\"]"] };
/// An object with the one member `a`.
pub(crate) const OBJECT: Kind =
    Kind { name: "object", json: ["{\"a\":1}", "{\"a\":2}", "{\"a\":3}"], spelled: ["1", "2", "3"] };

pub(crate) const SCALARS: [Kind; 13] =
    [NULL, BOOL, INT, MONEY, WIDE, HUGE, FLOAT, BEYOND, DATE, DATETIME, INSTANT, TEXT, JSON];

/// The type of a column that has values of these kinds.
pub(crate) fn joined(kinds: &[Kind]) -> &'static str {
    let has = |kind: Kind| kinds.contains(&kind);
    let only = |allowed: &[Kind]| kinds.iter().all(|kind| *kind == NULL || allowed.contains(kind));
    if only(&[]) {
        return "text";
    }
    if only(&[INT, MONEY, WIDE, HUGE, FLOAT]) {
        return match () {
            () if has(FLOAT) && has(HUGE) => "text",
            () if has(FLOAT) => "float",
            () if has(WIDE) || (has(MONEY) && has(HUGE)) => "decimal(38,10)",
            () if has(HUGE) => "decimal(38,0)",
            () if has(MONEY) => "decimal(18,4)",
            () => "integer",
        };
    }
    match () {
        () if only(&[BOOL]) => "boolean",
        () if only(&[DATE]) => "date",
        () if only(&[DATE, DATETIME]) => "datetime",
        () if only(&[INSTANT]) => "instant",
        () if only(&[JSON]) => "json",
        () => "text",
    }
}

/// DuckDB's word for a type.
pub(crate) fn duckdb(kind: &str) -> &str {
    match kind {
        "boolean" => "BOOLEAN",
        "integer" => "BIGINT",
        "float" => "DOUBLE",
        "date" => "DATE",
        "datetime" | "instant" => "TIMESTAMP",
        "text" | "json" => "VARCHAR",
        decimal => decimal,
    }
}
