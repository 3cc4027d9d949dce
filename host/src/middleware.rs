//! What stands in front of every sink, and in which order.
//!
//! Each layer is a [`Sink`] that owns a [`Sink`], one file each; there is one kind of request and one kind of answer,
//! so no general service abstraction is needed. Outermost first:
//!
//! 1. [`metered`]: counts and times what the task sees, retries and waits included.
//! 2. [`rate_limit`], where one is set: spreads records evenly over time. It is outside of retry, which has a budget.
//! 3. [`retry`]: sends again what may be sent again, only the records that need it, and finds the poison in a batch
//!    that is refused as a whole.
//! 4. [`circuit_breaker`]: holds writes back while the far side does not work. It is inside of retry, so that every
//!    attempt counts; retry asks it whether it is closed before it uses up anything.
//! 5. [`timeout`]: bounds one attempt.
//!
//! The stack answers for each record: durable, or refused for good with the reason. What a kind of error means stands
//! in [`policy`] alone.
//!
//! There is no layer that limits what is in flight, because two bounds stand around the stack already: a lane has one
//! write in flight, so a sink sees at most as many as there are lanes, and the task's [budget](crate::task::budget)
//! bounds what is read and not settled in records and bytes, from the source on, where a layer would come too late.

pub mod circuit_breaker;
pub mod metered;
pub mod parking;
pub mod policy;
pub mod rate_limit;
pub mod retry;
pub mod timeout;

use std::sync::Arc;
use std::time::Duration;

use weir_sdk::Sink;
use weir_sdk::metrics::Metrics;

use circuit_breaker::CircuitBreaker;
use metered::Metered;
use parking::Parking;
use rate_limit::RateLimit;
use retry::Retry;
use timeout::Timeout;

/// The settings of every layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How failed writes are sent again.
    pub retry: retry::Settings,
    /// When writes are held back.
    pub circuit_breaker: circuit_breaker::Settings,
    /// How much may be sent in a second.
    pub rate_limit: Option<rate_limit::Settings>,
    /// The deadline of one attempt.
    pub timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            retry: retry::Settings::default(),
            circuit_breaker: circuit_breaker::Settings::default(),
            rate_limit: None,
            timeout: Duration::from_secs(10),
        }
    }
}

/// Puts every layer in front of `sink`.
pub fn stack(sink: Arc<dyn Sink>, settings: &Settings, metrics: &Metrics, parking: Parking) -> Arc<dyn Sink> {
    let sink = Arc::new(Timeout::new(sink, settings.timeout));
    let sink = Arc::new(CircuitBreaker::new(sink, settings.circuit_breaker.clone(), metrics, parking));
    let mut sink: Arc<dyn Sink> = Arc::new(Retry::new(sink, settings.retry.clone(), metrics));
    if let Some(limit) = settings.rate_limit.clone() {
        sink = Arc::new(RateLimit::new(sink, limit));
    }
    Arc::new(Metered::new(sink, metrics))
}
