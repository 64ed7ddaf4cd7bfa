//! The one door to the wall clock.

use chrono::{DateTime, Utc};

/// Where "now" comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock;

impl Clock {
    /// The instant by the machine's wall clock.
    pub(crate) fn now(self) -> DateTime<Utc> {
        Utc::now()
    }

    /// The same as the standard library spells it.
    pub(crate) fn system_now(self) -> std::time::SystemTime {
        self.now().into()
    }
}
