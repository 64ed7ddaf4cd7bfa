//! The one door to the clocks: the wall's, which people set, and the machine's, which only goes on.

use chrono::{DateTime, Utc};

/// Where "now" comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock;

impl Clock {
    /// The instant by the machine's wall clock.
    pub(crate) fn now(self) -> DateTime<Utc> {
        Utc::now()
    }

    /// Time since the machine started, its sleep included; unlike the wall clock it never jumps.
    pub(crate) fn boot_time(self) -> std::time::Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        std::time::Duration::new(now.tv_sec.max(0) as u64, now.tv_nsec.clamp(0, 999_999_999) as u32)
    }

    /// The same as the standard library spells it.
    pub(crate) fn system_now(self) -> std::time::SystemTime {
        self.now().into()
    }
}
