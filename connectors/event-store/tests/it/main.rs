//! The event store against a server over TCP: real Cassandra or ScyllaDB where `SCYLLA_NODES` names one, otherwise
//! the in-process development server.
mod appends;
mod commands;
mod counter;
mod faults;
mod place;
mod proxy;
mod recovery;
