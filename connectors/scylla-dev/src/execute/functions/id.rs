//! `uuid()`, `now()`, `minTimeuuid()`, `maxTimeuuid()`.
use bytes::Bytes;
use scylla_cql::frame::response::result::NativeType;
use uuid::Uuid;

use super::{Definition, Input};
use crate::error::DbError;
use crate::value::timeuuid;

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition { name: "uuid", arguments: &[], returns: NativeType::Uuid, eval: random },
    Definition { name: "now", arguments: &[], returns: NativeType::Timeuuid, eval: now },
    Definition { name: "currenttimeuuid", arguments: &[], returns: NativeType::Timeuuid, eval: now },
    Definition {
        name: "mintimeuuid",
        arguments: &[NativeType::Timestamp],
        returns: NativeType::Timeuuid,
        eval: smallest,
    },
    Definition {
        name: "maxtimeuuid",
        arguments: &[NativeType::Timestamp],
        returns: NativeType::Timeuuid,
        eval: largest,
    },
];

fn id(id: Uuid) -> Option<Bytes> {
    Some(Bytes::copy_from_slice(id.as_bytes()))
}

fn random(_: &Input<'_>) -> Result<Option<Bytes>, DbError> {
    Ok(id(Uuid::new_v4()))
}

/// Each call gives another id, also within one statement.
fn now(input: &Input<'_>) -> Result<Option<Bytes>, DbError> {
    let (_, salt) = Uuid::new_v4().as_u64_pair();
    Ok(id(timeuuid::at(input.now, salt)))
}

fn smallest(input: &Input<'_>) -> Result<Option<Bytes>, DbError> {
    Ok(input.fixed(0).and_then(|millis| id(timeuuid::min_of(i64::from_be_bytes(millis)))))
}

fn largest(input: &Input<'_>) -> Result<Option<Bytes>, DbError> {
    Ok(input.fixed(0).and_then(|millis| id(timeuuid::max_of(i64::from_be_bytes(millis)))))
}
