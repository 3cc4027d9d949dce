//! What the sources cost on top of the driver: a backlog read through `poll`, against a bare loop over the same pages.
//!
//! The bare loop asks the same streams for the same columns, page by page with one page ahead, and looks at every
//! value. Both alternate; the medians are compared. The development server serves both, in this process, so the ratio
//! is what counts and not the rows a second. `RECORDS=n` changes the size of the backlog.
#![expect(clippy::unwrap_used, reason = "a benchmark ends at the first surprise")]
#![expect(clippy::print_stdout, reason = "the result is what it prints")]

use std::sync::Arc;
use std::time::Duration;

use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::response::PagingState;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::{CqlTimestamp, CqlTimeuuid};
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;
use weir_scylla::hub::Hub;
use weir_scylla_dev::ScyllaDev;
use weir_sdk::metrics::Metrics;
use weir_sdk::{Checkpoint, Context, Room, TaskId};

const ROUNDS: usize = 5;
const PAGE: i32 = 5_000;
const PAYLOAD: usize = 400;
const ROOM: Room = Room { records: 1_000, bytes: 1 << 20 };
const TABLE: &str = "CREATE TABLE shop.outbox (aggregate_id uuid, sequence_number bigint, event_id uuid, \
    event_type text, event_version int, payload text, correlation_id uuid, causation_id uuid, created_at timestamp, \
    PRIMARY KEY ((aggregate_id), sequence_number)) WITH cdc = {'enabled': true}";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let records = records();
        let server = ScyllaDev::builder().start().await.unwrap();
        let address = server.address().to_string();
        let session = Arc::new(Box::pin(SessionBuilder::new().known_node(&address).build()).await.unwrap());
        fill(&session, records).await;
        // So that all of it is a settled backlog.
        server.faults().advance_clock(Duration::from_secs(600));
        let (mut bare, mut sources) = (Vec::new(), [Vec::new(), Vec::new()]);
        for _ in 0..ROUNDS {
            bare.push(read_bare(&session, records).await);
            for (source, times) in sources.iter_mut().enumerate() {
                times.push(read_source(source, &address, records).await);
            }
        }
        let rate = |time: Duration| records as f64 / time.as_secs_f64();
        let bare = median(bare);
        println!("{records} records: bare {:.0}/s", rate(bare));
        for (name, times) in ["scylla-outbox", "scylla-cdc"].iter().zip(sources) {
            let time = median(times);
            println!("{name} {:.0}/s, ratio {:.2}", rate(time), bare.as_secs_f64() / time.as_secs_f64());
        }
    });
}

fn records() -> usize {
    #[expect(clippy::disallowed_methods, reason = "a benchmark is its own main")]
    let given = std::env::var("RECORDS");
    given.map_or(200_000, |given| given.parse().unwrap())
}

async fn fill(session: &Arc<Session>, records: usize) {
    let run = async |text: &str| session.query_unpaged(text, ()).await.unwrap();
    run("CREATE KEYSPACE shop WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1} AND tablets = {'enabled': false}").await;
    run(TABLE).await;
    let text = "INSERT INTO shop.outbox (aggregate_id, sequence_number, event_id, event_type, event_version, payload, correlation_id, causation_id, created_at) VALUES (?, ?, ?, 'OrderCreated', 1, ?, ?, ?, ?)";
    let statement = session.prepare(text).await.unwrap();
    let payload = "x".repeat(PAYLOAD);
    for begin in (0..records).step_by(500) {
        let writes = (begin..records.min(begin + 500)).map(|number| {
            let id = Uuid::from_u128(number as u128);
            let key = Uuid::from_u128(number as u128 % 5_000);
            let values = (key, number as i64, id, payload.as_str(), id, id, CqlTimestamp(1_700_000_000_000));
            session.execute_unpaged(&statement, values)
        });
        for written in futures::future::join_all(writes).await {
            written.unwrap();
        }
    }
}

async fn read_bare(session: &Arc<Session>, records: usize) -> Duration {
    let generations = "SELECT streams FROM system_distributed.cdc_streams_descriptions_v2";
    let answer = session.query_unpaged(generations, ()).await.unwrap().into_rows_result().unwrap();
    let streams: Vec<Vec<u8>> =
        answer.rows::<(Vec<Vec<u8>>,)>().unwrap().flat_map(|row| row.unwrap().0).collect();
    let mut statement = session
        .prepare(r#"SELECT "cdc$stream_id", "cdc$time", "cdc$batch_seq_no", "cdc$operation", event_id, event_type, event_version, aggregate_id, sequence_number, correlation_id, causation_id, created_at, payload FROM shop.outbox_scylla_cdc_log WHERE "cdc$stream_id" IN ? BYPASS CACHE"#)
        .await
        .unwrap();
    statement.set_page_size(PAGE);
    let begun = Instant::now();
    let (sender, mut pages) = tokio::sync::mpsc::channel(1);
    let reading = tokio::spawn(pages_of(session.clone(), statement, streams, sender));
    let (mut seen, mut bytes) = (0, 0);
    while let Some(page) = pages.recv().await {
        let (rows, size): (usize, usize) = page;
        seen += rows;
        bytes += size;
    }
    reading.await.unwrap();
    assert_eq!((seen, bytes), (records, records * PAYLOAD));
    begun.elapsed()
}

async fn pages_of(
    session: Arc<Session>,
    statement: PreparedStatement,
    streams: Vec<Vec<u8>>,
    pages: tokio::sync::mpsc::Sender<(usize, usize)>,
) {
    let mut state = PagingState::start();
    loop {
        let (answer, next) = session.execute_single_page(&statement, (&streams,), state).await.unwrap();
        let answer = answer.into_rows_result().unwrap();
        pages.send(count(&answer)).await.unwrap();
        match next.into_paging_control_flow().continue_value() {
            Some(next) => state = next,
            None => return,
        }
    }
}

fn count(answer: &scylla::response::query_result::QueryRowsResult) -> (usize, usize) {
    let mut bytes = 0;
    let mut rows = 0;
    for row in answer.rows::<Row<'_>>().unwrap() {
        rows += 1;
        bytes += std::hint::black_box(row.unwrap()).payload.len();
    }
    (rows, bytes)
}

/// A row of the log as the driver gives it, without a copy.
#[expect(dead_code, reason = "decoding the values is the point")]
#[derive(scylla::DeserializeRow)]
#[scylla(flavor = "enforce_order", skip_name_checks)]
struct Row<'a> {
    stream: &'a [u8],
    time: CqlTimeuuid,
    seq: i32,
    operation: i8,
    event_id: Uuid,
    event_type: &'a str,
    event_version: i32,
    aggregate_id: Uuid,
    sequence_number: i64,
    correlation_id: Uuid,
    causation_id: Uuid,
    created_at: CqlTimestamp,
    payload: &'a str,
}

async fn read_source(source: usize, address: &str, records: usize) -> Duration {
    let config = json!({"session": {"contact_points": [address], "page_size": PAGE}, "keyspace": "shop", "table": "outbox"});
    let task = TaskId { pipeline: "bench".into(), sink: "none".into() };
    let factory = weir_scylla::sources(&Hub::default()).remove(source);
    let context = Context::new(task, Metrics::default());
    let mut source = factory.open(config, Checkpoint::default(), context).await.unwrap();
    let begun = Instant::now();
    let (mut seen, mut bytes) = (0, 0);
    while seen < records {
        let batch = source.poll(ROOM).await.unwrap().unwrap();
        seen += batch.records.len();
        bytes += batch.records.iter().map(|record| record.value.as_ref().unwrap().len()).sum::<usize>();
    }
    assert_eq!(seen, records);
    assert!(bytes >= records * PAYLOAD, "{bytes}");
    begun.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
