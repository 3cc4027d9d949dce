//! Typed connectors for authors, erased factories for the host, and the bridge between.
//!
//! An author implements [`SourceConnector`], [`SinkConnector`] or [`TransformConnector`] with a config type of their
//! own. [`source`], [`sink`] and [`transform`] erase that type into the factories that the host's registry holds; a
//! loaded plugin gives the host the same factories, so nothing above knows whether a connector was linked in or loaded.
//! [`store`](fn@store) does the same for a [`StoreConnector`], a place where checkpoints are kept.

mod store;
mod typed;

pub use store::{StoreConnector, StoreFactory, store};

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::checkpoint::Checkpoint;
use crate::config::Problem;
use crate::context::Context;
use crate::error::{Error, ErrorKind};
use crate::place::Place;
use crate::position::{Position, To};
use crate::record::Origin;
use crate::sink::Sink;
use crate::source::{Source, Start};
use crate::transform::Transform;
use typed::Typed;

/// A kind of source. A value, so that it may share what all its sources use.
#[async_trait]
pub trait SourceConnector: Send + Sync + 'static {
    /// The name in YAML.
    const NAME: &'static str;
    /// The `config:` block.
    type Config: DeserializeOwned + JsonSchema + Send + Sync;

    /// Problems that the types cannot express, found without the network.
    fn check(&self, _config: &Self::Config) -> Vec<Problem> {
        Vec::new()
    }

    /// Opens a source that goes on after `resume`; partitions it does not name begin where the configuration says.
    async fn open(
        &self,
        config: Self::Config,
        resume: Checkpoint,
        context: Context,
    ) -> Result<Box<dyn Source>, Error>;

    /// Removes the records of these origins from the far side, as far as it can; how many. For dead letters that were
    /// delivered after all.
    async fn purge(
        &self,
        _config: Self::Config,
        _origins: Vec<Origin>,
        _context: Context,
    ) -> Result<usize, Error> {
        Err(cannot_purge(Self::NAME))
    }

    /// What a checkpoint of this connector says, for the operator; no network.
    ///
    /// # Errors
    /// It is damaged, or of another version.
    fn position(&self, checkpoint: &Checkpoint) -> Result<Position, Error> {
        Ok(Position::of(checkpoint))
    }

    /// Where a source without a checkpoint would begin if it began there, whatever the configuration says: its whole
    /// checkpoint. Nothing is read.
    async fn seek(&self, _config: Self::Config, _to: To, _context: Context) -> Result<Start, Error> {
        Err(cannot_seek(Self::NAME))
    }
}

/// A kind of sink. A value, so that it may share what all its sinks use.
#[async_trait]
pub trait SinkConnector: Send + Sync + 'static {
    /// The name in YAML.
    const NAME: &'static str;
    /// The `config:` block.
    type Config: DeserializeOwned + JsonSchema + Send + Sync;

    /// Problems that the types cannot express, found without the network.
    fn check(&self, _config: &Self::Config) -> Vec<Problem> {
        Vec::new()
    }

    /// Opens a sink that is ready to be written to.
    async fn open(&self, config: Self::Config, context: Context) -> Result<Arc<dyn Sink>, Error>;

    /// The place that the configuration names and that a rebuild can fill anew; `None` where there is nothing of the
    /// kind. Only a sink that [converges](crate::Order::Converges) has one.
    fn place(&self, _config: &Self::Config) -> Option<Place> {
        None
    }

    /// Finds or makes an empty place beside the one that the configuration names, like it, for a rebuild: of this name,
    /// or of one that tells of the other. Its name.
    ///
    /// # Errors
    /// `Config` when something is in it, or when it is the configured one.
    async fn beside(
        &self,
        _config: Self::Config,
        _name: Option<String>,
        _context: Context,
    ) -> Result<String, Error> {
        Err(cannot_rebuild(Self::NAME))
    }

    /// Empties the place that the configuration names, for good.
    async fn empty(&self, _config: Self::Config, _context: Context) -> Result<(), Error> {
        Err(cannot_rebuild(Self::NAME))
    }
}

/// A kind of transform. It is pure, so building one takes no network and no waiting.
pub trait TransformConnector: Send + Sync + 'static {
    /// The name in YAML.
    const NAME: &'static str;
    /// The `config:` block.
    type Config: DeserializeOwned + JsonSchema;

    /// Problems that the types cannot express.
    fn check(&self, _config: &Self::Config) -> Vec<Problem> {
        Vec::new()
    }

    /// Builds a transform.
    ///
    /// # Errors
    /// The configuration does not make one; [`check`](Self::check) told the problems before.
    fn build(&self, config: Self::Config) -> Result<Arc<dyn Transform>, Error>;
}

/// A source connector as the host holds it.
#[async_trait]
pub trait SourceFactory: Send + Sync {
    /// The name in YAML.
    fn name(&self) -> &str;
    /// The JSON Schema of the `config:` block.
    fn config_schema(&self) -> Value;
    /// Every problem of a `config:` block, with pointers relative to it; no network.
    fn check(&self, config: &Value) -> Vec<Problem>;
    /// Reads the block and opens a source after `resume`.
    async fn open(
        &self,
        config: Value,
        resume: Checkpoint,
        context: Context,
    ) -> Result<Box<dyn Source>, Error>;
    /// Reads the block and removes the records of these origins, as far as the far side can; how many.
    async fn purge(&self, _config: Value, _origins: Vec<Origin>, _context: Context) -> Result<usize, Error> {
        Err(cannot_purge(self.name()))
    }
    /// What a checkpoint says, for the operator; no network.
    ///
    /// # Errors
    /// It is damaged, or of another version.
    fn position(&self, checkpoint: &Checkpoint) -> Result<Position, Error> {
        Ok(Position::of(checkpoint))
    }
    /// Reads the block and finds out where a source would begin there: its whole checkpoint.
    async fn seek(&self, _config: Value, _to: To, _context: Context) -> Result<Start, Error> {
        Err(cannot_seek(self.name()))
    }
}

fn cannot_seek(name: &str) -> Error {
    let message = format!("`{name}` cannot be sent there");
    Error::new(ErrorKind::Config, message)
        .advice("give the pipeline or the sink another name, which begins where its source's `start` says")
}

fn cannot_purge(name: &str) -> Error {
    let message = format!("`{name}` can remove no records");
    Error::new(ErrorKind::Config, message).advice("remove them at the far side itself")
}

fn cannot_rebuild(name: &str) -> Error {
    let message = format!("a sink of the kind `{name}` cannot be rebuilt");
    Error::new(ErrorKind::Config, message)
        .advice("only what converges can, such as a projection; elsewhere `weir offsets reset` sends records once more")
}

/// A sink connector as the host holds it.
#[async_trait]
pub trait SinkFactory: Send + Sync {
    /// The name in YAML.
    fn name(&self) -> &str;
    /// The JSON Schema of the `config:` block.
    fn config_schema(&self) -> Value;
    /// Every problem of a `config:` block, with pointers relative to it; no network.
    fn check(&self, config: &Value) -> Vec<Problem>;
    /// Reads the block and opens a sink.
    async fn open(&self, config: Value, context: Context) -> Result<Arc<dyn Sink>, Error>;
    /// The place that the block names and that a rebuild can fill anew.
    ///
    /// # Errors
    /// `Config` when this kind of sink has none, or when the block cannot be read.
    fn place(&self, _config: &Value) -> Result<Place, Error> {
        Err(cannot_rebuild(self.name()))
    }
    /// Reads the block and finds or makes an empty place beside the one that it names; its name.
    async fn beside(
        &self,
        _config: Value,
        _name: Option<String>,
        _context: Context,
    ) -> Result<String, Error> {
        Err(cannot_rebuild(self.name()))
    }
    /// Reads the block and empties the place that it names, for good.
    async fn empty(&self, _config: Value, _context: Context) -> Result<(), Error> {
        Err(cannot_rebuild(self.name()))
    }
}

/// A transform connector as the host holds it.
pub trait TransformFactory: Send + Sync {
    /// The name in YAML.
    fn name(&self) -> &str;
    /// The JSON Schema of the `config:` block.
    fn config_schema(&self) -> Value;
    /// Every problem of a `config:` block, with pointers relative to it.
    fn check(&self, config: &Value) -> Vec<Problem>;
    /// Reads the block and builds a transform.
    ///
    /// # Errors
    /// What [`check`](Self::check) finds.
    fn build(&self, config: &Value) -> Result<Arc<dyn Transform>, Error>;
}

/// Erases the type of a source connector.
pub fn source<C: SourceConnector>(connector: C) -> Arc<dyn SourceFactory> {
    Arc::new(Typed(connector))
}

/// Erases the type of a sink connector.
pub fn sink<C: SinkConnector>(connector: C) -> Arc<dyn SinkFactory> {
    Arc::new(Typed(connector))
}

/// Erases the type of a transform connector.
pub fn transform<C: TransformConnector>(connector: C) -> Arc<dyn TransformFactory> {
    Arc::new(Typed(connector))
}
