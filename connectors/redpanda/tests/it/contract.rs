//! The battery that every sink passes, against a broker that goes, hangs, flickers and refuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use weir_redpanda_dev::RedpandaDev;
use weir_sdk::testing::contract::{self, Disturbance, SinkFixture};
use weir_sdk::{Error, Record, Sink, Timestamp, async_trait};

use crate::far_side;

struct Fixture {
    broker: Arc<RedpandaDev>,
    flickering: Arc<AtomicBool>,
}

#[async_trait]
impl SinkFixture for Fixture {
    async fn open(&self) -> Result<Arc<dyn Sink>, Error> {
        // The topic's limit is smaller than what the sink takes: the broker refuses, and with it a whole message set.
        far_side::open(self.broker.address(), json!({"batch": "50KB", "compression": "none"})).await
    }

    async fn arrived(&self) -> Vec<Record> {
        let broker = Arc::clone(&self.broker);
        tokio::task::spawn_blocking(move || far_side::read(&broker, "t")).await.unwrap()
    }

    fn stored(&self, record: &Record) -> Option<Record> {
        let timestamp = Timestamp(record.timestamp.as_millis() * 1000);
        Some(Record { timestamp, ..record.clone() })
    }

    fn poison(&self, record: Record) -> Option<Record> {
        Some(Record { value: Some(vec![b'x'; 200_000].into()), ..record })
    }

    async fn disturb(&self, how: Disturbance) -> bool {
        match how {
            Disturbance::Down => self.broker.pause().unwrap(),
            Disturbance::Silent => self.broker.delay_answers(Duration::from_secs(3600)),
            Disturbance::Flaky => self.flicker(),
        }
        true
    }

    async fn restore(&self) {
        self.flickering.store(false, Ordering::Release);
        self.broker.delay_answers(Duration::ZERO);
        self.broker.resume().unwrap();
    }

    async fn connections(&self) -> Option<usize> {
        Some(self.broker.connections())
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(20)
    }
}

impl Fixture {
    /// The broker is gone for longer than the sink bears without a word, and back for a little, over and over.
    fn flicker(&self) {
        self.broker.pause().unwrap();
        self.flickering.store(true, Ordering::Release);
        let (broker, flickering) = (Arc::clone(&self.broker), Arc::clone(&self.flickering));
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(900)).await;
                // Whoever restores it resumes it, and may have paused it again for another reason.
                if !flickering.load(Ordering::Acquire) {
                    return;
                }
                broker.resume().unwrap();
                tokio::time::sleep(Duration::from_millis(300)).await;
                if !flickering.load(Ordering::Acquire) {
                    return;
                }
                broker.pause().unwrap();
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sink_keeps_its_contract() {
    let broker = Arc::new(far_side::broker());
    broker.create_topic_with("t", 3, &[("max.message.bytes", "100000")]).unwrap();
    let fixture = Fixture { broker, flickering: Arc::default() };
    let report = contract::sink(&fixture).await;
    assert_eq!(report.skipped, Vec::<&str>::new());
}

#[test]
fn the_factory_keeps_its_contract() {
    let good = json!({"brokers": ["127.0.0.1:9092"], "topic": "orders.{event_type}"});
    contract::sink_factory(&*weir_redpanda::sinks()[0], &good);
}
