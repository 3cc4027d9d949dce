//! All that knows ScyllaDB: the session, the CDC reader and the scylla-outbox source.
//!
//! An application writes its rows and, in the same logged batch, an event row into an outbox table with CDC enabled.
//! ScyllaDB's CDC log then holds every event once, by write time, in *streams*. The [`reader`] reads the log up to
//! shortly before now, looks again later at what it has read, because a row may become visible late, and hands on
//! each row once together with a checkpoint that says so. The [`outbox`] source makes records of them.
//!
//! Reading order:
//! * [`session`]: the `session` block, and what the driver's errors mean
//! * [`reader`]: streams, windows, visits, and the position that survives a restart
//! * [`outbox`]: which rows are events, and what they look like as records
#![forbid(unsafe_code)]

pub mod outbox;
pub mod reader;
pub mod session;

use std::sync::Arc;

use weir_sdk::SourceFactory;

/// The sources of this crate, for the host's list.
pub fn sources() -> Vec<Arc<dyn SourceFactory>> {
    vec![weir_sdk::connector::source(outbox::Outbox)]
}
