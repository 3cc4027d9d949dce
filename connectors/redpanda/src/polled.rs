//! `Polled`: librdkafka's producer, and the thread that serves its delivery reports.
//!
//! rdkafka has a producer with such a thread, which is never quite idle: it polls ten times a second, and each time spins
//! through the last millisecond, because what is left of a deadline is rounded down to whole milliseconds. This one
//! polls for whole milliseconds and a little more, so nothing is left when the first wait is over.
//!
//! The first message greets the cluster, for librdkafka writes nothing before it has a producer id. It asks for one when
//! it learns metadata, and otherwise every 500 ms. But with the first metadata it closes the connection that they came
//! over, to connect to the same broker as one of the cluster's, and what a quick broker has answered by then it does not
//! ask again: the first message would be half a second late, or a whole one.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer as _, ProducerContext};
use tokio::time::{Instant, sleep};
use weir_sdk::{Error, ErrorKind};

use crate::errors;

/// How long one poll waits, and so how long an idle producer takes to stop. Reports are served when they come.
const POLL: Duration = Duration::from_micros(500_100);

/// How long the cluster is greeted at most; by then librdkafka helps itself.
const GREETING: Duration = Duration::from_millis(500);

/// How long a greeting waits for its answer, and for the next one.
const BREATH: Duration = Duration::from_millis(10);

/// A producer whose reports are served until it is dropped, which waits for its thread.
pub(crate) struct Polled<C: ProducerContext + 'static> {
    client: Arc<BaseProducer<C>>,
    stopping: Arc<AtomicBool>,
    greeted: AtomicBool,
    thread: Option<JoinHandle<()>>,
}

impl<C: ProducerContext + 'static> Polled<C> {
    /// Begins to connect.
    pub(crate) fn new(settings: &ClientConfig, context: C) -> Result<Self, Error> {
        let client: BaseProducer<C> =
            settings.create_with_context(context).map_err(|error| errors::of_call(&error))?;
        let (client, stopping) = (Arc::new(client), Arc::new(AtomicBool::new(false)));
        let poll = {
            let (client, stopping) = (Arc::clone(&client), Arc::clone(&stopping));
            move || {
                while !stopping.load(Ordering::Relaxed) {
                    client.poll(POLL);
                }
            }
        };
        let no_thread =
            |error| Error::new(ErrorKind::Transient, "the system has no thread to give").caused_by(error);
        let thread =
            std::thread::Builder::new().name("redpanda-reports".to_owned()).spawn(poll).map_err(no_thread)?;
        Ok(Self { client, stopping, greeted: AtomicBool::new(false), thread: Some(thread) })
    }

    /// The first time, asks about a topic until a broker has answered that is known to be of the cluster.
    pub(crate) fn greet_once(&self, topic: &str) {
        if self.greeted.load(Ordering::Relaxed) || self.greeted.swap(true, Ordering::Relaxed) {
            return;
        }
        tokio::spawn(greet(Arc::downgrade(&self.client), topic.to_owned()));
    }
}

/// Holds the producer on blocking threads only: dropping the last of it waits.
async fn greet<C: ProducerContext + 'static>(client: Weak<BaseProducer<C>>, topic: String) {
    let end = Instant::now() + GREETING;
    while Instant::now() < end {
        let (client, topic) = (Weak::clone(&client), topic.clone());
        let ask = move || client.upgrade()?.client().fetch_metadata(Some(&topic), BREATH).ok();
        let answered_by = move || ask().map(|metadata| metadata.orig_broker_id());
        if let Ok(Some(0..)) = tokio::task::spawn_blocking(answered_by).await {
            return;
        }
        sleep(BREATH).await;
    }
}

impl<C: ProducerContext + 'static> Deref for Polled<C> {
    type Target = BaseProducer<C>;

    fn deref(&self) -> &BaseProducer<C> {
        &self.client
    }
}

impl<C: ProducerContext + 'static> Drop for Polled<C> {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that serves delivery reports panicked");
        }
    }
}
