//! Starting and stopping the server inside another process.
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::cdc::generation;
use crate::clock::Clock;
use crate::error::DbError;
use crate::faults::{Asked, Faults};
use crate::schema::Layout;
use crate::storage::Store;
use crate::system::Node;
use crate::wire::{self, Login, Server};

const SWEEP_INTERVAL: Duration = Duration::from_millis(250);
/// While writes are refused for want of memory, and something may have expired.
const SWEEP_INTERVAL_WHEN_FULL: Duration = Duration::from_millis(10);
/// Enough for some million small rows.
const MEMORY: usize = 2 * 1024 * 1024 * 1024;
/// Rows looked at in one sweep: well under a millisecond of the lock.
const SWEEP_ROWS: usize = 4096;

/// A running server. It stops when dropped.
#[derive(Debug)]
pub struct ScyllaDev {
    address: SocketAddr,
    server: Arc<Server>,
    accepting: Option<JoinHandle<()>>,
    sweeping: JoinHandle<()>,
}

/// What a server is to be like.
#[derive(Debug, Clone)]
pub struct Builder {
    listen: SocketAddr,
    vnodes: u16,
    layout: Layout,
    clock: Clock,
    login: Option<Login>,
    memory: usize,
}

impl ScyllaDev {
    /// A server on a port of 127.0.0.1 that the system chooses, with 4 vnodes, on the system's clock.
    pub fn builder() -> Builder {
        Builder {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            vnodes: 4,
            layout: Layout::default(),
            clock: Clock::system(),
            login: None,
            memory: MEMORY,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ways to make it misbehave.
    pub fn faults(&self) -> Faults {
        self.server.faults.clone()
    }

    /// The clock it goes by.
    pub fn clock(&self) -> Clock {
        self.server.store.clock().clone()
    }

    /// What was asked with the prepared statements whose text begins so; of one that was forgotten, since it was
    /// prepared again.
    pub fn asked(&self, begin: &str) -> Asked {
        self.server.asked(begin)
    }

    /// Forgets every prepared statement, as one that was started anew does.
    pub fn forget_statements(&self) {
        self.server.forget_statements();
    }

    /// About what the tables take of memory, bytes; see [`Builder::memory`].
    pub fn memory_used(&self) -> usize {
        self.server.store.memory().0
    }

    /// Makes a new generation of CDC streams for writes from `since_millis` (ms since 1970) on.
    pub fn new_generation(&self, since_millis: i64) {
        self.server.store.new_generation(since_millis);
    }

    /// Splits or merges the tablets of a table, so that its CDC log has `count` streams (rounded up to a power of two)
    /// for writes from `since_millis` (ms since 1970) on.
    ///
    /// # Errors
    /// When the table is not there, has no CDC log, or is not on tablets, or when the count is not 1 to 4096.
    pub fn resize_tablets(
        &self,
        keyspace: &str,
        table: &str,
        count: u32,
        since_millis: i64,
    ) -> Result<(), DbError> {
        self.server.store.resize_tablets(keyspace, table, count, since_millis)
    }

    /// Closes all connections and the port, as if the database were gone. The data stays.
    pub async fn stop(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            // It ends by being aborted.
            accepting.await.ok();
        }
        self.server.faults.cut_connections();
        self.server.faults.all_cut().await;
    }

    /// Listens on the same port again, with the same data.
    ///
    /// # Errors
    /// When another process has taken the port.
    pub async fn restart(&mut self) -> std::io::Result<()> {
        self.stop().await;
        let listener = TcpListener::bind(self.address).await?;
        self.accepting = Some(tokio::spawn(wire::accept(listener, Arc::clone(&self.server))));
        Ok(())
    }
}

impl Drop for ScyllaDev {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
        self.sweeping.abort();
        self.server.faults.thaw();
        self.server.faults.cut_connections();
    }
}

impl Builder {
    /// Listens here; port 0 lets the system choose one.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// How many shards the node has: 1 to 256. A connection belongs to one, and each has a CDC stream in every range.
    #[must_use]
    pub fn shards(mut self, count: u16) -> Self {
        self.layout.shards = count.clamp(1, 256);
        self
    }

    /// New keyspaces are on tablets unless they say otherwise, as in ScyllaDB since 2025.1, and a table in them starts with
    /// `initial` tablets (rounded up to a power of two), or with ten for each shard if that is 0. Without this call
    /// they are on vnodes unless they ask for tablets.
    #[must_use]
    pub fn tablets(mut self, initial: u32) -> Self {
        self.layout.tablets = Some(initial);
        self
    }

    /// How many ranges of the ring the node has, each with a CDC stream for every shard: 1 to 256.
    #[must_use]
    pub fn vnodes(mut self, count: u16) -> Self {
        self.vnodes = count.clamp(1, 256);
        self
    }

    /// The clock that timestamps, TTLs and generations go by.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Clients must log in as this user. Without it nobody is asked.
    #[must_use]
    pub fn password(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.login = Some(Login::new(user.into(), password.into()));
        self
    }

    /// What the tables may take of memory, bytes; 2 GiB unless said. Above it writes are answered with
    /// [`Overloaded`](crate::error::ErrorCode::Overloaded) until something is deleted or expires. It is an estimate of what
    /// rows, keys and tombstones take, and does not count requests and answers under way.
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// Starts the server; it listens when this returns.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start(self) -> std::io::Result<ScyllaDev> {
        let listener = TcpListener::bind(self.listen).await?;
        let address = listener.local_addr()?;
        let tokens = generation::range_ends(self.vnodes);
        // "All addresses" is none that a client could connect to.
        let ip = if address.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { address.ip() };
        let node = Node { address: ip, tokens, layout: self.layout, ..Node::default() };
        let store = Arc::new(Store::for_node(self.clock, node));
        store.limit_memory(self.memory);
        let faults = Faults::new(Arc::clone(&store));
        let server = Arc::new(Server::new(Arc::clone(&store), faults, self.login));
        let accepting = Some(tokio::spawn(wire::accept(listener, Arc::clone(&server))));
        let sweeping = tokio::spawn(sweep(store));
        Ok(ScyllaDev { address, server, accepting, sweeping })
    }
}

async fn sweep(store: Arc<Store>) {
    let mut interval = SWEEP_INTERVAL;
    loop {
        tokio::time::sleep(interval).await;
        let full = store.sweep(SWEEP_ROWS);
        interval = if full { SWEEP_INTERVAL_WHEN_FULL } else { SWEEP_INTERVAL };
    }
}
