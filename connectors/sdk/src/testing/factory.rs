//! Any sink or source of a test as a connector that a registry can hold.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::checkpoint::Checkpoint;
use crate::config::{self, Problem};
use crate::connector::{SinkFactory, SourceFactory};
use crate::context::Context;
use crate::error::Error;
use crate::sink::Sink;
use crate::source::Source;

/// A sink connector of this name, without configuration, that opens by calling `open`.
pub fn sink<F>(name: &str, open: F) -> Arc<dyn SinkFactory>
where
    F: Fn() -> Result<Arc<dyn Sink>, Error> + Send + Sync + 'static,
{
    Arc::new(Named { name: name.into(), open })
}

/// A source connector of this name, without configuration, that opens by calling `open`.
pub fn source<F>(name: &str, open: F) -> Arc<dyn SourceFactory>
where
    F: Fn(Checkpoint) -> Result<Box<dyn Source>, Error> + Send + Sync + 'static,
{
    Arc::new(Named { name: name.into(), open })
}

struct Named<F> {
    name: String,
    open: F,
}

/// A block without keys.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn check(config: &Value) -> Vec<Problem> {
    config::read::<Nothing>(config).err().unwrap_or_default()
}

#[async_trait]
impl<F> SinkFactory for Named<F>
where
    F: Fn() -> Result<Arc<dyn Sink>, Error> + Send + Sync,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn config_schema(&self) -> Value {
        schemars::schema_for!(Nothing).to_value()
    }

    fn check(&self, config: &Value) -> Vec<Problem> {
        check(config)
    }

    async fn open(&self, _config: Value, _context: Context) -> Result<Arc<dyn Sink>, Error> {
        (self.open)()
    }
}

#[async_trait]
impl<F> SourceFactory for Named<F>
where
    F: Fn(Checkpoint) -> Result<Box<dyn Source>, Error> + Send + Sync,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn config_schema(&self) -> Value {
        schemars::schema_for!(Nothing).to_value()
    }

    fn check(&self, config: &Value) -> Vec<Problem> {
        check(config)
    }

    async fn open(
        &self,
        _config: Value,
        resume: Checkpoint,
        _context: Context,
    ) -> Result<Box<dyn Source>, Error> {
        (self.open)(resume)
    }
}
