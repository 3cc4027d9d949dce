//! Numbers of any CQL type for sums, averages and casts.
use bytes::Bytes;
use num_bigint::BigInt;
use num_traits::{FromPrimitive, Signed, ToPrimitive, Zero};
use scylla_cql::frame::response::result::{ColumnType, NativeType};

use crate::error::DbError;
use crate::value::{CqlType, types};

/// A number of some CQL type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Number {
    Integer(BigInt),
    Float(f64),
    /// A decimal: digits and how many of them are behind the point.
    Decimal(BigInt, i32),
}

/// No decimal is written out with more zeros than this.
const MAX_SHIFT: u32 = 10_000;

impl Number {
    /// Zero as a number of this type.
    pub(crate) fn zero(typ: &CqlType) -> Self {
        match typ {
            ColumnType::Native(NativeType::Float | NativeType::Double) => Self::Float(0.0),
            ColumnType::Native(NativeType::Decimal) => Self::Decimal(BigInt::zero(), 0),
            _ => Self::Integer(BigInt::zero()),
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
                Ok(Self::Decimal(BigInt::from_signed_bytes_be(digits), i32::from_be_bytes(*scale)))
            }
            native if Self::is_type(native) => Ok(Self::Integer(BigInt::from_signed_bytes_be(value))),
            _ => Err(not_a_number(typ)),
        }
    }

    /// The number as a value of this type. Integers that are too large lose their upper bits, as in ScyllaDB.
    #[expect(clippy::cast_possible_truncation, reason = "that is what the cast is for")]
    pub(crate) fn write(&self, typ: &CqlType) -> Result<Bytes, DbError> {
        let ColumnType::Native(native) = typ else { return Err(not_a_number(typ)) };
        Ok(match native {
            NativeType::TinyInt => Bytes::copy_from_slice(&(self.int()? as i8).to_be_bytes()),
            NativeType::SmallInt => Bytes::copy_from_slice(&(self.int()? as i16).to_be_bytes()),
            NativeType::Int => Bytes::copy_from_slice(&self.int()?.to_be_bytes()),
            NativeType::BigInt => {
                let value = match self {
                    Self::Float(value) => *value as i64,
                    _ => low_bits(&self.whole()?),
                };
                Bytes::copy_from_slice(&value.to_be_bytes())
            }
            NativeType::Float => Bytes::copy_from_slice(&(self.real() as f32).to_be_bytes()),
            NativeType::Double => Bytes::copy_from_slice(&self.real().to_be_bytes()),
            NativeType::Varint => self.whole()?.to_signed_bytes_be().into(),
            NativeType::Decimal => match self {
                Self::Decimal(digits, scale) => decimal(digits, *scale),
                Self::Integer(digits) => decimal(digits, 0),
                Self::Float(value) => decimal_of(&value.to_string())?,
            },
            _ => return Err(not_a_number(typ)),
        })
    }

    pub(crate) fn add(self, other: Self) -> Result<Self, DbError> {
        match (self, other) {
            (Self::Integer(left), Self::Integer(right)) => Ok(Self::Integer(left + right)),
            (Self::Decimal(left, from), Self::Decimal(right, to)) => {
                let scale = from.max(to);
                let left = shifted(&left, i64::from(scale) - i64::from(from))?;
                Ok(Self::Decimal(left + shifted(&right, i64::from(scale) - i64::from(to))?, scale))
            }
            (left, right) => Ok(Self::Float(left.real() + right.real())),
        }
    }

    /// Integers are cut off; decimals keep their scale and are rounded half to even.
    #[expect(clippy::cast_precision_loss, reason = "the average of floats is a float")]
    pub(crate) fn divide(self, by: i64) -> Self {
        match self {
            Self::Integer(value) => Self::Integer(value / by),
            Self::Decimal(digits, scale) => {
                let (quotient, rest): (BigInt, BigInt) = (&digits / by, &digits % by);
                let twice: BigInt = rest.abs() * 2;
                let odd = (&quotient % 2_i64) != BigInt::zero();
                let away = twice > BigInt::from(by) || (twice == BigInt::from(by) && odd);
                Self::Decimal(if away { quotient + digits.signum() } else { quotient }, scale)
            }
            Self::Float(value) => Self::Float(value / by as f64),
        }
    }

    /// As an int, of which smaller integers take the lower bits; floats beyond the range are cut to its ends.
    #[expect(clippy::cast_possible_truncation, reason = "that is what the cast is for")]
    fn int(&self) -> Result<i32, DbError> {
        match self {
            Self::Float(value) => Ok(*value as i32),
            _ => Ok(low_bits(&self.whole()?) as i32),
        }
    }

    fn whole(&self) -> Result<BigInt, DbError> {
        match self {
            Self::Integer(value) => Ok(value.clone()),
            Self::Float(value) => Ok(BigInt::from_f64(*value).unwrap_or_default()),
            Self::Decimal(digits, scale) => shifted(digits, -i64::from(*scale)),
        }
    }

    fn real(&self) -> f64 {
        match self {
            Self::Integer(value) => value.to_f64().unwrap_or(f64::NAN),
            Self::Float(value) => *value,
            Self::Decimal(digits, scale) => {
                format!("{digits}e{}", -i64::from(*scale)).parse().unwrap_or(f64::NAN)
            }
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Integer(value) => write!(out, "{value}"),
            Self::Float(value) => write!(out, "{value}"),
            Self::Decimal(digits, scale) => {
                let behind = usize::try_from(*scale).ok().filter(|behind| *behind <= MAX_SHIFT as usize);
                let Some(behind) = behind.filter(|behind| *behind > 0) else {
                    return match shifted(digits, -i64::from(*scale)) {
                        Ok(whole) if *scale <= 0 => write!(out, "{whole}"),
                        _ => write!(out, "{digits}E{}", -i64::from(*scale)),
                    };
                };
                let sign = if digits.is_negative() { "-" } else { "" };
                let text = format!("{:0>width$}", digits.magnitude().to_string(), width = behind + 1);
                let (whole, fraction) = text.split_at(text.len() - behind);
                write!(out, "{sign}{whole}.{fraction}")
            }
        }
    }
}

/// A number's text, without an exponent, as a decimal.
pub(super) fn decimal_of(text: &str) -> Result<Bytes, DbError> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: Result<BigInt, _> = format!("{whole}{fraction}").parse();
    let digits = digits.map_err(|_| DbError::invalid(format!("{text} is no decimal number")))?;
    Ok(decimal(&digits, i32::try_from(fraction.len()).unwrap_or(i32::MAX)))
}

fn decimal(digits: &BigInt, scale: i32) -> Bytes {
    let mut bytes = scale.to_be_bytes().to_vec();
    bytes.extend(digits.to_signed_bytes_be());
    bytes.into()
}

fn not_a_number(typ: &CqlType) -> DbError {
    DbError::invalid(format!("a value of type {} is not a number", types::name(typ)))
}

/// With so many zeros behind, or so many digits cut off.
fn shifted(digits: &BigInt, places: i64) -> Result<BigInt, DbError> {
    let count = u32::try_from(places.unsigned_abs()).unwrap_or(u32::MAX);
    if count > MAX_SHIFT && !digits.is_zero() {
        let text = format!("the number has more than {MAX_SHIFT} zeros: this server does not write them out");
        return Err(DbError::invalid(text));
    }
    let factor = BigInt::from(10).pow(count.min(MAX_SHIFT));
    Ok(if places < 0 { digits / factor } else { digits * factor })
}

/// The lowest 64 bits of the two's complement.
fn low_bits(value: &BigInt) -> i64 {
    let filler = if value.is_negative() { 0xFF } else { 0 };
    let mut bytes = value.to_signed_bytes_le();
    bytes.resize(8, filler);
    bytes.try_into().map_or(0, i64::from_le_bytes)
}
