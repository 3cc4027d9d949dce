//! `Server`: one HTTP listener for `/metrics`, `/health`, `/live`, `/ready` and the orders of `/api/v1`.
//!
//! * `access`: who may ask, and how a browser is kept from asking for somebody else
//! * `health`: what the board says, as JSON
//! * `control`: the tasks, and orders to them
//! * `listener`: connections, with limits on all that a client can send or hold up
//!
//! Every answer but the metrics is JSON, errors too: `{"error": …, "advice": …}`.

mod access;
mod control;
mod health;
mod listener;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use weir_sdk::{Error, ErrorKind};

pub use self::access::Access;
use self::listener::Limits;
use crate::control::Control;
use crate::state::Board;
use crate::telemetry::metrics::Exposition;

/// A listener that answers; dropped, it closes without waiting.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    closing: watch::Sender<bool>,
    listener: JoinHandle<()>,
}

impl Server {
    /// Listens on `address`, whose port may be 0, and answers from `control`.
    ///
    /// # Errors
    /// The address cannot be had, or other machines reach it and `access` is for this machine only.
    pub async fn start(address: SocketAddr, access: Access, control: Control) -> Result<Self, Error> {
        Self::start_within(address, access, control, Limits::default()).await
    }

    async fn start_within(
        address: SocketAddr,
        access: Access,
        control: Control,
        limits: Limits,
    ) -> Result<Self, Error> {
        access.check_address(address)?;
        let socket = TcpListener::bind(address).await.map_err(|error| unusable(address, error))?;
        let address = socket.local_addr().map_err(|error| unusable(address, error))?;
        let (closing, closes) = watch::channel(false);
        let listener = tokio::spawn(listener::run(socket, router(access, control, limits), limits, closes));
        Ok(Self { address, closing, listener })
    }

    /// Where it listens, with the port that the system chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, answers those that are under way, and closes.
    pub async fn stop(self) {
        self.closing.send_replace(true);
        if let Err(error) = self.listener.await {
            tracing::warn!(%error, "the HTTP listener ended badly");
        }
    }
}

fn router(access: Access, control: Control, limits: Limits) -> Router {
    let board = control.board().clone();
    let metrics = Router::new().route("/metrics", get(metrics)).with_state(Exposition::new(board.clone()));
    Router::new()
        .route("/health", get(async |State(board): State<Board>| health::health(&board)))
        .route("/live", get(async || Json(serde_json::json!({ "live": true }))))
        .route("/ready", get(async |State(board): State<Board>| health::ready(&board)))
        .with_state(board)
        .merge(metrics)
        .merge(control::routes(control))
        .fallback(async |uri: Uri| {
            refusal(StatusCode::NOT_FOUND, &format!("there is nothing at {}", uri.path()))
        })
        .method_not_allowed_fallback(async || {
            refusal(StatusCode::METHOD_NOT_ALLOWED, "this can only be read: ask with GET")
        })
        .layer(middleware::from_fn_with_state(limits, listener::limit))
        .layer(middleware::from_fn_with_state(Arc::new(access), access::check))
}

async fn metrics(State(exposition): State<Exposition>) -> Response {
    match exposition.text() {
        Ok(text) => ([(header::CONTENT_TYPE, Exposition::MEDIA_TYPE)], text).into_response(),
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn refusal(status: StatusCode, error: &str) -> Response {
    refusal_with(status, error, None)
}

fn refusal_with(status: StatusCode, error: &str, advice: Option<&str>) -> Response {
    #[derive(Serialize)]
    struct Refusal<'a> {
        error: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        advice: Option<&'a str>,
    }
    (status, Json(Refusal { error, advice })).into_response()
}

fn unusable(address: SocketAddr, error: std::io::Error) -> Error {
    let advice = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "another program listens there, perhaps another weir: stop it, or give --listen another address \
             (with port 0 the system chooses one)"
        }
        std::io::ErrorKind::PermissionDenied => "give --listen a port from 1024 upwards",
        _ => "give --listen an address of this machine, such as 127.0.0.1:9090",
    };
    Error::new(ErrorKind::Config, format!("cannot listen on {address}")).caused_by(error).advice(advice)
}
