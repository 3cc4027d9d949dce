//! The battery that every connector passes: what a source and a sink promise, checked from outside.
//!
//! A connector's test implements a fixture, which knows the connector's far side: how to open the connector, how to
//! read back what arrived, how to disturb it. Then one line runs every check:
//!
//! ```text
//! contract::sink(&fixture).await;
//! contract::source(&fixture).await;
//! contract::sink_factory(&*factory, &good_config);
//! contract::checkpoint_store(async || open_it_again().await).await;
//! ```
//!
//! All checks run, and what was violated is reported at once. What a fixture cannot do is skipped, and the [`Report`]
//! says so: assert on it, so that a check is never lost by accident. Fixtures over real sockets must run on the real
//! clock; those in memory may pause it.

mod battery;
mod factory;
mod sink;
mod source;
mod store;

pub use battery::{Disturbance, Report};
pub use factory::{sink_factory, source_factory};
pub use sink::{SinkFixture, sink};
pub use source::{SourceFixture, source};
pub use store::checkpoint_store;
