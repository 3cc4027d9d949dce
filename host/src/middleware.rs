//! What stands in front of every sink, and in which order.
//!
//! Each layer is a [`Sink`] that owns a [`Sink`], one file each; there is one kind of request and one kind of answer,
//! so no general service abstraction is needed. Outermost first:
//!
//! 1. [`metered`]: counts and times what the task sees, retries and waits included.
//! 2. [`retry`]: sends again what may be sent again, only the records that need it, and waits while the far side is
//!    down. It is outside the timeout, so that every attempt has a deadline of its own.
//! 3. [`timeout`]: bounds one attempt.
//!
//! The stack answers for each record: durable, or refused for good with the reason. What a kind of error means stands
//! in [`policy`] alone.

pub mod metered;
pub mod parking;
pub mod policy;
pub mod retry;
pub mod timeout;

use std::sync::Arc;
use std::time::Duration;

use weir_sdk::Sink;
use weir_sdk::metrics::Metrics;

use metered::Metered;
use parking::Parking;
use retry::Retry;
use timeout::Timeout;

/// The settings of every layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How failed writes are sent again.
    pub retry: retry::Settings,
    /// The deadline of one attempt.
    pub timeout: Duration,
}

/// Puts every layer in front of `sink`.
pub fn stack(sink: Arc<dyn Sink>, settings: &Settings, metrics: &Metrics, parking: Parking) -> Arc<dyn Sink> {
    let sink = Arc::new(Timeout::new(sink, settings.timeout));
    let sink = Arc::new(Retry::new(sink, settings.retry.clone(), metrics, parking));
    Arc::new(Metered::new(sink, metrics))
}
