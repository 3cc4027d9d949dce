//! `checkpoint: { store: scylla }`: checkpoints in a table, where a newer host takes tasks over from an older one.
//!
//! A task is a partition of the table. Its static columns say of which source it is and who has it; each of its rows, a
//! *slot*, holds the offset of one partition of the source. Every write is conditional on who has the task (LWT), so a
//! host whose task was taken over can write nothing any more, however late its writes arrive: it is *fenced*. A save is
//! one conditional batch, so all of it counts or nothing.
//!
//! Why slots, and not a row for each partition by name? The CDC reader opens and retires some partitions a second. Rows
//! that are deleted leave tombstones for `gc_grace_seconds`, ten days by default, and a start would read millions of
//! them. A slot is used again, so there are never more rows than there were partitions at one time.
//!
//! * [`config`]: the block in YAML; [`table`]: the columns, and what is wrong with a table
//! * [`slots`]: which partition is in which row; pure
//! * [`statements`]: what is asked of the table, and its answers
//! * [`store`]: claims, loads and saves

pub mod config;
pub mod slots;
pub mod statements;
pub mod store;
pub mod table;

pub use config::CheckpointConfig;
pub use store::ScyllaCheckpoints;
