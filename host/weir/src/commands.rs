//! One file for each command.

pub(crate) mod connectors;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod validate;
