//! `weir schema`: the JSON Schema of a pipeline file, for editors.

use weir_host::config;
use weir_host::registry::Registry;

use crate::exit::Exit;
use crate::output;

/// Print the JSON Schema of a pipeline file, every connector's configuration inside.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Prints it.
pub(crate) fn run(_: &Args, registry: &Registry) -> Exit {
    output::line(format_args!("{:#}", config::schema(registry)));
    Exit::Ok
}
