//! Every change of a table arrives on the topic with its images, over kills in the middle of a change.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use scylla::client::session_builder::SessionBuilder;
use serde_json::{Value, json};

use crate::harness::{Broker, Database, Fault, Outcome, Read, Weir, count, read_topic, until};

const LIMIT: Duration = Duration::from_secs(90);
const ITEMS: i64 = 8;
const SHOPS: i64 = 5;
/// So often each row is updated, all rows of an item in one batch.
const UPDATES: i64 = 300;
const RECORDS: usize = ((UPDATES + 1) * ITEMS * SHOPS) as usize;
/// A checkpoint is saved every 200 ms; syncing it takes its time on a busy disk.
const SAVED: Duration = Duration::from_secs(1);

fn pipeline(folder: &Path, database: &Database, broker: &Broker, keyspace: &str) -> PathBuf {
    let file = folder.join("changes.yaml");
    let text = format!(
        "name: changes
source:
  connector: scylla-cdc
  config:
    session: {{ contact_points: ['{}'] }}
    keyspace: {keyspace}
    table: stock
    images: [before, after]
sinks:
  - name: topic
    connector: redpanda
    config: {{ brokers: '{}', topic: {keyspace} }}
    batch: {{ records: 7 }}
",
        database.address(),
        broker.address(),
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// Updates every row again and again, and deletes them all in the end.
fn write_in_background(address: String, keyspace: String) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let session = SessionBuilder::new().known_node(address).build().await.unwrap();
            for number in 1..=UPDATES {
                for item in 0..ITEMS {
                    let row = |shop| {
                        format!("UPDATE {keyspace}.stock SET count = {number} WHERE item = {item} AND shop = {shop};")
                    };
                    let rows: String = (0..SHOPS).map(row).collect();
                    session.query_unpaged(format!("BEGIN BATCH {rows} APPLY BATCH"), ()).await.unwrap();
                }
            }
            for (item, shop) in (0..ITEMS).flat_map(|item| (0..SHOPS).map(move |shop| (item, shop))) {
                let delete = format!("DELETE FROM {keyspace}.stock WHERE item = {item} AND shop = {shop}");
                session.query_unpaged(delete, ()).await.unwrap();
            }
        });
    })
}

/// The records by the place in the log that they name; a repeat is the same to the byte.
fn distinct(read: &[Read]) -> HashMap<&str, &Read> {
    let mut distinct: HashMap<&str, &Read> = HashMap::new();
    for record in read {
        let first = distinct.entry(&record.headers["source_position"]).or_insert(record);
        assert_eq!((&first.key, &first.value), (&record.key, &record.value));
    }
    distinct
}

/// Each row was told of each of its changes, in order, with how it was before and after.
fn assert_whole(read: &[Read]) {
    let (mut rows, mut seen) = (BTreeMap::<&str, Vec<Value>>::new(), HashMap::new());
    for record in read {
        if seen.insert(&record.headers["source_position"], ()).is_none() {
            rows.entry(&record.key).or_default().push(serde_json::from_str(&record.value).unwrap());
        }
    }
    assert_eq!(rows.len() as i64, ITEMS * SHOPS);
    for (key, changes) in rows {
        let key: Value = serde_json::from_str(key).unwrap();
        let row = |count: i64| match count {
            0 => Value::Null,
            count => json!({"item": key["item"], "shop": key["shop"], "count": count, "note": null}),
        };
        for (change, number) in changes.iter().zip(1..) {
            let after = if number > UPDATES { Value::Null } else { row(number) };
            assert_eq!((&change["before"], &change["after"]), (&row(number - 1), &after), "{change}");
        }
        assert_eq!(changes.len() as i64, UPDATES + 1, "{key}");
        assert_eq!(changes.last().unwrap()["op"], "delete");
    }
}

#[test]
fn kill_9_in_the_middle_of_changes_loses_no_change_and_no_image() {
    let (database, broker, folder) = (Database::start(), Broker::start(), tempfile::tempdir().unwrap());
    let keyspace = format!("changes_{}", uuid::Uuid::new_v4().simple());
    database.execute(&format!(
        "CREATE KEYSPACE {keyspace} WITH replication = {{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}}"
    ));
    database.execute(&format!(
        "CREATE TABLE {keyspace}.stock (item bigint, shop bigint, count bigint, note text, PRIMARY KEY (item, shop)) \
         WITH cdc = {{'enabled': true, 'preimage': 'full', 'postimage': true}}"
    ));
    let file = pipeline(folder.path(), &database, &broker, &keyspace);
    let data = folder.path().join("data");
    let writer = write_in_background(database.address().to_owned(), keyspace.clone());
    let mut bound = 0;
    for kill in 1..=4 {
        let weir = Weir::run(&[&file], &data, &[]);
        let mut samples = Vec::new();
        until("records arrive", LIMIT, || {
            samples.push((Instant::now(), count(&broker.address(), &keyspace)));
            (samples.last().unwrap().1 >= RECORDS * kill / 5).then_some(())
        });
        weir.kill();
        let lately = samples.iter().rev().find(|(at, _)| at.elapsed() > SAVED).map_or(0, |(_, count)| *count);
        // What was in flight, 4 writes for each of 8 lanes, and what came since the last checkpoint.
        bound += 4 * 8 * 7 + count(&broker.address(), &keyspace) - lately;
    }
    let _weir = Weir::run(&[&file], &data, &[]);
    let read = read_topic(&broker.address(), &keyspace, LIMIT, |read| distinct(read).len() >= RECORDS);
    writer.join().unwrap();
    assert_whole(&read);
    let repeated = read.len() - RECORDS;
    assert!(repeated <= bound, "{repeated} repeats, {bound} allowed");
    let fault = Fault {
        place: "The host and its machine",
        fault: "weir ended with `kill -9` four times while `scylla-cdc` reads batches of a table with images",
        seen: "the next start goes on from the checkpoint, in order per row, each change with its images",
        repeated_at_most: "a kill: 4 writes for each of 8 lanes, and what came since the last checkpoint",
        recovers_within: "the next start",
    };
    fault.survived(&Outcome { lost: RECORDS - distinct(&read).len(), repeated, recovered: None });
}
