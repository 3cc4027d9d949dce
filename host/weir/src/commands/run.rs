//! `weir run`: pipelines against the servers that they name, until a signal.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use weir_host::checkpoints::FileStore;
use weir_host::config::{self, Lookup};
use weir_host::data_dir::DataDir;
use weir_host::registry::Registry;
use weir_host::run::Host;
use weir_host::state::Board;
use weir_host::stop::Stop;
use weir_host::supervisor::Outcome;
use weir_host::{http, task};
use weir_sdk::CheckpointStore;
use weir_sdk::config::HumanDuration;

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
}

/// What every command that runs pipelines takes.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct HostArgs {
    /// Where checkpoints are kept; locked, one run at a time.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where /metrics, /health, /live and /ready are served [default: 127.0.0.1:9090].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// Serve them on an address that other machines reach, without a token.
    #[arg(long)]
    pub(crate) insecure: bool,
    /// How long a stop may take to drain what is in flight.
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub(crate) shutdown_timeout: HumanDuration,
}

impl HostArgs {
    /// The address to serve, where `METRICS_PORT` of the environment gives the port of the default.
    pub(crate) fn address(&self, lookup: &dyn Lookup) -> anyhow::Result<SocketAddr> {
        if let Some(address) = self.listen {
            return Ok(address);
        }
        let port = lookup.env("METRICS_PORT").unwrap_or_else(|| "9090".to_owned());
        let port: u16 = port.parse().with_context(|| format!("METRICS_PORT={port} is no port number"))?;
        Ok(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    /// Who may ask what is served there.
    pub(crate) fn access(&self) -> http::Access {
        if self.insecure { http::Access::Insecure } else { http::Access::Loopback }
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
    let pipelines = match config::load(&args.files, registry, lookup) {
        Ok(pipelines) => pipelines,
        Err(report) => {
            output::report(&report);
            return Ok(Exit::Configuration);
        }
    };
    let address = args.host.address(lookup)?;
    let data_dir = args.host.data_dir.clone().unwrap_or_else(|| PathBuf::from(".weir"));
    let checkpoints = checkpoints(data_dir).await?;
    let board = Board::default();
    let server = http::Server::start(address, args.host.access(), board.clone()).await?;
    tracing::info!(address = %server.address(), "listening");
    let host = Host::start(&pipelines, registry, &checkpoints, &board, &stop)
        .map_err(|problem| anyhow::anyhow!("{}", problem.message))?;
    let exit = judge(&host.ended().await);
    server.stop().await;
    Ok(exit)
}

/// Opens the data directory and the checkpoints in it.
///
/// # Errors
/// The directory is another run's, or cannot be written, or what is in it cannot be trusted.
pub(crate) async fn checkpoints(data_dir: PathBuf) -> anyhow::Result<Arc<dyn CheckpointStore>> {
    let data_dir = DataDir::open(data_dir)?;
    Ok(Arc::new(FileStore::open(&data_dir).await?))
}

/// A task that retired or was down at the end failed; one that was asked to stop did not.
fn judge(outcomes: &[(weir_sdk::TaskId, Outcome)]) -> Exit {
    let failed = outcomes.iter().any(|(_, outcome)| match outcome {
        Outcome::Ended(task::Ended::Exhausted | task::Ended::Drained | task::Ended::Abandoned) => false,
        Outcome::Down(error) => error.kind() != weir_sdk::ErrorKind::Unavailable,
        Outcome::Retired(_) => true,
    });
    if failed { Exit::Failed } else { Exit::Ok }
}
