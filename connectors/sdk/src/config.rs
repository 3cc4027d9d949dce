//! Reading typed configuration, every problem at once.
//!
//! A connector declares a plain config type and [`read()`] fills it from JSON. Where serde stops at the first mistake,
//! `read` notes it, cuts the faulty node out and reads on, so an operator sees the whole list in one run. It knows no
//! YAML and no file: a [`Problem`] carries a JSON pointer, and the host turns that into file, line and caret.
//!
//! What a config type may rely on:
//! * Text is accepted where a number, `true` or `false` is wanted, since a reference such as `${env:PORT}` is text.
//! * Where a list of text is wanted, an item with commas is several, and a single text is a list.
//! * `#[serde(deny_unknown_fields)]` makes a misspelt key a problem with a "did you mean".
//! * No `flatten`, `untagged`, `alias` or `tag`: serde loses the place inside them.
//! * A custom error text may have two lines: what is wrong, and below it what to do.

mod duration;
mod elements;
mod endpoint;
mod entries;
mod fault;
mod here;
mod missing;
mod problem;
mod read;
mod scalars;
mod secret;
mod sentence;
mod size;
mod suggest;
#[cfg(test)]
mod tests;
mod variant;

pub use duration::HumanDuration;
pub use endpoint::Endpoint;
pub use problem::{Problem, child};
pub use read::read;
pub use secret::Secret;
pub use sentence::first_sentence;
pub use size::ByteSize;
pub use suggest::{did_you_mean, name_help};
