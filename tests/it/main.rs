//! The program as its users meet it: real processes, real sockets, counted at the destination.
#![allow(clippy::disallowed_methods, reason = "these tests watch other processes, in real time")]
#![allow(clippy::unwrap_used, reason = "a test panics when something is not as it must be")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test says what it ran against")]

mod causes;
mod changes;
mod checkpoint;
mod dev;
mod dlq;
mod environment;
mod faults;
mod fulfilment;
mod generator;
mod harness;
mod late;
mod offsets;
mod operate;
mod outbox;
mod outside;
mod projections;
mod rebuild;
mod tidy;
mod transforms;
mod validate;
