//! The one door to the clocks: the wall clock, and the one that only runs forward.

use std::time::Duration;

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

    /// Time since this machine was started, suspend included: no step of the wall clock changes it. Comparable between
    /// the processes of one `boot_id`.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn boot_time(self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        // The kernel counts up from zero.
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
    }

    /// Time since this process first asked.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn boot_time(self) -> Duration {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        START.get_or_init(std::time::Instant::now).elapsed()
    }

    /// What `boot_time` counts from: another id, another zero. Without Linux that is this process.
    pub(crate) fn boot_id(self) -> String {
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map_or_else(|_| format!("process {}", std::process::id()), |text| text.trim().to_owned())
    }
}
