//! The thread behind the handle: a listener, its connections, and the housekeeping of a broker.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use noida::kafka::engine::EngineState;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use crate::{connection, groups};

/// Connections the system may hold for us before we accept them.
const BACKLOG: u32 = 1024;

/// How often vanished group members are looked for, and the log is cleaned while it is written to.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// An idle log ages too, but looking through it each second would be most of what an idle broker does.
const ROUNDS_WHEN_IDLE: u32 = 10;

/// What the handle asks of the thread; the answer tells when it is done.
pub(crate) enum Order {
    Pause(SyncSender<io::Result<()>>),
    Resume(SyncSender<io::Result<()>>),
}

/// What the handle and all connections see: the engine, and the two things connections wait for.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<EngineState>,
    changed: watch::Sender<()>,
    delay: watch::Sender<Duration>,
    connections: AtomicUsize,
}

impl Shared {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            state: Mutex::new(EngineState::new(address.ip().to_string(), i32::from(address.port()))),
            changed: watch::Sender::new(()),
            delay: watch::Sender::new(Duration::ZERO),
            connections: AtomicUsize::new(0),
        }
    }

    /// The engine. The lock is held for one request at most, never while waiting.
    pub(crate) fn state(&self) -> MutexGuard<'_, EngineState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the fetches that wait for records.
    pub(crate) fn wake_fetches(&self) {
        self.changed.send_replace(());
    }

    /// Marked whenever records may have become readable.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }

    /// Counts a connection until the answer is dropped.
    pub(crate) fn connected(self: &Arc<Self>) -> Connected {
        self.connections.fetch_add(1, Ordering::AcqRel);
        Connected(Arc::clone(self))
    }

    pub(crate) fn delay_answers(&self, delay: Duration) {
        self.delay.send_replace(delay);
    }

    /// Waits until an answer that was ready at `ready` may leave.
    pub(crate) async fn hold_answer(&self, ready: Instant) {
        let mut delay = self.delay.subscribe();
        loop {
            let held = *delay.borrow_and_update();
            let changed_in_time = !held.is_zero() && timeout_at(ready + held, delay.changed()).await.is_ok();
            if !changed_in_time {
                return;
            }
        }
    }
}

/// A connection that counts.
pub(crate) struct Connected(Arc<Shared>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Serves until the handle is dropped, open or closed as it orders.
pub(crate) async fn run(
    listener: std::net::TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    let mut listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the embedded broker cannot listen"),
    };
    loop {
        let Some(paused) = open(listener, &shared, &mut orders).await else {
            return;
        };
        let reserved = match reserve(address) {
            Ok(reserved) => reserved,
            Err(error) => return answer(&paused, Err(error)),
        };
        answer(&paused, Ok(()));
        let Some(resumed) = closed(&mut orders).await else {
            return;
        };
        match reserved.listen(BACKLOG) {
            Ok(again) => listener = again,
            Err(error) => return answer(&resumed, Err(error)),
        }
        answer(&resumed, Ok(()));
    }
}

/// A socket that holds the port without listening on it, so that it refuses connections and nobody else gets it:
/// a client that keeps trying a free port of the ephemeral range sooner or later connects to itself.
fn reserve(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Accepts and serves until it is ordered to pause; by then every connection is cut. None: the handle is gone.
async fn open(
    listener: TcpListener,
    shared: &Arc<Shared>,
    orders: &mut mpsc::UnboundedReceiver<Order>,
) -> Option<SyncSender<io::Result<()>>> {
    let mut connections = JoinSet::new();
    let mut housekeeping = interval(HOUSEKEEPING);
    housekeeping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut written, mut round) = (shared.changes(), 0);
    let paused = loop {
        tokio::select! {
            order = orders.recv() => match order {
                None => break None,
                Some(Order::Pause(done)) => break Some(done),
                Some(Order::Resume(done)) => answer(&done, Ok(())),
            },
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection::serve(stream, peer, Arc::clone(shared)));
                }
                Err(error) => tracing::warn!(%error, "could not accept a connection"),
            },
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection failed");
                }
            }
            _ = housekeeping.tick() => {
                round = (round + 1) % ROUNDS_WHEN_IDLE;
                let mut state = shared.state();
                groups::expire(&mut state);
                if written.has_changed().unwrap_or(false) || round == 0 {
                    written.mark_unchanged();
                    state.run_log_cleaner();
                }
            }
        }
    };
    drop(listener);
    connections.shutdown().await;
    paused
}

/// Waits for the order to resume. None: the handle is gone.
async fn closed(orders: &mut mpsc::UnboundedReceiver<Order>) -> Option<SyncSender<io::Result<()>>> {
    loop {
        match orders.recv().await? {
            Order::Resume(done) => return Some(done),
            Order::Pause(done) => answer(&done, Ok(())),
        }
    }
}

fn answer(done: &SyncSender<io::Result<()>>, result: io::Result<()>) {
    // Only a handle that no longer waits is not there to hear it.
    done.send(result).ok();
}
