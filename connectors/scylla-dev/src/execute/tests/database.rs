//! A store with a clock that stands still, and results as text.
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use scylla_cql::frame::response::result::{CollectionType, ColumnType, NativeType};

use crate::clock::Clock;
use crate::error::DbError;
use crate::execute::{self, Prepared};
use crate::outcome::{BatchKind, BoundValue, Outcome, QueryOptions, Rows};
use crate::statements;
use crate::storage::Store;
use crate::value::{CqlType, collection};

/// A store, used from the keyspace `ks`.
pub(super) struct Database {
    pub(super) store: Store,
    clock: Clock,
}

/// What the clock shows at first, microseconds.
pub(super) const START: i64 = 1_700_000_000_000_000;

impl Database {
    /// A store with these tables.
    pub(super) fn new(tables: &[&str]) -> Self {
        let clock = Clock::manual(START);
        let database = Self { store: Store::new(clock.clone()), clock };
        database.run(
            "CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
        );
        for table in tables {
            database.run(table);
        }
        database
    }

    pub(super) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub(super) fn prepare(&self, text: &str) -> Result<Prepared, DbError> {
        statements::prepare(text, Some("ks"), &self.store.schema())
    }

    pub(super) fn execute(
        &self,
        text: &str,
        values: &[BoundValue],
        options: &QueryOptions,
    ) -> Result<Outcome, DbError> {
        let prepared = self.prepare(text)?;
        execute::run(&self.store, &prepared, values, options)
    }

    pub(super) fn batch(&self, parts: Vec<(&str, Vec<BoundValue>)>) -> Result<Outcome, DbError> {
        let prepared = |(text, values)| Ok((Arc::new(self.prepare(text)?), values));
        let parts = parts.into_iter().map(prepared).collect::<Result<Vec<_>, DbError>>()?;
        execute::run_batch(&self.store, BatchKind::Logged, &parts, &QueryOptions::default())
    }

    /// Runs statements that must succeed.
    #[track_caller]
    pub(super) fn run(&self, text: &str) {
        if let Err(error) = self.execute(text, &[], &QueryOptions::default()) {
            panic!("{text}: {error}");
        }
    }

    /// Runs statements one after the other.
    #[track_caller]
    pub(super) fn run_all(&self, texts: &[&str]) {
        texts.iter().for_each(|text| self.run(text));
    }

    /// The rows of a result as text: values joined by blanks, rows by ` | `.
    #[track_caller]
    pub(super) fn rows(&self, text: &str) -> String {
        self.rows_with(text, &[])
    }

    #[track_caller]
    pub(super) fn rows_with(&self, text: &str, values: &[BoundValue]) -> String {
        match self.execute(text, values, &QueryOptions::default()) {
            Ok(Outcome::Rows(rows)) => show_rows(&rows),
            other => panic!("{text}: {other:?}"),
        }
    }

    /// The message of a statement that must fail.
    #[track_caller]
    pub(super) fn error(&self, text: &str) -> String {
        match self.execute(text, &[], &QueryOptions::default()) {
            Err(error) => error.message,
            Ok(outcome) => panic!("{text}: {outcome:?}"),
        }
    }

    /// Compares the rows of each statement with what is expected.
    #[track_caller]
    pub(super) fn expect(&self, cases: &[(&str, &str)]) {
        for (text, expected) in cases {
            assert_eq!(self.rows(text), *expected, "{text}");
        }
    }
}

/// A bound value of a fixed size or a text.
pub(super) fn bound(bytes: impl AsRef<[u8]>) -> BoundValue {
    BoundValue::Set(Bytes::copy_from_slice(bytes.as_ref()))
}

pub(super) fn int(value: i32) -> BoundValue {
    bound(value.to_be_bytes())
}

pub(super) fn show_rows(rows: &Rows) -> String {
    let mut rest = &rows.body.bytes[..];
    let mut lines = Vec::new();
    for _ in 0..rows.body.count {
        let mut values = Vec::new();
        for spec in rows.specs.iter() {
            let (length, after) = rest.split_first_chunk().expect("a length");
            rest = after;
            match usize::try_from(i32::from_be_bytes(*length)) {
                Ok(length) => {
                    values.push(show(spec.typ(), &rest[..length]));
                    rest = &rest[length..];
                }
                Err(_) => values.push("null".to_owned()),
            }
        }
        lines.push(values.join(" "));
    }
    assert!(rest.is_empty(), "bytes left over");
    lines.join(" | ")
}

fn show(typ: &CqlType, value: &[u8]) -> String {
    use NativeType as N;
    let number = |value: &[u8]| {
        let negative = value[0] & 0x80 != 0;
        value.iter().fold(if negative { -1_i64 } else { 0 }, |sum, byte| (sum << 8) | i64::from(*byte))
    };
    let list = |items: Vec<String>, open: &str, close: &str| format!("{open}{}{close}", items.join(","));
    match typ {
        ColumnType::Native(native) => match native {
            N::Text | N::Ascii => String::from_utf8(value.to_vec()).expect("text"),
            N::Boolean => (value == [1]).to_string(),
            N::Float => f32::from_be_bytes(value.try_into().expect("4 bytes")).to_string(),
            N::Double => f64::from_be_bytes(value.try_into().expect("8 bytes")).to_string(),
            N::Uuid | N::Timeuuid => uuid::Uuid::from_slice(value).expect("16 bytes").to_string(),
            N::TinyInt | N::SmallInt | N::Int | N::BigInt | N::Timestamp | N::Time | N::Varint => {
                number(value).to_string()
            }
            _ => format!("0x{}", value.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        },
        ColumnType::Collection { typ: CollectionType::List(item), .. } => {
            list(collection::elements(value).map(|element| show(item, element)).collect(), "[", "]")
        }
        ColumnType::Collection { typ: CollectionType::Set(item), .. } => {
            list(collection::elements(value).map(|element| show(item, element)).collect(), "{", "}")
        }
        ColumnType::Collection { typ: CollectionType::Map(key, item), .. } => {
            let entry = |(k, v)| format!("{}:{}", show(key, k), show(item, v));
            list(collection::entries(value).map(entry).collect(), "{", "}")
        }
        ColumnType::Tuple(types) => show_fields(types.iter(), value),
        ColumnType::UserDefinedType { definition, .. } => {
            show_fields(definition.field_types.iter().map(|(_, typ)| typ), value)
        }
        _ => format!("{value:?}"),
    }
}

fn show_fields<'t>(types: impl Iterator<Item = &'t CqlType>, value: &[u8]) -> String {
    let shown = |(typ, field): (&CqlType, Option<&[u8]>)| match field {
        Some(field) => show(typ, field),
        None => "null".to_owned(),
    };
    let fields: Vec<String> = types.zip(collection::fields(value)).map(shown).collect();
    format!("({})", fields.join(","))
}
