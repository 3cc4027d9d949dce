//! The embedded services: a ScyllaDB and a Kafka broker in this process, on real sockets.

use std::collections::HashSet;
use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use uuid::Uuid;
use weir_event_store::EventStore;
use weir_host::stop::Stop;
use weir_orders::{KEYSPACE, LoadOptions};
use weir_redpanda_dev::RedpandaDev;
use weir_scylla_dev::ScyllaDev;
use weir_sdk::{Error, ErrorKind};

use super::tables::Word;

/// The topic that the example publishes to.
const TOPIC: (&str, i32) = ("order-events", 4);

/// Both servers, and the application's own session; gone when dropped.
pub(crate) struct Services {
    // Gone before its server, or it would look for it in vain, and say so.
    session: Arc<Session>,
    scylla: ScyllaDev,
    redpanda: RedpandaDev,
}

impl Services {
    /// Starts both, where they were asked for, or else where their clients look first, or else where there is room.
    ///
    /// # Errors
    /// An address that was asked for is not to be had.
    pub(crate) async fn start(cql: Option<SocketAddr>, kafka: Option<SocketAddr>) -> anyhow::Result<Self> {
        let redpanda = match kafka {
            Some(address) => RedpandaDev::start(address)
                .map_err(|error| not_served("Kafka", "--kafka", address, &error))?,
            None => RedpandaDev::start(local(9092)).or_else(|_| RedpandaDev::start(local(0)))?,
        };
        let scylla = match cql {
            Some(address) => {
                start_scylla(address).await.map_err(|error| not_served("CQL", "--cql", address, &error))?
            }
            None => match start_scylla(local(9042)).await {
                Ok(scylla) => scylla,
                Err(_) => start_scylla(local(0)).await?,
            },
        };
        let builder = SessionBuilder::new().known_node_addr(scylla.address());
        let session = builder.build().await.context("cannot reach the embedded ScyllaDB")?;
        Ok(Self { session: Arc::new(session), scylla, redpanda })
    }

    /// Where CQL is served.
    pub(crate) fn cql(&self) -> SocketAddr {
        self.scylla.address()
    }

    /// Where Kafka is served.
    pub(crate) fn kafka(&self) -> SocketAddr {
        self.redpanda.address()
    }

    /// Makes the tables and the topic of the orders example.
    ///
    /// # Errors
    /// A service refuses.
    pub(crate) async fn lay_orders(&self) -> anyhow::Result<()> {
        weir_orders::lay_schema(&self.session).await.context("cannot lay the orders schema")?;
        self.redpanda.create_topic(TOPIC.0, TOPIC.1).context("cannot create the topic of the orders example")
    }

    /// An application that places orders, and tells of each event that it appended.
    ///
    /// # Errors
    /// The event store cannot be opened.
    pub(crate) async fn load(
        &self,
        options: LoadOptions,
        wrote: impl Fn(Word) + Send + Sync + 'static,
    ) -> anyhow::Result<Load> {
        let store = EventStore::open(self.session.clone(), weir_orders::store_options()).await?;
        Ok(Load(weir_orders::Load::new(store, options).on_event(move |event| wrote(Word::of(event)))))
    }

    /// The application's own session.
    pub(crate) fn session(&self) -> Arc<Session> {
        self.session.clone()
    }

    /// The events in the dead-letter table of the orders example; none where it was not laid.
    ///
    /// # Errors
    /// The table cannot be read.
    pub(crate) async fn dead_letters(&self) -> anyhow::Result<HashSet<Uuid>> {
        let statement = format!("SELECT event_id FROM {KEYSPACE}.dead_letter_queue");
        if self.session.get_cluster_state().get_keyspace(KEYSPACE).is_none() {
            return Ok(HashSet::new());
        }
        let rows = self.session.query_unpaged(statement, &[]).await?.into_rows_result()?;
        let ids = rows.rows::<(Option<Uuid>,)>()?.map(|row| row.map(|(id,)| id));
        Ok(ids.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }
}

/// A load that is about to begin.
pub(crate) struct Load(weir_orders::Load);

impl Load {
    /// Places orders until all are through their life, or until `stop`: then what was begun is finished.
    pub(crate) async fn run(self, stop: Stop) {
        self.0.run(async move { stop.requested().await }).await;
    }
}

async fn start_scylla(address: SocketAddr) -> anyhow::Result<ScyllaDev> {
    Ok(ScyllaDev::builder().listen(address).start().await?)
}

/// An address that was asked for is not to be had.
fn not_served(what: &str, flag: &str, address: SocketAddr, error: &dyn Display) -> Error {
    Error::new(ErrorKind::Config, format!("cannot serve {what} on {address}: {error:#}")).advice(format!(
        "another program listens there, or it is no address of this machine: stop that program, or give {flag} \
         another address (with port 0 the system chooses one)"
    ))
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
