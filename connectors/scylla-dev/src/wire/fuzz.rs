//! Real frames, damaged: whatever comes over a connection, each frame gets one whole answer, and the server lives.
//!
//! A second or so with every test run; `PROPTEST_CASES` makes it longer.
use std::sync::Arc;

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::Server;
use super::dispatch::{self, ConnectionState};
use super::frame::{self, HEADER, opcode};
use crate::clock::Clock;
use crate::faults::Faults;
use crate::storage::Store;

const INSERT: &str = "INSERT INTO ks.t (p, c, v) VALUES (?, ?, ?)";

/// What is done to the bytes of a session.
#[derive(Debug, Clone)]
enum Damage {
    Replace(Index, u8),
    /// A number where a length may be.
    Number(Index, u32),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    /// Some of it comes again elsewhere.
    Repeat(Index, Index, usize),
    Cut(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let number = prop_oneof![Just(0), Just(u32::MAX), Just(i32::MAX as u32), 0..300_u32, any::<u32>()];
    prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        3 => (any::<Index>(), number).prop_map(|(at, number)| Damage::Number(at, number)),
        2 => (any::<Index>(), vec(any::<u8>(), 1..20)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        2 => (any::<Index>(), 1..40_usize).prop_map(|(at, length)| Damage::Remove(at, length)),
        1 => (any::<Index>(), any::<Index>(), 1..80_usize).prop_map(|(from, to, length)| Damage::Repeat(from, to, length)),
        1 => any::<Index>().prop_map(Damage::Cut),
    ]
}

impl Damage {
    fn apply(self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        match self {
            Self::Replace(at, byte) => bytes[at.index(length)] = byte,
            Self::Number(at, number) => {
                let at = at.index(length);
                let fits = (length - at).min(4);
                bytes[at..at + fits].copy_from_slice(&number.to_be_bytes()[..fits]);
            }
            Self::Insert(at, more) => {
                let at = at.index(length);
                bytes.splice(at..at, more);
            }
            Self::Remove(at, count) => {
                let at = at.index(length);
                bytes.drain(at..(at + count).min(length));
            }
            Self::Repeat(from, to, count) => {
                let from = from.index(length);
                let piece = bytes[from..(from + count).min(length)].to_vec();
                let to = to.index(length);
                bytes.splice(to..to, piece);
            }
            Self::Cut(at) => bytes.truncate(at.index(length)),
        }
    }
}

fn request(flags: u8, opcode: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&[4, flags, 0, 1, opcode][..], &(body.len() as u32).to_be_bytes(), &body].concat()
}

fn long(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes(), text.as_bytes()].concat()
}

/// One of each kind of request, as drivers send them.
fn session(prepared: &[u8]) -> Vec<Vec<u8>> {
    let values = b"\0\x03\0\0\0\x04\0\0\0\x07\0\0\0\x01c\0\0\0\x0c\0\0\0\x01\0\0\0\x04\0\0\0\x09";
    let id = [&[0, 16], prepared].concat();
    let scan = long("SELECT * FROM ks.t");
    let log = long("SELECT * FROM ks.t_scylla_cdc_log WHERE \"cdc$time\" < maxTimeuuid(?) ALLOW FILTERING");
    let insert = long(INSERT);
    let named = b"\0\x03\0\x01v\xff\xff\xff\xff\0\x01p\0\0\0\x04\0\0\0\x01\0\x01c\xff\xff\xff\xfe";
    vec![
        request(0, opcode::OPTIONS, &[]),
        request(0, opcode::REGISTER, &[b"\0\x01\0\x0dSCHEMA_CHANGE"]),
        request(0, opcode::QUERY, &[&scan, b"\0\x01\x34\0\0\0\x02\0\x08\0\0\0\0\0\0\0\x05"]),
        request(0, opcode::QUERY, &[&log, b"\0\x06\x01\0\x01\0\0\0\x08\0\0\x01\x8b\xcf\xe5\x68\0"]),
        request(0, opcode::QUERY, &[&insert, b"\0\x0a\x41", named]),
        request(2, opcode::QUERY, &[&long("DESCRIBE FULL SCHEMA"), b"\0\x01\0"]),
        request(0, opcode::QUERY, &[&long("ALTER TABLE ks.t ADD w int"), b"\0\x01\0"]),
        request(0, opcode::PREPARE, &[&insert]),
        request(4, opcode::EXECUTE, &[b"\0\x01\0\x01k\0\0\0\x02vv", &id, b"\0\x01\x03", values]),
        request(
            0,
            opcode::BATCH,
            &[b"\0\0\x02\x01", &id, values, b"\0", &insert, values, b"\0\x01\x20\0\0\0\0\0\0\0\x09"],
        ),
        request(0, opcode::AUTH_RESPONSE, &[b"\0\0\0\x05\0a\0bc"]),
    ]
}

/// Answers whole frames until none is left, or one after which the stream cannot be read on. Gives the answers.
fn answers(
    server: &Server,
    state: &mut ConnectionState,
    input: &mut BytesMut,
) -> Result<usize, TestCaseError> {
    let mut count = 0;
    let mut out = BytesMut::new();
    while let Ok(Some(frame)) = frame::take(input, &mut state.format) {
        let asked = frame.reply;
        out.clear();
        dispatch::answer(server, state, &frame, &mut out);
        let length = u32::from_be_bytes(out[5..HEADER].try_into().expect("four bytes")) as usize;
        prop_assert_eq!(out.len(), HEADER + length, "one whole frame");
        prop_assert_eq!((out[0], &out[2..4]), (0x80 | asked.version, &asked.stream.to_be_bytes()[..]));
        prop_assert!(matches!(
            out[4],
            opcode::ERROR | opcode::READY | opcode::SUPPORTED | opcode::RESULT | opcode::AUTH_SUCCESS
        ));
        count += 1;
    }
    prop_assert!(input.capacity() < 4 * 1024 * 1024, "what is only claimed to come is not made room for");
    Ok(count)
}

fn server() -> (Server, [u8; 16]) {
    let store = Arc::new(Store::new(Clock::manual(1_700_000_000_000_000)));
    let server = Server::new(Arc::clone(&store), Faults::new(store), None);
    let mut state = ConnectionState::default();
    let setup = [
        "CREATE KEYSPACE ks WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}",
        "CREATE TABLE ks.t (p int, c text, v list<int>, PRIMARY KEY (p, c)) WITH cdc = {'enabled': true}",
    ];
    let mut input = BytesMut::from(&request(0, opcode::STARTUP, &[&[0, 0]])[..]);
    setup
        .iter()
        .for_each(|text| input.extend_from_slice(&request(0, opcode::QUERY, &[&long(text), &[0, 1, 0]])));
    assert_eq!(answers(&server, &mut state, &mut input).expect("whole answers"), 3);
    let id = server.prepared.prepare(INSERT, None, &server.store.schema()).expect("the table is there").id;
    (server, id)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_frames_are_answered_one_by_one(
        picks in vec(any::<Index>(), 1..8),
        damages in vec(damage(), 0..5),
        lz4 in any::<bool>(),
    ) {
        let (server, id) = server();
        let requests = session(&id);
        let options: &[u8] = if lz4 { b"\0\x01\0\x0bCOMPRESSION\0\x03lz4" } else { b"\0\0" };
        let mut state = ConnectionState::default();
        let mut input = BytesMut::from(&request(0, opcode::STARTUP, &[options])[..]);
        prop_assert_eq!(answers(&server, &mut state, &mut input)?, 1);
        let mut bytes: Vec<u8> = picks.iter().flat_map(|pick| pick.get(&requests).clone()).collect();
        let whole = damages.is_empty();
        damages.into_iter().for_each(|damage| damage.apply(&mut bytes));
        input.extend_from_slice(&bytes);
        let answered = answers(&server, &mut state, &mut input)?;
        prop_assert!(!whole || answered == picks.len());
        // Another client finds the server as it should be.
        let mut state = ConnectionState::default();
        let mut input = BytesMut::from(&request(0, opcode::STARTUP, &[&[0, 0]])[..]);
        input.extend_from_slice(&requests[0]);
        prop_assert_eq!(answers(&server, &mut state, &mut input)?, 2);
        server.store.assert_counted();
    }
}
