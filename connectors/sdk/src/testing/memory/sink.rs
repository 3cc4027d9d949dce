//! `MemorySink`: a sink that keeps what it is given, in order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::connector::SinkFactory;
use crate::error::{Error, WriteError};
use crate::record::{Record, Records};
use crate::sink::{Order, Sink};
use crate::testing::{factory, lock};

/// Keeps a list of all records in the order in which they came. Clones share the list; every opening writes to it.
#[derive(Clone, Default)]
pub struct MemorySink(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    records: Vec<Record>,
    writes: Vec<usize>,
    probes: usize,
    opens: usize,
    closes: usize,
    refusals: VecDeque<Error>,
    order: Order,
}

impl MemorySink {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// A sink that asks this of the order of its records.
    #[must_use]
    pub fn with_order(self, order: Order) -> Self {
        lock(&self.0.state).order = order;
        self
    }

    /// Everything written so far, repeats too.
    pub fn records(&self) -> Vec<Record> {
        lock(&self.0.state).records.clone()
    }

    /// How many records were written so far.
    pub fn len(&self) -> usize {
        lock(&self.0.state).records.len()
    }

    /// Nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sizes of all calls of `write`, in records.
    pub fn writes(&self) -> Vec<usize> {
        lock(&self.0.state).writes.clone()
    }

    /// How often it was probed.
    pub fn probes(&self) -> usize {
        lock(&self.0.state).probes
    }

    /// How often it was opened through its factory.
    pub fn opens(&self) -> usize {
        lock(&self.0.state).opens
    }

    /// How often it was closed.
    pub fn closes(&self) -> usize {
        lock(&self.0.state).closes
    }

    /// Waits until `done` says so of the records, looking after each write. Give it a deadline.
    pub async fn until(&self, done: impl Fn(&[Record]) -> bool) {
        loop {
            let changed = self.0.changed.notified();
            if done(&lock(&self.0.state).records) {
                return;
            }
            changed.await;
        }
    }

    /// The next opening through the factory fails with `error`; several calls, several openings.
    pub fn refuse_open(&self, error: Error) {
        lock(&self.0.state).refusals.push_back(error);
    }

    /// This sink as a connector.
    pub fn factory(&self, name: &str) -> Arc<dyn SinkFactory> {
        let handle = self.clone();
        factory::sink(name, move || {
            let mut state = lock(&handle.0.state);
            state.opens += 1;
            match state.refusals.pop_front() {
                Some(error) => Err(error),
                None => Ok(Arc::new(handle.clone())),
            }
        })
    }
}

#[async_trait]
impl Sink for MemorySink {
    async fn write(&self, records: Records) -> Result<(), WriteError> {
        let mut state = lock(&self.0.state);
        state.writes.push(records.len());
        state.records.extend_from_slice(&records);
        drop(state);
        self.0.changed.notify_waiters();
        Ok(())
    }

    async fn probe(&self) -> Result<(), Error> {
        lock(&self.0.state).probes += 1;
        Ok(())
    }

    fn order(&self) -> Order {
        lock(&self.0.state).order
    }

    async fn close(&self) -> Result<(), Error> {
        lock(&self.0.state).closes += 1;
        Ok(())
    }
}
