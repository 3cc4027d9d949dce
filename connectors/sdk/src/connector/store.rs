//! Kinds of checkpoint stores: [`StoreConnector`] for authors, [`StoreFactory`] for the host.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::typed::Typed;
use crate::config::Problem;
use crate::error::Error;
use crate::store::CheckpointStore;

/// A kind of place where checkpoints are kept.
pub trait StoreConnector: Send + Sync + 'static {
    /// The name in YAML.
    const NAME: &'static str;
    /// The `config:` block.
    type Config: DeserializeOwned + JsonSchema + Send + Sync;

    /// Problems that the types cannot express, found without the network.
    fn check(&self, _config: &Self::Config) -> Vec<Problem> {
        Vec::new()
    }

    /// A store that meets its far side at the first call, so that one which is away is waited for like any other.
    /// `holder` says who we are, to whoever asks the store who has a task.
    fn open(&self, config: Self::Config, holder: String) -> Arc<dyn CheckpointStore>;
}

/// A kind of checkpoint store as the host holds it.
pub trait StoreFactory: Send + Sync {
    /// The name in YAML.
    fn name(&self) -> &str;
    /// The JSON Schema of the `config:` block.
    fn config_schema(&self) -> Value;
    /// Every problem of a `config:` block, with pointers relative to it; no network.
    fn check(&self, config: &Value) -> Vec<Problem>;
    /// Reads the block and makes a store of it; `holder` says who we are.
    ///
    /// # Errors
    /// What [`check`](Self::check) finds.
    fn open(&self, config: &Value, holder: String) -> Result<Arc<dyn CheckpointStore>, Error>;
}

/// Erases the type of a kind of store.
pub fn store<C: StoreConnector>(connector: C) -> Arc<dyn StoreFactory> {
    Arc::new(Typed(connector))
}
