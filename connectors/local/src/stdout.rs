//! `stdout`: records printed on standard output, as JSON lines or as bare values.

mod config;
mod print;
mod sink;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use weir_sdk::{Context, Error, Sink, SinkConnector};

pub use config::{Format, StdoutConfig};
use sink::StdoutSink;

/// The connector.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stdout;

#[async_trait]
impl SinkConnector for Stdout {
    const NAME: &'static str = "stdout";
    type Config = StdoutConfig;

    async fn open(&self, config: StdoutConfig, _context: Context) -> Result<Arc<dyn Sink>, Error> {
        Ok(Arc::new(StdoutSink::over(config.format, std::io::stdout())?))
    }
}
