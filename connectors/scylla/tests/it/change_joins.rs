//! Changes over whatever lies between: pages, rooms, restarts, late rows, new streams, an altered table.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use uuid::Uuid;
use weir_scylla::hub::Hub;
use weir_scylla::reader::time::first_at;
use weir_sdk::testing::contract::{self, Disturbance, SourceFixture};
use weir_sdk::{
    Checkpoint, Error, ErrorKind, Headers, Origin, Record, Room, Source, SourceFactory, Timestamp, To,
    async_trait,
};

use crate::change::{IMAGES, ROWS};
use crate::late::{NOTICED, lates};
use crate::place::{Place, ROOM, context_of, header};
use crate::topology::Layout;

const PARTITIONS: i32 = 5;

impl Place {
    /// Batches over three rows each, so that a change has up to nine rows in the log.
    async fn write_batches(&self, numbers: std::ops::Range<i32>) {
        for number in numbers {
            for item in 0..PARTITIONS {
                let row = |shop: i32| format!("WHERE item = 'i{item}' AND shop = {shop}");
                self.run(&format!(
                    "BEGIN BATCH UPDATE shop.stock SET count = {number} {}; UPDATE shop.stock SET note = 'n{number}' {}; \
                     INSERT INTO shop.stock (item, shop, count) VALUES ('i{item}', 3, {number}); APPLY BATCH",
                    row(1),
                    row(2),
                ))
                .await;
            }
        }
    }
}

/// What each partition was told of, in order.
fn by_partition(records: &[Record]) -> BTreeMap<String, Vec<Value>> {
    let mut partitions: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for record in records {
        let value: Value = serde_json::from_slice(record.value.as_ref().unwrap()).unwrap();
        partitions.entry(value["key"]["item"].as_str().unwrap().to_owned()).or_default().push(value);
    }
    partitions
}

#[test]
fn any_page_any_room_and_a_restart_anywhere_give_the_same_records_once() {
    const BATCHES: i32 = 12;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let place = runtime.block_on(async {
        let place = Place::with_stock(ROWS, IMAGES).await;
        place.write_batches(0..BATCHES).await;
        place
    });
    let records = usize::try_from(3 * PARTITIONS * BATCHES).unwrap();
    let whole = runtime.block_on(async {
        let mut tail = place.open_changes(json!({}), Checkpoint::default()).await;
        tail.until(records).await;
        by_partition(&tail.seen)
    });
    let images = whole.values().flatten().filter(|value| !value["before"].is_null()).count();
    assert_eq!(images, records - 3 * PARTITIONS as usize, "all but the first of each row were there before");
    assert!(whole.values().flatten().all(|value| !value["after"].is_null()));

    let config = Config { cases: 12, failure_persistence: None, ..Config::default() };
    let lives = (1u32..40, proptest::collection::vec((1usize..30, 1usize..6), 1..5));
    let run = TestRunner::new(config).run(&lives, |(page_size, lives)| {
        let seen = runtime.block_on(async {
            let config = json!({"session": {
                "contact_points": [place.server.address().to_string()], "page_size": page_size
            }});
            let (mut seen, mut checkpoint) = (Vec::new(), Checkpoint::default());
            for life in 0.. {
                let (room, batches) = lives[life % lives.len()];
                let mut tail = place.open_changes(config.clone(), checkpoint).await;
                for _ in 0..batches {
                    while seen.len() + tail.seen.len() < records
                        && tail.poll(Room { records: room, bytes: 1 << 20 }).await.unwrap() == 0
                    {
                    }
                }
                seen.append(&mut tail.seen);
                checkpoint = tail.checkpoint;
                if seen.len() >= records {
                    break;
                }
            }
            let mut rest = place.open_changes(config, checkpoint).await;
            rest.caught_up(&place.server).await;
            seen.append(&mut rest.seen);
            seen
        });
        prop_assert_eq!(&by_partition(&seen), &whole);
        Ok(())
    });
    run.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn late_changes_come_whole_deletes_too() {
    let place = Place::with_stock(ROWS, IMAGES).await;
    place.write_batches(0..1).await;
    let mut tail = place.open_changes(json!({}), Checkpoint::default()).await;
    tail.until(15).await;
    place.server.faults().delay_log_rows("shop", "stock", 2, Duration::from_secs(5));
    let update = "UPDATE shop.stock SET count = 100 WHERE item = 'i0' AND shop = 1";
    place.run(update).await;
    place.run("DELETE FROM shop.stock WHERE item = 'i1' AND shop = 3").await;
    place.run("DELETE FROM shop.stock WHERE item = 'i2' AND shop > 1").await;
    tail.until(16).await;
    let checkpoint = tail.checkpoint.clone();
    drop(tail);
    place.server.faults().advance_clock(Duration::from_secs(12));
    let mut tail = place.open_changes(json!({}), checkpoint).await;
    tail.until(2).await;
    tail.caught_up(&place.server).await;
    assert_eq!(lates(&tail).len(), 2, "{:?}", tail.payloads());
    let told: BTreeMap<String, Value> = tail
        .seen
        .iter()
        .map(|record| {
            (header(record, "op").unwrap(), serde_json::from_slice(record.value.as_ref().unwrap()).unwrap())
        })
        .collect();
    let counts = |value: &Value| (value["before"]["count"].clone(), value["after"]["count"].clone());
    assert_eq!(counts(&told["update"]), (json!(0), json!(100)));
    assert_eq!(counts(&told["delete"]), (json!(0), json!(null)));
    assert_eq!(tail.counted("cdc_late_rows_total"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_there_in_part_comes_once_all_of_it_is_there_or_at_the_last_visit() {
    let place = Place::with_stock(ROWS, IMAGES).await;
    place.run("INSERT INTO shop.stock (item, shop, count) VALUES ('nut', 1, 1)").await;
    let mut tail = place.open_changes(json!({}), Checkpoint::default()).await;
    tail.until(1).await;
    let position = header(&tail.seen[0], "source_position").unwrap();
    let stream = position.split(':').next().unwrap();
    let time = Uuid::from_bytes(*first_at(place.server.clock().micros()).as_bytes());
    // As one replica shows it that has only the first page.
    let write = async |time: Uuid, number: i32, operation: i32, columns: &str, values: &str| {
        place
            .run(&format!(
                "INSERT INTO shop.stock_scylla_cdc_log (\"cdc$stream_id\", \"cdc$time\", \"cdc$batch_seq_no\", \
                 \"cdc$operation\", item, shop, count{columns}) VALUES (0x{stream}, {time}, {number}, {operation}, \
                 'nut', 1, {values})"
            ))
            .await;
    };
    write(time, 0, 0, "", "1").await;
    write(time, 1, 1, "", "2").await;
    tail.caught_up(&place.server).await;
    // The first visit finds it so too.
    place.server.faults().advance_clock(Duration::from_secs(3));
    tail.quiet(NOTICED).await;
    assert_eq!(tail.seen.len(), 1, "{:?}", tail.seen);
    write(time, 2, 9, ", \"cdc$end_of_batch\"", "2, true").await;
    place.server.faults().advance_clock(Duration::from_secs(10));
    tail.until(2).await;
    assert_eq!(lates(&tail).len(), 1);
    let value: Value = serde_json::from_slice(tail.seen[1].value.as_ref().unwrap()).unwrap();
    assert_eq!((&value["before"]["count"], &value["after"]["count"]), (&json!(1), &json!(2)));
    place.server.faults().advance_clock(Duration::from_secs(200));
    tail.caught_up(&place.server).await;
    assert_eq!(tail.seen.len(), 2, "once");
    let time = Uuid::from_bytes(*first_at(place.server.clock().micros()).as_bytes());
    write(time, 0, 1, "", "3").await;
    place.server.faults().advance_clock(Duration::from_secs(200));
    tail.until(3).await;
    let value: Value = serde_json::from_slice(tail.seen[2].value.as_ref().unwrap()).unwrap();
    assert_eq!((&value["changed"]["count"], &value["after"]), (&json!(3), &json!(null)), "better than never");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_streams_on_vnodes_and_on_tablets_lose_no_change() {
    for layout in [Layout::Vnodes, Layout::Tablets] {
        let place = layout.start(weir_scylla_dev::ScyllaDev::builder()).await;
        place.run(&format!("CREATE TABLE shop.stock ({ROWS}) WITH cdc = {IMAGES}")).await;
        let mut tail = place.open_changes(json!({}), Checkpoint::default()).await;
        place.write_batches(0..4).await;
        tail.until(10).await;
        let since = place.server.clock().micros() / 1_000 + 5_500;
        match layout {
            Layout::Vnodes => place.server.new_generation(since),
            Layout::Tablets => place.server.resize_tablets("shop", "stock", 16, since).unwrap(),
        }
        let checkpoint = tail.checkpoint.clone();
        let mut seen = std::mem::take(&mut tail.seen);
        drop(tail);
        place.write_batches(4..6).await;
        place.server.faults().advance_clock(Duration::from_secs(6));
        place.write_batches(6..10).await;
        let mut tail = place.open_changes(json!({}), checkpoint).await;
        tail.until(3 * 10 * PARTITIONS as usize - seen.len()).await;
        seen.append(&mut tail.seen);
        for (item, values) in by_partition(&seen) {
            let counts: Vec<_> = values.iter().filter(|value| value["key"]["shop"] == 1).collect();
            let after: Vec<_> =
                counts.iter().map(|value| value["after"]["count"].as_i64().unwrap()).collect();
            assert_eq!(after, (0..10).collect::<Vec<_>>(), "{item}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_added_under_way_is_in_the_next_record() {
    let place = Place::with_stock(ROWS, IMAGES).await;
    let mut tail = place.open_changes(json!({}), Checkpoint::default()).await;
    place.write_batches(0..1).await;
    tail.until(15).await;
    place.run("ALTER TABLE shop.stock ADD tags list<text>").await;
    place.run("UPDATE shop.stock SET tags = ['a', 'b'] WHERE item = 'i0' AND shop = 1").await;
    let error = loop {
        if let Err(error) = tail.poll(ROOM).await {
            break error;
        }
        assert_eq!(tail.seen.len(), 15, "nothing of it is passed over");
    };
    assert_eq!(error.kind(), ErrorKind::Bug, "the task is built anew: {error:?}");
    let checkpoint = tail.checkpoint.clone();
    drop(tail);
    let mut tail = place.open_changes(json!({}), checkpoint).await;
    tail.until(1).await;
    let value: Value = serde_json::from_slice(tail.seen[0].value.as_ref().unwrap()).unwrap();
    assert_eq!(
        (&value["after"]["tags"], &value["changed"]),
        (&json!(["a", "b"]), &json!({"tags": ["a", "b"]}))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn images_that_are_wanted_must_be_kept_and_the_advice_makes_it_so() {
    let place = Place::with_stock(ROWS, "{'enabled': true, 'ttl': 7200}").await;
    let mut config = place.config();
    config["table"] = "stock".into();
    config["images"] = json!(["before", "after"]);
    let changes = place.changes(Hub::default());
    let open = async || place.seat_with(&*changes, config.clone(), Checkpoint::default()).await;
    let error = open().await.err().expect("it is refused");
    let pointers: Vec<_> = error.problems().iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!((error.kind(), pointers), (ErrorKind::Config, vec!["/images", "/images"]));
    let help = error.problems()[0].help.clone().unwrap();
    assert!(help.contains("'ttl': 7200"), "{help}");
    place.run(help.trim_end_matches(';')).await;
    open().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_may_be_sent_to_a_place_in_the_log_and_says_where_it_is() {
    let place = Place::with_stock(ROWS, IMAGES).await;
    place.write_batches(0..1).await;
    let mut config = place.config();
    config["table"] = "stock".into();
    let changes = place.changes(Hub::default());
    // A time is good to the second: what else lies in its second comes as if it were late.
    place.server.faults().advance_clock(Duration::from_secs(3));
    let between = Timestamp(place.server.clock().micros());
    place.write_batches(1..2).await;
    place.server.faults().advance_clock(Duration::from_secs(3));
    for (to, records) in [(To::Earliest, 30), (To::Everything, 30), (To::At(between), 15), (To::Latest, 0)] {
        let begin = changes.seek(config.clone(), to, context_of("orders", "topic")).await.unwrap().checkpoint;
        let mut tail = place.seat_with(&*changes, config.clone(), begin).await.unwrap();
        tail.until(records).await;
        tail.caught_up(&place.server).await;
        assert_eq!(tail.seen.len(), records, "{to:?}");
        let position = changes.position(&tail.checkpoint).unwrap();
        assert!(position.words.starts_with("read up to 20"), "{}", position.words);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_not_there_is_not_advised_to_be_an_outbox() {
    let place = Place::start().await;
    let mut config = place.config();
    config["table"] = "nowhere".into();
    let opened = place.seat_with(&*place.changes(Hub::default()), config, Checkpoint::default()).await;
    let error = opened.err().expect("it is refused");
    let help = error.problems()[0].help.clone().unwrap();
    assert_eq!(error.problems()[0].pointer, "/table");
    assert!(help.starts_with("name a table that is there") && !help.contains("aggregate_id"), "{help}");
}

/// Rows that are deleted, each once: a tombstone is known beforehand, where its value would hold a time.
struct Fixture {
    place: Mutex<Place>,
    sources: Arc<dyn SourceFactory>,
    written: Mutex<Vec<i32>>,
}

impl Fixture {
    async fn start(hub: Hub) -> Self {
        let place = Place::with_stock(ROWS, IMAGES).await;
        let sources = place.changes(hub);
        let fixture = Self { place: Mutex::new(place), sources, written: Mutex::default() };
        fixture.write(0..72).await;
        fixture
    }

    async fn write(&self, shops: std::ops::Range<i32>) {
        let place = self.place.lock().await;
        for shop in shops.clone() {
            let row = format!("item = 'i{}' AND shop = {shop}", shop % 6);
            place.run(&format!("UPDATE shop.stock SET count = 1 WHERE {row}")).await;
            place.run(&format!("DELETE FROM shop.stock WHERE {row}")).await;
        }
        self.written.lock().await.extend(shops);
    }
}

#[async_trait]
impl SourceFixture for Fixture {
    async fn open(&self, resume: Checkpoint) -> Result<Box<dyn Source>, Error> {
        let place = self.place.lock().await;
        let mut config = place.config();
        let more = json!({"table": "stock", "operations": ["delete"], "deletes": "tombstone"});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        // A page ends within a change: its rows are two, the image before and the delete.
        config["session"]["page_size"] = json!(7);
        Ok(place.seat_with(&*self.sources, config, resume).await?.source)
    }

    async fn written(&self) -> Vec<Record> {
        let record = |shop: &i32| {
            let mut headers = Headers::default();
            headers.push("op", "delete");
            headers.push("table", "stock");
            Record {
                key: Some(format!(r#"{{"item":"i{}","shop":{shop}}}"#, shop % 6).into()),
                value: None,
                headers,
                timestamp: Timestamp(0),
                origin: Origin { partition: "log".into(), offset: "".into() },
            }
        };
        self.written.lock().await.iter().map(record).collect()
    }

    async fn append(&self) -> bool {
        let next = i32::try_from(self.written.lock().await.len()).unwrap();
        self.write(next..next + 27).await;
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
    let report = contract::source(&Fixture::start(Hub::default()).await).await;
    assert_eq!(report.skipped, ["a commit runs beside a poll"], "there is nothing to commit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_beside_others_keeps_it_too() {
    // A little is kept, so that the sources fall behind each other, in the middle of a change too, and meet again.
    let fixture = Fixture::start(Hub::keeping(4 << 10)).await;
    for sleepy in [Duration::ZERO, Duration::from_millis(300)] {
        let mut beside = fixture.open(Checkpoint::default()).await.unwrap();
        tokio::spawn(async move {
            loop {
                // Troubles are for those who are looked at.
                let polled = beside.poll(ROOM).await;
                let pause = if polled.is_err() { Duration::from_millis(50) } else { sleepy };
                tokio::time::sleep(pause).await;
            }
        });
    }
    let report = contract::source(&fixture).await;
    assert_eq!(report.skipped, ["a commit runs beside a poll"], "there is nothing to commit");
}

#[test]
fn its_factory_keeps_its_contract() {
    let config =
        json!({"session": {"contact_points": ["127.0.0.1:9042"]}, "keyspace": "shop", "table": "stock"});
    contract::source_factory(&*weir_scylla::sources(&Hub::default())[1], &config);
}
