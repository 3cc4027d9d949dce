//! Values that no table of the tests holds: the ends of their types, and bytes that are none.

use bytes::BytesMut;
use proptest::prelude::*;
use scylla::deserialize::FrameSlice;
use scylla::frame::response::result::{CollectionType, ColumnType, NativeType};
use weir_sdk::ErrorKind;

use super::put;
use crate::projection::value::{Given, append};

fn json(of: &ColumnType<'_>, bytes: &[u8]) -> String {
    let mut out = BytesMut::new();
    put(&mut out, of, FrameSlice::new_borrowed(bytes)).unwrap();
    let text = String::from_utf8(out.to_vec()).unwrap();
    serde_json::from_str::<serde_json::Value>(&text).unwrap();
    text
}

fn native(of: NativeType, bytes: &[u8]) -> String {
    json(&ColumnType::Native(of), bytes)
}

#[test]
fn the_ends_of_types_have_their_text() {
    assert_eq!(native(NativeType::Double, &f64::NAN.to_be_bytes()), r#""NaN""#);
    assert_eq!(native(NativeType::Float, &f32::NEG_INFINITY.to_be_bytes()), r#""-Infinity""#);
    assert_eq!(native(NativeType::Double, &1e300f64.to_be_bytes()), "1e+300");
    assert_eq!(native(NativeType::Timestamp, &i64::MAX.to_be_bytes()), "9223372036854775807");
    assert_eq!(native(NativeType::Timestamp, &(-1i64).to_be_bytes()), r#""1969-12-31T23:59:59.999Z""#);
    assert_eq!(native(NativeType::Date, &0u32.to_be_bytes()), "-2147483648");
    assert_eq!(native(NativeType::Date, &(1u32 << 31).to_be_bytes()), r#""1970-01-01""#);
    assert_eq!(native(NativeType::Inet, &[127, 0, 0, 1]), r#""127.0.0.1""#);
    assert_eq!(native(NativeType::Text, "a\"b\n\u{1}".as_bytes()), "\"a\\\"b\\n\\u0001\"");
    assert_eq!(native(NativeType::Text, b""), r#""""#);
    assert_eq!(native(NativeType::Blob, b""), r#""0x""#);
    assert_eq!(native(NativeType::Int, b""), "null", "CQL has empty numbers");
}

#[test]
fn decimals_keep_their_digits_and_their_scale() {
    let decimal = |scale: i32, unscaled: i64| {
        native(NativeType::Decimal, &[&scale.to_be_bytes()[..], &unscaled.to_be_bytes()].concat())
    };
    assert_eq!(decimal(0, 0), r#""0""#);
    assert_eq!(decimal(2, 1234), r#""12.34""#);
    assert_eq!(decimal(3, -12340), r#""-12.340""#);
    assert_eq!(decimal(4, 5), r#""0.0005""#);
    assert_eq!(decimal(20, 5), r#""5E-20""#);
    assert_eq!(decimal(-3, 12), r#""1.2E+4""#);
    assert_eq!(decimal(i32::MIN, -7), r#""-7E+2147483648""#);
}

#[test]
fn keys_of_maps_are_text_and_elements_may_be_null() {
    let of = |key| ColumnType::Collection {
        frozen: true,
        typ: CollectionType::Map(
            Box::new(ColumnType::Native(key)),
            Box::new(ColumnType::Native(NativeType::Boolean)),
        ),
    };
    let entry = |key: &[u8]| {
        [&[0, 0, 0, 1, 0, 0, 0][..], &[u8::try_from(key.len()).unwrap()], key, &[255; 4]].concat()
    };
    assert_eq!(json(&of(NativeType::Int), &entry(&[0, 0, 0, 9])), r#"{"9":null}"#);
    assert_eq!(json(&of(NativeType::Text), &entry(b"k")), r#"{"k":null}"#);
    assert_eq!(
        json(&of(NativeType::Uuid), &entry(&[0xab; 16])),
        r#"{"abababab-abab-abab-abab-abababababab":null}"#
    );
}

#[test]
fn bytes_that_are_no_value_of_their_type_are_an_error() {
    let of = ColumnType::Native(NativeType::Int);
    let error = put(&mut BytesMut::new(), &of, FrameSlice::new_borrowed(&[1, 2])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Bug);
}

/// What a projection makes of the JSON of a value.
fn read_back(of: &ColumnType<'_>, bytes: &[u8]) -> Vec<u8> {
    let json = json(of, bytes);
    let text = serde_json::from_str::<String>(&json).unwrap_or(json);
    let mut out = Vec::new();
    append(&mut out, Given::Text(&text), of).unwrap();
    out
}

fn simple() -> impl Strategy<Value = (NativeType, Vec<u8>)> {
    const MILLIS: i64 = 253_402_300_799_000;
    prop_oneof![
        any::<i8>().prop_map(|it| (NativeType::TinyInt, it.to_be_bytes().to_vec())),
        any::<i16>().prop_map(|it| (NativeType::SmallInt, it.to_be_bytes().to_vec())),
        any::<i32>().prop_map(|it| (NativeType::Int, it.to_be_bytes().to_vec())),
        any::<i64>().prop_map(|it| (NativeType::BigInt, it.to_be_bytes().to_vec())),
        any::<f32>().prop_map(|it| (NativeType::Float, it.to_be_bytes().to_vec())),
        any::<f64>().prop_map(|it| (NativeType::Double, it.to_be_bytes().to_vec())),
        any::<bool>().prop_map(|it| (NativeType::Boolean, vec![u8::from(it)])),
        any::<[u8; 16]>().prop_map(|it| (NativeType::Uuid, it.to_vec())),
        (-MILLIS / 2..MILLIS).prop_map(|it| (NativeType::Timestamp, it.to_be_bytes().to_vec())),
        (-700_000i32..2_900_000).prop_map(|days| {
            (NativeType::Date, (days.cast_unsigned() ^ (1 << 31)).to_be_bytes().to_vec())
        }),
        (0i64..86_400_000_000_000).prop_map(|it| (NativeType::Time, it.to_be_bytes().to_vec())),
        any::<[u8; 4]>().prop_map(|it| (NativeType::Inet, it.to_vec())),
        any::<[u8; 16]>().prop_map(|it| (NativeType::Inet, it.to_vec())),
        prop::collection::vec(any::<u8>(), 1..40).prop_map(|it| (NativeType::Blob, it)),
        ".{1,20}".prop_map(|it| (NativeType::Text, it.into_bytes())),
        any::<i64>().prop_map(|it| (NativeType::Varint, num_bigint::BigInt::from(it).to_signed_bytes_be())),
        (any::<i64>(), -30i32..30).prop_map(|(unscaled, scale)| {
            let digits = num_bigint::BigInt::from(unscaled).to_signed_bytes_be();
            (NativeType::Decimal, [&scale.to_be_bytes()[..], &digits].concat())
        }),
    ]
}

proptest! {
    #[test]
    fn a_projection_reads_back_what_was_written((native, bytes) in simple(), items in 0usize..4) {
        let of = ColumnType::Native(native);
        prop_assert_eq!(&read_back(&of, &bytes), &bytes);
        let item = [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], &bytes].concat();
        let list = [&u32::try_from(items).unwrap().to_be_bytes()[..], &item.repeat(items)].concat();
        let of = ColumnType::Collection { frozen: true, typ: CollectionType::List(Box::new(of)) };
        prop_assert_eq!(read_back(&of, &list), list);
    }
}
