//! What a pipeline file may say about the file sink and the file source.

use std::path::{Path, PathBuf};

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
        names_a_file(&self.path)
    }
}

/// Records come from a file, one JSON line each, as the file sink writes them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSourceConfig {
    /// The file; without one there are no records yet.
    pub path: PathBuf,
    /// When reading is done.
    #[serde(default)]
    pub until: Until,
}

/// When reading is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// Never: what is appended later is read too.
    #[default]
    Forever,
    /// At the end of the file.
    End,
}

impl FileSourceConfig {
    pub(super) fn check(&self) -> Vec<Problem> {
        names_a_file(&self.path)
    }
}

fn names_a_file(path: &Path) -> Vec<Problem> {
    let is_folder = path.to_string_lossy().ends_with('/') || path.file_name().is_none();
    let problem =
        || Problem::new("/path", "this names no file").help("write a path such as `out/orders.jsonl`");
    is_folder.then(problem).into_iter().collect()
}
