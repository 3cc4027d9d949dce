//! `Lane`: writes as a lane of the host does, and judges what arrived.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{sleep, timeout};

use super::SinkFixture;
use crate::error::{Error, ErrorKind, WriteError};
use crate::record::{Record, Records};
use crate::sink::{Order, Sink};
use crate::testing::records::{Trace, name, order_key};
use crate::testing::{RecordExt, record};

/// A point in time with microseconds that are not zero.
const BEGIN: i64 = 1_700_000_000_000_123;

/// An open sink, and the records of one check, told apart from those of other checks by a prefix.
pub(super) struct Lane<'a> {
    pub(super) fixture: &'a dyn SinkFixture,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) prefix: &'static str,
}

/// What came of delivering records.
#[derive(Default)]
pub(super) struct Delivery {
    /// Records that no retry can help.
    pub(super) dead: Vec<Record>,
    /// Calls that failed or were dropped at their deadline.
    pub(super) failures: usize,
}

impl<'a> Lane<'a> {
    pub(super) async fn open(fixture: &'a dyn SinkFixture, prefix: &'static str) -> Result<Self, String> {
        let opened = timeout(fixture.patience(), fixture.open()).await;
        let sink = opened.map_err(|_| "open: no answer".to_owned())?.map_err(|error| said("open", &error))?;
        Ok(Self { fixture, sink, prefix })
    }

    /// Record number `n` of this check for one of its keys; times rise with `n`.
    pub(super) fn record(&self, key: &str, n: usize) -> Record {
        let prefix = self.prefix;
        record(&format!("{prefix}/{key}"), &format!("{prefix}/{key}/{n}"))
            .at(prefix, &n.to_string())
            .micros(BEGIN + i64::try_from(n).unwrap_or(i64::MAX) * 1_001)
    }

    /// Records with these numbers, their keys going round.
    pub(super) fn records(&self, numbers: std::ops::Range<usize>, keys: usize) -> Vec<Record> {
        numbers.map(|n| self.record(&format!("k{}", n % keys), n)).collect()
    }

    /// Delivers as the host would: what fails is tried again, what is at fault itself is set aside.
    pub(super) async fn deliver(&self, records: &[Record]) -> Result<Delivery, String> {
        let mut delivery = Delivery::default();
        let mut left = Records::from(records.to_vec());
        let all = async {
            while !left.is_empty() {
                let answer = match timeout(self.fixture.patience() / 4, self.sink.write(left.clone())).await {
                    Ok(Ok(())) => return Ok(()),
                    Ok(Err(answer)) => answer,
                    Err(_) => Error::new(ErrorKind::Timeout, "dropped at its deadline").into(),
                };
                delivery.failures += 1;
                self.judge(&left, &answer)?;
                left = self.again(&left, answer, &mut delivery.dead)?;
                sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        };
        let limit = self.fixture.patience().saturating_mul(3);
        match timeout(limit, all).await {
            Ok(done) => done.map(|()| delivery),
            Err(_) => Err(format!("write: {} records not delivered within {limit:?}", records.len())),
        }
    }

    /// Delivers where no record has a fault of its own.
    pub(super) async fn deliver_all(&self, records: &[Record]) -> Result<usize, String> {
        let delivery = self.deliver(records).await?;
        match delivery.dead.first() {
            None => Ok(delivery.failures),
            Some(dead) => Err(format!("write: refuses {} by its own fault", name(dead))),
        }
    }

    fn again(
        &self,
        records: &Records,
        answer: WriteError,
        dead: &mut Vec<Record>,
    ) -> Result<Records, String> {
        let failed = match answer {
            WriteError::All(error) if error.kind() != ErrorKind::Record => {
                return may_try_again(&error).map(|()| records.clone());
            }
            WriteError::All(_) => (0..records.len()).map(|index| (index, ErrorKind::Record)).collect(),
            WriteError::Some(failed) => {
                let mut list = Vec::new();
                for failed in failed {
                    may_try_again(&failed.error)?;
                    list.push((failed.index, failed.error.kind()));
                }
                list
            }
        };
        let (own, held): (Vec<_>, Vec<_>) =
            failed.into_iter().partition(|(_, kind)| *kind == ErrorKind::Record);
        dead.extend(own.into_iter().map(|(index, _)| records[index].clone()));
        Ok(records.pick(held.into_iter().map(|(index, _)| index)))
    }

    /// The shape of an answer: which records failed, and that the later ones of their keys failed too.
    fn judge(&self, records: &[Record], answer: &WriteError) -> Result<(), String> {
        let failed = match answer {
            WriteError::All(error) if error.kind() == ErrorKind::Record && records.len() > 1 => {
                return Err(format!(
                    "`All` must not be a record's own fault, it would bury the others: {error}"
                ));
            }
            WriteError::All(_) => return Ok(()),
            WriteError::Some(failed) => failed,
        };
        if failed.is_empty() {
            return Err("`Some` must not be empty".into());
        }
        if let Some(pair) = failed.windows(2).find(|pair| pair[0].index >= pair[1].index) {
            return Err(format!(
                "`Some` must be sorted and without repeats: {} before {}",
                pair[0].index, pair[1].index
            ));
        }
        if let Some(last) = failed.last().filter(|last| last.index >= records.len()) {
            return Err(format!("`Some` names record {} of {}", last.index, records.len()));
        }
        if self.sink.order() == Order::Converges {
            return Ok(());
        }
        let listed: HashSet<usize> = failed.iter().map(|failed| failed.index).collect();
        for failed in failed.iter().filter(|failed| failed.error.kind() != ErrorKind::Record) {
            let key = order_key(&records[failed.index]);
            let mut later = failed.index + 1..records.len();
            let overtakes = later.find(|index| order_key(&records[*index]) == key && !listed.contains(index));
            if let Some(index) = overtakes {
                let (first, second) = (name(&records[failed.index]), name(&records[index]));
                return Err(format!("{first} failed, so the later {second} of its key must fail too"));
            }
        }
        Ok(())
    }

    /// What arrived of this check.
    pub(super) async fn arrived(&self) -> Vec<Record> {
        let is_ours = |bytes: &Option<Bytes>| {
            bytes.as_ref().is_some_and(|bytes| bytes.starts_with(format!("{}/", self.prefix).as_bytes()))
        };
        let mut arrived = self.fixture.arrived().await;
        arrived.retain(|record| is_ours(&record.key) || is_ours(&record.value));
        arrived
    }

    /// Compares what arrived with what was sent.
    pub(super) async fn trace(&self, sent: &[Record]) -> Trace {
        let stored = sent.iter().filter_map(|record| self.fixture.stored(record));
        let mut expected: Vec<Record> = stored.collect();
        if self.sink.order() == Order::Converges {
            let last: HashMap<_, _> =
                expected.iter().map(|record| (record.key.clone(), record.value.clone())).collect();
            expected.retain(|record| last[&record.key] == record.value);
        }
        Trace::by_content(&expected, &self.arrived().await)
    }

    /// # Errors
    /// When what arrived is not what was sent.
    pub(super) async fn expect(&self, sent: &[Record]) -> Result<(), String> {
        let trace = self.trace(sent).await;
        if trace.is_complete() { Ok(()) } else { Err(trace.to_string()) }
    }

    /// Closes within patience.
    pub(super) async fn close(self) -> Result<(), String> {
        match timeout(self.fixture.patience(), self.sink.close()).await {
            Ok(closed) => closed.map_err(|error| said("close", &error)),
            Err(_) => Err(format!("close: not done within {:?}", self.fixture.patience())),
        }
    }
}

/// Only kinds that the host answers with a retry are right for a far side that is in trouble.
pub(super) fn may_try_again(error: &Error) -> Result<(), String> {
    match error.kind() {
        ErrorKind::Transient | ErrorKind::Throttled | ErrorKind::Timeout | ErrorKind::Unavailable => Ok(()),
        ErrorKind::Record => Ok(()),
        _ => Err(said("write", error)),
    }
}

fn said(call: &str, error: &Error) -> String {
    format!("{call}: {} error: {error}", error.kind())
}
