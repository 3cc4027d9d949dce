//! Whatever bytes a client sends, it gets one answer for each frame, and the server goes on.
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::Server;
use super::dispatch::{self, ConnectionState};
use super::frame::{self, Compression, Format, Frame, HEADER, Reply, opcode};
use crate::clock::Clock;
use crate::faults::Faults;
use crate::storage::Store;

fn server() -> Server {
    let store = Arc::new(Store::new(Clock::manual(1_700_000_000_000_000)));
    Server::new(Arc::clone(&store), Faults::new(store), None)
}

/// The opcode of the answer.
fn ask(server: &Server, state: &mut ConnectionState, opcode: u8, body: impl Into<Bytes>) -> u8 {
    let mut out = BytesMut::new();
    dispatch::answer(server, state, &Frame { reply: Reply::to(4, 77), opcode, body: body.into() }, &mut out);
    let length = u32::from_be_bytes(out[5..HEADER].try_into().unwrap()) as usize;
    assert_eq!((&out[..4], out.len()), (&[0x84, 0, 0, 77][..], HEADER + length), "one whole frame");
    out[4]
}

fn long_string(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes(), text.as_bytes()].concat()
}

/// A connection that has done STARTUP and a table to use.
fn started(server: &Server) -> ConnectionState {
    let mut state = ConnectionState::default();
    assert_eq!(ask(server, &mut state, opcode::STARTUP, &b"\0\0"[..]), opcode::READY);
    for text in [
        "CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
        "CREATE TABLE ks.t (p int, c text, v list<int>, PRIMARY KEY (p, c)) WITH cdc = {'enabled': true}",
    ] {
        let body = [&long_string(text)[..], &[0, 1, 0]].concat();
        assert_eq!(ask(server, &mut state, opcode::QUERY, body), opcode::RESULT);
    }
    state
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_body_is_answered(bodies in proptest::collection::vec((0..=0x10_u8, any::<Vec<u8>>()), 1..20)) {
        let server = server();
        let mut state = started(&server);
        for (opcode, body) in bodies {
            ask(&server, &mut state, opcode, body);
        }
    }

    #[test]
    fn any_values_of_a_good_statement_are_answered(
        id in any::<bool>(),
        flags: u8,
        tail in any::<Vec<u8>>(),
        values in proptest::collection::vec(proptest::option::of(any::<Vec<u8>>()), 0..5),
    ) {
        let server = server();
        let mut state = started(&server);
        let text = "INSERT INTO ks.t (p, c, v) VALUES (?, ?, ?)";
        let prepared = server.prepared.prepare(text, None, &server.store.schema()).unwrap();
        let mut body = if id { [&[0, 16], &prepared.id[..]].concat() } else { long_string(text) };
        body.extend_from_slice(&[0, 1, flags]);
        body.extend_from_slice(&(values.len() as u16).to_be_bytes());
        for value in &values {
            match value {
                Some(value) => {
                    body.extend_from_slice(&(value.len() as u32).to_be_bytes());
                    body.extend_from_slice(value);
                }
                None => body.extend_from_slice(&(-1_i32).to_be_bytes()),
            }
        }
        body.extend_from_slice(&tail);
        ask(&server, &mut state, if id { opcode::EXECUTE } else { opcode::QUERY }, body);
    }

    #[test]
    fn a_stream_is_cut_alike_however_it_arrives(
        bodies in proptest::collection::vec(any::<Vec<u8>>(), 1..6),
        pieces in proptest::collection::vec(1..50_usize, 1..10),
    ) {
        let mut stream = BytesMut::new();
        for body in &bodies {
            let start = stream.len();
            frame::put(&mut stream, Reply::to(4, 5), opcode::QUERY, |out| out.extend_from_slice(body));
            // `put` writes answers.
            stream[start] = 4;
        }
        let (mut input, mut seen) = (BytesMut::new(), Vec::new());
        let mut sizes = pieces.iter().cycle();
        while !stream.is_empty() {
            let size = (*sizes.next().unwrap()).min(stream.len());
            input.extend_from_slice(&stream.split_to(size));
            while let Some(frame) = frame::take(&mut input, &mut Format::default()).unwrap() {
                seen.push(frame.body.to_vec());
            }
        }
        prop_assert_eq!(seen, bodies);
    }

    #[test]
    fn noise_is_frames_or_an_error(noise in any::<Vec<u8>>(), lz4 in any::<bool>()) {
        let compression = if lz4 { Compression::Lz4 } else { Compression::None };
        let mut format = Format { compression, ..Format::default() };
        let mut input = BytesMut::from(&noise[..]);
        while let Ok(Some(frame)) = frame::take(&mut input, &mut format) {
            prop_assert!(frame.body.len() <= noise.len() || lz4);
        }
    }
}
