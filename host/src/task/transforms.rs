//! Applies a chain of transforms to a batch.

use std::sync::Arc;

use weir_sdk::{Error, Record, Records, Transform};

/// What the records become, in order; without transforms the very same.
///
/// # Errors
/// The first record that a transform refuses, with its place.
pub fn apply(chain: &[Arc<dyn Transform>], records: Records) -> Result<Records, Error> {
    if chain.is_empty() {
        return Ok(records);
    }
    let (mut made, mut from) = (Vec::with_capacity(records.len()), Vec::new());
    for record in records.iter() {
        let begin = made.len();
        made.push(record.clone());
        for transform in chain {
            from.extend(made.drain(begin..));
            for input in from.drain(..) {
                transform.apply(input, &mut made).map_err(|error| refused(record, error))?;
            }
        }
    }
    Ok(made.into())
}

fn refused(record: &Record, error: Error) -> Error {
    let origin = &record.origin;
    error.context(format_args!("transform of record {:?} of partition {}", origin.offset, origin.partition))
}
