//! The event store against a server over TCP: real Cassandra or ScyllaDB where `SCYLLA_NODES` names one, otherwise
//! the in-process development server.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helper functions too")]
#![expect(clippy::print_stdout, reason = "which server a test used is part of its output")]

#[expect(dead_code, reason = "its `main` is for `cargo run`")]
#[path = "../../examples/account.rs"]
mod account;
mod appends;
mod commands;
mod counter;
mod faults;
mod guide;
mod history;
mod place;
mod proxy;
mod recovery;
