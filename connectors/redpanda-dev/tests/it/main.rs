//! The embedded broker as its users meet it: librdkafka over TCP.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helper functions too")]

mod clients;
mod fetching;
mod groups;
mod outages;
mod topics;
