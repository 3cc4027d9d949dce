//! The command line: which commands there are and which file each lives in.

use std::time::Duration;

use weir_host::config::Lookup;
use weir_host::orders;
use weir_host::stop::Stop;
use weir_host::telemetry::logs;

use crate::builtin;
use crate::commands::{connectors, dlq, offsets, operate, rebuild, run, schema, validate};
#[cfg(feature = "dev")]
use crate::dev;
use crate::exit::Exit;

/// A connector host for ScyllaDB and Kafka-compatible brokers.
#[derive(Debug, clap::Parser)]
#[command(name = "weir", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// How the log on standard error is written. Its level comes from RUST_LOG [default: info].
    #[arg(long, global = true, value_name = "FORMAT", default_value = "human")]
    pub(crate) log_format: logs::Format,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Run(run::Args),
    #[cfg(feature = "dev")]
    Dev(dev::Args),
    /// Halt tasks of a running host: what was read is settled and saved, and nothing more is read until `weir resume`.
    Pause(operate::Args),
    /// Let paused tasks go on.
    Resume(operate::Args),
    /// Build tasks anew at once, whatever they wait for.
    Restart(operate::Args),
    Dlq(dlq::Args),
    Offsets(offsets::Args),
    Rebuild(rebuild::Args),
    Validate(validate::Args),
    Schema(schema::Args),
    Connectors(connectors::Args),
}

impl Cli {
    /// What is logged where the screen belongs to something else: only what somebody should know.
    pub(crate) fn quiet_log(&self) -> Option<&'static str> {
        match &self.command {
            #[cfg(feature = "dev")]
            Command::Dev(args) if !args.json => Some("warn,scylla=error,librdkafka=error"),
            // The command itself tells how its task is.
            Command::Rebuild(_) => Some("warn,weir_host::state=off,scylla=error,librdkafka=error"),
            Command::Dlq(_) | Command::Offsets(_) => Some("warn,scylla=error,librdkafka=error"),
            _ => None,
        }
    }

    /// How long the first signal lets what is in flight drain.
    pub(crate) fn drain(&self) -> Duration {
        match &self.command {
            Command::Run(args) => args.host.drain(),
            Command::Rebuild(_) => rebuild::DRAIN,
            #[cfg(feature = "dev")]
            Command::Dev(args) => args.host.drain(),
            _ => Duration::ZERO,
        }
    }
}

impl Command {
    /// Runs the command until it ends, or until `stop` is asked for and obeyed.
    ///
    /// # Errors
    /// What this machine should have given and did not.
    pub(crate) async fn run(self, lookup: &dyn Lookup, stop: Stop) -> anyhow::Result<Exit> {
        let registry = builtin::registry()?;
        match self {
            Self::Run(args) => run::run(args, &registry, lookup, stop).await,
            #[cfg(feature = "dev")]
            Self::Dev(args) => dev::run(args, &registry, lookup, stop).await,
            Self::Pause(args) => operate::run(orders::Command::Pause, args, lookup, stop).await,
            Self::Resume(args) => operate::run(orders::Command::Resume, args, lookup, stop).await,
            Self::Restart(args) => operate::run(orders::Command::Restart, args, lookup, stop).await,
            Self::Dlq(args) => dlq::run(args, &registry, lookup, stop).await,
            Self::Offsets(args) => offsets::run(args, &registry, lookup, stop).await,
            Self::Rebuild(args) => rebuild::run(args, &registry, lookup, stop).await,
            Self::Validate(args) => Ok(validate::run(&args, &registry, lookup)),
            Self::Schema(args) => Ok(schema::run(&args, &registry)),
            Self::Connectors(args) => Ok(connectors::run(&args, &registry)),
        }
    }
}
