//! Connectors of this machine: a generator source, file source and sink, stdout sink.
//!
//! Reading order:
//! * [`generator`]: records out of nothing but their number, at a rate, for trials and measurements
//! * [`mod@file`], [`stdout`]: one JSON line a record, appended and synced and read back, or printed
//! * `line`: what such a line holds; `writer`: the thread that appends in order and lets writes share a sync
#![forbid(unsafe_code)]

pub mod file;
pub mod generator;
mod line;
pub mod stdout;
mod writer;

use std::sync::Arc;

use weir_sdk::{Error, ErrorKind, SinkFactory, SourceFactory, connector};

/// The sources of this crate, for the list of built-in connectors.
pub fn sources() -> Vec<Arc<dyn SourceFactory>> {
    vec![connector::source(generator::Generator), connector::source(file::FileSource)]
}

/// The sinks of this crate, for the list of built-in connectors.
pub fn sinks() -> Vec<Arc<dyn SinkFactory>> {
    vec![connector::sink(file::File::default()), connector::sink(stdout::Stdout)]
}

/// These sources know no times, and where they end is not known before it is read.
fn begin_only(name: &str) -> Error {
    Error::new(ErrorKind::Config, format!("`{name}` can only be sent to its begin"))
        .advice("write `--to earliest`")
}
