import com.datastax.driver.core.BatchStatement;
import com.datastax.driver.core.Cluster;
import com.datastax.driver.core.PreparedStatement;
import com.datastax.driver.core.Session;
import com.scylladb.cdc.lib.CDCConsumer;
import com.scylladb.cdc.model.TableName;
import com.scylladb.cdc.model.worker.Consumer;
import com.scylladb.cdc.model.worker.RawChange;
import com.scylladb.cdc.model.worker.RawChange.OperationType;
import com.scylladb.cdc.model.worker.cql.Field;
import java.math.BigDecimal;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.stream.Collectors;

/**
 * ScyllaDB's own reader of CDC logs for Java, the one inside its source connector for Kafka Connect, reads what this
 * program writes, before and after the streams of the log are replaced; it must deliver every change, in the order of
 * writing for each key, and no other.
 *
 * <p>Usage: {@code Changes HOST:PORT CONTROL_URL [vnodes] [tablets]}
 */
public final class Changes {
    private static final int KEYS = 40;
    private static final long PATIENCE_MILLIS = 60_000;

    /** The reader's log; held, since the logging library forgets levels of loggers that nobody holds. */
    private static final Logger QUIET = Logger.getLogger("com.scylladb.cdc");

    private final Map<Integer, List<String>> delivered = new ConcurrentSkipListMap<>();
    private final Set<String> streams = ConcurrentHashMap.newKeySet();

    public static void main(String[] arguments) throws Exception {
        QUIET.setLevel(Level.WARNING);
        String[] address = arguments[0].split(":");
        InetSocketAddress server = new InetSocketAddress(address[0], Integer.parseInt(address[1]));
        Cluster cluster = Cluster.builder().addContactPointsWithPorts(server).withoutJMXReporting().build();
        Session session = cluster.connect();
        // The drivers' threads would go on after an exception.
        Thread.currentThread().setUncaughtExceptionHandler((thread, failure) -> {
            failure.printStackTrace();
            Runtime.getRuntime().halt(1);
        });
        for (String mode : List.of(arguments).subList(2, arguments.length)) {
            String keyspace = "java_cdc_" + mode;
            session.execute("CREATE KEYSPACE " + keyspace + " WITH replication = {'class': 'NetworkTopologyStrategy',"
                    + " 'replication_factor': 1} AND tablets = " + (mode.equals("tablets") ? "{'initial': 4}" : "{'enabled': false}"));
            session.execute("CREATE TABLE " + keyspace + ".t (p int, c int, s text static, v text, n bigint,"
                    + " tags set<text>, l list<int>, m map<text, int>, d decimal, u uuid, PRIMARY KEY (p, c))"
                    + " WITH cdc = {'enabled': true, 'preimage': true, 'postimage': true}");
            new Changes().read(server, arguments[1], keyspace, session);
            System.out.println("scylla-cdc-java on " + mode + ": all as it should be");
        }
        // Closing would take the drivers several quiet seconds.
        System.exit(0);
    }

    private void read(InetSocketAddress server, String control, String keyspace, Session session) throws Exception {
        CDCConsumer reader = CDCConsumer.builder()
                .addContactPoint(server)
                .addTable(new TableName(keyspace, "t"))
                .withConsumer(Consumer.syncRawChangeConsumer(this::take))
                .withWorkersCount(2)
                .withQueryTimeWindowSizeMs(2_000)
                .withConfidenceWindowSizeMs(500)
                .withMinimalWaitForWindowMs(50)
                .withSleepBeforeFirstGenerationMs(200)
                .withSleepBeforeGenerationDoneMs(500)
                .build();
        reader.validate().ifPresent(problem -> { throw new AssertionError("the table was not accepted", problem); });
        reader.start();
        Map<Integer, List<String>> written = new TreeMap<>();
        write(session, keyspace, written);
        replaceStreams(control, keyspace);
        write(session, keyspace, written);
        long deadline = System.nanoTime() + PATIENCE_MILLIS * 1_000_000;
        while (count(delivered) < count(written) && System.nanoTime() < deadline) {
            Thread.sleep(20);
        }
        compare(written);
    }

    /** Tells the server to take new streams in a moment, and waits until it has. */
    private static void replaceStreams(String control, String keyspace) throws Exception {
        boolean tablets = keyspace.endsWith("tablets");
        String fields = "{\"in_millis\": 1000" + (tablets
                ? ", \"keyspace\": \"" + keyspace + "\", \"table\": \"t\", \"count\": 8}" : "}");
        URI command = URI.create(control + (tablets ? "/resize-tablets" : "/new-generation"));
        HttpRequest post = HttpRequest.newBuilder(command).POST(BodyPublishers.ofString(fields)).build();
        HttpResponse<String> answer = HttpClient.newHttpClient().send(post, BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new AssertionError(command + ": " + answer.body());
        }
        Thread.sleep(1_100);
    }

    private void compare(Map<Integer, List<String>> written) {
        for (Map.Entry<Integer, List<String>> key : written.entrySet()) {
            List<String> found = delivered.getOrDefault(key.getKey(), List.of());
            if (!found.equals(key.getValue())) {
                throw new AssertionError("of key " + key.getKey() + " there came\n  " + String.join("\n  ", found)
                        + "\nand not\n  " + String.join("\n  ", key.getValue()));
            }
        }
        if (count(delivered) != count(written)) {
            throw new AssertionError(count(delivered) + " changes came of " + count(written));
        }
        if (streams.size() <= 4) {
            throw new AssertionError("no changes came from streams that were new: " + streams);
        }
    }

    private static long count(Map<Integer, List<String>> changes) {
        return changes.values().stream().mapToLong(List::size).sum();
    }

    /** Notes a change as text; the reader calls this from several threads, but for one key from one at a time. */
    private void take(RawChange change) {
        streams.add(change.getId().getStreamId().toString());
        Integer key = change.getCell("p").getInt();
        delivered.computeIfAbsent(key, unused -> new CopyOnWriteArrayList<>()).add(describe(change));
    }

    private static String describe(RawChange change) {
        StringBuilder text = new StringBuilder(change.getOperationType().name());
        text.append(change.isEndOfBatch() ? " last" : "").append(change.getTTL() == null ? "" : " ttl=" + change.getTTL());
        for (String column : List.of("c", "s", "v", "n", "tags", "l", "m", "d", "u")) {
            if (!change.isNull(column)) {
                text.append(' ').append(column).append('=').append(show(column, change.getCell(column)));
            }
            boolean key = column.equals("c");
            if (!key && change.getOperationType() != OperationType.PRE_IMAGE && change.isDeleted(column)) {
                text.append(" -").append(column);
            }
            boolean collection = Set.of("tags", "l", "m").contains(column);
            if (collection && change.getDeletedElements(column) != null && !change.getDeletedElements(column).isEmpty()) {
                Set<Field> gone = change.getDeletedElements(column);
                text.append(" -").append(column)
                        .append(column.equals("l") ? "[" + gone.size() + "]" : texts(gone).toString());
            }
        }
        return text.toString();
    }

    private static String show(String column, Field field) {
        switch (column) {
            case "tags":
                return texts(field.getSet()).toString();
            case "l":
                // The log holds a list as a map from the ids of its elements.
                return field.getMap().values().stream().map(Field::getInt).sorted().collect(Collectors.toList()).toString();
            case "m":
                Map<String, Integer> entries = new TreeMap<>();
                field.getMap().forEach((name, value) -> entries.put(name.getString(), value.getInt()));
                return entries.toString();
            default:
                return String.valueOf(field.getAsObject());
        }
    }

    private static List<String> texts(Set<Field> fields) {
        return fields.stream().map(Field::getString).sorted().collect(Collectors.toList());
    }

    /** Writes every kind of change to every key, and adds what must be read. */
    private static void write(Session session, String keyspace, Map<Integer, List<String>> wanted) {
        String table = keyspace + ".t";
        PreparedStatement insert = session.prepare(
                "INSERT INTO " + table + " (p, c, v, n, tags, l, m, d, u) VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?)");
        PreparedStatement expiring = session.prepare("UPDATE " + table + " USING TTL 7200 SET v = ? WHERE p = ? AND c = 1");
        PreparedStatement elements = session.prepare("UPDATE " + table
                + " SET tags = tags - {'b'}, m['y'] = 2, l = l + [9] WHERE p = ? AND c = 1");
        PreparedStatement fixed = session.prepare("UPDATE " + table + " SET s = ? WHERE p = ?");
        // Not prepared: of tablets this driver hears only after a request to a wrong shard, and until then it finds no node
        // for a prepared conditional statement.
        String lwt = "UPDATE " + table + " SET n = ? WHERE p = ? AND c = 1 IF n = ?";
        PreparedStatement column = session.prepare("DELETE v, tags FROM " + table + " WHERE p = ? AND c = 1");
        PreparedStatement add = session.prepare("INSERT INTO " + table + " (p, c, n) VALUES (?, ?, ?)");
        PreparedStatement range = session.prepare("DELETE FROM " + table + " WHERE p = ? AND c > ? AND c <= ?");
        PreparedStatement row = session.prepare("DELETE FROM " + table + " WHERE p = ? AND c = ?");
        PreparedStatement partition = session.prepare("DELETE FROM " + table + " WHERE p = ?");
        for (int p = 0; p < KEYS; p++) {
            UUID id = new UUID(p, p);
            BigDecimal decimal = new BigDecimal(p + ".50");
            session.execute(insert.bind(p, "v" + p, (long) p, Set.of("a", "b"), List.of(3, 4), Map.of("x", 1), decimal, id));
            session.execute(expiring.bind("w" + p, p));
            session.execute(elements.bind(p));
            session.execute(fixed.bind("s" + p, p));
            session.execute(lwt, 100L + p, p, (long) p);
            session.execute(lwt, 200L + p, p, (long) p);
            session.execute(column.bind(p));
            BatchStatement batch = new BatchStatement();
            batch.add(add.bind(p, 2, 2L)).add(add.bind(p, 3, 3L));
            session.execute(batch);
            session.execute(range.bind(p, 1, 2));
            session.execute(row.bind(p, 3));
            session.execute(partition.bind(p));

            String rest = " d=" + decimal + " u=" + id;
            wanted.computeIfAbsent(p, unused -> new ArrayList<>()).addAll(List.of(
                    "ROW_INSERT c=1 v=v" + p + " n=" + p + " tags=[a, b] -tags l=[3, 4] -l m={x=1} -m" + rest,
                    "POST_IMAGE last c=1 v=v" + p + " n=" + p + " tags=[a, b] l=[3, 4] m={x=1}" + rest,
                    "PRE_IMAGE c=1 v=v" + p,
                    "ROW_UPDATE ttl=7200 c=1 v=w" + p,
                    "POST_IMAGE last c=1 v=w" + p + " n=" + p + " tags=[a, b] l=[3, 4] m={x=1}" + rest,
                    "PRE_IMAGE c=1 tags=[a, b] l=[3, 4] m={x=1}",
                    "ROW_UPDATE c=1 -tags[b] l=[9] m={y=2}",
                    "POST_IMAGE last c=1 v=w" + p + " n=" + p + " tags=[a] l=[3, 4, 9] m={x=1, y=2}" + rest,
                    "ROW_UPDATE s=s" + p,
                    "POST_IMAGE last s=s" + p,
                    "PRE_IMAGE c=1 n=" + p,
                    "ROW_UPDATE c=1 n=" + (100 + p),
                    "POST_IMAGE last c=1 v=w" + p + " n=" + (100 + p) + " tags=[a] l=[3, 4, 9] m={x=1, y=2}" + rest,
                    // The tombstone of a collection is logged a microsecond after those of plain columns.
                    "PRE_IMAGE c=1 v=w" + p,
                    "ROW_UPDATE c=1 -v",
                    "POST_IMAGE last c=1 n=" + (100 + p) + " tags=[a] l=[3, 4, 9] m={x=1, y=2}" + rest,
                    "PRE_IMAGE c=1 tags=[a]",
                    "ROW_UPDATE c=1 -tags",
                    "POST_IMAGE last c=1 n=" + (100 + p) + " l=[3, 4, 9] m={x=1, y=2}" + rest,
                    "ROW_INSERT c=2 n=2",
                    "ROW_INSERT c=3 n=3",
                    "POST_IMAGE c=2 n=2",
                    "POST_IMAGE last c=3 n=3",
                    "ROW_RANGE_DELETE_EXCLUSIVE_LEFT_BOUND c=1",
                    "ROW_RANGE_DELETE_INCLUSIVE_RIGHT_BOUND last c=2",
                    "PRE_IMAGE c=3 n=3",
                    "ROW_DELETE last c=3",
                    "PARTITION_DELETE last"));
        }
    }
}
