//! What time it is.

use crate::error::Result;
use std::fmt;

/// Nanoseconds since 1970.
pub fn now_ns() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// A clock: the system's, or another one.
pub struct Clock(Box<dyn Fn() -> Result<u64> + Send + Sync>);

impl Clock {
    /// A clock that tells nanoseconds since 1970.
    pub fn new(now_ns: impl Fn() -> Result<u64> + Send + Sync + 'static) -> Self {
        Clock(Box::new(now_ns))
    }

    /// Nanoseconds since 1970.
    pub fn now_ns(&self) -> Result<u64> {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Clock::new(|| Ok(now_ns()))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock(..)")
    }
}
