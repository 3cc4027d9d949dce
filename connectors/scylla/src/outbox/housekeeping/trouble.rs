//! What fails beside the reader: told for as long as it fails, and tried again.

use std::time::Duration;

use weir_sdk::{Backoff, Conditions, Degraded, Error};

/// The trouble that one has, or none.
pub struct Trouble {
    conditions: Conditions,
    backoff: Backoff,
    /// Held while there is any.
    degraded: Option<Degraded>,
}

impl Trouble {
    /// None yet; it is told to these conditions.
    pub fn new(conditions: Conditions) -> Self {
        let backoff = Backoff::new(Duration::from_millis(500), 2.0, Duration::from_secs(60));
        Self { conditions, backoff, degraded: None }
    }

    /// It is over.
    pub fn over(&mut self) {
        if self.degraded.take().is_some() {
            self.backoff.reset();
        }
    }

    /// Something failed; waits until it is worth another try.
    pub async fn wait(&mut self, error: &Error) {
        let advice = error.operator_advice().map(|advice| format!(" ({advice})")).unwrap_or_default();
        let reason = format!("housekeeping fails and is tried again: {error}{advice}");
        self.degraded = Some(self.conditions.degraded(reason));
        tokio::time::sleep(self.backoff.next().unwrap_or_default()).await;
    }
}
