//! Money: a million decimals whose sum is known to the last digit.

use super::scene::{PAGED, Published, ROWS, page, text};
use crate::support::rigs::read;
use crate::support::server::Server;
use crate::support::{Workplace, job};

/// Units of a ten-thousandth.
const PLACES: u32 = 4;
const SEED: u64 = 0x9E37_79B9_7F4A_7C15;

/// SplitMix64 of a row: the same amounts in every run.
fn noise(row: u64) -> u64 {
    let mut z = row.wrapping_add(1).wrapping_mul(SEED);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// An amount with two to four places: most below a million, one in a hundred up to the 14 digits that money has room for.
struct Amount {
    /// As many as the places say.
    units: i64,
    places: u32,
}

impl Amount {
    fn of(row: u64) -> Self {
        let noise = noise(row);
        let places = 2 + (noise % 3) as u32;
        let whole_max: u64 = if (noise >> 8).is_multiple_of(100) { 100_000_000_000_000 } else { 1_000_000 };
        let units = (self::noise(row + ROWS) % (whole_max * 10_u64.pow(places))) as i64;
        Amount { units: if (noise >> 2).is_multiple_of(3) { -units } else { units }, places }
    }

    fn ten_thousandths(&self) -> i128 {
        i128::from(self.units) * 10_i128.pow(PLACES - self.places)
    }

    fn write_to(&self, out: &mut String) {
        let one = 10_u64.pow(self.places);
        let units = self.units.unsigned_abs();
        if self.units < 0 {
            out.push('-');
        }
        out.push_str(&(units / one).to_string());
        out.push('.');
        out.push_str(&(one + units % one).to_string()[1..]);
    }
}

/// `"amount": 12.5` as a number, and the same in a string.
fn serve() -> Server {
    Server::start(|request, _| {
        page(request, |row, body| {
            let amount = Amount::of(row);
            body.push_str("{\"id\":");
            body.push_str(&row.to_string());
            body.push_str(",\"amount\":");
            amount.write_to(body);
            body.push_str(",\"declared\":\"");
            amount.write_to(body);
            body.push_str("\"}");
        })
    })
}

#[test]
fn the_sum_of_a_million_amounts_is_exact_in_every_form() {
    let (mut sum, mut smallest, mut largest) = (0, i128::MAX, i128::MIN);
    for row in 0..ROWS {
        let units = Amount::of(row).ten_thousandths();
        (sum, smallest, largest) = (sum + units, smallest.min(units), largest.max(units));
    }
    let spelled = |units: i128| {
        let (sign, units) = (if units < 0 { "-" } else { "" }, units.unsigned_abs());
        format!("{sign}{}.{:04}", units / 10_000, units % 10_000)
    };
    let wanted = [spelled(sum), spelled(smallest), spelled(largest), spelled(sum)];
    let place = Workplace::new();
    let server = serve();
    let stream = format!("{PAGED}columns: {{ declared: \"decimal(18,4)\" }}\n");
    let sql = "select sum(amount)::varchar, min(amount)::varchar, max(amount)::varchar, sum(declared)::varchar, \
               any_value(typeof(amount)), any_value(typeof(declared)), count(amount), count(declared), \
               count(*) filter (amount <> declared) from {t}";
    for format in ["parquet", "csv"] {
        let text_of_job =
            job(&server.url, "", &stream).replace("  url: out\n", &format!("  url: {format}\n  format: {format}\n"));
        let file = place.file(&format!("{format}.yaml"), &text_of_job);
        place.haul(&["run", &file]).expect_code(0);
        let published = Published::of(&place, format);
        assert_eq!(published.columns("items"), ["id integer", "amount decimal(18,4)", "declared decimal(18,4)"]);
        let answer = if format == "parquet" {
            published.query("items", sql)
        } else {
            let alias = place.path("csv/test/items/current.csv");
            let columns = "{'id': 'bigint', 'amount': 'decimal(18,4)', 'declared': 'decimal(18,4)'}";
            read(&sql.replace("{t}", &format!("read_csv('{}', columns={columns})", alias.display())), None)
        };
        let row = answer["rows"][0].as_array().expect("a row");
        let found: Vec<&str> = row[..4].iter().map(text).collect();
        assert_eq!(found, wanted, "{format}");
        assert_eq!(row[4..6], ["DECIMAL(18,4)", "DECIMAL(18,4)"], "{format}");
        assert_eq!(row[6..], [ROWS, ROWS, 0], "{format}");
        if format == "parquet" {
            assert_eq!(published.read_by_all()["items"]["rows"], ROWS);
        }
    }
}
