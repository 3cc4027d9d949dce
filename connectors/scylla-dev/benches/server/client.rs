//! A client that costs next to nothing: frames of the protocol, made by hand and sent many at once.
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

const PIPELINE: u32 = 256;

/// One connection.
pub(crate) struct Client(TcpStream);

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self(stream);
        client
            .0
            .write_all(b"\x04\x00\x00\x00\x01\x00\x00\x00\x16\x00\x01\x00\x0bCQL_VERSION\x00\x053.3.1")
            .unwrap();
        assert_eq!(client.answer().0, 0x02);
        client
    }

    pub(crate) fn query(&mut self, text: &str) {
        let body = [&(text.len() as u32).to_be_bytes(), text.as_bytes(), &[0, 1, 0]].concat();
        self.0.write_all(&frame(0x07, &body)).unwrap();
        assert_eq!(self.answer().0, 0x08, "{text}");
    }

    /// The statement's id.
    fn prepare(&mut self, text: &str) -> Vec<u8> {
        let body = [&(text.len() as u32).to_be_bytes(), text.as_bytes()].concat();
        self.0.write_all(&frame(0x09, &body)).unwrap();
        let (opcode, body) = self.answer();
        assert_eq!(opcode, 0x08, "{text}");
        body[6..22].to_vec()
    }

    /// Executes the statement once for each of `count` sets of values, many under way at once.
    pub(crate) fn execute(&mut self, text: &str, count: u32, values: impl Fn(u32) -> Vec<Vec<u8>>) {
        let id = self.prepare(text);
        for first in (0..count).step_by(PIPELINE as usize) {
            let last = count.min(first + PIPELINE);
            let frames: Vec<u8> =
                (first..last).flat_map(|number| frame(0x0A, &execute(&id, &values(number)))).collect();
            self.0.write_all(&frames).unwrap();
            (first..last).for_each(|_| assert_eq!(self.answer().0, 0x08, "{text}"));
        }
    }

    /// Reads by pages of 5000; gives how many rows there were.
    pub(crate) fn scan(&mut self, select: &str) -> u32 {
        let id = self.prepare(select);
        let (mut seen, mut state) = (0, Vec::new());
        loop {
            // No values, a page size, skip metadata; a paging state from the second page on.
            let flags = if state.is_empty() { 0x06 } else { 0x0E };
            let mut body = [&16_u16.to_be_bytes(), &id[..], &[0, 1, flags], &5000_u32.to_be_bytes()].concat();
            if !state.is_empty() {
                body.extend_from_slice(&(state.len() as u32).to_be_bytes());
                body.extend_from_slice(&state);
            }
            self.0.write_all(&frame(0x0A, &body)).unwrap();
            let (opcode, body) = self.answer();
            assert_eq!((opcode, &body[..4]), (0x08, &2_u32.to_be_bytes()[..]));
            let number = |at: usize| u32::from_be_bytes(body[at..at + 4].try_into().unwrap()) as usize;
            let more = number(4) & 0x02 != 0;
            let after = if more { 16 + number(12) } else { 12 };
            state = if more { body[16..after].to_vec() } else { Vec::new() };
            seen += number(after);
            if !more {
                break;
            }
        }
        u32::try_from(seen).unwrap()
    }

    fn answer(&mut self) -> (u8, Vec<u8>) {
        let mut header = [0; 9];
        self.0.read_exact(&mut header).unwrap();
        let mut body = vec![0; u32::from_be_bytes(header[5..9].try_into().unwrap()) as usize];
        self.0.read_exact(&mut body).unwrap();
        (header[4], body)
    }
}

fn frame(opcode: u8, body: &[u8]) -> Vec<u8> {
    [&[4, 0, 0, 1, opcode], &(body.len() as u32).to_be_bytes()[..], body].concat()
}

fn execute(id: &[u8], values: &[Vec<u8>]) -> Vec<u8> {
    let mut body =
        [&16_u16.to_be_bytes(), id, &[0, 1, 0x01], &(values.len() as u16).to_be_bytes()[..]].concat();
    for value in values {
        body.extend_from_slice(&(value.len() as u32).to_be_bytes());
        body.extend_from_slice(value);
    }
    body
}
