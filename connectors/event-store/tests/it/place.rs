//! Where the tests run: a server, the schema on it, and what stands in its tables, read without the event store.
use std::collections::HashSet;
use std::sync::Arc;

use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::statement::Consistency;
use scylla::value::CqlTimeuuid;
use tokio::sync::Mutex;
use uuid::Uuid;
use weir_event_store::{EventStore, NewEvent, Options, schema};
use weir_scylla_dev::ScyllaDev;

const SCHEMA: &str = include_str!("../../../../pipelines/orders/schema.cql");

pub(crate) struct Place {
    pub(crate) address: String,
    pub(crate) keyspace: String,
    pub(crate) session: Arc<Session>,
    /// Runs until it is dropped.
    _server: Option<ScyllaDev>,
}

/// An event as both tables have it, with the write time of its row in µs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) sequence_number: i64,
    pub(crate) event_id: Uuid,
    pub(crate) payload: String,
    pub(crate) write_time: i64,
}

impl Place {
    pub(crate) async fn find() -> Self {
        #[expect(clippy::disallowed_methods, reason = "tests take the server from the environment")]
        let given = std::env::var("SCYLLA_NODES");
        let (address, server) = match given {
            Ok(given) => (given.split(',').next().unwrap_or_default().to_owned(), None),
            Err(_) => {
                let server = ScyllaDev::builder().start().await.unwrap();
                (server.address().to_string(), Some(server))
            }
        };
        let session = connect(&address).await;
        let keyspace = if server.is_some() {
            println!("runs against the in-process development server");
            schema::lay(&session, SCHEMA).await.unwrap();
            "orders_ks".to_owned()
        } else {
            println!("runs against {address}, named by SCYLLA_NODES");
            lay_once(&session).await
        };
        Self { address, keyspace, session, _server: server }
    }

    pub(crate) fn options(&self) -> Options {
        Options::new(&self.keyspace)
    }

    pub(crate) async fn store(&self) -> EventStore {
        self.store_with(self.options()).await
    }

    pub(crate) async fn store_with(&self, options: Options) -> EventStore {
        EventStore::open(Arc::clone(&self.session), options).await.unwrap()
    }

    pub(crate) async fn event_store(&self, aggregate_id: Uuid) -> Vec<Written> {
        self.read("event_store", "event_data", aggregate_id).await
    }

    pub(crate) async fn outbox(&self, aggregate_id: Uuid) -> Vec<Written> {
        self.read("outbox_messages", "payload", aggregate_id).await
    }

    async fn read(&self, table: &str, payload: &str, aggregate_id: Uuid) -> Vec<Written> {
        let cql = format!(
            "SELECT sequence_number, event_id, {payload}, WRITETIME({payload}) FROM {}.{table} WHERE aggregate_id = ?",
            self.keyspace
        );
        let result = self.session.query_unpaged(cql, (aggregate_id,)).await.unwrap();
        let rows = result.into_rows_result().unwrap();
        rows.rows::<(i64, Uuid, String, i64)>()
            .unwrap()
            .map(|row| {
                let (sequence_number, event_id, payload, write_time) = row.unwrap();
                Written { sequence_number, event_id, payload, write_time }
            })
            .collect()
    }

    /// What must hold for every aggregate at rest: both tables have the same events, numbered from 1 without a gap,
    /// each id once, and with strictly rising write times.
    pub(crate) async fn assert_sound(&self, aggregate_id: Uuid) -> Vec<Written> {
        let events = self.event_store(aggregate_id).await;
        assert_eq!(events, self.outbox(aggregate_id).await, "event store and outbox differ");
        for (at, event) in (1..).zip(&events) {
            assert_eq!(event.sequence_number, at, "a gap in {events:?}");
        }
        for pair in events.windows(2) {
            assert!(pair[0].write_time < pair[1].write_time, "write times do not rise: {pair:?}");
        }
        let mut ids: Vec<_> = events.iter().map(|e| e.event_id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), events.len(), "an event id twice in {events:?}");
        if is_scylla(&self.session).await {
            let told: Vec<_> = events.iter().map(|e| e.event_id).collect();
            assert_eq!(self.cdc_log(aggregate_id).await, told, "what a consumer of the CDC log sees");
        }
        events
    }

    /// The ids of an aggregate's events by the time of their CDC log rows, repeats removed.
    async fn cdc_log(&self, aggregate_id: Uuid) -> Vec<Uuid> {
        let cql = format!(
            "SELECT aggregate_id, \"cdc$time\", event_id FROM {}.outbox_messages_scylla_cdc_log",
            self.keyspace
        );
        let rows = self.session.query_unpaged(cql, ()).await.unwrap().into_rows_result().unwrap();
        let rows = rows.rows::<(Uuid, CqlTimeuuid, Uuid)>().unwrap().map(Result::unwrap);
        let mut log: Vec<_> =
            rows.filter(|row| row.0 == aggregate_id).map(|(_, time, id)| (time, id)).collect();
        log.sort_unstable();
        let mut seen = HashSet::new();
        log.into_iter().map(|(_, id)| id).filter(|id| seen.insert(*id)).collect()
    }
}

pub(crate) async fn connect(address: &str) -> Arc<Session> {
    let builder = SessionBuilder::new().known_node(address);
    Arc::new(Box::pin(builder.build()).await.unwrap())
}

pub(crate) fn event(payload: &str) -> NewEvent {
    NewEvent::new("Happened", 1, payload)
}

pub(crate) fn payloads(written: &[Written]) -> Vec<&str> {
    written.iter().map(|e| e.payload.as_str()).collect()
}

/// All tests of one run share a keyspace of a real server: laying it takes seconds.
async fn lay_once(session: &Session) -> String {
    static LAID: Mutex<bool> = Mutex::const_new(false);
    let keyspace = format!("weir_test_{}", std::process::id());
    let mut laid = LAID.lock().await;
    if !*laid {
        let cql = SCHEMA.replace("orders_ks", &keyspace);
        let cql = if is_scylla(session).await { cql } else { without_scylla_options(&cql) };
        schema::lay(session, &cql).await.unwrap();
        *laid = true;
    }
    keyspace
}

async fn is_scylla(session: &Session) -> bool {
    let mut statement =
        scylla::statement::Statement::new("SELECT keyspace_name FROM system_schema.scylla_tables LIMIT 1");
    statement.set_consistency(Consistency::One);
    session.query_unpaged(statement, ()).await.is_ok()
}

/// The schema for Cassandra, which knows neither tablets nor ScyllaDB's CDC.
fn without_scylla_options(cql: &str) -> String {
    let options = ["  AND tablets = {", "  AND cdc = {"];
    let lines = cql.lines().map(|line| match options.iter().any(|option| line.starts_with(option)) {
        true => ";",
        false => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}
