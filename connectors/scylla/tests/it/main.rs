//! The sources of logs, dead letters and checkpoints over real sockets, against the in-process ScyllaDB and its faults.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helper functions too")]

mod beside;
mod change;
mod change_joins;
mod checkpoint;
mod clock;
mod contract;
mod dead_letter;
mod everything;
mod gap;
mod housekeeping;
mod late;
mod ordered;
mod place;
mod projection;
mod reads;
mod refusals;
mod rejoins;
mod resumes;
mod seats;
mod sessions;
mod snapshot;
mod topology;
mod troubles;
mod visits;
