//! Conversions between time-uuids, timestamps and dates, and the current time.
use bytes::Bytes;
use scylla_cql::frame::response::result::NativeType;
use uuid::Uuid;

use super::{Definition, Input};
use crate::error::DbError;
use crate::value::timeuuid;

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition { name: "currenttimestamp", arguments: &[], returns: NativeType::Timestamp, eval: timestamp },
    Definition { name: "currentdate", arguments: &[], returns: NativeType::Date, eval: date },
    Definition { name: "currenttime", arguments: &[], returns: NativeType::Time, eval: time },
    Definition { name: "dateof", arguments: ID, returns: NativeType::Timestamp, eval: timestamp },
    Definition { name: "unixtimestampof", arguments: ID, returns: NativeType::BigInt, eval: timestamp },
    Definition { name: "totimestamp", arguments: ID, returns: NativeType::Timestamp, eval: timestamp },
    Definition { name: "totimestamp", arguments: DATE, returns: NativeType::Timestamp, eval: timestamp },
    Definition { name: "tounixtimestamp", arguments: ID, returns: NativeType::BigInt, eval: timestamp },
    Definition {
        name: "tounixtimestamp",
        arguments: TIMESTAMP,
        returns: NativeType::BigInt,
        eval: timestamp,
    },
    Definition { name: "tounixtimestamp", arguments: DATE, returns: NativeType::BigInt, eval: timestamp },
    Definition { name: "todate", arguments: ID, returns: NativeType::Date, eval: date },
    Definition { name: "todate", arguments: TIMESTAMP, returns: NativeType::Date, eval: date },
];

const ID: &[NativeType] = &[NativeType::Timeuuid];
const TIMESTAMP: &[NativeType] = &[NativeType::Timestamp];
const DATE: &[NativeType] = &[NativeType::Date];

const DAY: i64 = 86_400_000;

/// The argument, or the current time where there is none, in milliseconds since 1970. `None` for an empty value.
fn millis(input: &Input<'_>) -> Option<i64> {
    match input.function.arguments.first() {
        None => Some(input.now.div_euclid(1000)),
        Some(NativeType::Timeuuid) => {
            Some(timeuuid::micros(&Uuid::from_bytes(input.fixed(0)?)).div_euclid(1000))
        }
        Some(NativeType::Date) => Some((i64::from(u32::from_be_bytes(input.fixed(0)?)) - (1 << 31)) * DAY),
        Some(_) => Some(i64::from_be_bytes(input.fixed(0)?)),
    }
}

fn timestamp(input: &Input<'_>) -> Result<Option<Bytes>, DbError> {
    Ok(millis(input).map(|millis| Bytes::copy_from_slice(&millis.to_be_bytes())))
}

fn date(input: &Input<'_>) -> Result<Option<Bytes>, DbError> {
    let days = millis(input).and_then(|millis| u32::try_from(millis.div_euclid(DAY) + (1 << 31)).ok());
    Ok(days.map(|days| Bytes::copy_from_slice(&days.to_be_bytes())))
}

fn time(input: &Input<'_>) -> Result<Option<Bytes>, DbError> {
    let nanos = input.now.rem_euclid(DAY * 1000) * 1000;
    Ok(Some(Bytes::copy_from_slice(&nanos.to_be_bytes())))
}
