//! What all seats of one table's reader share: the reads of its log, the questions beside it, and the windows and visits
//! that they go by.

use std::collections::VecDeque;
use std::ops::{Deref, Range};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;
use weir_sdk::Error;

use super::failure::Failure;
use super::reads::{Given, Read, Reads};
use super::visited::Visited;
use super::windows::{Kept, Windows};
use crate::reader::clock::Now;
use crate::reader::server::{Server, Time};
use crate::reader::statement::{Key, Part, Row};
use crate::reader::streams::Streams;
use crate::reader::time::{Bucket, Micros, micros};
use crate::reader::unsettled::Sum;
use crate::reader::watch::Watch;
use crate::reader::window::Window;
use crate::reader::{LOOK, Log};

/// What is kept of each kind of read for seats that are a little behind; a seat that is further behind reads alone.
pub const KEPT: usize = 16 << 20;
/// A record's headers, about.
const ROW: usize = 800;
/// Visits that are remembered: those of the last half minute.
const VISITS: usize = 16;

/// What all seats share.
pub struct Shared {
    rows: Arc<Reads<Row>>,
    /// Apart from the others, so that a seat that catches up does not take their place.
    backlog: Arc<Reads<Row>>,
    names: Arc<Reads<Key>>,
    sums: Arc<Reads<(Bucket, Sum)>>,
    cluster: tokio::sync::Mutex<Cluster>,
    time: Time,
    windows: Mutex<Windows<Arc<Read<Row>>>>,
    visits: Mutex<VecDeque<Arc<Visited>>>,
    /// Tells of a new window or visit.
    news: watch::Sender<()>,
    seats: Arc<AtomicUsize>,
}

/// What is asked of the cluster beside the log.
pub struct Cluster {
    /// Its time.
    pub server: Server,
    /// The log's streams.
    pub streams: Streams,
    /// The table.
    pub watch: Watch,
    /// How often all of them were asked; the last time and what the clock showed then.
    pub looks: u64,
    looked: Option<(Instant, Micros)>,
    failure: Failure,
}

impl Cluster {
    /// Nothing of it was asked yet.
    pub fn new(server: Server, streams: Streams, watch: Watch) -> Self {
        Self { server, streams, watch, looks: 0, looked: None, failure: Failure::default() }
    }

    /// The oldest time of which the log can still hold every row.
    pub fn oldest(&self, now: Micros) -> Micros {
        let kept = self.watch.ttl().map_or(Micros::MIN, |ttl| now.saturating_sub(micros(ttl)));
        kept.max(self.streams.oldest().unwrap_or(Micros::MIN))
    }

    /// Asks for the time, for new streams and after the table.
    async fn ask(&mut self) -> Result<Micros, Error> {
        // The time first: the list of streams is then good for at least that time.
        self.server.ask().await?;
        let now = self.server.now().shown;
        self.streams.refresh(now).await?;
        self.watch.look(now).await?;
        Ok(now)
    }
}

impl Shared {
    /// A reader without a seat, which keeps so many bytes of each kind of read.
    pub fn new(log: Log, cluster: Cluster, kept: usize) -> Self {
        let seats = Arc::<AtomicUsize>::default();
        Self {
            rows: Reads::new(log.rows.clone(), kept, of_rows, seats.clone()),
            backlog: Reads::new(log.rows, kept, of_rows, seats.clone()),
            names: Reads::new(log.names, kept, of_copies, seats.clone()),
            sums: Reads::new(log.sums, kept, of_copies, seats.clone()),
            time: cluster.server.time(),
            cluster: tokio::sync::Mutex::new(cluster),
            windows: Mutex::default(),
            visits: Mutex::default(),
            news: watch::Sender::default(),
            seats,
        }
    }

    /// The cluster as it was asked within the last second, by whoever came first.
    pub async fn look(&self) -> Result<tokio::sync::MutexGuard<'_, Cluster>, Error> {
        let asked = Instant::now();
        let mut cluster = self.cluster.lock().await;
        cluster.failure.since(asked)?;
        let ours = self.ours();
        if cluster.looked.is_none_or(|(looked, _)| ours >= looked + LOOK) {
            let now = match cluster.ask().await {
                Ok(now) => now,
                Err(error) => {
                    cluster.failure.set(&error);
                    return Err(error);
                }
            };
            if cluster.looked.is_some_and(|(_, before)| now < before) {
                self.clear();
            }
            cluster.looked = Some((self.ours(), now));
            cluster.looks += 1;
        }
        Ok(cluster)
    }

    /// The cluster as it is known.
    pub async fn cluster(&self) -> tokio::sync::MutexGuard<'_, Cluster> {
        self.cluster.lock().await
    }

    /// The server's time.
    pub fn now(&self) -> Now {
        self.time.now()
    }

    /// What our own clock shows, which only time moves.
    pub fn ours(&self) -> Instant {
        self.time.ours()
    }

    /// The windows that seats go by.
    pub fn windows(&self) -> MutexGuard<'_, Windows<Arc<Read<Row>>>> {
        lock(&self.windows)
    }

    /// Does a window that others read begin here?
    pub fn offers(&self, from: Micros) -> bool {
        self.windows().offers(from)
    }

    /// A new window, read from `began` on; `behind` when there is more to read behind it.
    pub fn open(&self, window: Window, parts: Vec<Part>, began: Now, behind: Option<bool>) -> Arc<Read<Row>> {
        let behind = behind == Some(true);
        let reads = if behind { &self.backlog } else { &self.rows };
        let read = reads.read(parts, began);
        self.windows().open(window, read.clone(), behind);
        self.news.send_replace(());
        read
    }

    /// The newest visit that is of use to a seat, which says what it would have of one; and what it has of it.
    pub fn visit<T>(&self, mut useful: impl FnMut(&Visited) -> Option<T>) -> Option<(Arc<Visited>, T)> {
        let visits = lock(&self.visits);
        let whole = visits.iter().rev().filter(|visit| visit.sums.is_whole());
        whole.filter_map(|visit| Some((visit.clone(), useful(visit)?))).next()
    }

    /// Begins a visit of these seconds, which these parts read.
    pub fn begin_visit(&self, runs: Vec<Range<Bucket>>, parts: Vec<Part>, began: Now) -> Arc<Visited> {
        let sums = self.sums.read(parts, began);
        let visit = Arc::new(Visited::new(runs, sums, self.names.clone(), self.rows.clone()));
        let mut visits = lock(&self.visits);
        visits.push_back(visit.clone());
        visits.retain(|visit| visit.sums.is_whole());
        if visits.len() > VISITS {
            visits.pop_front();
        }
        self.news.send_replace(());
        visit
    }

    /// A clock was set back: what was read of times to come is not all of them.
    fn clear(&self) {
        self.windows().clear();
        lock(&self.visits).clear();
        self.rows.clear();
        self.backlog.clear();
        self.names.clear();
        self.sums.clear();
    }
}

/// A place at a shared reader. While there is more than one, what is read is kept for the others.
pub struct Seat {
    shared: Arc<Shared>,
    news: watch::Receiver<()>,
}

impl Seat {
    /// Takes one.
    pub fn take(shared: Arc<Shared>) -> Self {
        shared.seats.fetch_add(1, Ordering::Relaxed);
        let news = shared.news.subscribe();
        Self { shared, news }
    }

    /// What the seats share.
    pub fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// Waits until another seat opens a window or begins a visit. Safe to drop.
    pub async fn news(&mut self) {
        // The sender lives as long as the seat.
        self.news.changed().await.ok();
    }
}

impl Deref for Seat {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.seats.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a page of rows takes of memory, which are slices of the answer, about.
fn of_rows(page: &Given<Row>) -> usize {
    page.bytes + page.rows.len() * ROW
}

/// What a page takes of which nothing is left of the answer.
fn of_copies<R: Copy>(page: &Given<R>) -> usize {
    page.rows.len() * size_of::<R>()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
