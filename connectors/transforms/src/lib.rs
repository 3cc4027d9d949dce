//! The built-in transforms: pure steps between a source and its sinks, one file each.
//!
//! Reading order:
//! * [`filter`]: which records go on
//! * [`route`]: a header that says where, for a sink whose topic is a template
//! * [`headers`]: headers set, renamed and dropped
//! * [`extract`]: fields of a JSON payload as key, headers and time
//! * `condition` and `literal`: what `filter` and `route` ask of a record, with `weir_sdk::json` to look into a payload
//!
//! A record that a transform cannot work with is at fault itself ([`Record`]), and no message quotes its payload.
//! Nothing is parsed unless a transform asks for a field, and what is taken out of a payload is a slice of it.
//!
//! [`Record`]: weir_sdk::ErrorKind::Record
#![forbid(unsafe_code)]

mod condition;
pub mod extract;
pub mod filter;
pub mod headers;
mod literal;
pub mod route;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use weir_sdk::TransformFactory;
use weir_sdk::connector::transform;

/// The transforms of this crate, for the list of built-in connectors.
pub fn transforms() -> Vec<Arc<dyn TransformFactory>> {
    vec![
        transform(filter::Filter),
        transform(route::Route),
        transform(headers::Headers),
        transform(extract::Extract),
    ]
}
