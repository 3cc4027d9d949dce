//! Where a writer takes the time from, so that tests can give two writers different clocks.
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

/// A source of wall-clock time. Clones share it.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The clock of this machine.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(Timestamp::now))
    }

    /// A clock that asks `now` each time.
    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time now, in whole milliseconds: what a CQL `timestamp` can hold, so that a time survives storing.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millisecond((self.0)().as_millisecond())
            .expect("a time of the clock stays in its own range")
    }

    /// The time now in microseconds since 1970, the unit of write times.
    pub(crate) fn now_us(&self) -> i64 {
        (self.0)().as_microsecond()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
