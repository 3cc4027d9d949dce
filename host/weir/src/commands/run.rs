//! `weir run`: pipelines against the servers that they name, until a signal.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use weir_host::config::{Lookup, PipelineConfig, SinkConfig};
use weir_host::control::{Control, Target, Unknown};
use weir_host::data_dir::DataDir;
use weir_host::registry::Registry;
use weir_host::run::{Host, Kept};
use weir_host::stop::Stop;
use weir_host::supervisor::Outcome;
use weir_host::{http, task};
use weir_sdk::config::HumanDuration;
use weir_sdk::{Error, ErrorKind, TaskId};

use super::listener::ListenerArgs;
use super::load;
use crate::exit::Exit;
use crate::output;

/// Run pipelines until a signal: the first SIGTERM or SIGINT drains, a second one leaves at once.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Pipeline files, and folders of them.
    #[arg(required = true, value_name = "FILE|DIR")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) host: HostArgs,
    /// Where the log has forgotten what was not yet read (state GAP), go on with the oldest row there is, once; what
    /// was forgotten is lost.
    #[arg(long, value_name = "PIPELINE[/SINK]|all")]
    pub(crate) accept_gap: Vec<Target>,
}

/// What every command that runs pipelines takes.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct HostArgs {
    /// Where checkpoints are kept; locked, one run at a time.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) listener: ListenerArgs,
    /// Serve HTTP on an address that other machines reach, without a token: they can pause tasks, too.
    #[arg(long, conflicts_with = "token_file")]
    pub(crate) insecure: bool,
    /// How long a stop may take to drain what is in flight.
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub(crate) shutdown_timeout: HumanDuration,
}

impl HostArgs {
    /// Who may ask what is served.
    pub(crate) fn access(&self, lookup: &dyn Lookup) -> anyhow::Result<http::Access> {
        match (self.insecure, self.listener.token(lookup)?) {
            (true, Some(_)) => {
                let message = "--insecure asks for no token, and WEIR_TOKEN gives one";
                let advice = "leave out --insecure, or unset WEIR_TOKEN";
                Err(Error::new(ErrorKind::Config, message).advice(advice).into())
            }
            (true, None) => Ok(http::Access::Insecure),
            (false, token) => Ok(token.map_or(http::Access::Loopback, http::Access::Token)),
        }
    }

    /// The time a drain may take.
    pub(crate) fn drain(&self) -> Duration {
        self.shutdown_timeout.get()
    }
}

/// Loads, runs, and says how it ended.
///
/// # Errors
/// What this machine should have given and did not.
pub(crate) async fn run(
    args: Args,
    registry: &Registry,
    lookup: &dyn Lookup,
    stop: Stop,
) -> anyhow::Result<Exit> {
    let pipelines = match load(&args.files, registry, lookup) {
        Ok(pipelines) => pipelines,
        Err(exit) => return Ok(exit),
    };
    if let Some(unknown) = unknown(&args.accept_gap, &pipelines) {
        output::complaint(&format!("--accept-gap: {}", unknown.message), &unknown.help);
        return Ok(Exit::Configuration);
    }
    let (address, access) = (args.host.listener.address(lookup)?, args.host.access(lookup)?);
    let data_dir = args.host.data_dir.clone().unwrap_or_else(|| PathBuf::from(".weir"));
    let control = Control::accepting_gaps(args.accept_gap);
    let server = match http::Server::start(address, access, control.clone()).await {
        // Most likely the other run has both, and the directory says who that is. None is made for that.
        Err(error) if data_dir.exists() => return Err(DataDir::open(data_dir).err().unwrap_or(error).into()),
        started => started?,
    };
    let kept = Kept::open(&DataDir::open(data_dir)?).await?;
    let host = Host::start(&pipelines, registry, &kept, &control, &stop)
        .map_err(|problem| anyhow::anyhow!("{}", problem.message))?;
    // Whoever waits for this line finds every task in `/health`.
    tracing::info!(address = %server.address(), "listening");
    let exit = judge(&host.ended().await);
    server.stop().await;
    Ok(exit)
}

/// The first name among these that no task has.
fn unknown(targets: &[Target], pipelines: &[PipelineConfig]) -> Option<Unknown> {
    let tasks = pipelines.iter().flat_map(|pipeline| {
        let task = |sink: &SinkConfig| TaskId { pipeline: pipeline.name.clone(), sink: sink.name.clone() };
        pipeline.sinks.iter().map(task)
    });
    let tasks: BTreeSet<_> = tasks.collect();
    targets.iter().find_map(|target| target.among(tasks.iter()).err())
}

/// A task that retired or was down at the end failed; one that was asked to stop did not, nor one that another host has
/// taken over: whoever watches this process must not start it again to take the task back.
fn judge(outcomes: &[(TaskId, Outcome)]) -> Exit {
    let failed = outcomes.iter().any(|(_, outcome)| match outcome {
        Outcome::Ended(task::Ended::Exhausted | task::Ended::Drained | task::Ended::Abandoned) => false,
        Outcome::Down(error) => error.kind() != ErrorKind::Unavailable,
        Outcome::Retired(error) => error.kind() != ErrorKind::Fenced,
    });
    if failed { Exit::Failed } else { Exit::Ok }
}
