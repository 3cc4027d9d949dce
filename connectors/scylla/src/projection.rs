//! `scylla-projection`: a table kept equal to the last word on each key.
//!
//! Each type of event is mapped to one row of the table: written, changed, taken away, or moved (taken away in one
//! place and written in another). Every write carries a time of its own, that of the event at its source, so any order
//! and any repeats end in the same table: a replay repairs, and never steps back.
//!
//! A delete takes what was written *before* its event: its time is that of the event less one microsecond. ScyllaDB
//! lets a delete win over a write of the same time, so without that an event that moves a row onto its own place would
//! lose it. The event store makes times strictly increase per aggregate, so nothing lies between.
//!
//! * [`config`]: the block in YAML; [`expression`]: where a column's value comes from
//! * [`table`]: the table as the schema tells it; [`plan`]: the block against the table, every problem at once
//! * [`value`]: text and JSON as values of a column; [`row`]: an event as the values of its statements
//! * [`sink`]: writes them; [`place`]: the table beside the table that a rebuild fills, and one emptied
pub mod config;
pub mod expression;
pub mod place;
pub mod plan;
pub mod row;
pub mod sink;
pub mod table;
pub mod value;

pub use config::ProjectionConfig;
pub use sink::Projection;
