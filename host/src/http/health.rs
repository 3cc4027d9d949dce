//! `/health` and `/ready`: what the board says, as JSON.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use weir_sdk::TaskId;
use weir_sdk::metrics::names::{self, Name};
use weir_sdk::metrics::{FigureKind, Metrics};

use crate::state::{Board, State, TaskStatus};

/// Every task with its state and reason; 503 when one needs the operator.
pub(super) fn health(board: &Board) -> Response {
    let tasks: Vec<Task> = board.tasks().into_iter().map(|(id, status)| Task::of(id, status)).collect();
    let status = tasks.iter().map(|task| Status::of(task.state)).max().unwrap_or(Status::Healthy);
    let code = match status {
        Status::Healthy | Status::Degraded => StatusCode::OK,
        Status::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, Json(Health { status, tasks })).into_response()
}

/// 200 once every task has run; until then 503, and which have not.
pub(super) fn ready(board: &Board) -> Response {
    let tasks = board.tasks();
    let waiting: Vec<String> =
        tasks.iter().filter(|(_, status)| !status.has_run).map(|(id, _)| id.to_string()).collect();
    let ready = waiting.is_empty() && !tasks.is_empty();
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(Ready { ready, waiting })).into_response()
}

#[derive(Serialize)]
struct Health {
    status: Status,
    tasks: Vec<Task>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Healthy,
    Degraded,
    Unhealthy,
}

impl Status {
    fn of(state: State) -> Self {
        match state {
            State::Running | State::Paused | State::Stopped => Self::Healthy,
            State::Degraded | State::Parked | State::Restarting => Self::Degraded,
            State::Failed | State::Gap => Self::Unhealthy,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Task {
    pipeline: String,
    sink: String,
    state: State,
    reason: Option<String>,
    /// Of the sink, once it is open: `closed`, `half_open` or `open`.
    #[serde(skip_serializing_if = "Option::is_none")]
    circuit_breaker: Option<&'static str>,
    /// RFC 3339.
    since: String,
    restarts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint_age_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_seconds: Option<f64>,
}

impl Task {
    pub(super) fn of(id: TaskId, status: TaskStatus) -> Self {
        Self {
            pipeline: id.pipeline,
            sink: id.sink,
            state: status.state,
            reason: status.reason,
            circuit_breaker: gauge(&status.metrics, names::CIRCUIT_BREAKER_STATE).map(breaker),
            since: humantime::format_rfc3339_millis(status.since).to_string(),
            restarts: count(&status.metrics, names::TASK_RESTARTS),
            checkpoint_age_seconds: gauge(&status.metrics, names::CHECKPOINT_AGE),
            lag_seconds: gauge(&status.metrics, names::CDC_LAG),
        }
    }
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    waiting: Vec<String>,
}

fn breaker(state: f64) -> &'static str {
    match state {
        2.0 => "open",
        1.0 => "half_open",
        _ => "closed",
    }
}

fn count(metrics: &Metrics, (name, _): Name) -> u64 {
    match metrics.figures().get(name).map(|figure| &figure.kind) {
        Some(FigureKind::Counter(counter)) => counter.get(),
        _ => 0,
    }
}

/// `None` when nobody has set it.
fn gauge(metrics: &Metrics, (name, _): Name) -> Option<f64> {
    match metrics.figures().get(name).map(|figure| &figure.kind) {
        Some(FigureKind::Gauge(gauge)) => Some(gauge.get()),
        _ => None,
    }
}
