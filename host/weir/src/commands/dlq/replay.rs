//! `weir dlq replay`: sends dead letters once more, from the first transform to the sink that they did not reach.
//!
//! It is the task of that sink, built as `weir run` builds it, transforms, middleware, dead letters and all, with the
//! dead letters in the place of the source. What fails again becomes the same dead letter again, with a count, so that
//! nothing goes round for ever.

mod letters;

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::sleep;
use weir_host::config::{Lookup, PipelineConfig};
use weir_host::control::Control;
use weir_host::registry::Registry;
use weir_host::run::spec;
use weir_host::stop::Stop;
use weir_host::task::{self, Ended, Spec};
use weir_sdk::metrics::names;
use weir_sdk::{CheckpointStore, Error, ErrorKind};

use self::letters::{Letters, NoCheckpoints};
use super::filter::Filter;
use super::place::{Entry, Place, PlaceArgs};
use super::purge;
use crate::commands::failed;
use crate::commands::lazy::Lazy;
use crate::exit::Exit;
use crate::output;

/// Send dead letters once more: from the first transform to the sink that they did not reach.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    filter: Filter,
    /// At most so many.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Leave out what was replayed so often already: no record goes round for ever.
    #[arg(long, value_name = "N", default_value_t = 3)]
    max_replays: u32,
    /// Only say what would be sent.
    #[arg(long)]
    dry_run: bool,
    /// Remove from the place what was delivered.
    #[arg(long)]
    purge: bool,
}

/// What became of a replay.
#[derive(Default)]
struct Sums {
    sent: u64,
    failed_again: u64,
}

pub(super) async fn run(
    args: &Args,
    registry: &Registry,
    lookup: &dyn Lookup,
    stop: &Stop,
) -> anyhow::Result<Exit> {
    let place = match Place::find(&args.place, registry, lookup) {
        Ok(place) => Arc::new(place),
        Err(exit) => return Ok(exit),
    };
    let Some(pipeline) = &place.pipeline else {
        output::complaint("a replay needs the pipeline", "name its file in place of --connector");
        return Ok(Exit::Configuration);
    };
    let mut chosen = place.index(&args.filter).await?;
    let all = chosen.len();
    chosen.retain(|entry| entry.replays < args.max_replays);
    if chosen.len() < all {
        output::complaint(
            &format!(
                "{} dead letters were replayed {} times already and are left out",
                all - chosen.len(),
                args.max_replays
            ),
            "find out why they fail; --max-replays raises the limit",
        );
    }
    chosen.truncate(args.limit.unwrap_or(usize::MAX));
    if args.dry_run {
        dry(&chosen);
        return Ok(Exit::Ok);
    }
    let (origins, letters): (Vec<_>, usize) =
        (chosen.iter().flat_map(|entry| entry.origins.clone()).collect(), chosen.len());
    match send(&place, pipeline, chosen, (registry, stop)).await {
        Ok(Some(sums)) => {
            output::line(format!("sent {} dead letters, {} failed again", sums.sent, sums.failed_again));
            if args.purge {
                // What failed again was written anew before this, with its own time: that one stays.
                purge::remove(&place, origins, letters).await?;
            }
            Ok(if sums.failed_again == 0 { Exit::Ok } else { Exit::Failed })
        }
        Ok(None) => {
            output::complaint("stopped before everything was sent", "nothing was removed; replay again");
            Ok(Exit::Failed)
        }
        Err(error) => failed(error.into()),
    }
}

fn dry(chosen: &[Entry]) {
    let mut sinks: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in chosen {
        *sinks.entry(&entry.sink).or_default() += 1;
    }
    output::line(format!("{} dead letters would be sent", chosen.len()));
    for (sink, letters) in sinks {
        output::line(format!("  {letters} to {sink}"));
    }
}

/// Sends them, sink by sink; `None` when it was asked to stop.
async fn send(
    place: &Arc<Place>,
    pipeline: &PipelineConfig,
    chosen: Vec<Entry>,
    (registry, stop): (&Registry, &Stop),
) -> Result<Option<Sums>, Error> {
    let bar = bar(chosen.len());
    let mut of_sink: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for entry in chosen {
        of_sink.entry(entry.sink.clone()).or_default().push(entry);
    }
    let mut sums = Sums::default();
    for (sink, entries) in of_sink {
        let before = sums.sent;
        let letters = Letters::new(place.clone(), entries);
        let spec = build(pipeline, &sink, letters, registry)?;
        let sent = spec.metrics.counter(names::RECORDS_READ);
        let again = spec.metrics.counter(names::DLQ_MESSAGES);
        let (pen, _orders) = Control::default().enter(spec.id.clone(), spec.metrics.clone());
        let pen = pen.hiding(pipeline.mask().clone());
        let ended = tokio::select! {
            ended = task::run(&spec, &pen, stop) => ended?,
            () = follow(&bar, before, &spec) => Ended::Abandoned,
        };
        if ended != Ended::Exhausted {
            return Ok(None);
        }
        sums.sent += sent.get();
        sums.failed_again += again.get();
        bar.set_position(sums.sent);
    }
    bar.finish_and_clear();
    Ok(Some(sums))
}

/// The sink's task, with the dead letters in the place of its source.
fn build(
    pipeline: &PipelineConfig,
    sink: &str,
    letters: Letters,
    registry: &Registry,
) -> Result<Spec, Error> {
    let Some(known) = pipeline.sinks.iter().find(|known| known.name == sink) else {
        let message = format!("the pipeline {} has no sink `{sink}` any more", pipeline.name);
        return Err(
            Error::new(ErrorKind::Config, message).advice("pick those of the other sinks with --sink")
        );
    };
    let checkpoints: Arc<dyn CheckpointStore> = Arc::new(NoCheckpoints);
    let mut spec =
        spec(pipeline, known, registry, checkpoints).map_err(|problem| Error::config(vec![problem]))?;
    if let Some(place) = &mut spec.dead_letter {
        place.sink = Arc::new(Lazy(place.sink.clone()));
    }
    Ok(Spec { source: Arc::new(letters), ..spec })
}

/// Shows how far the sink is; never ends.
async fn follow(bar: &ProgressBar, before: u64, spec: &Spec) {
    let written = spec.metrics.counter(names::RECORDS_WRITTEN);
    let again = spec.metrics.counter(names::DLQ_MESSAGES);
    loop {
        bar.set_position(before + written.get() + again.get());
        sleep(Duration::from_millis(100)).await;
    }
}

/// On a terminal a bar, elsewhere nothing.
fn bar(length: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length as u64);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec} {eta}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
