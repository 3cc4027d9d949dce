//! `RateLimit`: spreads records evenly over time, at most so many records and so many bytes a second.
//!
//! Every write has a place on a time line that all lanes share: it may begin when those before it have had their time.
//! Nothing is saved up while nobody writes, so there is no burst. A write larger than what a tenth of a second allows is
//! sent in pieces, one after the other.
//!
//! It stands outside of retry, which has a budget of its own: what is limited is what is new.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use weir_sdk::{Error, Failed, Order, Record, Records, Sink, WriteError, async_trait};

use super::policy::{self, Decision};

/// The most that may be sent in a second; without a number there is no limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// In records; above 0.
    pub records: Option<f64>,
    /// In bytes; above 0.
    pub bytes: Option<f64>,
}

/// A sink with a limited rate.
pub struct RateLimit {
    inner: Arc<dyn Sink>,
    line: Mutex<Line>,
    born: Instant,
}

impl RateLimit {
    /// Limits what is written to `inner`.
    pub fn new(inner: Arc<dyn Sink>, settings: Settings) -> Self {
        let line = Mutex::new(Line { settings, next: Duration::ZERO });
        Self { inner, line, born: Instant::now() }
    }

    /// Waits for the turn of the first records; how many they are.
    async fn turn(&self, records: &[Record]) -> usize {
        let (count, wait) = {
            let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
            let (count, takes) = line.piece(records);
            (count, line.reserve(takes, self.born.elapsed()))
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        count
    }
}

/// The decision as a value: when the next write may begin.
#[derive(Debug)]
struct Line {
    settings: Settings,
    next: Duration,
}

impl Line {
    /// The longest that one piece may take of the line, unless it is a single record.
    const PIECE: Duration = Duration::from_millis(100);

    /// How many records, at least one, make a piece, and how long that takes.
    fn piece(&self, records: &[Record]) -> (usize, Duration) {
        let (mut count, mut bytes, mut takes) = (0, 0, Duration::ZERO);
        for record in records {
            bytes += record.size();
            let longer = self.time_of(count + 1, bytes);
            if count > 0 && longer > Self::PIECE {
                break;
            }
            (count, takes) = (count + 1, longer);
        }
        (count, takes)
    }

    fn time_of(&self, records: usize, bytes: usize) -> Duration {
        let seconds = |amount: usize, rate: Option<f64>| rate.map_or(0.0, |rate| amount as f64 / rate);
        let seconds = seconds(records, self.settings.records).max(seconds(bytes, self.settings.bytes));
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(u32::MAX.into()))
    }

    /// Takes the next place on the line; how long to wait for it.
    fn reserve(&mut self, takes: Duration, now: Duration) -> Duration {
        let begin = self.next.max(now);
        self.next = begin.saturating_add(takes);
        begin - now
    }
}

#[async_trait]
impl Sink for RateLimit {
    async fn write(&self, records: Records) -> Result<(), WriteError> {
        let (mut done, mut failed) = (0, Vec::new());
        while done < records.len() {
            let count = self.turn(&records[done..]).await;
            let whole = count == records.len();
            let piece = if whole { records.clone() } else { records.pick(done..done + count) };
            let refused = match self.inner.write(piece).await {
                Ok(()) => Vec::new(),
                Err(error) if whole => return Err(error),
                Err(WriteError::All(error)) => all(0..count, &error),
                Err(WriteError::Some(list)) => list,
            };
            let dead = |failed: &&Failed| policy::decide(failed.error.kind()) == Decision::Dead;
            let fatal = refused.iter().find(|failed| !dead(failed)).map(|failed| failed.error.clone());
            failed.extend(refused.into_iter().map(|one| Failed { index: done + one.index, ..one }));
            done += count;
            if let Some(error) = fatal {
                failed.extend(all(done..records.len(), &error));
                break;
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(WriteError::Some(failed)) }
    }

    async fn probe(&self) -> Result<(), Error> {
        self.inner.probe().await
    }

    fn order(&self) -> Order {
        self.inner.order()
    }

    async fn close(&self) -> Result<(), Error> {
        self.inner.close().await
    }
}

fn all(indexes: std::ops::Range<usize>, error: &Error) -> Vec<Failed> {
    indexes.map(|index| Failed { index, error: error.clone() }).collect()
}

#[cfg(test)]
mod tests;
