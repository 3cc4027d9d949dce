//! What a pipeline file may say about the file sink.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::config::Problem;

/// Records go to a file, one JSON line each, synced before they count as written.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// The file, made if it is not there; its folder must be.
    pub path: PathBuf,
}

impl FileConfig {
    pub(super) fn check(&self) -> Vec<Problem> {
        let is_folder = self.path.to_string_lossy().ends_with('/') || self.path.file_name().is_none();
        let problem =
            || Problem::new("/path", "this names no file").help("write a path such as `out/orders.jsonl`");
        is_folder.then(problem).into_iter().collect()
    }
}
