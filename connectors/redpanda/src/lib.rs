//! All that knows the Kafka protocol: the redpanda sink and the redpanda source.
//!
//! One sink has one producer at a time, librdkafka's, shared by its lanes. A write hands its records to the producer,
//! waits for their delivery reports, and answers. In reading order:
//!
//! * [`config`]: what a pipeline file may say; [`settings`] turns it into librdkafka's words, [`extra`] are those
//!   that pass unchanged;
//! * [`sink`]: opening, probing, closing, and which producer is the current one; [`write`](mod@write): one write;
//! * [`topic`], [`message`], [`creation`]: where a record goes, what it becomes, topics made on first use;
//! * [`producer`]: librdkafka with its callbacks, on top of [`polled`] (the thread that calls them), [`tickets`] (which
//!   report belongs to which write), [`room`] (how much may be on its way) and [`far_side`] (is anybody there?);
//! * [`pending`]: records whose write was given up, and which a retry joins;
//! * [`errors`]: what each of librdkafka's errors means;
//! * [`source`]: the other direction, with its own front page.
//!
//! # Why a retry joins instead of producing again
//! librdkafka can give up on a record after a time, but then later records overtake it, and it can purge, but then
//! records that were already on their way arrive twice. So here nothing is ever given up: a record that was handed
//! over stays until the broker has answered, over any outage, in its place. What is given up is the waiting. When the
//! host drops a write, or is told that the broker is unavailable, the records remain pending, and the retry of the same
//! records waits for the reports of the first attempt.
//!
//! # Why an error ends the producer
//! A message set that the broker refuses for good takes innocent neighbours with it, while later records are already
//! in the queue. `enable.gapless.guarantee` makes librdkafka stop right there instead of letting those overtake. The
//! next write drains what is left, begins a new producer, and sends again from the oldest failure.
#![forbid(unsafe_code)]

mod config;
mod creation;
mod errors;
mod extra;
mod far_side;
mod message;
mod pending;
mod polled;
mod producer;
mod room;
mod settings;
mod sink;
mod source;
mod tickets;
mod topic;
mod write;

use std::sync::Arc;

use weir_sdk::{SinkFactory, SourceFactory};

pub use config::RedpandaConfig;
pub use sink::RedpandaSinkConnector;
pub use source::RedpandaSourceConnector;
pub use source::config::RedpandaSourceConfig;

/// The sinks of this crate, for the list of built-in connectors.
pub fn sinks() -> Vec<Arc<dyn SinkFactory>> {
    vec![weir_sdk::connector::sink(RedpandaSinkConnector)]
}

/// The sources of this crate, for the list of built-in connectors.
pub fn sources() -> Vec<Arc<dyn SourceFactory>> {
    vec![weir_sdk::connector::source(RedpandaSourceConnector)]
}
