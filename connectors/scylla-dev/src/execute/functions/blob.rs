//! `intAsBlob`, `blobAsInt` and their like, one pair for every native type.
use bytes::Bytes;
use scylla_cql::frame::response::result::{ColumnType, NativeType};

use super::{Function, Input};
use crate::error::DbError;
use crate::value::{check, types};

/// The conversion of this name.
pub(super) fn conversion(name: &str) -> Option<Function> {
    let to_blob = name.strip_suffix("asblob").and_then(types::native);
    let from_blob = name.strip_prefix("blobas").and_then(types::native);
    let (argument, returns) = match (to_blob, from_blob) {
        (Some(native), _) => (native, NativeType::Blob),
        (_, Some(native)) => (NativeType::Blob, native),
        _ => return None,
    };
    let wanted = |native: &NativeType| !matches!(native, NativeType::Counter);
    let function = Function { name: name.to_owned(), arguments: vec![argument], returns, eval: convert };
    (wanted(&function.arguments[0]) && wanted(&function.returns)).then_some(function)
}

/// The bytes stay what they are, if they are a value of the new type.
fn convert(input: &Input<'_>) -> Result<Option<Bytes>, DbError> {
    let Some(value) = input.arguments.first() else { return Ok(None) };
    let typ = ColumnType::Native(input.function.returns.clone());
    if check::check(&typ, value).is_err() {
        let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        return Err(DbError::invalid(format!(
            "In call to function system.{}, value 0x{hex} is not a valid binary representation for type {}",
            input.function.name,
            types::name(&typ)
        )));
    }
    Ok(Some(value.clone()))
}
