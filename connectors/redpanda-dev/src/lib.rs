//! An embedded Kafka-compatible broker for demonstrations and tests.
//!
//! The log, the topics, the groups and the transactions are `noida-db`'s. What it lacks to be a good far side
//! is here, in reading order:
//!
//! * [`broker`]: [`RedpandaDev`], the handle: start, pause and resume on the same port, slow answers, stop;
//! * [`serve`]: the thread behind it: the listener, its connections, housekeeping;
//! * [`connection`]: frames in, answers out, one request at a time;
//! * [`dispatch`]: the table from request to engine;
//! * [`fetch`]: reads that wait for records and stop at the size asked for;
//! * [`groups`]: joins that wait for their round, members that vanished;
//! * [`topics`]: what a topic gets when its creator did not say.
//!
//! The broker runs on a thread and a runtime of its own. So it answers while a test blocks its own runtime,
//! and it keeps real time while a test pauses its clock.
#![forbid(unsafe_code)]

mod broker;
mod connection;
mod dispatch;
mod fetch;
mod groups;
mod serve;
mod topics;

pub use broker::RedpandaDev;
