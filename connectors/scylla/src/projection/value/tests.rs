//! Values against the driver's own serialization.

use std::sync::Arc;

use scylla::frame::response::result::{CollectionType, ColumnType, NativeType, UserDefinedType};
use scylla::serialize::value::SerializeValue;
use scylla::serialize::writers::CellWriter;
use scylla::value::{CqlDate, CqlDecimal, CqlTime, CqlTimestamp, CqlValue, CqlVarint};

use super::{Given, append, unsupported};

fn ours(text: &str, of: &ColumnType<'_>) -> Result<Vec<u8>, &'static str> {
    let mut out = Vec::new();
    append(&mut out, Given::Text(text), of).map(|()| out)
}

fn drivers(value: &CqlValue, of: &ColumnType<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    value.serialize(of, CellWriter::new(&mut out)).unwrap();
    out.split_off(4)
}

fn list(of: NativeType) -> ColumnType<'static> {
    let typ = CollectionType::List(Box::new(ColumnType::Native(of)));
    ColumnType::Collection { frozen: true, typ }
}

#[test]
fn simple_values_are_what_the_driver_makes_of_them() {
    use NativeType::*;
    let decimal = |scale, digits: &[u8]| {
        CqlValue::Decimal(CqlDecimal::from_signed_be_bytes_and_exponent(digits.to_vec(), scale))
    };
    for (of, text, value) in [
        (Text, "Ä\"{", CqlValue::Text("Ä\"{".into())),
        (Ascii, "a", CqlValue::Ascii("a".into())),
        (Boolean, "true", CqlValue::Boolean(true)),
        (TinyInt, "-128", CqlValue::TinyInt(-128)),
        (SmallInt, "32767", CqlValue::SmallInt(32767)),
        (Int, "-5", CqlValue::Int(-5)),
        (BigInt, "9007199254740993", CqlValue::BigInt(9_007_199_254_740_993)),
        (Float, "1.5", CqlValue::Float(1.5)),
        (Double, "-1e300", CqlValue::Double(-1e300)),
        (Varint, "-129", CqlValue::Varint(CqlVarint::from_signed_bytes_be(vec![0xff, 0x7f]))),
        (Varint, "0", CqlValue::Varint(CqlVarint::from_signed_bytes_be(vec![0]))),
        (Decimal, "12.80", decimal(2, &[5, 0])),
        (Decimal, "-1e3", decimal(-3, &[255])),
        (Timestamp, "1970-01-01T00:00:01.5+00:00", CqlValue::Timestamp(CqlTimestamp(1500))),
        (Timestamp, "-7", CqlValue::Timestamp(CqlTimestamp(-7))),
        (Date, "1970-01-02", CqlValue::Date(CqlDate((1 << 31) + 1))),
        (Date, "1969-12-31", CqlValue::Date(CqlDate((1 << 31) - 1))),
        (Time, "00:01:00.000000001", CqlValue::Time(CqlTime(60_000_000_001))),
        (Inet, "::1", CqlValue::Inet("::1".parse().unwrap())),
        (Inet, "10.0.0.1", CqlValue::Inet("10.0.0.1".parse().unwrap())),
        (Blob, "0xCAfe", CqlValue::Blob(vec![0xca, 0xfe])),
    ] {
        let of = ColumnType::Native(of);
        assert_eq!(ours(text, &of).as_ref(), Ok(&drivers(&value, &of)), "{text} as {of:?}");
    }
}

#[test]
fn what_is_no_value_of_the_type_says_what_one_looks_like() {
    use NativeType::*;
    for (of, text, wanted) in [
        (Ascii, "ä", "text of ASCII letters"),
        (Boolean, "yes", "`true` or `false`"),
        (Int, "2147483648", "a whole number of 32 bits"),
        (BigInt, "1.0", "a whole number of 64 bits"),
        (Decimal, "1.-5", "a number of at most 38 digits"),
        (Decimal, ".5", "a number of at most 38 digits"),
        (Timeuuid, "3b2c7d5e-0000-4000-8000-000000000000", "a UUID of version 1"),
        (Date, "31.01.2026", "a date such as `2026-01-31`"),
        (Blob, "cafe", "bytes in hex such as `0xcafe`"),
        (Blob, "0xcaf", "bytes in hex such as `0xcafe`"),
    ] {
        assert_eq!(ours(text, &ColumnType::Native(of)), Err(wanted), "{text}");
    }
    assert_eq!(ours("{}", &list(Int)), Err("a JSON list"));
    assert_eq!(ours("[1, null]", &list(Int)), Err("a value, not null, inside a collection"));
    assert_eq!(ours("[1", &list(Int)), Err("JSON"));
}

#[test]
fn collections_come_from_json() {
    let int = || Box::new(ColumnType::Native(NativeType::Int));
    let text = || Box::new(ColumnType::Native(NativeType::Text));
    let map = ColumnType::Collection { frozen: false, typ: CollectionType::Map(text(), int()) };
    let pair = |name: &str, number| (CqlValue::Text(name.into()), CqlValue::Int(number));
    assert_eq!(
        ours(r#"{"a": 1, "b": "2"}"#, &map).unwrap(),
        drivers(&CqlValue::Map(vec![pair("a", 1), pair("b", 2)]), &map)
    );
    let items = list(NativeType::Text);
    let values = vec![CqlValue::Text("x".into()), CqlValue::Text(r#"{"y":1}"#.into())];
    assert_eq!(ours(r#"["x", {"y":1}]"#, &items).unwrap(), drivers(&CqlValue::List(values), &items));
    let tuple = ColumnType::Tuple(vec![*int(), *text()]);
    let value = CqlValue::Tuple(vec![Some(CqlValue::Int(7)), None]);
    assert_eq!(ours("[7, null]", &tuple).unwrap(), drivers(&value, &tuple));
    let fields = vec![("street".into(), *text()), ("number".into(), *int())];
    let definition = UserDefinedType { name: "address".into(), keyspace: "ks".into(), field_types: fields };
    let address = ColumnType::UserDefinedType { frozen: true, definition: Arc::new(definition) };
    let fields = vec![("street".into(), None), ("number".into(), Some(CqlValue::Int(5)))];
    let value = CqlValue::UserDefinedType { keyspace: "ks".into(), name: "address".into(), fields };
    assert_eq!(ours(r#"{"number": 5, "more": 1}"#, &address).unwrap(), drivers(&value, &address));
}

#[test]
fn types_that_cannot_be_projected_into_are_known_wherever_they_stand() {
    assert!(unsupported(&ColumnType::Native(NativeType::Counter)).is_some());
    assert!(unsupported(&list(NativeType::Duration)).is_some());
    assert!(unsupported(&ColumnType::Tuple(vec![list(NativeType::Int)])).is_none());
}
