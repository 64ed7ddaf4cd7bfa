//! The demo's records. Each is computed from its table and number alone, so that nothing is stored, every page can be
//! made at once, and every run sees the same shop.

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};

use super::words::{
    COMPANIES, COUNTRIES, Country, DISCOUNTS, FIRST_NAMES, LAST_NAMES, PRODUCTS, STATUSES, STREETS, TAGS,
};

/// Orders whose lines are dealt out together.
const GROUP_ORDERS: u64 = 3;
/// Lines of such a group: 45,000 orders have 150,000 lines exactly.
const GROUP_LINES: u64 = 10;
/// How the lines of a group fall on its orders; each sums up to `GROUP_LINES`.
const LINE_SPLITS: [[u64; 3]; 8] =
    [[3, 3, 4], [1, 4, 5], [2, 2, 6], [5, 3, 2], [1, 1, 8], [4, 5, 1], [2, 6, 2], [6, 1, 3]];

/// First possible order: 2023-01-01T00:00:00Z in seconds since 1970.
const ORDERS_FROM: u64 = 1_672_531_200;
/// Seconds from one order to the next, before jitter: all of them fill three years.
const ORDER_SECS: u64 = 2_100;

/// A table of the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Customers,
    Orders,
    OrderLines,
}

impl Table {
    pub(super) const ALL: [Table; 3] = [Table::Customers, Table::Orders, Table::OrderLines];

    /// Its name in URLs and in the job.
    pub(super) fn name(self) -> &'static str {
        match self {
            Table::Customers => "customers",
            Table::Orders => "orders",
            Table::OrderLines => "order_lines",
        }
    }

    /// Number of records; their ids are 1 to this.
    pub(super) const fn rows(self) -> u64 {
        match self {
            Table::Customers => 5_000,
            Table::Orders => 45_000,
            Table::OrderLines => 150_000,
        }
    }
}

const _: () = assert!(Table::Orders.rows() / GROUP_ORDERS * GROUP_LINES == Table::OrderLines.rows());

/// An amount in ten-thousandths: exact, because it is never divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Money(pub(super) u64);

pub(super) struct Customer {
    pub(super) id: u64,
    pub(super) name: String,
    /// Absent = the customer gave none.
    pub(super) email: Option<String>,
    pub(super) country: &'static str,
    pub(super) street: String,
    pub(super) city: &'static str,
    pub(super) postal_code: String,
    /// Absent = never granted one.
    pub(super) credit_limit: Option<Money>,
    pub(super) is_active: bool,
    pub(super) created_on: NaiveDate,
}

pub(super) struct Order {
    pub(super) id: u64,
    pub(super) customer_id: u64,
    pub(super) order_number: String,
    pub(super) status: &'static str,
    pub(super) ordered_at: DateTime<Utc>,
    /// Absent = not shipped.
    pub(super) ship_date: Option<NaiveDate>,
    pub(super) currency: &'static str,
    pub(super) total: Money,
    pub(super) tags: Vec<&'static str>,
}

pub(super) struct OrderLine {
    pub(super) id: u64,
    pub(super) order_id: u64,
    pub(super) line_no: u64,
    pub(super) product: &'static str,
    pub(super) quantity: u64,
    pub(super) unit_price: Money,
    pub(super) discount_thousandths: u64,
    pub(super) line_total: Money,
    /// Absent = the line may still be returned.
    pub(super) returned: Option<bool>,
}

/// The customer with this id, 1 to `Table::Customers.rows()`.
pub(super) fn customer(id: u64) -> Customer {
    let choice = Choice::of(Table::Customers, id);
    let country = country_of(id);
    let city = choice.pick(0, &country.cities);
    let name = match choice.below(1, 4) {
        0 => format!("{} {city}", choice.pick(2, &COMPANIES)),
        _ => format!("{} {}", choice.pick(2, &FIRST_NAMES), choice.pick(3, &LAST_NAMES)),
    };
    let number = 1 + choice.below(5, 240);
    let street = match choice.below(6, 50) {
        // A line break inside a value: the oldest trap of CSV.
        0 => format!("{} {number}\n2nd floor", choice.pick(4, &STREETS)),
        _ => format!("{} {number}", choice.pick(4, &STREETS)),
    };
    let created_day =
        NaiveDate::from_ymd_opt(2018, 1, 1).expect("a day of the calendar") + Days::new(choice.below(7, 1_826));
    Customer {
        id,
        name,
        email: (choice.below(8, 8) > 0).then(|| format!("buyer{id:05}@example.{}", country.code.to_ascii_lowercase())),
        country: country.code,
        street,
        city,
        postal_code: fill_mask(country.postal_mask, choice),
        credit_limit: (choice.below(9, 5) > 0).then(|| Money((1 + choice.below(10, 200)) * 2_500_000)),
        is_active: choice.below(11, 10) > 0,
        created_on: created_day,
    }
}

/// The order with this id, 1 to `Table::Orders.rows()`.
pub(super) fn order(id: u64) -> Order {
    let choice = Choice::of(Table::Orders, id);
    // The lower of two: some customers buy much more than others.
    let customer_id = 1 + choice.below(0, Table::Customers.rows()).min(choice.below(1, Table::Customers.rows()));
    let status = choice.pick(2, &STATUSES);
    let seconds = ORDERS_FROM + (id - 1) * ORDER_SECS + choice.below(3, ORDER_SECS);
    let seconds = i64::try_from(seconds).expect("three years after 2023");
    let ordered_at = DateTime::from_timestamp(seconds, 0).expect("chrono's calendar reaches beyond the year 2025");
    let is_shipped = matches!(status, "shipped" | "delivered");
    let (first, count) = lines_of(id);
    let tag = choice.below(5, TAGS.len() as u64) as usize;
    Order {
        id,
        customer_id,
        order_number: format!("SO-{}-{id:06}", ordered_at.year()),
        status,
        ordered_at,
        ship_date: is_shipped.then(|| ordered_at.date_naive() + Days::new(1 + choice.below(4, 14))),
        currency: country_of(customer_id).currency,
        total: Money((first..first + count).map(|line| price(line).line_total.0).sum()),
        tags: (0..choice.below(6, 4) as usize).map(|nth| TAGS[(tag + 2 * nth) % TAGS.len()]).collect(),
    }
}

/// The line with this id, 1 to `Table::OrderLines.rows()`.
pub(super) fn order_line(id: u64) -> OrderLine {
    let choice = Choice::of(Table::OrderLines, id);
    let (order_id, line_no) = place_of(id);
    let Price { quantity, unit_price, discount_thousandths, line_total } = price(id);
    OrderLine {
        id,
        order_id,
        line_no,
        product: choice.pick(3, &PRODUCTS),
        quantity,
        unit_price,
        discount_thousandths,
        line_total,
        returned: match choice.below(4, 12) {
            0 => Some(true),
            1..=8 => Some(false),
            _ => None,
        },
    }
}

struct Price {
    quantity: u64,
    unit_price: Money,
    discount_thousandths: u64,
    line_total: Money,
}

/// The money of a line. Prices are an even number of cents: with discounts in 25 thousandths every line then comes
/// out in four digits exactly, and no reader of the demo has to know how we round.
fn price(line_id: u64) -> Price {
    let choice = Choice::of(Table::OrderLines, line_id);
    let quantity = 1 + choice.below(0, 12);
    let price_cents = 2 * (1 + choice.below(1, 12_500));
    let discount_thousandths = choice.pick(2, &DISCOUNTS);
    let line_total = Money(quantity * price_cents * (1_000 - discount_thousandths) / 10);
    Price { quantity, unit_price: Money(price_cents * 100), discount_thousandths, line_total }
}

/// Id of an order's first line, and how many lines it has.
fn lines_of(order_id: u64) -> (u64, u64) {
    let (group, nth) = ((order_id - 1) / GROUP_ORDERS, (order_id - 1) % GROUP_ORDERS);
    let split = split_of(group);
    let before: u64 = split[..nth as usize].iter().sum();
    (group * GROUP_LINES + before + 1, split[nth as usize])
}

/// A line's order and its number in it, from 1.
fn place_of(line_id: u64) -> (u64, u64) {
    let (group, mut nth) = ((line_id - 1) / GROUP_LINES, (line_id - 1) % GROUP_LINES);
    let mut order_id = group * GROUP_ORDERS + 1;
    for count in split_of(group) {
        if nth < count {
            break;
        }
        nth -= count;
        order_id += 1;
    }
    (order_id, nth + 1)
}

fn split_of(group: u64) -> [u64; 3] {
    // A number of its own, far from any order's.
    Choice::of(Table::Orders, u64::MAX - group).pick(0, &LINE_SPLITS)
}

fn country_of(customer_id: u64) -> &'static Country {
    &COUNTRIES[Choice::of(Table::Customers, customer_id).below(12, COUNTRIES.len() as u64) as usize]
}

fn fill_mask(mask: &str, choice: Choice) -> String {
    let mut field = 20;
    let mut pick = |first: u8, count: u64| {
        field += 1;
        char::from(first + choice.below(field, count) as u8)
    };
    mask.chars()
        .map(|place| match place {
            '#' => pick(b'0', 10),
            '@' => pick(b'A', 26),
            literal => literal,
        })
        .collect()
}

/// The choices that make one record: a hash of its table, its number and the field (splitmix64's finish).
#[derive(Clone, Copy)]
struct Choice(u64);

impl Choice {
    fn of(table: Table, number: u64) -> Self {
        Choice(mix(number.wrapping_add((table as u64 + 1) << 48)))
    }

    /// 0 to `bound` - 1.
    fn below(self, field: u64, bound: u64) -> u64 {
        mix(self.0.wrapping_add(field)) % bound
    }

    fn pick<T: Copy>(self, field: u64, items: &[T]) -> T {
        items[self.below(field, items.len() as u64) as usize]
    }
}

fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_belongs_to_the_order_that_counts_it() {
        let mut next_line = 1;
        for order_id in 1..=Table::Orders.rows() {
            let (first, count) = lines_of(order_id);
            assert_eq!(first, next_line);
            assert!(count >= 1);
            for line_no in 1..=count {
                assert_eq!(place_of(first + line_no - 1), (order_id, line_no));
            }
            next_line += count;
        }
        assert_eq!(next_line - 1, Table::OrderLines.rows());
    }

    #[test]
    fn totals_are_the_exact_sums_of_their_lines() {
        let mut totals = vec![0; Table::Orders.rows() as usize + 1];
        for id in 1..=Table::OrderLines.rows() {
            let line = order_line(id);
            let exact = line.quantity * line.unit_price.0 * (1_000 - line.discount_thousandths);
            assert_eq!(exact % 1_000, 0, "line {id} needs more than four digits");
            assert_eq!(line.line_total.0, exact / 1_000);
            totals[line.order_id as usize] += line.line_total.0;
        }
        for id in 1..=Table::Orders.rows() {
            assert_eq!(order(id).total.0, totals[id as usize], "order {id}");
        }
    }

    #[test]
    fn records_refer_to_records_that_exist_and_every_kind_of_value_occurs() {
        let orders: Vec<Order> = (1..=Table::Orders.rows()).map(order).collect();
        assert!(orders.iter().all(|order| (1..=Table::Customers.rows()).contains(&order.customer_id)));
        assert!(orders.iter().all(|order| order.ship_date.is_none_or(|day| day > order.ordered_at.date_naive())));
        assert!(orders.windows(2).all(|pair| pair[0].ordered_at < pair[1].ordered_at));
        assert!(orders.iter().any(|order| order.tags.is_empty()) && orders.iter().any(|order| order.tags.len() == 3));
        assert!(orders.iter().any(|order| order.total.0 % 100 != 0), "some totals have four digits");
        let customers: Vec<Customer> = (1..=Table::Customers.rows()).map(customer).collect();
        for sign in ['"', '☕', 'ü', '\\', '\''] {
            assert!(customers.iter().any(|customer| customer.name.contains(sign)), "{sign}");
        }
        assert!(customers.iter().any(|customer| customer.street.contains('\n')));
        assert!(customers.iter().any(|customer| customer.postal_code.starts_with('0')));
        assert!(customers.iter().any(|customer| customer.email.is_none()));
        assert!(customers.iter().any(|customer| customer.credit_limit.is_none()));
    }
}
