//! Opens a task: loads its checkpoint, opens its source there, checks that the two belong together, claims it, opens its sink.

use std::sync::Arc;

use weir_sdk::store::Saved;
use weir_sdk::{Checkpoint, Context, Error, ErrorKind, Sink, Source};

use super::Spec;
use super::dead_letters::DeadLetters;
use crate::middleware;
use crate::middleware::parking::Parking;

/// An open task.
pub struct Opened {
    /// What the source reads, by its own name.
    pub identity: String,
    /// Goes on after the checkpoint.
    pub source: Box<dyn Source>,
    /// The sink behind its middleware.
    pub sink: Arc<dyn Sink>,
    /// Where records go that no retry can help.
    pub dead_letters: DeadLetters,
}

/// Opens everything. What was opened before something failed is closed.
///
/// The task is claimed only once its source is known to be the checkpoint's: whoever else has it is not stopped by a
/// mistake. What they saved meanwhile is gone on from, with the source opened once more.
///
/// # Errors
/// What could not be opened, and why.
pub async fn open(spec: &Spec, parking: &Parking) -> Result<Opened, Error> {
    let context = Context::new(spec.id.clone(), spec.metrics.clone()).telling(parking.conditions().clone());
    let context = if spec.gap.is_in_use() { context.accepting_gap() } else { context };
    let mut saved = spec.checkpoints.load(&spec.id).await?;
    loop {
        let resume = saved.as_ref().map(|saved| saved.checkpoint.clone()).unwrap_or_default();
        let name = spec.source.name();
        let source = spec.source.open(spec.source_config.clone(), resume, context.clone()).await;
        let source = source.map_err(|error| error.context(format_args!("open source {name}")))?;
        let start = source.start();
        let identity = format!("{name}:{}", start.identity);
        let rest = async {
            same_source(saved.as_ref(), &identity)?;
            let claimed = spec.checkpoints.claim(&spec.id).await?;
            if claimed != saved {
                return Ok(Err(claimed));
            }
            open_rest(spec, parking, (&identity, start.checkpoint), context.clone()).await.map(Ok)
        };
        let opened = rest.await;
        if let Ok(Ok((sink, dead_letters))) = opened {
            return Ok(Opened { identity, source, sink, dead_letters });
        }
        // The first error is the one to tell.
        source.close().await.ok();
        saved = opened?.err().flatten();
    }
}

type Rest = (Arc<dyn Sink>, DeadLetters);

async fn open_rest(
    spec: &Spec,
    parking: &Parking,
    (identity, start): (&str, Checkpoint),
    context: Context,
) -> Result<Rest, Error> {
    if !start.is_empty() {
        spec.checkpoints.save(&spec.id, identity, &start).await?;
    }
    spec.gap.passed();
    let dead_letters = DeadLetters::open(spec, parking).await?;
    match spec.sink.open(spec.sink_config.clone(), context).await {
        Ok(sink) => {
            let sink = middleware::stack(sink, &spec.settings.middleware, &spec.metrics, parking.clone());
            Ok((sink, dead_letters))
        }
        Err(error) => {
            dead_letters.close().await.ok();
            Err(error.context(format_args!("open sink {}", spec.sink.name())))
        }
    }
}

/// A checkpoint of another source means nothing here: going on from it could skip records.
fn same_source(saved: Option<&Saved>, identity: &str) -> Result<(), Error> {
    match saved {
        Some(saved) if saved.identity != identity => {
            let message = format!("the checkpoint belongs to source {}, not to {identity}", saved.identity);
            let advice = "restore the source it was made for, or give the pipeline or the sink another name, \
                          which starts from the source's `start` and repeats rather than skips";
            Err(Error::new(ErrorKind::Config, message).advice(advice))
        }
        _ => Ok(()),
    }
}
