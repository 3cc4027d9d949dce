//! CREATE, ALTER and DROP.
use std::collections::BTreeMap;

use scylla_cql::frame::response::result::{ColumnType, NativeType};

use super::ast::{self, Properties, Property, Statement, TableName};
use super::{Context, without_rows};
use crate::error::DbError;
use crate::execute::plan::{Plan, Prepared, SchemaChange, TableChange};
use crate::schema::{
    ColumnDefinition, ColumnKind, KeyspaceDefinition, OptionValue, TableDefinition, TableOptions,
};
use crate::value::order::Direction;
use crate::value::types;

impl Context<'_> {
    pub(super) fn schema_change(&mut self, statement: Statement) -> Result<Prepared, DbError> {
        let change = match statement {
            Statement::CreateKeyspace(create) => SchemaChange::CreateKeyspace {
                definition: keyspace(create.name, create.properties, None, self.schema.layout.tablets)?,
                if_not_exists: create.if_not_exists,
            },
            Statement::AlterKeyspace(alter) => {
                let present = self.schema.keyspace(&alter.name)?;
                let present = KeyspaceDefinition {
                    name: alter.name.clone(),
                    replication: present.replication.clone(),
                    durable_writes: present.durable_writes,
                    tablets: present.tablets,
                };
                SchemaChange::AlterKeyspace(keyspace(alter.name, alter.properties, Some(present), None)?)
            }
            Statement::DropKeyspace(drop) => {
                SchemaChange::DropKeyspace { name: drop.name, if_exists: drop.if_exists }
            }
            Statement::CreateTable(create) => self.create_table(create)?,
            Statement::AlterTable(alter) => self.alter_table(alter)?,
            Statement::DropTable(drop) => SchemaChange::DropTable {
                keyspace: self.keyspace_of(&drop.name)?,
                table: drop.name.name,
                if_exists: drop.if_exists,
            },
            Statement::CreateType(create) => self.create_type(create)?,
            Statement::DropType(drop) => SchemaChange::DropType {
                keyspace: self.keyspace_of(&drop.name)?,
                name: drop.name.name,
                if_exists: drop.if_exists,
            },
            _ => return Err(DbError::invalid("this statement changes no schema")),
        };
        Ok(without_rows(Plan::Schema(Box::new(change))))
    }

    fn create_type(&mut self, create: ast::CreateType) -> Result<SchemaChange, DbError> {
        let keyspace = self.keyspace_of(&create.name)?;
        let mut fields = Vec::with_capacity(create.fields.len());
        for (name, typ) in create.fields {
            let typ = self.cql_type(&typ, &keyspace)?;
            if types::is_multi_cell(&typ) && matches!(typ, ColumnType::UserDefinedType { .. }) {
                return Err(DbError::invalid(format!(
                    "Non-frozen user types are not allowed inside user types: field {name}"
                )));
            }
            if fields.iter().any(|(known, _)| *known == name) {
                let typ = &create.name.name;
                return Err(DbError::invalid(format!("Duplicate field name '{name}' in type '{typ}'")));
            }
            fields.push((name, typ));
        }
        let if_not_exists = create.if_not_exists;
        Ok(SchemaChange::CreateType { keyspace, name: create.name.name, fields, if_not_exists })
    }

    fn create_table(&mut self, create: ast::CreateTable) -> Result<SchemaChange, DbError> {
        let keyspace = self.keyspace_of(&create.name)?;
        let key = match create.keys.as_slice() {
            [key] => key,
            [] => return Err(DbError::invalid("No PRIMARY KEY specified (exactly one required)")),
            _ => return Err(DbError::invalid("Multiple PRIMARY KEYs specified (exactly one required)")),
        };
        check_order(&create.clustering_order, &key.clustering)?;
        let mut columns = Vec::with_capacity(create.columns.len());
        for (name, kind) in key
            .partition
            .iter()
            .map(|name| (name, ColumnKind::PartitionKey))
            .chain(key.clustering.iter().map(|name| (name, ColumnKind::Clustering)))
        {
            let Some(column) = create.columns.iter().find(|column| column.name == *name) else {
                return Err(DbError::invalid(format!("Unknown definition {name} referenced in PRIMARY KEY")));
            };
            if column.is_static {
                let message = format!("Static column {name} cannot be part of the PRIMARY KEY");
                return Err(DbError::invalid(message));
            }
            let typ = self.cql_type(&column.column_type, &keyspace)?;
            check_key_type(name, &typ)?;
            let descending =
                create.clustering_order.iter().any(|order| order.column == *name && order.descending);
            let direction = if descending { Direction::Descending } else { Direction::Ascending };
            columns.push(ColumnDefinition { name: name.clone(), kind, typ, direction });
        }
        for column in &create.columns {
            let in_key = key.partition.contains(&column.name) || key.clustering.contains(&column.name);
            let twice = create.columns.iter().filter(|other| other.name == column.name).count() > 1;
            if twice {
                return Err(DbError::invalid(format!("Multiple definition of identifier {}", column.name)));
            }
            if column.is_static && key.clustering.is_empty() {
                return Err(DbError::invalid(
                    "Static columns are only useful (and thus allowed) if the table has at least one clustering column",
                ));
            }
            if !in_key {
                columns.push(self.column(column, &keyspace)?);
            }
        }
        let mut options = TableOptions::default();
        for (name, value) in create.properties {
            options.set(&name, option(value))?;
        }
        let definition = TableDefinition { keyspace, name: create.name.name, columns, options };
        Ok(SchemaChange::CreateTable { definition, if_not_exists: create.if_not_exists })
    }

    fn column(&self, column: &ast::ColumnDefinition, keyspace: &str) -> Result<ColumnDefinition, DbError> {
        let kind = if column.is_static { ColumnKind::Static } else { ColumnKind::Regular };
        let typ = self.cql_type(&column.column_type, keyspace)?;
        Ok(ColumnDefinition { name: column.name.clone(), kind, typ, direction: Direction::Ascending })
    }

    fn alter_table(&mut self, alter: ast::AlterTable) -> Result<SchemaChange, DbError> {
        let keyspace = self.keyspace_of(&alter.name)?;
        let TableName { name: table, .. } = alter.name;
        let change = match alter.action {
            ast::AlterAction::Add(columns) => {
                let columns = columns.iter().map(|column| self.column(column, &keyspace));
                TableChange::Add(columns.collect::<Result<_, _>>()?)
            }
            ast::AlterAction::Drop(columns) => TableChange::Drop(columns),
            ast::AlterAction::Rename(renames) => TableChange::Rename(renames),
            ast::AlterAction::With(properties) => {
                let options = properties.into_iter().map(|(name, value)| (name, option(value)));
                TableChange::Options(options.collect())
            }
        };
        Ok(SchemaChange::AlterTable { keyspace, table, change })
    }
}

fn option(value: Property) -> OptionValue {
    match value {
        Property::Value(text) => OptionValue::Text(text),
        Property::Map(entries) => OptionValue::Map(entries.into_iter().collect()),
    }
}

fn check_order(order: &[ast::OrderBy], clustering: &[String]) -> Result<(), DbError> {
    if order.is_empty() {
        return Ok(());
    }
    if let Some(part) = order.iter().find(|part| !clustering.contains(&part.column)) {
        return Err(DbError::invalid(format!(
            "Only clustering key columns can be defined in CLUSTERING ORDER directive: {}",
            part.column
        )));
    }
    let missing = clustering.iter().find(|name| order.iter().all(|part| part.column != **name));
    match missing {
        Some(name) => Err(DbError::invalid(format!("Missing CLUSTERING ORDER for column {name}"))),
        None if order.iter().map(|part| &part.column).eq(clustering) => Ok(()),
        None => Err(DbError::invalid(
            "The order of columns in the CLUSTERING ORDER directive must be the one of the clustering key",
        )),
    }
}

fn check_key_type(name: &str, typ: &crate::value::CqlType) -> Result<(), DbError> {
    if types::is_multi_cell(typ) {
        let typ = types::name(typ);
        return Err(DbError::invalid(format!(
            "Invalid non-frozen collection type {typ} for PRIMARY KEY component {name}"
        )));
    }
    if types::walk(typ, &mut |typ| matches!(typ, ColumnType::Native(NativeType::Duration))) {
        return Err(DbError::invalid(format!("duration type is not supported for PRIMARY KEY part {name}")));
    }
    Ok(())
}

/// What WITH says of a keyspace; `present` is what it does not say. A keyspace that is new and says nothing about tablets
/// gets the server's default, if its replication allows for tablets.
fn keyspace(
    name: String,
    properties: Properties,
    present: Option<KeyspaceDefinition>,
    default_tablets: Option<u32>,
) -> Result<KeyspaceDefinition, DbError> {
    let is_new = present.is_none();
    let (mut replication, mut durable_writes, mut tablets) = match present {
        Some(present) => (Some(present.replication), present.durable_writes, present.tablets),
        None => (None, true, None),
    };
    let mut says_tablets = false;
    for (name, value) in properties {
        match (name.as_str(), value) {
            ("replication", Property::Map(entries)) => {
                replication = Some(entries.into_iter().collect::<BTreeMap<_, _>>());
            }
            ("durable_writes", Property::Value(text)) => durable_writes = text.eq_ignore_ascii_case("true"),
            ("tablets", Property::Map(entries)) => {
                says_tablets = true;
                tablets = initial_tablets(entries)?;
            }
            // Stored nowhere: there is one node.
            ("storage" | "consistency", _) => {}
            ("replication", Property::Value(_)) => {
                return Err(DbError::config("Missing mandatory replication strategy class"));
            }
            _ => return Err(DbError::syntax(format!("Unknown property '{name}'"))),
        }
    }
    let replication =
        replication.ok_or_else(|| DbError::config("Missing mandatory replication strategy class"))?;
    if is_new && !says_tablets {
        let class = replication.get("class").filter(|class| class.ends_with("NetworkTopologyStrategy"));
        tablets = class.and(default_tablets);
    }
    Ok(KeyspaceDefinition { name, replication, durable_writes, tablets })
}

/// `tablets = {'enabled': …, 'initial': …}`; `None` for vnodes.
fn initial_tablets(options: Vec<(String, String)>) -> Result<Option<u32>, DbError> {
    let (mut enabled, mut initial) = (true, 0);
    for (name, value) in options {
        match (name.as_str(), value.as_str()) {
            ("enabled", "true") => {}
            ("enabled", "false") => enabled = false,
            ("enabled", _) => {
                let text = format!("Tablets enabled value must be true or false; found: {value}");
                return Err(DbError::config(text));
            }
            ("initial", _) => {
                let refused = |_| format!("Initial tablets value should be numeric; found {value}");
                initial = value.parse().map_err(refused).map_err(DbError::config)?;
            }
            _ => return Err(DbError::config(format!("Unrecognized tablets option {name}"))),
        }
    }
    Ok(enabled.then_some(initial))
}
