//! One write: records out, reports in, and an answer for each record.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;
use tokio::time::sleep;
use weir_sdk::{Error, ErrorKind, Failed, Records, WriteError};

use crate::errors;
use crate::pending::{Outcome, Pending, Place};
use crate::producer::{Producer, Refusal, Sharing};
use crate::sink::RedpandaSink;
use crate::tickets::{Batch, Tickets};

/// How often records that others took along are sent again before the host hears of it.
const PASSES: usize = 4;

/// How long to wait for librdkafka to serve the reports that it has.
const QUEUE_LAG: Duration = Duration::from_millis(5);

/// A write in progress. Dropped before its end, it leaves what is on its way to a retry.
pub(crate) struct Write<'a> {
    sink: &'a RedpandaSink,
    on_its_way: OnItsWay<'a>,
    failed: BTreeMap<usize, Error>,
}

impl<'a> Write<'a> {
    pub(crate) fn of(sink: &'a RedpandaSink, records: Records) -> Self {
        let on_its_way = OnItsWay { pending: &sink.pending, records, sent: Vec::new(), joined: Vec::new() };
        Self { sink, on_its_way, failed: BTreeMap::new() }
    }

    pub(crate) async fn run(mut self) -> Result<(), WriteError> {
        let sink = self.sink;
        tokio::select! {
            biased;
            written = self.passes() => written?,
            gone = sink.far_side.gone() => return Err(WriteError::All(gone)),
        }
        self.answer()
    }

    /// Sends, waits, and sends again what failed through no fault of its own.
    async fn passes(&mut self) -> Result<(), Error> {
        let mut sharing = Sharing::Full;
        let mut producer = self.sink.producer(sharing).await?;
        let mut todo = self.join();
        for _ in 0..PASSES {
            let unsent = self.send(&producer, &todo).await;
            tokio::select! {
                biased;
                () = self.on_its_way.settled() => {}
                () = producer.sweep() => {}
            }
            let (failures, suspects) = self.judge(producer.sharing());
            todo = failures;
            todo.extend(unsent);
            todo.sort_unstable();
            if producer.sharing() == Sharing::Alone {
                // Whoever was to blame is found; the next one may share again.
                producer.end();
            }
            if todo.is_empty() || self.failed.values().any(|error| error.kind() != ErrorKind::Record) {
                break;
            }
            if suspects {
                tracing::warn!(
                    records = todo.len(),
                    "the broker refused a message set for one of its records; each is sent alone now. If this goes \
                     on, make `batch` smaller than the topic's `max.message.bytes`"
                );
            }
            sharing = if suspects { Sharing::Alone } else { Sharing::Full };
            producer = self.sink.producer(sharing).await?;
        }
        let again = || errors::of(RDKafkaErrorCode::PurgeQueue).context("the producer began anew");
        for index in todo {
            self.failed.entry(index).or_insert_with(again);
        }
        Ok(())
    }

    /// The records to send: all but those that an earlier, abandoned write has sent already.
    fn join(&mut self) -> Vec<usize> {
        let records = &self.on_its_way.records;
        let places = self.sink.pending.take(records);
        if places.is_empty() {
            return (0..records.len()).collect();
        }
        let places = places.into_iter().filter(|(_, place)| !matches!(place.outcome(), Outcome::Failed(_)));
        self.on_its_way.joined = places.collect();
        let mut joined = self.on_its_way.joined.iter().map(|(index, _)| *index).peekable();
        (0..records.len()).filter(|index| joined.next_if_eq(index).is_none()).collect()
    }

    /// Hands records over, in order; answers with those that an ended producer did not take.
    async fn send(&mut self, producer: &Arc<Producer>, todo: &[usize]) -> Vec<usize> {
        let records = self.on_its_way.records.clone();
        let batch = producer.tickets().issue(records.len());
        let handing_over = HandingOver { tickets: producer.tickets(), batch: &batch, sent: 0 };
        let sent = self.on_its_way.begin(&batch, todo.len());
        let (mut handing_over, mut name, mut last_made) = (handing_over, String::new(), String::new());
        for (position, &index) in todo.iter().enumerate() {
            let record = &records[index];
            let topic = match self.sink.topic.of(record, &mut name) {
                Ok(topic) => topic,
                Err(error) => {
                    self.failed.insert(index, error);
                    continue;
                }
            };
            if let Some(topics) = self.sink.creation.as_ref().filter(|_| topic != last_made) {
                if let Err(error) = topics.ensure(topic).await {
                    self.refuse(&todo[position..], error);
                    return Vec::new();
                }
                topic.clone_into(&mut last_made);
            }
            let mut message = self.sink.shape.message(topic, record, batch.ticket(index));
            loop {
                match producer.send(message) {
                    Ok(()) => {
                        handing_over.sent += 1;
                        sent.push(index);
                    }
                    Err(Refusal::NoRoom(refused)) => {
                        message = refused;
                        producer.room().half_free().await;
                        continue;
                    }
                    Err(Refusal::QueueFull(refused)) => {
                        message = refused;
                        sleep(QUEUE_LAG).await;
                        continue;
                    }
                    Err(Refusal::Ended) => return todo[position..].to_vec(),
                    Err(Refusal::Error(code)) => {
                        let error = errors::of(code).context(format!("topic {topic}"));
                        if error.kind() != ErrorKind::Record {
                            self.refuse(&todo[position..], error);
                            return Vec::new();
                        }
                        self.failed.insert(index, error);
                    }
                }
                break;
            }
        }
        Vec::new()
    }

    /// These are not sent at all, for this reason: sent behind a record that will be tried again, they would overtake it.
    fn refuse(&mut self, unsent: &[usize], error: Error) {
        self.failed.extend(unsent.iter().map(|index| (*index, error.clone())));
    }

    /// What the reports say: records to send again, and whether one of them may be at fault itself.
    fn judge(&mut self, sharing: Sharing) -> (Vec<usize>, bool) {
        let (mut again, mut suspects) = (Vec::new(), false);
        for (index, code) in self.on_its_way.take_failures() {
            let suspect = sharing == Sharing::Full && errors::is_fault_of_a_record(code);
            if suspect || errors::is_collateral(code) {
                again.push(index);
                suspects |= suspect;
            } else {
                let (record, mut name) = (&self.on_its_way.records[index], String::new());
                let error = errors::of(code);
                // It had a topic, or it would not have been sent.
                let error = match self.sink.topic.of(record, &mut name) {
                    Ok(topic) => error.context(format_args!("topic {topic}")),
                    Err(_) => error,
                };
                self.failed.insert(index, error);
            }
        }
        (again, suspects)
    }

    /// The answer to the host; nothing is on its way any more.
    fn answer(mut self) -> Result<(), WriteError> {
        self.on_its_way.forget();
        if self.failed.is_empty() {
            return Ok(());
        }
        hold_up_later(&self.on_its_way.records, &mut self.failed);
        Err(WriteError::Some(self.failed.into_iter().map(|(index, error)| Failed { index, error }).collect()))
    }
}

/// A record that is to be tried again holds up the later ones of its key, or of its partition where it has none.
fn hold_up_later(records: &Records, failed: &mut BTreeMap<usize, Error>) {
    let mut held_up = HashMap::new();
    for (index, record) in records.iter().enumerate() {
        let partition = record.key.is_none().then_some(&record.origin.partition);
        let order = (record.key.as_ref(), partition);
        match failed.get(&index) {
            Some(error) if error.kind() == ErrorKind::Record => {}
            Some(error) => {
                held_up.entry(order).or_insert_with(|| error.clone());
            }
            None => {
                if let Some(error) = held_up.get(&order) {
                    failed.insert(index, error.clone());
                }
            }
        }
    }
}

/// What a write has on its way.
struct OnItsWay<'a> {
    pending: &'a Pending,
    records: Records,
    /// What this write handed over, by batch, as indexes of its records.
    sent: Vec<(Arc<Batch>, Vec<usize>)>,
    /// What an earlier write handed over.
    joined: Vec<(usize, Place)>,
}

impl OnItsWay<'_> {
    fn begin(&mut self, batch: &Arc<Batch>, expected: usize) -> &mut Vec<usize> {
        &mut self.sent.push_mut((Arc::clone(batch), Vec::with_capacity(expected))).1
    }

    async fn settled(&self) {
        for (batch, _) in &self.sent {
            batch.settled().await;
        }
        for (_, place) in &self.joined {
            place.batch.settled().await;
        }
    }

    /// The records with bad reports. They are no longer on their way.
    fn take_failures(&mut self) -> Vec<(usize, RDKafkaErrorCode)> {
        let mut taken = Vec::new();
        for (batch, sent) in &mut self.sent {
            let failures = std::mem::take(&mut *batch.failures());
            if !failures.is_empty() {
                let failed: HashMap<_, _> = failures.into_iter().collect();
                taken.extend(sent.iter().filter_map(|index| Some((*index, *failed.get(index)?))));
                sent.retain(|index| !failed.contains_key(index));
            }
        }
        self.joined.retain(|(index, place)| match place.outcome() {
            Outcome::Failed(code) => {
                taken.push((*index, code));
                false
            }
            Outcome::Open | Outcome::Delivered => true,
        });
        taken
    }

    fn forget(&mut self) {
        self.sent.clear();
        self.joined.clear();
    }
}

/// A write that is given up leaves its records behind, for the retry to join.
impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        for (index, place) in self.joined.drain(..) {
            self.pending.put(&self.records[index], place);
        }
        for (batch, sent) in self.sent.drain(..) {
            for index in sent {
                self.pending.put(&self.records[index], Place { batch: Arc::clone(&batch), index });
            }
        }
    }
}

/// Tells the batch when no more records come, also when the write is dropped on the way.
struct HandingOver<'a> {
    tickets: &'a Tickets,
    batch: &'a Arc<Batch>,
    sent: usize,
}

impl Drop for HandingOver<'_> {
    fn drop(&mut self) {
        self.tickets.handed_over(self.batch, self.sent);
    }
}
