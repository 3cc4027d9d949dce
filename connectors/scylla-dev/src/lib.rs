//! An in-process ScyllaDB for demonstrations and tests: CQL v4 over TCP with a CDC log.
#![forbid(unsafe_code)]

pub mod cdc;
pub mod clock;
pub mod error;
pub mod execute;
pub mod faults;
pub mod mutation;
pub mod outcome;
pub mod schema;
pub mod server;
pub mod statements;
pub mod storage;
pub mod system;
pub mod value;
mod wire;

pub use clock::Clock;
pub use faults::{Failure, Faults};
pub use server::{Builder, ScyllaDev};
