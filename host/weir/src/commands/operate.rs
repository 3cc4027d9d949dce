//! `weir pause`, `weir resume`, `weir restart`: orders to the tasks of a running host.

use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use weir_host::config::Lookup;
use weir_host::control::Target;
use weir_host::orders::Command;
use weir_host::stop::Stop;

use super::client::{Answer, Client, segment};
use super::listener::ListenerArgs;
use crate::exit::Exit;
use crate::output;

/// Which tasks of which host.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// One task, every task of a pipeline, or `all`.
    #[arg(value_name = "PIPELINE[/SINK]")]
    target: Target,
    #[command(flatten)]
    listener: ListenerArgs,
    /// Print one JSON object on standard output: `tasks`.
    #[arg(long)]
    json: bool,
}

/// What is told of a task.
#[derive(Debug, Deserialize, Serialize)]
struct Task {
    pipeline: String,
    sink: String,
    state: String,
    reason: Option<String>,
}

/// How long a task may take to be built before its state is told as it is then.
const BUILT: Duration = Duration::from_secs(10);

/// Gives the order, waits until it is obeyed, and tells the state of each task.
///
/// # Errors
/// No host is there.
pub(crate) async fn run(
    command: Command,
    args: Args,
    lookup: &dyn Lookup,
    stop: Stop,
) -> anyhow::Result<Exit> {
    let client = Client::new(args.listener.address(lookup)?, args.listener.token(lookup)?);
    tokio::select! {
        exit = give(command, &args, &client) => exit,
        // The host obeys all the same.
        () = stop.requested() => Ok(Exit::Failed),
    }
}

async fn give(command: Command, args: &Args, client: &Client) -> anyhow::Result<Exit> {
    let mut answer = client.send("POST", &path(command, &args.target)).await?;
    if answer.status >= 300 {
        return Ok(refused(&answer));
    }
    let mut tasks = tasks_of(&answer)?;
    let begun = Instant::now();
    while tasks.iter().any(|task| task.state == "RESTARTING") && begun.elapsed() < BUILT {
        sleep(Duration::from_millis(50)).await;
        answer = client.send("GET", "/api/v1/tasks").await?;
        let now = tasks_of(&answer)?.into_iter().filter(|task| tasks.iter().any(|meant| meant.is(task)));
        tasks = now.collect();
    }
    if args.json {
        output::line(json!({ "tasks": tasks }));
    } else {
        tasks.iter().map(Task::sentence).for_each(output::line);
    }
    Ok(if tasks.iter().all(|task| task.obeys(command)) { Exit::Ok } else { Exit::Failed })
}

fn path(command: Command, target: &Target) -> String {
    let target = match target {
        Target::Task(task) => format!("tasks/{}/{}", segment(&task.pipeline), segment(&task.sink)),
        Target::Pipeline(pipeline) => format!("pipelines/{}", segment(pipeline)),
        Target::All => "tasks".to_owned(),
    };
    format!("/api/v1/{target}/{}", command.as_str())
}

fn tasks_of(answer: &Answer) -> anyhow::Result<Vec<Task>> {
    let tasks = answer.body.get("tasks").cloned().unwrap_or_default();
    serde_json::from_value(tasks).context("what answers there is no weir of this version")
}

/// A name that the host does not know is a mistake on the command line; all else is its own trouble.
fn refused(answer: &Answer) -> Exit {
    let text = |key: &str| answer.body.get(key).and_then(Value::as_str);
    let error = text("error").unwrap_or("the host refuses, and does not say why");
    match answer.status {
        401 => {
            output::complaint(error, "give its token in the environment as WEIR_TOKEN, or with --token-file");
            Exit::Environment
        }
        404 => {
            output::complaint(
                error,
                text("advice").unwrap_or("is it another version of weir that runs there?"),
            );
            Exit::Configuration
        }
        _ => {
            output::complaint(error, text("advice").unwrap_or("look into the host's log"));
            Exit::Failed
        }
    }
}

impl Task {
    fn is(&self, other: &Self) -> bool {
        (&self.pipeline, &self.sink) == (&other.pipeline, &other.sink)
    }

    /// `orders/topic PAUSED: paused by the operator; …`
    fn sentence(&self) -> String {
        let reason = self.reason.as_deref().map(|reason| format!(": {reason}"));
        format!("{}/{} {}{}", self.pipeline, self.sink, self.state, reason.unwrap_or_default())
    }

    fn obeys(&self, command: Command) -> bool {
        match self.state.as_str() {
            "STOPPED" => true,
            "PAUSED" => command == Command::Pause,
            "FAILED" | "GAP" => false,
            _ => command != Command::Pause,
        }
    }
}
