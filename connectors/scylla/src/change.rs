//! The `scylla-cdc` source: every change of a table that has a CDC log, as records.
//!
//! It reads the log as the [`outbox`](crate::outbox) source does, late rows and all, and differs in what it makes of the
//! rows: not only inserts count, and a record is made of several rows of the log. What was done to a row is one, and
//! where the table keeps images, how it was before and how it is after are two more.
//!
//! * [`config`]: the block in YAML
//! * [`columns`]: which column of an answer is what; [`value`]: a value as JSON
//! * [`piece`]: a row of the log as pieces of JSON; [`join`]: the rows of one change as records
//! * [`envelope`]: what a record says, in either format
//! * [`source`]: the connector

pub mod columns;
pub mod config;
pub mod envelope;
pub mod join;
pub mod piece;
pub mod source;
pub mod value;

pub use config::ChangeConfig;
pub use source::Changes;
