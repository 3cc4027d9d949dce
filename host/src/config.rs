//! Pipeline files: from YAML to [`PipelineConfig`], or to a [`Report`] of everything that is wrong with them.
//!
//! A file becomes a tree in which each node knows its bytes; references are resolved in that tree; JSON made from it is
//! read into types (the host's own for the frame, each connector's for its block). Every step goes on after a problem,
//! and every problem is a JSON pointer, which the tree turns into a line and a caret. What a reference stands for is
//! never shown: [`Mask`] puts the reference back, and `Debug` shows files as they were written.
//!
//! * [`load()`]: files and folders to pipelines; [`load_texts`] for texts that do not lie on disk
//! * [`Lookup`]: where references lead, passed in, since only `main` reads the environment
//! * [`schema()`]: the same types as a JSON Schema, for editors

mod check;
mod dead_letter;
mod file;
mod load;
mod mask;
mod name;
mod node;
mod pipeline;
mod reference;
mod report;
mod resilience;
mod schema;
#[cfg(test)]
mod tests;
mod written;

pub use load::{load, load_texts};
pub use mask::Mask;
pub use pipeline::{Block, DeadLetterConfig, PipelineConfig, SinkConfig};
pub use reference::Lookup;
pub use report::Report;
pub use schema::{schema, schema_text};
