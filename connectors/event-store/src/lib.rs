//! The writing side: append events and outbox rows to ScyllaDB without losing or doubling one.
#![forbid(unsafe_code)]
