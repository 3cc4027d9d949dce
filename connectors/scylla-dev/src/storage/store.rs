//! The store: data and schema behind one lock, and the write path.
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use super::budget::Budget;
use super::sweep::Cursor;
use super::tables::Tables;
use super::view::Snapshot;
use crate::cdc::generation::Generation;
use crate::cdc::streams::Streams;
use crate::cdc::{self, Recorder};
use crate::clock::Clock;
use crate::error::DbError;
use crate::mutation::Mutation;
use crate::schema::{MAX_TABLETS, Schema, Table, TableId, log_name};
use crate::system::{self, Node};

/// Timestamps further ahead of the clock than this mean that the clock was moved back, µs.
const CLOCK_STEP: i64 = 4_000_000;

/// All data and the schema. Shared by all connections.
#[derive(Debug)]
pub struct Store {
    data: RwLock<Data>,
    schema: RwLock<Arc<Schema>>,
    clock: Clock,
    node: Node,
    last_timestamp: AtomicI64,
    salt: AtomicU64,
    /// When the next held-back log rows become readable, µs since 1970.
    next_release: AtomicI64,
    budget: Budget,
}

/// What the lock guards.
#[derive(Debug, Default)]
pub(super) struct Data {
    pub(super) tables: Tables,
    pub(super) cursor: Cursor,
    streams: Streams,
    late: Vec<LateLog>,
    /// Log rows held back, by the time at which they become readable.
    held_back: BTreeMap<i64, Vec<Mutation>>,
}

/// Log rows of the next writes to a table are held back.
#[derive(Debug)]
struct LateLog {
    keyspace: String,
    table: String,
    writes: u32,
    delay_micros: i64,
}

/// The data while this statement alone may look at it and change it.
#[derive(Debug)]
pub struct Transaction<'a> {
    data: &'a mut Data,
    store: &'a Store,
    micros: i64,
}

impl Store {
    /// A store that goes by this clock, with nothing in it but the system tables, for a node like any other.
    #[cfg(test)]
    pub fn new(clock: Clock) -> Self {
        Self::for_node(clock, Node::default())
    }

    /// A store that goes by this clock, with nothing in it but the tables that describe this node.
    pub fn for_node(clock: Clock, node: Node) -> Self {
        let seed = uuid::Uuid::new_v4().as_u64_pair().0;
        let store = Self {
            data: RwLock::default(),
            schema: RwLock::default(),
            clock,
            node,
            last_timestamp: AtomicI64::new(i64::MIN),
            salt: AtomicU64::new(seed),
            next_release: AtomicI64::new(i64::MAX),
            budget: Budget::unlimited(),
        };
        store.lock().streams.add(store.generation(store.clock.micros() / 1000));
        let installed = store.change_schema(|schema| {
            schema.layout = store.node.layout;
            system::create(schema)
        });
        installed.expect("the definitions of the system tables are constant and checked by a test");
        store
    }

    /// The schema at this moment.
    pub fn schema(&self) -> Arc<Schema> {
        Arc::clone(&self.schema.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the schema: all of `change` or nothing of it. Data of dropped tables and columns is removed.
    pub fn change_schema<T>(
        &self,
        change: impl FnOnce(&mut Schema) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        let mut current = self.schema.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = (**current).clone();
        next.since = self.clock.micros();
        let result = change(&mut next)?;
        next.version = uuid::Uuid::new_v4();
        let mut data = self.lock();
        data.tables.follow(&current, &next);
        data.streams.follow((&current, &next), self.clock.micros() / 1000, || self.salt());
        *current = Arc::new(next);
        self.describe(&current, &mut data);
        Ok(result)
    }

    /// Looks at the data. Others may read meanwhile, nobody writes.
    pub fn read<T>(&self, look: impl FnOnce(Snapshot<'_>) -> T) -> T {
        let micros = self.clock.micros();
        if micros >= self.next_release.load(Ordering::Acquire) {
            self.release(&mut self.lock(), micros);
        }
        let data: RwLockReadGuard<'_, Data> = self.data.read().unwrap_or_else(PoisonError::into_inner);
        look(Snapshot { tables: &data.tables, micros })
    }

    /// Looks at the data and changes it; nobody else reads or writes meanwhile. Conditional statements use this.
    pub fn write<T>(&self, change: impl FnOnce(&mut Transaction<'_>) -> T) -> T {
        let mut data = self.lock();
        let micros = self.clock.micros();
        if micros >= self.next_release.load(Ordering::Acquire) {
            self.release(&mut data, micros);
        }
        change(&mut Transaction { data: &mut data, store: self, micros })
    }

    /// Removes all rows of a table. Its CDC log stays as it is.
    pub fn truncate(&self, table: &Table) {
        self.lock().tables.clear(table.id);
    }

    /// A write timestamp, µs since 1970: the clock's time, or one more than the last one if that was given out already.
    pub fn timestamp(&self) -> i64 {
        let now = self.clock.micros();
        // A clock that was moved back is followed; a clock that stands still is not what this is about.
        let next = |last: i64| {
            if last > now.saturating_add(CLOCK_STEP) { now } else { now.max(last.saturating_add(1)) }
        };
        let last =
            self.last_timestamp.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        last.map_or(now, next)
    }

    /// The clock everything here goes by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The node it plays.
    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    /// Makes a new stream generation for writes from `since_millis` (ms since 1970) on, as a change of the ring would.
    pub fn new_generation(&self, since_millis: i64) {
        let schema = self.schema();
        let mut data = self.lock();
        data.streams.add(self.generation(since_millis));
        self.describe(&schema, &mut data);
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
        let schema = self.schema();
        let log = schema.table(keyspace, &log_name(table))?;
        if !(1..=MAX_TABLETS).contains(&count) {
            return Err(DbError::invalid(format!("a table has 1 to {MAX_TABLETS} tablets, not {count}")));
        }
        let mut data = self.lock();
        data.streams.resize(log, count.next_power_of_two(), since_millis, || self.salt())?;
        self.describe(&schema, &mut data);
        Ok(())
    }

    fn generation(&self, since_millis: i64) -> Generation {
        Generation::of_vnodes(since_millis, &self.node.tokens, self.node.layout.shards, || self.salt())
    }

    /// Holds back the log rows of the next `writes` statements on a table for `delay`.
    pub(crate) fn delay_log_rows(&self, keyspace: &str, table: &str, writes: u32, delay: Duration) {
        let delay_micros = i64::try_from(delay.as_micros()).unwrap_or(i64::MAX);
        let (keyspace, table) = (keyspace.to_owned(), table.to_owned());
        self.lock().late.push(LateLog { keyspace, table, writes, delay_micros });
    }

    /// Refuses writes while the tables take more than this of memory.
    pub(crate) fn limit_memory(&self, bytes: usize) {
        self.budget.set(bytes);
    }

    /// What the tables take of memory, and what they may take, bytes.
    pub(crate) fn memory(&self) -> (usize, usize) {
        let data = self.data.read().unwrap_or_else(PoisonError::into_inner);
        (data.tables.bytes(), self.budget.bytes())
    }

    /// Whether the bytes counted along the way are those that are there.
    #[cfg(test)]
    pub(crate) fn assert_counted(&self) {
        let data = self.data.read().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(data.tables.bytes().cast_signed(), data.tables.recount());
    }

    /// Forgets what has expired, among the next `rows` rows of a walk through all tables. Gives whether the memory
    /// budget is still spent after that.
    pub(crate) fn sweep(&self, rows: usize) -> bool {
        let schema = self.schema();
        let mut data = self.lock();
        data.sweep(&schema, rows, self.clock.seconds());
        self.budget.is_spent(data.tables.bytes())
    }

    /// Writes the system tables anew.
    fn describe(&self, schema: &Schema, data: &mut Data) {
        for (table, mutations) in system::describe(schema, &self.node, &data.streams) {
            data.tables.clear(table);
            mutations.into_iter().for_each(|mutation| data.tables.apply(mutation));
        }
    }

    fn release(&self, data: &mut Data, micros: i64) {
        let later = data.held_back.split_off(&micros.saturating_add(1));
        for mutation in std::mem::replace(&mut data.held_back, later).into_values().flatten() {
            data.tables.apply(mutation);
        }
        let next = data.held_back.keys().next().copied().unwrap_or(i64::MAX);
        self.next_release.store(next, Ordering::Release);
    }

    fn lock(&self) -> RwLockWriteGuard<'_, Data> {
        self.data.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number unlike all others: a counter, mixed.
    fn salt(&self) -> u64 {
        let count = self.salt.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let mixed = (count ^ (count >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

impl Transaction<'_> {
    /// The data as it is now, own changes included.
    pub fn snapshot(&self) -> Snapshot<'_> {
        Snapshot { tables: &self.data.tables, micros: self.micros }
    }

    /// A write timestamp; see [`Store::timestamp`].
    pub fn timestamp(&self) -> i64 {
        self.store.timestamp()
    }

    /// Applies the mutations of one statement or batch, and what the CDC logs record of them: all or, if there is an
    /// error, none.
    pub fn apply(&mut self, mutations: Vec<Mutation>) -> Result<(), DbError> {
        self.store.budget.check(self.data.tables.bytes(), &mutations)?;
        let mutations = cdc::gather(mutations);
        let recorder =
            Recorder { streams: &self.data.streams, micros: self.micros, salt: &|| self.store.salt() };
        let mut recorded = Vec::new();
        for mutation in mutations.iter().filter(|mutation| mutation.table.cdc_log.is_some()) {
            let tables = &self.data.tables;
            let before = |place: Option<&[u8]>| tables.stored(mutation.table.id, &mutation.key, place);
            recorded.push((mutation.table.id, recorder.record(mutation, &before)?));
        }
        if !recorded.is_empty() {
            self.log(&mutations, recorded);
        }
        mutations.into_iter().for_each(|mutation| self.data.tables.apply(mutation));
        Ok(())
    }

    fn log(&mut self, mutations: &[Mutation], recorded: Vec<(TableId, Vec<Mutation>)>) {
        let late = self.data.late_tables(mutations);
        for (base, rows) in recorded {
            match late.iter().find(|(table, _)| *table == base) {
                Some((_, delay)) => {
                    let due = self.micros.saturating_add(*delay);
                    self.data.held_back.entry(due).or_default().extend(rows);
                    self.store.next_release.fetch_min(due, Ordering::AcqRel);
                }
                None => rows.into_iter().for_each(|mutation| self.data.tables.apply(mutation)),
            }
        }
    }
}

impl Data {
    /// The tables among those of one statement whose log rows are held back, and for how long; counts the statement.
    fn late_tables(&mut self, mutations: &[Mutation]) -> Vec<(TableId, i64)> {
        let mut tables = Vec::new();
        for late in &mut self.late {
            let hit = |mutation: &&Mutation| {
                *mutation.table.name == *late.table && *mutation.table.keyspace == *late.keyspace
            };
            if let Some(mutation) = mutations.iter().find(hit)
                && !tables.iter().any(|(table, _)| *table == mutation.table.id)
            {
                late.writes = late.writes.saturating_sub(1);
                tables.push((mutation.table.id, late.delay_micros));
            }
        }
        self.late.retain(|late| late.writes > 0);
        tables
    }
}
