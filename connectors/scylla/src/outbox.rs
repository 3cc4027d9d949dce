//! The `scylla-outbox` source: the rows that an application puts into an outbox table, as records.
//!
//! * [`config`]: the block in YAML, [`mapping`]: its columns against those of the table
//! * [`record`]: which rows are events, and what they look like as records; [`text`]: values as text
//! * [`begin`]: where reading begins; [`source`]: the connector
//! * [`housekeeping`]: what becomes of rows that every consumer has passed, and of those that one has not
//! * `seek`: what a checkpoint says to the operator, and where one would begin at a time

pub mod begin;
pub mod config;
pub mod housekeeping;
pub mod mapping;
pub mod record;
pub(crate) mod seek;
pub mod source;
pub mod text;

pub use config::OutboxConfig;
pub use source::Outbox;
