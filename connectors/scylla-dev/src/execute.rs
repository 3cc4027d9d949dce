//! Runs prepared statements over the store.
//!
//! [`plan`] is what `statements::prepare` makes; here nothing is looked up by name any more. [`run`] checks the bound
//! values once, then [`select`] reads, [`modify`] writes, [`conditional`] reads and writes under one lock, [`batch`]
//! puts several modifications together and [`schema`] changes what exists. [`functions`] holds the functions of CQL:
//! a new one needs one entry in one file there.
mod aggregate;
mod batch;
mod change;
mod conditional;
mod consistency;
mod describe;
pub(crate) mod filter;
pub(crate) mod functions;
mod key;
mod list_id;
mod modify;
mod output;
mod page;
pub(crate) mod plan;
mod row;
mod scan;
mod schema;
mod select;
pub(crate) mod term;
#[cfg(test)]
mod tests;
mod timeout;

use std::sync::Arc;

pub(crate) use batch::{applied_specs, result_columns};
pub(crate) use change::is_list;
pub use plan::Prepared;

use crate::error::DbError;
use crate::outcome::{BatchKind, BoundValue, Outcome, QueryOptions};
use crate::storage::Store;
use crate::value::check;
use plan::Plan;
use term::{Env, NullKeys};

/// Runs a statement with these values, one for each bind variable.
pub fn run(
    store: &Store,
    prepared: &Prepared,
    values: &[BoundValue],
    options: &QueryOptions,
) -> Result<Outcome, DbError> {
    check_values(prepared, values)?;
    let reads = matches!(prepared.plan, Plan::Select(_));
    let null_keys = if reads { NullKeys::MatchNothing } else { NullKeys::Refused };
    let env = Env { values, now: store.clock().micros(), null_keys };
    consistency::check(store, &prepared.plan, options)?;
    timeout::check(prepared, &env)?;
    match &prepared.plan {
        Plan::Select(plan) => select::run(store, plan, &prepared.result, &env, options),
        Plan::Modify(plan) if plan.condition.is_some() => {
            conditional::run(store, plan, &prepared.result, &env)
        }
        Plan::Modify(plan) => modify::run(store, plan, &env, options),
        Plan::Batch(plan) => batch::run_text(store, plan, &env, options),
        Plan::Schema(change) => schema::run(store, change),
        Plan::Truncate(table) => {
            store.truncate(table);
            Ok(Outcome::Void)
        }
        Plan::Use(keyspace) => Ok(Outcome::SetKeyspace(Arc::clone(keyspace))),
        Plan::Describe(description, internals) => {
            describe::run(store, description, *internals, &prepared.result)
        }
    }
}

/// Runs a batch of INSERT, UPDATE and DELETE.
pub fn run_batch(
    store: &Store,
    kind: BatchKind,
    statements: &[(Arc<Prepared>, Vec<BoundValue>)],
    options: &QueryOptions,
) -> Result<Outcome, DbError> {
    if kind == BatchKind::Counter {
        return Err(DbError::invalid("Cannot include non-counter statement in a counter batch"));
    }
    let now = store.clock().micros();
    let mut parts = Vec::with_capacity(statements.len());
    for (prepared, values) in statements {
        check_values(prepared, values)?;
        let Plan::Modify(plan) = &prepared.plan else {
            return Err(DbError::invalid(
                "Invalid statement in batch: only UPDATE, INSERT and DELETE statements are allowed.",
            ));
        };
        let env = Env { values, now, null_keys: NullKeys::Refused };
        timeout::check(prepared, &env)?;
        parts.push(batch::Part { plan, env });
    }
    consistency::check_writes(store, parts.iter().map(|part| part.plan), options)?;
    batch::run(store, &parts, options.timestamp)
}

/// The only check of bound values: from here on bytes are what their types say.
fn check_values(prepared: &Prepared, values: &[BoundValue]) -> Result<(), DbError> {
    let specs = prepared.bind_specs();
    if specs.len() != values.len() {
        return Err(DbError::invalid(format!(
            "Invalid amount of bind variables: expected {} received {}",
            specs.len(),
            values.len()
        )));
    }
    for (number, (spec, value)) in specs.iter().zip(values).enumerate() {
        if let BoundValue::Set(bytes) = value {
            let choices = prepared.choices.contains(&number);
            let check = if choices { check::check_choices } else { check::check };
            check(spec.typ(), bytes).map_err(|error| {
                DbError::invalid(format!("Exception while binding column {}: {error}", spec.name()))
            })?;
        }
    }
    Ok(())
}
