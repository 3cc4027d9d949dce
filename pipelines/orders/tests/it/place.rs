//! Where the tests run: a server with the example's schema, and what stands in its tables.
use std::collections::BTreeMap;
use std::sync::Arc;

use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::value::CqlTimestamp;
use uuid::Uuid;
use weir_event_store::{EventStore, Options, schema};
use weir_scylla_dev::ScyllaDev;

pub(crate) struct Place {
    pub(crate) store: EventStore,
    session: Arc<Session>,
    keyspace: String,
    node: String,
    /// Runs until it is dropped.
    _server: Option<ScyllaDev>,
}

/// One row of the outbox, as a reader of its CDC log gets it.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) aggregate_id: Uuid,
    pub(crate) sequence_number: i64,
    pub(crate) event_id: Uuid,
    pub(crate) event_type: String,
    pub(crate) payload: String,
}

impl Place {
    /// A keyspace of its own, with the tables of the example.
    pub(crate) async fn find() -> Self {
        #[expect(clippy::disallowed_methods, reason = "tests take the server from the environment")]
        let given = std::env::var("SCYLLA_NODES");
        let (node, server) = match given {
            Ok(given) => (given.split(',').next().unwrap_or_default().to_owned(), None),
            Err(_) => {
                let server = ScyllaDev::builder().start().await.unwrap();
                (server.address().to_string(), Some(server))
            }
        };
        let session = SessionBuilder::new().known_node(&node);
        let session = Arc::new(Box::pin(session.build()).await.unwrap());
        let keyspace = if server.is_some() {
            println!("runs against the in-process development server");
            weir_orders::lay_schema(&session).await.unwrap();
            weir_orders::KEYSPACE.to_owned()
        } else {
            println!("runs against {node}, named by SCYLLA_NODES");
            lay_new(&session).await
        };
        let store = EventStore::open(Arc::clone(&session), Options::new(&keyspace)).await.unwrap();
        Self { store, session, keyspace, node, _server: server }
    }

    /// HOST:PORT of a node, for another process.
    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    pub(crate) fn keyspace(&self) -> &str {
        &self.keyspace
    }

    /// The whole outbox by order, each in order of its write times.
    pub(crate) async fn outbox(&self) -> BTreeMap<Uuid, Vec<Message>> {
        let cql = format!(
            "SELECT aggregate_id, sequence_number, id, event_id, event_type, event_version, payload, correlation_id, \
             causation_id, created_at, WRITETIME(payload) FROM {}.outbox_messages",
            self.keyspace
        );
        let rows = self.session.query_unpaged(cql, ()).await.unwrap().into_rows_result().unwrap();
        let mut found: BTreeMap<Uuid, Vec<(i64, Message)>> = BTreeMap::new();
        type Row = (Uuid, i64, Uuid, Uuid, String, i32, String, Uuid, Uuid, CqlTimestamp, i64);
        for row in rows.rows::<Row>().unwrap() {
            let (aggregate_id, sequence_number, id, event_id, event_type, version, payload, _, _, _, at) =
                row.unwrap();
            assert_eq!((id, version), (event_id, 1));
            let message = Message { aggregate_id, sequence_number, event_id, event_type, payload };
            found.entry(aggregate_id).or_default().push((at, message));
        }
        let ordered = found.into_iter().map(|(id, mut messages)| {
            messages.sort_by_key(|(at, _)| *at);
            (id, messages.into_iter().map(|(_, message)| message).collect())
        });
        ordered.collect()
    }

    pub(crate) async fn remove(self) {
        self.session.query_unpaged(format!("DROP KEYSPACE {}", self.keyspace), ()).await.unwrap();
    }
}

/// A keyspace of its own on a shared server.
async fn lay_new(session: &Session) -> String {
    let keyspace = format!("weir_test_{}", Uuid::new_v4().simple());
    let cql = weir_orders::SCHEMA.replace(weir_orders::KEYSPACE, &keyspace);
    if schema::lay(session, &cql).await.is_err() {
        schema::lay(session, &without_scylla_options(&cql)).await.unwrap();
    }
    keyspace
}

/// The schema for Cassandra, which knows neither tablets nor ScyllaDB's CDC.
fn without_scylla_options(cql: &str) -> String {
    let options = ["  AND tablets = {", "  AND cdc = {"];
    let lines = cql.lines().map(|line| if options.iter().any(|o| line.starts_with(o)) { ";" } else { line });
    lines.collect::<Vec<_>>().join("\n")
}
