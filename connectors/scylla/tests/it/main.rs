//! The outbox source over real sockets, against the in-process ScyllaDB and its faults.
#![forbid(unsafe_code)]

mod contract;
mod late;
mod place;
mod reads;
mod refusals;
mod resumes;
mod troubles;
