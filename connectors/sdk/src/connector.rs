//! Typed connectors for authors, erased factories for the host, and the bridge between.
//!
//! An author implements [`SourceConnector`] or [`SinkConnector`] with a config type of their own. [`source`] and
//! [`sink`] erase that type into the factories that the host's registry holds; a loaded plugin gives the host the same
//! factories, so nothing above knows whether a connector was linked in or loaded.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::checkpoint::Checkpoint;
use crate::config::{self, Problem};
use crate::context::Context;
use crate::error::Error;
use crate::sink::Sink;
use crate::source::Source;

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
}

/// Erases the type of a source connector.
pub fn source<C: SourceConnector>(connector: C) -> Arc<dyn SourceFactory> {
    Arc::new(Typed(connector))
}

/// Erases the type of a sink connector.
pub fn sink<C: SinkConnector>(connector: C) -> Arc<dyn SinkFactory> {
    Arc::new(Typed(connector))
}

struct Typed<C>(C);

#[async_trait]
impl<C: SourceConnector> SourceFactory for Typed<C> {
    fn name(&self) -> &str {
        C::NAME
    }

    fn config_schema(&self) -> Value {
        schemars::schema_for!(C::Config).to_value()
    }

    fn check(&self, config: &Value) -> Vec<Problem> {
        config::read(config).map_or_else(|problems| problems, |config| self.0.check(&config))
    }

    async fn open(
        &self,
        config: Value,
        resume: Checkpoint,
        context: Context,
    ) -> Result<Box<dyn Source>, Error> {
        let config = config::read(&config).map_err(Error::config)?;
        self.0.open(config, resume, context).await
    }
}

#[async_trait]
impl<C: SinkConnector> SinkFactory for Typed<C> {
    fn name(&self) -> &str {
        C::NAME
    }

    fn config_schema(&self) -> Value {
        schemars::schema_for!(C::Config).to_value()
    }

    fn check(&self, config: &Value) -> Vec<Problem> {
        config::read(config).map_or_else(|problems| problems, |config| self.0.check(&config))
    }

    async fn open(&self, config: Value, context: Context) -> Result<Arc<dyn Sink>, Error> {
        let config = config::read(&config).map_err(Error::config)?;
        self.0.open(config, context).await
    }
}
