//! The `weir` binary: reads the command line and the environment, runs a command, and ends with its exit code.
#![forbid(unsafe_code)]

mod builtin;
mod cli;
mod commands;
#[cfg(feature = "dev")]
mod dev;
mod exit;
mod output;
mod signals;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use weir_host::stop::Stopper;
use weir_host::telemetry::logs;

use cli::Cli;
use exit::Exit;
use signals::Signals;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    logs::init(cli.log_format, environment("RUST_LOG").as_deref().or(cli.quiet_log()));
    let ended = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(anyhow::Error::from);
    let exit = ended.and_then(|runtime| {
        let exit = runtime.block_on(run(cli));
        // A blocking call that hangs must not keep the process.
        runtime.shutdown_timeout(Duration::from_secs(1));
        exit
    });
    match exit {
        Ok(exit) => exit.into(),
        Err(error) => {
            output::error(&error);
            Exit::Environment.into()
        }
    }
}

/// Runs the command; at the second signal it leaves at once, with 128 + the signal's number.
async fn run(cli: Cli) -> anyhow::Result<Exit> {
    let (stopper, stop) = Stopper::new();
    let (signals, drain) = (Signals::new()?, cli.drain());
    let forced = async {
        let signal = signals.second(&stopper, drain).await;
        leave(128 + signal);
    };
    tokio::select! {
        exit = cli.command.run(&environment, stop) => exit,
        () = forced => Ok(Exit::Failed),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "main alone reads the environment, and passes it on as a function"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[expect(clippy::disallowed_methods, reason = "a second signal asks not to wait for destructors")]
fn leave(code: u8) {
    std::process::exit(i32::from(code))
}
