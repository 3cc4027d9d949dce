//! CREATE, ALTER and DROP.
use super::plan::{SchemaChange as Change, TableChange};
use crate::error::{DbError, ErrorCode};
use crate::outcome::{ChangeKind, ChangeTarget, Outcome, SchemaChange};
use crate::schema::Schema;
use crate::storage::Store;

/// Changes the schema; what is there already, or is not there, is no change when the statement allows for it.
pub(super) fn run(store: &Store, change: &Change) -> Result<Outcome, DbError> {
    let outcome = store.change_schema(|schema| {
        if is_needless(schema, change) {
            return Err(needless());
        }
        apply(schema, change)?;
        Ok(describe(change))
    });
    match outcome {
        Ok(change) => Ok(Outcome::SchemaChange(change)),
        Err(error) if error == needless() => Ok(Outcome::Void),
        Err(error) => Err(error),
    }
}

/// Tells the store to leave the schema and its version as they are.
fn needless() -> DbError {
    DbError::new(ErrorCode::Server, "nothing to change")
}

fn is_needless(schema: &Schema, change: &Change) -> bool {
    match change {
        Change::CreateKeyspace { definition, if_not_exists } => {
            *if_not_exists && schema.keyspace(&definition.name).is_ok()
        }
        Change::DropKeyspace { name, if_exists } => *if_exists && schema.keyspace(name).is_err(),
        Change::CreateTable { definition, if_not_exists } => {
            *if_not_exists && schema.table(&definition.keyspace, &definition.name).is_ok()
        }
        Change::DropTable { keyspace, table, if_exists } => {
            *if_exists && schema.table(keyspace, table).is_err()
        }
        Change::CreateType { keyspace, name, if_not_exists, .. } => {
            *if_not_exists && schema.user_type(keyspace, name).is_ok()
        }
        Change::DropType { keyspace, name, if_exists } => {
            *if_exists && schema.user_type(keyspace, name).is_err()
        }
        Change::AlterKeyspace(_) | Change::AlterTable { .. } => false,
    }
}

fn apply(schema: &mut Schema, change: &Change) -> Result<(), DbError> {
    match change {
        Change::CreateKeyspace { definition, .. } => schema.create_keyspace(definition.clone()),
        Change::AlterKeyspace(definition) => schema.alter_keyspace(definition.clone()),
        Change::DropKeyspace { name, .. } => schema.drop_keyspace(name),
        Change::CreateTable { definition, .. } => schema.create_table(definition.clone()).map(drop),
        Change::AlterTable { keyspace, table, change } => alter_table(schema, keyspace, table, change),
        Change::DropTable { keyspace, table, .. } => schema.drop_table(keyspace, table),
        Change::CreateType { keyspace, name, fields, .. } => {
            schema.create_type(keyspace, name, fields.clone())
        }
        Change::DropType { keyspace, name, .. } => schema.drop_type(keyspace, name),
    }
}

fn alter_table(
    schema: &mut Schema,
    keyspace: &str,
    table: &str,
    change: &TableChange,
) -> Result<(), DbError> {
    match change {
        TableChange::Add(columns) => schema.add_columns(keyspace, table, columns.clone()),
        TableChange::Drop(columns) => schema.drop_columns(keyspace, table, columns),
        TableChange::Rename(renames) => {
            renames.iter().try_for_each(|(from, to)| schema.rename_column(keyspace, table, from, to))
        }
        TableChange::Options(options) => {
            let mut changed = schema.table(keyspace, table)?.options.clone();
            for (name, value) in options {
                changed.set(name, value.clone())?;
            }
            schema.set_options(keyspace, table, changed)
        }
    }
}

/// The change as clients are told.
fn describe(change: &Change) -> SchemaChange {
    let of = |kind, target, keyspace: &str| SchemaChange { kind, target, keyspace: keyspace.to_owned() };
    let table = |name: &str| ChangeTarget::Table(name.to_owned());
    let user_type = |name: &str| ChangeTarget::Type(name.to_owned());
    use ChangeKind::{Created, Dropped, Updated};
    match change {
        Change::CreateKeyspace { definition, .. } => of(Created, ChangeTarget::Keyspace, &definition.name),
        Change::AlterKeyspace(definition) => of(Updated, ChangeTarget::Keyspace, &definition.name),
        Change::DropKeyspace { name, .. } => of(Dropped, ChangeTarget::Keyspace, name),
        Change::CreateTable { definition, .. } => of(Created, table(&definition.name), &definition.keyspace),
        Change::AlterTable { keyspace, table: name, .. } => of(Updated, table(name), keyspace),
        Change::DropTable { keyspace, table: name, .. } => of(Dropped, table(name), keyspace),
        Change::CreateType { keyspace, name, .. } => of(Created, user_type(name), keyspace),
        Change::DropType { keyspace, name, .. } => of(Dropped, user_type(name), keyspace),
    }
}
