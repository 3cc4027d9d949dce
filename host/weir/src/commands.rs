//! One file for each command.

pub(crate) mod client;
pub(crate) mod connectors;
pub(crate) mod dlq;
pub(crate) mod listener;
pub(crate) mod operate;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod validate;
