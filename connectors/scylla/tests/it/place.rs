//! Where the tests run: a server with an outbox table, a writer, and a reader that does as the host does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use uuid::Uuid;
use weir_scylla::change::Changes;
use weir_scylla::hub::Hub;
use weir_scylla::outbox::Outbox;
use weir_scylla::reader::clock::Monotonic;
use weir_scylla::reader::open::Logs;
use weir_scylla::reader::token::Position;
use weir_scylla_dev::{Builder, Clock, ScyllaDev};
use weir_sdk::metrics::Metrics;
use weir_sdk::testing::contract::Disturbance;
use weir_sdk::{Checkpoint, Conditions, Context, Error, Record, Room, Source, SourceFactory, Start, TaskId};

/// No test waits longer for anything; what they wait for comes within two seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much faster time passes than on the wall.
const HASTE: u32 = 5;
pub(crate) const ROOM: Room = Room { records: 1_000, bytes: 1 << 20 };

pub(crate) struct Place {
    pub(crate) server: ScyllaDev,
    pub(crate) session: Arc<Session>,
    /// By how much the server's clock was set, in microseconds. What else moves it is time that passes.
    set: Arc<AtomicI64>,
    /// Until it is dropped, time passes faster.
    haste: Option<JoinSet<()>>,
}

/// For the server and for those who read from it, [`HASTE`] seconds pass in one.
fn hasten(clock: Clock) -> JoinSet<()> {
    const STEP: Duration = Duration::from_millis(5);
    let mut haste = JoinSet::new();
    haste.spawn(async move {
        let mut before = Instant::now();
        loop {
            tokio::time::sleep(STEP).await;
            let now = Instant::now();
            clock.advance((now - before) * (HASTE - 1));
            before = now;
        }
    });
    haste
}

impl Place {
    /// A server with `shop.outbox`, whose log lives for a day.
    pub(crate) async fn start() -> Self {
        Self::on(ScyllaDev::builder(), "{'enabled': false}").await
    }

    /// A server with `shop.outbox` on tablets or not.
    pub(crate) async fn on(builder: Builder, tablets: &str) -> Self {
        let server = builder.start().await.unwrap();
        let builder = SessionBuilder::new().known_node(server.address().to_string());
        let session = Arc::new(Box::pin(builder.build()).await.unwrap());
        let haste = Some(hasten(server.clock()));
        let place = Self { server, session, set: Arc::default(), haste };
        let replication = "{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}";
        place
            .run(&format!("CREATE KEYSPACE shop WITH replication = {replication} AND tablets = {tablets}"))
            .await;
        place.table("outbox", "{'enabled': true}").await;
        place
    }

    /// Here time passes as it does on the wall.
    pub(crate) fn unhurried(self) -> Self {
        Self { haste: None, ..self }
    }

    pub(crate) async fn table(&self, name: &str, cdc: &str) {
        self.run(&format!(
            "CREATE TABLE shop.{name} (aggregate_id uuid, sequence_number bigint, id uuid, event_id uuid, \
             event_type text, event_version int, payload text, correlation_id uuid, causation_id uuid, \
             created_at timestamp, published boolean, \
             PRIMARY KEY ((aggregate_id), sequence_number)) WITH cdc = {cdc}"
        ))
        .await;
    }

    pub(crate) async fn run(&self, cql: &str) {
        if let Err(error) = self.session.query_unpaged(cql, ()).await {
            panic!("{cql}: {error}");
        }
    }

    /// Writes event number `number` of an aggregate, as an application would.
    pub(crate) async fn write(&self, aggregate: u128, number: i64) {
        self.run(&insert(aggregate, number, "")).await;
    }

    /// Writes events `numbers` of each of the aggregates `0..aggregates`, many at a time.
    pub(crate) async fn write_many(&self, aggregates: u128, numbers: std::ops::Range<i64>) {
        let text = "INSERT INTO shop.outbox (aggregate_id, sequence_number, event_id, event_type, event_version, payload) VALUES (?, ?, ?, 'OrderCreated', 1, ?)";
        let statement = self.session.prepare(text).await.unwrap();
        for number in numbers {
            let writes = (0..aggregates).map(|aggregate| {
                let ids = (Uuid::from_u128(aggregate), number, event_id(aggregate, number));
                let values = (ids.0, ids.1, ids.2, payload(aggregate, number));
                self.session.execute_unpaged(&statement, values)
            });
            for written in futures::future::join_all(writes).await {
                written.unwrap();
            }
        }
    }

    pub(crate) fn config(&self) -> Value {
        let mut config = json!({
            "session": {"contact_points": [self.server.address().to_string()], "request_timeout": "2s"},
            "keyspace": "shop",
            "table": "outbox",
        });
        if self.haste.is_some() {
            // A fifth of it on the wall: a row that a busy machine writes as late as that is late.
            config["confidence"] = "1s".into();
            config["poll_interval"] = "20ms".into();
        }
        config
    }

    pub(crate) async fn open(&self, resume: Checkpoint) -> Tail {
        self.open_with(self.config(), resume).await.unwrap()
    }

    pub(crate) async fn open_with(&self, config: Value, resume: Checkpoint) -> Result<Tail, Error> {
        self.open_in(context(), config, resume).await
    }

    /// Opens in the context of an operator who accepts a gap.
    pub(crate) async fn open_over_gap(&self, resume: Checkpoint) -> Tail {
        self.open_over_gap_with(self.config(), resume).await
    }

    pub(crate) async fn open_over_gap_with(&self, config: Value, resume: Checkpoint) -> Tail {
        self.open_in(context().accepting_gap(), config, resume).await.unwrap()
    }

    /// Sets the server's clock forward: no time passes.
    pub(crate) fn set_forward(&self, by: Duration) {
        self.set.fetch_add(by.as_micros() as i64, Ordering::SeqCst);
        self.server.faults().advance_clock(by);
    }

    /// Sets the server's clock back.
    pub(crate) fn set_back(&self, by: Duration) {
        self.server.faults().rewind_clock(by);
        self.set.fetch_sub(by.as_micros() as i64, Ordering::SeqCst);
    }

    /// The clock of the machine that reads: where a test moves the server's, it lets as much time pass for both.
    fn monotonic(&self) -> Monotonic {
        let (clock, set, begin) = (self.server.clock().clone(), self.set.clone(), Instant::now());
        let passed = move || clock.micros() - set.load(Ordering::SeqCst);
        let before = passed();
        Monotonic::of(move || begin + Duration::from_micros((passed() - before).max(0) as u64))
    }

    async fn open_in(&self, context: Context, config: Value, resume: Checkpoint) -> Result<Tail, Error> {
        self.take(&*self.sources(Hub::default()), context, config, resume).await
    }

    /// Sources that share what they read over this hub.
    pub(crate) fn sources(&self, hub: Hub) -> Arc<dyn SourceFactory> {
        weir_sdk::connector::source(Outbox::of(Logs::counting_by(self.monotonic()).over(hub)))
    }

    /// Sources of changes that share what they read over this hub.
    pub(crate) fn changes(&self, hub: Hub) -> Arc<dyn SourceFactory> {
        weir_sdk::connector::source(Changes::of(Logs::counting_by(self.monotonic()).over(hub)))
    }

    /// Opens one of these sources.
    pub(crate) async fn seat(&self, sources: &dyn SourceFactory, resume: Checkpoint) -> Tail {
        self.seat_with(sources, self.config(), resume).await.unwrap()
    }

    pub(crate) async fn seat_with(
        &self,
        sources: &dyn SourceFactory,
        config: Value,
        resume: Checkpoint,
    ) -> Result<Tail, Error> {
        self.take(sources, context(), config, resume).await
    }

    pub(crate) async fn take(
        &self,
        factory: &dyn SourceFactory,
        context: Context,
        config: Value,
        resume: Checkpoint,
    ) -> Result<Tail, Error> {
        let (metrics, conditions) = (context.metrics().clone(), context.conditions().clone());
        assert_eq!(factory.check(&config), []);
        let opened = factory.open(config, resume.clone(), context);
        let source = timeout(PATIENCE, opened).await.expect("open takes no longer")?;
        let (start, mut checkpoint) = (source.start(), resume);
        checkpoint.merge(start.checkpoint.clone());
        Ok(Tail {
            source,
            start,
            checkpoint: checkpoint.without_retired(),
            seen: Vec::new(),
            metrics,
            conditions,
        })
    }

    /// Makes trouble for a contract's test; `false` for a kind that the server does not make.
    pub(crate) async fn disturb(&mut self, how: Disturbance) -> bool {
        match how {
            Disturbance::Down => self.server.stop().await,
            Disturbance::Silent => self.server.faults().freeze(),
            Disturbance::Flaky => return false,
        }
        true
    }

    /// Takes it back.
    pub(crate) async fn restore(&mut self) {
        self.server.faults().thaw();
        self.server.restart().await.unwrap();
    }
}

fn context() -> Context {
    context_of("orders", "topic")
}

pub(crate) fn context_of(pipeline: &str, sink: &str) -> Context {
    Context::new(TaskId { pipeline: pipeline.into(), sink: sink.into() }, Metrics::default())
}

/// An open source, what it emitted, and the checkpoint that was saved.
pub(crate) struct Tail {
    pub(crate) source: Box<dyn Source>,
    pub(crate) start: Start,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) seen: Vec<Record>,
    pub(crate) metrics: Metrics,
    /// What the source says of itself.
    pub(crate) conditions: Conditions,
}

impl Tail {
    /// Polls once; how many records came.
    pub(crate) async fn poll(&mut self, room: Room) -> Result<usize, Error> {
        let polled = timeout(PATIENCE, self.source.poll(room)).await.expect("a poll takes no longer");
        let batch = polled?.expect("a log has no end");
        assert!(batch.records.len() <= room.records, "{} records", batch.records.len());
        assert!(batch.records.len() == 1 || batch.records.size() <= room.bytes);
        self.checkpoint.merge(batch.checkpoint);
        self.checkpoint = std::mem::take(&mut self.checkpoint).without_retired();
        self.seen.extend_from_slice(&batch.records);
        Ok(batch.records.len())
    }

    /// Polls until so many records have come altogether.
    pub(crate) async fn until(&mut self, records: usize) {
        let begun = Instant::now();
        while self.seen.len() < records {
            self.poll(ROOM).await.unwrap();
            assert!(
                begun.elapsed() < PATIENCE,
                "{} of {records} records came: {:?}",
                self.seen.len(),
                self.seen
            );
        }
    }

    /// Polls until nothing has come for so long; what comes late comes with a look at the server's clock.
    pub(crate) async fn quiet(&mut self, silence: Duration) {
        let mut since = Instant::now();
        while since.elapsed() < silence {
            if self.poll(ROOM).await.unwrap() > 0 {
                since = Instant::now();
            }
        }
    }

    /// Polls until everything written before now, by the server's clock, has been read.
    pub(crate) async fn caught_up(&mut self, server: &ScyllaDev) {
        let (now, begun) = (server.clock().micros(), Instant::now());
        while Position::read(&self.checkpoint).unwrap().unwrap().main.cut < now {
            self.poll(ROOM).await.unwrap();
            assert!(begun.elapsed() < PATIENCE, "the front stays at {:?}", self.checkpoint);
        }
    }

    /// Per key, the numbers in the order in which they came, but for those that came late.
    pub(crate) fn by_key(&self) -> BTreeMap<String, Vec<i64>> {
        let mut keys: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for record in self.seen.iter().filter(|record| header(record, "weir.late").is_none()) {
            let number = header(record, "sequence_number").unwrap().parse().unwrap();
            keys.entry(text(record.key.as_ref().unwrap())).or_default().push(number);
        }
        keys
    }

    /// The payloads in the order in which they came.
    pub(crate) fn payloads(&self) -> Vec<String> {
        self.seen.iter().map(|record| text(record.value.as_ref().unwrap())).collect()
    }

    pub(crate) fn counted(&self, name: &'static str) -> u64 {
        self.metrics.counter((name, "")).get()
    }
}

/// An INSERT of an event; `using` may be `USING TIMESTAMP …`.
pub(crate) fn insert(aggregate: u128, number: i64, using: &str) -> String {
    format!(
        "INSERT INTO shop.outbox (aggregate_id, sequence_number, event_id, event_type, event_version, payload) \
         VALUES ({}, {number}, {}, 'OrderCreated', 1, '{}') {using}",
        Uuid::from_u128(aggregate),
        event_id(aggregate, number),
        payload(aggregate, number),
    )
}

pub(crate) fn event_id(aggregate: u128, number: i64) -> Uuid {
    Uuid::from_u128((aggregate + 1) << 64 | u128::from(number.unsigned_abs()))
}

pub(crate) fn payload(aggregate: u128, number: i64) -> String {
    format!(r#"{{"order": {aggregate}, "number": {number}}}"#)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(crate) fn header(record: &Record, name: &str) -> Option<String> {
    record.headers.get(name).map(text)
}
