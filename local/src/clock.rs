//! The one clock of the emulated account: wall time at start plus tokio's monotonic time.
//!
//! With tokio's time paused it is a simulated clock that jumps from one due moment to the next;
//! otherwise it is the real one. Nothing else in this crate may ask what time it is.

use aws_smithy_async::time::TimeSource;
use jiff::Timestamp;
use std::time::SystemTime;

/// Tells the time to the emulated services, to the SDK clients (signing) and to the functions.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    base: Timestamp,
    start: tokio::time::Instant,
}

impl Clock {
    /// A clock that stands at `base` now. Needs a tokio runtime.
    pub fn starting_at(base: Timestamp) -> Self {
        Self { base, start: tokio::time::Instant::now() }
    }

    /// A clock that shows the machine's own time.
    #[allow(clippy::disallowed_methods, reason = "the edge: the local runner's only look at the real clock")]
    pub fn real() -> Self {
        Self::starting_at(Timestamp::now())
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        Timestamp::try_from(SystemTime::from(self.base) + self.start.elapsed()).unwrap_or(Timestamp::MAX)
    }

    /// Sleeps until `at`; returns at once when that is past.
    pub async fn sleep_until(&self, at: Timestamp) {
        let since_base = at.duration_since(self.base);
        if let Ok(wait) = std::time::Duration::try_from(since_base) {
            tokio::time::sleep_until(self.start + wait).await;
        }
    }
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        Clock::now(self).into()
    }
}

impl dynoxide::storage_backend::Clock for Clock {
    fn now_unix_secs(&self) -> u64 {
        u64::try_from(Clock::now(self).as_second()).unwrap_or(0)
    }

    fn now_unix_secs_f64(&self) -> f64 {
        Clock::now(self).as_millisecond() as f64 / 1000.0
    }
}
