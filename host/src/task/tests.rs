//! Whole tasks on a paused clock, with sources and sinks in memory.

mod bench;
mod dead_letters;
mod delays;
mod delivery;
mod failures;
mod gap;
mod orders;
mod saving;
mod stopping;
