//! The orders example: commands, events and rules of one aggregate, written through the event store.
//!
//! In reading order:
//! * [`Order`] decides on an [`OrderCommand`] by the rules and answers with an [`OrderEvent`], or a [`Refusal`];
//! * [`CommandHandler`](weir_event_store::CommandHandler) carries a command out, over a store on the tables of
//!   [`SCHEMA`];
//! * [`Load`] places orders and takes them through their life, for demonstrations and tests;
//! * [`PUBLISHER`] is the pipeline that carries the events on.
#![forbid(unsafe_code)]

mod command;
mod event;
mod load;
mod order;
mod status;

use scylla::client::session::Session;
use weir_event_store::{Error, Options, schema};

pub use command::{Item, OrderCommand};
pub use event::{About, Cancelled, Change, Confirmed, Delivered, EVENT_TYPES, Items, OrderEvent, Shipped};
pub use load::script::{Script, script};
pub use load::{Load, LoadOptions, Written};
pub use order::{Order, Refusal};
pub use status::Status;

/// The keyspace that [`SCHEMA`] makes.
pub const KEYSPACE: &str = "orders_ks";

/// The tables, as CQL.
pub const SCHEMA: &str = include_str!("../schema.cql");

/// The pipeline that publishes the outbox, as YAML.
pub const PUBLISHER: &str = include_str!("../publisher.yaml");

/// Makes the keyspace and the tables that are not there yet.
///
/// # Errors
/// When the database refuses a statement.
pub async fn lay_schema(session: &Session) -> Result<(), Error> {
    schema::lay(session, SCHEMA).await
}

/// How an event store is opened on [`SCHEMA`].
#[must_use]
pub fn store_options() -> Options {
    Options::new(KEYSPACE)
}
