//! Whole tasks on a paused clock, with sources and sinks in memory.
