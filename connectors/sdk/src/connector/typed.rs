//! `Typed`: the bridge from a connector with a config type of its own to the factory that reads JSON.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    SinkConnector, SinkFactory, SourceConnector, SourceFactory, StoreConnector, StoreFactory,
    TransformConnector, TransformFactory, cannot_rebuild,
};
use crate::checkpoint::Checkpoint;
use crate::config::{self, Problem};
use crate::context::Context;
use crate::error::Error;
use crate::place::Place;
use crate::position::{Position, To};
use crate::record::Origin;
use crate::sink::Sink;
use crate::source::{Source, Start};
use crate::store::CheckpointStore;
use crate::transform::Transform;

/// A connector, whose config type nobody outside has to know.
pub(super) struct Typed<C>(pub(super) C);

#[async_trait]
impl<C: SourceConnector> SourceFactory for Typed<C> {
    fn name(&self) -> &str {
        C::NAME
    }

    fn config_schema(&self) -> Value {
        schema_of::<C::Config>()
    }

    fn check(&self, config: &Value) -> Vec<Problem> {
        check(config, |config| self.0.check(config))
    }

    async fn open(
        &self,
        config: Value,
        resume: Checkpoint,
        context: Context,
    ) -> Result<Box<dyn Source>, Error> {
        self.0.open(read(&config)?, resume, context).await
    }

    async fn purge(&self, config: Value, origins: Vec<Origin>, context: Context) -> Result<usize, Error> {
        self.0.purge(read(&config)?, origins, context).await
    }

    fn position(&self, checkpoint: &Checkpoint) -> Result<Position, Error> {
        self.0.position(checkpoint)
    }

    async fn seek(&self, config: Value, to: To, context: Context) -> Result<Start, Error> {
        self.0.seek(read(&config)?, to, context).await
    }
}

#[async_trait]
impl<C: SinkConnector> SinkFactory for Typed<C> {
    fn name(&self) -> &str {
        C::NAME
    }

    fn config_schema(&self) -> Value {
        schema_of::<C::Config>()
    }

    fn check(&self, config: &Value) -> Vec<Problem> {
        check(config, |config| self.0.check(config))
    }

    async fn open(&self, config: Value, context: Context) -> Result<Arc<dyn Sink>, Error> {
        self.0.open(read(&config)?, context).await
    }

    fn place(&self, config: &Value) -> Result<Place, Error> {
        self.0.place(&read(config)?).ok_or_else(|| cannot_rebuild(C::NAME))
    }

    async fn beside(&self, config: Value, name: Option<String>, context: Context) -> Result<String, Error> {
        self.0.beside(read(&config)?, name, context).await
    }

    async fn empty(&self, config: Value, context: Context) -> Result<(), Error> {
        self.0.empty(read(&config)?, context).await
    }
}

impl<C: TransformConnector> TransformFactory for Typed<C> {
    fn name(&self) -> &str {
        C::NAME
    }

    fn config_schema(&self) -> Value {
        schema_of::<C::Config>()
    }

    fn check(&self, config: &Value) -> Vec<Problem> {
        check(config, |config| self.0.check(config))
    }

    fn build(&self, config: &Value) -> Result<Arc<dyn Transform>, Error> {
        self.0.build(read(config)?)
    }
}

impl<C: StoreConnector> StoreFactory for Typed<C> {
    fn name(&self) -> &str {
        C::NAME
    }

    fn config_schema(&self) -> Value {
        schema_of::<C::Config>()
    }

    fn check(&self, config: &Value) -> Vec<Problem> {
        check(config, |config| self.0.check(config))
    }

    fn open(&self, config: &Value, holder: String) -> Result<Arc<dyn CheckpointStore>, Error> {
        Ok(self.0.open(read(config)?, holder))
    }
}

fn schema_of<T: JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}

/// The problems that the type finds, or, once it can be read, those that only the connector knows of.
fn check<T: DeserializeOwned + JsonSchema>(
    config: &Value,
    connector: impl FnOnce(&T) -> Vec<Problem>,
) -> Vec<Problem> {
    config::read(config).map_or_else(|problems| problems, |config| connector(&config))
}

fn read<T: DeserializeOwned + JsonSchema>(config: &Value) -> Result<T, Error> {
    config::read(config).map_err(Error::config)
}
