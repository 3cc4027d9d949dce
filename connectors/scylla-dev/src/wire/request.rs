//! The bodies of QUERY, EXECUTE and BATCH.
use bytes::Bytes;
use scylla_cql::frame::types::{self, RawValue};

use crate::error::DbError;
use crate::outcome::{BatchKind, BoundValue, QueryOptions, Specs};

const VALUES: u8 = 0x01;
const SKIP_METADATA: u8 = 0x02;
const PAGE_SIZE: u8 = 0x04;
const PAGING_STATE: u8 = 0x08;
const SERIAL_CONSISTENCY: u8 = 0x10;
const TIMESTAMP: u8 = 0x20;
const NAMED_VALUES: u8 = 0x40;

/// What follows the statement in QUERY and EXECUTE.
#[derive(Debug)]
pub(super) struct Parameters {
    pub(super) values: Values,
    /// The client knows the columns already.
    pub(super) skip_metadata: bool,
    pub(super) options: QueryOptions,
}

/// Bound values, by place or by name.
#[derive(Debug)]
pub(super) enum Values {
    Positional(Vec<BoundValue>),
    Named(Vec<(String, BoundValue)>),
}

/// One statement of a BATCH.
#[derive(Debug)]
pub(super) enum BatchPart {
    Text(String, Vec<BoundValue>),
    Prepared(Bytes, Vec<BoundValue>),
}

/// A whole BATCH.
#[derive(Debug)]
pub(super) struct BatchRequest {
    pub(super) kind: BatchKind,
    pub(super) parts: Vec<BatchPart>,
    pub(super) options: QueryOptions,
}

/// A body that does not read as its opcode says.
pub(super) fn malformed(error: impl std::fmt::Display) -> DbError {
    DbError::protocol(format!("Malformed request: {error}"))
}

/// Reads `[long string]`.
pub(super) fn text(rest: &mut &[u8]) -> Result<String, DbError> {
    types::read_long_string(rest).map(str::to_owned).map_err(malformed)
}

/// Reads what follows the statement; `body` is what `rest` is a part of.
pub(super) fn parameters(body: &Bytes, rest: &mut &[u8]) -> Result<Parameters, DbError> {
    let consistency = types::read_consistency(rest).map_err(malformed)?;
    let flags = types::read_byte(rest).map_err(malformed)?;
    let mut values = Values::Positional(Vec::new());
    if flags & VALUES != 0 {
        let count = types::read_short(rest).map_err(malformed)?;
        values = if flags & NAMED_VALUES != 0 {
            let named = |_| Ok((types::read_string(rest).map_err(malformed)?.to_owned(), value(body, rest)?));
            Values::Named((0..count).map(named).collect::<Result<_, DbError>>()?)
        } else {
            Values::Positional(positional(body, rest, count)?)
        };
    }
    let mut options = QueryOptions { consistency, ..QueryOptions::default() };
    if flags & PAGE_SIZE != 0 {
        let size = types::read_int(rest).map_err(malformed)?;
        options.page_size = usize::try_from(size).ok().filter(|size| *size > 0);
    }
    if flags & PAGING_STATE != 0 {
        let state = types::read_bytes(rest).map_err(malformed)?;
        options.paging_state = Some(body.slice_ref(state));
    }
    read_tail(flags, rest, &mut options)?;
    Ok(Parameters { values, skip_metadata: flags & SKIP_METADATA != 0, options })
}

/// Reads the body of BATCH.
pub(super) fn batch(body: &Bytes) -> Result<BatchRequest, DbError> {
    let rest = &mut &body[..];
    let kind = match types::read_byte(rest).map_err(malformed)? {
        0 => BatchKind::Logged,
        1 => BatchKind::Unlogged,
        2 => BatchKind::Counter,
        other => return Err(DbError::protocol(format!("Invalid batch type {other}"))),
    };
    let count = types::read_short(rest).map_err(malformed)?;
    let parts = (0..count).map(|_| part(body, rest)).collect::<Result<_, _>>()?;
    let consistency = types::read_consistency(rest).map_err(malformed)?;
    let mut options = QueryOptions { consistency, ..QueryOptions::default() };
    let flags = types::read_byte(rest).map_err(malformed)?;
    read_tail(flags, rest, &mut options)?;
    Ok(BatchRequest { kind, parts, options })
}

fn part(body: &Bytes, rest: &mut &[u8]) -> Result<BatchPart, DbError> {
    let by_id = types::read_byte(rest).map_err(malformed)?;
    let statement = match by_id {
        0 => Ok(text(rest)?),
        1 => Err(body.slice_ref(types::read_short_bytes(rest).map_err(malformed)?)),
        other => return Err(DbError::protocol(format!("Invalid kind of batch statement {other}"))),
    };
    let count = types::read_short(rest).map_err(malformed)?;
    let values = positional(body, rest, count)?;
    Ok(match statement {
        Ok(text) => BatchPart::Text(text, values),
        Err(id) => BatchPart::Prepared(id, values),
    })
}

fn read_tail(flags: u8, rest: &mut &[u8], options: &mut QueryOptions) -> Result<(), DbError> {
    if flags & SERIAL_CONSISTENCY != 0 {
        options.serial_consistency = Some(types::read_consistency(rest).map_err(malformed)?);
    }
    if flags & TIMESTAMP != 0 {
        options.timestamp = Some(types::read_long(rest).map_err(malformed)?);
    }
    Ok(())
}

fn positional(body: &Bytes, rest: &mut &[u8], count: u16) -> Result<Vec<BoundValue>, DbError> {
    (0..count).map(|_| value(body, rest)).collect()
}

fn value(body: &Bytes, rest: &mut &[u8]) -> Result<BoundValue, DbError> {
    Ok(match types::read_value(rest).map_err(malformed)? {
        RawValue::Value(value) => BoundValue::Set(body.slice_ref(value)),
        RawValue::Null => BoundValue::Null,
        RawValue::Unset => BoundValue::Unset,
    })
}

impl Values {
    /// The values in the order of the markers.
    pub(super) fn in_order(self, markers: &Specs) -> Result<Vec<BoundValue>, DbError> {
        let values = match self {
            Self::Positional(values) => values,
            Self::Named(named) => {
                let find = |name: &str| {
                    named.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
                };
                let missing = |name| DbError::invalid(format!("Missing value for bind variable {name}"));
                let in_order =
                    markers.iter().map(|spec| find(spec.name()).ok_or_else(|| missing(spec.name())));
                in_order.collect::<Result<_, _>>()?
            }
        };
        if values.len() == markers.len() {
            return Ok(values);
        }
        let (expected, got) = (markers.len(), values.len());
        Err(DbError::invalid(format!("Invalid amount of bind variables: expected {expected}, got {got}")))
    }
}
