//! Statement by statement: the rows it leaves in the CDC log, written as one would say them.
use scylla::client::session::Session;
use scylla::value::CqlValue;

use super::{refused, run, start, texts};

/// The log as lines, in the order of time and number: `insert ck=1 pk=1 v=2`, where only what is not null is shown, and a
/// full stop ends the rows of one time.
async fn log(session: &Session, table: &str) -> Vec<String> {
    let result = session.query_unpaged(format!("SELECT * FROM {table}_scylla_cdc_log"), ()).await.unwrap();
    let result = result.into_rows_result().unwrap();
    let names: Vec<_> = result.column_specs().iter().map(|spec| spec.name().to_owned()).collect();
    let mut lines = Vec::new();
    for row in result.rows::<scylla::value::Row>().unwrap() {
        let row = row.unwrap();
        let (mut time, mut number, mut end) = (None, 0, "");
        let (mut operation, mut rest) = ("", String::new());
        for (name, value) in names.iter().zip(&row.columns) {
            let Some(value) = value else { continue };
            match (name.as_str(), value) {
                ("cdc$stream_id", _) => {}
                ("cdc$time", value) => time = value.as_timeuuid(),
                ("cdc$batch_seq_no", value) => number = value.as_int().unwrap(),
                ("cdc$end_of_batch", _) => end = ".",
                ("cdc$operation", value) => operation = named(value),
                ("cdc$ttl", value) => rest.push_str(&format!(" for {value} s")),
                (name, value) => match name.strip_prefix("cdc$deleted_") {
                    None => rest.push_str(&format!(" {name}={value}")),
                    Some(name) => match name.strip_prefix("elements_") {
                        Some(name) => rest.push_str(&format!(" {name} without {value}")),
                        None => rest.push_str(&format!(" no {name}")),
                    },
                },
            }
        }
        lines.push(((time, number), format!("{operation}{rest}{end}")));
    }
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

fn named(operation: &CqlValue) -> &'static str {
    match operation.as_tinyint().unwrap() {
        0 => "before:",
        1 => "update",
        2 => "insert",
        3 => "delete row",
        4 => "delete partition",
        5 => "delete from",
        6 => "delete from behind",
        7 => "delete up to",
        8 => "delete up to before",
        9 => "after:",
        other => panic!("no operation {other}"),
    }
}

/// Runs statements on a fresh table `t` and compares its log.
async fn check(session: &Session, table: &str, cdc: &str, statements: &[&str], expected: &[&str]) {
    run(session, "DROP TABLE IF EXISTS t").await;
    run(session, &format!("CREATE TABLE t ({table}) WITH cdc = {{'enabled': true{cdc}}}")).await;
    for statement in statements {
        run(session, statement).await;
    }
    assert_eq!(log(session, "t").await, expected, "{statements:?}");
}

const ROWS: &str = "pk int, ck int, v int, w int, PRIMARY KEY (pk, ck)";
const IMAGES: &str = ", 'preimage': true, 'postimage': true";

#[tokio::test]
async fn a_batch_that_can_be_told_row_by_row_is_told_so() {
    let (_server, session) = start().await;
    let batch = "BEGIN BATCH INSERT INTO t (pk, ck, v) VALUES (1, 2, 5); UPDATE t SET v = 6 WHERE pk = 1 AND ck = 1; \
                 APPLY BATCH";
    check(&session, ROWS, "", &[batch], &["update ck=1 pk=1 v=6", "insert ck=2 pk=1 v=5."]).await;
    let batch = "BEGIN BATCH INSERT INTO t (pk, ck) VALUES (1, 2); DELETE FROM t WHERE pk = 1 AND ck = 1; APPLY BATCH";
    check(&session, ROWS, "", &[batch], &["delete row ck=1 pk=1", "insert ck=2 pk=1."]).await;
    let batch = "BEGIN BATCH UPDATE t SET v = 1 WHERE pk = 1 AND ck = 1; INSERT INTO t (pk, ck) VALUES (1, 2); \
                 DELETE FROM t WHERE pk = 1 AND ck = 3; APPLY BATCH";
    let by_kind = ["insert ck=2 pk=1", "update ck=1 pk=1 v=1", "delete row ck=3 pk=1."];
    check(&session, ROWS, "", &[batch], &by_kind).await;
}

#[tokio::test]
async fn ttls_part_a_row_and_rows_come_one_after_the_other() {
    let (_server, session) = start().await;
    let batch = "BEGIN BATCH UPDATE t USING TTL 20 SET v = 1 WHERE pk = 1 AND ck = 1; \
                 UPDATE t SET w = 2 WHERE pk = 1 AND ck = 1; UPDATE t SET v = 3 WHERE pk = 1 AND ck = 2; \
                 INSERT INTO t (pk, ck) VALUES (1, 3); APPLY BATCH";
    let expected = [
        "insert ck=3 pk=1",
        "update ck=1 pk=1 w=2",
        "update for 20 s ck=1 pk=1 v=1",
        "update ck=2 pk=1 v=3.",
    ];
    check(&session, ROWS, "", &[batch], &expected).await;
    let insert = "INSERT INTO t (pk, ck, v, w) VALUES (1, 1, 2, null) USING TTL 30";
    check(&session, ROWS, "", &[insert], &["insert for 30 s ck=1 pk=1 v=2", "update no w ck=1 pk=1."]).await;
    run(&session, "ALTER TABLE t WITH default_time_to_live = 40").await;
    run(&session, "UPDATE t SET v = 3 WHERE pk = 9 AND ck = 1").await;
    assert_eq!(log(&session, "t").await[2..], ["update for 40 s ck=1 pk=9 v=3."]);
}

#[tokio::test]
async fn collections_are_told_by_what_was_done_to_them() {
    let (_server, session) = start().await;
    let table = "pk int PRIMARY KEY, m map<int, text>, s set<int>, f frozen<set<int>>, v int";
    let at = |time: i64, statement: &str| statement.replace("NOW", &time.to_string());
    let now = _server.clock().micros();
    let statements = [
        at(now, "INSERT INTO t (pk, m, f) VALUES (1, {1: 'a'}, {5}) USING TIMESTAMP NOW"),
        at(now + 10, "UPDATE t USING TIMESTAMP NOW SET m = m + {2: 'b'}, s = s + {1} WHERE pk = 1"),
        at(now + 20, "UPDATE t USING TIMESTAMP NOW SET m = {3: 'c'}, f = {6} WHERE pk = 1"),
        at(now + 30, "UPDATE t USING TIMESTAMP NOW SET m = m - {3}, s = s - {1}, s = s + {7} WHERE pk = 1"),
        at(now + 40, "UPDATE t USING TIMESTAMP NOW SET s = null WHERE pk = 1"),
        // What DELETE clears is recorded one microsecond later than the rest.
        at(now + 50, "DELETE m, v FROM t USING TIMESTAMP NOW WHERE pk = 1"),
        at(now + 60, "UPDATE t USING TIMESTAMP NOW AND TTL 9 SET s = {4} WHERE pk = 1"),
        at(
            now + 70,
            "BEGIN BATCH USING TIMESTAMP NOW INSERT INTO t (pk, v) VALUES (2, 1); \
                      UPDATE t SET s = s + {1} WHERE pk = 2; APPLY BATCH",
        ),
    ];
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    let expected = [
        "insert no m f={5} m={1:'a'} pk=1.",
        "update m={2:'b'} pk=1 s={1}.",
        "update no m f={6} m={3:'c'} pk=1.",
        "update m without {3} s without {1} pk=1 s={7}.",
        "update no s pk=1.",
        "update no v pk=1.",
        "update no m pk=1.",
        "update no s pk=1",
        "update for 9 s pk=1 s={4}.",
        "insert pk=2 v=1",
        "update pk=2 s={1}.",
    ];
    check(&session, table, "", &statements, &expected).await;
    let written = texts(&session, "SELECT writetime(f) FROM t WHERE pk = 1").await;
    assert_eq!(written, [(now + 20).to_string()]);
}

#[tokio::test]
async fn nested_types_are_frozen_in_the_log() {
    let (_server, session) = start().await;
    run(&session, "CREATE TYPE place (street text, number int)").await;
    let table = "pk int PRIMARY KEY, u place, fu frozen<place>, t tuple<int, text>, l list<frozen<place>>";
    let statements = [
        "INSERT INTO t (pk, u, fu, t) VALUES (1, {street: 'a', number: 1}, {street: 'b'}, (1, null))",
        "UPDATE t SET u.street = null, u.number = 2 WHERE pk = 1",
        "UPDATE t SET u = {number: 3} WHERE pk = 1",
    ];
    let expected = [
        "insert no u fu={street:'b',number:null} pk=1 t=(1,null) u={street:'a',number:1}.",
        "update u without {0} pk=1 u={street:null,number:2}.",
        "update no u pk=1 u={street:null,number:3}.",
    ];
    check(&session, table, "", &statements, &expected).await;
    let types = texts(
        &session,
        "SELECT column_name, type FROM system_schema.columns WHERE keyspace_name = 'ks' AND table_name = 't_scylla_cdc_log'",
    )
    .await;
    for column in [
        "'u' 'frozen<place>'",
        "'cdc$deleted_elements_u' 'frozen<set<smallint>>'",
        "'t' 'frozen<tuple<int, text>>'",
        "'l' 'frozen<map<timeuuid, frozen<place>>>'",
        "'cdc$deleted_elements_l' 'frozen<set<timeuuid>>'",
        "'cdc$deleted_fu' 'boolean'",
    ] {
        assert!(types.contains(&column.to_owned()), "{column} in {types:?}");
    }
    assert!(!types.iter().any(|column| column.contains("elements_fu")));
}

#[tokio::test]
async fn images_show_what_changes_or_all_of_it() {
    let (_server, session) = start().await;
    let statements = [
        "INSERT INTO t (pk, ck, v) VALUES (1, 1, 1)",
        "UPDATE t SET v = 2 WHERE pk = 1 AND ck = 1",
        "INSERT INTO t (pk, ck, w) VALUES (1, 1, 3)",
        "DELETE FROM t WHERE pk = 1 AND ck = 1",
        "DELETE FROM t WHERE pk = 1 AND ck = 1",
    ];
    let changed = [
        "insert ck=1 pk=1 v=1.",
        "before: ck=1 pk=1 v=1",
        "update ck=1 pk=1 v=2.",
        "before: no w ck=1 pk=1",
        "insert ck=1 pk=1 w=3.",
        "before: ck=1 pk=1 v=2 w=3",
        "delete row ck=1 pk=1.",
        "delete row ck=1 pk=1.",
    ];
    check(&session, ROWS, ", 'preimage': true", &statements, &changed).await;
    let full = [
        "insert ck=1 pk=1 v=1.",
        "before: no w ck=1 pk=1 v=1",
        "update ck=1 pk=1 v=2.",
        "before: no w ck=1 pk=1 v=2",
        "insert ck=1 pk=1 w=3.",
        "before: ck=1 pk=1 v=2 w=3",
        "delete row ck=1 pk=1.",
        "delete row ck=1 pk=1.",
    ];
    check(&session, ROWS, ", 'preimage': 'full'", &statements, &full).await;
    let after = [
        "insert ck=1 pk=1 v=1",
        "after: ck=1 pk=1 v=1.",
        "update ck=1 pk=1 v=2",
        "after: ck=1 pk=1 v=2.",
        "insert ck=1 pk=1 w=3",
        "after: ck=1 pk=1 v=2 w=3.",
        "delete row ck=1 pk=1.",
        "delete row ck=1 pk=1.",
    ];
    check(&session, ROWS, ", 'postimage': true", &statements, &after).await;
}

#[tokio::test]
async fn deleted_partitions_have_an_image_if_they_are_rows() {
    let (_server, session) = start().await;
    let statements = ["INSERT INTO t (pk, v) VALUES (1, 2)", "DELETE FROM t WHERE pk = 1"];
    let expected = ["insert pk=1 v=2", "after: pk=1 v=2.", "before: pk=1 v=2", "delete partition pk=1."];
    check(&session, "pk int PRIMARY KEY, v int", IMAGES, &statements, &expected).await;
    let statements = [
        "INSERT INTO t (pk, ck, v) VALUES (1, 2, 3)",
        "DELETE FROM t WHERE pk = 1 AND ck > 1",
        "INSERT INTO t (pk, ck, v) VALUES (1, 2, 3)",
        "DELETE FROM t WHERE pk = 1",
    ];
    let expected = [
        "insert ck=2 pk=1 v=3",
        "after: ck=2 pk=1 v=3.",
        "delete from behind ck=1 pk=1",
        "delete up to pk=1.",
        "insert ck=2 pk=1 v=3",
        "after: ck=2 pk=1 v=3.",
        "delete partition pk=1.",
    ];
    check(&session, ROWS, IMAGES, &statements, &expected).await;
}

#[tokio::test]
async fn a_row_of_nulls_has_an_image_once_it_was_written() {
    let (_server, session) = start().await;
    let statements =
        ["UPDATE t SET v = null WHERE pk = 1 AND ck = 1", "UPDATE t SET v = 1 WHERE pk = 1 AND ck = 1"];
    let expected =
        ["update no v ck=1 pk=1", "after: ck=1 pk=1.", "update ck=1 pk=1 v=1", "after: ck=1 pk=1 v=1."];
    check(&session, ROWS, IMAGES, &statements, &expected).await;
    let table = "pk int, ck int, s int static, v int, PRIMARY KEY (pk, ck)";
    let statements = [
        "UPDATE t SET s = 1 WHERE pk = 1",
        "INSERT INTO t (pk, s) VALUES (1, 2)",
        "BEGIN BATCH INSERT INTO t (pk, ck, v) VALUES (1, 1, 7); DELETE s FROM t WHERE pk = 1; APPLY BATCH",
    ];
    let expected = [
        "update pk=1 s=1",
        "after: pk=1 s=1.",
        "before: pk=1 s=1",
        "update pk=1 s=2",
        "after: pk=1 s=2.",
        "before: pk=1 s=2",
        "update no s pk=1",
        "insert ck=1 pk=1 v=7",
        "after: pk=1",
        "after: ck=1 pk=1 v=7.",
    ];
    check(&session, table, IMAGES, &statements, &expected).await;
}

#[tokio::test]
async fn ranges_are_told_by_their_ends() {
    let (_server, session) = start().await;
    let table = "pk int, a int, b int, PRIMARY KEY (pk, a, b)";
    let statements = [
        "DELETE FROM t WHERE pk = 1 AND a = 1",
        "DELETE FROM t WHERE pk = 1 AND a = 1 AND b >= 2 AND b < 4",
        "DELETE FROM t WHERE pk = 1 AND (a, b) > (1, 2)",
        "DELETE FROM t WHERE pk = 1 AND a <= 3",
        "BEGIN BATCH DELETE FROM t WHERE pk = 1 AND a = 5; DELETE FROM t WHERE pk = 1 AND a = 2; APPLY BATCH",
        "DELETE FROM t WHERE pk IN (2, 2) AND a > 1 AND a < 1",
    ];
    let expected = [
        "delete from a=1 pk=1",
        "delete up to a=1 pk=1.",
        "delete from a=1 b=2 pk=1",
        "delete up to before a=1 b=4 pk=1.",
        "delete from behind a=1 b=2 pk=1",
        "delete up to pk=1.",
        "delete from pk=1",
        "delete up to a=3 pk=1.",
        "delete from a=2 pk=1",
        "delete up to a=2 pk=1",
        "delete from a=5 pk=1",
        "delete up to a=5 pk=1.",
    ];
    check(&session, table, "", &statements, &expected).await;
}

#[tokio::test]
async fn a_batch_over_partitions_and_tables_is_logged_apart() {
    let (_server, session) = start().await;
    run(
        &session,
        "CREATE TABLE other (pk int PRIMARY KEY, v int) WITH cdc = {'enabled': true, 'delta': 'keys'}",
    )
    .await;
    let batch = "BEGIN BATCH INSERT INTO t (pk, ck, v) VALUES (1, 1, 1); INSERT INTO other (pk, v) VALUES (1, 2); \
                 INSERT INTO t (pk, ck, v) VALUES (2, 1, 1); UPDATE t SET w = 2 WHERE pk = 1 AND ck = 1; APPLY BATCH";
    run(&session, &format!("CREATE TABLE t ({ROWS}) WITH cdc = {{'enabled': true}}")).await;
    run(&session, batch).await;
    let mut lines = log(&session, "t").await;
    lines.sort();
    assert_eq!(lines, ["insert ck=1 pk=1 v=1 w=2.", "insert ck=1 pk=2 v=1."]);
    assert_eq!(log(&session, "other").await, ["insert pk=1."]);
}

#[tokio::test]
async fn the_log_follows_its_table_only() {
    let (server, session) = start().await;
    check(&session, ROWS, "", &["INSERT INTO t (pk, ck, v) VALUES (1, 1, 1)"], &["insert ck=1 pk=1 v=1."])
        .await;
    let fixed = "You cannot modify the set of columns of a CDC log table directly.";
    let named = "annot rename a column of a CDC log table.";
    for (statement, text) in [
        ("ALTER TABLE t_scylla_cdc_log ADD x int", fixed),
        ("ALTER TABLE t_scylla_cdc_log DROP v", fixed),
        ("ALTER TABLE t_scylla_cdc_log RENAME \"cdc$time\" TO x", named),
        ("DROP TABLE t_scylla_cdc_log", "Cannot DROP cdc log table t_scylla_cdc_log"),
        (
            "ALTER TABLE t_scylla_cdc_log WITH cdc = {'enabled': true}",
            "creating nested CDC logs is not allowed",
        ),
        ("ALTER TABLE t WITH cdc = {'enabled': 'Yes'}", "Invalid value for CDC option \"enabled\": Yes"),
        ("ALTER TABLE t WITH cdc = {'ttl': -1}", "Invalid CDC option: ttl must be >= 0"),
        ("ALTER TABLE t WITH cdc = {'ttl': 3000000000}", "Invalid CDC option: ttl too large"),
        ("ALTER TABLE t WITH cdc = {'speed': 1}", "Invalid CDC option: speed"),
    ] {
        let error = refused(&session, statement).await;
        assert!(error.contains(text), "{statement}: {error}");
    }
    run(&session, "ALTER TABLE t_scylla_cdc_log WITH comment = 'mine'").await;
    run(&session, "ALTER TABLE t DROP w").await;
    let soon = refused(&session, "ALTER TABLE t ADD w int").await;
    assert!(
        soon.contains("Cannot add column w because a column with the same name was dropped too recently"),
        "{soon}"
    );
    run(&session, "ALTER TABLE t ADD x text").await;
    server.faults().advance_clock(std::time::Duration::from_secs(6));
    run(&session, "ALTER TABLE t ADD w int").await;
    run(&session, "ALTER TABLE t WITH cdc = {'enabled': false}").await;
    for (statement, text) in [
        ("ALTER TABLE t_scylla_cdc_log ADD y int", "Although the base table has deactivated CDC"),
        ("ALTER TABLE t_scylla_cdc_log RENAME \"cdc$time\" TO x", "until it is dropped"),
    ] {
        let error = refused(&session, statement).await;
        assert!(error.contains(text), "{statement}: {error}");
    }
    run(&session, "ALTER TABLE t WITH cdc = {'ENABLED': 'TRUE', 'ttl': 0}").await;
    run(&session, "INSERT INTO t (pk, ck, x) VALUES (1, 2, 'x')").await;
    assert_eq!(log(&session, "t").await, ["insert ck=1 pk=1 v=1.", "insert ck=2 pk=1 x='x'."]);
    let comment = "SELECT comment FROM system_schema.tables WHERE keyspace_name = 'ks' AND table_name = 't_scylla_cdc_log'";
    assert_eq!(
        texts(&session, comment).await,
        ["'mine'"],
        "a log that is taken up again keeps what it was given"
    );
    run(&session, "ALTER TABLE t WITH cdc = {'enabled': false}").await;
    run(&session, "DROP TABLE t").await;
    assert!(refused(&session, "SELECT * FROM t_scylla_cdc_log").await.contains("unconfigured table"));
}

#[tokio::test]
async fn a_table_of_that_name_is_no_log() {
    let (_server, session) = start().await;
    run(&session, "CREATE TABLE t_scylla_cdc_log (p int PRIMARY KEY, v int)").await;
    let taken = "Cannot create CDC log table for table ks.t because a table of name ks.t_scylla_cdc_log already exists";
    let create = format!("CREATE TABLE t ({ROWS}) WITH cdc = {{'enabled': true}}");
    assert!(refused(&session, &create).await.contains(taken));
    run(&session, &format!("CREATE TABLE t ({ROWS})")).await;
    assert!(refused(&session, "ALTER TABLE t WITH cdc = {'enabled': true}").await.contains(taken));
    run(&session, "ALTER TABLE t_scylla_cdc_log DROP v").await;
    run(&session, "DROP TABLE t").await;
    assert_eq!(texts(&session, "SELECT * FROM t_scylla_cdc_log").await, Vec::<String>::new(), "it stays");
}

#[tokio::test]
async fn a_log_has_scyllas_options() {
    let (_server, session) = start().await;
    let options = |ttl: u32| {
        let session = &session;
        async move {
            let create = format!(
                "CREATE TABLE t{ttl} (pk int PRIMARY KEY) WITH cdc = {{'enabled': true, 'ttl': {ttl}}}"
            );
            run(session, &create).await;
            let query = format!(
                "SELECT comment, gc_grace_seconds, caching, compaction FROM system_schema.tables \
                 WHERE keyspace_name = 'ks' AND table_name = 't{ttl}_scylla_cdc_log'"
            );
            texts(session, &query).await.remove(0)
        }
    };
    let caching = "{'enabled':'false','keys':'NONE','rows_per_partition':'NONE'}";
    let windows = "{'class':'TimeWindowCompactionStrategy','compaction_window_size':'60',\
                   'compaction_window_unit':'MINUTES','expired_sstable_check_frequency_seconds':'1800'}";
    assert_eq!(options(86_400).await, format!("'CDC log for ks.t86400' 0 {caching} {windows}"));
    let plain = "{'class':'TimeWindowCompactionStrategy'}";
    assert_eq!(options(0).await, format!("'CDC log for ks.t0' 864000 {caching} {plain}"));
    let cdc = "SELECT cdc FROM system_schema.scylla_tables WHERE keyspace_name = 'ks' AND table_name = 't0'";
    let shown = "{'delta':'full','enabled':'true','postimage':'false','preimage':'false','ttl':'0'}";
    assert_eq!(texts(&session, cdc).await, [shown]);
}
