//! The CQL binary protocol, version 4: connections, frames, requests in and results out.
//!
//! [`connection`] runs one client's loop, [`frame`] cuts the byte stream into frames, [`request`] reads their bodies,
//! [`dispatch`] answers them, [`login`] checks who may ask, [`response`] writes the answers, [`prepared`] keeps prepared
//! statements, [`shards`] says to which shard a connection belongs.
mod connection;
mod dispatch;
mod frame;
mod login;
mod prepared;
mod request;
mod response;
mod shards;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::broadcast;

use crate::faults::{Asked, Faults};
use crate::outcome::SchemaChange;
use crate::storage::Store;
pub(crate) use login::Login;
use prepared::PreparedStatements;
use shards::Shards;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) store: Arc<Store>,
    pub(crate) faults: Faults,
    /// Who may log in; without one nobody needs to.
    login: Option<Login>,
    prepared: PreparedStatements,
    shards: Shards,
    schema_changes: broadcast::Sender<SchemaChange>,
}

impl Server {
    pub(crate) fn new(store: Arc<Store>, faults: Faults, login: Option<Login>) -> Self {
        let (schema_changes, _) = broadcast::channel(1024);
        let shards = Shards::new(store.node().layout.shards);
        Self { store, faults, login, prepared: PreparedStatements::default(), shards, schema_changes }
    }

    /// What was asked with prepared statements whose text begins so.
    pub(crate) fn asked(&self, begin: &str) -> Asked {
        self.prepared.asked(begin)
    }

    /// Clients must prepare again what they prepared.
    pub(crate) fn forget_statements(&self) {
        self.prepared.clear();
    }
}

/// Accepts connections until the listener's task is aborted; each has a task of its own that ends with a cut.
pub(crate) async fn accept(listener: TcpListener, server: Arc<Server>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) if server.faults.refuses() => drop(stream),
            Ok((stream, _)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(error = %error, "could not switch off Nagle's algorithm");
                }
                // Subscribed here, so that no connection misses the cut of a server that stops.
                let cut = server.faults.cuts();
                drop(tokio::spawn(connection::serve(stream, Arc::clone(&server), cut)));
            }
            Err(error) => {
                tracing::warn!(error = %error, "could not accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
