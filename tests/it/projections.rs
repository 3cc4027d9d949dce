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
pub(crate) struct Shown {
    pub(crate) order_id: Uuid,
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

impl Shown {
    /// As the lists show it.
    pub(crate) fn listed(&self) -> Listed {
        (self.order_id, self.customer_id, self.status.clone(), self.total_cents)
    }
}

const SHOWN: &str = "SELECT order_id, customer_id, status, items, item_count, total_cents, tracking_number, signature, \
                     cancel_reason, version FROM orders_ks.";

/// Each order as its own history tells it, read from the event store: what the last event says, and what earlier ones
/// said and it does not.
pub(crate) async fn told(session: &Session) -> Vec<Shown> {
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

/// Each order as a read model of this name shows it.
pub(crate) async fn shown(session: &Session, table: &str) -> Vec<Shown> {
    let answer =
        session.query_unpaged(format!("{SHOWN}{table}"), ()).await.unwrap().into_rows_result().unwrap();
    // A row whose first event has not come yet lacks what that one says.
    let mut rows: Vec<Shown> = answer.rows::<Shown>().unwrap().filter_map(Result::ok).collect();
    for row in &mut rows {
        row.items = serde_json::from_str::<Value>(&row.items).unwrap().to_string();
    }
    rows.sort_by_key(|row| row.order_id);
    rows
}

pub(crate) type Listed = (Uuid, Uuid, String, i64);

/// Each order as one of the lists shows it, sorted by order.
pub(crate) async fn listed(session: &Session, table: &str) -> Vec<Listed> {
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
            let (told, shown) = (told(session).await, shown(session, "order_read_model").await);
            let lists =
                [listed(session, "orders_by_customer").await, listed(session, "orders_by_status").await];
            let wanted: Vec<_> = told.iter().map(Shown::listed).collect();
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

const GUIDE: &str = include_str!("../../docs/projections.md");

/// The first block of this language.
fn block(language: &str) -> &'static str {
    let (_, rest) = GUIDE.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

#[test]
fn the_guide_names_every_key_and_its_example_runs() {
    let schema = schemars::schema_for!(weir_scylla::projection::ProjectionConfig);
    for key in schema.get("properties").unwrap().as_object().unwrap().keys() {
        assert!(GUIDE.contains(&format!("`{key}`")), "docs/projections.md says nothing of `{key}`");
    }
    let (database, folder) = (Database::start(), tempfile::tempdir().unwrap());
    let keyspace = format!("bank_{}", std::process::id());
    let replication = "{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}";
    database.execute(&format!("CREATE KEYSPACE {keyspace} WITH replication = {replication}"));
    for table in block("sql").split_terminator(";\n") {
        database.execute(&table.replace("TABLE ", &format!("TABLE {keyspace}.")));
    }
    let file = folder.path().join("bank.yaml");
    let text = block("yaml").replace("keyspace: bank", &format!("keyspace: {keyspace}"));
    std::fs::write(&file, text).unwrap();

    let (kept, closed) = (Uuid::new_v4(), Uuid::new_v4());
    let opened = r#"{"owner": "Ann", "branch": "Ulm", "tags": ["new", "vip"]}"#;
    let moved = r#"{"branch": "Bonn", "previous_branch": "Ulm", "balance_cents": 900}"#;
    database.tell(kept, 1, "AccountOpened", opened);
    database.tell(kept, 2, "Deposited", r#"{"branch": "Ulm", "balance_cents": 900}"#);
    database.tell(kept, 3, "AccountMoved", moved);
    database.tell(closed, 1, "AccountOpened", opened);
    database.tell(closed, 2, "AccountClosed", r#"{"branch": "Ulm"}"#);
    let mut weir = Weir::run(&[&file], &folder.path().join("data"), &[("SCYLLA_NODES", database.address())]);
    let http = weir.http();
    for sink in ["accounts", "accounts-by-branch"] {
        until(sink, LIMIT, || (written(http, sink) >= 5.0).then_some(()));
    }
    let select = format!("SELECT account_id, owner, branch, balance_cents, tags FROM {keyspace}.accounts");
    type Account = (Uuid, String, String, i64, Vec<String>);
    let accounts: Vec<Account> = database.rows(&select);
    assert_eq!(accounts, [(kept, "Ann".into(), "Bonn".into(), 900, vec!["new".into(), "vip".into()])]);
    let select = format!("SELECT branch, account_id, balance_cents FROM {keyspace}.accounts_by_branch");
    assert_eq!(database.rows::<(String, Uuid, i64)>(&select), [("Bonn".to_owned(), kept, 900)]);
}
