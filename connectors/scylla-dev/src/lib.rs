//! An in-process ScyllaDB for demonstrations and tests: CQL v4 over TCP with a CDC log.
//!
//! [`ScyllaDev`] starts and stops it, [`Faults`] makes it misbehave, [`Clock`] moves its time. Inside, in the order in
//! which a statement passes: `wire` reads it off a connection, `statements` makes a plan of it, `execute` runs the plan
//! over `storage`, which keeps packed rows (`mutation`) under keys (`schema`) made of serialized values (`value`), and
//! has `cdc` say what the log records of each write. `system` writes the server's own tables.
#![forbid(unsafe_code)]
#![expect(unreachable_pub, reason = "the modules are private; `pub` is what each shows the others")]

mod cdc;
mod clock;
pub mod error;
mod execute;
pub mod faults;
mod mutation;
mod outcome;
mod schema;
mod server;
mod statements;
mod storage;
mod system;
mod value;
mod wire;

pub use clock::Clock;
pub use faults::{Asked, Failure, Faults};
pub use server::{Builder, ScyllaDev};
