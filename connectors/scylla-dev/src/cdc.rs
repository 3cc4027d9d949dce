//! The CDC log: which rows a write leaves in it.
//!
//! The mutations of one statement or batch are [`change::gather`]ed by partition and split by write timestamp; each such
//! group becomes one run of log rows ([`record::Recorder`]): preimages, then what changed, then postimages. All of it
//! goes to the stream that the [`generation::Generation`] of that time names for the partition's token; [`streams`] has
//! the generations of all tables.
mod change;
mod delta;
mod encode;
pub mod generation;
mod image;
mod record;
pub mod sharding;
pub mod streams;

pub(crate) use change::gather;
pub(crate) use record::Recorder;
