//! Connections, with limits on all that a client can send or hold up.
//!
//! Not `axum::serve`, which has none of them: a client that sends its header a byte an hour would keep a connection.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::refusal;

/// What a client may send, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at a time; more wait to be accepted.
    pub(super) connections: usize,
    /// From the first byte of a connection, or the last answer, to the end of a header.
    pub(super) header_time: Duration,
    /// Bytes of a header.
    pub(super) header: usize,
    /// Bytes of a body.
    pub(super) body: u64,
    /// From the header to the answer.
    pub(super) answer_time: Duration,
    /// To end what is under way when the listener closes.
    pub(super) closing_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            header_time: Duration::from_secs(15),
            header: 16 << 10,
            body: 1 << 20,
            answer_time: Duration::from_secs(30),
            closing_time: Duration::from_secs(3),
        }
    }
}

/// Answers until `closes` says so.
pub(super) async fn run(
    socket: TcpListener,
    router: Router,
    limits: Limits,
    mut closes: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await;
            (place, socket.accept().await)
        };
        tokio::select! {
            (place, accepted) = next => match accepted {
                Ok((stream, _)) => {
                    let (service, closes) = (TowerToHyperService::new(router.clone()), closes.clone());
                    connections.spawn(async move {
                        let _place = place;
                        serve(stream, service, limits, closes).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    // Out of file handles, most likely: others must end first.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = closing(&mut closes) => break,
        }
    }
    drop(socket);
    let ended = async { while connections.join_next().await.is_some() {} };
    // What is not done by then is cut off with the set.
    tokio::time::timeout(limits.closing_time, ended).await.ok();
}

async fn serve(
    stream: TcpStream,
    service: TowerToHyperService<Router>,
    limits: Limits,
    mut closes: watch::Receiver<bool>,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .max_header_size(limits.header)
        .max_buf_size(limits.header.max(64 << 10))
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing(&mut closes) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP connection ended badly");
    }
}

/// Waits until the server is stopped or dropped.
async fn closing(closes: &mut watch::Receiver<bool>) {
    // An error means dropped.
    closes.wait_for(|closing| *closing).await.ok();
}

/// Answers in time, or says that it cannot; refuses a body beyond the limit.
pub(super) async fn limit(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let length = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limits.body) {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, &format!("a body may have {} bytes", limits.body));
    }
    match tokio::time::timeout(limits.answer_time, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => refusal(StatusCode::GATEWAY_TIMEOUT, "this took too long to answer"),
    }
}
