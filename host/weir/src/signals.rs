//! From a signal to the wish to stop: the first one drains, the second leaves at once.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use weir_host::stop::Stopper;

/// SIGTERM and SIGINT, from now on.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes over both signals.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Asks `stopper` to stop at the first signal; ends at the second, with the number of that signal.
    pub(crate) async fn second(mut self, stopper: &Stopper, limit: Duration) -> u8 {
        let first = self.next().await;
        tracing::info!(signal = first, ?limit, "asked to stop: draining; a second signal leaves at once");
        stopper.stop(limit);
        self.next().await
    }

    async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.terminate.recv() => 15,
            _ = self.interrupt.recv() => 2,
        }
    }
}
