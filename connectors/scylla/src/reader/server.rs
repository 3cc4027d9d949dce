//! Asking the server for its time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use scylla::client::session::Session;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::CqlTimeuuid;
use tokio::time::Instant;
use weir_sdk::Error;
use weir_sdk::metrics::Gauge;

use super::clock::ServerClock;
use super::time::{Micros, micros, micros_of};
use crate::session::errors::{Classify, shape};

/// Clocks further apart than this are worth a word to the operator.
const APART: Duration = Duration::from_secs(1);

/// The server and its clock.
pub struct Server {
    session: Arc<Session>,
    now: PreparedStatement,
    clock: ServerClock,
    skew: Gauge,
    warned: bool,
}

impl Server {
    /// Asks for the time once, so that [`now`](Self::now) knows it.
    pub async fn ask_first(session: Arc<Session>, skew: Gauge) -> Result<Self, Error> {
        let now = session.prepare("SELECT now() FROM system.local WHERE key = 'local'").await;
        let now =
            now.map_err(|error| error.classify().context("prepare the question for the server's time"))?;
        let mut server = Self { session, now, clock: ServerClock::default(), skew, warned: false };
        server.ask().await?;
        Ok(server)
    }

    /// Asks one node for its time.
    pub async fn ask(&mut self) -> Result<(), Error> {
        let answer = self.session.execute_unpaged(&self.now, ()).await;
        let heard = Instant::now();
        let answer = answer.map_err(|error| error.classify().context("ask for the server's time"))?;
        let node = answer.request_coordinator().node().host_id;
        let answer = answer.into_rows_result().map_err(shape)?;
        let (time,) = answer.single_row::<(CqlTimeuuid,)>().map_err(shape)?;
        let time = micros_of(&time);
        self.clock.hear(node, time, heard);
        let ours = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, micros);
        self.skew.set((ours - time) as f64 / 1e6);
        self.warn_once();
        Ok(())
    }

    /// What the server's clock shows at least.
    pub fn now(&self) -> Micros {
        self.clock.at(Instant::now()).expect("it was asked when it was made, and the last answer stays")
    }

    fn warn_once(&mut self) {
        let spread = self.clock.spread(Instant::now());
        if spread > APART && !self.warned {
            self.warned = true;
            tracing::warn!(
                ?spread,
                "the nodes' clocks differ; the reader follows the slowest, check their time service"
            );
        }
    }
}
