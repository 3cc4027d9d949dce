//! Cuts a client's byte stream into frames and starts answer frames.
use bytes::{Buf, BufMut, Bytes, BytesMut};
use scylla_cql::frame::Compression::Lz4;
use scylla_cql::frame::{compress_append, decompress};

use crate::error::DbError;

/// Length of a frame's header.
pub(super) const HEADER: usize = 9;
/// Frames above this length are refused.
const MAX_BODY: usize = 64 * 1024 * 1024;
/// Shorter bodies are sent as they are.
const WORTH_COMPRESSING: usize = 512;
const VERSION: u8 = 4;
const COMPRESSED: u8 = 0x01;
const CUSTOM_PAYLOAD: u8 = 0x04;

/// Opcodes of the protocol.
pub(super) mod opcode {
    pub(in crate::wire) const ERROR: u8 = 0x00;
    pub(in crate::wire) const STARTUP: u8 = 0x01;
    pub(in crate::wire) const READY: u8 = 0x02;
    pub(in crate::wire) const OPTIONS: u8 = 0x05;
    pub(in crate::wire) const SUPPORTED: u8 = 0x06;
    pub(in crate::wire) const QUERY: u8 = 0x07;
    pub(in crate::wire) const RESULT: u8 = 0x08;
    pub(in crate::wire) const PREPARE: u8 = 0x09;
    pub(in crate::wire) const EXECUTE: u8 = 0x0A;
    pub(in crate::wire) const REGISTER: u8 = 0x0B;
    pub(in crate::wire) const EVENT: u8 = 0x0C;
    pub(in crate::wire) const BATCH: u8 = 0x0D;
}

/// A request as it came.
#[derive(Debug)]
pub(super) struct Frame {
    /// Chosen by the client; its answer carries the same.
    pub(super) stream: i16,
    pub(super) opcode: u8,
    pub(super) body: Bytes,
}

/// A frame after which the stream cannot be read on: say why, then close.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) stream: i16,
    pub(super) error: DbError,
}

/// Whether a client asked at STARTUP for its frames to be compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Compression {
    #[default]
    None,
    Lz4,
}

/// Takes the first frame out of `buffer`; `None` when it is not whole yet.
pub(super) fn take(buffer: &mut BytesMut, compression: Compression) -> Result<Option<Frame>, Broken> {
    // A first byte that is no version tells enough; a client of another protocol may never send nine bytes.
    if let Some(&version) = buffer.first()
        && version != VERSION
        && (buffer.len() >= HEADER || !(1..=6).contains(&version))
    {
        let stream = if (1..=6).contains(&version) { i16::from_be_bytes([buffer[2], buffer[3]]) } else { 0 };
        let text = format!(
            "Invalid or unsupported protocol version ({version}); the lowest supported version is 4 and the greatest is 4"
        );
        return Err(Broken { stream, error: DbError::protocol(text) });
    }
    let Some(header) = buffer.first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let (flags, opcode) = (header[1], header[4]);
    let stream = i16::from_be_bytes([header[2], header[3]]);
    let length = u32::from_be_bytes([header[5], header[6], header[7], header[8]]) as usize;
    let broken = |text: String| Broken { stream, error: DbError::protocol(text) };
    if length > MAX_BODY {
        return Err(broken(format!(
            "Request frame of {length} bytes is larger than the limit of {MAX_BODY}"
        )));
    }
    if buffer.len() < HEADER + length {
        buffer.reserve(HEADER + length - buffer.len());
        return Ok(None);
    }
    buffer.advance(HEADER);
    let mut body = buffer.split_to(length).freeze();
    if flags & COMPRESSED != 0 {
        body = expand(&body, compression).map_err(broken)?;
    }
    if flags & CUSTOM_PAYLOAD != 0 {
        let mut rest = &body[..];
        scylla_cql::frame::types::read_bytes_map(&mut rest).map_err(|error| broken(error.to_string()))?;
        body = body.slice_ref(rest);
    }
    Ok(Some(Frame { stream, opcode, body }))
}

/// Writes an answer frame; `write` writes its body.
pub(super) fn put(out: &mut BytesMut, stream: i16, opcode: u8, write: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_u8(0x80 | VERSION);
    out.put_u8(0);
    out.put_i16(stream);
    out.put_u8(opcode);
    out.put_u32(0);
    write(out);
    let length = u32::try_from(out.len() - start - HEADER).unwrap_or(u32::MAX);
    out[start + 5..start + HEADER].copy_from_slice(&length.to_be_bytes());
}

/// Compresses the last frame in `out`, which starts at `start`, if that is agreed on and worth it.
pub(super) fn compress(out: &mut BytesMut, start: usize, compression: Compression) {
    if compression == Compression::None || out.len() - start < HEADER + WORTH_COMPRESSING {
        return;
    }
    let mut body = Vec::new();
    // Compression into memory does not fail; if it did, the frame would go as it is.
    if compress_append(&out[start + HEADER..], Lz4, &mut body).is_ok() {
        out.truncate(start + HEADER);
        out.put_slice(&body);
        out[start + 1] |= COMPRESSED;
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        out[start + 5..start + HEADER].copy_from_slice(&length.to_be_bytes());
    }
}

fn expand(body: &Bytes, compression: Compression) -> Result<Bytes, String> {
    if compression == Compression::None {
        return Err("Compressed frame, but no compression was agreed on".to_owned());
    }
    // The length comes first and is what would be allocated.
    let length = body.first_chunk::<4>().map_or(0, |length| u32::from_be_bytes(*length));
    if length as usize > MAX_BODY {
        return Err(format!("Request frame of {length} bytes is larger than the limit of {MAX_BODY}"));
    }
    decompress(body, Lz4).map(Bytes::from).map_err(|error| error.to_string())
}
