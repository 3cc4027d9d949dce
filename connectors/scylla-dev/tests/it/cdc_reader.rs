//! The reader of the scylla-cdc crate, unchanged, sees every insert once, whatever becomes of the streams meanwhile.
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use scylla::client::session::Session;
use scylla_cdc::consumer::{CDCRow, Consumer, ConsumerFactory, OperationType};
use scylla_cdc::log_reader::CDCLogReaderBuilder;
use weir_scylla_dev::{Builder, ScyllaDev};

use super::{connect, run};

/// How often each inserted key was seen.
type Seen = Arc<Mutex<HashMap<i32, u32>>>;

struct Collect(Seen);

#[async_trait]
impl Consumer for Collect {
    async fn consume_cdc(&mut self, data: CDCRow<'_>) -> anyhow::Result<()> {
        assert_eq!(data.operation, OperationType::RowInsert);
        let key = data.get_value("p").as_ref().and_then(scylla::value::CqlValue::as_int);
        *self.0.lock().unwrap().entry(key.unwrap()).or_default() += 1;
        Ok(())
    }
}

struct Factory(Seen);

#[async_trait]
impl ConsumerFactory for Factory {
    async fn new_consumer(&self) -> Box<dyn Consumer> {
        Box::new(Collect(Arc::clone(&self.0)))
    }
}

/// Table `ks.t`, of which the reader takes in as much as it can get.
pub(super) fn reader_of_t(
    session: &Arc<Session>,
    consumers: Arc<dyn ConsumerFactory>,
) -> CDCLogReaderBuilder {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    CDCLogReaderBuilder::new()
        .session(Arc::clone(session))
        .keyspace("ks")
        .table_name("t")
        .start_timestamp(now - Duration::from_secs(60))
        .window_size(Duration::from_secs(30))
        .safety_interval(Duration::from_millis(20))
        .sleep_interval(Duration::from_millis(20))
        .consumer_factory(consumers)
}

/// Writes while `change` lets the streams change at two moments, and reads all of it.
async fn each_insert_is_seen_once(builder: Builder, change: impl Fn(&ScyllaDev, [i64; 2])) {
    let server = builder.start().await.unwrap();
    let session = Arc::new(connect(&server).await);
    let replication = "{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}";
    run(&session, &format!("CREATE KEYSPACE ks WITH replication = {replication}")).await;
    session.use_keyspace("ks", false).await.unwrap();
    run(&session, "CREATE TABLE t (p int, c int, v text, PRIMARY KEY (p, c)) WITH cdc = {'enabled': true}")
        .await;
    let insert = session.prepare("INSERT INTO t (p, c, v) VALUES (?, 0, 'x')").await.unwrap();
    for p in 0..300 {
        session.execute_unpaged(&insert, (p,)).await.unwrap();
    }
    let seen = Seen::default();
    let consumers = Arc::new(Factory(Arc::clone(&seen)));
    let (mut reader, handle) = reader_of_t(&session, consumers).build().await.unwrap();
    let millis = || server.clock().micros() / 1000;
    let (first, second) = (millis() + 50, millis() + 150);
    change(&server, [first, second]);
    let mut written = 300;
    let mut after = 0;
    while after < 200 {
        after += i32::from(millis() > second);
        session.execute_unpaged(&insert, (written,)).await.unwrap();
        written += 1;
    }
    let all = async {
        while seen.lock().unwrap().len() < usize::try_from(written).unwrap() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.expect("all inserts are seen");
    reader.stop();
    handle.await.unwrap();
    assert!(seen.lock().unwrap().values().all(|times| *times == 1));
}

fn two_generations(server: &ScyllaDev, times: [i64; 2]) {
    times.into_iter().for_each(|time| server.new_generation(time));
}

#[tokio::test]
async fn over_new_generations() {
    each_insert_is_seen_once(ScyllaDev::builder(), two_generations).await;
}

#[tokio::test]
async fn over_new_generations_of_several_shards() {
    each_insert_is_seen_once(ScyllaDev::builder().vnodes(8).shards(3), two_generations).await;
}

#[tokio::test]
async fn over_a_split_and_a_merge_of_tablets() {
    let split_and_merge = |server: &ScyllaDev, [split, merge]: [i64; 2]| {
        server.resize_tablets("ks", "t", 8, split).unwrap();
        server.resize_tablets("ks", "t", 1, merge).unwrap();
    };
    each_insert_is_seen_once(ScyllaDev::builder().shards(2).tablets(2), split_and_merge).await;
}
