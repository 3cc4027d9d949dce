//! The Weir host as a library: configuration, registry, task loop, middleware, checkpoints, supervision, HTTP.
#![forbid(unsafe_code)]

pub mod state;
