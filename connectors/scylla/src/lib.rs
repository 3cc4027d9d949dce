//! All that knows ScyllaDB: the session, the CDC reader and its two sources, projections and dead letters in tables.
//!
//! An application writes its rows and, in the same logged batch, an event row into an outbox table with CDC enabled.
//! ScyllaDB's CDC log then holds every event once, by write time, in *streams*. The [`reader`] reads the log up to
//! shortly before now, looks again later at what it has read, because a row may become visible late, and hands on
//! each row once together with a checkpoint that says so. The [`outbox`] source makes records of them.
//!
//! Reading order:
//! * [`session`]: the `session` block, and what the driver's errors mean
//! * [`reader`]: streams, windows, visits, and the position that survives a restart
//! * [`hub`]: one session for all that a process does on a cluster; several sources that read one table and ask once
//! * [`snapshot`]: the rows that a table holds, before its log
//! * [`outbox`]: which rows are events, and what they look like as records
//! * [`change`]: every change of a table, with its images
//! * [`projection`]: events as rows of a table that is kept equal to the last word on each key
//! * [`dead_letter`]: dead letters in a table, both ways
//! * [`checkpoint`]: checkpoints in a table, where a newer host takes over from an older one
#![forbid(unsafe_code)]

pub mod change;
pub mod checkpoint;
pub mod dead_letter;
pub mod hub;
pub mod outbox;
pub mod projection;
pub mod reader;
pub mod session;
pub mod snapshot;

use std::sync::Arc;

use hub::Hub;
use reader::open::Logs;
use weir_sdk::{SinkFactory, SourceFactory, StoreFactory, connector};

/// The sources of this crate, for the host's list. All that is over one hub shares its sessions.
pub fn sources(hub: &Hub) -> Vec<Arc<dyn SourceFactory>> {
    vec![
        connector::source(outbox::Outbox::of(Logs::default().over(hub.clone()))),
        connector::source(change::Changes::of(Logs::default().over(hub.clone()))),
        connector::source(dead_letter::DeadLetterSource::over(hub.clone())),
    ]
}

/// The sinks of this crate, for the host's list.
pub fn sinks(hub: &Hub) -> Vec<Arc<dyn SinkFactory>> {
    vec![
        connector::sink(dead_letter::DeadLetterSink::over(hub.clone())),
        connector::sink(projection::Projection::over(hub.clone())),
    ]
}

/// The checkpoint stores of this crate, for the host's list.
pub fn stores(hub: &Hub) -> Vec<Arc<dyn StoreFactory>> {
    vec![connector::store(checkpoint::ScyllaCheckpoints::over(hub.clone()))]
}
