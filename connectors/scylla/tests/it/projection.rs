//! Projections over real sockets: the battery, convergence whatever comes in what order, and tables that will not do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use uuid::Uuid;
use weir_scylla::hub::Hub;
use weir_sdk::metrics::{Metrics, names};
use weir_sdk::testing::contract::{self, Disturbance, SinkFixture};
use weir_sdk::testing::{RecordExt, record};
use weir_sdk::{
    Context, Error, ErrorKind, Headers, Record, Sink, SinkFactory, TaskId, Timestamp, WriteError, async_trait,
};

use crate::place::Place;

fn context() -> Context {
    Context::new(TaskId { pipeline: "orders".into(), sink: "by-status".into() }, Metrics::default())
}

fn config(place: &Place, table: &str, more: Value) -> Value {
    let mut config = json!({
        "session": {"contact_points": [place.server.address().to_string()], "request_timeout": "2s"},
        "keyspace": "shop", "table": table,
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

async fn open(place: &Place, table: &str, more: Value) -> Result<Arc<dyn Sink>, Error> {
    open_in(context(), place, table, more).await
}

fn factory() -> Arc<dyn SinkFactory> {
    let sinks = weir_scylla::sinks(&Hub::default());
    sinks.into_iter().find(|sink| sink.name() == "scylla-projection").unwrap()
}

async fn open_in(context: Context, place: &Place, table: &str, more: Value) -> Result<Arc<dyn Sink>, Error> {
    let factory = factory();
    let config = config(place, table, more);
    assert_eq!(factory.check(&config), []);
    factory.open(config, context).await
}

struct Latest(Mutex<Place>);

#[async_trait]
impl SinkFixture for Latest {
    async fn open(&self) -> Result<Arc<dyn Sink>, Error> {
        let columns = json!({"k": "{key}", "v": "{payload}", "n": "{number}", "t": "{timestamp_us}"});
        open(&*self.0.lock().await, "latest", json!({"events": {"*": {"upsert": columns}}})).await
    }

    async fn arrived(&self) -> Vec<Record> {
        let place = self.0.lock().await;
        let answer = place.session.query_unpaged("SELECT k, v, t FROM shop.latest", ()).await.unwrap();
        let read = |row: (Vec<u8>, Option<Vec<u8>>, i64)| Record {
            key: Some(row.0.into()),
            value: row.1.map(Into::into),
            timestamp: Timestamp(row.2),
            ..record("", "")
        };
        let answer = answer.into_rows_result().unwrap();
        answer.rows().unwrap().map(|row| read(row.unwrap())).collect()
    }

    fn stored(&self, record: &Record) -> Option<Record> {
        let headers = Headers::default();
        record.key.as_ref().filter(|key| !key.is_empty()).map(|_| Record { headers, ..record.clone() })
    }

    fn poison(&self, record: Record) -> Option<Record> {
        Some(record.header("number", "not a number"))
    }

    async fn disturb(&self, how: Disturbance) -> bool {
        self.0.lock().await.disturb(how).await
    }

    async fn restore(&self) {
        self.0.lock().await.restore().await;
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(15)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sink_keeps_its_contract() {
    let place = Place::start().await;
    place.run("CREATE TABLE shop.latest (k blob PRIMARY KEY, v blob, n int, t bigint)").await;
    let report = contract::sink(&Latest(Mutex::new(place))).await;
    println!("skipped: {:?}", report.skipped);
    assert!(report.skipped.len() <= 3, "{:?}", report.skipped);
}

#[test]
fn the_factory_keeps_its_contract() {
    let config = json!({
        "session": {"contact_points": ["127.0.0.1:9042"]}, "keyspace": "shop", "table": "orders",
        "events": {"*": {"upsert": {"k": "{key}"}}},
    });
    contract::sink_factory(&*factory(), &config);
}

/// A table of the orders by status: each event names the status before it.
async fn by_status(place: &Place) -> Arc<dyn Sink> {
    let events = json!({
        "columns": {"status": "$.status", "order_id": "{key}", "items": "$.items", "step": "{sequence_number}"},
        "events": {
            "Created": {"upsert": {}},
            "Moved": {"delete": {"status": "$.before"}, "upsert": {}},
            "Forgotten": {"delete": {"status": "$.before"}},
        },
    });
    open(place, "by_status", events).await.unwrap()
}

const BY_STATUS: &str = "CREATE TABLE shop.by_status (status text, order_id uuid, items frozen<list<int>>, step bigint, \
                         PRIMARY KEY ((status), order_id))";

type Rows = BTreeMap<(String, Uuid), (Option<Vec<i32>>, i64)>;

async fn rows(place: &Place) -> Rows {
    let select = "SELECT status, order_id, items, step FROM shop.by_status";
    let answer = place.session.query_unpaged(select, ()).await.unwrap().into_rows_result().unwrap();
    let rows = answer.rows::<(String, Uuid, Option<Vec<i32>>, i64)>().unwrap().map(Result::unwrap);
    rows.map(|(status, order, items, step)| ((status, order), (items, step))).collect()
}

/// What an order goes through: its statuses, one after the other; `None` is the end of it.
fn events(order: u128, statuses: &[Option<u8>], begin: i64) -> (Vec<Record>, Rows) {
    let id = Uuid::from_u128(order);
    let name = |status: u8| char::from(b'A' + status).to_string();
    let (mut events, mut left, mut before) = (Vec::new(), Rows::new(), None);
    for (step, status) in (1_i64..).zip(statuses) {
        let event_type = match (before, status) {
            (None, Some(_)) => "Created",
            (_, Some(_)) => "Moved",
            (_, None) => "Forgotten",
        };
        let items = vec![step as i32; step as usize % 3];
        let payload = json!({"status": status.map(name), "before": before.map(name), "items": items});
        let event = record(&id.to_string(), &payload.to_string())
            .header("event_type", event_type)
            .header("sequence_number", &step.to_string())
            .header("source_time_us", &(begin + step).to_string());
        if before.is_some() || status.is_some() {
            events.push(event);
        }
        left.clear();
        left.extend(status.map(|status| ((name(status), id), (Some(items), step))));
        before = *status;
    }
    (events, left)
}

/// Statuses and a time for each order, what comes again, and the order in which all of it comes.
type Given = (Vec<(Vec<Option<u8>>, i64)>, Vec<prop::sample::Index>, u64);

#[test]
fn any_order_and_any_repeats_end_in_the_same_table() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (place, sink) = runtime.block_on(async {
        let place = Place::start().await;
        place.run(BY_STATUS).await;
        let sink = by_status(&place).await;
        (place, sink)
    });
    // Writers' clocks differ by seconds, and an order's events follow each other within microseconds.
    let orders = proptest::collection::vec(
        (proptest::collection::vec(proptest::option::weighted(0.8, 0_u8..3), 1..7), 0_i64..6_000_000),
        1..5,
    );
    let repeats = proptest::collection::vec(any::<prop::sample::Index>(), 0..12);
    let mut runner = TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    let property = |(orders, repeats, seed): Given| {
        let (mut sent, mut wanted) = (Vec::new(), Rows::new());
        for (number, (statuses, begin)) in orders.iter().enumerate() {
            let (events, left) = events(number as u128, statuses, 1_700_000_000_000_000 + begin);
            sent.extend(events);
            wanted.extend(left);
        }
        if sent.is_empty() {
            return Ok(());
        }
        let again: Vec<_> = repeats.iter().map(|index| index.get(&sent).clone()).collect();
        sent.extend(again);
        shuffle(&mut sent, seed);
        let found = runtime.block_on(async {
            place.run("TRUNCATE shop.by_status").await;
            for some in sent.chunks(5) {
                sink.write(some.to_vec().into()).await.unwrap();
            }
            rows(&place).await
        });
        prop_assert_eq!(found, wanted);
        Ok(())
    };
    runner.run(&(orders, repeats, any::<u64>()), property).unwrap();
}

/// By a generator that is good enough for cards.
fn shuffle(records: &mut [Record], mut seed: u64) {
    for last in (1..records.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        records.swap(last, (seed >> 33) as usize % (last + 1));
    }
}

fn refusals(answer: Result<(), WriteError>) -> Vec<(usize, ErrorKind, String)> {
    let Err(WriteError::Some(failed)) = answer else { panic!("{answer:?}") };
    failed.into_iter().map(|failed| (failed.index, failed.error.kind(), failed.error.to_string())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_at_fault_is_refused_alone_and_its_values_are_not_told() {
    let place = Place::start().await;
    place.run(BY_STATUS).await;
    let sink = by_status(&place).await;
    let id = Uuid::from_u128(1).to_string();
    let made =
        |payload: &str| record(&id, payload).header("event_type", "Created").header("sequence_number", "1");
    let events = vec![
        made(r#"{"status": "A"}"#),
        made("hunter2"),
        made(r#"{"items": [1]}"#),
        made(r#"{"status": "B", "items": "hunter2"}"#),
        made(&format!(r#"{{"status": "{}"}}"#, "x".repeat(70_000))),
        made(r#"{"status": "C"}"#).header("event_type", "Unheard"),
    ];
    let told = refusals(sink.write(events.into()).await);
    assert!(
        told.iter().all(|(_, kind, text)| *kind == ErrorKind::Record && !text.contains("hunter2")),
        "{told:?}"
    );
    let told: Vec<_> = told.iter().map(|(index, _, text)| (*index, text.as_str())).collect();
    let [first, second, third, fourth] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(first.0, 1);
    assert_eq!(*second, (2, "`$.status` is missing, and `status` is a part of the primary key"));
    assert_eq!(*third, (3, "`$.items` is not JSON, as the column `items` wants"));
    assert!(fourth.0 == 4 && fourth.1.contains("write to the projection"), "{fourth:?}");
    assert_eq!(rows(&place).await.into_keys().map(|(status, _)| status).collect::<Vec<_>>(), ["A"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_nobody_mapped_is_passed_over_kept_or_stops_the_task() {
    let place = Place::start().await;
    place.run("CREATE TABLE shop.t (k text PRIMARY KEY)").await;
    let unheard = || vec![record("a", "{}").header("event_type", "Unheard")].into();
    let mapping =
        |choice: &str| json!({"on_unmapped": choice, "events": {"Made": {"upsert": {"k": "{key}"}}}});
    let context = context();
    let sink = open_in(context.clone(), &place, "t", mapping("ignore")).await.unwrap();
    sink.write(unheard()).await.unwrap();
    assert_eq!(context.metrics().counter(names::PROJECTION_IGNORED).get(), 1);
    for (choice, kind) in [("dead_letter", ErrorKind::Record), ("stop", ErrorKind::Config)] {
        let sink = open(&place, "t", mapping(choice)).await.unwrap();
        let told = refusals(sink.write(unheard()).await);
        assert_eq!(told, [(0, kind, "no mapping names the event type `Unheard`".to_owned())]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_changes_under_way_stops_the_task_with_what_to_do() {
    let place = Place::start().await;
    place.run("CREATE TABLE shop.t (k text PRIMARY KEY, v text, n int)").await;
    let mapping = || json!({"events": {"*": {"upsert": {"k": "{key}", "v": "{payload}"}}}});
    let sink = open(&place, "t", mapping()).await.unwrap();
    sink.write(vec![record("a", "1")].into()).await.unwrap();
    place.run("ALTER TABLE shop.t DROP v").await;
    let told = refusals(sink.write(vec![record("a", "2"), record("b", "2")].into()).await);
    assert!(
        told.iter().all(|(_, kind, text)| *kind == ErrorKind::Config && text.contains("has no column `v`")),
        "{told:?}"
    );
    place.run("DROP TABLE shop.t").await;
    let told = refusals(sink.write(vec![record("a", "2")].into()).await);
    assert!(told[0].1 == ErrorKind::Config && told[0].2.contains("there is no table"), "{told:?}");
    assert_eq!(open(&place, "t", mapping()).await.err().unwrap().kind(), ErrorKind::Config);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mapping_is_compared_with_the_types_of_the_table() {
    let place = Place::start().await;
    place.run("CREATE TABLE shop.t (k uuid PRIMARY KEY, n int, d duration, at timestamp)").await;
    let mapping = json!({"columns": {"at": "soon"}, "events": {
        "A": {"upsert": {"k": "{key}", "n": "many", "d": "$.d"}}, "B": {"upsert": {"k": "{key}"}},
    }});
    let error = open(&place, "t", mapping).await.err().unwrap();
    let pointers: Vec<_> = error.problems().iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(pointers, ["/columns/at", "/events/A/upsert/d", "/events/A/upsert/n"], "{error}");
    assert!(!error.to_string().contains("many"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_to_live_is_given_to_every_cell() {
    let place = Place::start().await;
    place.run("CREATE TABLE shop.t (k text PRIMARY KEY, v text)").await;
    let mapping = json!({"ttl": "1h", "version": "sequence", "events": {"*": {"update": {"k": "{key}", "v": "{payload}"}}}});
    let sink = open(&place, "t", mapping).await.unwrap();
    sink.write(vec![record("a", "1").header("sequence_number", "7")].into()).await.unwrap();
    let answer = place.session.query_unpaged("SELECT ttl(v), writetime(v) FROM shop.t", ()).await.unwrap();
    let (ttl, written) = answer.into_rows_result().unwrap().single_row::<(i32, i64)>().unwrap();
    assert!((3500..=3600).contains(&ttl) && written == 7, "{ttl} {written}");
    let told = refusals(sink.write(vec![record("a", "1")].into()).await);
    assert_eq!(told[0].2, "the header `sequence_number` is missing");
}
