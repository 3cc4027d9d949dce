//! One client's loop: read what has come, answer all of it, send the answers.
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{broadcast, watch};

use super::dispatch::{self, ConnectionState};
use super::frame::{self, Reply, opcode};
use super::shards::Seat;
use super::{Server, response};
use crate::outcome::SchemaChange;

const READ_BUFFER: usize = 64 * 1024;
/// Answers are sent on when they reach this size, even if there are more requests to answer.
const FLUSH_AT: usize = 1024 * 1024;

/// Serves one connection until the client leaves, breaks the protocol, or the connection is cut.
pub(super) async fn serve(stream: TcpStream, server: Arc<Server>, mut cut: watch::Receiver<u64>) {
    let loop_ended = Connection::new(stream, server).run();
    tokio::select! {
        result = loop_ended => {
            if let Err(error) = result {
                tracing::debug!(error = %error, "connection ended");
            }
        }
        _ = cut.changed() => {}
    }
}

struct Connection {
    stream: TcpStream,
    server: Arc<Server>,
    state: ConnectionState,
    /// Given back when the connection ends.
    _seat: Seat,
    schema_changes: broadcast::Receiver<SchemaChange>,
    input: BytesMut,
    output: BytesMut,
}

/// Whether the stream can be read on.
enum Next {
    Read,
    Close,
}

impl Connection {
    fn new(stream: TcpStream, server: Arc<Server>) -> Self {
        let schema_changes = server.schema_changes.subscribe();
        let seat = server.shards.seat();
        let state = ConnectionState::on(seat.shard);
        let (input, output) = (BytesMut::new(), BytesMut::new());
        Self { stream, server, state, _seat: seat, schema_changes, input, output }
    }

    async fn run(mut self) -> std::io::Result<()> {
        loop {
            self.input.reserve(READ_BUFFER);
            tokio::select! {
                read = self.stream.read_buf(&mut self.input) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    self.server.faults.thawed().await;
                    if matches!(self.answer_all().await?, Next::Close) {
                        self.flush().await?;
                        return Ok(());
                    }
                }
                change = self.schema_changes.recv() => self.tell(change),
            }
            self.flush().await?;
        }
    }

    /// Answers every whole frame that has come.
    async fn answer_all(&mut self) -> std::io::Result<Next> {
        loop {
            match frame::take(&mut self.input, &mut self.state.format) {
                Ok(Some(frame)) => {
                    dispatch::answer(&self.server, &mut self.state, &frame, &mut self.output);
                    if self.output.len() >= FLUSH_AT {
                        self.flush().await?;
                    }
                }
                Ok(None) => return Ok(Next::Read),
                Err(broken) => {
                    dispatch::put_error(&mut self.output, broken.reply, &broken.error);
                    return Ok(Next::Close);
                }
            }
        }
    }

    fn tell(&mut self, change: Result<SchemaChange, broadcast::error::RecvError>) {
        // A client that missed some hears of the next; drivers refresh the whole schema at each.
        if let (Ok(change), true) = (change, self.state.registered) {
            let version = self.state.format.version.unwrap_or(frame::VERSION);
            let event = Reply::to(version, -1);
            frame::put(&mut self.output, event, opcode::EVENT, |out| response::schema_event(out, &change));
        }
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        if let Some(delay) = self.server.faults.answer_delay() {
            tokio::time::sleep(delay).await;
        }
        self.stream.write_all(&self.output).await?;
        if self.output.capacity() > 2 * FLUSH_AT {
            self.output = BytesMut::new();
        }
        self.output.clear();
        Ok(())
    }
}
