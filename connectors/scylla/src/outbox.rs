//! The `scylla-outbox` source: the rows that an application puts into an outbox table, as records.
//!
//! * [`config`]: the block in YAML, [`mapping`]: its columns against those of the table
//! * [`record`]: which rows are events, and what they look like as records; [`text`]: values as text
//! * [`source`]: the connector; `seek`: where one would begin at a time
//! * [`housekeeping`]: what becomes of rows that every consumer has passed, and of those that one has not

pub mod config;
pub mod housekeeping;
pub mod mapping;
pub mod record;
mod seek;
pub mod source;
pub mod text;

pub use config::OutboxConfig;
pub use source::Outbox;
