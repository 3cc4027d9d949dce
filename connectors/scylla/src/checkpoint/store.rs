//! The store: claims, loads and saves; the newer claim wins.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use uuid::Uuid;
use weir_sdk::config::Problem;
use weir_sdk::store::Saved;
use weir_sdk::{Checkpoint, CheckpointStore, Error, ErrorKind, StoreConnector, TaskId, async_trait};

use super::config::CheckpointConfig;
use super::slots::{Change, Slots};
use super::statements::{Found, Save, Statements};
use super::table;
use crate::hub::Hub;

/// Keeps checkpoints in a table.
#[derive(Clone, Debug, Default)]
pub struct ScyllaCheckpoints {
    hub: Hub,
}

impl ScyllaCheckpoints {
    /// Shares the sessions of this hub.
    pub fn over(hub: Hub) -> Self {
        Self { hub }
    }
}

impl StoreConnector for ScyllaCheckpoints {
    const NAME: &'static str = "scylla";
    type Config = CheckpointConfig;

    fn check(&self, config: &CheckpointConfig) -> Vec<Problem> {
        config.problems()
    }

    fn open(&self, config: CheckpointConfig, holder: String) -> Arc<dyn CheckpointStore> {
        let (hub, us) = (self.hub.clone(), Uuid::new_v4());
        let (statements, tasks) = (OnceCell::new(), Mutex::default());
        Arc::new(Store { config, hub, us, holder, statements, tasks })
    }
}

/// The most bytes of one batch: far below what ScyllaDB refuses (1 MiB), far above what a save has in good times.
const LARGEST: usize = 256 << 10;
/// How often two who claim one task at the same moment try before one of them waits.
const ATTEMPTS: usize = 5;
/// A host that runs saves at least every second, also when its source is idle.
const LOOK: Duration = Duration::from_millis(2500);

struct Store {
    config: CheckpointConfig,
    hub: Hub,
    /// Who has what this store claimed.
    us: Uuid,
    /// What we say of ourselves.
    holder: String,
    statements: OnceCell<Statements>,
    tasks: Mutex<HashMap<TaskId, Arc<tokio::sync::Mutex<Held>>>>,
}

/// What is known of a task that was claimed.
#[derive(Default)]
struct Held {
    /// It was ours at some time. If it is no longer, somebody has taken it.
    is_claimed: bool,
    identity: Option<String>,
    saves: i64,
    slots: Slots,
}

#[async_trait]
impl CheckpointStore for Store {
    async fn load(&self, task: &TaskId) -> Result<Option<Saved>, Error> {
        let found = self.statements().await?.read(task).await;
        Ok(saved(&self.explained(found).await?))
    }

    async fn claim(&self, task: &TaskId) -> Result<Option<Saved>, Error> {
        let (statements, held) = (self.statements().await?, self.held(task));
        let mut held = held.lock().await;
        for _ in 0..ATTEMPTS {
            let read = statements.read(task).await;
            let found = self.explained(read).await?;
            match &found.owner {
                Some((owner, _)) if *owner == self.us => {
                    let saved = saved(&found);
                    let Found { identity, saves, slots, .. } = found;
                    *held = Held { is_claimed: true, identity, saves, slots };
                    return Ok(saved);
                }
                Some((_, holder)) if held.is_claimed => return Err(fenced(task, holder)),
                other => {
                    let before = other.as_ref().map(|(owner, _)| *owner);
                    let claimed = statements.claim(task, before, (self.us, &self.holder)).await;
                    // Whether it was ours before or not, what is there now is read again.
                    self.explained(claimed).await?;
                }
            }
        }
        let message = format!("several hosts claim {task} at the same time");
        Err(Error::new(ErrorKind::Transient, message).advice("stop all of them but one"))
    }

    async fn save(&self, task: &TaskId, identity: &str, checkpoint: &Checkpoint) -> Result<(), Error> {
        let (statements, held) = (self.statements().await?, self.held(task));
        let mut held = held.lock().await;
        if !held.is_claimed {
            return Err(Error::new(ErrorKind::Bug, format!("{task} is saved and was not claimed")));
        }
        if let Some(owner) = held.identity.as_ref().filter(|owner| *owner != identity) {
            return Err(self.foreign(task, owner, identity));
        }
        let changes = held.slots.place(checkpoint);
        for part in parts(&changes) {
            let saves = held.saves + 1;
            let save = Save { task, identity, owner: self.us, saves };
            let written = statements.save(&save, part).await;
            if !self.explained(written).await? {
                return Err(self.lost(task).await);
            }
            held.saves = saves;
            held.identity.get_or_insert_with(|| identity.to_owned());
        }
        held.slots.settle(checkpoint);
        Ok(())
    }

    async fn in_use(&self, task: &TaskId) -> Result<Option<String>, Error> {
        let statements = self.statements().await?;
        let read = statements.read(task).await;
        let before = self.explained(read).await?;
        if before.owner.as_ref().is_none_or(|(owner, _)| *owner == self.us) {
            return Ok(None);
        }
        tokio::time::sleep(LOOK).await;
        let read = statements.read(task).await;
        let now = self.explained(read).await?;
        Ok((now.saves != before.saves).then_some(now.owner).flatten().map(|(_, holder)| holder))
    }
}

impl Store {
    /// Connects at the first call, and at the next if that failed.
    async fn statements(&self) -> Result<&Statements, Error> {
        let open = async || {
            let session = self.hub.session(&self.config.session).await?;
            Statements::prepare(session, &self.config).await
        };
        let opened = self.statements.get_or_try_init(open).await;
        opened
            .map_err(|error| error.context(format_args!("checkpoint table {}", table::quoted(&self.config))))
    }

    fn held(&self, task: &TaskId) -> Arc<tokio::sync::Mutex<Held>> {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.entry(task.clone()).or_default().clone()
    }

    /// A statement that is refused is refused for what the table is now, which says what to do.
    async fn explained<T>(&self, answer: Result<T, Error>) -> Result<T, Error> {
        match answer {
            Err(error) if error.kind() == ErrorKind::Config => {
                self.statements().await?.check(&self.config).await?;
                Err(error)
            }
            answer => answer,
        }
        .map_err(|error| error.context(format_args!("checkpoint table {}", table::quoted(&self.config))))
    }

    /// The task is no longer ours: why.
    async fn lost(&self, task: &TaskId) -> Error {
        let read = match self.statements().await {
            Ok(statements) => statements.read(task).await,
            Err(error) => return error,
        };
        match read.map(|found| found.owner) {
            Ok(Some((_, holder))) => fenced(task, &holder),
            Ok(None) => {
                let table = table::quoted(&self.config);
                Error::new(ErrorKind::Config, format!("the checkpoint of {task} is gone from {table}")).advice(
                    "restore it, or let the task begin where its source's `start` says, as it does when it is tried \
                     again: from the earliest, unless it says otherwise, which repeats records and skips none",
                )
            }
            Err(error) => error,
        }
    }

    fn foreign(&self, task: &TaskId, owner: &str, identity: &str) -> Error {
        let message = format!(
            "the checkpoint of {task} belongs to another source: it is of {owner}, not of {identity}"
        );
        Error::new(ErrorKind::Config, message).advice(format!(
            "give the pipeline or the sink another name, and it begins with a checkpoint of its own; or bring the \
             former source back. {} keeps what it has",
            table::quoted(&self.config)
        ))
    }
}

fn saved(found: &Found) -> Option<Saved> {
    let identity = found.identity.clone()?;
    Some(Saved { identity, checkpoint: found.checkpoint.clone() })
}

fn fenced(task: &TaskId, holder: &str) -> Error {
    Error::new(ErrorKind::Fenced, format!("{task} was taken over by {holder}")).advice(
        "nothing to do, if that is meant: it goes on there; otherwise give one of the two pipelines another name",
    )
}

/// Runs of changes that fit a batch. More than one is rare, and each is right by itself: an offset that was not moved
/// yet covers less than it could.
fn parts(changes: &[Change]) -> Vec<&[Change]> {
    let (mut parts, mut begin, mut bytes) = (Vec::new(), 0, 0);
    for (index, change) in changes.iter().enumerate() {
        bytes += change.size();
        if bytes > LARGEST && index > begin {
            parts.push(&changes[begin..index]);
            (begin, bytes) = (index, change.size());
        }
    }
    parts.push(&changes[begin..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::{Change, parts};

    #[test]
    fn a_large_save_is_several_batches_and_an_empty_one_is_one() {
        let change = |slot: i32| Change { slot, content: Some(("p".into(), vec![0; 100 << 10].into())) };
        let changes: Vec<_> = (0..5).map(change).collect();
        let sizes: Vec<_> = parts(&changes).iter().map(|part| part.len()).collect();
        assert_eq!(sizes, [2, 2, 1]);
        assert_eq!(parts(&[]).len(), 1);
        let huge = Change { slot: 0, content: Some(("p".into(), vec![0; 900 << 10].into())) };
        let sizes: Vec<_> = parts(&[change(1), huge, change(2)]).iter().map(|part| part.len()).collect();
        assert_eq!(sizes, [1, 1, 1]);
    }
}
