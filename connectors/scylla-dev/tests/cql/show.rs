//! Values and types in CQL's own notation, straight from the bytes, so that nothing a driver hides is hidden here.
use scylla::frame::response::result::{CollectionType, ColumnType, NativeType};
use uuid::Uuid;

/// The name of a type; whether it is frozen is not told over the wire.
pub(crate) fn name(typ: &ColumnType<'_>) -> String {
    match typ {
        ColumnType::Native(native) => format!("{native:?}").to_lowercase(),
        ColumnType::Collection { typ: CollectionType::List(item), .. } => format!("list<{}>", name(item)),
        ColumnType::Collection { typ: CollectionType::Set(item), .. } => format!("set<{}>", name(item)),
        ColumnType::Collection { typ: CollectionType::Map(key, value), .. } => {
            format!("map<{}, {}>", name(key), name(value))
        }
        ColumnType::Tuple(items) => {
            format!("tuple<{}>", items.iter().map(name).collect::<Vec<_>>().join(", "))
        }
        ColumnType::UserDefinedType { definition, .. } => definition.name.to_string(),
        other => format!("{other:?}"),
    }
}

/// A value; `null`, and `empty` for the value without bytes that most types have.
pub(crate) fn value(typ: &ColumnType<'_>, value: Option<&[u8]>) -> String {
    let Some(bytes) = value else { return "null".to_owned() };
    match typ {
        ColumnType::Native(native) => scalar(native, bytes),
        ColumnType::Tuple(items) => fields(items.iter(), bytes),
        ColumnType::UserDefinedType { definition, .. } => {
            fields(definition.field_types.iter().map(|(_, typ)| typ), bytes)
        }
        ColumnType::Collection { typ, .. } => collection(typ, bytes),
        other => format!("{other:?}"),
    }
}

fn scalar(native: &NativeType, bytes: &[u8]) -> String {
    use NativeType as N;
    match native {
        N::Text | N::Ascii => format!("'{}'", String::from_utf8_lossy(bytes)),
        N::Blob => hex(bytes),
        _ if bytes.is_empty() => "empty".to_owned(),
        N::Boolean => (bytes != [0]).to_string(),
        N::TinyInt | N::SmallInt | N::Int | N::BigInt | N::Counter | N::Varint => integer(bytes),
        N::Float => f32::from_be_bytes(fixed(bytes)).to_string(),
        N::Double => f64::from_be_bytes(fixed(bytes)).to_string(),
        N::Decimal => {
            format!("{}e{}", integer(&bytes[4..]), -i64::from(i32::from_be_bytes(fixed(&bytes[..4]))))
        }
        N::Uuid | N::Timeuuid => Uuid::from_bytes(fixed(bytes)).to_string(),
        N::Inet if bytes.len() == 4 => std::net::IpAddr::from(fixed::<4>(bytes)).to_string(),
        N::Inet => std::net::IpAddr::from(fixed::<16>(bytes)).to_string(),
        N::Timestamp => {
            let millis = i64::from_be_bytes(fixed(bytes));
            let moment = jiff::Timestamp::from_millisecond(millis);
            moment
                .map_or_else(|_| format!("{millis} ms"), |moment| moment.strftime("'%F %T%.3f'").to_string())
        }
        N::Date => {
            let days = i64::from(u32::from_be_bytes(fixed(bytes))) - (1 << 31);
            let moment = jiff::Timestamp::from_second(days * 86_400);
            moment.map_or_else(|_| format!("day {days}"), |moment| moment.strftime("'%F'").to_string())
        }
        N::Time => {
            let nanos = i64::from_be_bytes(fixed(bytes));
            let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
            format!("'{:02}:{:02}:{:02}.{rest:09}'", seconds / 3600, seconds / 60 % 60, seconds % 60)
        }
        _ => hex(bytes),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// A two's complement number; one of more than sixteen bytes is shown by them.
fn integer(bytes: &[u8]) -> String {
    let filler = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) { 0xFF } else { 0 };
    let mut wide = [filler; 16];
    match 16_usize.checked_sub(bytes.len()) {
        None => hex(bytes),
        Some(start) => {
            wide[start..].copy_from_slice(bytes);
            i128::from_be_bytes(wide).to_string()
        }
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap_or_else(|_| panic!("{bytes:?} is not {N} bytes long"))
}

/// The next value with a length in front.
fn next<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (length, after) = rest.split_first_chunk::<4>().unwrap();
    *rest = after;
    let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
    let (value, after) = rest.split_at(length);
    *rest = after;
    Some(value)
}

fn fields<'t, 'f: 't>(types: impl Iterator<Item = &'t ColumnType<'f>>, mut rest: &[u8]) -> String {
    let mut shown = Vec::new();
    for typ in types {
        // Fields that were added to the type later are missing.
        shown.push(if rest.is_empty() { "-".to_owned() } else { value(typ, next(&mut rest)) });
    }
    format!("({})", shown.join(", "))
}

fn collection(typ: &CollectionType<'_>, mut rest: &[u8]) -> String {
    let (count, after) = rest.split_first_chunk::<4>().unwrap();
    rest = after;
    let shown = (0..i32::from_be_bytes(*count)).map(|_| match typ {
        CollectionType::Map(key, item) => {
            let key = value(key, next(&mut rest));
            format!("{key}: {}", value(item, next(&mut rest)))
        }
        CollectionType::List(item) | CollectionType::Set(item) => value(item, next(&mut rest)),
        other => format!("{other:?}"),
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    if matches!(typ, CollectionType::List(_)) { format!("[{shown}]") } else { format!("{{{shown}}}") }
}
