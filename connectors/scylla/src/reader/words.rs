//! What a checkpoint of a log says to the operator.

use weir_sdk::{Checkpoint, Error, Timestamp};

use super::token::Position;
use crate::snapshot::ranges::Ranges;

/// The checkpoint in words, with the time up to which the log was read.
///
/// # Errors
/// It is damaged, or of another version.
pub fn position(checkpoint: &Checkpoint) -> Result<weir_sdk::Position, Error> {
    let Some(position) = Position::read(checkpoint)? else {
        return Ok(weir_sdk::Position::of(checkpoint));
    };
    let time = Timestamp(position.main.cut);
    let shown = jiff::Timestamp::from_microsecond(time.0).map(|time| format!("{time:.3}"));
    let shown = shown.unwrap_or_else(|_| "the begin of time".to_owned());
    let words = match Ranges::read(checkpoint)? {
        Some(_) => format!("reading the table's rows, then its log from {shown} on"),
        None if position.main.fresh.is_some() => format!("at the begin of the log, which is at {shown}"),
        None => format!("read up to {shown}"),
    };
    Ok(weir_sdk::Position { words, time: Some(time) })
}
