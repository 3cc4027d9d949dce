//! The redpanda sink and source over TCP, against the embedded broker and librdkafka's mock cluster.
#![expect(clippy::print_stdout, reason = "a test says which brokers it used")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helper functions too")]

mod chaos;
mod contract;
mod delivery;
mod far_side;
mod injected;
mod outages;
mod real;
mod refusals;
mod source;
