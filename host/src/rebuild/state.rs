//! `State`: what a rebuild fills, what decides what comes of it, and how far it is.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use weir_sdk::{Error, ErrorKind, Place};

use crate::config::{Block, PipelineConfig, SinkConfig};

/// The file's name in the folder of a rebuild.
pub(super) const FILE: &str = "state.json";

const VERSION: u8 = 1;

/// What a rebuild fills, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// What is filled.
    pub place: Place,
    /// Where that is.
    pub way: Way,
    /// How far it is.
    pub phase: Phase,
    /// What decides what comes of it: the parts of the pipeline, each with a sum of what was written of it.
    pub made_of: BTreeMap<String, u32>,
}

/// Where the place is that is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Beside the one that the task fills.
    Beside,
    /// It is that one.
    InPlace,
}

/// How far a rebuild is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The place is to be emptied first; nothing was read.
    Emptying,
    /// Records are read and written.
    Filling,
    /// Everything there was at some time since it began is written.
    CaughtUp,
}

/// As it is kept.
#[derive(Deserialize, Serialize)]
struct Kept {
    version: u8,
    state: Value,
}

impl State {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let state = serde_json::to_value(self).unwrap_or_default();
        serde_json::to_vec(&Kept { version: VERSION, state }).unwrap_or_default()
    }
}

/// The state that lies in a folder, whoever has it; `None` where there is none.
pub(super) fn look(folder: &Path) -> Result<Option<State>, Error> {
    let path = folder.join(FILE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(super::unusable(&path, error)),
    };
    let kept: Option<Kept> = serde_json::from_slice(&bytes).ok();
    let state = kept.filter(|kept| kept.version == VERSION);
    let state = state.and_then(|kept| serde_json::from_value(kept.state).ok());
    state.map(Some).ok_or_else(|| {
        let message = format!("{} is damaged, or of another version", path.display());
        Error::new(ErrorKind::Config, message)
            .advice("finish the rebuild with the version that began it, or remove its folder and begin anew")
    })
}

/// What decides what comes of a rebuild, part by part. What a reference such as `${env:NAME}` stands for is no part of it.
pub fn made_of(pipeline: &PipelineConfig, sink: &SinkConfig, place: &Place) -> BTreeMap<String, u32> {
    let block = |block: &Block| serde_json::json!([block.connector, block.written()]);
    let transforms: Vec<_> = pipeline.transforms.iter().map(block).collect();
    let parts = [
        ("source", block(&pipeline.source)),
        ("transforms", transforms.into()),
        ("sink", serde_json::json!([sink.sink.connector, place.put_in(sink.sink.written().clone())])),
    ];
    parts.map(|(part, value)| (part.to_owned(), crc32fast::hash(value.to_string().as_bytes()))).into()
}

#[cfg(test)]
mod tests {
    use super::look;

    #[test]
    fn what_is_damaged_is_never_taken_for_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(look(folder.path()).unwrap(), None);
        for damaged in ["", "{}", r#"{"version":2,"place":{"pointer":"/table","name":"t"}}"#] {
            std::fs::write(folder.path().join("state.json"), damaged).unwrap();
            let error = look(folder.path()).unwrap_err();
            assert!(error.to_string().contains("damaged, or of another version"), "{error}");
        }
    }
}
