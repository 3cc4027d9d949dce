//! The reader of the scylla-cdc crate, unchanged, sees every insert once.
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use scylla_cdc::consumer::{CDCRow, Consumer, ConsumerFactory, OperationType};
use scylla_cdc::log_reader::CDCLogReaderBuilder;

use super::{run, start};

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

#[tokio::test]
async fn each_insert_is_seen_once() {
    let (server, session) = start().await;
    let session = Arc::new(session);
    run(&session, "CREATE TABLE t (p int, c int, v text, PRIMARY KEY (p, c)) WITH cdc = {'enabled': true}")
        .await;
    let insert = session.prepare("INSERT INTO t (p, c, v) VALUES (?, 0, 'x')").await.unwrap();
    for p in 0..300 {
        session.execute_unpaged(&insert, (p,)).await.unwrap();
    }
    let seen = Seen::default();
    let start_at =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() - Duration::from_secs(60);
    let (mut reader, handle) = CDCLogReaderBuilder::new()
        .session(Arc::clone(&session))
        .keyspace("ks")
        .table_name("t")
        .start_timestamp(start_at)
        .window_size(Duration::from_secs(30))
        .safety_interval(Duration::from_millis(20))
        .sleep_interval(Duration::from_millis(20))
        .consumer_factory(Arc::new(Factory(Arc::clone(&seen))))
        .build()
        .await
        .unwrap();
    // More while it reads, and over a change of the streams.
    let since = server.clock().micros() / 1000 + 50;
    server.new_generation(since);
    let mut written = 300;
    let mut after = 0;
    while after < 200 {
        after += i32::from(server.clock().micros() / 1000 > since);
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
