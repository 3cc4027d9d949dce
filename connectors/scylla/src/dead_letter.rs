//! `scylla-dead-letter`: dead letters in a table with a column for each fact, so that a query finds them.
//!
//! A row is written with the time of its failure and removed with the time it was written, so repeats and late writes
//! end in the same state whatever came first, and removing a dead letter never hides one that failed again since.
//!
//! * [`config`]: the block in YAML; [`table`]: the columns, and what is wrong with a table
//! * [`row`]: a dead letter as values of a row, and back
//! * [`sink`]: writes them; [`source`]: gives all of them back, range by range of the ring, and removes some

pub mod config;
pub mod row;
pub mod sink;
pub mod source;
pub mod table;

pub use config::DeadLetterConfig;
pub use sink::DeadLetterSink;
pub use source::DeadLetterSource;
