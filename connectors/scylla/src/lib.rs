//! All that knows ScyllaDB: the session, the CDC reader and the scylla-outbox source.
#![forbid(unsafe_code)]
