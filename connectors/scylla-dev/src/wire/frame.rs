//! Cuts a client's byte stream into frames and starts answer frames.
use bytes::{Buf, BufMut, Bytes, BytesMut};
use scylla_cql::frame::{self, compress_append, decompress, types};

use crate::error::DbError;
use crate::outcome::put_value;
use crate::value::types::put_name;

/// Length of a frame's header.
pub(super) const HEADER: usize = 9;
/// Frames above this length are refused.
const MAX_BODY: usize = 64 * 1024 * 1024;
/// Shorter bodies are sent as they are.
const WORTH_COMPRESSING: usize = 512;
/// What room is made for at once; a length that a client only claims costs no more than this.
const MAX_RESERVE: usize = 1024 * 1024;
/// The newest version spoken.
pub(super) const VERSION: u8 = 4;
const OLDEST: u8 = 3;
const COMPRESSED: u8 = 0x01;
const TRACING: u8 = 0x02;
const CUSTOM_PAYLOAD: u8 = 0x04;
const WARNINGS: u8 = 0x08;

/// Opcodes of the protocol.
pub(super) mod opcode {
    pub(in crate::wire) const ERROR: u8 = 0x00;
    pub(in crate::wire) const STARTUP: u8 = 0x01;
    pub(in crate::wire) const READY: u8 = 0x02;
    pub(in crate::wire) const AUTHENTICATE: u8 = 0x03;
    pub(in crate::wire) const OPTIONS: u8 = 0x05;
    pub(in crate::wire) const SUPPORTED: u8 = 0x06;
    pub(in crate::wire) const QUERY: u8 = 0x07;
    pub(in crate::wire) const RESULT: u8 = 0x08;
    pub(in crate::wire) const PREPARE: u8 = 0x09;
    pub(in crate::wire) const EXECUTE: u8 = 0x0A;
    pub(in crate::wire) const REGISTER: u8 = 0x0B;
    pub(in crate::wire) const EVENT: u8 = 0x0C;
    pub(in crate::wire) const BATCH: u8 = 0x0D;
    pub(in crate::wire) const AUTH_RESPONSE: u8 = 0x0F;
    pub(in crate::wire) const AUTH_SUCCESS: u8 = 0x10;
}

/// A request as it came.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) reply: Reply,
    pub(super) opcode: u8,
    pub(super) body: Bytes,
}

/// What an answer has of its request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reply {
    pub(super) version: u8,
    /// Chosen by the client; -1 for events.
    pub(super) stream: i16,
    /// Said along with the answer.
    pub(super) warning: Option<&'static str>,
}

/// A frame after which the stream cannot be read on: say why, then close.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) reply: Reply,
    pub(super) error: DbError,
}

/// Whether a client asked at STARTUP for its frames to be compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Compression {
    #[default]
    None,
    Lz4,
    Snappy,
}

/// What the frames of a connection have in common.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Format {
    /// That of the first frame; `None` before it.
    pub(super) version: Option<u8>,
    pub(super) compression: Compression,
}

impl Reply {
    /// To the frame of this stream, with nothing to warn of.
    pub(super) fn to(version: u8, stream: i16) -> Self {
        Self { version, stream, warning: None }
    }
}

impl Compression {
    fn algorithm(self) -> Option<frame::Compression> {
        match self {
            Self::None => None,
            Self::Lz4 => Some(frame::Compression::Lz4),
            Self::Snappy => Some(frame::Compression::Snappy),
        }
    }
}

/// Takes the first frame out of `buffer`; `None` when it is not whole yet.
pub(super) fn take(buffer: &mut BytesMut, format: &mut Format) -> Result<Option<Frame>, Broken> {
    let Some(version) = buffer.first().copied() else {
        return Ok(None);
    };
    check_version(version, buffer, format)?;
    let Some(header) = buffer.first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let (flags, opcode) = (header[1], header[4]);
    let length = u32::from_be_bytes([header[5], header[6], header[7], header[8]]) as usize;
    let mut reply = Reply::to(version, i16::from_be_bytes([header[2], header[3]]));
    let broken = |text: String| Broken { reply, error: DbError::protocol(text) };
    if length > MAX_BODY {
        return Err(broken(too_large(length)));
    }
    if buffer.len() < HEADER + length {
        buffer.reserve((HEADER + length - buffer.len()).min(MAX_RESERVE));
        return Ok(None);
    }
    buffer.advance(HEADER);
    let mut body = buffer.split_to(length).freeze();
    if flags & COMPRESSED != 0 {
        body = expand(&body, format.compression).map_err(broken)?;
    }
    if flags & CUSTOM_PAYLOAD != 0 {
        let mut rest = &body[..];
        types::read_bytes_map(&mut rest).map_err(|error| broken(error.to_string()))?;
        body = body.slice_ref(rest);
    }
    if flags & TRACING != 0 && version >= 4 {
        reply.warning = Some("Tracing is not supported by this server: the statement was not traced");
    }
    format.version = Some(version);
    Ok(Some(Frame { reply, opcode, body }))
}

/// All frames of a connection have the version of the first.
fn check_version(version: u8, buffer: &BytesMut, format: &Format) -> Result<(), Broken> {
    if (OLDEST..=VERSION).contains(&version) && format.version.is_none_or(|first| first == version) {
        return Ok(());
    }
    let stream = match buffer.first_chunk::<HEADER>() {
        Some(header) => i16::from_be_bytes([header[2], header[3]]),
        // Versions to come have such headers too, and their clients look for the answer by its stream. Anything else
        // tells enough with its first byte, and may never send nine.
        None if (OLDEST..=6).contains(&version) => return Ok(()),
        None => 0,
    };
    let text = match format.version {
        Some(first) => format!(
            "Invalid message version. Got {version} but previous messages on this connection had version {first}"
        ),
        None => format!("Invalid or unsupported protocol version: {version}"),
    };
    let reply = Reply::to(format.version.unwrap_or(VERSION), stream);
    Err(Broken { reply, error: DbError::protocol(text) })
}

/// Writes an answer frame; `write` writes its body.
pub(super) fn put(out: &mut BytesMut, reply: Reply, opcode: u8, write: impl FnOnce(&mut BytesMut)) {
    put_with(out, reply, opcode, None, write);
}

/// The same with a custom payload of one entry.
pub(super) fn put_with(
    out: &mut BytesMut,
    reply: Reply,
    opcode: u8,
    payload: Option<(&str, &[u8])>,
    write: impl FnOnce(&mut BytesMut),
) {
    let start = out.len();
    out.put_u8(0x80 | reply.version);
    let warns = if reply.warning.is_some() { WARNINGS } else { 0 };
    out.put_u8(warns | if payload.is_some() { CUSTOM_PAYLOAD } else { 0 });
    out.put_i16(reply.stream);
    out.put_u8(opcode);
    out.put_u32(0);
    if let Some(warning) = reply.warning {
        out.put_u16(1);
        put_name(warning, out);
    }
    if let Some((name, bytes)) = payload {
        out.put_u16(1);
        put_name(name, out);
        put_value(out, Some(bytes));
    }
    write(out);
    put_length(out, start);
}

/// Compresses the last frame in `out`, which starts at `start`, if that is agreed on and worth it.
pub(super) fn compress(out: &mut BytesMut, start: usize, compression: Compression) {
    let Some(algorithm) = compression.algorithm() else { return };
    if out.len() - start < HEADER + WORTH_COMPRESSING {
        return;
    }
    let mut body = Vec::new();
    // Compression into memory does not fail; if it did, the frame would go as it is.
    if compress_append(&out[start + HEADER..], algorithm, &mut body).is_ok() {
        out.truncate(start + HEADER);
        out.put_slice(&body);
        out[start + 1] |= COMPRESSED;
        put_length(out, start);
    }
}

fn put_length(out: &mut BytesMut, start: usize) {
    let length = u32::try_from(out.len() - start - HEADER).unwrap_or(u32::MAX);
    out[start + 5..start + HEADER].copy_from_slice(&length.to_be_bytes());
}

fn expand(body: &Bytes, compression: Compression) -> Result<Bytes, String> {
    let Some(algorithm) = compression.algorithm() else {
        return Err("Compressed frame, but no compression was agreed on".to_owned());
    };
    // The length comes first and is what would be allocated.
    let length = match compression {
        Compression::Snappy => snappy_length(body),
        _ => body.first_chunk::<4>().map_or(0, |length| u64::from(u32::from_be_bytes(*length))),
    };
    match usize::try_from(length) {
        Ok(length) if length <= MAX_BODY => {}
        _ => return Err(too_large(length)),
    }
    decompress(body, algorithm).map(Bytes::from).map_err(|error| error.to_string())
}

/// Seven bits to a byte, the lowest first.
fn snappy_length(body: &[u8]) -> u64 {
    let bytes = body.iter().take(5).enumerate();
    let mut length = 0;
    for (index, byte) in bytes {
        length |= u64::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            break;
        }
    }
    length
}

fn too_large(length: impl std::fmt::Display) -> String {
    format!("Request frame of {length} bytes is larger than the limit of {MAX_BODY}")
}
