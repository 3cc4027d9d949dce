//! Faults on purpose, for tests: what a database does to its clients when it is in trouble.
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::error::{DbError, ErrorCode};
use crate::storage::Store;

/// Makes the server misbehave. Clones act on the same server; every fault lasts until it is taken back.
#[derive(Debug, Clone)]
pub struct Faults(Arc<State>);

#[derive(Debug)]
struct State {
    store: Arc<Store>,
    refuse: AtomicBool,
    delay_micros: AtomicU64,
    frozen: watch::Sender<bool>,
    cut: watch::Sender<u64>,
    failures: Mutex<Vec<Failure>>,
    connections: AtomicU64,
    statements: AtomicU64,
    partitions: AtomicU64,
    /// Lets a statement be looked at without taking the lock of `failures` while there are none.
    failing: AtomicBool,
}

/// What clients asked for with some statements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// How often they were run; each page is one.
    pub statements: u64,
    /// How many partitions they looked for by their keys, those of an `IN` one by one.
    pub partitions: u64,
}

/// Statements that fail.
#[derive(Debug, Clone)]
pub struct Failure {
    pattern: String,
    code: ErrorCode,
    /// `None` until [`Faults::heal`].
    times: Option<u32>,
    share: Share,
    seen: u64,
}

/// So many of so many.
#[derive(Debug, Clone, Copy)]
struct Share {
    hits: u64,
    of: u64,
}

impl Failure {
    /// Each statement whose text holds `pattern` fails with `code`.
    pub fn of(pattern: impl Into<String>, code: ErrorCode) -> Self {
        Self { pattern: pattern.into(), code, times: None, share: Share { hits: 1, of: 1 }, seen: 0 }
    }

    /// Only the next `times` ones.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Only one in `count`: the last of each.
    #[must_use]
    pub fn one_in(mut self, count: u32) -> Self {
        self.share = Share { hits: 1, of: u64::from(count.max(1)) };
        self
    }

    /// Only this share of them, 0 to 1, evenly spread: the same ones in each run.
    #[must_use]
    pub fn share(mut self, share: f64) -> Self {
        const STEPS: u64 = 1_000_000;
        // From 0 to a million, so nothing is cut off.
        let hits = (share.clamp(0.0, 1.0) * STEPS as f64).round() as u64;
        self.share = Share { hits, of: STEPS };
        self
    }

    fn hits(&mut self, text: &str) -> bool {
        if self.times == Some(0) || !text.contains(&self.pattern) {
            return false;
        }
        let due = |seen: u64| seen.saturating_mul(self.share.hits) / self.share.of;
        let hit = due(self.seen + 1) > due(self.seen);
        self.seen += 1;
        if hit && let Some(times) = &mut self.times {
            *times -= 1;
        }
        hit
    }
}

impl Faults {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self(Arc::new(State {
            store,
            refuse: AtomicBool::new(false),
            delay_micros: AtomicU64::new(0),
            frozen: watch::Sender::new(false),
            cut: watch::Sender::new(0),
            failures: Mutex::default(),
            connections: AtomicU64::new(0),
            statements: AtomicU64::new(0),
            partitions: AtomicU64::new(0),
            failing: AtomicBool::new(false),
        }))
    }

    /// Closes new connections as soon as they are made. Those that exist go on.
    pub fn refuse_connections(&self) {
        self.0.refuse.store(true, Ordering::Relaxed);
    }

    /// Takes new connections again.
    pub fn accept_connections(&self) {
        self.0.refuse.store(false, Ordering::Relaxed);
    }

    /// Closes every connection in the middle of whatever it does.
    pub fn cut_connections(&self) {
        self.0.cut.send_modify(|cuts| *cuts += 1);
    }

    /// Sends every answer this much later; zero takes it back.
    pub fn delay_answers(&self, by: Duration) {
        self.0.delay_micros.store(u64::try_from(by.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Stops answering; connections stay open and requests wait.
    pub fn freeze(&self) {
        self.0.frozen.send_replace(true);
    }

    /// Answers again, what has waited first.
    pub fn thaw(&self) {
        self.0.frozen.send_replace(false);
    }

    /// Lets statements fail. Several may be set; the first that hits decides.
    pub fn fail(&self, failure: Failure) {
        self.0.failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
        self.0.failing.store(true, Ordering::Release);
    }

    /// Takes all failures of statements back.
    pub fn heal(&self) {
        self.0.failing.store(false, Ordering::Release);
        self.0.failures.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The CDC log rows of the next `writes` statements on `keyspace.table` become readable only `delay` after the
    /// write, with the time of the write in `cdc$time`. The write itself is answered and readable at once.
    pub fn delay_log_rows(&self, keyspace: &str, table: &str, writes: u32, delay: Duration) {
        self.0.store.delay_log_rows(keyspace, table, writes, delay);
    }

    /// Moves the server's clock forward.
    pub fn advance_clock(&self, by: Duration) {
        self.0.store.clock().advance(by);
    }

    /// Moves the server's clock back.
    pub fn rewind_clock(&self, by: Duration) {
        self.0.store.clock().rewind(by);
    }

    /// How many connections were made so far, refused ones too.
    pub fn connections(&self) -> u64 {
        self.0.connections.load(Ordering::Relaxed)
    }

    /// How many statements were to be run so far, failed ones too.
    pub fn statements(&self) -> u64 {
        self.0.statements.load(Ordering::Relaxed)
    }

    /// How many partitions statements looked for by their keys so far, those of a large `IN` one by one.
    pub fn partitions_read(&self) -> u64 {
        self.0.partitions.load(Ordering::Relaxed)
    }

    /// So many partitions more were looked for.
    pub(crate) fn looked_for(&self, partitions: u64) {
        self.0.partitions.fetch_add(partitions, Ordering::Relaxed);
    }

    /// A connection was made; `true` when it is to be refused.
    pub(crate) fn refuses(&self) -> bool {
        self.0.connections.fetch_add(1, Ordering::Relaxed);
        self.0.refuse.load(Ordering::Relaxed)
    }

    pub(crate) fn cuts(&self) -> watch::Receiver<u64> {
        self.0.cut.subscribe()
    }

    /// Waits until every connection has ended.
    pub(crate) async fn all_cut(&self) {
        self.0.cut.closed().await;
    }

    pub(crate) fn answer_delay(&self) -> Option<Duration> {
        let micros = self.0.delay_micros.load(Ordering::Relaxed);
        (micros > 0).then(|| Duration::from_micros(micros))
    }

    pub(crate) async fn thawed(&self) {
        if !*self.0.frozen.borrow() {
            return;
        }
        let mut frozen = self.0.frozen.subscribe();
        // The sender lives as long as `self`.
        frozen.wait_for(|frozen| !frozen).await.ok();
    }

    /// Counts a statement that is to be run, and fails it if it is one of those.
    pub(crate) fn check(&self, text: &str) -> Result<(), DbError> {
        self.0.statements.fetch_add(1, Ordering::Relaxed);
        if !self.0.failing.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut failures = self.0.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match failures.iter_mut().find_map(|failure| failure.hits(text).then(|| failure.code.clone())) {
            Some(code) => Err(DbError::new(code, "failed on purpose")),
            None => Ok(()),
        }
    }
}
