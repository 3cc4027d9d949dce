//! Whatever a client sends, it gets an answer: damaged statements with values of any bytes.
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use super::Database;
use super::database::bound;
use crate::outcome::{BoundValue, QueryOptions};

const TABLES: [&str; 3] = [
    "CREATE TYPE place (street text, number int)",
    "CREATE TABLE t (k int, c int, d text, s int static, v int, l list<int>, m map<text, int>, p place, x decimal, \
     id timeuuid, at timestamp, du duration, PRIMARY KEY (k, c, d)) WITH cdc = {'enabled': true}",
    "CREATE TABLE o (a blob, b varint, v set<uuid>, PRIMARY KEY ((a, b)))",
];

const STATEMENTS: [&str; 22] = [
    "SELECT * FROM t WHERE k = ? AND c > ? AND c <= 5 ORDER BY c DESC PER PARTITION LIMIT ? LIMIT 7 ALLOW FILTERING",
    "SELECT DISTINCT k , s FROM t WHERE token ( k ) > token ( ? ) AND token ( k ) <= ? LIMIT ?",
    "SELECT k , c , count ( * ) , sum ( v ) , avg ( x ) , min ( id ) , m [ ? ] , p . street FROM t WHERE k IN ?",
    "SELECT toTimestamp ( id ) , cast ( x AS text ) , cast ( at AS date ) , ttl ( v ) , writetime ( v ) FROM t",
    "SELECT v FROM t WHERE k = 1 AND ( c , d ) > ( ? , 'x' ) AND ( c ) < ( ? )",
    "SELECT v FROM t WHERE k IN ( 1 , 2 ) AND ( c , d ) IN ? ORDER BY c ASC , d ASC",
    "SELECT v FROM t WHERE id >= minTimeuuid ( ? ) AND id < maxTimeuuid ( ? ) AND m [ 'a' ] = ? ALLOW FILTERING",
    "SELECT b FROM o WHERE a = 0xff AND b = ?",
    "INSERT INTO t ( k , c , d , s , v , l , m , p , x , id ) VALUES ( ? , ? , ? , ? , ? , ? , ? , ? , ? , now ( ) )",
    "INSERT INTO t ( k , c , d , at , du ) VALUES ( 1 , 2 , 'x' , '2024-01-01' , ? ) USING TTL ? AND TIMESTAMP ?",
    "INSERT INTO o ( a , b , v ) VALUES ( ? , ? , ? ) IF NOT EXISTS",
    "UPDATE t SET l = l + ? , m = m - ? , p . number = ? WHERE k = ? AND c = ? AND d = ?",
    "UPDATE t SET l [ ? ] = ? , m [ 'a' ] = ? WHERE k = 1 AND c IN ( 1 , 2 ) AND d = 'x' IF v > ? AND m [ ? ] != 1",
    "UPDATE t USING TTL 5 SET s = ? WHERE k = ? IF s IN ( ? , 1 , null )",
    "DELETE FROM t USING TIMESTAMP ? WHERE k = ? AND c >= ? AND c < ?",
    "DELETE l [ ? ] , m [ ? ] , p . street , v FROM t WHERE k = 1 AND c = 2 AND d = ? IF EXISTS",
    "BEGIN BATCH UPDATE t SET v = ? WHERE k = 1 AND c = 2 AND d = 'x' IF v = ? ; DELETE FROM t WHERE k = 1 ; \
     INSERT INTO o ( a , b ) VALUES ( ? , 1 ) APPLY BATCH",
    "ALTER TABLE t ADD y int",
    "ALTER TABLE t DROP v",
    "TRUNCATE TABLE o",
    "DESCRIBE FULL SCHEMA",
    "DESC ONLY KEYSPACE ks WITH INTERNALS ;",
];

/// A change of one word: its place, and what stands there instead.
fn damage() -> impl Strategy<Value = (Index, Option<(Index, Index)>)> {
    (any::<Index>(), proptest::option::of((any::<Index>(), any::<Index>())))
}

fn value() -> impl Strategy<Value = BoundValue> {
    prop_oneof![
        3 => vec(any::<u8>(), 0..24).prop_map(bound),
        3 => any::<i32>().prop_map(|value| bound(value.to_be_bytes())),
        2 => any::<i64>().prop_map(|value| bound(value.to_be_bytes())),
        2 => (0..3_i32).prop_map(|value| bound(value.to_be_bytes())),
        1 => proptest::strategy::Just(BoundValue::Null),
        1 => proptest::strategy::Just(BoundValue::Unset),
    ]
}

#[test]
fn every_statement_gets_an_answer() {
    use std::cell::Cell;
    let db = Database::new(&TABLES);
    let cases = Config { failure_persistence: None, ..Config::default() };
    // As many again as proptest's own number, which PROPTEST_CASES sets, for a long run.
    let cases = Config { cases: cases.cases.saturating_mul(12), ..cases };
    let strategy = (any::<Index>(), vec(damage(), 0..3), vec(value(), 12), vec(any::<u8>(), 0..60));
    let answered = Cell::new(0);
    let result = TestRunner::new(cases).run(&strategy, |(which, damages, values, state)| {
        let mut words: Vec<&str> = which.get(&STATEMENTS).split(' ').collect();
        for (place, other) in damages {
            let place = place.index(words.len());
            match other {
                Some((statement, word)) => {
                    let others: Vec<&str> = statement.get(&STATEMENTS).split(' ').collect();
                    words[place] = others[word.index(others.len())];
                }
                None if words.len() > 1 => drop(words.remove(place)),
                None => {}
            }
        }
        let text = words.join(" ");
        let Ok(prepared) = db.prepare(&text) else { return Ok(()) };
        let values = &values[..prepared.bind_specs().len().min(values.len())];
        let paging_state = (!state.is_empty()).then(|| bytes::Bytes::from(state));
        let options = QueryOptions { page_size: Some(3), paging_state, ..QueryOptions::default() };
        answered.set(answered.get() + usize::from(db.execute(&text, values, &options).is_ok()));
        answered
            .set(answered.get() + usize::from(db.execute(&text, values, &QueryOptions::default()).is_ok()));
        db.store.sweep(10);
        db.store.assert_counted();
        Ok(())
    });
    result.expect("no panic");
    assert!(answered.get() > 100, "too few got as far as running: {}", answered.get());
}
