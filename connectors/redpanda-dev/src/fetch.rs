//! Reads that wait for records and stop at the size asked for.
//!
//! The engine's own fetch answers at once, so an idle consumer spins, and copies all that follows the offset,
//! so a deep backlog costs its square. This one reads the same log.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::fetch_response::{AbortedTransaction, FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{FetchRequest, FetchResponse, ProducerId};
use noida::kafka::engine::{EngineState, PartitionState};
use noida::kafka::log::batch_last_offset;
use tokio::time::{Instant, timeout_at};

use crate::serve::Shared;

const OFFSET_OUT_OF_RANGE: i16 = 1;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const READ_COMMITTED: i8 = 1;

/// Answers when `min_bytes` are there, when something is wrong, or after `max_wait_ms`.
pub(crate) async fn wait(shared: &Shared, request: &FetchRequest) -> FetchResponse {
    let deadline = Instant::now() + Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let enough = usize::try_from(request.min_bytes).unwrap_or(0);
    let mut changes = shared.changes();
    loop {
        let read = read(&shared.state(), request);
        if read.bytes >= enough || read.failed || request.topics.is_empty() {
            return read.response;
        }
        if timeout_at(deadline, changes.changed()).await.is_err() {
            return read.response;
        }
    }
}

struct Read {
    response: FetchResponse,
    bytes: usize,
    failed: bool,
}

fn read(state: &EngineState, request: &FetchRequest) -> Read {
    let mut room = usize::try_from(request.max_bytes).unwrap_or(usize::MAX);
    let mut read = Read { response: FetchResponse::default(), bytes: 0, failed: false };
    for topic in &request.topics {
        let logs = state.topics.get(topic.topic.as_str()).map(|topic| &topic.partitions);
        let mut answers = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let answer = match logs.and_then(|logs| logs.get(&asked.partition)) {
                Some(log) => read_partition(log, asked, request.isolation_level, room),
                None => PartitionData::default()
                    .with_partition_index(asked.partition)
                    .with_error_code(UNKNOWN_TOPIC_OR_PARTITION),
            };
            let bytes = answer.records.as_ref().map_or(0, Bytes::len);
            room = room.saturating_sub(bytes);
            read.bytes += bytes;
            read.failed |= answer.error_code != 0;
            answers.push(answer);
        }
        let answer =
            FetchableTopicResponse::default().with_topic(topic.topic.clone()).with_partitions(answers);
        read.response.responses.push(answer);
    }
    read
}

fn read_partition(log: &PartitionState, asked: &FetchPartition, isolation: i8, room: usize) -> PartitionData {
    let from = asked.fetch_offset;
    let first_open = log.active_txns.values().copied().min().unwrap_or(i64::MAX);
    let stable = first_open.min(log.high_watermark);
    let answer = PartitionData::default()
        .with_partition_index(asked.partition)
        .with_high_watermark(log.high_watermark)
        .with_last_stable_offset(stable)
        .with_log_start_offset(log.log_start_offset);
    if !(log.log_start_offset..=log.high_watermark).contains(&from) {
        return answer.with_error_code(OFFSET_OUT_OF_RANGE);
    }
    let room = room.min(usize::try_from(asked.partition_max_bytes).unwrap_or(0));
    if isolation == READ_COMMITTED {
        let aborted = aborted_since(log, from);
        answer
            .with_records(Some(whole_batches(log, from, stable, room)))
            .with_aborted_transactions(Some(aborted))
    } else {
        answer.with_records(Some(whole_batches(log, from, log.high_watermark, room)))
    }
}

/// As many whole batches from an offset on as there is room for, and the first one even if it is larger:
/// otherwise a consumer could never pass it.
fn whole_batches(log: &PartitionState, from: i64, end: i64, room: usize) -> Bytes {
    if room == 0 {
        return Bytes::new();
    }
    let batches = &log.record_batches;
    let start = batches.partition_point(|(base, batch)| batch_last_offset(*base, batch) < from);
    let mut size = 0;
    let fitting = batches[start..].iter().take_while(|(base, batch)| {
        let fits = *base < end && (size == 0 || size + batch.len() <= room);
        size += if fits { batch.len() } else { 0 };
        fits
    });
    let count = fitting.count();
    let mut records = Vec::with_capacity(size);
    for (_, batch) in &batches[start..start + count] {
        records.extend_from_slice(batch);
    }
    Bytes::from(records)
}

/// The aborted transactions that end after an offset. One that ended before it must not be named: its end mark
/// would never be read, and the consumer would drop what the same producer wrote later.
fn aborted_since(log: &PartitionState, from: i64) -> Vec<AbortedTransaction> {
    let mut aborted: Vec<_> = log.aborted_txns.clone();
    aborted.retain(|&(producer, first)| end_of_transaction(log, producer, first) >= from);
    aborted.sort_by_key(|&(_, first)| first);
    let name = |(producer, first)| {
        AbortedTransaction::default().with_producer_id(ProducerId(producer)).with_first_offset(first)
    };
    aborted.into_iter().map(name).collect()
}

/// The offset of the mark that ends a producer's transaction.
fn end_of_transaction(log: &PartitionState, producer: i64, first: i64) -> i64 {
    let batches = &log.record_batches;
    let start = batches.partition_point(|(base, _)| *base < first);
    let is_end = |batch: &[u8]| is_control(batch) && producer_of(batch) == producer;
    batches[start..].iter().find(|(_, batch)| is_end(batch)).map_or(i64::MAX, |(base, _)| *base)
}

/// Bit 5 of the attributes of a record batch.
fn is_control(batch: &[u8]) -> bool {
    batch.get(22).is_some_and(|attributes| attributes & 0x20 != 0)
}

fn producer_of(batch: &[u8]) -> i64 {
    batch.get(43..51).and_then(|id| id.try_into().ok()).map_or(-1, i64::from_be_bytes)
}
