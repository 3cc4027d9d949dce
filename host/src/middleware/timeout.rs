//! `Timeout`: bounds one attempt.
//!
//! Deadlines are the host's, the same for every sink. The write is dropped at its deadline; whether it took effect is
//! unknown, which is why a sink must tolerate the same records again.

use std::sync::Arc;
use std::time::Duration;

use weir_sdk::{Error, ErrorKind, Order, Records, Sink, WriteError, async_trait};

/// A sink whose writes and probes end in time.
pub struct Timeout {
    inner: Arc<dyn Sink>,
    limit: Duration,
}

impl Timeout {
    /// Bounds every write and probe of `inner` by `limit`.
    pub fn new(inner: Arc<dyn Sink>, limit: Duration) -> Self {
        Self { inner, limit }
    }

    fn elapsed(&self, what: &str) -> Error {
        Error::new(ErrorKind::Timeout, format!("{what} within {:?}", self.limit))
    }
}

#[async_trait]
impl Sink for Timeout {
    async fn write(&self, records: Records) -> Result<(), WriteError> {
        match tokio::time::timeout(self.limit, self.inner.write(records)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.elapsed("no answer to a write").into()),
        }
    }

    async fn probe(&self) -> Result<(), Error> {
        match tokio::time::timeout(self.limit, self.inner.probe()).await {
            Ok(answer) => answer,
            Err(_) => Err(self.elapsed("no answer to a probe")),
        }
    }

    fn order(&self) -> Order {
        self.inner.order()
    }

    async fn close(&self) -> Result<(), Error> {
        self.inner.close().await
    }
}
