//! What keyspaces and tables must be like to be created.
use std::sync::Arc;

use scylla_cql::frame::response::result::{ColumnType, NativeType};

use super::{Column, ColumnDefinition, ColumnKind, KeyspaceDefinition};
use crate::error::DbError;
use crate::value::{CqlType, types};

pub(super) fn refuse_system(keyspace: &str) -> Result<(), DbError> {
    if super::is_system(keyspace) {
        return Err(DbError::unauthorized(format!("{keyspace} keyspace is not user-modifiable.")));
    }
    Ok(())
}

pub(super) fn check_name(what: &str, name: &str) -> Result<(), DbError> {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain && name.len() <= 192 {
        return Ok(());
    }
    Err(DbError::invalid(format!(
        "{what} names shouldn't be more than 192 characters long, nor empty, nor hold other than letters, digits and underscores (got \"{name}\")"
    )))
}

pub(super) fn check_tablets(keyspace: &KeyspaceDefinition) -> Result<(), DbError> {
    let class =
        keyspace.replication.get("class").map_or("", |class| class.rsplit('.').next().unwrap_or(class));
    if keyspace.tablets.is_some() && class != "NetworkTopologyStrategy" {
        return Err(DbError::config(format!("{class} doesn't support tablet replication")));
    }
    Ok(())
}

/// Checks the columns of a new table and puts them in the order of `SELECT *`.
pub(super) fn arrange(definitions: Vec<ColumnDefinition>) -> Result<Vec<Column>, DbError> {
    let clustering = definitions.iter().any(|column| column.kind == ColumnKind::Clustering);
    let mut columns: Vec<Column> = Vec::with_capacity(definitions.len());
    for definition in definitions {
        let ColumnDefinition { name, kind, typ, direction } = definition;
        if columns.iter().any(|column| *column.name == *name) {
            return Err(DbError::invalid(format!("Multiple definition of identifier {name}")));
        }
        if matches!(kind, ColumnKind::PartitionKey | ColumnKind::Clustering) {
            check_key_type(&name, &typ)?;
        }
        if kind == ColumnKind::Static && !clustering {
            return Err(DbError::invalid(
                "Static columns are only useful (and thus allowed) if the table has at least one clustering column",
            ));
        }
        if typ == ColumnType::Native(NativeType::Counter) {
            return Err(DbError::invalid("counter columns are not supported by this server"));
        }
        columns.push(Column { id: 0, name: name.into(), kind, typ, direction });
    }
    if !columns.iter().any(|column| column.kind == ColumnKind::PartitionKey) {
        return Err(DbError::invalid("No PRIMARY KEY specified (exactly one required)"));
    }
    sort_columns(&mut columns);
    for (id, column) in columns.iter_mut().enumerate() {
        column.id = id as u16;
    }
    Ok(columns)
}

fn check_key_type(name: &str, typ: &CqlType) -> Result<(), DbError> {
    if types::is_multi_cell(typ) {
        let message = format!(
            "Invalid non-frozen collection type {} for PRIMARY KEY component {name}",
            types::name(typ)
        );
        return Err(DbError::invalid(message));
    }
    if *typ == ColumnType::Native(NativeType::Duration) {
        return Err(DbError::invalid(format!("duration type is not supported for PRIMARY KEY part {name}")));
    }
    Ok(())
}

/// Key columns keep their order; static and regular ones are sorted by name.
pub(super) fn sort_columns(columns: &mut [Column]) {
    columns.sort_by(|l, r| {
        let name = |column: &Column| {
            matches!(column.kind, ColumnKind::Static | ColumnKind::Regular).then(|| Arc::clone(&column.name))
        };
        l.kind.cmp(&r.kind).then_with(|| name(l).cmp(&name(r)))
    });
}

pub(super) fn mentions(typ: &CqlType, keyspace: &str, name: &str) -> bool {
    types::walk(typ, &mut |typ| {
        matches!(typ, ColumnType::UserDefinedType { definition, .. }
            if definition.keyspace == keyspace && definition.name == name)
    })
}
