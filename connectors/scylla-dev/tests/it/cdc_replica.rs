//! A replica made of what the scylla-cdc crate's reader reads of a table's log is the table, write times included.
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use scylla::client::session::Session;
use scylla::value::CqlValue;
use scylla_cdc::consumer::{CDCRow, Consumer, ConsumerFactory, OperationType};
use weir_scylla_dev::ScyllaDev;

use super::cdc_reader::reader_of_t;
use super::{connect, run, texts};

const COLUMNS: &str = "pk int, ck int, s int static, sm map<int, int> static, v int, f frozen<list<int>>, m map<int, int>, \
                       l list<int>, st set<int>, u pair, PRIMARY KEY (pk, ck)";
const PLAIN: [&str; 3] = ["s", "v", "f"];
const COLLECTIONS: [&str; 5] = ["sm", "m", "l", "st", "u"];
const FIELDS: [&str; 2] = ["a", "b"];

/// Does to table `r` what the log says was done to `t`.
struct Replay {
    session: Arc<Session>,
    /// The start of the range whose end comes next.
    range: String,
}

struct Replays(Arc<Session>);

#[async_trait]
impl ConsumerFactory for Replays {
    async fn new_consumer(&self) -> Box<dyn Consumer> {
        Box::new(Replay { session: Arc::clone(&self.0), range: String::new() })
    }
}

#[async_trait]
impl Consumer for Replay {
    async fn consume_cdc(&mut self, row: CDCRow<'_>) -> anyhow::Result<()> {
        for statement in self.statements(row) {
            run(&self.session, &statement).await;
        }
        Ok(())
    }
}

impl Replay {
    fn statements(&mut self, mut row: CDCRow<'_>) -> Vec<String> {
        use OperationType as Op;
        let (seconds, nanos) = row.time.get_timestamp().unwrap().to_unix();
        let at = format!("USING TIMESTAMP {}", seconds * 1_000_000 + u64::from(nanos) / 1000);
        let partition = format!("pk = {}", row.take_value("pk").unwrap());
        let ck = row.take_value("ck");
        let bound = |sign: &str| ck.as_ref().map_or(String::new(), |ck| format!(" AND ck {sign} {ck}"));
        let delete = |what: &str| vec![format!("DELETE FROM r {at} WHERE {partition}{what}")];
        match row.operation {
            Op::PreImage | Op::PostImage => Vec::new(),
            Op::RowDelete => delete(&bound("=")),
            Op::PartitionDelete => delete(""),
            Op::RowRangeDelInclLeft => self.start(bound(">=")),
            Op::RowRangeDelExclLeft => self.start(bound(">")),
            Op::RowRangeDelInclRight => delete(&(std::mem::take(&mut self.range) + &bound("<="))),
            Op::RowRangeDelExclRight => delete(&(std::mem::take(&mut self.range) + &bound("<"))),
            Op::RowInsert | Op::RowUpdate => {
                let place = format!("WHERE {partition}{}", bound("="));
                let using = row.ttl.map_or(at.clone(), |ttl| format!("{at} AND TTL {ttl}"));
                let mut statements = Vec::new();
                if row.operation == Op::RowInsert {
                    let (pk, ck) = (&partition[5..], ck.as_ref().unwrap());
                    statements.push(format!("INSERT INTO r (pk, ck) VALUES ({pk}, {ck}) {using}"));
                }
                let set = |what: &str| format!("UPDATE r {using} SET {what} {place}");
                let clear = |what: &str| format!("UPDATE r {at} SET {what} = null {place}");
                statements.extend(changes(&mut row).into_iter().map(|change| match change {
                    Change::Set(what) => set(&what),
                    Change::Clear(what) => clear(&what),
                }));
                statements
            }
        }
    }

    fn start(&mut self, bound: String) -> Vec<String> {
        self.range = bound;
        Vec::new()
    }
}

/// What a log row says of the columns.
enum Change {
    Set(String),
    Clear(String),
}

fn changes(row: &mut CDCRow<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    for column in PLAIN.into_iter().chain(COLLECTIONS) {
        if row.is_value_deleted(column) {
            changes.push(Change::Clear(column.to_owned()));
        }
        let element = |id: &CqlValue| format!("l[SCYLLA_TIMEUUID_LIST_INDEX({id})]");
        match row.take_value(column) {
            Some(CqlValue::Map(items)) if column == "l" => {
                let set = |(id, item): &_| Change::Set(format!("{} = {item}", element(id)));
                changes.extend(items.iter().map(set));
            }
            Some(CqlValue::UserDefinedType { fields, .. }) => {
                let given = fields.iter().filter_map(|(name, field)| Some((name, field.as_ref()?)));
                changes.extend(given.map(|(name, field)| Change::Set(format!("u.{name} = {field}"))));
            }
            Some(value) if PLAIN.contains(&column) => {
                changes.push(Change::Set(format!("{column} = {value}")));
            }
            Some(value) => changes.push(Change::Set(format!("{column} = {column} + {value}"))),
            None => {}
        }
        if PLAIN.contains(&column) {
            continue;
        }
        changes.extend(row.take_deleted_elements(column).iter().map(|key| match (column, key) {
            ("l", id) => Change::Clear(element(id)),
            ("u", CqlValue::SmallInt(field)) => Change::Clear(format!("u.{}", FIELDS[*field as usize])),
            ("st", key) => Change::Set(format!("st = st - {{{key}}}")),
            (column, key) => Change::Clear(format!("{column}[{key}]")),
        }));
    }
    changes
}

/// One write to `t`: what kind, which row, two numbers, whether it expires, how many ms after the first possible moment.
#[derive(Debug, Clone)]
struct Write {
    kind: usize,
    place: (i32, i32),
    numbers: (i32, i32),
    ttl: bool,
    late: i64,
}

fn write() -> impl Strategy<Value = Write> {
    // Deletions of rows and more are few, or there would be little left to compare.
    let kind = prop_oneof![12 => 0..ROW_DELETIONS, 1 => ROW_DELETIONS..KINDS.len()];
    (kind, (0..3, 0..4), (0..4, 0..4), prop::bool::weighted(0.2), 0_i64..3_000)
        .prop_map(|(kind, place, numbers, ttl, late)| Write { kind, place, numbers, ttl, late })
}

/// `@`: USING, `#`: the row, `%`: the partition, X and Y: the numbers.
const KINDS: [&str; 28] = [
    "INSERT INTO t (pk, ck, v, m) VALUES (PK, CK, X, {X: Y}) @",
    "INSERT INTO t (pk, ck, v, s, l) VALUES (PK, CK, null, X, [X, Y]) @",
    "INSERT INTO t (pk, s) VALUES (PK, Y) @",
    "INSERT INTO t (pk, ck) VALUES (PK, CK) @",
    "UPDATE t @ SET v = X, f = [Y, X] WHERE #",
    "UPDATE t @ SET s = X WHERE %",
    "UPDATE t @ SET sm = sm + {X: Y} WHERE %",
    "UPDATE t @ SET sm = {X: Y} WHERE %",
    "UPDATE t @ SET m = {X: Y}, st = {Y} WHERE #",
    "UPDATE t @ SET m = m + {X: Y}, st = st + {X} WHERE #",
    "UPDATE t @ SET m = m - {X}, v = Y WHERE #",
    "UPDATE t @ SET m[X] = Y WHERE #",
    "UPDATE t @ SET st = st - {X}, st = st + {Y} WHERE #",
    "UPDATE t @ SET l = [X, Y, X] WHERE #",
    "UPDATE t @ SET l = l + [X] WHERE #",
    "UPDATE t @ SET l = [X, Y] + l WHERE #",
    "UPDATE t @ SET l = l - [X] WHERE #",
    "UPDATE t @ SET u = {a: X, b: Y} WHERE #",
    "UPDATE t @ SET u.b = X, v = null WHERE #",
    "UPDATE t @ SET u.a = null WHERE #",
    "UPDATE t @ SET u = null, m = null WHERE #",
    "DELETE v, m[X], u.b FROM t @ WHERE #",
    "DELETE m, l, f FROM t @ WHERE #",
    "DELETE s FROM t @ WHERE %",
    "DELETE FROM t @ WHERE #",
    "DELETE FROM t @ WHERE % AND ck >= X AND ck < Y",
    "DELETE FROM t @ WHERE % AND ck > X",
    "DELETE FROM t @ WHERE %",
];
/// From here on.
const ROW_DELETIONS: usize = 24;

impl Write {
    fn cql(&self, using: &str) -> String {
        let ((pk, ck), (x, y)) = (self.place, self.numbers);
        let numbers = [("PK", pk), ("CK", ck), ("X", x), ("Y", y)];
        let row = format!("pk = {pk} AND ck = {ck}");
        let text = KINDS[self.kind].replace('#', &row).replace('%', &format!("pk = {pk}"));
        let text = numbers.iter().fold(text, |text, (name, number)| text.replace(name, &number.to_string()));
        text.replace('@', using)
    }

    fn expires(&self) -> bool {
        self.ttl && !KINDS[self.kind].starts_with("DELETE")
    }
}

/// The statements: single ones, and batches of a deleted range and what comes after.
fn statements(writes: &[Write], start: i64) -> Vec<String> {
    let mut statements = Vec::new();
    for (index, write) in (0..).zip(writes) {
        // No two statements have a time, or that of what they clear, in common.
        let mut using = format!("USING TIMESTAMP {}", start + write.late * 1000 + index * 4);
        if write.expires() {
            using.push_str(" AND TTL 5000");
        }
        statements.push(write.cql(&using));
    }
    let mut rest = statements.into_iter();
    let mut out = Vec::new();
    while let Some(first) = rest.next() {
        let mut batch = first;
        if batch.starts_with("DELETE") && batch.contains("AND ck") {
            batch.insert_str(0, "BEGIN BATCH ");
            for more in rest.by_ref().take(2) {
                write!(batch, "; {more}").unwrap();
            }
            batch.push_str("; APPLY BATCH");
        }
        out.push(batch);
    }
    out
}

async fn replica_is_the_table(session: &Arc<Session>, writes: &[Write], images: &str) {
    for table in ["t", "r"] {
        run(session, &format!("DROP TABLE IF EXISTS {table}")).await;
    }
    run(session, &format!("CREATE TABLE r ({COLUMNS})")).await;
    run(session, &format!("CREATE TABLE t ({COLUMNS}) WITH cdc = {{'enabled': true{images}}}")).await;
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    // The streams of a table on tablets are five seconds older than it.
    let start = now().as_micros() as i64 - 4_500_000;
    for statement in statements(writes, start) {
        run(session, &statement).await;
    }
    let reader = reader_of_t(session, Arc::new(Replays(Arc::clone(session)))).end_timestamp(now());
    let (_reader, handle) = reader.build().await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), handle).await.expect("it reads to the end").unwrap();
    let all = "pk, ck, s, sm, v, f, m, l, st, u, writetime(s), writetime(v), writetime(f)";
    let original = texts(session, &format!("SELECT {all} FROM t")).await;
    assert_eq!(texts(session, &format!("SELECT {all} FROM r")).await, original);
}

#[test]
fn whatever_is_written() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (_server, session) = runtime.block_on(async {
        let server = ScyllaDev::builder().tablets(2).start().await.unwrap();
        let session = connect(&server).await;
        let replication = "{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}";
        run(&session, &format!("CREATE KEYSPACE ks WITH replication = {replication}")).await;
        session.use_keyspace("ks", false).await.unwrap();
        run(&session, "CREATE TYPE pair (a int, b int)").await;
        (server, Arc::new(session))
    });
    let config = Config { cases: 8, max_shrink_iters: 40, failure_persistence: None, ..Config::default() };
    let images =
        prop::sample::select(&["", ", 'preimage': true", ", 'preimage': 'full', 'postimage': true"][..]);
    let cases = (prop::collection::vec(write(), 1..80), images);
    let checked = TestRunner::new(config).run(&cases, |(writes, images)| {
        runtime.block_on(replica_is_the_table(&session, &writes, images));
        Ok(())
    });
    checked.unwrap_or_else(|failure| panic!("{failure}"));
}
