//! An in-process ScyllaDB for demonstrations and tests: CQL v4 over TCP with a CDC log.
#![forbid(unsafe_code)]
