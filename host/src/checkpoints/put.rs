//! `put`: another checkpoint in the place of what is saved for a task, whatever the store.

use weir_sdk::store::Saved;
use weir_sdk::{Checkpoint, CheckpointStore, Error, TaskId};

/// Takes the task, and puts this checkpoint in the place of what is saved by then: partitions that only that one names
/// are retired.
///
/// # Errors
/// Those of the store; what was saved is then as it was.
pub async fn put(store: &dyn CheckpointStore, task: &TaskId, anew: &Saved) -> Result<(), Error> {
    let former = store.claim(task).await?;
    let mut checkpoint = Checkpoint::default();
    for (partition, _) in former.iter().flat_map(|former| former.checkpoint.iter()) {
        checkpoint.retire(partition.clone());
    }
    checkpoint.merge(anew.checkpoint.clone());
    store.save(task, &anew.identity, &checkpoint).await
}
