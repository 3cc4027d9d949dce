//! A load generator: places orders and takes them through their life, at a rate, and counts what it wrote.
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;
use weir_event_store::{Cause, CommandError, CommandHandler, Error, EventEnvelope, EventStore};

use crate::{Order, OrderCommand, Refusal, SNAPSHOT_EVERY};
use pace::Pace;
use script::{Script, script};

mod pace;
pub(crate) mod script;

/// What is placed, and how fast.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// How many orders; without it, orders are placed until the run is cancelled.
    pub orders: Option<u64>,
    /// Commands per second, over all orders; without it, as fast as the database takes them.
    pub rate: Option<f64>,
    /// Decides everything about the orders: the same seed gives the same orders with the same ids and commands.
    pub seed: u64,
    /// How many orders are under way at once. The commands of one order follow each other.
    pub concurrency: NonZeroUsize,
}

impl Default for LoadOptions {
    fn default() -> Self {
        const EIGHT: NonZeroUsize = NonZeroUsize::new(8).expect("8 is not 0");
        Self { orders: None, rate: None, seed: 1, concurrency: EIGHT }
    }
}

/// What a run has written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// Orders that were begun.
    pub orders: u64,
    /// Commands that were carried out or refused.
    pub commands: u64,
    /// Commands that the rules refused.
    pub refused: u64,
    /// Commands that were given up, because the run was cancelled while the database did not answer. They may have
    /// taken effect.
    pub open: u64,
    /// The ids of all events that were appended (16 bytes each: a long run keeps them all).
    pub event_ids: Vec<Uuid>,
    /// How many events of each type.
    pub by_type: BTreeMap<String, u64>,
}

impl Written {
    /// How many events were appended.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.event_ids.len() as u64
    }

    fn add(&mut self, other: Self) {
        self.orders += other.orders;
        self.commands += other.commands;
        self.refused += other.refused;
        self.open += other.open;
        self.event_ids.extend(other.event_ids);
        for (event_type, count) in other.by_type {
            *self.by_type.entry(event_type).or_default() += count;
        }
    }
}

/// A run that is about to begin.
pub struct Load {
    orders: CommandHandler<Order>,
    options: LoadOptions,
    on_event: OnEvent,
}

type Done = Result<Vec<EventEnvelope>, CommandError<Refusal>>;
type OnEvent = Arc<dyn Fn(&EventEnvelope) + Send + Sync>;

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Load {
    /// A run against `store`.
    #[must_use]
    pub fn new(store: EventStore, options: LoadOptions) -> Self {
        Self {
            orders: CommandHandler::new(store).with_snapshots(SNAPSHOT_EVERY),
            options,
            on_event: Arc::new(|_| {}),
        }
    }

    /// Calls `seen` with every event once it is appended, from the tasks of the run.
    #[must_use]
    pub fn on_event(mut self, seen: impl Fn(&EventEnvelope) + Send + Sync + 'static) -> Self {
        self.on_event = Arc::new(seen);
        self
    }

    /// Places orders until all are through their life, or until `cancel` is ready: then each command under way is
    /// finished, and none is begun. A database that fails is waited for.
    pub async fn run(self, cancel: impl Future<Output = ()>) -> Written {
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared {
            next: AtomicU64::new(0),
            pace: Pace::new(self.options.rate),
            orders: self.orders,
            on_event: self.on_event,
            options: self.options,
        });
        let mut writers = JoinSet::new();
        for _ in 0..shared.options.concurrency.get() {
            let writer =
                Writer { shared: Arc::clone(&shared), stopped: stopped.clone(), written: Written::default() };
            writers.spawn(writer.run());
        }
        let mut written = Written::default();
        tokio::pin!(cancel);
        let mut cancelled = false;
        loop {
            tokio::select! {
                () = &mut cancel, if !cancelled => {
                    cancelled = true;
                    stop.send_replace(true);
                }
                ended = writers.join_next() => match ended {
                    Some(Ok(part)) => written.add(part),
                    Some(Err(e)) => std::panic::resume_unwind(e.into_panic()),
                    None => return written,
                },
            }
        }
    }
}

/// What the writers of one run have in common.
struct Shared {
    orders: CommandHandler<Order>,
    options: LoadOptions,
    on_event: OnEvent,
    next: AtomicU64,
    pace: Pace,
}

/// Takes one order after the other through its life.
struct Writer {
    shared: Arc<Shared>,
    stopped: watch::Receiver<bool>,
    written: Written,
}

impl Writer {
    async fn run(mut self) -> Written {
        loop {
            let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
            if self.shared.options.orders.is_some_and(|orders| number >= orders) {
                return self.written;
            }
            let Script { order_id, commands } = script(self.shared.options.seed, number);
            for (at, command) in commands.iter().enumerate() {
                if self.stops_before_its_turn().await {
                    return self.written;
                }
                self.written.orders += u64::from(at == 0);
                self.carry_out(order_id, command).await;
            }
        }
    }

    async fn stops_before_its_turn(&mut self) -> bool {
        let turn = self.shared.pace.turn();
        tokio::select! {
            biased;
            // An error means that the run itself is gone.
            _ = self.stopped.wait_for(|stopped| *stopped) => true,
            () = turn => false,
        }
    }

    async fn carry_out(&mut self, order_id: Uuid, command: &OrderCommand) {
        let cause = Cause::new_request();
        let mut pause = Duration::from_millis(100);
        let mut done = self.execute(order_id, command, &cause).await;
        loop {
            let error = match done {
                Ok(events) => return self.count(&events),
                Err(CommandError::Refused(refusal)) => {
                    tracing::debug!(%order_id, command = command.name(), %refusal, "command refused");
                    self.written.commands += 1;
                    self.written.refused += 1;
                    return;
                }
                Err(CommandError::Store(error)) => error,
            };
            warn_of(order_id, command, &error);
            tokio::select! {
                _ = self.stopped.wait_for(|stopped| *stopped) => {
                    self.written.open += 1;
                    return;
                }
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(Duration::from_secs(5));
            done = self.execute_unless_done(order_id, command, &cause).await;
        }
    }

    async fn execute(&self, order_id: Uuid, command: &OrderCommand, cause: &Cause) -> Done {
        self.shared.orders.execute(order_id, command, cause).await.map(|executed| executed.events)
    }

    /// An earlier try may have taken effect although it failed.
    async fn execute_unless_done(&self, order_id: Uuid, command: &OrderCommand, cause: &Cause) -> Done {
        self.shared.orders.execute_once(order_id, command, cause).await.map(|executed| executed.events)
    }

    fn count(&mut self, events: &[EventEnvelope]) {
        self.written.commands += 1;
        for event in events {
            self.written.event_ids.push(event.event_id);
            *self.written.by_type.entry(event.event_type.clone()).or_default() += 1;
            (self.shared.on_event)(event);
        }
    }
}

fn warn_of(order_id: Uuid, command: &OrderCommand, error: &Error) {
    let error = error as &dyn std::error::Error;
    tracing::warn!(%order_id, command = command.name(), error, "the database failed, trying again");
}
