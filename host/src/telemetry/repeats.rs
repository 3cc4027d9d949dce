//! `Repeats`: a client library's warnings once a minute each.
//!
//! A driver whose far side is away warns at every attempt, every second and for as long as it takes, of what the task's
//! state says once. The first warning of each kind is worth reading, and so is one a minute later.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::callsite::Identifier;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

/// Whose warnings.
const LIBRARY: &str = "scylla";
/// Between two of one kind.
const PAUSE: Duration = Duration::from_secs(60);

/// Lets everything pass but warnings that a client library repeats.
#[derive(Debug, Default)]
pub(super) struct Repeats(Mutex<HashMap<Identifier, Instant>>);

impl<S: Subscriber> Filter<S> for Repeats {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_library(metadata) { Interest::sometimes() } else { Interest::always() }
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if !is_library(metadata) {
            return true;
        }
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let last = said.get(&metadata.callsite());
        let due = last.is_none_or(|last| now.saturating_duration_since(*last) >= PAUSE);
        if due {
            said.insert(metadata.callsite(), now);
        }
        due
    }
}

fn is_library(metadata: &Metadata<'_>) -> bool {
    metadata.target().split("::").next() == Some(LIBRARY)
}

#[cfg(test)]
mod tests {
    use super::Repeats;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::{Context, SubscriberExt};

    #[derive(Clone, Default)]
    struct Count(Arc<AtomicUsize>);

    impl<S: tracing::Subscriber> Layer<S> for Count {
        fn on_event(&self, _: &tracing::Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_library_says_each_thing_once_a_minute_and_we_say_what_we_say() {
        let count = Count::default();
        let layer = tracing_subscriber::registry().with(count.clone().with_filter(Repeats::default()));
        let _here = tracing::subscriber::set_default(layer);
        let mut seen = Vec::new();
        for _ in 0..3 {
            for _ in 0..10 {
                tracing::warn!(target: "scylla::network", "no connection");
                tracing::warn!(target: "scylla::cluster", "no metadata");
            }
            tracing::warn!(target: "scylladb_tools", "another crate");
            tracing::warn!(target: "weir_scylla::reader", "ours");
            seen.push(count.0.swap(0, Ordering::Relaxed));
            tokio::time::advance(Duration::from_secs(40)).await;
        }
        assert_eq!(seen, [4, 2, 4]);
    }
}
