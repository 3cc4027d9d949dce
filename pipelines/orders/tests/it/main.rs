//! The example against a server over TCP: real Cassandra or ScyllaDB where `SCYLLA_NODES` names one, otherwise the
//! in-process development server.
mod load;
mod place;
