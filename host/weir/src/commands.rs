//! One file for each command.

pub(crate) mod client;
pub(crate) mod connectors;
pub(crate) mod dlq;
pub(crate) mod listener;
pub(crate) mod offsets;
pub(crate) mod operate;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod validate;

use weir_sdk::{Error, ErrorKind};

use crate::exit::Exit;
use crate::output;

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
