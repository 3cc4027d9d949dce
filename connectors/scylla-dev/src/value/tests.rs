//! Order, tokens and ids against known values and each other.
mod every_type;

use proptest::prelude::*;
use scylla_cql::frame::response::result::{ColumnType, NativeType};

use super::order::{self, Direction};
use super::{CqlType, check, compare, timeuuid, token, types};

fn native(native: NativeType) -> CqlType {
    ColumnType::Native(native)
}

fn round_trip(typ: &CqlType, direction: Direction, value: &[u8]) -> Vec<u8> {
    let mut sorted = Vec::new();
    order::encode(typ, direction, value, &mut sorted);
    // Something behind it, as the next component would be.
    sorted.extend_from_slice(&[7, 7]);
    let (mut rest, mut back) = (&sorted[..], Vec::new());
    order::decode(typ, direction, &mut rest, &mut back).expect("what was encoded can be decoded");
    assert_eq!(rest, [7, 7], "all of the component and no more is read");
    back
}

proptest! {
    #[test]
    fn bigints_sort_and_come_back(left: i64, right: i64) {
        let typ = native(NativeType::BigInt);
        prop_assert_eq!(compare(&typ, &left.to_be_bytes(), &right.to_be_bytes()), left.cmp(&right));
        prop_assert_eq!(round_trip(&typ, Direction::Descending, &left.to_be_bytes()), left.to_be_bytes());
    }

    #[test]
    fn doubles_sort_and_come_back(left: f64, right: f64) {
        let typ = native(NativeType::Double);
        prop_assert_eq!(compare(&typ, &left.to_be_bytes(), &right.to_be_bytes()), left.total_cmp(&right));
        prop_assert_eq!(round_trip(&typ, Direction::Ascending, &left.to_be_bytes()), left.to_be_bytes());
    }

    #[test]
    fn blobs_sort_and_come_back(left: Vec<u8>, right: Vec<u8>) {
        let typ = native(NativeType::Blob);
        prop_assert_eq!(compare(&typ, &left, &right), left.cmp(&right));
        prop_assert_eq!(round_trip(&typ, Direction::Descending, &left), left.clone());
        let down = |value: &[u8]| {
            let mut out = Vec::new();
            order::encode(&typ, Direction::Descending, value, &mut out);
            out
        };
        prop_assert_eq!(down(&left).cmp(&down(&right)), right.cmp(&left));
    }

    #[test]
    fn varints_sort_as_numbers(left: i128, right: i128) {
        let typ = native(NativeType::Varint);
        prop_assert_eq!(compare(&typ, &left.to_be_bytes(), &right.to_be_bytes()), left.cmp(&right));
        let back = round_trip(&typ, Direction::Ascending, &left.to_be_bytes());
        let filler = if left < 0 { 0xFF } else { 0 };
        let mut full = [filler; 16];
        full[16 - back.len()..].copy_from_slice(&back);
        prop_assert_eq!(i128::from_be_bytes(full), left);
    }

    #[test]
    fn decimals_sort_as_numbers(left in -9999_i32..9999, scale in -3_i32..3, right in -9999_i32..9999) {
        let typ = native(NativeType::Decimal);
        let bytes = |unscaled: i32, scale: i32| [scale.to_be_bytes(), unscaled.to_be_bytes()].concat();
        let number = |unscaled: i32, scale: i32| i64::from(unscaled) * 10_i64.pow((3 - scale).unsigned_abs());
        prop_assert_eq!(
            compare(&typ, &bytes(left, scale), &bytes(right, 0)),
            number(left, scale).cmp(&number(right, 0))
        );
        let back = round_trip(&typ, Direction::Descending, &bytes(left, scale));
        prop_assert_eq!(compare(&typ, &back, &bytes(left, scale)), std::cmp::Ordering::Equal);
    }

    #[test]
    fn timeuuids_sort_by_time(left in 0..4_000_000_000_000_000_i64, right in 0..4_000_000_000_000_000_i64, salt: u64) {
        let typ = native(NativeType::Timeuuid);
        let (one, other) = (timeuuid::at(left, salt), timeuuid::at(right, !salt));
        if left != right {
            prop_assert_eq!(compare(&typ, one.as_bytes(), other.as_bytes()), left.cmp(&right));
        }
        prop_assert_eq!(round_trip(&typ, Direction::Descending, one.as_bytes()), one.as_bytes());
        prop_assert_eq!(timeuuid::micros(&one), left);
        prop_assert_eq!(one.get_version_num(), 1);
        let (least, greatest) = (timeuuid::min_of(left / 1000), timeuuid::max_of(left / 1000));
        prop_assert!(compare(&typ, least.as_bytes(), one.as_bytes()).is_le());
        prop_assert!(compare(&typ, one.as_bytes(), greatest.as_bytes()).is_le());
    }
}

#[test]
fn nested_values_come_back() {
    let typ = types::parse("frozen<map<text, frozen<list<int>>>>", &|_| None).unwrap();
    let value = [
        &2_i32.to_be_bytes()[..], // entries
        &[0, 0, 0, 1, b'a', 0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 9],
        &[0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0],
    ]
    .concat();
    check::check(&typ, &value).unwrap();
    assert_eq!(round_trip(&typ, Direction::Descending, &value), value);
    assert_eq!(types::name(&typ), "frozen<map<text, frozen<list<int>>>>");
}

#[test]
fn tuples_with_nulls_come_back() {
    let typ = types::parse("tuple<int, text>", &|_| None).unwrap();
    let value = [&(-1_i32).to_be_bytes()[..], &[0, 0, 0, 1, b'x']].concat();
    check::check(&typ, &value).unwrap();
    assert_eq!(round_trip(&typ, Direction::Ascending, &value), value);
}

#[test]
fn tokens_are_those_of_the_driver() {
    use scylla::routing::partitioner::{Murmur3Partitioner, Partitioner, PartitionerHasher};
    for length in 0..70_u8 {
        let key: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(37) ^ 0x9C).collect();
        let mut hasher = Murmur3Partitioner.build_hasher();
        hasher.write(&key);
        assert_eq!(token::murmur3(&key), hasher.finish().value(), "key of {length} bytes");
    }
}

#[test]
fn bytes_of_another_type_are_refused() {
    let refused = |typ: &str, value: &[u8]| {
        let typ = types::parse(typ, &|_| None).unwrap();
        check::check(&typ, value).unwrap_err().message
    };
    assert!(refused("int", &[1, 2]).contains("int"));
    assert!(refused("text", &[0xFF]).contains("UTF8"));
    assert!(refused("list<int>", &[0, 0, 0, 9]).contains("shorter"));
    assert!(refused("timeuuid", &[0; 16]).contains("version 1"));
}
