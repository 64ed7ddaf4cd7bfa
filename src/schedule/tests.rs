//! Slots against an oracle that goes through time minute by minute and knows nothing of fields, crates and jumps.

// How much was looked at is what a long look is for.
#![allow(clippy::print_stdout)]

use chrono::{DateTime, Datelike, Duration, NaiveDateTime, TimeZone, Timelike, Utc, Weekday};
use chrono_tz::{TZ_VARIANTS, Tz};

use super::*;

type Matches = fn(NaiveDateTime) -> bool;

/// A zone and the instants at which its clock is set.
type Settings = (Tz, Vec<DateTime<Utc>>);

/// Shapes of expressions, what they mean, and whether they name times.
const SHAPES: [(&str, Matches, bool); 20] = [
    ("* * * * *", |_| true, false),
    ("*/15 * * * *", |t| t.minute() % 15 == 0, false),
    ("0 * * * *", |t| t.minute() == 0, false),
    ("30 */2 * * *", |t| t.minute() == 30 && t.hour() % 2 == 0, false),
    ("*/20 2-3 * * *", |t| t.minute() % 20 == 0 && (2..=3).contains(&t.hour()), false),
    ("0 5 * * *", |t| at(t, 5, 0), true),
    ("30 2 * * *", |t| at(t, 2, 30), true),
    ("15,45 1,2,3 * * *", |t| [15, 45].contains(&t.minute()) && (1..=3).contains(&t.hour()), true),
    ("0 0 * * *", |t| at(t, 0, 0), true),
    ("59 23 * * *", |t| at(t, 23, 59), true),
    ("0-59/10 0-4 * * *", |t| t.minute() % 10 == 0 && t.hour() <= 4, true),
    ("30 2 * * sun", |t| at(t, 2, 30) && t.weekday() == Weekday::Sun, true),
    ("30 2 * * 1-5", |t| at(t, 2, 30) && !weekend(t), true),
    ("0 1,2 * * 6,7", |t| (at(t, 1, 0) || at(t, 2, 0)) && weekend(t), true),
    ("30 2 1 * *", |t| at(t, 2, 30) && t.day() == 1, true),
    (
        "30 1 25-31 3,10 0",
        |t| at(t, 1, 30) && [3, 10].contains(&t.month()) && (t.day() >= 25 || t.weekday() == Weekday::Sun),
        true,
    ),
    ("0 3 13 * fri", |t| at(t, 3, 0) && (t.day() == 13 || t.weekday() == Weekday::Fri), true),
    ("0 0 29 feb *", |t| at(t, 0, 0) && t.day() == 29 && t.month() == 2, true),
    ("0 2 */2 * mon", |t| at(t, 2, 0) && t.day() % 2 == 1 && t.weekday() == Weekday::Mon, true),
    ("@monthly", |t| at(t, 0, 0) && t.day() == 1, true),
];

fn at(time: NaiveDateTime, hour: u32, minute: u32) -> bool {
    (time.hour(), time.minute()) == (hour, minute)
}

fn weekend(time: NaiveDateTime) -> bool {
    matches!(time.weekday(), Weekday::Sat | Weekday::Sun)
}

fn local(zone: Tz, instant: DateTime<Utc>) -> NaiveDateTime {
    instant.with_timezone(&zone).naive_local()
}

/// The slots of a span of time whose first minutes are no ones that the clock shows for the second time.
fn oracle(zone: Tz, matches: Matches, is_fixed: bool, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let minute = Duration::minutes(1);
    let mut slots = Vec::new();
    let mut instant = from;
    // What the clock shows next where nobody sets it, and the latest that it has shown.
    let mut expected = local(zone, from);
    let mut latest = expected - minute;
    while instant < until {
        let shown = local(zone, instant);
        let mut leapt = expected;
        let mut is_due = false;
        while is_fixed && leapt < shown {
            is_due |= leapt > latest && matches(leapt);
            leapt += minute;
        }
        is_due |= matches(shown) && (!is_fixed || shown > latest);
        if is_due {
            slots.push(instant);
        }
        latest = latest.max(shown);
        expected = shown + minute;
        instant += minute;
    }
    slots
}

/// Instants at which a zone's clock is set, from 2000 to 2040, found by a look every so many days.
fn transitions(zone: Tz, days: usize) -> Vec<DateTime<Utc>> {
    let offset = |second: i64| {
        let instant = DateTime::from_timestamp(second, 0).expect("an instant");
        (local(zone, instant) - instant.naive_utc()).num_seconds()
    };
    let year = |year| Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).unwrap().timestamp();
    let mut found = Vec::new();
    let span = 86_400 * days as i64;
    for day in (year(2000)..year(2041)).step_by(86_400 * days) {
        let (mut before, mut behind) = (day, day + span);
        if offset(before) == offset(behind) {
            continue;
        }
        while behind - before > 1 {
            let middle = i64::midpoint(before, behind);
            if offset(middle) == offset(before) { before = middle } else { behind = middle }
        }
        found.push(DateTime::from_timestamp(behind, 0).expect("an instant"));
    }
    found
}

/// Checks every slot within so many hours around an instant, from the one before it.
fn check(zone: Tz, around: DateTime<Utc>, hours: i64) -> u64 {
    let (from, until) = (around - Duration::hours(hours), around + Duration::hours(hours));
    let mut checks = 0;
    for (text, matches, is_fixed) in SHAPES {
        let cron = parse(text).expect(text);
        assert_eq!(cron.is_fixed(), is_fixed, "{text}");
        let mut instant = from - Duration::seconds(1);
        for slot in oracle(zone, matches, is_fixed, from, until) {
            let found = cron.next_after(instant, zone);
            assert_eq!(found, Some(slot), "`{text}` in {zone} after {instant}");
            instant = slot;
            checks += 1;
        }
        let found = cron.next_after(instant, zone);
        assert!(found.is_none_or(|found| found >= until), "`{text}` in {zone} after {instant}: {found:?}");
        checks += 1;
    }
    checks
}

/// Zones whose clocks are set at the same instants are one: the first of each.
fn zones(days: usize) -> Vec<Settings> {
    let mut found: std::collections::BTreeMap<Vec<(i64, i64)>, Settings> = Default::default();
    for zone in TZ_VARIANTS {
        let set = transitions(zone, days);
        let start = Utc.with_ymd_and_hms(2000, 1, 1, 0, 0, 0).unwrap();
        let shown = std::iter::once(&start).chain(&set);
        let shown = shown.map(|at| (at.timestamp(), (local(zone, *at) - at.naive_utc()).num_seconds())).collect();
        found.entry(shown).or_insert((zone, set));
    }
    found.into_values().collect()
}

/// Every slot of the expressions that name times, from 2000 to 2040 without a gap: the oracle goes through all of the 21 million
/// minutes and looks at its clock once for each. Whoever comes every few minutes is looked at around the settings of clocks.
fn check_all_days(zone: Tz) -> u64 {
    let rare: Vec<_> = SHAPES.iter().filter(|(_, _, is_fixed)| *is_fixed).collect();
    let crons: Vec<_> = rare.iter().map(|(text, _, _)| parse(text).expect(text)).collect();
    let minute = Duration::minutes(1);
    let mut instant = Utc.with_ymd_and_hms(2000, 1, 1, 0, 0, 0).unwrap();
    let until = Utc.with_ymd_and_hms(2041, 1, 1, 0, 0, 0).unwrap();
    let mut expected = local(zone, instant);
    let mut latest = expected - minute;
    let mut last = vec![instant - Duration::seconds(1); rare.len()];
    let mut checks = 0;
    while instant < until {
        let shown = local(zone, instant);
        for (at, (text, matches, _)) in rare.iter().enumerate() {
            let mut is_due = shown > latest && matches(shown);
            let mut leapt = expected;
            while leapt < shown {
                is_due |= leapt > latest && matches(leapt);
                leapt += minute;
            }
            if is_due {
                assert_eq!(
                    crons[at].next_after(last[at], zone),
                    Some(instant),
                    "`{text}` in {zone} after {}",
                    last[at]
                );
                last[at] = instant;
                checks += 1;
            }
        }
        latest = latest.max(shown);
        expected = shown + minute;
        instant += minute;
    }
    checks
}

/// Does the work on two threads; returns the sum.
fn sum_of<T: Sync>(work: &[T], check: impl Fn(&T) -> u64 + Sync) -> u64 {
    let check = &check;
    std::thread::scope(|scope| {
        let half = |odd: usize| scope.spawn(move || work.iter().skip(odd).step_by(2).map(check).sum::<u64>());
        [half(0), half(1)].map(|half| half.join().expect("no panic")).iter().sum()
    })
}

/// `HAUL_SCHEDULE_STEP=1 cargo test --release --lib schedule -- --nocapture` looks around every setting of every zone's clock,
/// and at every day of those whose clocks differ.
#[test]
fn slots_are_those_of_an_oracle_in_every_zone() {
    let step: usize = std::env::var("HAUL_SCHEDULE_STEP").map_or(97, |text| text.parse().expect("a number"));
    // Between two looks a clock may be set and set back; a whole look takes minutes without optimization.
    let zones = zones(if step == 1 { 1 } else { 20 });
    let mut around = Vec::new();
    let mut settings = 0;
    for (number, (zone, set)) in zones.iter().enumerate() {
        // Of every zone at least one, and of all zones together each year's.
        let first = if set.is_empty() { 0 } else { (number * 31) % set.len() };
        around.extend(set.iter().cycle().skip(first).take(set.len()).step_by(step).map(|at| (*zone, *at, 27)));
        settings += set.len();
    }
    let looked_at = around.len();
    around.extend(zones.iter().enumerate().map(|(number, (zone, _))| {
        let days = Duration::days((number as i64 * 7919) % 14_600);
        (*zone, Utc.with_ymd_and_hms(2000, 1, 2, 11, 0, 0).unwrap() + days, 3)
    }));
    let checks = sum_of(&around, |(zone, at, hours)| check(*zone, *at, *hours));
    println!(
        "{} zones, {} of them different from 2000 to 2040; {} expressions: {checks} slots are as expected around {looked_at} of {settings} \
         settings of a clock, and on a day of each zone on which none is set",
        TZ_VARIANTS.len(),
        zones.len(),
        SHAPES.len(),
    );
    if step == 1 {
        let checks = sum_of(&zones, |(zone, _)| check_all_days(*zone));
        println!("{checks} slots of all days from 2000 to 2040 are as expected");
    }
    assert!(zones.len() > 150 && looked_at > 150, "the zone data lacks zones");
}

#[test]
fn the_days_that_people_know() {
    let check = |text: &str, zone: Tz, after: &str, expect: &[&str]| {
        let cron = parse(text).expect(text);
        let mut instant: DateTime<Utc> = after.parse().expect(after);
        for slot in expect {
            instant = cron.next_after(instant, zone).expect("a slot");
            assert_eq!(instant, slot.parse::<DateTime<Utc>>().expect(slot), "`{text}` in {zone}");
        }
    };
    // In Amsterdam 02:30 does not come on 2024-03-31, and comes twice on 2024-10-27.
    let amsterdam = Tz::Europe__Amsterdam;
    check("30 2 * * *", amsterdam, "2024-03-30T12:00:00Z", &["2024-03-31T01:00:00Z", "2024-04-01T00:30:00Z"]);
    check("30 2 * * *", amsterdam, "2024-10-26T12:00:00Z", &["2024-10-27T00:30:00Z", "2024-10-28T01:30:00Z"]);
    check("30 * * * *", amsterdam, "2024-10-26T23:45:00Z", &["2024-10-27T00:30:00Z", "2024-10-27T01:30:00Z"]);
    // Samoa left out 2011-12-30.
    check("0 5 * * *", Tz::Pacific__Apia, "2011-12-29T15:30:00Z", &["2011-12-30T10:00:00Z", "2011-12-30T15:00:00Z"]);
    check("15 30 2 29 2 *", Tz::UTC, "2096-03-01T00:00:00Z", &[]);
    check("15 30 2 29 2 *", Tz::UTC, "2024-01-01T00:00:00Z", &["2024-02-29T02:30:15Z", "2028-02-29T02:30:15Z"]);
}

#[test]
fn what_is_no_expression_says_why() {
    let check = |text: &str, says: &str| match parse(text) {
        Ok(_) => panic!("`{text}` was read"),
        Err(error) => assert!(error.to_string().contains(says), "`{text}`: {error}"),
    };
    check("0 5 * *", "five fields");
    check("60 5 * * *", "minute: 60 is not within 0 to 59");
    check("0 24 * * *", "hour: 24");
    check("0 5 0 * *", "day of the month: 0");
    check("0 5 * 13 *", "month: 13");
    check("0 5 * * 8", "day of the week: 8");
    check("0 5 * * fri-mon", "runs backwards");
    check("*/0 * * * *", "a step of 0");
    check("0 5 * * 5L", "`5L`");
    check("0 5 W * *", "`W`");
    check("0 5 30 2 *", "no date");
    check("@reboot", "@hourly");
    check("5 -1 * * *", "hour: `-1`");
}

#[test]
fn jitter_is_the_same_everywhere_and_never_reaches_the_next_slot() {
    let schedule = |text: &str, jitter: u64| Schedule {
        rule: Rule::Cron(Box::new(parse(text).expect(text))),
        zone: Tz::UTC,
        jitter: Duration::seconds(jitter as i64).to_std().expect("a span"),
        blackouts: Vec::new(),
        catchup: Catchup::Latest,
        overlap: Overlap::Skip,
    };
    let hourly = schedule("0 * * * *", 600);
    let mut slot: DateTime<Utc> = "2024-01-01T00:00:00Z".parse().unwrap();
    let mut delays = std::collections::BTreeSet::new();
    for _ in 0..200 {
        slot = hourly.next_after(slot).expect("a slot");
        let start = hourly.starts_at("sales", slot);
        assert_eq!(start, schedule("0 * * * *", 600).starts_at("sales", slot));
        assert!((slot..slot + Duration::seconds(600)).contains(&start));
        delays.insert((start - slot).num_seconds());
    }
    assert!(delays.len() > 100, "{delays:?}");
    assert_ne!(hourly.starts_at("sales", slot), hourly.starts_at("orders", slot));
    let minutes = schedule("* * * * *", 86_400);
    assert!(minutes.starts_at("sales", slot) < minutes.next_after(slot).expect("a slot"));
    assert_eq!(schedule("0 * * * *", 0).starts_at("sales", slot), slot);
}

#[test]
fn spans_are_counted_from_1970() {
    let every = |seconds| Schedule {
        rule: Rule::Every(std::time::Duration::from_secs(seconds)),
        zone: Tz::UTC,
        jitter: std::time::Duration::ZERO,
        blackouts: Vec::new(),
        catchup: Catchup::Latest,
        overlap: Overlap::Skip,
    };
    let check = |seconds, after: &str, expect: &str| {
        let found = every(seconds).next_after(after.parse().unwrap()).expect("a slot");
        assert_eq!(found, expect.parse::<DateTime<Utc>>().unwrap());
    };
    check(900, "2024-10-27T00:59:59.5Z", "2024-10-27T01:00:00Z");
    check(900, "2024-10-27T01:00:00Z", "2024-10-27T01:15:00Z");
    check(86_400, "2024-10-27T01:00:00Z", "2024-10-28T00:00:00Z");
    check(900, "1969-12-31T23:59:00Z", "1970-01-01T00:00:00Z");
}
