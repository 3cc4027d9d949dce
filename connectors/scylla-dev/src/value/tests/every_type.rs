//! Any value of any type, however nested: accepted, sorted, read back, and its type's name read back.
use proptest::collection::vec;
use proptest::prelude::*;
use scylla_cql::frame::response::result::{CollectionType, ColumnType, NativeType};

use super::super::order::{self, Direction};
use super::super::{CqlType, check, timeuuid, types};
use super::round_trip;

const NATIVE: [&str; 19] = [
    "ascii",
    "bigint",
    "blob",
    "boolean",
    "date",
    "decimal",
    "double",
    "float",
    "inet",
    "int",
    "smallint",
    "text",
    "time",
    "timestamp",
    "timeuuid",
    "tinyint",
    "uuid",
    "varint",
    "varchar",
];

/// The name of a type.
fn type_name() -> impl Strategy<Value = String> {
    let leaf = proptest::sample::select(&NATIVE[..]).prop_map(str::to_owned);
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|item| format!("frozen<list<{item}>>")),
            inner.clone().prop_map(|item| format!("frozen<set<{item}>>")),
            (inner.clone(), inner.clone()).prop_map(|(key, value)| format!("frozen<map<{key}, {value}>>")),
            vec(inner, 1..4).prop_map(|items| format!("tuple<{}>", items.join(", "))),
        ]
    })
}

fn bytes(length: usize) -> BoxedStrategy<Vec<u8>> {
    vec(any::<u8>(), length).boxed()
}

/// A value of the type; most types have an empty one.
fn value(typ: &CqlType) -> BoxedStrategy<Vec<u8>> {
    match typ {
        ColumnType::Native(native) => prop_oneof![1 => Just(Vec::new()), 9 => scalar(native)].boxed(),
        ColumnType::Collection { typ: CollectionType::Map(key, item), .. } => {
            let entry = (value(key), value(item))
                .prop_map(|(key, item)| [sized(Some(&key)), sized(Some(&item))].concat());
            counted(entry.boxed())
        }
        ColumnType::Collection { typ: CollectionType::List(item) | CollectionType::Set(item), .. } => {
            counted(value(item).prop_map(|item| sized(Some(&item))).boxed())
        }
        ColumnType::Tuple(items) => {
            let fields: Vec<_> = items.iter().map(|item| proptest::option::of(value(item))).collect();
            fields
                .prop_map(|fields| fields.iter().flat_map(|field| sized(field.as_deref())).collect())
                .boxed()
        }
        other => panic!("{other:?} is not generated"),
    }
}

fn scalar(native: &NativeType) -> BoxedStrategy<Vec<u8>> {
    use NativeType as N;
    match native {
        N::Ascii | N::Text => "[ -~]{0,6}".prop_map(String::into_bytes).boxed(),
        N::Blob => vec(any::<u8>(), 0..6).boxed(),
        N::Boolean => any::<bool>().prop_map(|value| vec![u8::from(value)]).boxed(),
        N::TinyInt => bytes(1),
        N::SmallInt => bytes(2),
        N::Int | N::Float | N::Date => bytes(4),
        N::Inet => prop_oneof![bytes(4), bytes(16)].boxed(),
        N::Uuid => bytes(16),
        N::Timeuuid => (0..1_i64 << 50, any::<u64>())
            .prop_map(|(micros, salt)| timeuuid::at(micros, salt).as_bytes().to_vec())
            .boxed(),
        N::Varint => vec(any::<u8>(), 1..20).boxed(),
        N::Decimal => (-40_i32..40, vec(any::<u8>(), 1..20))
            .prop_map(|(scale, digits)| [&scale.to_be_bytes()[..], &digits].concat())
            .boxed(),
        _ => bytes(8),
    }
}

fn counted(item: BoxedStrategy<Vec<u8>>) -> BoxedStrategy<Vec<u8>> {
    let whole = |items: Vec<Vec<u8>>| [(items.len() as i32).to_be_bytes().to_vec(), items.concat()].concat();
    vec(item, 0..4).prop_map(whole).boxed()
}

fn sized(value: Option<&[u8]>) -> Vec<u8> {
    let length = value.map_or(-1, |value| value.len() as i32);
    [&length.to_be_bytes()[..], value.unwrap_or_default()].concat()
}

fn two_values() -> impl Strategy<Value = (CqlType, Vec<u8>, Vec<u8>)> {
    type_name().prop_flat_map(|name| {
        let typ = types::parse(&name, &|_| None).unwrap();
        let values = (value(&typ), value(&typ));
        (Just(typ), values).prop_map(|(typ, (left, right))| (typ, left, right))
    })
}

proptest! {
    #[test]
    fn comes_back_and_sorts_one_way((typ, left, right) in two_values()) {
        prop_assert_eq!(types::parse(&types::name(&typ), &|_| None).unwrap(), typ.clone());
        for direction in [Direction::Ascending, Direction::Descending] {
            check::check(&typ, &left).unwrap();
            let back = round_trip(&typ, direction, &left);
            check::check(&typ, &back).unwrap();
            prop_assert_eq!(order::sortable(&typ, &back), order::sortable(&typ, &left));
        }
        let (one, other) = (order::sortable(&typ, &left), order::sortable(&typ, &right));
        // Or what follows a component in a key would decide how the components are sorted.
        prop_assert!(one == other || !(one.starts_with(&other) || other.starts_with(&one)));
        let mut down = [Vec::new(), Vec::new()];
        order::encode(&typ, Direction::Descending, &left, &mut down[0]);
        order::encode(&typ, Direction::Descending, &right, &mut down[1]);
        prop_assert_eq!(one.cmp(&other), down[1].cmp(&down[0]));
    }
}
