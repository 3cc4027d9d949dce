//! librdkafka's producer: messages in, delivery reports out, from its birth to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{DeliveryResult, Producer as _, ProducerContext, PurgeConfig};
use rdkafka::{ClientConfig, ClientContext};
use tokio::sync::watch;
use tokio::time::sleep;
use weir_sdk::Error;

use crate::errors;
use crate::far_side::FarSide;
use crate::message::{self, Message};
use crate::polled::Polled;
use crate::room::Room;
use crate::tickets::Tickets;

/// How long a cluster may take to say what it is.
const PROBE: Duration = Duration::from_secs(5);

/// How often a failed producer is swept.
const SWEEP: Duration = Duration::from_millis(20);

/// One librdkafka instance. It ends at the first error that cost it a message set; a sink then makes the next.
pub(crate) struct Producer {
    /// Taken out only to be dropped.
    client: Option<Polled<Reports>>,
    reports: Arc<Reports>,
}

/// Whether messages share a request with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// As many as fit.
    Full,
    /// None: slow, but a refused request names the message to blame.
    Alone,
}

/// Why a message was not taken.
pub(crate) enum Refusal<'a> {
    /// No room; here it is again.
    NoRoom(Message<'a>),
    /// librdkafka's queue, which is larger than the room, is full all the same: it counts a message until its report
    /// has been served, a moment longer than we do. Here it is again.
    QueueFull(Message<'a>),
    /// This producer has come to its end.
    Ended,
    /// This message will not do.
    Error(RDKafkaErrorCode),
}

impl Producer {
    pub(crate) fn new(
        settings: &ClientConfig,
        sharing: Sharing,
        room: usize,
        far_side: &Arc<FarSide>,
    ) -> Result<Self, Error> {
        let mut settings = settings.clone();
        if sharing == Sharing::Alone {
            settings
                .set("batch.num.messages", "1")
                .set("max.in.flight.requests.per.connection", "1")
                // Who is to blame is known now, and is not waited for.
                .set("enable.gapless.guarantee", "false");
        }
        let reports = Reports {
            tickets: Tickets::default(),
            room: Room::new(room),
            far_side: Arc::clone(far_side),
            sharing,
            ended: AtomicBool::new(false),
            failed: watch::Sender::new(false),
        };
        let client = Polled::new(&settings, reports)?;
        let reports = Arc::clone(client.client().context());
        Ok(Self { client: Some(client), reports })
    }

    /// Hands a message over. Its report comes to the ticket it carries.
    pub(crate) fn send<'a>(&self, message: Message<'a>) -> Result<(), Refusal<'a>> {
        let (Some(client), false) = (&self.client, self.has_ended()) else { return Err(Refusal::Ended) };
        client.greet_once(message.topic);
        let size = message::size(message.key, message.payload);
        if !self.reports.room.take(size) {
            return Err(Refusal::NoRoom(message));
        }
        client.send(message).map_err(|(error, message)| {
            self.reports.room.give_back(size);
            match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::QueueFull) => Refusal::QueueFull(message),
                Some(RDKafkaErrorCode::Fatal) => {
                    self.reports.fail();
                    Refusal::Ended
                }
                Some(code) => Refusal::Error(code),
                None => Refusal::Error(RDKafkaErrorCode::InvalidArgument),
            }
        })
    }

    /// Nothing more goes in; what is in comes out with its reports.
    pub(crate) fn end(&self) {
        self.reports.ended.store(true, Ordering::Release);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.reports.ended.load(Ordering::Acquire)
    }

    pub(crate) fn sharing(&self) -> Sharing {
        self.reports.sharing
    }

    pub(crate) fn tickets(&self) -> &Tickets {
        &self.reports.tickets
    }

    pub(crate) fn room(&self) -> &Room {
        &self.reports.room
    }

    /// Waits until nothing is on its way.
    pub(crate) async fn emptied(&self) {
        tokio::select! {
            () = self.tickets().emptied() => {}
            () = self.sweep() => {}
        }
    }

    /// Never ends. Once the producer has failed, it takes out of librdkafka what only waits to be sent: librdkafka
    /// purges when it fails, but what comes back from the broker after that is queued again and would stay for ever.
    /// What is with the broker is left alone: it may still take effect, and must not do so behind its own repetition.
    pub(crate) async fn sweep(&self) {
        let mut failed = self.reports.failed.subscribe();
        if failed.wait_for(|failed| *failed).await.is_err() {
            std::future::pending::<()>().await;
        }
        loop {
            if let Some(client) = &self.client {
                client.purge(PurgeConfig::default().queue().non_blocking());
            }
            sleep(SWEEP).await;
        }
    }

    /// Asks the cluster what it is, and whether we may use this topic. A topic that is not there yet is no fault.
    pub(crate) async fn probe(self: Arc<Self>, topic: Option<String>) -> Result<(), Error> {
        let far_side = Arc::clone(&self.reports.far_side);
        let asked = tokio::task::spawn_blocking(move || {
            let Some(client) = &self.client else { return Err(KafkaError::Canceled) };
            let metadata = client.client().fetch_metadata(topic.as_deref(), PROBE)?;
            let refused = metadata.topics().iter().filter(|found| Some(found.name()) == topic.as_deref());
            Ok(refused.filter_map(|found| found.error()).map(RDKafkaErrorCode::from).next())
        });
        match asked.await {
            Ok(Ok(Some(RDKafkaErrorCode::TopicAuthorizationFailed))) => {
                Err(errors::of(RDKafkaErrorCode::TopicAuthorizationFailed))
            }
            Ok(Ok(_)) => {
                far_side.answered();
                Ok(())
            }
            Ok(Err(error)) => Err(far_side.complaint().unwrap_or_else(|| errors::of_call(&error))),
            Err(stopped) => Err(Error::new(weir_sdk::ErrorKind::Bug, stopped.to_string())),
        }
    }

    /// Gives up what is on its way and waits until librdkafka has let go of it.
    pub(crate) async fn give_up(&self) {
        self.end();
        if let Some(client) = &self.client {
            client.purge(PurgeConfig::default().queue().inflight());
        }
        self.tickets().emptied().await;
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        stop_elsewhere(self.client.take());
    }
}

/// Stopping a client joins its threads, which must not happen on one of the runtime's.
pub(crate) fn stop_elsewhere(client: impl Send + 'static) {
    let stopping = std::thread::Builder::new().name("stop-kafka-client".to_owned()).spawn(|| drop(client));
    if let Err(error) = stopping {
        tracing::warn!(%error, "no thread to stop a client on; it was stopped here");
    }
}

/// What librdkafka calls, on its own thread.
struct Reports {
    tickets: Tickets,
    room: Room,
    far_side: Arc<FarSide>,
    sharing: Sharing,
    ended: AtomicBool,
    failed: watch::Sender<bool>,
}

impl Reports {
    /// A message set is lost to it: what librdkafka still has must come back.
    fn fail(&self) {
        self.ended.store(true, Ordering::Release);
        self.failed.send_if_modified(|failed| !std::mem::replace(failed, true));
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, report: &DeliveryResult<'_>, ticket: usize) {
        let (message, failure) = match report {
            Ok(message) => {
                self.far_side.answered();
                (message, None)
            }
            Err((error, message)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                let suspect = self.sharing == Sharing::Full && errors::is_fault_of_a_record(code);
                if suspect || errors::is_collateral(code) {
                    self.fail();
                }
                (message, Some(code))
            }
        };
        self.room.give_back(message::size(message.key(), message.payload()));
        self.tickets.report(ticket, failure);
    }
}

impl ClientContext for Reports {
    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
        if code == RDKafkaErrorCode::Fatal {
            tracing::warn!(
                reason,
                "the producer came to its end; the next one goes on from the oldest failure"
            );
            self.ended.store(true, Ordering::Release);
        } else {
            self.far_side.complained(code, reason);
        }
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.far_side.logged(message);
        log(level, facility, message);
    }
}

/// What librdkafka logs, in our log.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", facility, "{message}"),
        RDKafkaLogLevel::Notice => tracing::info!(target: "librdkafka", facility, "{message}"),
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            tracing::debug!(target: "librdkafka", facility, "{message}");
        }
    }
}
