//! What the event store takes: appends a second, alone and several on the same aggregates, beside their bare statements.

use std::sync::Arc;
use std::time::{Duration, Instant};

use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::statement::batch::{Batch, BatchType};
use tokio::task::JoinSet;
use uuid::Uuid;
use weir_event_store::{Error, EventStore, NewEvent};

use super::report::{quantile, say};
use super::servers::Server;

/// Appends to the event store: how many a second, and what contention costs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For how long each measurement runs, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Writers at the same time.
    #[arg(long, default_value_t = 16)]
    writers: usize,
    /// Events of an append.
    #[arg(long, default_value_t = 1)]
    events: usize,
}

/// What one writer, or all of them, came to.
#[derive(Default)]
struct Done {
    appends: u64,
    conflicts: u64,
    /// How long each append took, its conflicts included, in microseconds.
    took: Vec<u64>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let (server, runtime) = (Server::scylla(16)?, tokio::runtime::Runtime::new()?);
    runtime.block_on(async {
        let session = Arc::new(SessionBuilder::new().known_node(&server.address).build().await?);
        weir_orders::lay_schema(&session).await?;
        say(format_args!(
            "{} writers for {} s, {} events an append: {}",
            args.writers, args.seconds, args.events, server.kind
        ));
        let bare = args.all(|_, until| bare_appends(session.clone(), args.events, until)).await?;
        bare.show("bare statements", args);
        let store = EventStore::open(session.clone(), weir_orders::store_options()).await?;
        let mut alone = None;
        let mut shared = vec![args.writers, args.writers.div_ceil(4), 1];
        shared.dedup();
        for aggregates in shared {
            let ids: Vec<_> = (0..aggregates).map(|_| Uuid::new_v4()).collect();
            let done = args
                .all(|writer, until| appends(store.clone(), (ids[writer % aggregates], args.events), until))
                .await?;
            done.show(&format!("aggregates: {aggregates}"), args);
            counted(&store, &ids, &done, args.events).await?;
            alone.get_or_insert(done.appends);
        }
        let ratio = alone.unwrap_or_default() as f64 / bare.appends as f64;
        say(format_args!("event store / bare = {ratio:.2}, each writer on an aggregate of its own"));
        Ok(())
    })
}

impl Args {
    /// All writers together.
    async fn all<W>(&self, writer: impl Fn(usize, Instant) -> W) -> anyhow::Result<Done>
    where
        W: Future<Output = anyhow::Result<Done>> + Send + 'static,
    {
        let until = Instant::now() + Duration::from_secs(self.seconds);
        let mut writers: JoinSet<_> = (0..self.writers).map(|number| writer(number, until)).collect();
        let mut all = Done::default();
        while let Some(done) = writers.join_next().await {
            let done = done??;
            all.appends += done.appends;
            all.conflicts += done.conflicts;
            all.took.extend(done.took);
        }
        all.took.sort_unstable();
        Ok(all)
    }
}

impl Done {
    fn show(&self, name: &str, args: &Args) {
        say(format_args!(
            "{name:<22} {:>7.0} appends/s   {:>5.2} conflicts an append   p50 {:.1} ms, p99 {:.1} ms",
            self.appends as f64 / args.seconds as f64,
            self.conflicts as f64 / self.appends.max(1) as f64,
            quantile(&self.took, 0.5) as f64 / 1000.0,
            quantile(&self.took, 0.99) as f64 / 1000.0,
        ));
    }
}

fn event() -> NewEvent {
    let payload = format!(r#"{{"order_id":"{}","note":"{}"}}"#, Uuid::new_v4(), "x".repeat(250));
    NewEvent::new("OrderItemAdded", 1, payload)
}

/// Appends until the time is over; after a conflict it loads again, as a command handler does.
async fn appends(store: EventStore, (id, events): (Uuid, usize), until: Instant) -> anyhow::Result<Done> {
    let (mut done, mut head) = (Done::default(), store.load(id).await?.head);
    while Instant::now() < until {
        let (began, new) = (Instant::now(), (0..events).map(|_| event()).collect::<Vec<_>>());
        head = loop {
            match store.append(&head, "Order", new.clone()).await {
                Ok(appended) => break appended.head,
                Err(Error::Conflict { .. }) => {
                    done.conflicts += 1;
                    let pause = Duration::from_millis(rand::random_range(0..10));
                    tokio::time::sleep(pause).await;
                    head = store.load_after(id, head.sequence()).await?.head;
                }
                Err(error) => return Err(error.into()),
            }
        };
        done.appends += 1;
        done.took.push(u64::try_from(began.elapsed().as_micros())?);
    }
    Ok(done)
}

/// Everything that was appended is there once, numbered without a gap.
async fn counted(store: &EventStore, ids: &[Uuid], done: &Done, events: usize) -> anyhow::Result<()> {
    let mut there = 0;
    for id in ids {
        let history = store.load(*id).await?;
        for (number, event) in (1..).zip(&history.events) {
            anyhow::ensure!(event.sequence_number == number, "a gap before {number} of {id}");
        }
        there += history.events.len() as u64;
    }
    anyhow::ensure!(there == done.appends * events as u64, "{there} events after {} appends", done.appends);
    Ok(())
}

/// The statements of an append and nothing around them: one conditional update, one logged batch.
async fn bare_appends(session: Arc<Session>, events: usize, until: Instant) -> anyhow::Result<Done> {
    let id = Uuid::new_v4();
    let row = "INSERT INTO orders_ks.aggregate_sequence (aggregate_id, current_sequence, claim_ts) VALUES (?, 0, 0)";
    session.query_unpaged(row, (id,)).await?;
    let claim = "UPDATE orders_ks.aggregate_sequence SET current_sequence = ?, pending = ? WHERE aggregate_id = ? \
                 IF current_sequence = ?";
    let claim = session.prepare(claim).await?;
    let mut batch = Batch::new(BatchType::Logged);
    for _ in 0..events {
        for (table, payload) in [("event_store", "event_data"), ("outbox_messages", "payload")] {
            let insert = format!(
                "INSERT INTO orders_ks.{table} (aggregate_id, sequence_number, event_id, event_type, event_version, \
                 {payload}) VALUES (?, ?, ?, 'OrderItemAdded', 1, ?)"
            );
            batch.append_statement(session.prepare(insert).await?);
        }
    }
    let (mut done, mut sequence) = (Done::default(), 0_i64);
    while Instant::now() < until {
        let (began, new) = (Instant::now(), (0..events).map(|_| event()).collect::<Vec<_>>());
        let next = sequence + i64::try_from(events)?;
        let pending: String = new.iter().map(|event| event.payload.as_str()).collect();
        session.execute_unpaged(&claim, (next, pending, id, sequence)).await?;
        let rows = (sequence + 1..).zip(&new).flat_map(|(number, event)| {
            let row = (id, number, event.event_id, event.payload.as_str());
            [row, row]
        });
        session.batch(&batch, rows.collect::<Vec<_>>()).await?;
        sequence = next;
        done.appends += 1;
        done.took.push(u64::try_from(began.elapsed().as_micros())?);
    }
    Ok(done)
}
