//! Vnodes, shards and tablets: which streams there are, which of them a write goes to, and what drivers make of it.
use std::collections::BTreeSet;
use std::time::Duration;

use scylla::client::session::Session;
use scylla::value::CqlValue;
use weir_scylla_dev::{Builder, Clock, ScyllaDev};

use super::{connect, refused, rows, run, texts};

/// 2023-11-14, at which the clocks here stand.
const NOW: i64 = 1_700_000_000_000_000;
const NOW_MILLIS: i64 = NOW / 1000;

/// The server on a clock that stands, a session, and keyspace `ks`, which is `WITH` this too.
async fn start(builder: Builder, with: &str) -> (ScyllaDev, Session) {
    let server = builder.clock(Clock::manual(NOW)).start().await.unwrap();
    let session = connect(&server).await;
    let replication = "{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}";
    run(&session, &format!("CREATE KEYSPACE ks WITH replication = {replication} {with}")).await;
    session.use_keyspace("ks", false).await.unwrap();
    (server, session)
}

async fn table(session: &Session) {
    run(session, "CREATE TABLE t (pk int PRIMARY KEY, v int) WITH cdc = {'enabled': true}").await;
}

fn blob(value: &Option<CqlValue>) -> Vec<u8> {
    value.as_ref().and_then(CqlValue::as_blob).unwrap().clone()
}

fn bigint(value: &Option<CqlValue>) -> i64 {
    value.as_ref().and_then(CqlValue::as_bigint).unwrap()
}

fn token(stream: &[u8]) -> i64 {
    i64::from_be_bytes(stream[..8].try_into().unwrap())
}

/// Token of the base partition and stream of each log row.
async fn logged(session: &Session) -> Vec<(i64, Vec<u8>)> {
    let mut logged = Vec::new();
    for row in rows(session, "SELECT \"cdc$stream_id\", pk FROM t_scylla_cdc_log").await {
        let pk = row.columns[1].as_ref().and_then(CqlValue::as_int).unwrap();
        let tokens = rows(session, &format!("SELECT token(pk) FROM t WHERE pk = {pk}")).await;
        logged.push((bigint(&tokens[0].columns[0]), blob(&row.columns[0])));
    }
    logged
}

/// The streams of the table at that time that are in this state, by token.
async fn streams(session: &Session, millis: i64, state: i8) -> Vec<Vec<u8>> {
    let query = format!(
        "SELECT stream_id FROM system.cdc_streams WHERE keyspace_name = 'ks' AND table_name = 't' \
         AND timestamp = {millis} AND stream_state = {state}"
    );
    let mut ids: Vec<_> = rows(session, &query).await.iter().map(|row| blob(&row.columns[0])).collect();
    ids.sort_by_key(|id| token(id));
    ids
}

async fn timestamps(session: &Session) -> Vec<String> {
    let query = "SELECT toUnixTimestamp(timestamp) FROM system.cdc_timestamps WHERE keyspace_name = 'ks' AND table_name = 't'";
    texts(session, query).await
}

async fn insert(session: &Session, keys: std::ops::Range<i32>) {
    for pk in keys {
        run(session, &format!("INSERT INTO t (pk, v) VALUES ({pk}, 0)")).await;
    }
}

#[tokio::test]
async fn each_vnode_has_a_stream_for_each_shard() {
    let (server, session) = start(ScyllaDev::builder().vnodes(8).shards(3), "").await;
    table(&session).await;
    insert(&session, 0..60).await;
    server.new_generation(NOW_MILLIS + 60_000);
    let generations = "SELECT toUnixTimestamp(time), expired FROM system_distributed.cdc_generation_timestamps WHERE key = 'timestamps'";
    let expected = [format!("{} -", NOW_MILLIS + 60_000), format!("{NOW_MILLIS} -")];
    assert_eq!(texts(&session, generations).await, expected, "the newest first");
    let query = format!(
        "SELECT range_end, streams FROM system_distributed.cdc_streams_descriptions_v2 WHERE time = {NOW_MILLIS}"
    );
    let mut ranges = Vec::new();
    for row in rows(&session, &query).await {
        let ids = row.columns[1].clone().unwrap().into_vec().unwrap();
        let ids: Vec<_> = ids.into_iter().map(|id| id.as_blob().unwrap().clone()).collect();
        assert_eq!(ids.len(), 3);
        ranges.push((bigint(&row.columns[0]), ids));
    }
    assert_eq!(ranges.len(), 8);
    let tokens: BTreeSet<i64> = ranges.iter().map(|(end, _)| *end).collect();
    let in_local = rows(&session, "SELECT tokens FROM system.local").await;
    let in_local = in_local[0].columns[0].clone().unwrap().into_vec().unwrap();
    let in_local: BTreeSet<i64> =
        in_local.iter().map(|token| token.as_text().unwrap().parse().unwrap()).collect();
    assert_eq!(tokens, in_local);
    let node = session.get_cluster_state().get_nodes_info()[0].sharder().unwrap();
    let shard_of = |token| node.shard_of(scylla::routing::Token::new(token));
    let mut used = BTreeSet::new();
    for (pk_token, stream) in logged(&session).await {
        let (end, ids) = ranges.iter().find(|(end, _)| *end >= pk_token).unwrap_or(&ranges[0]);
        assert!(ids.contains(&stream), "a stream of the vnode that ends at {end}");
        assert_eq!(shard_of(token(&stream)), shard_of(pk_token), "and of the shard that has the partition");
        used.insert(stream);
    }
    assert!(used.len() > 12, "sixty keys reach most of 24 streams");
    for (index, (end, ids)) in ranges.iter().enumerate() {
        for id in ids {
            let low = u64::from_be_bytes(id[8..].try_into().unwrap());
            assert_eq!((low & 0xF, low >> 4 & 0x3F_FFFF), (1, index as u64), "version and index of {end}");
        }
    }
}

#[tokio::test]
async fn the_driver_gets_a_connection_to_each_shard() {
    let (server, session) = start(ScyllaDev::builder().shards(4).tablets(8), "").await;
    let node = |session: &Session| std::sync::Arc::clone(&session.get_cluster_state().get_nodes_info()[0]);
    assert_eq!(node(&session).sharder().unwrap().nr_shards.get(), 4);
    // It learns where a tablet is when it asks the wrong shard for it, so it learns all if it has more than one.
    run(&session, "CREATE TABLE t (pk int PRIMARY KEY, v int)").await;
    let insert = session.prepare("INSERT INTO t (pk, v) VALUES (?, 0)").await.unwrap();
    let known = |session: &Session, pk: i32| {
        let token = insert.calculate_token(&(pk,)).unwrap().unwrap();
        session
            .get_cluster_state()
            .get_token_endpoints("ks", "t", token)
            .into_iter()
            .map(|(_, shard)| shard)
            .next()
    };
    let owner = |pk: i32| {
        let token = insert.calculate_token(&(pk,)).unwrap().unwrap().value();
        (token as u64 ^ 1 << 63) >> 61 & 3
    };
    let all = async {
        let mut pk = 0;
        while (0..64).any(|pk| known(&session, pk).map(u64::from) != Some(owner(pk))) {
            session.execute_unpaged(&insert, (pk,)).await.unwrap();
            pk = (pk + 1) % 64;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.expect("the driver learns where each tablet is");
    drop(server);
}

#[tokio::test]
async fn keyspaces_are_on_tablets_if_they_or_the_server_say_so() {
    let (_server, session) = start(ScyllaDev::builder(), "").await;
    let replication = "replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}";
    run(&session, &format!("CREATE KEYSPACE four WITH {replication} AND tablets = {{'initial': 4}}")).await;
    run(&session, &format!("CREATE KEYSPACE some WITH {replication} AND tablets = {{'enabled': true}}"))
        .await;
    let query = "SELECT keyspace_name, initial_tablets FROM system_schema.scylla_keyspaces";
    assert_eq!(texts(&session, query).await, ["'some' 0", "'four' 4"]);
    run(&session, &format!("ALTER KEYSPACE four WITH {replication} AND tablets = {{'initial': 8}}")).await;
    let four = "SELECT initial_tablets FROM system_schema.scylla_keyspaces WHERE keyspace_name = 'four'";
    assert_eq!(texts(&session, four).await, ["8"]);
    for (statement, text) in [
        (
            format!("ALTER KEYSPACE four WITH {replication} AND tablets = {{'enabled': false}}"),
            "Cannot alter replication strategy vnode/tablets flavor",
        ),
        (
            "CREATE KEYSPACE x WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1} \
             AND tablets = {'enabled': true}"
                .to_owned(),
            "SimpleStrategy doesn't support tablet replication",
        ),
        (
            format!("CREATE KEYSPACE x WITH {replication} AND tablets = {{'enabled': 'maybe'}}"),
            "Tablets enabled value must be true or false; found: maybe",
        ),
        (
            format!("CREATE KEYSPACE x WITH {replication} AND tablets = {{'initial': 'many'}}"),
            "Initial tablets value should be numeric; found many",
        ),
        (
            format!("CREATE KEYSPACE x WITH {replication} AND tablets = {{'speed': 1}}"),
            "Unrecognized tablets option speed",
        ),
    ] {
        let error = refused(&session, &statement).await;
        assert!(error.contains(text), "{statement}: {error}");
    }
    let (_server, session) = start(ScyllaDev::builder().tablets(0), "").await;
    run(&session, &format!("CREATE KEYSPACE vnodes WITH {replication} AND tablets = {{'enabled': false}}"))
        .await;
    let simple = "{'class': 'SimpleStrategy', 'replication_factor': 1}";
    run(&session, &format!("CREATE KEYSPACE simple WITH replication = {simple}")).await;
    assert_eq!(texts(&session, query).await, ["'ks' 0"]);
}

#[tokio::test]
async fn each_tablet_has_a_stream_and_writes_go_to_it() {
    let (_server, session) = start(ScyllaDev::builder().tablets(3), "").await;
    table(&session).await;
    assert_eq!(timestamps(&session).await, [(NOW_MILLIS - 5000).to_string()]);
    let current = streams(&session, NOW_MILLIS - 5000, 0).await;
    let ends: Vec<i64> = current.iter().map(|id| token(id)).collect();
    assert_eq!(
        ends,
        [i64::MIN / 2 - 1, -1, i64::MAX / 2, i64::MAX],
        "three are rounded up to a power of two"
    );
    assert_eq!(streams(&session, NOW_MILLIS - 5000, 2).await, current, "all were opened");
    assert_eq!(streams(&session, NOW_MILLIS - 5000, 1).await, Vec::<Vec<u8>>::new());
    insert(&session, 0..40).await;
    let logged = logged(&session).await;
    for (pk_token, stream) in &logged {
        assert_eq!(token(stream), *ends.iter().find(|end| *end >= pk_token).unwrap());
        assert!(current.contains(stream));
    }
    assert_eq!(logged.iter().map(|(_, stream)| stream).collect::<BTreeSet<_>>().len(), 4);
    // What is on vnodes has nothing of this.
    assert_eq!(texts(&session, "SELECT COUNT(*) FROM system.cdc_timestamps").await, ["1"]);
    run(&session, "DROP TABLE t").await;
    assert_eq!(texts(&session, "SELECT COUNT(*) FROM system.cdc_timestamps").await, ["0"]);
    assert_eq!(texts(&session, "SELECT COUNT(*) FROM system.cdc_streams").await, ["0"]);
}

#[tokio::test]
async fn tablets_split_and_merge_at_their_time() {
    let (server, session) = start(ScyllaDev::builder(), "AND tablets = {'initial': 2}").await;
    table(&session).await;
    insert(&session, 0..30).await;
    let first = NOW_MILLIS - 5000;
    let (split, merge) = (NOW_MILLIS + 10_000, NOW_MILLIS + 20_000);
    server.resize_tablets("ks", "t", 4, split).unwrap();
    server.resize_tablets("ks", "t", 1, merge).unwrap();
    assert_eq!(
        timestamps(&session).await,
        [merge, split, first].map(|time| time.to_string()),
        "newest first"
    );
    let mut before = streams(&session, first, 0).await;
    for (time, count) in [(split, 4), (merge, 1)] {
        let current = streams(&session, time, 0).await;
        assert_eq!(current.len(), count);
        assert_eq!(streams(&session, time, 1).await, before, "closed");
        assert_eq!(streams(&session, time, 2).await, current, "opened");
        before = current;
    }
    let mut seen = BTreeSet::new();
    for (time, count) in [(first, 2), (split, 4), (merge, 1)] {
        insert(&session, 0..30).await;
        let all: BTreeSet<_> = logged(&session).await.into_iter().map(|(_, stream)| stream).collect();
        let fresh: BTreeSet<_> = all.difference(&seen).cloned().collect();
        let current: BTreeSet<_> = streams(&session, time, 0).await.into_iter().collect();
        assert!(fresh.is_subset(&current) && fresh.len() == count, "{} of {count}", fresh.len());
        seen = all;
        server.clock().advance(Duration::from_secs(10));
    }
    // As the Java reader asks.
    let next = format!(
        "SELECT toUnixTimestamp(min(timestamp)) FROM system.cdc_timestamps WHERE keyspace_name = 'ks' AND table_name = 't' \
         AND timestamp > {first} ORDER BY timestamp ASC LIMIT 1"
    );
    assert_eq!(texts(&session, &next).await, [split.to_string()]);
    let error = server.resize_tablets("ks", "t", 0, merge).unwrap_err();
    assert!(error.message.contains("a table has 1 to 4096 tablets, not 0"), "{error}");
    let error = server.resize_tablets("ks", "nothing", 4, merge).unwrap_err();
    assert!(error.message.contains("unconfigured table nothing_scylla_cdc_log"), "{error}");
}

#[tokio::test]
async fn a_table_asks_for_tablets_and_keeps_its_streams_while_cdc_is_off() {
    let (_server, session) = start(ScyllaDev::builder().tablets(0), "").await;
    run(&session, "CREATE TABLE t (pk int PRIMARY KEY, v int) WITH tablets = {'min_tablet_count': 8}").await;
    run(&session, "ALTER TABLE t WITH cdc = {'enabled': true}").await;
    let first = NOW_MILLIS - 5000;
    let current = streams(&session, first, 0).await;
    assert_eq!(current.len(), 8);
    let hints =
        "SELECT tablets FROM system_schema.scylla_tables WHERE keyspace_name = 'ks' AND table_name = 't'";
    assert_eq!(texts(&session, hints).await, ["{'min_tablet_count':'8'}"]);
    run(&session, "ALTER TABLE t WITH cdc = {'enabled': false}").await;
    run(&session, "ALTER TABLE t WITH cdc = {'enabled': true}").await;
    assert_eq!(streams(&session, first, 0).await, current);
    // As ScyllaDB does, with a minute's notice.
    run(&session, "ALTER TABLE t_scylla_cdc_log WITH tablets = {'min_tablet_count': 2}").await;
    let merged = NOW_MILLIS + 65_000;
    assert_eq!(timestamps(&session).await, [merged.to_string(), first.to_string()]);
    assert_eq!(streams(&session, merged, 0).await.len(), 2);
    let error = refused(&session, "ALTER TABLE t WITH tablets = {'min_tablet_count': 'x'}").await;
    assert!(error.contains("Invalid tablets option \"min_tablet_count\": x"), "{error}");
    run(&session, "CREATE TABLE default_count (pk int PRIMARY KEY) WITH cdc = {'enabled': true}").await;
    let count = "SELECT COUNT(*) FROM system.cdc_streams WHERE keyspace_name = 'ks' AND table_name = 'default_count' \
                 AND stream_state = 0 ALLOW FILTERING";
    assert_eq!(texts(&session, count).await, ["16"], "ten a shard");
}

#[tokio::test]
async fn the_driver_opens_no_more_connections_than_it_needs() {
    let (server, session) = start(ScyllaDev::builder().shards(6), "").await;
    let connections = || server.faults().connections();
    let all = async {
        while connections() < 7 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all)
        .await
        .expect("one to each shard, and one to watch the schema");
    run(&session, "CREATE TABLE t (pk int PRIMARY KEY)").await;
    // One more if a connection was lost on the way.
    assert!(connections() <= 8, "{}", connections());
}
