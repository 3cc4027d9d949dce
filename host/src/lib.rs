//! The Weir host as a library: configuration, registry, task loop, middleware, checkpoints, supervision, HTTP.
#![forbid(unsafe_code)]

pub mod middleware;
pub mod state;
pub mod stop;
pub mod supervisor;
pub mod task;
