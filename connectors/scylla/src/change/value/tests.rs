//! Values that no table of the tests holds: the ends of their types, and bytes that are none.

use bytes::BytesMut;
use scylla::deserialize::FrameSlice;
use scylla::frame::response::result::{CollectionType, ColumnType, NativeType};
use weir_sdk::ErrorKind;

use super::put;

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
