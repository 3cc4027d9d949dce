//! What a Weir connector is: records in, records out, an honest error in between.
//!
//! A *source* is polled for [`Batch`]es: [`Records`] together with the [`Checkpoint`] that covers them. A *sink* is
//! given records and answers [`Ok`] only when they are durable. The host stands between: it retries, waits, buries dead
//! letters and saves checkpoints, the same way for every connector, so a connector has none of that.
//!
//! Reading order:
//! * [`record`]: [`Record`], [`Records`], [`Headers`], where a record came from
//! * [`checkpoint`]: [`Checkpoint`], [`Batch`], and what "covers" means
//! * [`source`], [`sink`], [`transform`]: the three traits
//! * [`error`]: [`Error`] and [`ErrorKind`], which alone decides what the host does next
//! * [`dead_letter`]: a failed record with its reason, as a record again and back
//! * [`json`]: places in a JSON payload, for transforms and sinks that look into it
//! * [`connector`]: typed connectors for authors, erased factories for the host
//! * [`config`]: reading typed configuration with every problem reported at once
//! * [`position`]: what a checkpoint says to the operator, and where a task may be sent; [`place`]: what a rebuild fills anew
//! * [`store`], [`context`], [`conditions`], [`metrics`], [`backoff`]: what the host lends and what it needs
//! * `testing` (feature of that name): memory, faults on a script, and the contract battery that every connector passes
#![forbid(unsafe_code)]

pub mod backoff;
pub mod checkpoint;
pub mod conditions;
pub mod config;
pub mod connector;
pub mod context;
pub mod dead_letter;
pub mod error;
pub mod json;
pub mod metrics;
pub mod place;
pub mod position;
pub mod record;
pub mod sink;
pub mod source;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transform;

pub use async_trait::async_trait;
pub use backoff::Backoff;
pub use checkpoint::{Batch, Checkpoint, Offset, Partition};
pub use conditions::{Conditions, Degraded};
pub use connector::{
    SinkConnector, SinkFactory, SourceConnector, SourceFactory, StoreConnector, StoreFactory,
    TransformConnector, TransformFactory,
};
pub use context::Context;
pub use dead_letter::DeadLetter;
pub use error::{Error, ErrorKind, Failed, WriteError};
pub use place::Place;
pub use position::{Position, To};
pub use record::{Header, HeaderName, Headers, Origin, Packer, Packing, Record, Records, Timestamp};
pub use sink::{Order, Sink};
pub use source::{Commits, Refused, Room, Source, Start};
pub use store::{CheckpointStore, TaskId};
pub use transform::Transform;
