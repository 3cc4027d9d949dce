//! Whole tasks on a paused clock, with sources and sinks in memory.

mod bench;
mod delivery;
mod failures;
mod stopping;
