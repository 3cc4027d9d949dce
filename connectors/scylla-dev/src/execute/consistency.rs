//! Consistency levels: the one node stands for all replicas of a keyspace, so a level fails only where there can never be
//! as many, or where it has no meaning for the statement.
use scylla_cql::Consistency;

use super::plan::{Modify, Plan};
use crate::error::{DbError, ErrorCode};
use crate::outcome::QueryOptions;
use crate::schema::{Keyspace, Table};
use crate::storage::Store;

/// Checks the levels a client sent with a statement.
pub(super) fn check(store: &Store, plan: &Plan, options: &QueryOptions) -> Result<(), DbError> {
    match plan {
        Plan::Select(select) => {
            if let name @ ("ANY" | "EACH_QUORUM") = name(options.consistency) {
                return Err(DbError::invalid(format!(
                    "{name} ConsistencyLevel is only supported for writes"
                )));
            }
            check_replicas(store, &select.table, options.consistency)
        }
        Plan::Modify(modify) => check_writes(store, std::iter::once(&**modify), options),
        Plan::Batch(batch) => check_writes(store, batch.statements.iter(), options),
        Plan::Schema(_) | Plan::Truncate(_) | Plan::Use(_) | Plan::Describe(..) => Ok(()),
    }
}

/// Checks the levels for statements that are written together.
pub(super) fn check_writes<'m>(
    store: &Store,
    statements: impl Iterator<Item = &'m Modify> + Clone,
    options: &QueryOptions,
) -> Result<(), DbError> {
    let level = options.consistency;
    let conditional = statements.clone().any(|statement| statement.condition.is_some());
    if conditional && options.serial_consistency.is_some_and(|serial| !is_serial(serial)) {
        return Err(DbError::invalid(
            "Invalid consistency for conditional update. Must be one of SERIAL or LOCAL_SERIAL",
        ));
    }
    if is_serial(level) {
        return Err(DbError::invalid(if conditional {
            format!(
                "{} is not supported as conditional update commit consistency. Use ANY if you mean \"make sure it is \
                 accepted but I don't care how many replicas commit it for non-SERIAL reads\"",
                name(level)
            )
        } else {
            "You must use conditional updates for serializable writes".to_owned()
        }));
    }
    for statement in statements {
        check_replicas(store, &statement.table, level)?;
    }
    Ok(())
}

fn is_serial(level: Consistency) -> bool {
    matches!(level, Consistency::Serial | Consistency::LocalSerial)
}

/// Two and three are the levels that a keyspace may have too few replicas for.
fn check_replicas(store: &Store, table: &Table, level: Consistency) -> Result<(), DbError> {
    let required = match level {
        Consistency::Two => 2,
        Consistency::Three => 3,
        _ => return Ok(()),
    };
    let schema = store.schema();
    let alive = schema.keyspace(&table.keyspace).map_or(1, |keyspace| replicas(keyspace));
    if alive >= required {
        return Ok(());
    }
    let message = format!(
        "Cannot achieve consistency level for cl {}. Requires {required}, alive {alive}",
        name(level)
    );
    Err(DbError::new(ErrorCode::Unavailable { consistency: level as u16, required, alive }, message))
}

/// Local keyspaces have no factor: what they have is here.
fn replicas(keyspace: &Keyspace) -> i32 {
    let factors = keyspace.replication.iter().filter(|(option, _)| *option != "class");
    factors.filter_map(|(_, factor)| factor.parse().ok()).next().unwrap_or(1)
}

fn name(level: Consistency) -> &'static str {
    match level {
        Consistency::Any => "ANY",
        Consistency::One => "ONE",
        Consistency::Two => "TWO",
        Consistency::Three => "THREE",
        Consistency::Quorum => "QUORUM",
        Consistency::All => "ALL",
        Consistency::LocalQuorum => "LOCAL_QUORUM",
        Consistency::EachQuorum => "EACH_QUORUM",
        Consistency::LocalOne => "LOCAL_ONE",
        Consistency::Serial => "SERIAL",
        Consistency::LocalSerial => "LOCAL_SERIAL",
    }
}
