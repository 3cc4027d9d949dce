//! What the operator sees of a run: its log, and its figures for Prometheus.

pub mod logs;
pub mod metrics;
mod process;
mod repeats;
