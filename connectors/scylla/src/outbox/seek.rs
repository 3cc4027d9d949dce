//! What a checkpoint of the outbox says to the operator, and where a task may be sent.

use weir_sdk::{Checkpoint, Context, Error, SourceConnector as _, Start, Timestamp, To};

use super::config::{OutboxConfig, SnapshotMode};
use super::source::Outbox;
use crate::reader::config::StartAt;
use crate::reader::token::Position;
use crate::snapshot::ranges::Ranges;

/// The checkpoint in words, with the time up to which the log was read.
pub(crate) fn position(checkpoint: &Checkpoint) -> Result<weir_sdk::Position, Error> {
    let Some(position) = Position::read(checkpoint)? else {
        return Ok(weir_sdk::Position::of(checkpoint));
    };
    let time = Timestamp(position.main.cut);
    let shown = jiff::Timestamp::from_microsecond(time.0).map(|time| format!("{time:.3}"));
    let shown = shown.unwrap_or_else(|_| "the begin of time".to_owned());
    let words = match Ranges::read(checkpoint)? {
        Some(_) => format!("reading the table's rows, then its log from {shown} on"),
        None if position.main.fresh.is_some() => format!("at the begin of the log, which is at {shown}"),
        None => format!("read up to {shown}"),
    };
    Ok(weir_sdk::Position { words, time: Some(time) })
}

/// The checkpoint of one who would begin there, whatever the configuration says of a start and of a snapshot.
pub(super) async fn seek(
    outbox: &Outbox,
    config: OutboxConfig,
    to: To,
    context: Context,
) -> Result<Start, Error> {
    let start = match to {
        To::Earliest => StartAt::Earliest,
        To::Latest => StartAt::Latest,
        To::At(time) => StartAt::At(time),
        To::Everything => return everything(outbox, config, context).await,
    };
    begin(outbox, OutboxConfig { start, snapshot: SnapshotMode::None, ..config }, context).await
}

/// The rows of the table, and then the log. A row that was deleted once it was delivered is in the log only, so after
/// the outbox itself all of its log follows; after a table that forgets nothing, what was written meanwhile is enough.
async fn everything(outbox: &Outbox, config: OutboxConfig, context: Context) -> Result<Start, Error> {
    let config = OutboxConfig { start: StartAt::Earliest, ..config };
    let snapshot = OutboxConfig { snapshot: SnapshotMode::Initial, ..config.clone() };
    let problems = snapshot.problems();
    if !problems.is_empty() {
        return Err(Error::config(problems));
    }
    let mut from_table = begin(outbox, snapshot, context.clone()).await?;
    if config.snapshot_from.is_none() {
        let log = OutboxConfig { snapshot: SnapshotMode::None, ..config };
        from_table.checkpoint.merge(begin(outbox, log, context).await?.checkpoint);
    }
    Ok(from_table)
}

/// Where a source of this configuration would begin. Nothing is read.
async fn begin(outbox: &Outbox, config: OutboxConfig, context: Context) -> Result<Start, Error> {
    let source = outbox.open(config, Checkpoint::default(), context).await?;
    let begin = source.start();
    source.close().await?;
    Ok(begin)
}
