//! `Broken`: a sink that breaks its contract in one chosen way.

use std::collections::HashSet;
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::yield_now;
use weir_sdk::testing::FaultySink;
use weir_sdk::{
    Error, ErrorKind, Failed, Headers, Order, Origin, Record, Records, Sink, Timestamp, WriteError,
    async_trait,
};

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    // Not broken.
    Honest,
    Millis,
    LaterReported,
    // Content.
    LosesHeaders,
    EmptiesTombstones,
    LosesKeys,
    ZeroesTime,
    RefusesEmpty,
    // Order, repeats, durability.
    ReversesCalls,
    SwapsCalls,
    OneWriteOnly,
    RefusesRepeats,
    DropsRepeatsTail,
    HoldsBack,
    // Partial failure.
    Unsorted,
    Doubled,
    NoneFailed,
    OutOfRange,
    BuriesAll,
    SwallowsPoison,
    BuriesKey,
    HidesLater,
    HidesFailures,
    // A far side that is down.
    OkWhenDown,
    ProbeAlwaysOk,
    BlamesRecords,
    StaysBroken,
    // Dropped writes and close.
    Overtakes,
    RefusesAfterDrop,
    SilentOk,
    CloseHangs,
    CloseFails,
    KeepsConnection,
    WritesAfterClose,
}

/// Opens sinks that share a network; each is broken in the same way.
pub(crate) struct Broken {
    network: FaultySink,
    how: How,
    open: Arc<AtomicUsize>,
    seen: Arc<Mutex<HashSet<Origin>>>,
}

impl Broken {
    pub(crate) fn over(network: FaultySink, how: How) -> Self {
        Self { network, how, open: Arc::default(), seen: Arc::default() }
    }

    pub(crate) fn connections(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(crate) fn open(&self) -> BrokenSink {
        self.open.fetch_add(1, Ordering::SeqCst);
        BrokenSink {
            network: self.network.clone(),
            how: self.how,
            open: self.open.clone(),
            seen: self.seen.clone(),
            held: Mutex::default(),
            writing: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
        }
    }
}

pub(crate) struct BrokenSink {
    network: FaultySink,
    how: How,
    open: Arc<AtomicUsize>,
    seen: Arc<Mutex<HashSet<Origin>>>,
    held: Mutex<Vec<Record>>,
    /// Writes that began and neither ended nor were dropped with their guard.
    writing: AtomicUsize,
    failed: AtomicBool,
}

fn error(kind: ErrorKind, message: &str) -> WriteError {
    Error::new(kind, message).into()
}

fn is_poison(record: &Record) -> bool {
    record.headers.get("poison").is_some()
}

impl BrokenSink {
    /// What the broken sink makes of each record.
    fn spoil(&self, mut record: Record) -> Record {
        match self.how {
            How::LosesHeaders => record.headers = Headers::default(),
            How::EmptiesTombstones => record.value = record.value.or(Some(Bytes::new())),
            How::LosesKeys => record.key = None,
            How::ZeroesTime => record.timestamp = Timestamp::default(),
            How::Millis => record.timestamp = Timestamp(record.timestamp.as_millis() * 1000),
            _ => {}
        }
        record
    }

    /// Changes the list of a call: what is written now, in which order.
    fn arrange(&self, mut records: Vec<Record>) -> Vec<Record> {
        let mut held = self.held.lock().expect("no test panics while it holds this");
        match self.how {
            How::ReversesCalls => records.reverse(),
            How::HoldsBack => {
                held.append(&mut records);
                let ready = held.len().saturating_sub(1);
                records = held.drain(..ready).collect();
            }
            // Every other small batch waits for the next call and comes after it.
            How::SwapsCalls if held.is_empty() && records.len() < 10 => *held = std::mem::take(&mut records),
            How::SwapsCalls => records.append(&mut held),
            // Drops what it has seen, and with it the rest of the call.
            How::DropsRepeatsTail => {
                let mut seen = self.seen.lock().expect("no test panics while it holds this");
                if let Some(at) = records.iter().position(|record| !seen.insert(record.origin.clone())) {
                    records.truncate(at);
                }
            }
            _ => {}
        }
        records
    }

    fn refuse(&self, records: &[Record]) -> Result<(), WriteError> {
        if self.how == How::RefusesEmpty && records.is_empty() {
            return Err(error(ErrorKind::Transient, "nothing to write"));
        }
        if self.how == How::RefusesRepeats {
            let mut seen = self.seen.lock().expect("no test panics while it holds this");
            if records.iter().any(|record| !seen.insert(record.origin.clone())) {
                return Err(error(ErrorKind::Bug, "seen before"));
            }
        }
        if self.how == How::StaysBroken && self.failed.load(Ordering::SeqCst) {
            return Err(error(ErrorKind::Unavailable, "broken once"));
        }
        Ok(())
    }

    /// Writes what has no fault and reports what has one, more or less well.
    async fn write_around_poison(&self, records: Vec<Record>) -> Result<(), WriteError> {
        let fault = Error::new(ErrorKind::Record, "poison");
        let bad: Vec<usize> = (0..records.len()).filter(|index| is_poison(&records[*index])).collect();
        if bad.is_empty() || self.how == How::BuriesAll {
            let answer = self.network.write(records.into()).await;
            return if bad.is_empty() { answer } else { Err(fault.into()) };
        }
        let failed = |index: usize| Failed { index, error: fault.clone() };
        let mut list: Vec<Failed> = bad.iter().copied().map(failed).collect();
        let mut skipped = bad.clone();
        match self.how {
            How::SwallowsPoison => return self.network.write(records.into()).await,
            How::Unsorted => list.reverse(),
            How::Doubled => list.insert(0, failed(bad[0])),
            How::NoneFailed => list.clear(),
            How::OutOfRange => list.push(failed(records.len())),
            How::BuriesKey => {
                list.push(failed(records.len() - 1));
                skipped.push(records.len() - 1);
            }
            How::LaterReported => {
                let held =
                    Failed { index: records.len() - 1, error: Error::new(ErrorKind::Transient, "held up") };
                skipped.push(held.index);
                list.push(held);
            }
            _ => {}
        }
        let good = (0..records.len()).filter(|index| !skipped.contains(index));
        self.network.write(Records::from(records.clone()).pick(good)).await?;
        Err(WriteError::Some(list))
    }

    fn report(&self, answer: Result<(), WriteError>) -> Result<(), WriteError> {
        let Err(failed) = answer else { return Ok(()) };
        self.failed.store(true, Ordering::SeqCst);
        match (self.how, failed) {
            (How::OkWhenDown, WriteError::All(_)) => Ok(()),
            (How::BlamesRecords, WriteError::All(_)) => {
                let failed = |index| Failed { index, error: Error::new(ErrorKind::Record, "your fault") };
                Err(WriteError::Some((0..5).map(failed).collect()))
            }
            (How::HidesFailures, WriteError::Some(_)) => Ok(()),
            (How::HidesLater, WriteError::Some(mut failed)) => {
                failed.truncate(1);
                Err(WriteError::Some(failed))
            }
            (_, failed) => Err(failed),
        }
    }

    /// Writes in the background, some time after the call.
    fn write_later(&self, records: Vec<Record>, wait: Duration) {
        let network = self.network.clone();
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            network.write(records.into()).await.ok();
        });
    }
}

#[async_trait]
impl Sink for BrokenSink {
    async fn write(&self, records: Records) -> Result<(), WriteError> {
        self.refuse(&records)?;
        let records =
            self.arrange(records.into_vec()).into_iter().map(|record| self.spoil(record)).collect::<Vec<_>>();
        let before = self.writing.fetch_add(1, Ordering::SeqCst);
        let first =
            records.first().map(|record| record.origin.partition.as_str().to_owned()).unwrap_or_default();
        match self.how {
            How::OneWriteOnly if before > 0 => return Err(error(ErrorKind::Bug, "one write at a time")),
            How::RefusesAfterDrop if before > 0 => {
                return Err(error(ErrorKind::Fenced, "a write is still open"));
            }
            How::Overtakes if first.starts_with("dropped") && before == 0 => {
                self.write_later(records, Duration::from_millis(10));
                pending::<()>().await;
                return Ok(());
            }
            How::WritesAfterClose if first.starts_with("closed") => {
                self.write_later(records, Duration::from_millis(10));
                pending::<()>().await;
                return Ok(());
            }
            How::SilentOk if first == "silent" => {
                self.write_later(records, Duration::ZERO);
                return Ok(());
            }
            _ => {}
        }
        yield_now().await;
        let answer = self.report(self.write_around_poison(records).await);
        self.writing.fetch_sub(1, Ordering::SeqCst);
        answer
    }

    async fn probe(&self) -> Result<(), Error> {
        match self.how {
            How::ProbeAlwaysOk => Ok(()),
            How::StaysBroken if self.failed.load(Ordering::SeqCst) => {
                Err(Error::new(ErrorKind::Unavailable, "broken once"))
            }
            _ => self.network.probe().await,
        }
    }

    fn order(&self) -> Order {
        self.network.order()
    }

    async fn close(&self) -> Result<(), Error> {
        let dropped = self.writing.load(Ordering::SeqCst) > 0;
        match self.how {
            How::CloseHangs if dropped => pending::<()>().await,
            How::CloseFails if dropped => return Err(Error::new(ErrorKind::Bug, "a write is still open")),
            How::KeepsConnection if dropped => return Ok(()),
            _ => {}
        }
        self.open.fetch_sub(1, Ordering::SeqCst);
        self.network.close().await
    }
}
