//! `weir rebuild`: fills a projection anew from all that its source has, while everything else runs on.
//!
//! It is the task of that sink, built as `weir run` builds it, transforms, middleware, dead letters and all, under a
//! supervisor, with a checkpoint of its own that begins with everything. So a kill loses nothing: the next call goes on.
//!
//! By default it fills a place beside the one that the task fills. When that has caught up, the operator names it in the
//! file, and at its next start `weir run` goes on where the rebuild is ([handover](weir_host::rebuild::handover)).
//!
//! In place (`--truncate`) the task need not stop. Every write carries the time of its event, so of two writes of one
//! row the later event counts, whoever writes it and when:
//! * What the task had written before the place was emptied is of events that the source had by then. The rebuild asks
//!   the source where to begin *after* that, so it reads and writes all of them again.
//! * What the task writes afterwards stays. Where the rebuild writes the same event, it writes the same; where it
//!   writes an older one, that changes nothing.
//! * So the place is whole once the rebuild has passed a time that lies behind the emptying; what comes later, the task
//!   writes.

mod aside;
mod begin;
mod begun;
mod caught_up;
mod progress;
mod sink;

use std::path::PathBuf;
use std::time::Duration;

use weir_host::config::Lookup;
use weir_host::rebuild::Rebuilds;
use weir_host::registry::Registry;
use weir_host::stop::Stop;

use self::begin::Begin;
use self::sink::Sink;
use super::{failed, load};
use crate::exit::Exit;
use crate::output;

/// How long a stop may take to drain what is in flight.
pub(crate) const DRAIN: Duration = Duration::from_secs(30);

/// Fill a projection anew from all that its source has, while everything else runs: beside the table in use, or in place.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The sink; its pipeline too where several have one of this name.
    #[arg(value_name = "[PIPELINE/]SINK")]
    sink: String,
    /// Pipeline files, and folders of them.
    #[arg(required = true, value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
    /// The data directory of `weir run`, which may run meanwhile [default: .weir].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    how: How,
    /// Go on when it has caught up, until it is stopped: what it fills stays up to date.
    #[arg(long, conflicts_with = "truncate")]
    follow: bool,
    /// Print one JSON object on standard output at the end.
    #[arg(long)]
    json: bool,
}

/// What is filled, and from where on.
#[derive(Debug, clap::Args)]
struct How {
    /// Fill this table, which is made like the one in use unless it is there and empty [default: TABLE_rebuilt].
    #[arg(long, value_name = "TABLE", conflicts_with = "truncate")]
    into: Option<String>,
    /// Empty the table in use and fill it again, in place.
    #[arg(long)]
    truncate: bool,
    /// Give up a rebuild that was begun, empty what it has filled, and begin again.
    #[arg(long)]
    anew: bool,
    /// Do not ask before a table in use is emptied.
    #[arg(long)]
    yes: bool,
}

/// Finds the sink, begins or goes on, and says how it ended.
///
/// # Errors
/// Another process rebuilds this sink, or the data directory cannot be used.
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
    let sink = match Sink::find(&pipelines, &args.sink, registry) {
        Ok(sink) => sink,
        Err(error) => return failed(error.into()),
    };
    let data_dir = args.data_dir.unwrap_or_else(|| PathBuf::from(".weir"));
    let rebuild = Rebuilds::below(&data_dir).open(&sink.task)?;
    let begin = Begin { sink, rebuild, how: &args.how };
    let begun = tokio::select! {
        begun = begin.begin(registry) => begun,
        () = stop.requested() => return Ok(Exit::Failed),
    };
    let ended = match begun {
        Ok(Some(begun)) => begun.run(args.follow, &stop).await,
        Ok(None) => {
            output::complaint("nothing was changed", "say `yes`, or give --yes where nobody can be asked");
            return Ok(Exit::Configuration);
        }
        Err(error) => Err(error),
    };
    match ended {
        Ok(told) if args.json => {
            output::line(told.object);
            Ok(told.exit)
        }
        Ok(told) => {
            output::line(told.words);
            Ok(told.exit)
        }
        Err(error) => failed(error.into()),
    }
}
