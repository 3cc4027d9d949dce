//! `Metered`: counts and times what the task sees of its sink.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use weir_sdk::metrics::{Counter, Metrics, Seconds, names};
use weir_sdk::{Error, Order, Records, Sink, WriteError, async_trait};

/// A sink with figures.
pub struct Metered {
    inner: Arc<dyn Sink>,
    written: Counter,
    errors: Counter,
    write: Seconds,
    end_to_end: Seconds,
}

impl Metered {
    /// Counts into `metrics` what `inner` does.
    pub fn new(inner: Arc<dyn Sink>, metrics: &Metrics) -> Self {
        Self {
            inner,
            written: metrics.counter(names::RECORDS_WRITTEN),
            errors: metrics.counter(names::WRITE_ERRORS),
            write: metrics.seconds(names::WRITE),
            end_to_end: metrics.seconds(names::END_TO_END),
        }
    }

    fn durable(&self, records: &Records, began: Instant) {
        self.written.add(records.len() as u64);
        self.write.observe(began.elapsed(), 1);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        // Neighbours were mostly written within the same millisecond: one observation for each run of them.
        for run in records.chunk_by(|a, b| a.timestamp.as_millis() == b.timestamp.as_millis()) {
            let age = u64::try_from(now.saturating_sub(run[0].timestamp.0)).unwrap_or(0);
            self.end_to_end.observe(Duration::from_micros(age), run.len() as u64);
        }
    }
}

#[async_trait]
impl Sink for Metered {
    async fn write(&self, records: Records) -> Result<(), WriteError> {
        let began = Instant::now();
        match self.inner.write(records.clone()).await {
            Ok(()) => {
                self.durable(&records, began);
                Ok(())
            }
            Err(error) => {
                if let WriteError::Some(failed) = &error {
                    self.written.add((records.len() - failed.len()) as u64);
                }
                self.errors.add(1);
                Err(error)
            }
        }
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
