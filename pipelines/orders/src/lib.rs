//! The orders example: commands, events and rules of one aggregate, written through the event store.
#![forbid(unsafe_code)]
