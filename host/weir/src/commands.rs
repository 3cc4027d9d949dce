//! One file for each command.

pub mod connectors;
pub mod run;
pub mod schema;
pub mod validate;
