//! The database a test writes to: the embedded ScyllaDB, or one named by SCYLLA_NODES, with the orders schema.

use std::sync::Arc;
use std::time::Duration;

use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::deserialize::row::DeserializeRow;
use scylla::statement::prepared::PreparedStatement;
use tokio::runtime::Runtime;
use uuid::Uuid;
use weir_event_store::{Clock, EventStore, Options};
use weir_orders::{Load, LoadOptions, Written};
use weir_scylla_dev::ScyllaDev;

use super::until;

/// A database with the orders schema, and a session of its own.
pub(crate) struct Database {
    runtime: Runtime,
    server: Option<ScyllaDev>,
    address: String,
    session: Arc<Session>,
    insert: PreparedStatement,
}

const INSERT: &str = "INSERT INTO orders_ks.outbox_messages (aggregate_id, sequence_number, id, event_id, event_type, \
                      event_version, payload, created_at) VALUES (?, ?, ?, ?, ?, 1, ?, toTimestamp(now()))";

impl Database {
    /// The one that SCYLLA_NODES names, or an embedded one; says which.
    pub(crate) fn start() -> Self {
        match std::env::var("SCYLLA_NODES") {
            Ok(address) if !address.is_empty() => {
                println!("against the database {address} (SCYLLA_NODES)");
                Self::at(runtime(), None, address)
            }
            _ => Self::embedded(),
        }
    }

    /// An embedded one, for tests that make it misbehave.
    pub(crate) fn embedded() -> Self {
        println!("against the embedded ScyllaDB");
        let runtime = runtime();
        let server = runtime.block_on(ScyllaDev::builder().start()).unwrap();
        let address = server.address().to_string();
        Self::at(runtime, Some(server), address)
    }

    /// An embedded one, with the orders on four tablets a table.
    pub(crate) fn on_tablets() -> Self {
        const KEYSPACE: &str = "CREATE KEYSPACE orders_ks WITH tablets = {'initial': 4} AND replication = \
                                {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}";
        println!("against the embedded ScyllaDB, on tablets");
        let runtime = runtime();
        let server = runtime.block_on(async {
            let server = ScyllaDev::builder().start().await.unwrap();
            let session =
                SessionBuilder::new().known_node(server.address().to_string()).build().await.unwrap();
            session.query_unpaged(KEYSPACE, &[]).await.unwrap();
            server
        });
        let address = server.address().to_string();
        Self::at(runtime, Some(server), address)
    }

    /// One that another process serves.
    pub(crate) fn served(address: &str) -> Self {
        Self::at(runtime(), None, address.to_owned())
    }

    /// Makes the tables of the orders that are not there.
    pub(crate) fn lay_orders(&self) {
        self.runtime.block_on(weir_orders::lay_schema(&self.session)).unwrap();
    }

    fn at(runtime: Runtime, server: Option<ScyllaDev>, address: String) -> Self {
        let (session, insert) = runtime.block_on(async {
            let session = SessionBuilder::new().known_node(&address).build().await.unwrap();
            weir_orders::lay_schema(&session).await.unwrap();
            let insert = session.prepare(INSERT).await.unwrap();
            (Arc::new(session), insert)
        });
        Self { runtime, server, address, session, insert }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The embedded server, to make it misbehave.
    pub(crate) fn server(&self) -> &ScyllaDev {
        self.server.as_ref().unwrap()
    }

    /// Gone: connections cut, port closed. The data stays.
    pub(crate) fn stop(&mut self) {
        self.runtime.block_on(self.server.as_mut().unwrap().stop());
    }

    /// Back on the same port.
    pub(crate) fn restart(&mut self) {
        self.runtime.block_on(self.server.as_mut().unwrap().restart()).unwrap();
    }

    /// Runs one statement. ScyllaDB wants some seconds between dropping a column and adding it again.
    pub(crate) fn execute(&self, statement: &str) {
        let run = || match self.runtime.block_on(self.session.query_unpaged(statement, &[])) {
            Err(error) if error.to_string().contains("dropped too recently") => None,
            answer => {
                answer.unwrap();
                Some(())
            }
        };
        until(statement, Duration::from_secs(30), run);
    }

    /// Asks it something, as an application would.
    pub(crate) fn with<T>(&self, ask: impl AsyncFnOnce(&Session) -> T) -> T {
        self.runtime.block_on(ask(&self.session))
    }

    /// The only column of an answer.
    pub(crate) fn numbers(&self, statement: &str) -> Vec<i64> {
        self.with(async |session| {
            let answer = session.query_unpaged(statement, &[]).await.unwrap().into_rows_result().unwrap();
            answer.rows::<(i64,)>().unwrap().map(|row| row.unwrap().0).collect()
        })
    }

    /// Places orders and takes them through their life.
    pub(crate) fn place_orders(&self, options: LoadOptions) -> Written {
        self.runtime.block_on(Load::new(self.store(), options).run(std::future::pending()))
    }

    /// The event store of the orders, as an application opens it.
    pub(crate) fn store(&self) -> EventStore {
        self.store_of(Clock::system())
    }

    /// The event store of a writer with this clock.
    pub(crate) fn store_of(&self, clock: Clock) -> EventStore {
        self.store_with(Options { clock, ..weir_orders::store_options() })
    }

    pub(crate) fn store_with(&self, options: Options) -> EventStore {
        self.runtime.block_on(EventStore::open(self.session.clone(), options)).unwrap()
    }

    /// What a `SELECT count(*)` counts.
    pub(crate) fn count(&self, statement: &str) -> i64 {
        let answer = self.runtime.block_on(self.session.query_unpaged(statement, &[])).unwrap();
        answer.into_rows_result().unwrap().single_row::<(i64,)>().unwrap().0
    }

    /// Every row of an answer.
    pub(crate) fn rows<R: for<'r> DeserializeRow<'r, 'r>>(&self, statement: &str) -> Vec<R> {
        self.with(async |session| {
            let answer = session.query_unpaged(statement, &[]).await.unwrap().into_rows_result().unwrap();
            answer.rows::<R>().unwrap().map(Result::unwrap).collect()
        })
    }

    /// Writes one event of this type.
    pub(crate) fn tell(&self, aggregate: Uuid, number: i64, event_type: &str, payload: &str) {
        let values = (aggregate, number, Uuid::new_v4(), Uuid::new_v4(), event_type, payload);
        self.runtime.block_on(self.session.execute_unpaged(&self.insert, &values)).unwrap();
    }

    /// Writes events `numbers` of this aggregate, one after the other.
    pub(crate) fn write(&self, aggregate: Uuid, numbers: impl IntoIterator<Item = i64>) {
        self.runtime.block_on(async {
            for number in numbers {
                insert(&self.session, &self.insert, aggregate, number).await;
            }
        });
    }

    /// Writes one event with a payload of so many bytes.
    pub(crate) fn write_large(&self, aggregate: Uuid, number: i64, bytes: usize) {
        let payload = "x".repeat(bytes);
        let values = (aggregate, number, Uuid::new_v4(), Uuid::new_v4(), "OrderUpdated", payload);
        self.runtime.block_on(self.session.execute_unpaged(&self.insert, &values)).unwrap();
    }

    /// Writes `events` events over `aggregates`, numbered from 1 for each, in the background and in order per aggregate.
    pub(crate) fn write_in_background(&self, aggregates: usize, events: i64) -> Vec<Uuid> {
        let ids: Vec<_> = (0..aggregates).map(|_| Uuid::new_v4()).collect();
        let each = events / aggregates as i64;
        for share in ids.chunks(aggregates.div_ceil(16)) {
            let (session, statement, share) = (self.session.clone(), self.insert.clone(), share.to_vec());
            self.runtime.spawn(async move {
                for number in 1..=each {
                    for aggregate in &share {
                        insert(&session, &statement, *aggregate, number).await;
                    }
                }
            });
        }
        ids
    }
}

async fn insert(session: &Session, statement: &PreparedStatement, aggregate: Uuid, number: i64) {
    let payload = format!("{{\"number\":{number}}}");
    let values = (aggregate, number, Uuid::new_v4(), Uuid::new_v4(), "OrderUpdated", payload);
    for _ in 0..100 {
        match session.execute_unpaged(statement, &values).await {
            Ok(_) => return,
            // The database of some tests is away for a while; the same row again is the same row.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    panic!("the database does not take event {number} of {aggregate}");
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}
