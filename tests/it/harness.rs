//! What these tests stand on: the real binary as a process, and an independent reader of the destination.

mod arrived;
mod broker;
mod database;
mod kafka;
mod matrix;
mod process;
mod reader;

pub(crate) use arrived::Arrived;
pub(crate) use broker::{Broker, real_kafka};
pub(crate) use database::Database;
pub(crate) use kafka::Kafka;
pub(crate) use matrix::{Fault, Outcome};
pub(crate) use process::{Weir, figure, get, task, written};
pub(crate) use reader::{Read, count, read_topic, until};
