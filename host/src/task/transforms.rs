//! Applies a chain of transforms to a batch.

use std::sync::Arc;

use weir_sdk::dead_letter::Stage;
use weir_sdk::{Error, Record, Records, Transform};

use super::dead_letters::Dead;

/// One transform of a chain.
#[derive(Clone)]
pub struct Step {
    /// The transform connector's name.
    pub name: Arc<str>,
    /// What it does.
    pub transform: Arc<dyn Transform>,
}

/// What a chain makes of a batch.
pub struct Applied {
    /// What the records became, in order.
    pub records: Records,
    /// Those that a transform refused, as they were read.
    pub refused: Vec<Dead>,
}

/// Sends every record through the chain; without transforms the records stay the very same. What becomes of a record
/// keeps its origin.
pub fn apply(chain: &[Step], records: Records) -> Applied {
    if chain.is_empty() {
        return Applied { records, refused: Vec::new() };
    }
    let (mut made, mut from, mut refused) = (Vec::with_capacity(records.len()), Vec::new(), Vec::new());
    for record in records.iter() {
        let begin = made.len();
        if let Err((refused_by, error)) = apply_one(chain, record, &mut made, &mut from) {
            made.truncate(begin);
            from.clear();
            refused.push(Dead { record: record.clone(), stage: Stage::Transform, refused_by, error });
        }
        for made in &mut made[begin..] {
            if made.origin != record.origin {
                made.origin = record.origin.clone();
            }
        }
    }
    Applied { records: made.into(), refused }
}

/// Pushes onto `made` what becomes of `record`; `from` is empty before, and after unless a transform refuses: its name
/// and why.
fn apply_one(
    chain: &[Step],
    record: &Record,
    made: &mut Vec<Record>,
    from: &mut Vec<Record>,
) -> Result<(), (Arc<str>, Error)> {
    let begin = made.len();
    made.push(record.clone());
    for Step { name, transform } in chain {
        from.extend(made.drain(begin..));
        for input in from.drain(..) {
            transform.apply(input, made).map_err(|error| (name.clone(), error))?;
        }
    }
    Ok(())
}
