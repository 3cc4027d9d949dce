"""cqlsh, as people use it in scripts, against a development ScyllaDB.

    cqlsh.py HOST:PORT SCHEMA_FILE [--user NAME --password WORD]

SCHEMA_FILE holds the orders schema, keyspace orders_ks. Exits 0 when cqlsh did and printed what it should.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile

PRODUCTS = """id,name,price,tags,bought
1,"chair, oak",12.50,"['a', 'b']",2026-01-02 03:04:05.678+0000
2,,0.00,,
3,it's a table,-7.25,"['x']",1969-12-31 23:59:59.000+0000
"""


# cqlsh as its own script starts it, but on its driver's other event loop: the first choice holds up every exit for 5 s.
LAUNCH = "import sys; sys.modules['cassandra.io.libevwrapper'] = None; from cqlsh.__main__ import main; main()"


class Cqlsh:
    def __init__(self, options):
        host, port = options.address.rsplit(":", 1)
        self.command = [sys.executable, "-c", LAUNCH, host, port, "--no-color", "--request-timeout=30", "--connect-timeout=30"]
        if options.user:
            self.command += ["-u", options.user, "-p", options.password]
        # Its files, a history among them, have no place in anybody's home.
        self.home = tempfile.TemporaryDirectory()

    def run(self, *arguments, code=0):
        """What it printed, after checking how it ended."""
        place = {"cwd": self.home.name, "env": {**os.environ, "HOME": self.home.name}}
        done = subprocess.run([*self.command, *arguments], capture_output=True, text=True, timeout=120, **place)
        if done.returncode != code:
            raise AssertionError(f"{arguments}: ended with {done.returncode}, not {code}:\n{done.stdout}\n{done.stderr}")
        return done.stdout if code == 0 else done.stderr

    def file(self, name, content):
        path = os.path.join(self.home.name, name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(content)
        return path


def has(text, *wanted):
    """Every wanted piece is there, in this order, whatever the white space."""
    flat, at = " ".join(text.split()), 0
    for piece in wanted:
        found = flat.find(" ".join(piece.split()), at)
        if found < 0:
            raise AssertionError(f"{piece!r} is missing, or not in its place, in:\n{text}")
        at = found + len(piece)


def commands_of_its_own(cqlsh):
    told = cqlsh.run(
        "-e",
        "SHOW VERSION; SHOW HOST; CONSISTENCY; CONSISTENCY QUORUM; SERIAL CONSISTENCY LOCAL_SERIAL; PAGING 5; PAGING;"
        " EXPAND ON; SELECT key, release_version FROM system.local; EXPAND OFF",
    )
    has(
        told, "Scylla", "CQL spec 3.3.1", "Native protocol v4", "Connected to", "Current consistency level is ONE",
        "Consistency level set to QUORUM", "Serial consistency level set to LOCAL_SERIAL", "Page size: 5",
        "@ Row 1", "key | local", "release_version | 3.0.8", "(1 rows)",
    )  # fmt: skip


def the_schema_is_described(cqlsh, schema):
    """DESCRIBE prints statements that make the same again."""
    cqlsh.run("-e", f"SOURCE '{schema}'")
    cqlsh.run("-f", schema)
    has(cqlsh.run("-e", "DESCRIBE CLUSTER"), "Cluster: ", "Partitioner: ", "Murmur3Partitioner")
    has(cqlsh.run("-e", "DESCRIBE KEYSPACES"), "orders_ks", "system_schema")
    tables = cqlsh.run("-e", "USE orders_ks; DESCRIBE TABLES")
    for table in ("event_store", "outbox_messages", "dead_letter_queue"):
        has(tables, table)
    outbox = cqlsh.run("-k", "orders_ks", "-e", "DESCRIBE TABLE outbox_messages")
    has(outbox, "CREATE TABLE orders_ks.outbox_messages (", "aggregate_id uuid", "payload text", "PRIMARY KEY (aggregate_id")
    has(cqlsh.run("-e", "DESCRIBE SCHEMA"), "CREATE KEYSPACE orders_ks", "CREATE TABLE orders_ks.event_store")
    cqlsh.run(
        "-e",
        "CREATE KEYSPACE described WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1};"
        " CREATE TYPE described.point (x int, y frozen<list<text>>);"
        " CREATE TABLE described.t (a int, \"B\" text, c timeuuid, p frozen<point>, m map<int, text>, s set<int> static,"
        " PRIMARY KEY ((a, \"B\"), c)) WITH CLUSTERING ORDER BY (c DESC) AND comment = 'it''s told'"
        " AND default_time_to_live = 60 AND cdc = {'enabled': true, 'preimage': 'full', 'ttl': 100};",
    )
    first = cqlsh.run("-e", "DESCRIBE KEYSPACE described")
    has(first, "CREATE KEYSPACE described WITH replication = ", "CREATE TYPE described.point", "CREATE TABLE described.t (")
    # cqlsh prints the log, and where it asks the driver a line on CDC too, none of which a server would take.
    words = re.sub(r"(?s)CREATE TABLE described\.t_scylla_cdc_log.*?;\n", "", first)
    words = re.sub(r"(?m)^cdc = .*$", "", words)
    cqlsh.run("-e", "DROP KEYSPACE described")
    cqlsh.run("-f", cqlsh.file("described.cql", words))
    again = cqlsh.run("-e", "DESCRIBE TABLE described.t")
    has(again, "CLUSTERING ORDER BY (c DESC)", "comment = 'it''s told'", "default_time_to_live = 60")


def rows_are_printed(cqlsh):
    cqlsh.run(
        "-e",
        "CREATE KEYSPACE shown WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1};"
        " CREATE TABLE shown.t (p int, c int, v text, b blob, d duration, l list<double>, PRIMARY KEY (p, c));"
        " BEGIN BATCH INSERT INTO shown.t (p, c, v, b) VALUES (1, 1, 'grün', 0xcafe);"
        " INSERT INTO shown.t (p, c, d, l) VALUES (1, 2, 1mo2d3h, [1.5, -2]); APPLY BATCH;",
    )
    has(cqlsh.run("-k", "shown", "-e", "SELECT * FROM t"), "p | c | b | d | l | v",
        "1 | 1 | 0xcafe | null | null | grün", "1 | 2 | null | 1.0mo2.0d3.0h | [1.5, -2] | null", "(2 rows)")  # fmt: skip
    has(cqlsh.run("-e", "INSERT INTO shown.t (p, c) VALUES (1, 1) IF NOT EXISTS"), "[applied] | p | c |", "False | 1 | 1 |")
    # What cannot be traced is said, and the rows come all the same.
    has(cqlsh.run("-e", "TRACING ON; SELECT v FROM shown.t WHERE p = 1 AND c = 1"), "grün")


def a_table_goes_out_and_comes_in(cqlsh):
    cqlsh.run("-e", "CREATE TABLE shown.products (id int PRIMARY KEY, name text, price decimal, tags list<text>, bought timestamp)")
    columns = "shown.products (id, name, price, tags, bought)"
    told = cqlsh.run("-e", f"COPY {columns} FROM '{cqlsh.file('in.csv', PRODUCTS)}' WITH HEADER = true AND NUMPROCESSES = 1")
    has(told, "3 rows imported from 1 files")
    path = os.path.join(cqlsh.home.name, "out.csv")
    told = cqlsh.run("-e", f"COPY {columns} TO '{path}' WITH HEADER = true AND NUMPROCESSES = 1")
    has(told, "3 rows exported to 1 files")
    with open(path, encoding="utf-8") as out:
        header, *rows = out.read().splitlines()
    again = cqlsh.run("-e", f"TRUNCATE shown.products; COPY {columns} FROM '{path}' WITH HEADER = true AND NUMPROCESSES = 1;"
                            " SELECT id, name, price, tags, bought FROM shown.products")  # fmt: skip
    if header != "id,name,price,tags,bought" or len(rows) != 3:
        raise AssertionError(f"what was copied out: {header} {rows}")
    has(again, "3 rows imported", "(3 rows)")
    for row in ("1 | chair, oak | 12.50 | ['a', 'b'] | 2026-01-02 03:04:05.678", "2 | null | 0.00 | null | null", "3 | it's a table | -7.25"):
        has(again, row)


def errors_are_told(cqlsh):
    for statement, words in {
        "SELECT * FROM shown.nowhere": 'InvalidRequest: Error from server: code=2200 [Invalid query] message="unconfigured table nowhere"',
        "SELEC 1": "SyntaxException",
        "CREATE TABLE shown.t (p int PRIMARY KEY)": "AlreadyExists",
        "USE nowhere": "nowhere",
        "DROP TABLE system.local": "Unauthorized",
    }.items():
        has(cqlsh.run("-e", statement, code=2), words)
    has(cqlsh.run("-f", cqlsh.file("bad.cql", "USE shown;\nSELECT v FROM t;\nSELECT nope FROM t;\n"), code=2), "bad.cql:4:InvalidRequest", "nope")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("schema")
    parser.add_argument("--user")
    parser.add_argument("--password")
    options = parser.parse_args()
    cqlsh = Cqlsh(options)
    commands_of_its_own(cqlsh)
    the_schema_is_described(cqlsh, os.path.abspath(options.schema))
    rows_are_printed(cqlsh)
    a_table_goes_out_and_comes_in(cqlsh)
    errors_are_told(cqlsh)
    print("cqlsh: all as it should be")


main()
