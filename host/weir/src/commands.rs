//! One file for each command.

pub(crate) mod client;
pub(crate) mod connectors;
pub(crate) mod dlq;
pub(crate) mod lazy;
pub(crate) mod listener;
pub(crate) mod offsets;
pub(crate) mod operate;
pub(crate) mod rebuild;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod validate;

use std::io::IsTerminal as _;
use std::path::PathBuf;

use weir_host::config::{self, Lookup, PipelineConfig};
use weir_host::registry::Registry;
use weir_sdk::{Error, ErrorKind};

use crate::exit::Exit;
use crate::output;

/// The pipelines of these files, or the report of all that is wrong with them and the exit that it means.
pub(crate) fn load(
    files: &[PathBuf],
    registry: &Registry,
    lookup: &dyn Lookup,
) -> Result<Vec<PipelineConfig>, Exit> {
    config::load(files, registry, lookup).map_err(|report| {
        output::report(&report);
        Exit::Configuration
    })
}

/// A far side that does not do its part ends the command with its reason; the code tells a wrong configuration apart.
///
/// # Errors
/// What is no error of ours, as it was.
pub(crate) fn failed(error: anyhow::Error) -> anyhow::Result<Exit> {
    let kind = error.downcast_ref::<Error>().map(Error::kind);
    match kind {
        Some(ErrorKind::Config | ErrorKind::Auth) => {
            output::error(&error);
            Ok(Exit::Configuration)
        }
        Some(_) => {
            output::error(&error);
            Ok(Exit::Failed)
        }
        None => Err(error),
    }
}

/// Whether somebody is there, and says `yes`.
pub(crate) async fn confirmed() -> bool {
    if !std::io::stdin().is_terminal() {
        return false;
    }
    output::line("Type `yes` to do this:");
    let asked = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map(|_| answer)
    });
    asked.await.is_ok_and(|read| read.is_ok_and(|answer| answer.trim() == "yes"))
}
