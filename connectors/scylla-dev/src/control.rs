//! The operator's hand: faults, clock and streams of a running server by HTTP, from this machine only.
//!
//! `POST /COMMAND` with the command's fields as a JSON object; `GET /` tells how the server is.
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use weir_scylla_dev::ScyllaDev;
use weir_scylla_dev::error::ErrorCode;
use weir_scylla_dev::faults::Failure;

/// What can be asked for. Times are milliseconds; those that are not given are now, zero or for good.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Command {
    /// Statements whose text holds `pattern` fail: all, `times` of them, and of these one in `one_in` or a `share`.
    Fail {
        pattern: String,
        error: Code,
        times: Option<u32>,
        one_in: Option<u32>,
        share: Option<f64>,
    },
    /// Takes all failures back.
    Heal {},
    DelayAnswers {
        millis: u64,
    },
    CutConnections {},
    RefuseConnections {},
    AcceptConnections {},
    Freeze {},
    Thaw {},
    /// Clients must prepare their statements again.
    ForgetStatements {},
    /// Cuts all connections and closes the port; the data stays.
    Stop {},
    Start {},
    DelayLogRows {
        keyspace: String,
        table: String,
        writes: u32,
        millis: u64,
    },
    AdvanceClock {
        millis: u64,
    },
    RewindClock {
        millis: u64,
    },
    NewGeneration {
        #[serde(default)]
        in_millis: i64,
    },
    ResizeTablets {
        keyspace: String,
        table: String,
        count: u32,
        #[serde(default)]
        in_millis: i64,
    },
}

/// The errors that a statement can be made to fail with.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Code {
    Server,
    Protocol,
    Credentials,
    Unavailable,
    Overloaded,
    Bootstrapping,
    Truncate,
    WriteTimeout,
    ReadTimeout,
    ReadFailure,
    WriteFailure,
    Syntax,
    Unauthorized,
    Invalid,
    Config,
}

/// Answers on `listener` for ever.
pub(crate) async fn serve(listener: TcpListener, server: Arc<Mutex<ScyllaDev>>) -> std::io::Result<()> {
    let router = Router::new()
        .route("/", get(status))
        .route("/{command}", post(command))
        .fallback(async || refusal(StatusCode::NOT_FOUND, "there is GET / and POST /COMMAND"))
        .with_state(server);
    axum::serve(listener, router).await
}

async fn status(State(server): State<Arc<Mutex<ScyllaDev>>>) -> Response {
    let server = server.lock().await;
    let status = json!({
        "cql": server.address().to_string(),
        "clock_micros": server.clock().micros(),
        "memory_used": server.memory_used(),
        "connections": server.faults().connections(),
        "statements": server.faults().statements(),
    });
    axum::Json(status).into_response()
}

async fn command(
    State(server): State<Arc<Mutex<ScyllaDev>>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    // A web page that the operator happens to look at is from this machine too.
    if headers.contains_key(header::ORIGIN) {
        return refusal(StatusCode::FORBIDDEN, "web pages may not control this server");
    }
    let command = match read(&name, &body) {
        Ok(command) => command,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, error),
    };
    match run(&mut *server.lock().await, command).await {
        Ok(()) => axum::Json(json!({"done": name})).into_response(),
        Err(error) => refusal(StatusCode::CONFLICT, error),
    }
}

/// `curl -d` says that it sends a form, so what the body is called does not matter; no body is no fields.
fn read(name: &str, body: &[u8]) -> Result<Command, serde_json::Error> {
    let fields = if body.is_empty() { json!({}) } else { serde_json::from_slice::<Value>(body)? };
    serde_json::from_value(json!({ name: fields }))
}

fn refusal(status: StatusCode, error: impl std::fmt::Display) -> Response {
    (status, axum::Json(json!({"error": error.to_string()}))).into_response()
}

async fn run(server: &mut ScyllaDev, command: Command) -> Result<(), Box<dyn std::error::Error>> {
    let faults = server.faults();
    let at = |millis: i64| (server.clock().micros() / 1000).saturating_add(millis);
    match command {
        Command::Fail { pattern, error, times, one_in, share } => {
            let mut failure = Failure::of(pattern, error.into());
            failure = times.into_iter().fold(failure, Failure::times);
            failure = one_in.into_iter().fold(failure, Failure::one_in);
            faults.fail(share.into_iter().fold(failure, Failure::share));
        }
        Command::Heal {} => faults.heal(),
        Command::DelayAnswers { millis } => faults.delay_answers(Duration::from_millis(millis)),
        Command::CutConnections {} => faults.cut_connections(),
        Command::RefuseConnections {} => faults.refuse_connections(),
        Command::AcceptConnections {} => faults.accept_connections(),
        Command::Freeze {} => faults.freeze(),
        Command::Thaw {} => faults.thaw(),
        Command::ForgetStatements {} => server.forget_statements(),
        Command::Stop {} => server.stop().await,
        Command::Start {} => server.restart().await?,
        Command::DelayLogRows { keyspace, table, writes, millis } => {
            faults.delay_log_rows(&keyspace, &table, writes, Duration::from_millis(millis));
        }
        Command::AdvanceClock { millis } => faults.advance_clock(Duration::from_millis(millis)),
        Command::RewindClock { millis } => faults.rewind_clock(Duration::from_millis(millis)),
        Command::NewGeneration { in_millis } => server.new_generation(at(in_millis)),
        Command::ResizeTablets { keyspace, table, count, in_millis } => {
            server.resize_tablets(&keyspace, &table, count, at(in_millis))?;
        }
    }
    Ok(())
}

impl From<Code> for ErrorCode {
    /// With the details of one node that did not do its part at consistency ONE.
    fn from(code: Code) -> Self {
        let (consistency, received, block_for) = (1, 0, 1);
        match code {
            Code::Server => Self::Server,
            Code::Protocol => Self::Protocol,
            Code::Credentials => Self::Credentials,
            Code::Unavailable => Self::Unavailable { consistency, required: 1, alive: 0 },
            Code::Overloaded => Self::Overloaded,
            Code::Bootstrapping => Self::Bootstrapping,
            Code::Truncate => Self::Truncate,
            Code::WriteTimeout => {
                Self::WriteTimeout { consistency, received, block_for, write_type: "SIMPLE" }
            }
            Code::ReadTimeout => Self::ReadTimeout { consistency, received, block_for, data_present: 0 },
            Code::ReadFailure => Self::ReadFailure { consistency, received, block_for, failures: 1 },
            Code::WriteFailure => Self::WriteFailure { consistency, received, block_for, failures: 1 },
            Code::Syntax => Self::Syntax,
            Code::Unauthorized => Self::Unauthorized,
            Code::Invalid => Self::Invalid,
            Code::Config => Self::Config,
        }
    }
}
