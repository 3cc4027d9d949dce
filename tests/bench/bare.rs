//! The bare loop that Weir is compared with: the raw driver reads the log, the raw producer writes the topic.
//!
//! It asks the same queries, in pages of the same size and as many at a time, and produces the same records with the
//! same settings of librdkafka. It has no late rows, checkpoints, retries, deadlines, states or figures, and forgets
//! about delivery reports. A page is fetched while the one before is produced.

use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use rdkafka::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::response::PagingState;
use scylla::response::query_result::QueryRowsResult;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::{CqlTimestamp, CqlTimeuuid};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::scan;

/// What the source of Weir does by default.
pub(crate) const PAGE: i32 = 5_000;
const STREAMS: usize = 100;
pub(crate) const PARALLEL: usize = 4;

const LOG: &str = r#"SELECT "cdc$stream_id", "cdc$time", "cdc$batch_seq_no", "cdc$operation", "event_id", "event_type",
    "event_version", "aggregate_id", "sequence_number", "correlation_id", "causation_id", "created_at", "payload"
    FROM orders_ks.outbox_messages_scylla_cdc_log
    WHERE "cdc$stream_id" IN ? AND "cdc$time" >= ? AND "cdc$time" < ? BYPASS CACHE"#;

/// From the zero of timeuuids to that of Unix, in steps of 100 ns.
const EPOCH: i64 = 0x01b2_1dd2_1381_4000;

/// A row of the log, its text and bytes still in the page.
pub(crate) type Row<'a> =
    (&'a [u8], CqlTimeuuid, i32, i8, Uuid, &'a str, i32, Uuid, i64, Uuid, Uuid, CqlTimestamp, &'a str);

/// What the sink of Weir tells librdkafka by default.
const PRODUCER: [(&str, &str); 16] = [
    ("acks", "all"),
    ("enable.idempotence", "true"),
    ("enable.gapless.guarantee", "true"),
    ("message.timeout.ms", "0"),
    ("queue.buffering.max.messages", "0"),
    ("partitioner", "murmur2_random"),
    ("reconnect.backoff.ms", "50"),
    ("reconnect.backoff.max.ms", "500"),
    ("socket.timeout.ms", "10000"),
    ("socket.keepalive.enable", "true"),
    ("topic.metadata.propagation.max.ms", "5000"),
    ("log.connection.close", "false"),
    ("compression.type", "lz4"),
    ("linger.ms", "5"),
    ("batch.size", "1000000"),
    ("queue.buffering.max.kbytes", "16385"),
];

/// How much of the loop runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// From the log to the topic.
    Copy,
    /// Pages of the log are read, and only counted.
    Read,
    /// One page of the log is read, and its records produced again and again.
    Produce,
}

/// Where the rows are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Place {
    /// The CDC log of the outbox.
    #[default]
    Log,
    /// The outbox itself, by ranges of tokens: a snapshot.
    Table,
}

/// Runs the loop, says `began` and how many rows it has done, and waits to be ended.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    part: Part,
    #[arg(long)]
    from: Place,
    #[arg(long)]
    cql: String,
    #[arg(long)]
    brokers: String,
    #[arg(long)]
    topic: String,
    /// How many records to produce.
    #[arg(long)]
    records: u64,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let (sender, pages) = mpsc::channel(1);
        super::report::say("began");
        let reading = match args.from {
            Place::Log => tokio::spawn(read(args.cql.clone(), sender)),
            Place::Table => tokio::spawn(scan::read(args.cql.clone(), sender)),
        };
        let done = match args.part {
            Part::Read => count(pages).await,
            Part::Copy | Part::Produce => {
                let mut loop_of = Loop::new(args)?;
                tokio::task::spawn_blocking(move || loop_of.run(pages)).await??
            }
        };
        if args.part != Part::Produce {
            reading.await??;
        }
        super::report::say(done);
        std::future::pending().await
    })
}

/// Reads the whole log, group of streams by group.
pub(crate) async fn read(cql: String, pages: mpsc::Sender<QueryRowsResult>) -> anyhow::Result<()> {
    let session = Arc::new(SessionBuilder::new().known_node(cql).build().await?);
    let mut log = session.prepare(LOG).await?;
    log.set_page_size(PAGE);
    let streams = streams(&session).await?;
    let bounds = (first_at(0), first_at(i64::try_from(super::events::now())?));
    let groups: Vec<_> = streams.chunks(STREAMS).map(<[_]>::to_vec).collect();
    let groups = stream::iter(groups)
        .map(|group| tokio::spawn(read_group(session.clone(), log.clone(), (group, bounds), pages.clone())));
    groups.buffer_unordered(PARALLEL).map(|group| group?).try_collect().await
}

type Bounds = (CqlTimeuuid, CqlTimeuuid);

async fn read_group(
    session: Arc<Session>,
    log: PreparedStatement,
    (group, (from, to)): (Vec<Vec<u8>>, Bounds),
    pages: mpsc::Sender<QueryRowsResult>,
) -> anyhow::Result<()> {
    let mut state = PagingState::start();
    loop {
        let (page, next) = session.execute_single_page(&log, (&group, from, to), state).await?;
        if pages.send(page.into_rows_result()?).await.is_err() {
            return Ok(());
        }
        match next.into_paging_control_flow().continue_value() {
            Some(next) => state = next,
            None => return Ok(()),
        }
    }
}

async fn streams(session: &Session) -> anyhow::Result<Vec<Vec<u8>>> {
    let sets = "SELECT streams FROM system_distributed.cdc_streams_descriptions_v2";
    let rows = session.query_unpaged(sets, ()).await?.into_rows_result()?;
    let mut streams = Vec::new();
    for row in rows.rows::<(Vec<Vec<u8>>,)>()? {
        streams.extend(row?.0);
    }
    // Neighbours by token.
    streams.sort_by_key(|stream| stream.first_chunk().map(|token| i64::from_be_bytes(*token)));
    Ok(streams)
}

async fn count(mut pages: mpsc::Receiver<QueryRowsResult>) -> u64 {
    let mut rows = 0;
    while let Some(page) = pages.recv().await {
        rows += page.rows_num() as u64;
    }
    rows
}

/// The half of the loop that decodes and produces.
struct Loop {
    producer: ThreadedProducer<DefaultProducerContext>,
    topic: String,
    part: Part,
    from: Place,
    left: u64,
}

impl Loop {
    fn new(args: &Args) -> anyhow::Result<Self> {
        Ok(Self {
            producer: producer(&args.brokers)?,
            topic: args.topic.clone(),
            part: args.part,
            from: args.from,
            left: args.records,
        })
    }

    fn run(&mut self, mut pages: mpsc::Receiver<QueryRowsResult>) -> anyhow::Result<u64> {
        let all = self.left;
        while self.left > 0
            && let Some(page) = pages.blocking_recv()
        {
            self.produce(&page)?;
            while self.part == Part::Produce && page.rows_num() > 0 && self.left > 0 {
                self.produce(&page)?;
            }
        }
        self.producer.flush(Duration::from_secs(60))?;
        Ok(all - self.left)
    }

    fn produce(&mut self, page: &QueryRowsResult) -> anyhow::Result<()> {
        match self.from {
            Place::Log => self.produce_rows(page.rows::<Row<'_>>()?.map(|row| Ok(row?))),
            Place::Table => self.produce_rows(scan::rows(page)?),
        }
    }

    fn produce_rows<'p>(
        &mut self,
        rows: impl Iterator<Item = anyhow::Result<Row<'p>>>,
    ) -> anyhow::Result<()> {
        for row in rows.take(usize::try_from(self.left)?) {
            let row = row?;
            let (id, time) = (row.7.hyphenated().to_string(), micros(&row.1));
            let mut message = BaseRecord::to(&self.topic)
                .key(id.as_bytes())
                .payload(row.12.as_bytes())
                .timestamp(time / 1_000)
                .headers(headers(&row, &id, time)?);
            while let Err((error, refused)) = self.producer.send(message) {
                anyhow::ensure!(error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull), error);
                std::thread::sleep(Duration::from_millis(1));
                message = refused;
            }
            self.left -= 1;
        }
        Ok(())
    }
}

/// A producer with the settings of Weir.
pub(crate) fn producer(brokers: &str) -> anyhow::Result<ThreadedProducer<DefaultProducerContext>> {
    let mut config = ClientConfig::new();
    for (key, value) in PRODUCER {
        config.set(key, value);
    }
    Ok(config.set("bootstrap.servers", brokers).create()?)
}

/// The headers of the same record as Weir writes it.
fn headers(row: &Row<'_>, id: &str, time: i64) -> anyhow::Result<OwnedHeaders> {
    use std::fmt::Write as _;
    let text = |key, value: &str| (key, value.to_owned());
    let mut position = String::with_capacity(80);
    let (stream, time_id) = (Uuid::from_slice(row.0)?, Uuid::from_bytes(*row.1.as_bytes()));
    write!(position, "{}:{}:{}", stream.simple(), time_id.hyphenated(), row.2)?;
    let texts = [
        ("event_id", row.4.hyphenated().to_string()),
        text("event_type", row.5),
        ("event_version", row.6.to_string()),
        text("aggregate_id", id),
        ("sequence_number", row.8.to_string()),
        ("correlation_id", row.9.hyphenated().to_string()),
        ("causation_id", row.10.hyphenated().to_string()),
        ("created_at", format!("{:.3}", jiff::Timestamp::from_millisecond(row.11.0)?)),
        ("source_position", position),
        ("source_time_us", time.to_string()),
    ];
    let headers = OwnedHeaders::new_with_capacity(texts.len());
    Ok(texts.iter().fold(headers, |headers, (key, value)| headers.insert(Header { key, value: Some(value) })))
}

/// Microseconds since 1970.
pub(crate) fn micros(time: &CqlTimeuuid) -> i64 {
    let (low, mid, high, _) = time.as_fields();
    let ticks = i64::from(low) | i64::from(mid) << 32 | i64::from(high & 0x0fff) << 48;
    (ticks - EPOCH) / 10
}

/// The first timeuuid of a microsecond.
pub(crate) fn first_at(micros: i64) -> CqlTimeuuid {
    let ticks = micros * 10 + EPOCH;
    let (low, mid, high) = (ticks as u32, (ticks >> 32) as u16, 0x1000 | (ticks >> 48) as u16);
    CqlTimeuuid::from_fields(low, mid, high, &[0x80; 8])
}
