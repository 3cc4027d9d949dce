//! A source and a sink in memory, each with a handle to look inside.

mod sink;
mod source;

pub use sink::MemorySink;
pub use source::{MemorySource, Step};
