//! `weir dlq`: what is among the dead letters and why, and what becomes of it.
//!
//! A place of dead letters is read through the source connector of its far side, whichever that is: [`place`]. The
//! [`filter`] picks, [`show`] prints, [`replay`] sends once more, [`purge`] removes.

mod filter;
mod place;
mod purge;
mod replay;
mod show;

use weir_host::config::Lookup;
use weir_host::registry::Registry;
use weir_host::stop::Stop;

use super::failed;
use crate::exit::Exit;

/// Look at dead letters, send them once more, or remove them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(show::ListArgs),
    Show(show::ShowArgs),
    Replay(replay::Args),
    Purge(purge::Args),
}

/// Runs the one that was asked for.
///
/// # Errors
/// What the far side, or this machine, did not give.
pub(crate) async fn run(
    args: Args,
    registry: &Registry,
    lookup: &dyn Lookup,
    stop: Stop,
) -> anyhow::Result<Exit> {
    let done = match &args.command {
        Command::List(args) => interruptible(show::list(args, registry, lookup), &stop).await,
        Command::Show(args) => interruptible(show::show(args, registry, lookup), &stop).await,
        Command::Replay(args) => replay::run(args, registry, lookup, &stop).await,
        Command::Purge(args) => purge::run(args, registry, lookup).await,
    };
    match done {
        Err(error) => failed(error),
        done => done,
    }
}

/// Who only looks may be interrupted at any time.
async fn interruptible(
    looking: impl Future<Output = anyhow::Result<Exit>>,
    stop: &Stop,
) -> anyhow::Result<Exit> {
    tokio::select! {
        looked = looking => looked,
        () = stop.requested() => Ok(Exit::Failed),
    }
}
