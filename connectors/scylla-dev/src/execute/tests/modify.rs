//! INSERT, UPDATE, DELETE, TTL, timestamps, batches.
use super::Database;
use super::database::{START, bound, int};
use crate::outcome::{BoundValue, QueryOptions};

const TABLE: &str = "CREATE TABLE t (k int, c int, s text static, v int, w text, PRIMARY KEY (k, c))";
const SIMPLE: &str = "CREATE TABLE p (k text PRIMARY KEY, v int, w int)";

#[test]
fn insert_update_delete() {
    let db = Database::new(&[TABLE]);
    db.run_all(&[
        "INSERT INTO t (k, c, v, w, s) VALUES (1, 1, 10, 'a', 'static')",
        "INSERT INTO t (k, c) VALUES (1, 2)",
        "UPDATE t SET v = 30, w = 'c' WHERE k = 1 AND c = 3",
        "UPDATE t SET v = 0 WHERE k = 1 AND c IN (4, 5, 6)",
        "UPDATE t SET s = 'other' WHERE k = 2",
    ]);
    db.expect(&[
        (
            "SELECT * FROM t WHERE k = 1",
            "1 1 static 10 a | 1 2 static null null | 1 3 static 30 c | 1 4 static 0 null | 1 5 static 0 null | \
             1 6 static 0 null",
        ),
        ("SELECT * FROM t WHERE k = 2", "2 null other null null"),
    ]);
    db.run_all(&[
        "DELETE w FROM t WHERE k = 1 AND c = 1",
        "DELETE FROM t WHERE k = 1 AND c = 2",
        "DELETE v, w FROM t WHERE k = 1 AND c = 3",
        "DELETE FROM t WHERE k = 1 AND c > 4 AND c <= 6",
        "DELETE s FROM t WHERE k = 1",
        "DELETE FROM t WHERE k = 2",
    ]);
    db.expect(&[
        ("SELECT * FROM t WHERE k = 1", "1 1 null 10 null | 1 4 null 0 null"),
        ("SELECT * FROM t WHERE k = 2", ""),
    ]);
    db.run("TRUNCATE t");
    db.expect(&[("SELECT * FROM t", "")]);
}

#[test]
fn deletes_reach_back_in_time_only() {
    let db = Database::new(&[TABLE]);
    db.run_all(&[
        "INSERT INTO t (k, c, v) VALUES (1, 1, 1) USING TIMESTAMP 100",
        "INSERT INTO t (k, c, v) VALUES (1, 2, 2) USING TIMESTAMP 300",
        "DELETE FROM t USING TIMESTAMP 200 WHERE k = 1",
        "INSERT INTO t (k, c, v) VALUES (1, 3, 3) USING TIMESTAMP 150",
        "UPDATE t USING TIMESTAMP 250 SET v = 9 WHERE k = 1 AND c = 2",
        "UPDATE t USING TIMESTAMP 350 SET w = 'new' WHERE k = 1 AND c = 2",
    ]);
    db.expect(&[("SELECT c, v, writetime(v), w, writetime(w) FROM t", "2 2 300 new 350")]);
}

#[test]
fn values_live_as_long_as_their_ttl() {
    let db =
        Database::new(&[SIMPLE, "CREATE TABLE d (k text PRIMARY KEY, v int) WITH default_time_to_live = 50"]);
    db.run_all(&[
        "INSERT INTO p (k, v) VALUES ('a', 1) USING TTL 100",
        "UPDATE p USING TTL 10 SET w = 2 WHERE k = 'a'",
        "INSERT INTO d (k, v) VALUES ('default', 1)",
        "INSERT INTO d (k, v) VALUES ('forever', 1) USING TTL 0",
    ]);
    let ttls = "SELECT v, ttl(v), w, ttl(w) FROM p WHERE k = 'a'";
    assert_eq!(db.rows(ttls), "1 100 2 10");
    db.advance(10);
    assert_eq!(db.rows(ttls), "1 90 null null");
    db.advance(39);
    db.expect(&[("SELECT k, ttl(v) FROM d", "default 1 | forever null")]);
    db.advance(51);
    assert_eq!(db.rows(ttls), "");
    db.expect(&[("SELECT k, ttl(v) FROM d", "forever null")]);
}

#[test]
fn whose_timestamp_counts() {
    let db = Database::new(&[SIMPLE]);
    let client = QueryOptions { timestamp: Some(500), ..QueryOptions::default() };
    for (text, expected) in [
        ("INSERT INTO p (k, v) VALUES ('a', 1)", "500"),
        ("INSERT INTO p (k, v) VALUES ('a', 1) USING TIMESTAMP 700", "700"),
        ("BEGIN BATCH INSERT INTO p (k, v) VALUES ('a', 1) USING TIMESTAMP 800; APPLY BATCH", "800"),
        ("BEGIN BATCH USING TIMESTAMP 900 INSERT INTO p (k, v) VALUES ('a', 1); APPLY BATCH", "900"),
    ] {
        db.execute(text, &[], &client).expect(text);
        assert_eq!(db.rows("SELECT writetime(v) FROM p"), expected, "{text}");
    }
    db.run("INSERT INTO p (k, v) VALUES ('a', 1)");
    assert_eq!(db.rows("SELECT writetime(v) FROM p"), START.to_string());
}

#[test]
fn null_deletes_and_unset_leaves_alone() {
    let db = Database::new(&[SIMPLE]);
    let insert = "INSERT INTO p (k, v, w) VALUES (?, ?, ?)";
    let options = QueryOptions::default();
    for values in [[bound("a"), int(1), int(2)], [bound("a"), BoundValue::Null, BoundValue::Unset]] {
        db.execute(insert, &values, &options).expect("insert");
    }
    db.expect(&[("SELECT * FROM p", "a null 2")]);
    let null_key = db.execute(insert, &[BoundValue::Null, int(1), int(1)], &options);
    assert_eq!(null_key.expect_err("null key").message, "Invalid null value in condition for column k");
    let short = db.execute(insert, &[bound("a"), bound([1, 2]), int(1)], &options);
    assert!(short.expect_err("2 bytes for an int").message.starts_with("Exception while binding column v"));
}

#[test]
fn a_batch_is_one_write() {
    let db = Database::new(&[TABLE, SIMPLE]);
    db.batch(vec![
        ("INSERT INTO p (k, v) VALUES (?, ?)", vec![bound("x"), int(1)]),
        ("UPDATE p SET w = ? WHERE k = 'x'", vec![int(2)]),
        ("INSERT INTO t (k, c, v) VALUES (7, ?, 1)", vec![int(1)]),
    ])
    .expect("batch");
    db.expect(&[
        ("SELECT * FROM p", "x 1 2"),
        ("SELECT k, c FROM t", "7 1"),
        ("SELECT writetime(v), writetime(w) FROM p", format!("{START} {START}").as_str()),
    ]);
    db.run("BEGIN BATCH APPLY BATCH");
    let failed = db.batch(vec![
        ("INSERT INTO p (k, v) VALUES ('y', 1)", vec![]),
        ("INSERT INTO p (k, v) VALUES ('y', 1) USING TTL ?", vec![int(-1)]),
    ]);
    assert_eq!(failed.expect_err("TTL").message, "A TTL must be greater or equal to 0");
    db.expect(&[("SELECT k FROM p", "x")]);
}

#[test]
fn large_batches_and_keys_are_refused() {
    let db = Database::new(&["CREATE TABLE b (k int, c blob, v blob, PRIMARY KEY (k, c))"]);
    let insert = "INSERT INTO b (k, c, v) VALUES (?, ?, ?)";
    let part = |k: i32| (insert, vec![int(k), bound([1]), bound(vec![0; 600_000])]);
    db.batch(vec![part(1), part(1)]).expect("one partition may be large");
    assert_eq!(db.batch(vec![part(1), part(2)]).expect_err("two partitions").message, "Batch too large");
    let long = db.execute(insert, &[int(1), bound(vec![0; 65_536]), bound([])], &QueryOptions::default());
    assert_eq!(long.expect_err("clustering key").message, "Key size too large: 65536 > 65535");
}
