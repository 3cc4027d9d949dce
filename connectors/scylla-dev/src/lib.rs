//! An in-process ScyllaDB for demonstrations and tests: CQL v4 over TCP with a CDC log.
#![forbid(unsafe_code)]

pub mod cdc;
pub mod clock;
pub mod error;
pub mod execute;
pub mod mutation;
pub mod outcome;
pub mod schema;
pub mod statements;
pub mod storage;
pub mod system;
pub mod value;
