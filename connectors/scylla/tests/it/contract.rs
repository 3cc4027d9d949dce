//! The battery that every source passes.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Mutex;
use weir_scylla::hub::Hub;
use weir_sdk::testing::contract::{self, Disturbance, SourceFixture};
use weir_sdk::{Checkpoint, Error, Headers, Origin, Record, Source, SourceFactory, Timestamp, async_trait};

use crate::place::{Place, ROOM, event_id, payload};

struct Fixture {
    place: Mutex<Place>,
    /// Opened over one hub; without it each source has its own.
    sources: Option<Arc<dyn SourceFactory>>,
    written: Mutex<Vec<(u128, i64)>>,
}

impl Fixture {
    async fn start() -> Self {
        let fixture =
            Self { place: Mutex::new(Place::start().await), sources: None, written: Mutex::default() };
        fixture.write(6, 0..12).await;
        fixture
    }

    async fn write(&self, orders: u128, numbers: std::ops::Range<i64>) {
        self.place.lock().await.write_many(orders, numbers.clone()).await;
        let events = numbers.flat_map(|number| (0..orders).map(move |order| (order, number)));
        self.written.lock().await.extend(events);
    }
}

#[async_trait]
impl SourceFixture for Fixture {
    async fn open(&self, resume: Checkpoint) -> Result<Box<dyn Source>, Error> {
        let place = self.place.lock().await;
        let config = small_pages(&place);
        let opened = match &self.sources {
            Some(sources) => place.seat_with(&**sources, config, resume).await,
            None => place.open_with(config, resume).await,
        };
        Ok(opened?.source)
    }

    async fn written(&self) -> Vec<Record> {
        let written = self.written.lock().await;
        let record = |(order, number): &(u128, i64)| {
            let mut headers = Headers::default();
            headers.push("event_id", event_id(*order, *number).to_string());
            headers.push("sequence_number", number.to_string());
            Record {
                key: Some(uuid::Uuid::from_u128(*order).to_string().into()),
                value: Some(payload(*order, *number).into()),
                headers,
                timestamp: Timestamp(0),
                origin: Origin { partition: "log".into(), offset: "".into() },
            }
        };
        written.iter().map(record).collect()
    }

    async fn append(&self) -> bool {
        self.write(9, 100..103).await;
        true
    }

    async fn disturb(&self, how: Disturbance) -> bool {
        self.place.lock().await.disturb(how).await
    }

    async fn restore(&self) {
        self.place.lock().await.restore().await;
    }

    fn ages(&self) -> bool {
        true
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(15)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_keeps_its_contract() {
    let fixture = Fixture::start().await;
    let report = contract::source(&fixture).await;
    assert_eq!(report.skipped, ["a commit runs beside a poll"], "there is nothing to commit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_beside_others_keeps_it_too() {
    let mut fixture = Fixture::start().await;
    // A little is kept, so that the sources fall behind each other and meet again.
    let sources = fixture.place.lock().await.sources(Hub::keeping(8 << 10));
    for sleepy in [Duration::ZERO, Duration::from_millis(300)] {
        let place = fixture.place.lock().await;
        let mut beside =
            place.seat_with(&*sources, small_pages(&place), Checkpoint::default()).await.unwrap().source;
        tokio::spawn(async move {
            loop {
                // Troubles are for those who are looked at.
                let polled = beside.poll(ROOM).await;
                let pause = if polled.is_err() { Duration::from_millis(50) } else { sleepy };
                tokio::time::sleep(pause).await;
            }
        });
    }
    fixture.sources = Some(sources);
    let report = contract::source(&fixture).await;
    assert_eq!(report.skipped, ["a commit runs beside a poll"], "there is nothing to commit");
}

fn small_pages(place: &Place) -> Value {
    let mut config = place.config();
    config["session"]["page_size"] = json!(9);
    config
}

#[test]
fn its_factory_keeps_its_contract() {
    let config =
        json!({"session": {"contact_points": ["127.0.0.1:9042"]}, "keyspace": "shop", "table": "outbox"});
    contract::source_factory(&*weir_scylla::sources(&Hub::default())[0], &config);
}
