//! USING TIMEOUT: nothing here takes long, so only a timeout of nothing passes.
use scylla_cql::deserialize::FrameSlice;
use scylla_cql::deserialize::value::DeserializeValue;
use scylla_cql::frame::response::result::{ColumnType, NativeType};
use scylla_cql::value::CqlDuration;

use super::plan::{Plan, Prepared};
use super::term::Env;
use crate::error::{DbError, ErrorCode};
use crate::outcome::BoundValue;

/// Checks the timeout of a statement, if it has one.
pub(super) fn check(prepared: &Prepared, env: &Env<'_>) -> Result<(), DbError> {
    let Some(term) = &prepared.timeout else { return Ok(()) };
    let BoundValue::Set(bytes) = env.value(term)? else {
        return Err(DbError::invalid("Timeout value cannot be unset/null"));
    };
    let typ = ColumnType::Native(NativeType::Duration);
    let duration = CqlDuration::deserialize(&typ, Some(FrameSlice::new(&bytes)));
    let duration = duration.map_err(|error| DbError::invalid(format!("Invalid timeout value: {error}")))?;
    if duration.months != 0 || duration.days != 0 {
        return Err(DbError::invalid("Timeout values cannot be expressed in days/months"));
    }
    if duration.nanoseconds % 1_000_000 != 0 {
        return Err(DbError::invalid("Timeout values cannot have granularity finer than milliseconds"));
    }
    match duration.nanoseconds {
        0 => Err(timed_out(&prepared.plan)),
        ..0 => Err(DbError::invalid("Timeout values must be non-negative")),
        _ => Ok(()),
    }
}

fn timed_out(plan: &Plan) -> DbError {
    // Consistency ONE, of which no replica answered.
    let (consistency, received, block_for) = (1, 0, 1);
    let code = match plan {
        Plan::Select(_) => ErrorCode::ReadTimeout { consistency, received, block_for, data_present: 0 },
        Plan::Truncate(_) => ErrorCode::Server,
        _ => ErrorCode::WriteTimeout { consistency, received, block_for, write_type: "SIMPLE" },
    };
    DbError::new(code, "Operation timed out - received only 0 responses from 1 CL=ONE.")
}
