//! Whatever order writes arrive in, the same rows are read; and pages add up to the whole.
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::{LiveRow, Order, Store, TokenRange};
use crate::clock::Clock;
use crate::mutation::{Mutation, RowPatch, Stamp, Tombstone};
use crate::schema::{
    Bounds, ClusteringRange, ColumnDefinition, ColumnKind, KeyspaceDefinition, OptionValue, PartitionKey,
    Table, TableDefinition, TableOptions,
};
use crate::value::order::Direction;
use crate::value::types;

const NOW: i64 = 1_700_000_000_000_000;

fn store() -> (Store, Clock) {
    let clock = Clock::manual(NOW);
    (Store::new(clock.clone()), clock)
}

/// `ks.t(p int, c int, s int static, v int, w int, PRIMARY KEY (p, c))`.
fn table(store: &Store, options: TableOptions) -> Arc<Table> {
    let int = types::parse("int", &|_| None).unwrap();
    let column = |name: &str, kind| ColumnDefinition {
        name: name.to_owned(),
        kind,
        typ: int.clone(),
        direction: Direction::Ascending,
    };
    let columns = vec![
        column("p", ColumnKind::PartitionKey),
        column("c", ColumnKind::Clustering),
        column("s", ColumnKind::Static),
        column("v", ColumnKind::Regular),
        column("w", ColumnKind::Regular),
    ];
    let replication = [("class", "NetworkTopologyStrategy"), ("replication_factor", "1")];
    let replication = replication.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let keyspace =
        KeyspaceDefinition { name: "ks".to_owned(), replication, durable_writes: true, tablets: None };
    let definition = TableDefinition { keyspace: "ks".to_owned(), name: "t".to_owned(), columns, options };
    store
        .change_schema(|schema| {
            schema.create_keyspace(keyspace)?;
            schema.create_table(definition)
        })
        .unwrap()
}

fn int(value: i32) -> Bytes {
    Bytes::copy_from_slice(&value.to_be_bytes())
}

fn key(table: &Table, p: i32) -> PartitionKey {
    table.partition_key(&[int(p)]).unwrap()
}

/// One write; timestamps are few, so that ties happen.
#[derive(Debug, Clone)]
enum Write {
    Insert { c: i32, v: i32, time: i64, ttl: u32 },
    Update { c: i32, v: Option<i32>, w: Option<i32>, time: i64 },
    Static { s: Option<i32>, time: i64 },
    DeleteRow { c: i32, time: i64 },
    DeleteRange { from: i32, to: i32, time: i64 },
    DeletePartition { time: i64 },
}

fn write() -> impl Strategy<Value = Write> {
    let (c, v, time) = (0..6_i32, 0..4_i32, 1..8_i64);
    let ttl = prop_oneof![Just(0_u32), 1..3_u32];
    let maybe = proptest::option::of(0..4_i32);
    prop_oneof![
        4 => (c.clone(), v, time.clone(), ttl).prop_map(|(c, v, time, ttl)| Write::Insert { c, v, time, ttl }),
        4 => (c.clone(), maybe.clone(), maybe.clone(), time.clone())
            .prop_map(|(c, v, w, time)| Write::Update { c, v, w, time }),
        1 => (maybe, time.clone()).prop_map(|(s, time)| Write::Static { s, time }),
        1 => (c.clone(), time.clone()).prop_map(|(c, time)| Write::DeleteRow { c, time }),
        1 => (c.clone(), c, time.clone()).prop_map(|(from, to, time)| Write::DeleteRange { from, to, time }),
        1 => time.prop_map(|time| Write::DeletePartition { time }),
    ]
}

fn range(table: &Table, from: i32, to: i32) -> Option<ClusteringRange> {
    let (from, to) = ([int(from)], [int(to)]);
    table.clustering_range(&[], &Bounds { lower: Bound::Included(&from), upper: Bound::Excluded(&to) })
}

fn mutation(table: &Arc<Table>, write: &Write) -> Mutation {
    let mut mutation = Mutation::new(Arc::clone(table), key(table, 1));
    let at = |time: i64| Tombstone { timestamp: time, deleted_at: (NOW / 1_000_000) as u32 };
    let id = |name: &str| table.column(name).unwrap().1.id;
    let set = |patch: &mut RowPatch, name: &str, value: Option<i32>, time: i64| match value {
        Some(value) => patch.set(id(name), &value.to_be_bytes(), Stamp::new(time)),
        None => patch.unset(id(name), at(time)),
    };
    match *write {
        Write::Insert { c, v, time, ttl } => {
            let stamp = Stamp::expiring(time, ttl, (NOW / 1_000_000) as u32);
            let mut patch = RowPatch::insert(stamp);
            patch.set(id("v"), &v.to_be_bytes(), stamp);
            mutation.rows.push((table.clustering_key(&[int(c)]), patch));
        }
        Write::Update { c, v, w, time } => {
            let mut patch = RowPatch::update(time);
            // The wrong way round, as a statement may name them.
            set(&mut patch, "w", w, time);
            set(&mut patch, "v", v, time);
            mutation.rows.push((table.clustering_key(&[int(c)]), patch));
        }
        Write::Static { s, time } => {
            let mut patch = RowPatch::update(time);
            set(&mut patch, "s", s, time);
            mutation.static_row = Some(patch);
        }
        Write::DeleteRow { c, time } => {
            mutation.rows.push((table.clustering_key(&[int(c)]), RowPatch::delete(at(time))));
        }
        Write::DeleteRange { from, to, time } => {
            mutation.range_tombstones.extend(range(table, from, to).map(|range| (range, at(time))));
        }
        Write::DeletePartition { time } => mutation.tombstone = Some(at(time)),
    }
    mutation
}

/// What there is to read, with write times and TTLs.
fn contents(store: &Store, table: &Table) -> Vec<String> {
    store.read(|snapshot| {
        let mut seen = Vec::new();
        for partition in snapshot.partitions(table, TokenRange::all(), None) {
            let mut show = |row: &LiveRow<'_>| {
                let cells: Vec<_> = table
                    .value_columns()
                    .iter()
                    .filter_map(|column| {
                        row.cell(column).map(|cell| (&*column.name, cell.value.to_vec(), cell.stamp))
                    })
                    .collect();
                seen.push(format!("{:?} {:?} {cells:?}", row.place(), row.marker()));
            };
            partition.static_row().iter().for_each(&mut show);
            let all = [ClusteringRange::all()];
            let ended = partition.for_each_row(&all, Order::Forward, |row| {
                show(row);
                ControlFlow::Continue(())
            });
            assert_eq!(ended, ControlFlow::Continue(()));
        }
        seen
    })
}

/// Of a row: its key (`None` for the static row), the marker's time, values with their times.
type Seen = (Option<i32>, Option<i64>, Vec<(i32, i64)>);

/// A value as the model knows it: write time, dead, expires, TTL inverted, value; the greatest wins.
type Candidate = (i64, bool, Option<(u32, u32)>, i32);

/// The winner, if it is newer than `shadow` and lives at `now`.
fn survivor(candidates: impl Iterator<Item = Candidate>, shadow: i64, now: u32) -> Option<(i32, i64)> {
    let (time, dead, expiry, value) = candidates.max()?;
    let expired = expiry.is_some_and(|(expires, _)| expires <= now);
    (time > shadow && !dead && !expired).then_some((value, time))
}

/// What there is to read after these writes, worked out from all of them at once.
fn model(writes: &[Write], now: u32) -> Vec<Seen> {
    let written_at = (NOW / 1_000_000) as u32;
    let newest =
        |covers: &dyn Fn(&Write) -> Option<i64>| writes.iter().filter_map(covers).max().unwrap_or(i64::MIN);
    let candidate = |time: i64, value: Option<i32>, ttl: u32| -> Candidate {
        let expiry = (ttl > 0).then(|| (written_at + ttl, u32::MAX - ttl));
        (time, value.is_none(), expiry, value.unwrap_or(0))
    };
    let partition = newest(&|write| match write {
        Write::DeletePartition { time } => Some(*time),
        _ => None,
    });
    let mut rows = Vec::new();
    let statics = writes.iter().filter_map(|write| match write {
        Write::Static { s, time } => Some(candidate(*time, *s, 0)),
        _ => None,
    });
    if let Some(s) = survivor(statics, partition, now) {
        rows.push((None, None, vec![s]));
    }
    for row in 0..6 {
        let shadow = newest(&|write| match write {
            Write::DeleteRow { c, time } if *c == row => Some(*time),
            Write::DeleteRange { from, to, time } if (*from..*to).contains(&row) => Some(*time),
            _ => None,
        });
        let shadow = shadow.max(partition);
        let cell = |pick: &dyn Fn(&Write) -> Option<Candidate>| {
            survivor(writes.iter().filter_map(pick), shadow, now)
        };
        let marker = cell(&|write| match write {
            Write::Insert { c, time, ttl, .. } if *c == row => Some(candidate(*time, Some(0), *ttl)),
            _ => None,
        });
        let v = cell(&|write| match write {
            Write::Insert { c, v, time, ttl } if *c == row => Some(candidate(*time, Some(*v), *ttl)),
            Write::Update { c, v, time, .. } if *c == row => Some(candidate(*time, *v, 0)),
            _ => None,
        });
        let w = cell(&|write| match write {
            Write::Update { c, w, time, .. } if *c == row => Some(candidate(*time, *w, 0)),
            _ => None,
        });
        let values: Vec<_> = v.into_iter().chain(w).collect();
        if marker.is_some() || !values.is_empty() {
            rows.push((Some(row), marker.map(|(_, time)| time), values));
        }
    }
    rows
}

/// The same of the store.
fn observed(store: &Store, table: &Table) -> Vec<Seen> {
    let number = |bytes: &[u8]| i32::from_be_bytes(bytes.try_into().unwrap());
    let show = |row: &LiveRow<'_>| {
        let c = table.clustering_values(row.place()).first().map(|value| number(value));
        let cells = table.value_columns().iter().filter_map(|column| row.cell(column));
        let values = cells.map(|cell| (number(cell.value), cell.stamp.timestamp)).collect();
        (c, row.marker().map(|marker| marker.timestamp), values)
    };
    store.read(|snapshot| {
        let mut seen = Vec::new();
        for partition in snapshot.partitions(table, TokenRange::all(), None) {
            seen.extend(partition.static_row().iter().map(show));
            let whole = partition.for_each_row(&[ClusteringRange::all()], Order::Forward, |row| {
                seen.push(show(row));
                ControlFlow::Continue(())
            });
            assert!(whole.is_continue());
        }
        seen
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_store_agrees_with_a_naive_model(
        writes in proptest::collection::vec(write(), 1..30),
        later in 0..4_u64,
    ) {
        let (store, clock) = store();
        let table = table(&store, TableOptions::default());
        for write in &writes {
            store.write(|transaction| transaction.apply(vec![mutation(&table, write)])).unwrap();
        }
        clock.advance(Duration::from_secs(later));
        prop_assert_eq!(observed(&store, &table), model(&writes, clock.seconds()));
    }

    #[test]
    fn any_order_of_writes_converges(
        writes in proptest::collection::vec(write(), 1..25),
        order in any::<prop::sample::Index>(),
        later in 0..4_u64,
    ) {
        let mut shuffled = writes.clone();
        shuffled.rotate_left(order.index(writes.len()));
        let mut backwards = writes.clone();
        backwards.reverse();
        let mut seen = Vec::new();
        for writes in [writes, shuffled, backwards] {
            let (store, clock) = store();
            let table = table(&store, TableOptions::default());
            for write in &writes {
                store.write(|transaction| transaction.apply(vec![mutation(&table, write)])).unwrap();
            }
            clock.advance(Duration::from_secs(later));
            let before = contents(&store, &table);
            store.sweep(usize::MAX);
            prop_assert_eq!(&before, &contents(&store, &table), "a sweep changes nothing one can read");
            seen.push(before);
        }
        prop_assert_eq!(&seen[0], &seen[1]);
        prop_assert_eq!(&seen[0], &seen[2]);
    }

    #[test]
    fn one_batch_equals_its_statements_one_by_one(writes in proptest::collection::vec(write(), 1..12)) {
        let mut seen = Vec::new();
        for cdc in ["false", "true"] {
            for together in [true, false] {
                let (store, _) = store();
                let mut options = TableOptions::default();
                let cdc = [("enabled".to_owned(), cdc.to_owned()), ("postimage".to_owned(), cdc.to_owned())].into();
                options.set("cdc", OptionValue::Map(cdc)).unwrap();
                let table = table(&store, options);
                // CDC takes no timestamps from before its first generation.
                let late = |write: &Write| shift(write, NOW);
                let mutations: Vec<_> = writes.iter().map(|write| mutation(&table, &late(write))).collect();
                if together {
                    store.write(|transaction| transaction.apply(mutations)).unwrap();
                } else {
                    for mutation in mutations {
                        store.write(|transaction| transaction.apply(vec![mutation])).unwrap();
                    }
                }
                seen.push(contents(&store, &table));
            }
        }
        prop_assert!(seen.iter().all(|rows| *rows == seen[0]));
    }

    #[test]
    fn pages_add_up_forward_and_back(rows in proptest::collection::btree_set(0..200_i32, 0..40), size in 1..9_usize) {
        let (store, _) = store();
        let table = table(&store, TableOptions::default());
        for &c in &rows {
            let write = Write::Insert { c, v: 0, time: 1, ttl: 0 };
            store.write(|transaction| transaction.apply(vec![mutation(&table, &write)])).unwrap();
        }
        for order in [Order::Forward, Order::Reverse] {
            let (mut rest, mut read) = (ClusteringRange::all(), Vec::new());
            loop {
                let page = page(&store, &table, &rest, order, size);
                let Some(last) = page.last() else { break };
                rest = if order == Order::Forward { rest.behind(last) } else { rest.before(last) };
                read.extend(page.clone());
            }
            let mut whole: Vec<_> = rows.iter().map(|c| table.clustering_key(&[int(*c)]).0).collect();
            if order == Order::Reverse {
                whole.reverse();
            }
            prop_assert_eq!(read, whole);
        }
    }
}

fn shift(write: &Write, by: i64) -> Write {
    let mut write = write.clone();
    let (Write::Insert { time, .. }
    | Write::Update { time, .. }
    | Write::Static { time, .. }
    | Write::DeleteRow { time, .. }
    | Write::DeleteRange { time, .. }
    | Write::DeletePartition { time }) = &mut write;
    *time += by;
    write
}

fn page(store: &Store, table: &Table, rest: &ClusteringRange, order: Order, size: usize) -> Vec<Vec<u8>> {
    store.read(|snapshot| {
        let mut places = Vec::new();
        let Some(partition) = snapshot.partition(table, &key(table, 1)) else {
            return places;
        };
        let ended = partition.for_each_row(std::slice::from_ref(rest), order, |row| {
            places.push(row.place().to_vec());
            if places.len() == size { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(ended.is_break(), places.len() == size);
        places
    })
}

#[test]
fn expired_rows_and_old_deletions_are_really_removed() {
    let (store, clock) = store();
    let table = table(&store, TableOptions::default());
    let writes = [
        Write::Insert { c: 1, v: 1, time: 5, ttl: 10 },
        Write::DeleteRow { c: 2, time: 5 },
        Write::DeletePartition { time: 1 },
    ];
    for write in &writes {
        store.write(|transaction| transaction.apply(vec![mutation(&table, write)])).unwrap();
    }
    let partitions = |store: &Store| store.read(|s| s.partitions(&table, TokenRange::all(), None).count());
    store.sweep(usize::MAX);
    assert_eq!((contents(&store, &table).len(), partitions(&store)), (1, 1));
    clock.advance(Duration::from_secs(864_001));
    assert_eq!(contents(&store, &table), Vec::<String>::new());
    // One row at a time gets there too.
    assert!((0..500).all(|_| !store.sweep(1)), "nothing is too much");
    assert_eq!(partitions(&store), 0);
}
