//! `/api/v1`: what an operator asks of running tasks, as HTTP.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use weir_sdk::TaskId;
use weir_sdk::config::name_help;

use super::health::Task;
use super::{refusal, refusal_with};
use crate::control::{Control, Refusal, Target};
use crate::orders::Command;
use crate::state::TaskStatus;

/// Tasks to look at, and orders to give.
pub(super) fn routes(control: Control) -> Router {
    let orders = Router::new()
        .route("/api/v1/tasks/{pipeline}/{sink}/{command}", post(order_task))
        .route("/api/v1/pipelines/{pipeline}/{command}", post(order_pipeline))
        .route("/api/v1/tasks/{command}", post(order_all))
        .method_not_allowed_fallback(async || {
            refusal(StatusCode::METHOD_NOT_ALLOWED, "this is an order: give it with POST")
        });
    let list =
        async |State(control): State<Control>| Json(Tasks::of(control.board().tasks())).into_response();
    Router::new().route("/api/v1/tasks", get(list)).merge(orders).with_state(control)
}

#[derive(Serialize)]
struct Tasks {
    tasks: Vec<Task>,
}

impl Tasks {
    fn of(tasks: impl IntoIterator<Item = (TaskId, TaskStatus)>) -> Self {
        Self { tasks: tasks.into_iter().map(|(id, status)| Task::of(id, status)).collect() }
    }
}

async fn order_task(
    State(control): State<Control>,
    Path((pipeline, sink, command)): Path<(String, String, String)>,
) -> Response {
    order(&control, &command, Target::Task(TaskId { pipeline, sink })).await
}

async fn order_pipeline(
    State(control): State<Control>,
    Path((pipeline, command)): Path<(String, String)>,
) -> Response {
    order(&control, &command, Target::Pipeline(pipeline)).await
}

async fn order_all(State(control): State<Control>, Path(command): Path<String>) -> Response {
    order(&control, &command, Target::All).await
}

/// 200 when it is done, 202 when it is under way; 404 for a name that nothing has, 409 for what cannot obey.
async fn order(control: &Control, command: &str, target: Target) -> Response {
    let Some(command) = Command::ALL.into_iter().find(|known| known.as_str() == command) else {
        let help = name_help(command, &Command::ALL.map(Command::as_str), "orders");
        return refusal_with(StatusCode::NOT_FOUND, &format!("there is no order `{command}`"), Some(&help));
    };
    match control.order(command, &target).await {
        Ok(answer) => {
            let code = if answer.is_done { StatusCode::OK } else { StatusCode::ACCEPTED };
            (code, Json(Tasks::of(answer.tasks))).into_response()
        }
        Err(Refusal::Unknown(unknown)) => {
            refusal_with(StatusCode::NOT_FOUND, &unknown.message, Some(&unknown.help))
        }
        Err(Refusal::Conflict(message, help)) => refusal_with(StatusCode::CONFLICT, &message, Some(help)),
    }
}
