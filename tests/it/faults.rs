//! The bad days, each provoked with real processes and sockets, and each a row of `docs/fault-matrix.md`.

mod access;
mod broker;
mod clock;
mod database;
mod housekeeping;
mod kafka;
mod machine;
mod poison;
mod projections;
mod rebuild;
mod scale;
mod sinks;
mod snapshot;
mod streams;
mod takeover;
mod writers;
