//! The Weir host as a library: configuration, registry, task loop, middleware, checkpoints, supervision, HTTP.
#![forbid(unsafe_code)]

pub mod checkpoints;
pub mod config;
pub mod control;
pub mod data_dir;
pub mod gap;
pub mod http;
pub mod middleware;
pub mod orders;
pub mod rebuild;
pub mod registry;
pub mod run;
pub mod state;
pub mod stop;
pub mod supervisor;
pub mod task;
pub mod telemetry;
