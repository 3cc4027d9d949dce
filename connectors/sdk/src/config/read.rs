//! `read`: the loop that reads, notes a problem, cuts the faulty node out and reads again.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::fault::{Detail, Place};
use super::here::Here;
use super::missing::Schema;
use super::problem::Problem;

/// One pass is needed for each problem; whoever has more reads the report twice.
const MOST: usize = 100;

/// Reads a typed configuration out of JSON.
///
/// # Errors
/// Every problem, in the order of finding, with pointers relative to `value`.
pub fn read<T: DeserializeOwned + JsonSchema>(value: &Value) -> Result<T, Vec<Problem>> {
    let mut cut = BTreeSet::new();
    let mut problems = Vec::new();
    let mut schema = None;
    loop {
        let fault = match T::deserialize(Here::root(value, &cut)) {
            Ok(config) if problems.is_empty() => return Ok(config),
            Ok(_) => return Err(problems),
            Err(fault) => fault.detail(),
        };
        let place = fault.place.clone().unwrap_or_else(Place::root);
        if fault.missing.is_some() {
            let schema = schema.get_or_insert_with(|| Schema::of::<T>(value));
            problems.extend(schema.missing(&place.pointer, &fault, &cut));
        } else if !follows_from(&cut, &place) {
            problems.push(problem(fault, &place));
        }
        if place == Place::root() || problems.len() >= MOST || !cut.insert(place) {
            return Err(problems);
        }
    }
}

fn problem(fault: Detail, place: &Place) -> Problem {
    Problem {
        pointer: place.pointer.clone(),
        within: place.range(),
        on_key: fault.on_key,
        message: fault.message,
        help: fault.help,
    }
}

/// A node that lost a part to an earlier cut may fail for that alone.
fn follows_from(cut: &BTreeSet<Place>, place: &Place) -> bool {
    cut.iter().any(|earlier| {
        let below = earlier.pointer.strip_prefix(&place.pointer);
        below.is_some_and(|rest| rest.starts_with('/') || (rest.is_empty() && place.within.is_none()))
    })
}
