//! `Lazy`: the place of dead letters, opened for writing only when something fails again.
//!
//! A running host has its dead-letter file locked. What runs beside it and delivers everything needs no second writer.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::OnceCell;
use weir_sdk::config::Problem;
use weir_sdk::{Context, Error, Order, Records, Sink, SinkFactory, WriteError, async_trait};

/// Opens another factory's sink at its first write.
pub(crate) struct Lazy(pub(crate) Arc<dyn SinkFactory>);

#[async_trait]
impl SinkFactory for Lazy {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn config_schema(&self) -> Value {
        self.0.config_schema()
    }

    fn check(&self, config: &Value) -> Vec<Problem> {
        self.0.check(config)
    }

    async fn open(&self, config: Value, context: Context) -> Result<Arc<dyn Sink>, Error> {
        Ok(Arc::new(LazySink { factory: self.0.clone(), config, context, open: OnceCell::new() }))
    }
}

struct LazySink {
    factory: Arc<dyn SinkFactory>,
    config: Value,
    context: Context,
    open: OnceCell<Arc<dyn Sink>>,
}

impl LazySink {
    async fn open(&self) -> Result<&Arc<dyn Sink>, Error> {
        self.open.get_or_try_init(|| self.factory.open(self.config.clone(), self.context.clone())).await
    }
}

#[async_trait]
impl Sink for LazySink {
    async fn write(&self, records: Records) -> Result<(), WriteError> {
        self.open().await?.write(records).await
    }

    async fn probe(&self) -> Result<(), Error> {
        self.open().await?.probe().await
    }

    /// Dead letters have keys of their own, or none: no order is promised among them.
    fn order(&self) -> Order {
        self.open.get().map_or(Order::Kept, |sink| sink.order())
    }

    async fn close(&self) -> Result<(), Error> {
        match self.open.get() {
            Some(sink) => sink.close().await,
            None => Ok(()),
        }
    }
}
