//! The orders example's projections as processes: what the tables hold is what the event store says, whatever happens.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use scylla::client::session::Session;
use serde_json::Value;
use uuid::Uuid;
use weir_orders::LoadOptions;

use crate::harness::{Database, Weir, until, written};

const LIMIT: Duration = Duration::from_secs(60);
const SINKS: [&str; 3] = ["order-read-model", "orders-by-customer", "orders-by-status"];

fn pipeline() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines/orders/projections.yaml")
}

fn run(database: &Database, data: &Path) -> Weir {
    Weir::run(&[&pipeline()], data, &[("SCYLLA_NODES", database.address())])
}

/// Places orders and takes them through their life.
pub(crate) fn place(database: &Database, orders: u64, seed: u64) {
    let options = LoadOptions { orders: Some(orders), seed, ..LoadOptions::default() };
    let written = database.place_orders(options);
    assert!(written.events() > orders && written.open == 0, "{written:?}");
}

/// An order as `order_read_model` shows it.
#[derive(Debug, PartialEq, scylla::DeserializeRow)]
struct Shown {
    order_id: Uuid,
    customer_id: Uuid,
    status: String,
    items: String,
    item_count: i32,
    total_cents: i64,
    tracking_number: Option<String>,
    signature: Option<String>,
    cancel_reason: Option<String>,
    version: i64,
}

const SHOWN: &str = "SELECT order_id, customer_id, status, items, item_count, total_cents, tracking_number, signature, \
                     cancel_reason, version FROM orders_ks.order_read_model";

/// Each order as its own history tells it, read from the event store: what the last event says, and what earlier ones
/// said and it does not.
async fn told(session: &Session) -> Vec<Shown> {
    let select = "SELECT aggregate_id, sequence_number, event_data FROM orders_ks.event_store";
    let answer = session.query_unpaged(select, ()).await.unwrap().into_rows_result().unwrap();
    let mut orders = BTreeMap::<Uuid, (i64, BTreeMap<String, Value>)>::new();
    for row in answer.rows::<(Uuid, i64, String)>().unwrap() {
        let (order, number, data) = row.unwrap();
        let (version, told) = orders.entry(order).or_default();
        *version = number;
        told.extend(serde_json::from_str::<BTreeMap<_, _>>(&data).unwrap());
    }
    let shown = |(order_id, (version, told)): (Uuid, (i64, BTreeMap<String, Value>))| {
        let text = |name: &str| told.get(name).and_then(Value::as_str).map(str::to_owned);
        Shown {
            order_id,
            customer_id: text("customer_id").unwrap().parse().unwrap(),
            status: text("status").unwrap(),
            items: told["items"].to_string(),
            item_count: told["item_count"].as_i64().unwrap().try_into().unwrap(),
            total_cents: told["total_cents"].as_i64().unwrap(),
            tracking_number: text("tracking_number"),
            signature: text("signature"),
            cancel_reason: text("reason"),
            version,
        }
    };
    orders.into_iter().map(shown).collect()
}

/// Each order as the read model shows it.
async fn shown(session: &Session) -> Vec<Shown> {
    let answer = session.query_unpaged(SHOWN, ()).await.unwrap().into_rows_result().unwrap();
    let mut rows: Vec<Shown> = answer.rows::<Shown>().unwrap().map(Result::unwrap).collect();
    for row in &mut rows {
        row.items = serde_json::from_str::<Value>(&row.items).unwrap().to_string();
    }
    rows.sort_by_key(|row| row.order_id);
    rows
}

type Listed = (Uuid, Uuid, String, i64);

/// Each order as one of the lists shows it, sorted by order.
async fn listed(session: &Session, table: &str) -> Vec<Listed> {
    let select = format!("SELECT order_id, customer_id, status, total_cents FROM orders_ks.{table}");
    let answer = session.query_unpaged(select, ()).await.unwrap().into_rows_result().unwrap();
    let mut rows: Vec<Listed> = answer.rows().unwrap().map(Result::unwrap).collect();
    rows.sort();
    rows
}

/// Waits until the three tables say of each order what its history says; how many orders there are.
pub(crate) fn projected(database: &Database) -> usize {
    let equal = || {
        database.with(async |session| {
            let (told, shown) = (told(session).await, shown(session).await);
            let lists =
                [listed(session, "orders_by_customer").await, listed(session, "orders_by_status").await];
            let listed = |row: &Shown| (row.order_id, row.customer_id, row.status.clone(), row.total_cents);
            let wanted: Vec<_> = told.iter().map(listed).collect();
            (shown == told && lists.iter().all(|list| *list == wanted)).then_some(told.len())
        })
    };
    until("the three tables say what the event store says", LIMIT, equal)
}

/// Waits until each of the three tasks has written every event there is, in this run.
fn all_written(database: &Database, weir: &mut Weir) {
    let (http, events) = (weir.http(), database.numbers("SELECT count(*) FROM orders_ks.event_store")[0]);
    for sink in SINKS {
        until(sink, LIMIT, || (written(http, sink) >= events as f64).then_some(()));
    }
}

#[test]
fn three_tables_follow_the_event_store_over_a_kill_and_a_replay_from_the_beginning() {
    let (database, folder) = (Database::start(), tempfile::tempdir().unwrap());
    place(&database, 40, 1);
    let mut weir = run(&database, folder.path());
    all_written(&database, &mut weir);
    assert_eq!(projected(&database), 40);

    place(&database, 20, 2);
    weir.kill();
    place(&database, 20, 3);
    let weir = run(&database, folder.path());
    assert_eq!(projected(&database), 80);
    weir.kill();

    // The checkpoints are lost: everything comes once more, and changes nothing, not even the time of a write.
    let times = || database.numbers("SELECT writetime(total_cents) FROM orders_ks.orders_by_status");
    let before = times();
    let mut weir = run(&database, &folder.path().join("another"));
    all_written(&database, &mut weir);
    assert_eq!(projected(&database), 80);
    assert_eq!(times(), before);
}
