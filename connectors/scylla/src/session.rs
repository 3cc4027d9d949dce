//! The `session` block wherever ScyllaDB is named, how a session is opened, and what the driver's errors mean.
//!
//! * [`config`]: the block as it stands in YAML
//! * [`connect`](mod@connect): from the block to a session; the driver retries nothing, because the host owns retries
//! * [`errors`]: every error of the driver as a kind that decides what happens next, with advice
//! * `page`: the rows of an answer, walked once
//! * `schema`, `own_table`, `rows`: what connectors of one table share, looking it up, checking and writing it

pub mod config;
pub mod connect;
pub mod errors;
pub(crate) mod own_table;
pub(crate) mod page;
pub(crate) mod rows;
pub(crate) mod schema;

pub use config::SessionConfig;
pub use connect::connect;
