//! Numbers of any CQL type for sums, averages and casts.
use bytes::Bytes;
use scylla_cql::frame::response::result::{ColumnType, NativeType};

use crate::error::DbError;
use crate::value::{CqlType, types, types::decimal};

/// A number of some CQL type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Integer(i128),
    Float(f64),
    /// A decimal: digits and how many of them are behind the point.
    Decimal(i128, i32),
}

fn too_large() -> DbError {
    DbError::invalid("the number is too large for this server: more than 38 digits")
}

impl Number {
    /// Zero as a number of this type.
    pub(crate) fn zero(typ: &CqlType) -> Self {
        match typ {
            ColumnType::Native(NativeType::Float | NativeType::Double) => Self::Float(0.0),
            ColumnType::Native(NativeType::Decimal) => Self::Decimal(0, 0),
            _ => Self::Integer(0),
        }
    }

    /// Whether sums and casts know the type as one of numbers.
    pub(crate) fn is_type(native: &NativeType) -> bool {
        use NativeType as N;
        matches!(
            native,
            N::TinyInt | N::SmallInt | N::Int | N::BigInt | N::Varint | N::Float | N::Double | N::Decimal
        )
    }

    /// Reads a value of this type.
    pub(crate) fn read(typ: &CqlType, value: &[u8]) -> Result<Self, DbError> {
        let ColumnType::Native(native) = typ else { return Err(not_a_number(typ)) };
        if value.is_empty() {
            return Ok(Self::zero(typ));
        }
        match native {
            NativeType::Float => {
                let bytes = value.try_into().map_err(|_| not_a_number(typ))?;
                Ok(Self::Float(f64::from(f32::from_be_bytes(bytes))))
            }
            NativeType::Double => {
                Ok(Self::Float(f64::from_be_bytes(value.try_into().map_err(|_| not_a_number(typ))?)))
            }
            NativeType::Decimal => {
                let (scale, digits) = value.split_first_chunk().ok_or_else(|| not_a_number(typ))?;
                Ok(Self::Decimal(signed(digits)?, i32::from_be_bytes(*scale)))
            }
            native if Self::is_type(native) => Ok(Self::Integer(signed(value)?)),
            _ => Err(not_a_number(typ)),
        }
    }

    /// The number as a value of this type. Integers that are too large lose their upper bits, as in ScyllaDB.
    #[expect(clippy::cast_possible_truncation, reason = "that is what the cast is for")]
    pub(crate) fn write(self, typ: &CqlType) -> Result<Bytes, DbError> {
        let ColumnType::Native(native) = typ else { return Err(not_a_number(typ)) };
        let whole = self.whole();
        Ok(match native {
            NativeType::TinyInt => Bytes::copy_from_slice(&(whole as i8).to_be_bytes()),
            NativeType::SmallInt => Bytes::copy_from_slice(&(whole as i16).to_be_bytes()),
            NativeType::Int => Bytes::copy_from_slice(&(whole as i32).to_be_bytes()),
            NativeType::BigInt => Bytes::copy_from_slice(&(whole as i64).to_be_bytes()),
            NativeType::Float => Bytes::copy_from_slice(&(self.real() as f32).to_be_bytes()),
            NativeType::Double => Bytes::copy_from_slice(&self.real().to_be_bytes()),
            NativeType::Varint => bytes_of(whole, Vec::new()),
            NativeType::Decimal => match self {
                Self::Decimal(digits, scale) => bytes_of(digits, scale.to_be_bytes().to_vec()),
                Self::Integer(digits) => bytes_of(digits, 0_i32.to_be_bytes().to_vec()),
                Self::Float(value) => from_text(&value.to_string())?,
            },
            _ => return Err(not_a_number(typ)),
        })
    }

    pub(crate) fn add(self, other: Self) -> Result<Self, DbError> {
        match (self, other) {
            (Self::Integer(left), Self::Integer(right)) => {
                left.checked_add(right).map(Self::Integer).ok_or_else(too_large)
            }
            (Self::Decimal(left, from), Self::Decimal(right, to)) => {
                let scale = from.max(to);
                let (left, right) =
                    (shifted(left, scale.saturating_sub(from))?, shifted(right, scale.saturating_sub(to))?);
                left.checked_add(right).map(|sum| Self::Decimal(sum, scale)).ok_or_else(too_large)
            }
            (left, right) => Ok(Self::Float(left.real() + right.real())),
        }
    }

    /// Integers and decimals are cut off, not rounded.
    #[expect(clippy::cast_precision_loss, reason = "the average of floats is a float")]
    pub(crate) fn divide(self, by: i64) -> Self {
        match self {
            Self::Integer(value) => Self::Integer(value / i128::from(by)),
            Self::Decimal(digits, scale) => Self::Decimal(digits / i128::from(by), scale),
            Self::Float(value) => Self::Float(value / by as f64),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "floats beyond the range are cut to its ends")]
    fn whole(self) -> i128 {
        match self {
            Self::Integer(value) => value,
            Self::Float(value) => value as i128,
            Self::Decimal(digits, scale) if scale > 0 => {
                10_i128.checked_pow(scale.unsigned_abs()).map_or(0, |factor| digits / factor)
            }
            Self::Decimal(digits, scale) => shifted(digits, scale.saturating_neg()).unwrap_or(i128::MAX),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "the result is a float")]
    fn real(self) -> f64 {
        match self {
            Self::Integer(value) => value as f64,
            Self::Float(value) => value,
            Self::Decimal(digits, scale) => digits as f64 / 10_f64.powi(scale),
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Integer(value) => write!(out, "{value}"),
            Self::Float(value) => write!(out, "{value}"),
            Self::Decimal(digits, scale) => {
                let Some(behind) = usize::try_from(*scale).ok().filter(|behind| *behind > 0) else {
                    return write!(out, "{}", shifted(*digits, scale.saturating_neg()).unwrap_or(*digits));
                };
                let sign = if *digits < 0 { "-" } else { "" };
                let text = format!("{:0>width$}", digits.unsigned_abs(), width = behind + 1);
                let (whole, fraction) = text.split_at(text.len() - behind);
                write!(out, "{sign}{whole}.{fraction}")
            }
        }
    }
}

fn not_a_number(typ: &CqlType) -> DbError {
    DbError::invalid(format!("a value of type {} is not a number", types::name(typ)))
}

fn shifted(digits: i128, places: i32) -> Result<i128, DbError> {
    let factor = u32::try_from(places).ok().and_then(|places| 10_i128.checked_pow(places));
    factor.and_then(|factor| digits.checked_mul(factor)).ok_or_else(too_large)
}

/// A two's complement number of any length, big endian.
fn signed(value: &[u8]) -> Result<i128, DbError> {
    let negative = value.first().is_some_and(|first| first & 0x80 != 0);
    let filler = if negative { 0xFF } else { 0 };
    let value = if value.len() > 16 && value[..value.len() - 16].iter().all(|byte| *byte == filler) {
        &value[value.len() - 16..]
    } else {
        value
    };
    if value.len() > 16 {
        return Err(too_large());
    }
    let mut bytes = [filler; 16];
    bytes[16 - value.len()..].copy_from_slice(value);
    Ok(i128::from_be_bytes(bytes))
}

fn bytes_of(value: i128, mut front: Vec<u8>) -> Bytes {
    let digits: Vec<u8> = value.unsigned_abs().to_string().bytes().map(|digit| digit - b'0').collect();
    decimal::write_signed(&digits, value < 0, &mut front);
    front.into()
}

/// A float's shortest text as a decimal.
fn from_text(text: &str) -> Result<Bytes, DbError> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().map_err(|_| too_large())?;
    let scale = i32::try_from(fraction.len()).map_err(|_| too_large())?;
    Ok(bytes_of(digits, scale.to_be_bytes().to_vec()))
}
