//! CQL values as the bytes that travel on the wire; nothing decodes a value unless it has to.
//!
//! Types are the driver's own [`ColumnType`]. [`order`] turns values into bytes that sort as the values do, which
//! makes every clustering range a plain byte range; [`collection`] takes collections apart; [`check`] refuses
//! bytes that are not of their type; [`identifier`] quotes names; [`types`] reads and writes the CQL names of types; [`timeuuid`] makes version-1
//! ids.
pub mod check;
pub mod collection;
pub(crate) mod identifier;
pub mod order;
pub mod timeuuid;
pub mod token;
pub mod types;

use std::cmp::Ordering;

use scylla_cql::frame::response::result::ColumnType;

/// The type of a column, marker or literal.
pub type CqlType = ColumnType<'static>;

/// Compares two serialized values of one type as CQL does.
pub fn compare(typ: &CqlType, left: &[u8], right: &[u8]) -> Ordering {
    use scylla_cql::frame::response::result::NativeType as N;
    match typ {
        ColumnType::Native(N::Ascii | N::Text | N::Blob | N::Inet | N::Boolean | N::Date) => left.cmp(right),
        _ if left == right => Ordering::Equal,
        _ => order::sortable(typ, left).cmp(&order::sortable(typ, right)),
    }
}

#[cfg(test)]
mod tests;
