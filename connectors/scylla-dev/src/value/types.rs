//! The CQL names of types, both ways, and what the protocol calls them.
pub(crate) mod decimal;

use std::sync::Arc;

use bytes::BufMut;
use scylla_cql::frame::response::result::{CollectionType, ColumnType, NativeType, UserDefinedType};

use super::CqlType;
use super::identifier::quoted;
use crate::error::DbError;

const NATIVE: [(&str, NativeType, u16); 21] = [
    ("ascii", NativeType::Ascii, 0x01),
    ("bigint", NativeType::BigInt, 0x02),
    ("blob", NativeType::Blob, 0x03),
    ("boolean", NativeType::Boolean, 0x04),
    ("counter", NativeType::Counter, 0x05),
    ("decimal", NativeType::Decimal, 0x06),
    ("double", NativeType::Double, 0x07),
    ("float", NativeType::Float, 0x08),
    ("int", NativeType::Int, 0x09),
    ("timestamp", NativeType::Timestamp, 0x0B),
    ("uuid", NativeType::Uuid, 0x0C),
    ("text", NativeType::Text, 0x0D),
    ("varint", NativeType::Varint, 0x0E),
    ("timeuuid", NativeType::Timeuuid, 0x0F),
    ("inet", NativeType::Inet, 0x10),
    ("date", NativeType::Date, 0x11),
    ("time", NativeType::Time, 0x12),
    ("smallint", NativeType::SmallInt, 0x13),
    ("tinyint", NativeType::TinyInt, 0x14),
    ("duration", NativeType::Duration, 0x15),
    ("varchar", NativeType::Text, 0x0D),
];

/// The native type of this name; `varchar` is `text`.
pub fn native(name: &str) -> Option<NativeType> {
    NATIVE.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name)).map(|(_, native, _)| native.clone())
}

/// The type's CQL name as schema tables show it: `frozen<map<text, int>>`.
pub fn name(typ: &ColumnType<'_>) -> String {
    match typ {
        ColumnType::Native(native) => NATIVE
            .iter()
            .find(|(_, known, _)| known == native)
            .map_or_else(|| format!("{native:?}").to_lowercase(), |(name, ..)| (*name).to_owned()),
        ColumnType::Collection { frozen, typ } => freeze(*frozen, collection_name(typ)),
        ColumnType::Tuple(items) => freeze(true, format!("tuple<{}>", names(items.iter()))),
        ColumnType::UserDefinedType { frozen, definition } => freeze(*frozen, quoted(&definition.name)),
        ColumnType::Vector { typ, dimensions } => format!("vector<{}, {dimensions}>", name(typ)),
        other => format!("{other:?}"),
    }
}

fn collection_name(typ: &CollectionType<'_>) -> String {
    match typ {
        CollectionType::List(item) => format!("list<{}>", name(item)),
        CollectionType::Set(item) => format!("set<{}>", name(item)),
        CollectionType::Map(key, value) => format!("map<{}, {}>", name(key), name(value)),
        other => format!("{other:?}"),
    }
}

fn names<'t, 'f: 't>(types: impl Iterator<Item = &'t ColumnType<'f>>) -> String {
    types.map(name).collect::<Vec<_>>().join(", ")
}

fn freeze(frozen: bool, name: String) -> String {
    if frozen { format!("frozen<{name}>") } else { name }
}

/// Whether elements of the type can be written one by one: a collection or user-defined type that is not frozen.
pub fn is_multi_cell(typ: &ColumnType<'_>) -> bool {
    matches!(
        typ,
        ColumnType::Collection { frozen: false, .. } | ColumnType::UserDefinedType { frozen: false, .. }
    )
}

/// The type frozen, with all that it holds.
pub fn frozen(typ: &CqlType) -> CqlType {
    match typ {
        ColumnType::Collection { typ, .. } => ColumnType::Collection {
            frozen: true,
            typ: match typ {
                CollectionType::List(item) => CollectionType::List(Box::new(frozen(item))),
                CollectionType::Set(item) => CollectionType::Set(Box::new(frozen(item))),
                CollectionType::Map(key, value) => {
                    CollectionType::Map(Box::new(frozen(key)), Box::new(frozen(value)))
                }
                other => other.clone(),
            },
        },
        ColumnType::UserDefinedType { definition, .. } => {
            ColumnType::UserDefinedType { frozen: true, definition: Arc::clone(definition) }
        }
        ColumnType::Tuple(items) => ColumnType::Tuple(items.iter().map(frozen).collect()),
        other => other.clone(),
    }
}

/// Writes the type as an `[option]` of the protocol.
pub fn write_option(typ: &ColumnType<'_>, out: &mut impl BufMut) {
    match typ {
        ColumnType::Native(native) => {
            let id = NATIVE.iter().find(|(_, known, _)| known == native).map_or(0x03, |(.., id)| *id);
            out.put_u16(id);
        }
        ColumnType::Collection { typ: CollectionType::List(item), .. } => {
            out.put_u16(0x20);
            write_option(item, out);
        }
        ColumnType::Collection { typ: CollectionType::Map(key, value), .. } => {
            out.put_u16(0x21);
            write_option(key, out);
            write_option(value, out);
        }
        ColumnType::Collection { typ: CollectionType::Set(item), .. } => {
            out.put_u16(0x22);
            write_option(item, out);
        }
        ColumnType::UserDefinedType { definition, .. } => write_udt(definition, out),
        ColumnType::Tuple(items) => {
            out.put_u16(0x31);
            out.put_u16(u16::try_from(items.len()).unwrap_or(0));
            items.iter().for_each(|item| write_option(item, out));
        }
        _ => out.put_u16(0x03),
    }
}

fn write_udt(definition: &UserDefinedType<'_>, out: &mut impl BufMut) {
    out.put_u16(0x30);
    put_name(&definition.keyspace, out);
    put_name(&definition.name, out);
    out.put_u16(u16::try_from(definition.field_types.len()).unwrap_or(0));
    for (name, typ) in &definition.field_types {
        put_name(name, out);
        write_option(typ, out);
    }
}

/// Writes a `[string]`; what would not fit is cut off.
pub(crate) fn put_name(name: &str, out: &mut impl BufMut) {
    let name = &name[..name.floor_char_boundary(usize::from(u16::MAX))];
    out.put_u16(u16::try_from(name.len()).unwrap_or(u16::MAX));
    out.put_slice(name.as_bytes());
}

/// Reads a type's name as [`name`] writes it; `udt` finds user-defined types of the keyspace.
pub fn parse(
    text: &str,
    udt: &dyn Fn(&str) -> Option<Arc<UserDefinedType<'static>>>,
) -> Result<CqlType, DbError> {
    let text = text.trim();
    let unknown = || DbError::invalid(format!("Unknown type {text}"));
    let Some((head, inner)) = text.strip_suffix('>').and_then(|text| text.split_once('<')) else {
        if let Some(native) = native(text) {
            return Ok(ColumnType::Native(native));
        }
        let definition = udt(text.trim_matches('"')).ok_or_else(unknown)?;
        return Ok(ColumnType::UserDefinedType { frozen: false, definition });
    };
    let mut arguments = split_arguments(inner).map(|argument| parse(argument, udt));
    let mut next = || arguments.next().ok_or_else(unknown)?.map(Box::new);
    let collection = |typ| ColumnType::Collection { frozen: false, typ };
    let typ = match head.trim().to_ascii_lowercase().as_str() {
        "frozen" => frozen(&*next()?),
        "list" => collection(CollectionType::List(next()?)),
        "set" => collection(CollectionType::Set(next()?)),
        "map" => collection(CollectionType::Map(next()?, next()?)),
        "tuple" => return arguments.collect::<Result<_, _>>().map(ColumnType::Tuple),
        _ => return Err(unknown()),
    };
    if arguments.next().is_some() { Err(unknown()) } else { Ok(typ) }
}

/// Splits at the commas that are not inside angle brackets.
fn split_arguments(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    text.split(move |c| {
        match c {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
}

/// Whether `found` holds for the type or any type inside it.
pub fn walk(typ: &CqlType, found: &mut dyn FnMut(&CqlType) -> bool) -> bool {
    found(typ)
        || match typ {
            ColumnType::Collection {
                typ: CollectionType::List(item) | CollectionType::Set(item), ..
            } => walk(item, found),
            ColumnType::Collection { typ: CollectionType::Map(key, value), .. } => {
                walk(key, found) || walk(value, found)
            }
            ColumnType::Tuple(items) => items.iter().any(|item| walk(item, found)),
            ColumnType::UserDefinedType { definition, .. } => {
                definition.field_types.iter().any(|(_, typ)| walk(typ, found))
            }
            _ => false,
        }
}
