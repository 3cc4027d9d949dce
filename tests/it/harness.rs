//! What these tests stand on: the real binary as a process, and an independent reader of the destination.

mod admin;
mod arrived;
mod broker;
mod certificates;
mod database;
mod kafka;
mod matrix;
mod process;
mod proxy;
mod reader;
mod watched;

pub(crate) use admin::Admin;
pub(crate) use arrived::Arrived;
pub(crate) use broker::{Broker, real_kafka};
pub(crate) use certificates::Authority;
pub(crate) use database::Database;
pub(crate) use kafka::{Kafka, free_port};
pub(crate) use matrix::{Fault, Outcome};
pub(crate) use process::{Weir, figure, figure_of, get, task, written};
pub(crate) use proxy::Proxy;
pub(crate) use reader::{Read, count, read_topic, until};
pub(crate) use watched::Watched;
