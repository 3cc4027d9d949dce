import com.datastax.driver.core.BatchStatement;
import com.datastax.driver.core.BoundStatement;
import com.datastax.driver.core.Cluster;
import com.datastax.driver.core.ColumnMetadata;
import com.datastax.driver.core.ConsistencyLevel;
import com.datastax.driver.core.DataType;
import com.datastax.driver.core.Duration;
import com.datastax.driver.core.Host;
import com.datastax.driver.core.KeyspaceMetadata;
import com.datastax.driver.core.LocalDate;
import com.datastax.driver.core.PagingState;
import com.datastax.driver.core.PreparedStatement;
import com.datastax.driver.core.ProtocolVersion;
import com.datastax.driver.core.ResultSet;
import com.datastax.driver.core.ResultSetFuture;
import com.datastax.driver.core.Row;
import com.datastax.driver.core.Session;
import com.datastax.driver.core.SimpleStatement;
import com.datastax.driver.core.Statement;
import com.datastax.driver.core.TableMetadata;
import com.datastax.driver.core.TupleValue;
import com.datastax.driver.core.TypeCodec;
import com.datastax.driver.core.UDTValue;
import com.datastax.driver.core.UserType;
import com.datastax.driver.core.exceptions.AlreadyExistsException;
import com.datastax.driver.core.exceptions.InvalidConfigurationInQueryException;
import com.datastax.driver.core.exceptions.InvalidQueryException;
import com.datastax.driver.core.exceptions.SyntaxError;
import com.datastax.driver.core.exceptions.UnauthorizedException;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;

/**
 * ScyllaDB's Java driver against a development ScyllaDB.
 *
 * <p>Usage: {@code Driver HOST:PORT}. Exits 0 when everything it read is what it wrote.
 */
public final class Driver {
    private final Cluster cluster;
    private final Session session;

    private Driver(InetSocketAddress server) {
        cluster = Cluster.builder().addContactPointsWithPorts(server).withoutJMXReporting().build();
        session = cluster.connect();
    }

    public static void main(String[] arguments) throws Exception {
        Thread.currentThread().setUncaughtExceptionHandler((thread, failure) -> {
            failure.printStackTrace();
            Runtime.getRuntime().halt(1);
        });
        String[] address = arguments[0].split(":");
        Driver driver = new Driver(new InetSocketAddress(address[0], Integer.parseInt(address[1])));
        driver.theClusterIsDescribed();
        driver.session.execute("CREATE KEYSPACE java WITH replication = {'class': 'NetworkTopologyStrategy',"
                + " 'replication_factor': 1}");
        driver.session.execute("USE java");
        driver.everyTypeComesBack();
        driver.nestedTypesComeBack();
        driver.pagesAddUp();
        driver.batchesAndConditions();
        driver.theSchemaIsTold();
        driver.errorsHaveTheirTypes();
        driver.theLogTellsOfWrites();
        System.out.println("scylla-driver-core " + Cluster.getDriverVersion() + ": all as it should be");
        // Closing would take the driver several quiet seconds.
        System.exit(0);
    }

    private static void same(Object found, Object wanted, String what) {
        if (!Objects.equals(found, wanted)) {
            throw new AssertionError(what + ": found " + found + ", wanted " + wanted);
        }
    }

    private static void eventually(BooleanSupplier isSo, String what) throws InterruptedException {
        long deadline = System.nanoTime() + 20_000_000_000L;
        while (!isSo.getAsBoolean()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError(what + ": not within 20 s");
            }
            Thread.sleep(10);
        }
    }

    private void theClusterIsDescribed() {
        same(cluster.getConfiguration().getProtocolOptions().getProtocolVersion(), ProtocolVersion.V4, "the protocol");
        same(cluster.getMetadata().getAllHosts().size(), 1, "nodes");
        Host host = cluster.getMetadata().getAllHosts().iterator().next();
        same(host.isUp(), true, "the node is up");
        same(host.getCassandraVersion().toString(), "3.0.8", "the release");
        Row local = session.execute("SELECT * FROM system.local WHERE key = 'local'").one();
        same(host.getDatacenter(), local.getString("data_center"), "the data center");
        same(cluster.getMetadata().getClusterName(), local.getString("cluster_name"), "the cluster's name");
        same(cluster.getMetadata().getTokenRanges().isEmpty(), false, "there are token ranges");
        same(cluster.getMetadata().checkSchemaAgreement(), true, "schema agreement");
    }

    private void everyTypeComesBack() throws Exception {
        ByteBuffer bytes = ByteBuffer.wrap(new byte[] {0, (byte) 255});
        UUID time = UUID.fromString("f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
        Map<DataType, Object> values = Map.ofEntries(
                Map.entry(DataType.ascii(), "plain"), Map.entry(DataType.bigint(), Long.MIN_VALUE),
                Map.entry(DataType.blob(), bytes), Map.entry(DataType.cboolean(), true),
                Map.entry(DataType.date(), LocalDate.fromYearMonthDay(1969, 7, 20)),
                Map.entry(DataType.decimal(), new BigDecimal("-12345678901234567890.000001")),
                Map.entry(DataType.cdouble(), Double.MAX_VALUE), Map.entry(DataType.duration(), Duration.newInstance(14, 3, 5)),
                Map.entry(DataType.cfloat(), -3.25f), Map.entry(DataType.inet(), InetAddress.getByName("2001:db8::1")),
                Map.entry(DataType.cint(), Integer.MIN_VALUE), Map.entry(DataType.smallint(), Short.MIN_VALUE),
                Map.entry(DataType.text(), "grüße, 世界"), Map.entry(DataType.time(), 86_399_999_999_999L),
                Map.entry(DataType.timestamp(), new Date(-1)), Map.entry(DataType.timeuuid(), time),
                Map.entry(DataType.tinyint(), Byte.MIN_VALUE), Map.entry(DataType.uuid(), new UUID(1, 2)),
                Map.entry(DataType.varint(), BigInteger.ONE.shiftLeft(200).negate()));
        for (Map.Entry<DataType, Object> entry : values.entrySet()) {
            String type = entry.getKey().toString();
            Object value = entry.getValue();
            TypeCodec<Object> codec = cluster.getConfiguration().getCodecRegistry().codecFor(entry.getKey());
            String table = "type_" + type;
            session.execute("CREATE TABLE " + table + " (p int PRIMARY KEY, v " + type + ", l list<" + type + ">, m map<int, "
                    + type + ">)");
            PreparedStatement insert = session.prepare("INSERT INTO " + table + " (p, v, l, m) VALUES (?, ?, ?, ?)");
            same(insert.getVariables().getType(1), entry.getKey(), "the type of a marker");
            session.execute(insert.bind(1, value, List.of(value, value), Map.of(7, value)));
            session.execute(insert.bind(2, null, List.of(), null));
            // As a literal, made by the driver.
            session.execute("INSERT INTO " + table + " (p, v) VALUES (3, " + codec.format(value) + ")");
            Row row = session.execute("SELECT * FROM " + table + " WHERE p = 1").one();
            same(row.getObject("v"), value, type);
            same(row.getObject("l"), List.of(value, value), "list of " + type);
            same(row.getObject("m"), Map.of(7, value), "map of " + type);
            same(session.execute("SELECT v FROM " + table + " WHERE p = 2").one().isNull("v"), true, "no " + type);
            same(session.execute("SELECT v FROM " + table + " WHERE p = 3").one().getObject("v"), value, "literal " + type);
        }
    }

    private void nestedTypesComeBack() {
        session.execute("CREATE TYPE address (street text, zip int)");
        session.execute("CREATE TYPE person (name text, home frozen<address>, phones frozen<set<text>>)");
        session.execute("CREATE TABLE nested (p int PRIMARY KEY, a frozen<person>, u address, t tuple<int, text>,"
                + " m map<text, frozen<list<frozen<address>>>>)");
        KeyspaceMetadata keyspace = cluster.getMetadata().getKeyspace("java");
        UserType address = keyspace.getUserType("address");
        UDTValue home = address.newValue().setString("street", "Am Wehr 1").setInt("zip", 12345);
        UDTValue street = address.newValue().setString("street", "Street").setToNull("zip");
        UDTValue person = keyspace.getUserType("person").newValue()
                .setString("name", "Ada").setUDTValue("home", home).setSet("phones", Set.of("1", "2"));
        TupleValue tuple = cluster.getMetadata().newTupleType(DataType.cint(), DataType.text()).newValue(5, null);
        Map<String, List<UDTValue>> map = Map.of("x", List.of(home, street));
        PreparedStatement insert = session.prepare("INSERT INTO nested (p, a, u, t, m) VALUES (:p, :a, :u, :t, :m)");
        session.execute(insert.bind().setInt("p", 1).setUDTValue("a", person).setUDTValue("u", street)
                .setTupleValue("t", tuple).setMap("m", map));
        Row row = session.execute("SELECT * FROM nested WHERE p = 1").one();
        same(row.getUDTValue("a"), person, "user type in user type");
        same(row.getUDTValue("u"), street, "user type with a null");
        same(row.getTupleValue("t"), tuple, "tuple with a null");
        same(row.getObject("m"), map, "map of lists of user types");
    }

    private void pagesAddUp() throws Exception {
        session.execute("CREATE TABLE pages (p int, c int, v text, PRIMARY KEY (p, c)) WITH CLUSTERING ORDER BY (c DESC)");
        PreparedStatement insert = session.prepare("INSERT INTO pages (p, c, v) VALUES (?, ?, ?)");
        insert.setConsistencyLevel(ConsistencyLevel.QUORUM);
        List<ResultSetFuture> writes = new ArrayList<>();
        for (int c = 0; c < 1000; c++) {
            writes.add(session.executeAsync(insert.bind(c % 3, c, "v" + c)));
        }
        for (ResultSetFuture write : writes) {
            write.get();
        }
        Set<Integer> seen = new TreeSet<>();
        for (Row row : session.execute(new SimpleStatement("SELECT p, c, v FROM pages").setFetchSize(7))) {
            int c = row.getInt("c");
            same(row.getInt("p") + row.getString("v"), c % 3 + "v" + c, "a row");
            same(seen.add(c), true, "a row comes once");
        }
        same(seen.size(), 1000, "rows of all pages");
        Statement select = new SimpleStatement("SELECT c FROM pages WHERE p = 1").setFetchSize(50);
        ResultSet first = session.execute(select);
        same(first.getAvailableWithoutFetching(), 50, "rows of one page");
        PagingState state = PagingState.fromString(first.getExecutionInfo().getPagingState().toString());
        List<Row> rest = session.execute(select.setFetchSize(5000).setPagingState(state)).all();
        same(rest.size() + "," + rest.get(0).getInt(0), "283,847", "rows after a saved paging state");
        BoundStatement unset = session.prepare("UPDATE pages SET v = ? WHERE p = ? AND c = ?").bind();
        session.execute(unset.setInt("p", 1).setInt("c", 4));
        same(session.execute("SELECT v FROM pages WHERE p = ? AND c = ?", 1, 4).one().getString(0), "v4", "left unset");
        Row sums = session.execute("SELECT count(*), max(c), sum(c) FROM pages WHERE p = 0").one();
        same(sums.getLong(0) + "," + sums.getInt(1) + "," + sums.getInt(2), "334,999,166833", "aggregates");
    }

    private void batchesAndConditions() {
        session.execute("CREATE TABLE lwt (p int, c int, v int, PRIMARY KEY (p, c))");
        PreparedStatement insert = session.prepare("INSERT INTO lwt (p, c, v) VALUES (?, ?, ?)");
        for (BatchStatement.Type type : List.of(BatchStatement.Type.LOGGED, BatchStatement.Type.UNLOGGED)) {
            session.execute(new BatchStatement(type).add(insert.bind(1, type.ordinal(), 10))
                    .add(new SimpleStatement("UPDATE lwt SET v = 20 WHERE p = 1 AND c = 7")));
        }
        PreparedStatement create = session.prepare("INSERT INTO lwt (p, c, v) VALUES (?, ?, ?) IF NOT EXISTS");
        same(create.isLWT() + "," + insert.isLWT(), "true,false", "the mark of conditional statements");
        ResultSet late = session.execute(create.bind(1, 0, 99));
        same(late.wasApplied(), false, "an insert that was too late");
        same(late.one().getInt("v"), 10, "what was there before");
        same(session.execute("UPDATE lwt SET v = 11 WHERE p = 1 AND c = 0 IF v = 10").wasApplied(), true, "a condition");
        ResultSet both = session.execute(new BatchStatement()
                .add(session.prepare("UPDATE lwt SET v = ? WHERE p = 1 AND c = 0 IF v = ?").bind(50, 11))
                .add(session.prepare("DELETE FROM lwt WHERE p = 1 AND c = 1 IF EXISTS").bind()));
        same(both.wasApplied(), true, "a conditional batch");
        String rows = session.execute("SELECT c, v FROM lwt WHERE p = 1").all().stream()
                .map(row -> row.getInt(0) + "=" + row.getInt(1)).collect(Collectors.joining(" "));
        same(rows, "0=50 7=20", "rows after batches and conditions");
    }

    private void theSchemaIsTold() throws InterruptedException {
        session.execute("CREATE TABLE \"Told\" (\"A\" int, b text, c timeuuid, d map<text, frozen<address>>, s int static,"
                + " PRIMARY KEY ((\"A\", b), c)) WITH CLUSTERING ORDER BY (c DESC) AND comment = 'it''s told'"
                + " AND cdc = {'enabled': true}");
        TableMetadata told = table("Told");
        same(names(told.getPartitionKey()), List.of("A", "b"), "the partition key");
        same(names(told.getClusteringColumns()), List.of("c"), "the clustering key");
        same(told.getClusteringOrder().toString(), "[DESC]", "the order");
        same(told.getOptions().getComment(), "it's told", "the comment");
        same(told.getOptions().isScyllaCDC(), true, "CDC is known of");
        eventually(() -> table("Told_scylla_cdc_log") != null, "the log is a table");
        session.execute("DROP TABLE \"Told\"");
        eventually(() -> table("Told_scylla_cdc_log") == null, "a table dropped with its log");
        same(table("Told"), null, "a table dropped");
        // The driver's own words make the same again.
        String words = told.asCQLQuery();
        session.execute(words);
        eventually(() -> table("Told") != null, "a table made again");
        same(table("Told").asCQLQuery(), words, "a table made again");
        Session other = cluster.newSession();
        other.execute("ALTER TABLE java.\"Told\" ADD e int");
        eventually(() -> table("Told").getColumn("e") != null, "a column added");
        same(cluster.getMetadata().exportSchemaAsString().contains("CREATE TYPE java.person"), true, "the whole schema");
    }

    private TableMetadata table(String name) {
        return cluster.getMetadata().getKeyspace("java").getTable("\"" + name + "\"");
    }

    private static List<String> names(List<ColumnMetadata> columns) {
        return columns.stream().map(ColumnMetadata::getName).collect(Collectors.toList());
    }

    private void errorsHaveTheirTypes() {
        refused("SELEC 1", SyntaxError.class, "line 1:0");
        refused("SELECT * FROM nowhere", InvalidQueryException.class, "unconfigured table nowhere");
        refused("SELECT nope FROM pages", InvalidQueryException.class, "nope");
        refused("SELECT * FROM pages WHERE v = 'x'", InvalidQueryException.class, "ALLOW FILTERING");
        refused("CREATE TABLE pages (p int PRIMARY KEY)", AlreadyExistsException.class, "pages");
        refused("CREATE KEYSPACE nope WITH replication = {'x': 1}", InvalidConfigurationInQueryException.class, "class");
        refused("DROP TABLE system.local", UnauthorizedException.class, "system");
    }

    private void refused(String statement, Class<? extends Exception> type, String words) {
        try {
            session.execute(statement);
        } catch (RuntimeException refusal) {
            same(refusal.getClass(), type, statement + ": " + refusal);
            same(refusal.getMessage().contains(words), true, statement + ": " + refusal.getMessage());
            return;
        }
        throw new AssertionError(statement + " was not refused");
    }

    private void theLogTellsOfWrites() {
        session.execute("CREATE TABLE changes (p int PRIMARY KEY, v text) WITH cdc = {'enabled': true, 'preimage': true}");
        session.execute("INSERT INTO changes (p, v) VALUES (1, 'a') USING TTL 1000");
        session.execute("UPDATE changes SET v = null WHERE p = 1");
        session.execute("DELETE FROM changes WHERE p = 1");
        String rows = session.execute("SELECT * FROM changes_scylla_cdc_log").all().stream()
                .map(row -> row.getByte("cdc$operation") + " " + row.getObject("cdc$ttl") + " " + row.getString("v") + " "
                        + row.getObject("cdc$deleted_v"))
                .collect(Collectors.joining(", "));
        same(rows, "2 1000 a null, 0 null a null, 1 null null true, 0 null null true, 4 null null null",
                "the log");
    }
}
