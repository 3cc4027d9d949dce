//! One connection: frames in, answers out, one request at a time, in order.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, bail};
use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader};
use kafka_protocol::protocol::Decodable;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::dispatch::{self, Call};
use crate::serve::Shared;

/// The same limit as a broker's `socket.request.max.bytes`.
const MAX_FRAME: usize = 100 * 1024 * 1024;

/// Serves one client until it leaves or breaks the protocol.
pub(crate) async fn serve(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    let _counted = shared.connected();
    if let Err(error) = converse(stream, peer, &shared).await {
        tracing::debug!(%peer, error = format!("{error:#}"), "connection ended");
    }
}

async fn converse(mut stream: TcpStream, peer: SocketAddr, shared: &Shared) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let host = format!("/{}", peer.ip());
    let mut unread = BytesMut::with_capacity(64 * 1024);
    while let Some(frame) = next_frame(&mut stream, &mut unread).await? {
        let call = parse(frame)?;
        let answer = dispatch::answer(shared, &host, call).await?;
        shared.hold_answer(Instant::now()).await;
        if let Some(answer) = answer {
            stream.write_all(&answer).await?;
        }
    }
    Ok(())
}

/// The next frame without its length, or none when the client has closed between two frames.
async fn next_frame(stream: &mut TcpStream, unread: &mut BytesMut) -> anyhow::Result<Option<Bytes>> {
    loop {
        if let Some(length) = unread.first_chunk().copied() {
            let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(usize::MAX);
            if length > MAX_FRAME {
                bail!("a frame of {length} bytes");
            }
            if unread.len() >= 4 + length {
                unread.advance(4);
                return Ok(Some(unread.split_to(length).freeze()));
            }
            unread.reserve(4 + length - unread.len());
        }
        if stream.read_buf(unread).await? == 0 {
            if unread.is_empty() {
                return Ok(None);
            }
            bail!("closed in the middle of a frame");
        }
    }
}

fn parse(mut frame: Bytes) -> anyhow::Result<Call> {
    let Some([key_high, key_low, version_high, version_low]) = frame.first_chunk().copied() else {
        bail!("a frame too short for a request");
    };
    let key = i16::from_be_bytes([key_high, key_low]);
    let version = i16::from_be_bytes([version_high, version_low]);
    let Ok(api) = ApiKey::try_from(key) else { bail!("unknown api key {key}") };
    let header = RequestHeader::decode(&mut frame, api.request_header_version(version))
        .with_context(|| format!("header of {api:?} version {version}"))?;
    Ok(Call { api, header, body: frame })
}
