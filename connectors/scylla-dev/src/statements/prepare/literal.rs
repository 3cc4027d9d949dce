//! A literal and the type it must have become the bytes of a value.
mod number;
mod time;

use bytes::Bytes;
use scylla_cql::frame::response::result::{ColumnType, NativeType};
use uuid::Uuid;

use crate::error::DbError;
use crate::statements::ast::Term;
use crate::value::{CqlType, check, types};

/// The value of a literal as `native`. `receiver` names what it is for, in messages.
pub(super) fn value(term: &Term, native: &NativeType, receiver: &str) -> Result<Bytes, DbError> {
    use NativeType as N;
    let wrong_kind = || wrong_kind(term, &ColumnType::Native(native.clone()), receiver);
    let bytes = match (term, native) {
        (Term::String(text), N::Ascii) if !text.is_ascii() => {
            return Err(DbError::invalid(format!("Invalid ASCII character in string literal: {text}")));
        }
        (Term::String(text), N::Ascii | N::Text) => text.clone().into_bytes(),
        (Term::String(text), N::Inet) => inet(text)?,
        (Term::String(text), N::Timestamp) => time::timestamp(text)?.to_be_bytes().to_vec(),
        (Term::String(text), N::Date) => time::date(text)?.to_be_bytes().to_vec(),
        (Term::String(text), N::Time) => time::time(text)?.to_be_bytes().to_vec(),
        (Term::Boolean(value), N::Boolean) => vec![u8::from(*value)],
        (Term::Blob(digits), N::Blob) => hex(digits)?,
        (Term::Uuid(text), N::Uuid | N::Timeuuid) => uuid(text)?,
        (Term::Duration(text), N::Duration) => time::duration(text)?,
        (Term::Integer(text), N::Timestamp) => number::integer::<i64>(text, native)?.to_be_bytes().to_vec(),
        (Term::Integer(text), N::Date) => {
            let days: Result<u32, _> = text.parse();
            let unable =
                |_| DbError::invalid(format!("Unable to make unsigned int (for date) from: '{text}'"));
            days.map_err(unable)?.to_be_bytes().to_vec()
        }
        (Term::Integer(text), N::Time) => time::time(text)?.to_be_bytes().to_vec(),
        (Term::Integer(text), _) => number::from_integer(text, native)?.ok_or_else(wrong_kind)?,
        (Term::Float(text), _) => number::from_float(text, native)?.ok_or_else(wrong_kind)?,
        _ => return Err(wrong_kind()),
    };
    check::check(&ColumnType::Native(native.clone()), &bytes)?;
    Ok(bytes.into())
}

/// The error of a literal where a value of another type is wanted.
pub(super) fn wrong_kind(term: &Term, typ: &CqlType, receiver: &str) -> DbError {
    let kind = match term {
        Term::String(_) => "STRING",
        Term::Integer(_) => "INTEGER",
        Term::Float(_) => "FLOAT",
        Term::Boolean(_) => "BOOLEAN",
        Term::Uuid(_) => "UUID",
        Term::Blob(_) => "HEX",
        Term::Duration(_) => "DURATION",
        _ => "collection",
    };
    let text = match term {
        Term::String(text) => text.clone(),
        other => other.to_string(),
    };
    let name = types::name(typ);
    DbError::invalid(format!("Invalid {kind} constant ({text}) for \"{receiver}\" of type {name}"))
}

fn uuid(text: &str) -> Result<Vec<u8>, DbError> {
    let id =
        Uuid::parse_str(text).map_err(|_| DbError::invalid(format!("Unable to make UUID from '{text}'")))?;
    Ok(id.as_bytes().to_vec())
}

fn inet(text: &str) -> Result<Vec<u8>, DbError> {
    match text.parse() {
        Ok(std::net::IpAddr::V4(address)) => Ok(address.octets().to_vec()),
        Ok(std::net::IpAddr::V6(address)) => Ok(address.octets().to_vec()),
        Err(_) => Err(DbError::invalid(format!("Unable to make inet address from '{text}'"))),
    }
}

fn hex(digits: &str) -> Result<Vec<u8>, DbError> {
    let wrong = || DbError::invalid("hex string length is not even");
    if !digits.len().is_multiple_of(2) {
        return Err(wrong());
    }
    let byte =
        |at: usize| u8::from_str_radix(digits.get(at..at + 2).unwrap_or_default(), 16).map_err(|_| wrong());
    (0..digits.len()).step_by(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Term {
        Term::String(text.to_owned())
    }

    fn integer(text: &str) -> Term {
        Term::Integer(text.to_owned())
    }

    #[test]
    fn literals_become_the_bytes_of_their_type() {
        use NativeType as N;
        let cases: Vec<(Term, N, Vec<u8>)> = vec![
            (string("é"), N::Text, "é".as_bytes().to_vec()),
            (integer("-2"), N::Int, vec![255, 255, 255, 254]),
            (integer("200"), N::Varint, vec![0, 200]),
            (integer("-1"), N::Varint, vec![255]),
            (Term::Float("1.25".into()), N::Decimal, vec![0, 0, 0, 2, 125]),
            (Term::Float("-1.2e3".into()), N::Decimal, vec![255, 255, 255, 254, 244]),
            (integer("1"), N::Double, 1.0_f64.to_be_bytes().to_vec()),
            (Term::Blob("CAfe".into()), N::Blob, vec![0xca, 0xfe]),
            (string("127.0.0.1"), N::Inet, vec![127, 0, 0, 1]),
            (string("1970-01-02"), N::Date, 0x8000_0001_u32.to_be_bytes().to_vec()),
            (string("00:00:01.5"), N::Time, 1_500_000_000_i64.to_be_bytes().to_vec()),
            (string("1970-01-01T00:00:01.005Z"), N::Timestamp, 1005_i64.to_be_bytes().to_vec()),
            (string("1970-01-01 02:00+0100"), N::Timestamp, 3_600_000_i64.to_be_bytes().to_vec()),
            (string("1970-01-02"), N::Timestamp, 86_400_000_i64.to_be_bytes().to_vec()),
            (integer("1234"), N::Timestamp, 1234_i64.to_be_bytes().to_vec()),
            (Term::Duration("1mo2d3ns".into()), N::Duration, vec![2, 4, 6]),
            (Term::Duration("-P1Y1D".into()), N::Duration, vec![23, 1, 0]),
        ];
        for (term, native, expected) in cases {
            assert_eq!(value(&term, &native, "v").expect("fits").to_vec(), expected, "{term:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        use NativeType as N;
        let cases = [
            (string("x"), N::Int, "Invalid STRING constant (x) for \"v\" of type int"),
            (integer("1"), N::Text, "Invalid INTEGER constant (1) for \"v\" of type text"),
            (integer("3000000000"), N::Int, "Unable to make int from '3000000000'"),
            (string("2024-13-01"), N::Timestamp, "Unable to make timestamp from '2024-13-01'"),
            (Term::Blob("abc".into()), N::Blob, "hex string length is not even"),
            (Term::Float("1.5".into()), N::BigInt, "Invalid FLOAT constant (1.5) for \"v\" of type bigint"),
        ];
        for (term, native, message) in cases {
            assert_eq!(value(&term, &native, "v"), Err(DbError::invalid(message)), "{term:?}");
        }
        let other_version = Term::Uuid("550e8400-e29b-41d4-a716-446655440000".into());
        assert!(value(&other_version, &N::Timeuuid, "v").is_err());
    }
}
