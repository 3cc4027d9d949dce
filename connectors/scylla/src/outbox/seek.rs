//! Where a task may be sent.

use weir_sdk::{Checkpoint, Context, Error, SourceConnector as _, Start, To};

use super::config::OutboxConfig;
use super::source::Outbox;
use crate::reader::config::{SnapshotMode, StartAt};

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
