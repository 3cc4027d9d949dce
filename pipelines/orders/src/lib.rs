//! The orders example: commands, events and rules, written through the event store.
//!
//! In reading order:
//! * [`Order`] decides on an [`OrderCommand`] by the rules and answers with an [`OrderEvent`], or a [`Refusal`];
//! * [`CommandHandler`](weir_event_store::CommandHandler) carries a command out, over a store on the tables of
//!   [`SCHEMA`];
//! * [`Load`] places orders and takes them through their life, for demonstrations and tests;
//! * [`Fulfilment`] is the saga between an order, its [`Payment`] and the [`Stock`] of its products; [`Fulfil`] lets it
//!   hear their events;
//! * [`PUBLISHER`], [`PROJECTIONS`] and [`FULFILMENT`] are the pipelines that carry the events on.
#![forbid(unsafe_code)]

mod command;
mod event;
mod fulfilment;
mod load;
mod order;
mod payment;
mod status;
mod stock;
mod tagged;

use std::num::NonZeroU32;
use std::sync::Arc;

use scylla::client::session::Session;
use weir_event_store::{Error, Options, schema};
use weir_sdk::{SinkFactory, connector};

pub use command::{Item, OrderCommand};
pub use event::{About, Cancelled, Change, Confirmed, Delivered, EVENT_TYPES, Items, OrderEvent, Shipped};
pub use fulfilment::{Fulfil, FulfilConfig, Fulfilment, FulfilmentStep, Heard, Shop};
pub use load::script::{Script, script};
pub use load::{Load, LoadOptions, Written};
pub use order::{Order, Refusal};
pub use payment::{Payment, PaymentCommand, PaymentEvent, PaymentRefusal};
pub use status::Status;
pub use stock::{Stock, StockCommand, StockEvent};

/// The keyspace that [`SCHEMA`] makes.
pub const KEYSPACE: &str = "orders_ks";

/// The tables, as CQL.
pub const SCHEMA: &str = include_str!("../schema.cql");

/// The pipeline that publishes the outbox, as YAML.
pub const PUBLISHER: &str = include_str!("../publisher.yaml");

/// The pipeline that keeps the tables which the application reads, as YAML.
pub const PROJECTIONS: &str = include_str!("../projections.yaml");

/// The pipeline that lets the saga hear the events, as YAML.
pub const FULFILMENT: &str = include_str!("../fulfilment.yaml");

/// How many events lie between two snapshots. An order's life is short; the histories that this is for are those of
/// products, and of orders that change again and again.
const SNAPSHOT_EVERY: NonZeroU32 = NonZeroU32::new(100).expect("100 is not 0");

/// The sinks of this crate, for the host's list.
pub fn sinks() -> Vec<Arc<dyn SinkFactory>> {
    vec![connector::sink(Fulfil)]
}

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
