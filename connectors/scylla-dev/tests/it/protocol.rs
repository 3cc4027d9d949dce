//! The protocol on its own, byte by byte: what a driver may rely on that none of ours shows.
use std::time::Duration;

use scylla_cql::frame::response::Supported;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use weir_scylla_dev::ScyllaDev;

use super::{run, start};

const LIMIT: Duration = Duration::from_secs(60);
const ERROR: u8 = 0x00;
const STARTUP: u8 = 0x01;
const READY: u8 = 0x02;
const OPTIONS: u8 = 0x05;
const SUPPORTED: u8 = 0x06;
const QUERY: u8 = 0x07;
const RESULT: u8 = 0x08;
const PREPARE: u8 = 0x09;
const EXECUTE: u8 = 0x0A;
const REGISTER: u8 = 0x0B;
const EVENT: u8 = 0x0C;
const BATCH: u8 = 0x0D;

/// A client that knows nothing but frames.
struct Client {
    stream: TcpStream,
    version: u8,
}

#[derive(Debug)]
struct Answer {
    version: u8,
    flags: u8,
    stream: i16,
    opcode: u8,
    body: Vec<u8>,
}

fn frame(version: u8, flags: u8, opcode: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[version, flags, 0, 42, opcode][..], &length, body].concat()
}

fn string(text: &str) -> Vec<u8> {
    [&u16::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat()
}

fn long_string(text: &str) -> Vec<u8> {
    [&u32::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat()
}

/// Consistency ONE, these flags and what they announce.
fn parameters(flags: u8, rest: &[u8]) -> Vec<u8> {
    [&[0, 1, flags], rest].concat()
}

fn query(text: &str) -> Vec<u8> {
    [long_string(text), parameters(0, &[])].concat()
}

impl Client {
    async fn connect(server: &ScyllaDev, version: u8, compression: &str) -> Self {
        let stream = TcpStream::connect(server.address()).await.unwrap();
        let mut client = Self { stream, version };
        let options = [string("CQL_VERSION"), string("3.3.1"), string("COMPRESSION"), string(compression)];
        let ready = client.ask(STARTUP, &[&[0, 2][..], &options.concat()].concat()).await;
        assert_eq!(ready.opcode, READY, "{ready:?}");
        client
    }

    async fn send(&mut self, flags: u8, opcode: u8, body: &[u8]) {
        self.stream.write_all(&frame(self.version, flags, opcode, body)).await.unwrap();
    }

    async fn receive(&mut self) -> Answer {
        let mut header = [0; 9];
        let read = tokio::time::timeout(LIMIT, self.stream.read_exact(&mut header)).await;
        read.expect("an answer in time").expect("an answer");
        let [version, flags, high, low, opcode, length @ ..] = header;
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut body).await.unwrap();
        Answer { version, flags, stream: i16::from_be_bytes([high, low]), opcode, body }
    }

    async fn ask(&mut self, opcode: u8, body: &[u8]) -> Answer {
        self.send(0, opcode, body).await;
        self.receive().await
    }

    async fn cql(&mut self, text: &str) -> Answer {
        self.ask(QUERY, &query(text)).await
    }
}

impl Answer {
    /// The code and text of an ERROR.
    fn error(&self) -> (u32, String) {
        assert_eq!(self.opcode, ERROR, "{self:?}");
        let length = usize::from(u16::from_be_bytes([self.body[4], self.body[5]]));
        let code = u32::from_be_bytes(self.body[..4].try_into().unwrap());
        (code, String::from_utf8(self.body[6..6 + length].to_vec()).unwrap())
    }

    fn has(&self, text: &str) -> bool {
        self.body.windows(text.len()).any(|window| window == text.as_bytes())
    }

    /// The id of a prepared statement as EXECUTE wants it.
    fn prepared_id(&self) -> &[u8] {
        assert_eq!((self.opcode, &self.body[..4]), (RESULT, &[0, 0, 0, 4][..]), "{self:?}");
        &self.body[4..22]
    }
}

#[tokio::test]
async fn the_server_says_what_scylladb_says_of_itself() {
    let (server, _session) = start().await;
    let mut client = Client::connect(&server, 4, "").await;
    let supported = client.ask(OPTIONS, &[]).await;
    assert_eq!((supported.opcode, supported.version, supported.stream), (SUPPORTED, 0x84, 42));
    let options = Supported::deserialize(&mut &supported.body[..]).unwrap().options;
    for (key, values) in [
        ("CQL_VERSION", &["3.3.1"][..]),
        ("COMPRESSION", &["lz4", "snappy"]),
        ("CLIENT_OPTIONS", &[""]),
        ("SCYLLA_SHARD", &["0"]),
        ("SCYLLA_NR_SHARDS", &["1"]),
        ("SCYLLA_SHARDING_ALGORITHM", &["biased-token-round-robin"]),
        ("SCYLLA_SHARDING_IGNORE_MSB", &["12"]),
        ("SCYLLA_PARTITIONER", &["org.apache.cassandra.dht.Murmur3Partitioner"]),
        ("SCYLLA_LWT_ADD_METADATA_MARK", &["LWT_OPTIMIZATION_META_BIT_MASK=2147483648"]),
    ] {
        assert_eq!(
            options.get(key).map(Vec::as_slice),
            Some(&*values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>()),
            "{key}"
        );
    }
}

#[tokio::test]
async fn versions_3_and_4_are_spoken_and_not_mixed() {
    let (server, _session) = start().await;
    for version in [3, 4] {
        let mut client = Client::connect(&server, version, "").await;
        let rows = client.cql("SELECT key FROM system.local").await;
        assert_eq!((rows.version, rows.opcode), (0x80 | version, RESULT));
        let text = "SELECT key FROM system.local WHERE key = ?";
        let prepared = client.ask(PREPARE, &long_string(text)).await;
        let flags_and_columns = &prepared.body[22..30];
        assert_eq!(flags_and_columns, [0, 0, 0, 1, 0, 0, 0, 1]);
        // Which markers make the partition key is told since version 4.
        let next: &[u8] = if version == 4 { &[0, 0, 0, 1, 0, 0] } else { b"\0\x06system" };
        assert_eq!(&prepared.body[30..30 + next.len()], next);
        client.version = 7 - version;
        let text = format!(
            "Invalid message version. Got {} but previous messages on this connection had version {version}",
            7 - version
        );
        assert_eq!(client.ask(OPTIONS, &[]).await.error(), (0x0A, text));
        assert_eq!(client.stream.read(&mut [0]).await.unwrap(), 0, "and the connection is closed");
    }
    for version in [1, 2, 5, 6, 0x42, 0x84] {
        let stream = TcpStream::connect(server.address()).await.unwrap();
        let mut client = Client { stream, version };
        let answer = client.ask(OPTIONS, &[]).await;
        assert_eq!((answer.version, answer.error().0), (0x84, 0x0A), "{version}");
        assert_eq!(answer.error().1, format!("Invalid or unsupported protocol version: {version}"));
    }
}

#[tokio::test]
async fn flags_of_a_request_are_heeded_or_said_not_to_be() {
    let (server, _session) = start().await;
    let mut client = Client::connect(&server, 4, "").await;
    client.send(0x02, QUERY, &query("SELECT key FROM system.local")).await;
    let traced = client.receive().await;
    assert_eq!((traced.opcode, traced.flags), (RESULT, 0x08), "warnings, and no id of a trace");
    assert!(traced.has("Tracing is not supported by this server"));
    let payload =
        [&[0, 1][..], &string("key"), &[0, 0, 0, 2, 9, 9], &query("SELECT key FROM system.local")].concat();
    client.send(0x04, QUERY, &payload).await;
    let answer = client.receive().await;
    assert_eq!((answer.opcode, answer.flags), (RESULT, 0), "a custom payload is passed over");
    client.send(0x08, QUERY, &query("SELECT key FROM system.local")).await;
    assert_eq!(client.receive().await.opcode, RESULT, "a flag that means nothing in requests");
    client.send(0x01, QUERY, &query("SELECT key FROM system.local")).await;
    let (code, text) = client.receive().await.error();
    assert_eq!((code, text.as_str()), (0x0A, "Compressed frame, but no compression was agreed on"));
}

#[tokio::test]
async fn both_compressions_are_spoken() {
    use scylla_cql::frame::{Compression, compress_append, decompress};
    let (server, _session) = start().await;
    for (name, algorithm) in [("lz4", Compression::Lz4), ("snappy", Compression::Snappy)] {
        let mut client = Client::connect(&server, 4, name).await;
        let mut body = Vec::new();
        compress_append(&query("SELECT * FROM system_schema.columns"), algorithm, &mut body).unwrap();
        client.send(0x01, QUERY, &body).await;
        let answer = client.receive().await;
        assert_eq!((answer.opcode, answer.flags), (RESULT, 0x01), "{name}");
        let rows = Answer { body: decompress(&answer.body, algorithm).unwrap(), ..answer };
        assert!(rows.has("clustering_order") && rows.body.len() > 4096, "{name}");
        // A length of a gigabyte and more, of which nothing comes.
        for body in [&[0x7F, 0xFF, 0xFF, 0xFF, 0][..], &[0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0]] {
            let mut client = Client::connect(&server, 4, name).await;
            client.send(0x01, QUERY, body).await;
            assert_eq!(client.receive().await.error().0, 0x0A, "{name}");
        }
    }
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let mut client = Client { stream, version: 4 };
    let options = [&[0, 1][..], &string("COMPRESSION"), &string("zstd")].concat();
    let refused = client.ask(STARTUP, &options).await.error();
    assert_eq!(refused, (0x0A, "Unknown compression algorithm: zstd".to_owned()));
}

#[tokio::test]
async fn changes_of_the_schema_are_told_in_all_their_shapes() {
    let (server, _session) = start().await;
    let mut listener = Client::connect(&server, 4, "").await;
    let refused = listener.ask(REGISTER, &[&[0, 1][..], &string("WEATHER_CHANGE")].concat()).await.error();
    assert_eq!(refused, (0x0A, "Invalid value 'WEATHER_CHANGE' for Event.Type".to_owned()));
    let ready = listener.ask(REGISTER, &[&[0, 1][..], &string("SCHEMA_CHANGE")].concat()).await;
    assert_eq!(ready.opcode, READY);
    let mut client = Client::connect(&server, 4, "").await;
    let replication = "WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}";
    for (statement, change) in [
        (format!("CREATE KEYSPACE other {replication}"), &["CREATED", "KEYSPACE", "other"][..]),
        (format!("ALTER KEYSPACE other {replication}"), &["UPDATED", "KEYSPACE", "other"]),
        ("CREATE TYPE other.u (a int)".to_owned(), &["CREATED", "TYPE", "other", "u"]),
        ("CREATE TABLE other.t (p int PRIMARY KEY)".to_owned(), &["CREATED", "TABLE", "other", "t"]),
        ("ALTER TABLE other.t ADD v int".to_owned(), &["UPDATED", "TABLE", "other", "t"]),
        ("DROP TABLE other.t".to_owned(), &["DROPPED", "TABLE", "other", "t"]),
        ("DROP TYPE other.u".to_owned(), &["DROPPED", "TYPE", "other", "u"]),
        ("DROP KEYSPACE other".to_owned(), &["DROPPED", "KEYSPACE", "other"]),
    ] {
        let told: Vec<u8> = change.iter().flat_map(|word| string(word)).collect();
        let answer = client.cql(&statement).await;
        assert_eq!(
            (answer.opcode, &answer.body),
            (RESULT, &[&[0, 0, 0, 5], &told[..]].concat()),
            "{statement}"
        );
        let event = listener.receive().await;
        assert_eq!((event.opcode, event.stream), (EVENT, -1), "{statement}");
        assert_eq!(event.body, [string("SCHEMA_CHANGE"), told].concat(), "{statement}");
    }
    let nothing = client.cql("DROP KEYSPACE IF EXISTS other").await;
    assert_eq!(nothing.body, [0, 0, 0, 1], "no change, a void result");
}

#[tokio::test]
async fn prepared_statements_follow_their_table() {
    let (server, session) = start().await;
    run(&session, "CREATE TABLE t (p int PRIMARY KEY)").await;
    let mut client = Client::connect(&server, 4, "").await;
    assert_eq!(client.cql("USE ks").await.opcode, RESULT);
    let text = long_string("SELECT * FROM t");
    let prepared = client.ask(PREPARE, &text).await;
    let execute = [prepared.prepared_id(), &parameters(0, &[])].concat();
    // Whoever knows the id may use it, whatever keyspace they are in; without one the text alone means nothing.
    let mut another = Client::connect(&server, 4, "").await;
    assert_eq!(another.ask(EXECUTE, &execute).await.opcode, RESULT);
    assert_eq!(another.ask(PREPARE, &text).await.error().0, 0x2200);
    let qualified = another.ask(PREPARE, &long_string("SELECT * FROM ks.t")).await;
    assert_ne!(qualified.prepared_id(), prepared.prepared_id(), "another text is another statement");

    run(&session, "ALTER TABLE t ADD later int").await;
    let unprepared = client.ask(EXECUTE, &execute).await;
    assert_eq!(unprepared.error().0, 0x2500);
    assert!(unprepared.body.ends_with(prepared.prepared_id()), "the id follows the text");
    let again = client.ask(PREPARE, &text).await;
    assert_eq!(again.prepared_id(), prepared.prepared_id(), "drivers insist on the same id");
    assert!(again.has("later") && !prepared.has("later"), "with the columns of now");
    assert_eq!(client.ask(EXECUTE, &execute).await.opcode, RESULT);

    run(&session, "DROP TABLE t").await;
    assert_eq!(client.ask(EXECUTE, &execute).await.error().0, 0x2500);
    assert_eq!(client.ask(PREPARE, &text).await.error(), (0x2200, "unconfigured table t".to_owned()));
    let nonsense = [&[0, 3, 1, 2, 3][..], &parameters(0, &[])].concat();
    assert_eq!(client.ask(EXECUTE, &nonsense).await.error().0, 0x2500);
}

#[tokio::test]
async fn absurd_requests_are_errors_and_the_connection_goes_on() {
    let (server, session) = start().await;
    run(&session, "CREATE TABLE t (p int PRIMARY KEY, v text)").await;
    let mut client = Client::connect(&server, 4, "").await;
    let insert = long_string("INSERT INTO ks.t (p, v) VALUES (?, ?)");
    let huge = i32::MAX.to_be_bytes();
    let requests = [
        (0x77, vec![]),
        (READY, vec![]),
        (STARTUP, vec![0, 0]),
        (QUERY, huge.to_vec()),
        (QUERY, (-1_i32).to_be_bytes().to_vec()),
        // As many values as can be said, and none of them.
        (QUERY, [&insert[..], &parameters(0x01, &[0xFF, 0xFF])].concat()),
        (QUERY, [&insert[..], &parameters(0x01, &[0, 1]), &huge].concat()),
        (QUERY, [&insert[..], &parameters(0x01, &[0, 1]), &(-7_i32).to_be_bytes()].concat()),
        (QUERY, [&insert[..], &parameters(0x41, &[0xFF, 0xFF])].concat()),
        (QUERY, [&query("SELECT * FROM ks.t")[..], &parameters(0x08, &huge)].concat()[..10].to_vec()),
        (QUERY, [long_string("SELECT * FROM ks.t"), parameters(0x08, &[0, 0, 0, 1, 9])].concat()),
        (PREPARE, long_string(&"(".repeat(100_000))),
        (BATCH, vec![0, 0xFF, 0xFF, 0]),
        (BATCH, vec![9, 0, 0, 0, 1, 0]),
        (BATCH, [&[0, 0, 1, 1, 0, 2, 7, 7, 0, 0][..], &parameters(0, &[])].concat()),
        (EXECUTE, vec![0xFF, 0xFF, 1]),
        (REGISTER, vec![0xFF, 0xFF]),
    ];
    for (opcode, body) in requests {
        let answer = client.ask(opcode, &body).await;
        assert_eq!((answer.opcode, answer.stream), (ERROR, 42), "opcode {opcode:#x} with {body:?}");
    }
    let longer = [query("SELECT key FROM system.local"), vec![1, 2, 3]].concat();
    assert_eq!(client.ask(QUERY, &longer).await.opcode, RESULT, "what follows a request is passed over");
    assert_eq!(
        client.ask(BATCH, &[&[0, 0, 0][..], &parameters(0, &[])].concat()).await.opcode,
        RESULT,
        "an empty batch"
    );
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_nobody_and_gets_all_its_answers() {
    let (server, session) = start().await;
    let mut client = Client::connect(&server, 4, "").await;
    // Each answer is some 50 kB: far more than sockets and buffers hold.
    const REQUESTS: usize = 2000;
    let one = frame(4, 0, QUERY, &query("SELECT * FROM system_schema.columns"));
    let (mut answers, mut requests) = client.stream.into_split();
    let sending = tokio::spawn(async move {
        for _ in 0..REQUESTS {
            requests.write_all(&one).await.unwrap();
        }
        requests
    });
    for _ in 0..20 {
        run(&session, "SELECT key FROM system.local").await;
    }
    let mut total = 0_usize;
    for _ in 0..REQUESTS {
        let mut header = [0; 9];
        answers.read_exact(&mut header).await.unwrap();
        assert_eq!(header[4], RESULT);
        let length = u64::from(u32::from_be_bytes(header[5..].try_into().unwrap()));
        let copied = tokio::io::copy(&mut (&mut answers).take(length), &mut tokio::io::sink()).await.unwrap();
        assert_eq!(copied, length);
        total += usize::try_from(copied).unwrap();
    }
    assert!(total > 20_000_000, "{total} bytes");
    let requests = sending.await.unwrap();
    // One that never reads at all is no burden either.
    client = Client { stream: answers.reunite(requests).unwrap(), version: 4 };
    for _ in 0..200 {
        client.send(0, QUERY, &query("SELECT key FROM system.local")).await;
    }
    drop(client);
    run(&session, "SELECT key FROM system.local").await;
}
