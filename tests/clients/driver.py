"""The Python driver of ScyllaDB, or Cassandra's, against a development ScyllaDB.

    driver.py HOST:PORT [--shards N] [--tablets] [--user NAME --password WORD]

Knows the server by its address alone. Exits 0 when everything it read is what it wrote.
"""

import argparse
import datetime
import decimal
import os
import threading
import time
import uuid
from collections import namedtuple

import cassandra
from cassandra import ConsistencyLevel, InvalidRequest, Unauthorized
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable
from cassandra.concurrent import execute_concurrent, execute_concurrent_with_args
from cassandra.protocol import SyntaxException
from cassandra.query import (
    UNSET_VALUE,
    BatchStatement,
    BatchType,
    SimpleStatement,
    dict_factory,
    named_tuple_factory,
    tuple_factory,
)
from cassandra.util import Date, Duration, Time

IS_SCYLLA_DRIVER = hasattr(Cluster, "is_shard_aware")
PROFILES = {"dicts": dict_factory, "tuples": tuple_factory, "named": named_tuple_factory}

# Every type with values a driver can tell apart, the limits among them.
NATIVE = {
    "ascii": ["plain", ""],
    "bigint": [2**63 - 1, -(2**63)],
    "blob": [b"\x00\xff", b""],
    "boolean": [True, False],
    "date": [Date(0), Date(-719162), datetime.date(2026, 2, 28)],
    "decimal": [decimal.Decimal("12345678901234567890.000001"), decimal.Decimal("-1E+3")],
    "double": [1.7976931348623157e308, -0.0],
    "duration": [Duration(14, 3, 1_000_000_001), Duration(-1, -2, -3)],
    "float": [0.5, -3.25],
    "inet": ["127.0.0.1", "2001:db8::1"],
    "int": [2**31 - 1, -(2**31)],
    "smallint": [32767, -32768],
    "text": ["grüße, 世界 'quoted'", ""],
    "time": [Time(0), Time(86_399_999_999_999)],
    "timestamp": [datetime.datetime(2026, 1, 2, 3, 4, 5, 678000), datetime.datetime(1969, 12, 31, 23, 59, 59)],
    "timeuuid": [uuid.UUID("f81d4fae-7dec-11d0-a765-00a0c91e6bf6")],
    "tinyint": [127, -128],
    "uuid": [uuid.UUID("00000000-0000-4000-8000-000000000001")],
    "varchar": ["another name of text"],
    "varint": [2**200, -1, 0],
}


def same(found, wanted, what):
    if found != wanted:
        raise AssertionError(f"{what}: found {found!r}, wanted {wanted!r}")


def refused(session, statement, error, words):
    try:
        session.execute(statement)
    except error as refusal:
        if words not in str(refusal):
            raise AssertionError(f"{statement}: {refusal} does not say {words!r}") from refusal
        return
    raise AssertionError(f"{statement} was not refused")


def eventually(is_so, what, seconds=20):
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def connect(options, **more):
    host, port = options.address.rsplit(":", 1)
    if options.user:
        more["auth_provider"] = PlainTextAuthProvider(options.user, options.password)
    profiles = {name: ExecutionProfile(row_factory=factory) for name, factory in PROFILES.items()}
    profiles[EXEC_PROFILE_DEFAULT] = ExecutionProfile(request_timeout=20)
    return Cluster([host], port=int(port), execution_profiles=profiles, connect_timeout=20, schema_event_refresh_window=0, **more)


def the_cluster_is_described(cluster, session, options):
    same(cluster.protocol_version, 4, "the protocol that was agreed on")
    hosts = cluster.metadata.all_hosts()
    same(len(hosts), 1, "nodes")
    same(str(hosts[0].endpoint.address), options.address.rsplit(":", 1)[0], "the node's address")
    same(hosts[0].is_up, True, "the node is up")
    same(hosts[0].release_version, "3.0.8", "the release")
    local = session.execute("SELECT * FROM system.local WHERE key = 'local'").one()
    same((hosts[0].datacenter, hosts[0].rack), (local.data_center, local.rack), "where the node is")
    same(cluster.metadata.cluster_name, local.cluster_name, "the cluster's name")
    same(len(cluster.metadata.token_map.ring), len(local.tokens), "tokens")
    if IS_SCYLLA_DRIVER and options.shards > 1:
        same(cluster.is_shard_aware(), True, "shard awareness")
        stats = lambda: next(iter(cluster.shard_aware_stats().values()))
        eventually(lambda: stats()["connected"] == options.shards, "a connection to each shard")
        same(stats()["shards_count"], options.shards, "shards")


def every_type_comes_back(session):
    for i, (name, values) in enumerate(NATIVE.items()):
        key = name not in ("duration",)
        session.execute(f"CREATE TABLE native_{i} (n int PRIMARY KEY, v {name}, l list<{name}>, f frozen<list<{name}>>)")
        insert = session.prepare(f"INSERT INTO native_{i} (n, v, l, f) VALUES (?, ?, ?, ?)")
        for n, value in enumerate(values):
            session.execute(insert, (n, value, values, values))
            row = session.execute(f"SELECT v, l, f FROM native_{i} WHERE n = %s", (n,)).one()
            same((row.v, list(row.l), list(row.f)), (value, values, values), name)
            # As a literal, made by the driver: of a decimal it makes a float.
            if name == "decimal" and decimal.Decimal(float(value)) != value:
                continue
            session.execute(f"INSERT INTO native_{i} (n, v) VALUES (%s, %s)", (100 + n, value))
            same(session.execute(f"SELECT v FROM native_{i} WHERE n = %s", (100 + n,)).one().v, value, f"{name} literal")
        session.execute(insert, (50, None, None, []))
        same(tuple(session.execute(f"SELECT v, l, f FROM native_{i} WHERE n = 50").one()), (None, None, []), f"no {name}")
        if key:
            session.execute(f"CREATE TABLE key_{i} (p {name}, c {name}, s set<{name}>, m map<{name}, {name}>, PRIMARY KEY (p, c))")
            insert = session.prepare(f"INSERT INTO key_{i} (p, c, s, m) VALUES (?, ?, ?, ?)")
            usable = [value for value in values if value not in ("", b"")]
            for value in usable:
                session.execute(insert, (usable[0], value, set(usable), {value: value}))
            rows = list(session.execute(session.prepare(f"SELECT * FROM key_{i} WHERE p = ?"), (usable[0],)))
            same({str(row.c) for row in rows}, {str(value) for value in usable}, f"keys of {name}")
            same(len(rows[0].s), len(usable), f"set of {name}")
            same({str(k): str(v) for k, v in rows[0].m.items()}, {str(rows[0].c): str(rows[0].c)}, f"map of {name}")


def nested_types_come_back(cluster, session):
    session.execute("CREATE TYPE address (street text, zip int)")
    session.execute("CREATE TYPE person (name text, home frozen<address>, phones map<text, frozen<set<text>>>)")
    session.execute(
        "CREATE TABLE nested (p int PRIMARY KEY, a frozen<person>, u address, t tuple<int, text, frozen<list<float>>>,"
        " m map<text, frozen<map<int, frozen<address>>>>, l list<frozen<tuple<int, frozen<set<uuid>>>>>,"
        " s set<frozen<tuple<int, int>>>)"
    )
    address = namedtuple("address", "street zip")
    person = namedtuple("person", "name home phones")
    cluster.register_user_type("suite", "address", address)
    cluster.register_user_type("suite", "person", person)
    home, ids = address("Am Wehr 1", 12345), {uuid.UUID(int=7), uuid.UUID(int=3)}
    values = (
        1,
        person("Ada", home, {"home": {"1", "2"}}),
        address("Street", None),
        (1, "two", [3.5, 4.5]),
        {"x": {1: home, 2: address(None, 2)}},
        [(1, ids), (2, None)],
        {(2, 1), (1, 2)},
    )
    session.execute(session.prepare("INSERT INTO nested (p, a, u, t, m, l, s) VALUES (?, ?, ?, ?, ?, ?, ?)"), values)
    row = session.execute("SELECT * FROM nested WHERE p = 1").one()
    same(row.a, values[1], "user type in user type")
    same(row.u, values[2], "user type with a null")
    same(row.t, values[3], "tuple")
    same({k: dict(v) for k, v in row.m.items()}, values[4], "map of maps")
    same([(n, s and set(s)) for n, s in row.l], values[5], "list of tuples")
    same(list(row.s), [(1, 2), (2, 1)], "set of tuples, in order")
    session.execute("UPDATE nested SET u.zip = 5, m['y'] = {3: {street: 's', zip: 4}}, l = l + [(9, {})] WHERE p = 1")
    row = session.execute("SELECT u, m, l FROM nested WHERE p = 1").one()
    same((row.u, dict(row.m["y"]), row.l[2][0]), (address("Street", 5), {3: address("s", 4)}, 9), "after an update")


def pages_and_factories_and_parameters(session):
    session.execute("CREATE TABLE pages (p int, c int, v text, s text static, PRIMARY KEY (p, c)) WITH CLUSTERING ORDER BY (c DESC)")
    insert = session.prepare("INSERT INTO pages (p, c, v) VALUES (:p, :c, :v)")
    arguments = [{"p": n % 3, "c": n, "v": f"v{n}"} for n in range(300)]
    done = execute_concurrent_with_args(session, insert, arguments, concurrency=64)
    same([result.success for result in done], [True] * 300, "concurrent inserts")
    wanted = {(n % 3, n, f"v{n}") for n in range(300)}
    for statement in (SimpleStatement("SELECT p, c, v FROM pages", fetch_size=7), session.prepare("SELECT p, c, v FROM pages")):
        statement.fetch_size = 7
        rows = list(session.execute(statement))
        same((len(rows), {tuple(row) for row in rows}), (300, wanted), "rows by pages")
    page = session.execute(SimpleStatement("SELECT c FROM pages WHERE p = 1", fetch_size=40))
    same([row.c for row in page.current_rows], list(range(298, 178, -3)), "the first page, in descending order")
    rest = session.execute(SimpleStatement("SELECT c FROM pages WHERE p = 1", fetch_size=100), paging_state=page.paging_state)
    same([row.c for row in rest], list(range(178, 0, -3)), "from a saved paging state on")
    # A page fetched in the background.
    seen, over = [], threading.Event()
    future = session.execute_async(SimpleStatement("SELECT c FROM pages", fetch_size=50))

    def more(rows):
        seen.extend(row.c for row in rows)
        future.start_fetching_next_page() if future.has_more_pages else over.set()

    future.add_callbacks(more, lambda error: over.set())
    same(over.wait(20), True, "all pages in time")
    same(sorted(seen), list(range(300)), "rows of pages fetched one after the other")
    one = "SELECT c, v FROM pages WHERE p = %(p)s AND c = %(c)s"
    same(session.execute(one, {"p": 1, "c": 4}, execution_profile="dicts").one(), {"c": 4, "v": "v4"}, "a row as a dict")
    same(session.execute(one, {"p": 1, "c": 4}, execution_profile="tuples").one(), (4, "v4"), "a row as a tuple")
    same(session.execute(one, {"p": 1, "c": 5}, execution_profile="named").one(), None, "a row that is not there")
    session.execute(insert, {"p": 1, "c": 4, "v": UNSET_VALUE})
    same(session.execute(one, {"p": 1, "c": 4}).one().v, "v4", "a value left unset")
    reads = [("SELECT v FROM pages WHERE p = %s AND c = %s", (n % 3, n)) for n in range(100)]
    found = [result.result_or_exc.one().v for result in execute_concurrent(session, reads)]
    same(found, [f"v{n}" for n in range(100)], "concurrent reads in order")
    select = session.prepare("SELECT count(*) AS n, max(c) AS top FROM pages WHERE p = ? AND c >= ? AND c < ?")
    select.consistency_level = ConsistencyLevel.QUORUM
    same(tuple(session.execute(select, (0, 30, 60)).one()), (10, 57), "aggregates")
    same(select.routing_key_indexes, [0], "the key's place among the markers")


def batches_and_conditions(session):
    session.execute("CREATE TABLE lwt (p int, c int, v int, PRIMARY KEY (p, c))")
    insert = session.prepare("INSERT INTO lwt (p, c, v) VALUES (?, ?, ?)")
    for kind in (BatchType.LOGGED, BatchType.UNLOGGED):
        batch = BatchStatement(batch_type=kind)
        batch.add(insert, (1, kind.value, 10))
        batch.add("INSERT INTO lwt (p, c, v) VALUES (%s, %s, %s)", (1, kind.value + 2, 20))
        batch.add(SimpleStatement("UPDATE lwt SET v = 30 WHERE p = 2 AND c = 1"))
        session.execute(batch)
    same([tuple(r) for r in session.execute("SELECT * FROM lwt")], [(1, 0, 10), (1, 1, 10), (1, 2, 20), (1, 3, 20), (2, 1, 30)], "batches")
    session.execute("BEGIN BATCH USING TIMESTAMP 1000 INSERT INTO lwt (p, c, v) VALUES (3, 1, 1); APPLY BATCH")
    same(session.execute("SELECT writetime(v) AS w FROM lwt WHERE p = 3").one().w, 1000, "a batch's timestamp")
    result = session.execute("INSERT INTO lwt (p, c, v) VALUES (1, 0, 99) IF NOT EXISTS")
    same((result.was_applied, result.one()), (False, (False, 1, 0, 10)), "an insert that was too late")
    same(session.execute("UPDATE lwt SET v = 11 WHERE p = 1 AND c = 0 IF v = 10").one(), (True, 10), "a condition that held")
    update = session.prepare("UPDATE lwt SET v = ? WHERE p = 1 AND c = 0 IF v = ?")
    same(session.execute(update, (12, 10)).one(), (False, 11), "a condition that did not hold")
    if IS_SCYLLA_DRIVER:
        same((update.is_lwt(), insert.is_lwt()), (True, False), "the mark of conditional statements")
    both = BatchStatement()
    both.add(session.prepare("UPDATE lwt SET v = ? WHERE p = 1 AND c = 0 IF v = ?"), (50, 11))
    both.add(session.prepare("DELETE FROM lwt WHERE p = 1 AND c = 1 IF EXISTS"))
    result = session.execute(both)
    same(result.was_applied, True, "a conditional batch")
    same([tuple(r) for r in session.execute("SELECT c, v FROM lwt WHERE p = 1")], [(0, 50), (2, 20), (3, 20)], "after it")


def the_schema_is_told(cluster, session):
    """The driver hears of changes made by another session, and its own words make the same schema again."""
    session.execute("CREATE TYPE point (x int, y int)")
    session.execute(
        'CREATE TABLE "MixedCase" ("Key" int, c1 timeuuid, c2 text, s int static, m map<text, frozen<point>>, v list<int>,'
        " PRIMARY KEY ((\"Key\", c2), c1)) WITH CLUSTERING ORDER BY (c1 DESC) AND comment = 'it''s a test'"
        " AND default_time_to_live = 864000 AND gc_grace_seconds = 3600"
        " AND compaction = {'class': 'LeveledCompactionStrategy', 'sstable_size_in_mb': 160}"
    )
    session.execute("CREATE TABLE logged (p int PRIMARY KEY, v text) WITH cdc = {'enabled': true, 'preimage': true, 'ttl': 100}")
    keyspace = cluster.metadata.keyspaces["suite"]
    table = keyspace.tables["MixedCase"]
    same([c.name for c in table.partition_key], ["Key", "c2"], "the partition key")
    same([c.name for c in table.clustering_key], ["c1"], "the clustering key")
    same(table.columns["c1"].is_reversed, True, "the order")
    same(table.columns["s"].is_static, True, "the static column")
    same(table.columns["m"].cql_type, "map<text, frozen<point>>", "a column's type")
    same(table.options["comment"], "it's a test", "the comment")
    same(table.options["default_time_to_live"], 864000, "the time to live")
    same(keyspace.user_types["point"].field_names, ["x", "y"], "the type's fields")
    # Of the log, which no statement names, the driver hears by an event.
    eventually(lambda: "logged_scylla_cdc_log" in cluster.metadata.keyspaces["suite"].tables, "the log is a table")
    there_and_back(cluster, session)

    session.execute("ALTER TABLE logged ADD w int")
    same(list(cluster.metadata.keyspaces["suite"].tables["logged"].columns), ["p", "v", "w"], "a column added")
    session.execute("DROP TABLE logged")
    tables = cluster.metadata.keyspaces["suite"].tables
    eventually(lambda: not {"logged", "logged_scylla_cdc_log"} & set(tables), "a table dropped with its log")


def there_and_back(cluster, session):
    tables = cluster.metadata.keyspaces["suite"].tables
    session.execute("CREATE KEYSPACE again WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}")
    for kind in cluster.metadata.keyspaces["suite"].user_types.values():
        session.execute(kind.as_cql_query().replace("suite.", "again.").replace(kind.keyspace + ".", "again."))
    for name, table in tables.items():
        if name.endswith("_scylla_cdc_log"):
            continue
        words = table.as_cql_query(formatted=True)
        session.execute(words.replace("CREATE TABLE suite.", "CREATE TABLE again."))
        made = cluster.metadata.keyspaces["again"].tables[name].as_cql_query(formatted=True)
        same(made.replace("again.", "suite."), words, f"{name} made again")
    session.execute("DROP KEYSPACE again")
    same("again" in cluster.metadata.keyspaces, False, "a keyspace dropped")


def other_sessions_are_heard(options, session):
    listener = connect(options)
    listener.connect()
    session.execute("CREATE TABLE suite.heard (p int PRIMARY KEY)")
    eventually(lambda: "heard" in listener.metadata.keyspaces["suite"].tables, "the other session heard of a new table")
    session.execute("DROP TABLE suite.heard")
    eventually(lambda: "heard" not in listener.metadata.keyspaces["suite"].tables, "the other session heard of its end")
    listener.shutdown()


def errors_have_their_types(session):
    refused(session, "SELEC 1", SyntaxException, "line 1:0")
    refused(session, "SELECT * FROM nowhere", InvalidRequest, "unconfigured table nowhere")
    refused(session, "SELECT nope FROM pages", InvalidRequest, "nope")
    refused(session, "SELECT * FROM pages WHERE v = 'x'", InvalidRequest, "ALLOW FILTERING")
    refused(session, "CREATE KEYSPACE suite WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}", cassandra.AlreadyExists, "suite")
    refused(session, "CREATE TABLE pages (p int PRIMARY KEY)", cassandra.AlreadyExists, "pages")
    refused(session, "DROP TABLE no_such_table", InvalidRequest, "no_such_table")
    refused(session, "INSERT INTO pages (p, c, v) VALUES (1, 2, 3)", InvalidRequest, "")
    session.execute("CREATE TABLE kept (p int PRIMARY KEY) WITH cdc = {'enabled': true}")
    refused(session, "DROP TABLE kept_scylla_cdc_log", Unauthorized, "cdc log table")


def the_log_tells_of_writes(session):
    session.execute("CREATE TABLE changes (p int, c int, v text, m set<int>, PRIMARY KEY (p, c)) WITH cdc = {'enabled': true, 'preimage': true, 'postimage': true}")
    session.execute("INSERT INTO changes (p, c, v, m) VALUES (1, 1, 'a', {1, 2}) USING TTL 1000")
    session.execute("UPDATE changes SET v = 'b', m = m - {1} WHERE p = 1 AND c = 1")
    session.execute("DELETE FROM changes WHERE p = 1 AND c = 1")
    rows = list(session.execute(
        'SELECT "cdc$operation" AS op, "cdc$ttl" AS ttl, c, v, m, "cdc$deleted_elements_m" AS gone FROM changes_scylla_cdc_log'
    ))
    deltas = [(r.op, r.v, r.gone and list(r.gone)) for r in rows if r.op not in (0, 9)]
    same([d for d in deltas if d[0] == 1][-1], (1, "b", [1]), "the update in the log")
    same([r.op for r in rows][-1], 3, "the delete is last")
    images = [(r.op, r.v, r.m and list(r.m)) for r in rows if r.op in (0, 9)]
    same(images, [(9, "a", [1, 2]), (0, "a", [1, 2]), (9, "b", [2]), (0, "b", [2])], "images in the log")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--tablets", action="store_true")
    parser.add_argument("--user")
    parser.add_argument("--password")
    options = parser.parse_args()
    cluster = connect(options)
    session = cluster.connect()
    the_cluster_is_described(cluster, session, options)
    tablets = str(options.tablets).lower()
    session.execute(
        "CREATE KEYSPACE suite WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}"
        f" AND tablets = {{'enabled': {tablets}}}"
    )
    session.set_keyspace("suite")
    every_type_comes_back(session)
    nested_types_come_back(cluster, session)
    pages_and_factories_and_parameters(session)
    batches_and_conditions(session)
    errors_have_their_types(session)
    the_log_tells_of_writes(session)
    the_schema_is_told(cluster, session)
    other_sessions_are_heard(options, session)
    if options.user:
        wrong = argparse.Namespace(**{**vars(options), "password": "wrong"})
        try:
            connect(wrong).connect()
            raise AssertionError("a wrong password was let in")
        except NoHostAvailable as refusal:
            same("AuthenticationFailed" in repr(refusal.errors), True, f"why it was refused: {refusal.errors}")
    cluster.shutdown()
    name = "scylla-driver" if IS_SCYLLA_DRIVER else "cassandra-driver"
    print(f"{name} {cassandra.__version__}: all as it should be", flush=True)
    # ScyllaDB's driver waits 5 s at exit for a thread that has nothing left to do.
    os._exit(0)


main()
