//! Connectors of this machine: a generator source, file and stdout sinks.
#![forbid(unsafe_code)]
