//! Integers, floats, varints and decimals from their digits.
use std::str::FromStr;

use num_bigint::BigInt;
use scylla_cql::frame::response::result::{ColumnType, NativeType};

use crate::error::DbError;
use crate::value::types;

/// An integer of a fixed size.
pub(super) fn integer<T: FromStr>(text: &str, native: &NativeType) -> Result<T, DbError> {
    text.parse().map_err(|_| unable(text, native))
}

/// An integer literal as `native`; `None` when the type takes no integers.
pub(super) fn from_integer(text: &str, native: &NativeType) -> Result<Option<Vec<u8>>, DbError> {
    use NativeType as N;
    Ok(Some(match native {
        N::TinyInt => integer::<i8>(text, native)?.to_be_bytes().to_vec(),
        N::SmallInt => integer::<i16>(text, native)?.to_be_bytes().to_vec(),
        N::Int => integer::<i32>(text, native)?.to_be_bytes().to_vec(),
        N::BigInt => integer::<i64>(text, native)?.to_be_bytes().to_vec(),
        N::Varint => integer::<BigInt>(text, native)?.to_signed_bytes_be(),
        _ => return from_float(text, native),
    }))
}

/// A number literal as `native`; `None` when the type takes none.
pub(super) fn from_float(text: &str, native: &NativeType) -> Result<Option<Vec<u8>>, DbError> {
    use NativeType as N;
    Ok(Some(match native {
        N::Float => integer::<f32>(text, native)?.to_be_bytes().to_vec(),
        N::Double => integer::<f64>(text, native)?.to_be_bytes().to_vec(),
        N::Decimal => decimal(text).ok_or_else(|| unable(text, native))?,
        _ => return Ok(None),
    }))
}

fn unable(text: &str, native: &NativeType) -> DbError {
    let name = types::name(&ColumnType::Native(native.clone()));
    DbError::invalid(format!("Unable to make {name} from '{text}'"))
}

/// Digits with a point and an exponent as scale and unscaled number.
fn decimal(text: &str) -> Option<Vec<u8>> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: BigInt = format!("{whole}{fraction}").parse().ok()?;
    let exponent: i32 = exponent.parse().ok()?;
    let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    let mut bytes = scale.to_be_bytes().to_vec();
    bytes.extend(digits.to_signed_bytes_be());
    Some(bytes)
}
