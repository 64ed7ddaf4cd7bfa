//! Windows of the local clock in which no slot is served.

use std::fmt;

use chrono::{Datelike, Days, NaiveDateTime, NaiveTime, Weekday};

/// A window of some days, half-open; where it ends before it begins it reaches into the next day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blackout {
    pub from: NaiveTime,
    pub until: NaiveTime,
    /// Days on which it begins.
    pub days: Vec<Weekday>,
}

impl Blackout {
    /// Whether an instant of the local clock lies within.
    pub(crate) fn holds(&self, local: NaiveDateTime) -> bool {
        let (date, time) = (local.date(), local.time());
        let begins_on = |day: Weekday| self.days.contains(&day);
        if self.from < self.until {
            return begins_on(date.weekday()) && (self.from..self.until).contains(&time);
        }
        let before = date.checked_sub_days(Days::new(1)).map(|date| date.weekday());
        (time >= self.from && begins_on(date.weekday())) || (time < self.until && before.is_some_and(begins_on))
    }
}

impl fmt::Display for Blackout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from.format("%H:%M"), self.until.format("%H:%M"))?;
        if self.days.len() < 7 {
            let days: Vec<String> = self.days.iter().map(|day| day.to_string().to_lowercase()).collect();
            write!(f, " ({})", days.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    #[test]
    fn windows_are_half_open_and_reach_over_midnight() {
        let time = |text: &str| text.parse::<NaiveTime>().unwrap();
        let check = |from: &str, until: &str, days: &[Weekday], at: &str, expect: bool| {
            // 2024-03-01 is a Friday.
            let (day, clock) = at.split_once(' ').unwrap();
            let local = NaiveDate::from_ymd_opt(2024, 3, day.parse().unwrap()).unwrap().and_time(time(clock));
            let blackout = Blackout { from: time(from), until: time(until), days: days.to_vec() };
            assert_eq!(blackout.holds(local), expect, "{blackout}: {at}");
        };
        let friday = [Weekday::Fri];
        check("08:00:00", "18:00:00", &friday, "1 08:00:00", true);
        check("08:00:00", "18:00:00", &friday, "1 18:00:00", false);
        check("08:00:00", "18:00:00", &friday, "2 09:00:00", false);
        check("22:00:00", "06:00:00", &friday, "1 22:00:00", true);
        check("22:00:00", "06:00:00", &friday, "2 05:59:59", true);
        check("22:00:00", "06:00:00", &friday, "2 06:00:00", false);
        check("22:00:00", "06:00:00", &friday, "1 05:00:00", false);
        check("00:00:00", "00:00:00", &friday, "1 12:00:00", true);
        check("00:00:00", "00:00:00", &friday, "2 00:00:00", false);
    }
}
