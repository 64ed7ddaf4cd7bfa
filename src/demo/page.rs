//! Pages as JSON, written straight into one buffer: the API must never be what the demo waits for.

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};

use super::truth::{Customer, Money, Order, OrderLine, Table, customer, order, order_line};

/// Records of one page.
pub(super) const PAGE_ROWS: u64 = 1_000;
/// Room for one record; the longest table's records take about 230 bytes.
const ROW_BYTES: usize = 300;

/// The page of the records whose id is greater than `after`.
///
/// The next link is absolute for `customers` and relative for the other tables: APIs send both, and a client must
/// take both.
pub(super) fn write_page(table: Table, after: u64, origin: &str) -> Vec<u8> {
    let total = table.rows();
    let first = after.min(total) + 1;
    let last = after.saturating_add(PAGE_ROWS).min(total);
    let mut out = Vec::with_capacity((last + 1 - first) as usize * ROW_BYTES + 200);
    out.extend_from_slice(b"{\"data\":[");
    for id in first..=last {
        if id > first {
            out.push(b',');
        }
        match table {
            Table::Customers => write_customer(&mut out, &customer(id)),
            Table::Orders => write_order(&mut out, &order(id)),
            Table::OrderLines => write_order_line(&mut out, &order_line(id)),
        }
    }
    put(&mut out, "],\"meta\":{\"count\":");
    put_number(&mut out, last + 1 - first);
    put(&mut out, ",\"total\":");
    put_number(&mut out, total);
    put(&mut out, "},\"links\":{\"next\":");
    if last < total {
        let base = if table == Table::Customers { origin } else { "" };
        put_text(&mut out, &format!("{base}/api/v1/{}?after={last}", table.name()));
    } else {
        put(&mut out, "null");
    }
    put(&mut out, "}}");
    out
}

fn write_customer(out: &mut Vec<u8>, customer: &Customer) {
    put(out, "{\"id\":");
    put_number(out, customer.id);
    put(out, ",\"name\":");
    put_text(out, &customer.name);
    put(out, ",\"email\":");
    put_or_null(out, customer.email.as_deref(), put_text);
    put(out, ",\"country\":");
    put_text(out, customer.country);
    put(out, ",\"address\":{\"street\":");
    put_text(out, &customer.street);
    put(out, ",\"city\":");
    put_text(out, customer.city);
    put(out, ",\"postal_code\":");
    put_text(out, &customer.postal_code);
    put(out, "},\"credit_limit\":");
    put_or_null(out, customer.credit_limit, put_money);
    put(out, ",\"active\":");
    put_boolean(out, customer.is_active);
    put(out, ",\"created_on\":");
    put_date(out, customer.created_on);
    out.push(b'}');
}

fn write_order(out: &mut Vec<u8>, order: &Order) {
    put(out, "{\"id\":");
    put_number(out, order.id);
    put(out, ",\"customer_id\":");
    put_number(out, order.customer_id);
    put(out, ",\"order_number\":");
    put_text(out, &order.order_number);
    put(out, ",\"status\":");
    put_text(out, order.status);
    put(out, ",\"ordered_at\":");
    put_instant(out, order.ordered_at);
    put(out, ",\"ship_date\":");
    put_or_null(out, order.ship_date, put_date);
    put(out, ",\"currency\":");
    put_text(out, order.currency);
    put(out, ",\"total\":");
    put_money(out, order.total);
    put(out, ",\"tags\":[");
    for (nth, tag) in order.tags.iter().enumerate() {
        if nth > 0 {
            out.push(b',');
        }
        put_text(out, tag);
    }
    put(out, "]}");
}

fn write_order_line(out: &mut Vec<u8>, line: &OrderLine) {
    put(out, "{\"id\":");
    put_number(out, line.id);
    put(out, ",\"order_id\":");
    put_number(out, line.order_id);
    put(out, ",\"line_no\":");
    put_number(out, line.line_no);
    put(out, ",\"product\":");
    put_text(out, line.product);
    put(out, ",\"quantity\":");
    put_number(out, line.quantity);
    put(out, ",\"unit_price\":");
    put_money(out, line.unit_price);
    put(out, ",\"discount\":");
    put_thousandths(out, line.discount_thousandths);
    put(out, ",\"line_total\":");
    put_money(out, line.line_total);
    put(out, ",\"returned\":");
    put_or_null(out, line.returned, put_boolean);
    out.push(b'}');
}

fn put(out: &mut Vec<u8>, json: &str) {
    out.extend_from_slice(json.as_bytes());
}

fn put_or_null<T>(out: &mut Vec<u8>, value: Option<T>, put_value: impl FnOnce(&mut Vec<u8>, T)) {
    match value {
        Some(value) => put_value(out, value),
        None => put(out, "null"),
    }
}

fn put_boolean(out: &mut Vec<u8>, value: bool) {
    put(out, if value { "true" } else { "false" });
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            // The words hold no other control characters.
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

fn put_number(out: &mut Vec<u8>, number: u64) {
    put_padded(out, number, 1);
}

/// A number with leading zeros up to `width` digits.
fn put_padded(out: &mut Vec<u8>, number: u64, width: usize) {
    // u64 has at most 20 digits.
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    let mut rest = number;
    while rest > 0 {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&digits[start.min(digits.len() - width)..]);
}

/// Two digits after the point, or as many as the amount has.
fn put_money(out: &mut Vec<u8>, money: Money) {
    put_number(out, money.0 / 10_000);
    out.push(b'.');
    let fraction = money.0 % 10_000;
    if fraction.is_multiple_of(100) {
        put_padded(out, fraction / 100, 2);
    } else if fraction.is_multiple_of(10) {
        put_padded(out, fraction / 10, 3);
    } else {
        put_padded(out, fraction, 4);
    }
}

/// A fraction below one, in as few digits as it needs: `0`, `0.1`, `0.05`, `0.125`.
fn put_thousandths(out: &mut Vec<u8>, thousandths: u64) {
    out.push(b'0');
    if thousandths == 0 {
        return;
    }
    out.push(b'.');
    if thousandths.is_multiple_of(100) {
        put_padded(out, thousandths / 100, 1);
    } else if thousandths.is_multiple_of(10) {
        put_padded(out, thousandths / 10, 2);
    } else {
        put_padded(out, thousandths, 3);
    }
}

fn put_date(out: &mut Vec<u8>, date: NaiveDate) {
    out.push(b'"');
    put_day(out, date);
    out.push(b'"');
}

fn put_instant(out: &mut Vec<u8>, instant: DateTime<Utc>) {
    out.push(b'"');
    put_day(out, instant.date_naive());
    for (before, number) in [(b'T', instant.hour()), (b':', instant.minute()), (b':', instant.second())] {
        out.push(before);
        put_padded(out, number.into(), 2);
    }
    put(out, "Z\"");
}

fn put_day(out: &mut Vec<u8>, day: NaiveDate) {
    put_padded(out, day.year_ce().1.into(), 4);
    out.push(b'-');
    put_padded(out, day.month().into(), 2);
    out.push(b'-');
    put_padded(out, day.day().into(), 2);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_keep_their_digits() {
        for (money, expect) in [(0, "0.00"), (10_500, "1.05"), (12_345_670, "1234.567"), (1, "0.0001")] {
            assert_eq!(text(|out| put_money(out, Money(money))), expect);
        }
        for (thousandths, expect) in [(0, "0"), (50, "0.05"), (100, "0.1"), (125, "0.125")] {
            assert_eq!(text(|out| put_thousandths(out, thousandths)), expect);
        }
        assert_eq!(text(|out| put_number(out, u64::MAX)), u64::MAX.to_string());
        assert_eq!(text(|out| put_number(out, 0)), "0");
    }

    #[test]
    fn a_page_is_json_that_gives_back_the_record() {
        for id in 1..=Table::Customers.rows() {
            let expect = customer(id);
            let page: serde_json::Value = serde_json::from_str(&text(|out| write_customer(out, &expect))).unwrap();
            assert_eq!(page["name"], expect.name);
            assert_eq!(page["address"]["street"], expect.street);
            assert_eq!(page["created_on"], expect.created_on.to_string());
        }
        let expect = order(17);
        let page: serde_json::Value = serde_json::from_str(&text(|out| write_order(out, &expect))).unwrap();
        let instant = expect.ordered_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        assert_eq!(page["ordered_at"], instant);
        assert_eq!(page["tags"].as_array().unwrap().len(), expect.tags.len());
    }

    #[test]
    fn a_page_past_the_end_is_empty_and_last() {
        for after in [Table::Customers.rows(), u64::MAX] {
            let page = String::from_utf8(write_page(Table::Customers, after, "http://127.0.0.1:1")).unwrap();
            assert_eq!(page, r#"{"data":[],"meta":{"count":0,"total":5000},"links":{"next":null}}"#);
        }
    }
}
