//! What the CDC log holds after each kind of write.
use scylla::client::session::Session;

use super::{refused, run, start, texts};

/// `sequence operation` and the named columns of each log row, in the order of the writes.
async fn log(session: &Session, table: &str, columns: &str) -> Vec<String> {
    let query = format!(
        "SELECT \"cdc$time\", \"cdc$batch_seq_no\", \"cdc$operation\", {columns} FROM {table}_scylla_cdc_log"
    );
    let mut lines = Vec::new();
    for row in super::rows(session, &query).await {
        let time = row.columns[0].as_ref().and_then(scylla::value::CqlValue::as_timeuuid).unwrap();
        let rest = row.columns[1..].iter();
        let rest: Vec<_> =
            rest.map(|value| value.as_ref().map_or("-".to_owned(), ToString::to_string)).collect();
        // Ids of the same time are told apart by their random part only.
        lines.push(((time, rest[0].parse::<i32>().unwrap()), rest.join(" ")));
    }
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

async fn table(session: &Session, cdc: &str) {
    run(
        session,
        &format!("CREATE TABLE t (pk int, ck int, v int, PRIMARY KEY (pk, ck)) WITH cdc = {{'enabled': true, {cdc}}}"),
    )
    .await;
}

#[tokio::test]
async fn delta_keys_with_images_shows_only_what_was() {
    let (_server, session) = start().await;
    table(&session, "'preimage': true, 'postimage': true, 'delta': 'keys'").await;
    run(&session, "INSERT INTO t (pk, ck, v) VALUES (1, 11, 222) USING TTL 2222").await;
    let expected = ["0 2 2222 1 11 - -", "1 9 - 1 11 222 true"];
    assert_eq!(log(&session, "t", "\"cdc$ttl\", pk, ck, v, \"cdc$end_of_batch\"").await, expected);
}

#[tokio::test]
async fn a_batch_of_insert_and_range_delete_has_no_postimage_of_a_dead_row() {
    let (_server, session) = start().await;
    table(&session, "'preimage': true, 'postimage': true").await;
    run(
        &session,
        "BEGIN BATCH INSERT INTO t (pk, ck, v) VALUES (1, 1, 100); \
         DELETE FROM t WHERE pk = 1 AND ck >= 1 AND ck <= 2; APPLY BATCH",
    )
    .await;
    assert_eq!(log(&session, "t", "ck, v").await, ["0 2 1 100", "1 5 1 -", "2 7 2 -"]);
    run(&session, "DROP TABLE t").await;
    table(&session, "'preimage': true, 'postimage': true").await;
    run(
        &session,
        "BEGIN BATCH INSERT INTO t (pk, ck, v) VALUES (1, 1, 100); \
         DELETE FROM t WHERE pk = 1 AND ck >= 2 AND ck <= 3; APPLY BATCH",
    )
    .await;
    assert_eq!(log(&session, "t", "ck, v").await, ["0 2 1 100", "1 5 2 -", "2 7 3 -", "3 9 1 100"]);
    run(&session, "DROP TABLE t").await;
    table(&session, "'preimage': true, 'postimage': true").await;
    run(
        &session,
        "BEGIN BATCH INSERT INTO t (pk, ck, v) VALUES (1, 1, 100); DELETE FROM t WHERE pk = 1; APPLY BATCH",
    )
    .await;
    assert_eq!(log(&session, "t", "pk, ck, v").await, ["0 2 1 1 100", "1 4 1 - -"]);
}

#[tokio::test]
async fn only_applied_conditions_are_logged() {
    let (_server, session) = start().await;
    table(&session, "'preimage': true").await;
    for statement in [
        "INSERT INTO t (pk, ck, v) VALUES (1, 1, 111) IF NOT EXISTS",
        "INSERT INTO t (pk, ck, v) VALUES (1, 1, 222) IF NOT EXISTS",
        "UPDATE t SET v = 333 WHERE pk = 1 AND ck = 1 IF v = 111",
        "UPDATE t SET v = 444 WHERE pk = 1 AND ck = 1 IF v = 111",
        "DELETE FROM t WHERE pk = 1 AND ck = 1 IF v = 333",
        "DELETE FROM t WHERE pk = 1 AND ck = 1 IF v = 333",
    ] {
        run(&session, statement).await;
    }
    assert_eq!(log(&session, "t", "v").await, ["0 2 111", "0 0 111", "1 1 333", "0 0 333", "1 3 -"]);
}

#[tokio::test]
async fn updates_deletions_and_nulls_are_told_apart() {
    let (_server, session) = start().await;
    table(&session, "'ttl': 60").await;
    run(&session, "UPDATE t SET v = 1 WHERE pk = 1 AND ck = 1").await;
    run(&session, "UPDATE t SET v = null WHERE pk = 1 AND ck = 1").await;
    run(&session, "DELETE v FROM t WHERE pk = 1 AND ck = 1").await;
    run(&session, "INSERT INTO t (pk, ck) VALUES (1, 2)").await;
    run(&session, "DELETE FROM t WHERE pk = 1 AND ck > 1 AND ck < 5").await;
    run(&session, "DELETE FROM t WHERE pk = 1 AND ck > 7").await;
    run(&session, "DELETE FROM t WHERE pk = 1 AND ck = 2").await;
    run(&session, "DELETE FROM t WHERE pk = 1").await;
    let expected = [
        "0 1 1 1 1 -",
        "0 1 1 1 - true",
        "0 1 1 1 - true",
        "0 2 1 2 - -",
        "0 6 1 1 - -",
        "1 8 1 5 - -",
        "0 6 1 7 - -",
        "1 7 1 - - -",
        "0 3 1 2 - -",
        "0 4 1 - - -",
    ];
    assert_eq!(log(&session, "t", "pk, ck, v, \"cdc$deleted_v\"").await, expected);
}

#[tokio::test]
async fn collections_show_what_was_added_and_removed() {
    let (_server, session) = start().await;
    run(
        &session,
        "CREATE TABLE t (pk int PRIMARY KEY, s set<int>, m map<text, int>, f frozen<set<int>>) WITH cdc = {'enabled': true}",
    )
    .await;
    run(&session, "INSERT INTO t (pk, s, f) VALUES (1, {1, 2}, {7})").await;
    run(&session, "UPDATE t SET s = s + {3}, m['a'] = 5 WHERE pk = 1").await;
    run(&session, "UPDATE t SET s = s - {1} WHERE pk = 1").await;
    run(&session, "DELETE m FROM t WHERE pk = 1").await;
    let columns = "s, \"cdc$deleted_s\", \"cdc$deleted_elements_s\", m, \"cdc$deleted_m\", f";
    let expected =
        ["0 2 {1,2} true - - - {7}", "0 1 {3} - - {'a':5} - -", "0 1 - - {1} - - -", "0 1 - - - - true -"];
    assert_eq!(log(&session, "t", columns).await, expected);
}

#[tokio::test]
async fn a_collection_with_a_ttl_takes_three_rows() {
    let (_server, session) = start().await;
    run(&session, "CREATE TABLE t (pk int PRIMARY KEY, s set<int>, v int) WITH cdc = {'enabled': true}")
        .await;
    run(&session, "INSERT INTO t (pk, s, v) VALUES (1, {1}, 2) USING TTL 50").await;
    let columns = "\"cdc$ttl\", v, s, \"cdc$deleted_s\"";
    assert_eq!(log(&session, "t", columns).await, ["0 2 50 2 - -", "1 1 - - - true", "2 1 50 - {1} -"]);
}

#[tokio::test]
async fn static_columns_are_logged_without_a_clustering_key() {
    let (_server, session) = start().await;
    run(
        &session,
        "CREATE TABLE t (pk int, ck int, s int static, v int, PRIMARY KEY (pk, ck)) \
         WITH cdc = {'enabled': true, 'preimage': 'full', 'postimage': true}",
    )
    .await;
    run(&session, "UPDATE t SET s = 1 WHERE pk = 1").await;
    run(&session, "INSERT INTO t (pk, ck, s, v) VALUES (1, 2, 3, 4)").await;
    let expected =
        ["0 1 - 1 -", "1 9 - 1 -", "0 0 - 1 -", "1 1 - 3 -", "2 2 2 - 4", "3 9 - 3 -", "4 9 2 - 4"];
    assert_eq!(log(&session, "t", "ck, s, v").await, expected);
}

#[tokio::test]
async fn the_log_has_scyllas_columns_in_its_order_and_its_own_ttl() {
    let (server, session) = start().await;
    table(&session, "'ttl': 60").await;
    run(&session, "INSERT INTO t (pk, ck, v) VALUES (1, 2, 3)").await;
    let result = session.query_unpaged("SELECT * FROM t_scylla_cdc_log", ()).await.unwrap();
    let result = result.into_rows_result().unwrap();
    let names: Vec<_> = result.column_specs().iter().map(|spec| spec.name().to_owned()).collect();
    let expected = [
        "cdc$stream_id",
        "cdc$time",
        "cdc$batch_seq_no",
        "cdc$deleted_v",
        "cdc$end_of_batch",
        "cdc$operation",
        "cdc$ttl",
        "ck",
        "pk",
        "v",
    ];
    assert_eq!(names, expected);
    server.faults().advance_clock(std::time::Duration::from_secs(61));
    assert_eq!(log(&session, "t", "v").await, Vec::<String>::new());
    assert_eq!(texts(&session, "SELECT v FROM t").await, ["3"]);
}

#[tokio::test]
async fn writes_go_to_the_stream_of_their_range() {
    let (_server, session) = start().await;
    table(&session, "'ttl': 0").await;
    for pk in 0..40 {
        run(&session, &format!("INSERT INTO t (pk, ck, v) VALUES ({pk}, 0, 0)")).await;
    }
    let ends = "SELECT range_end, streams FROM system_distributed.cdc_streams_descriptions_v2 WHERE time = ";
    let generation = texts(
        &session,
        "SELECT time FROM system_distributed.cdc_generation_timestamps WHERE key = 'timestamps'",
    )
    .await;
    assert_eq!(generation.len(), 1);
    let mut streams = Vec::new();
    for row in super::rows(&session, &format!("{ends}{}", generation[0])).await {
        let end = row.columns[0].as_ref().unwrap().as_bigint().unwrap();
        let ids = row.columns[1].clone().unwrap().into_vec().unwrap();
        assert_eq!(ids.len(), 1);
        streams.push((end, ids[0].as_blob().unwrap().clone()));
    }
    assert_eq!(streams.len(), 4);
    let mut used = std::collections::BTreeSet::new();
    for row in super::rows(&session, "SELECT \"cdc$stream_id\", pk FROM t_scylla_cdc_log").await {
        let pk = row.columns[1].as_ref().unwrap().as_int().unwrap();
        let token = super::rows(&session, &format!("SELECT token(pk) FROM t WHERE pk = {pk}")).await;
        let token = token[0].columns[0].as_ref().unwrap().as_bigint().unwrap();
        let owner = streams.iter().find(|(end, _)| *end >= token).unwrap_or(&streams[0]);
        assert_eq!(row.columns[0].as_ref().unwrap().as_blob().unwrap(), &owner.1, "pk {pk}");
        used.insert(owner.1.clone());
    }
    assert_eq!(used.len(), 4, "forty keys reach every range");
}

#[tokio::test]
async fn timestamps_far_off_are_refused() {
    let (server, session) = start().await;
    table(&session, "'ttl': 0").await;
    let now = server.clock().micros();
    let at = |time: i64| format!("INSERT INTO t (pk, ck, v) VALUES (1, 1, 1) USING TIMESTAMP {time}");
    assert!(refused(&session, &at(now + 60_000_000)).await.contains("\"from the future\""));
    assert!(refused(&session, &at(1)).await.contains("\"from the past\" (1970/01/01 00:00:00; current"));
    assert!(
        refused(&session, &at(now - 4_000_000)).await.contains("could not find any CDC stream for timestamp")
    );
    // Far in the past is fine while no other generation has come since.
    server.faults().advance_clock(std::time::Duration::from_secs(600));
    run(&session, &at(now)).await;
    server.new_generation(server.clock().micros() / 1000);
    assert!(refused(&session, &at(now)).await.contains("\"from the past\""));
    assert_eq!(log(&session, "t", "v").await, ["0 2 1"]);
}

#[tokio::test]
async fn the_log_is_protected_and_follows_the_table() {
    let (_server, session) = start().await;
    table(&session, "'ttl': 0").await;
    assert!(refused(&session, "DROP TABLE t_scylla_cdc_log").await.contains("Cannot DROP cdc log table"));
    run(&session, "ALTER TABLE t ADD w int").await;
    run(&session, "INSERT INTO t (pk, ck, w) VALUES (1, 1, 5)").await;
    run(&session, "ALTER TABLE t WITH cdc = {'enabled': false}").await;
    run(&session, "INSERT INTO t (pk, ck, w) VALUES (1, 1, 6)").await;
    run(&session, "ALTER TABLE t WITH cdc = {'enabled': true}").await;
    run(&session, "INSERT INTO t (pk, ck, w) VALUES (1, 1, 7)").await;
    assert_eq!(log(&session, "t", "w, \"cdc$deleted_w\"").await, ["0 2 5 -", "0 2 7 -"]);
    run(&session, "ALTER TABLE t RENAME ck TO place").await;
    assert_eq!(log(&session, "t", "place, w").await, ["0 2 1 5", "0 2 1 7"]);
    run(&session, "DROP TABLE t").await;
    assert!(refused(&session, "SELECT * FROM t_scylla_cdc_log").await.contains("unconfigured table"));
}

#[tokio::test]
async fn lists_are_maps_by_time_and_fields_are_numbered() {
    let (_server, session) = start().await;
    run(&session, "CREATE TYPE place (street text, number int)").await;
    run(&session, "CREATE TABLE t (pk int PRIMARY KEY, l list<int>, u place) WITH cdc = {'enabled': true}")
        .await;
    run(&session, "UPDATE t SET l = l + [7, 8] WHERE pk = 1").await;
    run(&session, "DELETE l[0] FROM t WHERE pk = 1").await;
    run(&session, "UPDATE t SET u.number = 5 WHERE pk = 1").await;
    run(&session, "UPDATE t SET u.number = null WHERE pk = 1").await;
    let query = "SELECT \"cdc$time\", l, \"cdc$deleted_elements_l\", u, \"cdc$deleted_elements_u\" FROM t_scylla_cdc_log";
    let mut log = super::rows(&session, query).await;
    log.sort_by_key(|row| row.columns[0].as_ref().unwrap().as_timeuuid().unwrap());
    let added = log[0].columns[1].as_ref().unwrap().as_map().unwrap();
    let values: Vec<_> = added.iter().map(|(_, value)| value.as_int().unwrap()).collect();
    assert_eq!(values, [7, 8]);
    let removed = log[1].columns[2].as_ref().unwrap().as_set().unwrap();
    assert_eq!(removed, &[added[0].0.clone()], "the element is named by the time it was added with");
    let fields = log[2].columns[3].as_ref().unwrap().as_udt().unwrap();
    assert_eq!(fields.iter().map(|(_, value)| value.is_some()).collect::<Vec<_>>(), [false, true]);
    let unset = log[3].columns[4].as_ref().unwrap().as_set().unwrap();
    assert_eq!(unset, &[scylla::value::CqlValue::SmallInt(1)]);
}

#[tokio::test]
async fn a_batch_of_several_times_is_several_groups_with_images_in_between() {
    let (server, session) = start().await;
    table(&session, "'preimage': 'full', 'postimage': true").await;
    let now = server.clock().micros();
    let (first, second) = (now - 1, now);
    run(
        &session,
        &format!(
            "BEGIN BATCH UPDATE t USING TIMESTAMP {second} SET v = 2 WHERE pk = 1 AND ck = 1; \
             INSERT INTO t (pk, ck, v) VALUES (1, 1, 1) USING TIMESTAMP {first}; \
             INSERT INTO t (pk, ck, v) VALUES (2, 1, 9) USING TIMESTAMP {second}; APPLY BATCH"
        ),
    )
    .await;
    let log = log(&session, "t", "pk, ck, v, \"cdc$end_of_batch\"").await;
    let of = |pk: &str| {
        let key = format!("{pk} 1");
        let line = |line: &&String| line.split(' ').skip(2).take(2).collect::<Vec<_>>().join(" ") == key;
        log.iter().filter(line).cloned().collect::<Vec<_>>()
    };
    // A batch is one mutation of the partition, in which the older of two values of one cell is gone already.
    let expected = ["0 2 1 1 - -", "1 9 1 1 - true", "0 0 1 1 - -", "1 1 1 1 2 -", "2 9 1 1 2 true"];
    assert_eq!(of("1"), expected);
    assert_eq!(of("2"), ["0 2 2 1 9 -", "1 9 2 1 9 true"]);
    let times = texts(&session, "SELECT writetime(v) FROM t WHERE pk = 1").await;
    assert_eq!(times, [second.to_string()]);
}

#[tokio::test]
async fn what_writes_nothing_logs_nothing() {
    let (_server, session) = start().await;
    table(&session, "'preimage': 'full', 'postimage': true").await;
    let update = session.prepare("UPDATE t SET v = ? WHERE pk = 1 AND ck = 1").await.unwrap();
    session.execute_unpaged(&update, (scylla::value::MaybeUnset::<i32>::Unset,)).await.unwrap();
    run(&session, "DELETE FROM t WHERE pk = 1 AND ck > 3 AND ck < 3").await;
    run(&session, "BEGIN BATCH APPLY BATCH").await;
    assert_eq!(log(&session, "t", "v").await, Vec::<String>::new());
    run(&session, "INSERT INTO t (pk, ck, v) VALUES (1, 1, 1)").await;
    run(&session, "TRUNCATE t").await;
    assert_eq!(log(&session, "t", "v").await, ["0 2 1", "1 9 1"], "TRUNCATE is not logged");
    assert_eq!(texts(&session, "SELECT * FROM t").await, Vec::<String>::new());
}
