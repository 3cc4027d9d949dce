//! Asking the nodes for their time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use scylla::client::session::Session;
use scylla::policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy};
use scylla::statement::prepared::PreparedStatement;
use scylla::value::CqlTimeuuid;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;
use weir_sdk::Error;

use super::clock::{Monotonic, Now, ServerClock};
use super::time::{Micros, micros, micros_of};
use crate::session::errors::{Classify, shape};

/// Clocks further apart than this are worth a word to the operator.
const APART: Duration = Duration::from_secs(1);
/// How often every node is asked: often enough that none is forgotten.
const ROUND: Duration = Duration::from_secs(20);
/// How long one node may take to answer such a round.
const PATIENCE: Duration = Duration::from_secs(2);

/// The nodes and their clock.
pub struct Server {
    question: Question,
    time: Time,
    skew: f64,
    warned: bool,
    round: JoinSet<Result<Answer, Error>>,
    next_round: Instant,
}

/// The server's time, for whoever wants to know it without asking. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Time {
    clock: Arc<Mutex<ServerClock>>,
    monotonic: Monotonic,
}

impl Time {
    /// What the server's clock shows, and what can be trusted of it.
    pub fn now(&self) -> Now {
        let now = self.clock().at(self.monotonic.now());
        now.expect("it was asked when it was made, and the last answer stays")
    }

    /// What our own clock shows, which only time moves.
    pub fn ours(&self) -> Instant {
        self.monotonic.now()
    }

    fn clock(&self) -> MutexGuard<'_, ServerClock> {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone)]
struct Question {
    session: Arc<Session>,
    now: PreparedStatement,
    monotonic: Monotonic,
}

/// This node's clock showed this when the answer arrived.
struct Answer {
    node: Uuid,
    time: Micros,
    heard: Instant,
}

impl Server {
    /// Asks every node for its time, so that [`now`](Self::now) knows the slowest; one answer is enough. Rows may come
    /// `safety` late.
    pub async fn ask_first(
        session: Arc<Session>,
        monotonic: Monotonic,
        safety: Duration,
    ) -> Result<Self, Error> {
        let now = session.prepare("SELECT now() FROM system.local WHERE key = 'local'").await;
        let now =
            now.map_err(|error| error.classify().context("prepare the question for the server's time"))?;
        let clock = Arc::new(Mutex::new(ServerClock::new(safety, monotonic.now())));
        let mut server = Self {
            question: Question { session, now, monotonic: monotonic.clone() },
            time: Time { clock, monotonic },
            skew: 0.0,
            warned: false,
            round: JoinSet::new(),
            next_round: Instant::now(),
        };
        server.begin_round();
        while let Some(answer) = server.round.join_next().await {
            if let Ok(Ok(answer)) = answer {
                server.hear(&answer);
            }
        }
        server.ask().await?;
        Ok(server)
    }

    /// Asks one node for its time, and now and then all of them, without waiting for those.
    pub async fn ask(&mut self) -> Result<(), Error> {
        while let Some(answer) = self.round.try_join_next() {
            // A node that is down is no news: whoever reads from it says so.
            if let Ok(Ok(answer)) = answer {
                self.hear(&answer);
            }
        }
        if self.round.is_empty() && Instant::now() >= self.next_round {
            self.begin_round();
        }
        let answer = self.question.ask(None).await?;
        self.hear(&answer);
        let ours = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, micros);
        self.skew = (ours - answer.time) as f64 / 1e6;
        self.warn_once();
        Ok(())
    }

    /// What the server's clock shows, and what can be trusted of it.
    pub fn now(&self) -> Now {
        self.time.now()
    }

    /// The same for others.
    pub fn time(&self) -> Time {
        self.time.clone()
    }

    /// By how many seconds this machine's clock was ahead of the server's last answer.
    pub fn skew(&self) -> f64 {
        self.skew
    }

    fn hear(&self, answer: &Answer) {
        self.time.clock().hear(answer.node, answer.time, answer.heard);
    }

    fn begin_round(&mut self) {
        self.next_round = Instant::now() + ROUND;
        let state = self.question.session.get_cluster_state();
        for node in state.get_nodes_info().iter().filter(|node| node.is_enabled()) {
            let (question, node) = (self.question.clone(), node.host_id);
            self.round.spawn(async move { question.ask(Some(node)).await });
        }
    }

    fn warn_once(&mut self) {
        let spread = self.time.clock().spread(self.time.monotonic.now());
        if spread > APART && !self.warned {
            self.warned = true;
            tracing::warn!(
                ?spread,
                "the nodes' clocks differ; the reader follows the slowest, check their time service"
            );
        }
    }
}

impl Question {
    /// Asks this node, or any.
    async fn ask(&self, node: Option<Uuid>) -> Result<Answer, Error> {
        let mut now = self.now.clone();
        if let Some(node) = node {
            let only = SingleTargetLoadBalancingPolicy::new(NodeIdentifier::HostId(node), None);
            now.set_load_balancing_policy(Some(only));
            now.set_request_timeout(Some(PATIENCE));
        }
        let answer = self.session.execute_unpaged(&now, ()).await;
        let heard = self.monotonic.now();
        let answer = answer.map_err(|error| error.classify().context("ask for the server's time"))?;
        let node = answer.request_coordinator().node().host_id;
        let answer = answer.into_rows_result().map_err(shape)?;
        let (time,) = answer.single_row::<(CqlTimeuuid,)>().map_err(shape)?;
        Ok(Answer { node, time: micros_of(&time), heard })
    }
}
