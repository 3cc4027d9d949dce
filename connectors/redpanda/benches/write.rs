//! What the sink costs on top of librdkafka: `write` in batches of 1000 with 4 in flight, against a bare
//! `ThreadedProducer` with the same settings, on the embedded broker. Both alternate; the medians are compared.
//!
//! CPU is that of this process without the broker's thread. An embedded broker says nothing about a real one's speed.
#![expect(clippy::unwrap_used, reason = "a benchmark ends at the first surprise")]
#![expect(clippy::print_stdout, reason = "the result is what it prints")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext};
use serde_json::json;
use tokio::time::Instant;
use weir_redpanda_dev::RedpandaDev;
use weir_sdk::metrics::Metrics;
use weir_sdk::testing::{RecordExt, record};
use weir_sdk::{Context, Record, Records, TaskId};

const RECORDS: usize = 400_000;
const BATCH: usize = 1000;
const LANES: usize = 4;
const ROUNDS: usize = 5;
const HEADERS: [&str; 7] = [
    "event_id",
    "event_type",
    "event_version",
    "aggregate_id",
    "sequence_number",
    "correlation_id",
    "created_at",
];

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for headers in [0, 3, 7] {
        let records = records(headers);
        let (mut bare, mut sink) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            bare.push(measure(|broker| bare_loop(broker, &records)));
            sink.push(measure(|broker| runtime.block_on(through_sink(broker, &records))));
        }
        let (bare, sink) = (median(bare), median(sink));
        println!("{headers} headers, {RECORDS} records of 200 B, {BATCH} a batch, {LANES} in flight, lz4:");
        println!("  bare ThreadedProducer {:>9.0} records/s  {:.2} us CPU a record", bare.rate, bare.micros);
        println!("  weir redpanda sink    {:>9.0} records/s  {:.2} us CPU a record", sink.rate, sink.micros);
        println!(
            "  ratio                 {:>9.2}            {:.2}",
            sink.rate / bare.rate,
            sink.micros / bare.micros
        );
    }
}

#[derive(Clone, Copy)]
struct Cost {
    rate: f64,
    micros: f64,
}

fn median(mut costs: Vec<Cost>) -> Cost {
    let mut middle = |key: fn(&Cost) -> f64| {
        costs.sort_by(|a, b| key(a).total_cmp(&key(b)));
        key(&costs[costs.len() / 2])
    };
    Cost { rate: middle(|cost| cost.rate), micros: middle(|cost| cost.micros) }
}

/// What a run of so many records costs, once a batch has gone through: connecting is not what is compared.
struct Clock(Instant, f64);

impl Clock {
    fn start() -> Self {
        Self(Instant::now(), cpu_without_broker())
    }

    fn stop(self) -> Cost {
        let (seconds, cpu) = (self.0.elapsed().as_secs_f64(), cpu_without_broker() - self.1);
        Cost { rate: RECORDS as f64 / seconds, micros: cpu * 1e6 / RECORDS as f64 }
    }
}

fn measure(run: impl FnOnce(&RedpandaDev) -> Cost) -> Cost {
    let broker = RedpandaDev::start("127.0.0.1:0").unwrap();
    broker.create_topic("t", 4).unwrap();
    let cost = run(&broker);
    let arrived: i64 = (0..4).map(|partition| broker.end_offset("t", partition).unwrap()).sum();
    assert_eq!(usize::try_from(arrived).unwrap(), BATCH + RECORDS, "counted at the destination");
    cost
}

fn records(headers: usize) -> Records {
    let value = "0123456789 the same two hundred bytes ".repeat(6);
    let one = |n: usize| {
        let made = record(&format!("order-{}", n % 97), &value[..200]).micros(1_700_000_000_000_000);
        HEADERS[..headers]
            .iter()
            .fold(made, |made, name| made.header(name, "0190a5f2-0000-7000-8000-000000000001"))
    };
    (0..BATCH).map(one).collect()
}

async fn through_sink(broker: &RedpandaDev, records: &Records) -> Cost {
    let config = json!({"brokers": broker.address().to_string(), "topic": "t",
        "librdkafka": {"broker.address.family": "v4"}});
    let task = TaskId { pipeline: "bench".into(), sink: "redpanda".into() };
    let sink = weir_redpanda::sinks()[0].open(config, Context::new(task, Metrics::default())).await.unwrap();
    sink.write(records.clone()).await.unwrap();
    let clock = Clock::start();
    let lanes: Vec<_> = (0..LANES)
        .map(|_| {
            let (sink, records) = (Arc::clone(&sink), records.clone());
            tokio::spawn(async move {
                for _ in 0..RECORDS / BATCH / LANES {
                    sink.write(records.clone()).await.unwrap();
                }
            })
        })
        .collect();
    for lane in lanes {
        lane.await.unwrap();
    }
    let cost = clock.stop();
    sink.close().await.unwrap();
    cost
}

fn bare_loop(broker: &RedpandaDev, records: &Records) -> Cost {
    let mut settings = ClientConfig::new();
    settings
        .set("bootstrap.servers", broker.address().to_string())
        .set("broker.address.family", "v4")
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", "lz4")
        .set("linger.ms", "1")
        .set("partitioner", "murmur2_random")
        .set("queue.buffering.max.messages", "0")
        .set("queue.buffering.max.kbytes", "8192");
    let producer: ThreadedProducer<Counting> = settings.create_with_context(Counting::default()).unwrap();
    produce(&producer, records.iter());
    let clock = Clock::start();
    produce(&producer, records.iter().cycle().take(RECORDS));
    let cost = clock.stop();
    assert_eq!(producer.client().context().delivered.load(Ordering::Acquire), BATCH + RECORDS);
    cost
}

/// Sends records and waits for all reports.
fn produce<'a>(producer: &ThreadedProducer<Counting>, records: impl Iterator<Item = &'a Record>) {
    for record in records {
        let mut message: BaseRecord<'_, [u8], [u8], usize> = BaseRecord::with_opaque_to("t", 1);
        message.key = record.key.as_deref();
        message.payload = record.value.as_deref();
        message.timestamp = Some(record.timestamp.as_millis());
        if !record.headers.is_empty() {
            let empty = OwnedHeaders::new_with_capacity(record.headers.len());
            message.headers = Some(record.headers.iter().fold(empty, |built, header| {
                built.insert(Header { key: header.name.as_str(), value: header.value })
            }));
        }
        while let Err((_, refused)) = producer.send(message) {
            message = refused;
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
    producer.flush(Duration::from_secs(60)).unwrap();
}

#[derive(Default)]
struct Counting {
    delivered: AtomicUsize,
}

impl ClientContext for Counting {}

impl ProducerContext for Counting {
    type DeliveryOpaque = usize;

    fn delivery(&self, report: &DeliveryResult<'_>, one: usize) {
        assert!(report.is_ok());
        self.delivered.fetch_add(one, Ordering::Release);
    }
}

/// Seconds of user and system time, in the system's hundredths.
fn cpu_without_broker() -> f64 {
    let seconds = |stat: &str| -> f64 {
        // Behind the name in brackets: state is the first field, user and system time the 12th and 13th.
        let fields = stat.rsplit(')').next().unwrap().split_whitespace();
        fields.skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
    };
    let all = seconds(&std::fs::read_to_string("/proc/self/stat").unwrap());
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let brokers = threads.filter_map(|thread| {
        let stat = std::fs::read_to_string(thread.unwrap().path().join("stat")).ok()?;
        stat.contains("(redpanda-dev)").then(|| seconds(&stat))
    });
    all - brokers.sum::<f64>()
}
