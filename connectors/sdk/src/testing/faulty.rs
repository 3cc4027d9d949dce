//! `FaultySink`: any sink with a script of faults in front.

mod chance;
mod fault;

use std::collections::VecDeque;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::connector::SinkFactory;
use crate::error::{Error, ErrorKind, WriteError};
use crate::record::Records;
use crate::sink::{Order, Sink};
use crate::testing::{factory, lock};
use chance::Chance;

pub use fault::{Effect, Fault};

/// Plays one [`Fault`] for each call of `write`, in order; when the script is over, all is well. Clones share the script.
#[derive(Clone)]
pub struct FaultySink {
    inner: Arc<dyn Sink>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    script: Mutex<VecDeque<Fault>>,
    probes: Mutex<VecDeque<Result<(), Error>>>,
    down: Mutex<Option<Error>>,
    chance: Mutex<Option<Chance>>,
    /// What dropped writes will still do.
    late: Mutex<VecDeque<Records>>,
    calls: AtomicUsize,
    probed: AtomicUsize,
}

impl FaultySink {
    /// `inner` with these faults in front, one for each call.
    pub fn new(inner: impl Sink + 'static, script: impl IntoIterator<Item = Fault>) -> Self {
        let faulty = Self { inner: Arc::new(inner), shared: Arc::default() };
        lock(&faulty.shared.script).extend(script);
        faulty
    }

    /// `inner` with one call in `one_in` failing in some way that a retry helps, the same ways for the same seed.
    pub fn random(inner: impl Sink + 'static, seed: u64, one_in: u32) -> Self {
        let faulty = Self::new(inner, []);
        faulty.shake(seed, one_in);
        faulty
    }

    /// From now on [random](FaultySink::random) faults, where the script has none.
    pub fn shake(&self, seed: u64, one_in: u32) {
        *lock(&self.shared.chance) = Some(Chance::new(seed, one_in));
    }

    /// Adds a fault at the end of the script.
    pub fn push(&self, fault: Fault) {
        lock(&self.shared.script).push_back(fault);
    }

    /// Adds an answer for a probe; without one, the inner sink answers.
    pub fn push_probe(&self, answer: Result<(), Error>) {
        lock(&self.shared.probes).push_back(answer);
    }

    /// From now on every write and every probe is refused with `error`, and the script stands still.
    pub fn down(&self, error: Error) {
        *lock(&self.shared.down) = Some(error);
    }

    /// Ends [`down`](FaultySink::down), and the random faults.
    pub fn up(&self) {
        *lock(&self.shared.down) = None;
        *lock(&self.shared.chance) = None;
    }

    /// How often `write` was called.
    pub fn calls(&self) -> usize {
        self.shared.calls.load(Ordering::SeqCst)
    }

    /// How often `probe` was called.
    pub fn probes(&self) -> usize {
        self.shared.probed.load(Ordering::SeqCst)
    }

    /// Faults of the script that were not played yet.
    pub fn remaining(&self) -> usize {
        lock(&self.shared.script).len()
    }

    /// This sink as a connector.
    pub fn factory(&self, name: &str) -> Arc<dyn SinkFactory> {
        let handle = self.clone();
        factory::sink(name, move || Ok(Arc::new(handle.clone())))
    }

    fn refusal(&self) -> Option<Error> {
        lock(&self.shared.down).clone()
    }

    fn fault(&self, records: &Records) -> Fault {
        let scripted = lock(&self.shared.script).pop_front();
        let by_chance = || lock(&self.shared.chance).as_mut()?.fault(records);
        scripted.or_else(by_chance).unwrap_or(Fault::None)
    }

    /// Makes late effects happen.
    async fn settle(&self) -> Result<(), WriteError> {
        loop {
            let Some(records) = lock(&self.shared.late).pop_front() else { return Ok(()) };
            self.inner.write(records).await?;
        }
    }

    /// Writes what is not in `failed`, which becomes the answer.
    async fn write_some(&self, records: &Records, failed: WriteError) -> Result<(), WriteError> {
        let WriteError::Some(list) = &failed else { return Err(failed) };
        let is_listed = |index: &usize| list.iter().any(|failed| failed.index == *index);
        let written = records.pick((0..records.len()).filter(|index| !is_listed(index)));
        if !written.is_empty() {
            self.inner.write(written).await?;
        }
        if list.is_empty() { Ok(()) } else { Err(failed) }
    }

    async fn play(&self, fault: Fault, records: Records) -> Result<(), WriteError> {
        match fault {
            Fault::None => self.inner.write(records).await,
            Fault::Refuse(error) => Err(error.into()),
            Fault::Fail(faults) => {
                let failed = fault::held_up(&records, &faults);
                self.write_some(&records, WriteError::Some(failed)).await
            }
            Fault::Stop { after, error } => {
                let failed = fault::all_from(&records, after, &error);
                self.write_some(&records, WriteError::Some(failed)).await
            }
            Fault::Lose => {
                self.inner.write(records).await?;
                Err(Error::new(ErrorKind::Timeout, "the answer was lost by the script of the test").into())
            }
            Fault::Hang(effect) => {
                match effect {
                    Effect::None => {}
                    Effect::Before => self.inner.write(records).await?,
                    Effect::Late => lock(&self.shared.late).push_back(records),
                }
                pending().await
            }
            Fault::Delay(wait, then) => {
                tokio::time::sleep(wait).await;
                Box::pin(self.play(*then, records)).await
            }
            Fault::Panic => panic!("a panic by the script of the test"),
        }
    }
}

#[async_trait]
impl Sink for FaultySink {
    async fn write(&self, records: Records) -> Result<(), WriteError> {
        self.shared.calls.fetch_add(1, Ordering::SeqCst);
        if let Some(error) = self.refusal() {
            return Err(error.into());
        }
        self.settle().await?;
        let fault = self.fault(&records);
        self.play(fault, records).await
    }

    async fn probe(&self) -> Result<(), Error> {
        self.shared.probed.fetch_add(1, Ordering::SeqCst);
        let scripted = lock(&self.shared.probes).pop_front();
        match (self.refusal(), scripted) {
            (Some(error), _) => Err(error),
            (None, Some(answer)) => answer,
            (None, None) => self.inner.probe().await,
        }
    }

    fn order(&self) -> Order {
        self.inner.order()
    }

    async fn close(&self) -> Result<(), Error> {
        self.settle().await.map_err(|error| error.first().clone())?;
        self.inner.close().await
    }
}
