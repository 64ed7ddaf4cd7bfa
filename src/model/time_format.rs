//! How an API spells an instant: where a window or a cursor is sent, and where a value is read.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, SecondsFormat, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

/// A spelling of instants, and the zone of those that name none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TimeFormat {
    pub spelling: Spelling,
    pub zone: Tz,
}

/// How an instant is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// `2024-01-31T23:59:59Z`, with the fraction where there is one; in another zone with its offset.
    Iso,
    /// `2024-01-31`.
    Date,
    /// Seconds since 1970.
    Unix,
    /// Milliseconds since 1970.
    UnixMillis,
    /// `datetime'2024-01-31T23:59:59'`, as OData v2 filters want it.
    ODataV2,
    /// As strftime spells it, for example `%d.%m.%Y %H:%M`.
    Strftime(String),
}

impl Default for TimeFormat {
    fn default() -> Self {
        TimeFormat { spelling: Spelling::Iso, zone: Tz::UTC }
    }
}

impl FromStr for Spelling {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Ok(match word.trim() {
            "iso" => Spelling::Iso,
            "date" => Spelling::Date,
            "unix" => Spelling::Unix,
            "unix_ms" => Spelling::UnixMillis,
            "odata_v2" => Spelling::ODataV2,
            pattern if pattern.contains('%') => {
                let is_readable = !chrono::format::StrftimeItems::new(pattern)
                    .any(|item| matches!(item, chrono::format::Item::Error));
                if !is_readable {
                    return Err(format!("`{pattern}` is no strftime pattern"));
                }
                Spelling::Strftime(pattern.to_owned())
            }
            other => return Err(format!("`{other}` is no spelling of time")),
        })
    }
}

impl fmt::Display for Spelling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Spelling::Iso => "iso",
            Spelling::Date => "date",
            Spelling::Unix => "unix",
            Spelling::UnixMillis => "unix_ms",
            Spelling::ODataV2 => "odata_v2",
            Spelling::Strftime(pattern) => pattern,
        })
    }
}

impl TimeFormat {
    /// An instant as the API wants it.
    pub(crate) fn write(&self, instant: DateTime<Utc>) -> String {
        let local = instant.with_timezone(&self.zone);
        match &self.spelling {
            Spelling::Iso => {
                let seconds = match local.nanosecond() {
                    0 => SecondsFormat::Secs,
                    nanos if nanos % 1_000_000 == 0 => SecondsFormat::Millis,
                    _ => SecondsFormat::Micros,
                };
                if self.zone == Tz::UTC {
                    instant.to_rfc3339_opts(seconds, true)
                } else {
                    local.to_rfc3339_opts(seconds, false)
                }
            }
            Spelling::Date => format!("{:04}-{:02}-{:02}", local.year(), local.month(), local.day()),
            Spelling::Unix => instant.timestamp().to_string(),
            Spelling::UnixMillis => instant.timestamp_millis().to_string(),
            Spelling::ODataV2 => format!("datetime'{}'", local.format("%Y-%m-%dT%H:%M:%S%.f")),
            Spelling::Strftime(pattern) => local.format(pattern).to_string(),
        }
    }

    /// An instant from its spelling; ISO spellings are read whatever this one's is. `None` = it is none.
    pub(crate) fn read(&self, text: &str) -> Option<DateTime<Utc>> {
        let text = text.trim();
        match &self.spelling {
            Spelling::Unix => return DateTime::from_timestamp(text.parse().ok()?, 0),
            Spelling::UnixMillis => return DateTime::from_timestamp_millis(text.parse().ok()?),
            Spelling::Strftime(pattern) => {
                if let Ok(instant) = DateTime::parse_from_str(text, pattern) {
                    return Some(instant.to_utc());
                }
                if let Ok(local) = NaiveDateTime::parse_from_str(text, pattern) {
                    return self.at(local);
                }
                if let Ok(date) = NaiveDate::parse_from_str(text, pattern) {
                    return self.at(date.and_hms_opt(0, 0, 0)?);
                }
            }
            Spelling::Iso | Spelling::Date | Spelling::ODataV2 => {}
        }
        let text = text.strip_prefix("datetime'").and_then(|text| text.strip_suffix('\'')).unwrap_or(text);
        self.read_iso(text)
    }

    /// An ISO date, a wall clock in this zone, or an instant.
    pub(crate) fn read_iso(&self, text: &str) -> Option<DateTime<Utc>> {
        if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
            return Some(instant.to_utc());
        }
        for pattern in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M"] {
            if let Ok(local) = NaiveDateTime::parse_from_str(text, pattern) {
                return self.at(local);
            }
        }
        self.at(NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0)?)
    }

    /// The instant of a wall clock in this zone. The earlier one where it shows twice; where it is skipped, the instant
    /// at which the clock jumped over it: a window must not lose an hour.
    pub(crate) fn at(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        if let Some(instant) = self.zone.from_local_datetime(&local).earliest() {
            return Some(instant.to_utc());
        }
        let before = self.zone.from_local_datetime(&(local - chrono::TimeDelta::hours(3))).latest()?;
        let mut last = before.to_utc();
        for _ in 0..12 {
            let next = last + chrono::TimeDelta::minutes(15);
            if next.with_timezone(&self.zone).naive_local() > local {
                return Some(next);
            }
            last = next;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(spelling: &str, zone: Tz, text: &str, iso: &str) {
        let format = TimeFormat { spelling: spelling.parse().expect("a spelling"), zone };
        let instant: DateTime<Utc> = iso.parse().expect("an instant");
        assert_eq!(format.write(instant), text, "{spelling}");
        assert_eq!(format.read(text), Some(instant), "{spelling} {text}");
    }

    #[test]
    fn instants_are_written_and_read_back() {
        let amsterdam = Tz::Europe__Amsterdam;
        check("iso", Tz::UTC, "2024-01-31T23:59:59Z", "2024-01-31T23:59:59Z");
        check("iso", Tz::UTC, "2024-01-31T23:59:59.250Z", "2024-01-31T23:59:59.250Z");
        check("iso", amsterdam, "2024-07-01T12:00:00+02:00", "2024-07-01T10:00:00Z");
        check("date", amsterdam, "2024-07-01", "2024-06-30T22:00:00Z");
        check("unix", Tz::UTC, "1719828000", "2024-07-01T10:00:00Z");
        check("unix_ms", Tz::UTC, "1719828000250", "2024-07-01T10:00:00.250Z");
        check("odata_v2", Tz::UTC, "datetime'2024-07-01T10:00:00'", "2024-07-01T10:00:00Z");
        check("%d.%m.%Y %H:%M", amsterdam, "01.07.2024 12:00", "2024-07-01T10:00:00Z");
        check("%Y%m%d", Tz::UTC, "20240701", "2024-07-01T00:00:00Z");
    }

    #[test]
    fn clocks_that_jump_lose_no_time() {
        let format = TimeFormat { spelling: Spelling::Iso, zone: Tz::Europe__Amsterdam };
        let at = |text: &str| format.read(text).map(|instant| instant.to_rfc3339_opts(SecondsFormat::Secs, true));
        assert_eq!(at("2024-03-31T02:30:00").as_deref(), Some("2024-03-31T01:00:00Z"));
        assert_eq!(at("2024-10-27T02:30:00").as_deref(), Some("2024-10-27T00:30:00Z"));
    }

    #[test]
    fn what_is_no_spelling_is_refused() {
        assert!("rfc".parse::<Spelling>().is_err());
        assert!("%Q".parse::<Spelling>().is_err());
        assert_eq!(TimeFormat::default().read("soon"), None);
    }
}
