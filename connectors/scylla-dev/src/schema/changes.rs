//! The ways a schema changes, each checked before anything is changed.
use std::collections::BTreeMap;
use std::sync::Arc;

use scylla_cql::frame::response::result::UserDefinedType;
use uuid::Uuid;

use super::checks::{arrange, check_name, check_tablets, mentions, refuse_system, sort_columns};
use super::log_table::{self, Wish};
use super::table::log_name;
use super::{Column, ColumnKind, Keyspace, Partitioner, Schema, Table, TableId, TableOptions, replication};
use crate::error::DbError;
use crate::value::CqlType;
use crate::value::order::Direction;

/// What `CREATE KEYSPACE` and `ALTER KEYSPACE` say.
#[derive(Debug, Clone)]
pub struct KeyspaceDefinition {
    /// Its name.
    pub name: String,
    /// `class` and the strategy's options.
    pub replication: BTreeMap<String, String>,
    /// Stored and shown.
    pub durable_writes: bool,
    /// See [`Keyspace::tablets`].
    pub tablets: Option<u32>,
}

/// What `CREATE TABLE` says.
#[derive(Debug, Clone)]
pub struct TableDefinition {
    /// In which keyspace.
    pub keyspace: String,
    /// Its name.
    pub name: String,
    /// Key columns in key order, the others in any order.
    pub columns: Vec<ColumnDefinition>,
    /// What `WITH` says.
    pub options: TableOptions,
}

/// A column as `CREATE TABLE` and `ALTER TABLE ADD` say it.
#[derive(Debug, Clone)]
pub struct ColumnDefinition {
    /// Its name.
    pub name: String,
    /// What role it plays.
    pub kind: ColumnKind,
    /// What it holds.
    pub typ: CqlType,
    /// How it sorts, for clustering columns.
    pub direction: Direction,
}

impl Schema {
    /// Adds a keyspace.
    pub fn create_keyspace(&mut self, definition: KeyspaceDefinition) -> Result<(), DbError> {
        if self.keyspaces.contains_key(definition.name.as_str()) {
            return Err(DbError::already_exists(&definition.name, ""));
        }
        check_name("Keyspace", &definition.name)?;
        check_tablets(&definition)?;
        let replication = replication::complete(&definition.name, definition.replication)?;
        let name: Arc<str> = definition.name.into();
        let keyspace = Keyspace {
            name: Arc::clone(&name),
            replication,
            durable_writes: definition.durable_writes,
            tablets: definition.tablets,
            tables: BTreeMap::new(),
            types: BTreeMap::new(),
        };
        self.keyspaces.insert(name, Arc::new(keyspace));
        Ok(())
    }

    /// Changes a keyspace's replication, durable writes and initial tablets.
    pub fn alter_keyspace(&mut self, definition: KeyspaceDefinition) -> Result<(), DbError> {
        check_tablets(&definition)?;
        let replication = replication::complete(&definition.name, definition.replication)?;
        let keyspace = self
            .keyspace_mut(&definition.name)?
            .ok_or_else(|| DbError::invalid(format!("Unknown keyspace {}", definition.name)))?;
        if keyspace.tablets.is_some() != definition.tablets.is_some() {
            return Err(DbError::invalid("Cannot alter replication strategy vnode/tablets flavor"));
        }
        keyspace.tablets = definition.tablets;
        keyspace.replication = replication;
        keyspace.durable_writes = definition.durable_writes;
        Ok(())
    }

    /// Removes a keyspace with all that is in it.
    pub fn drop_keyspace(&mut self, name: &str) -> Result<(), DbError> {
        self.keyspace_mut(name)?
            .ok_or_else(|| DbError::config(format!("Cannot drop non existing keyspace '{name}'.")))?;
        self.keyspaces.remove(name);
        Ok(())
    }

    /// Adds a table, and its CDC log if the options say so.
    pub fn create_table(&mut self, definition: TableDefinition) -> Result<Arc<Table>, DbError> {
        refuse_system(&definition.keyspace)?;
        self.create_any_table(definition)
    }

    /// Adds a table, also in the server's own keyspaces.
    pub(crate) fn create_any_table(&mut self, definition: TableDefinition) -> Result<Arc<Table>, DbError> {
        let TableDefinition { keyspace, name, columns, options } = definition;
        check_name("Table", &name)?;
        if self.keyspace(&keyspace)?.tables.contains_key(name.as_str()) {
            return Err(DbError::already_exists(&keyspace, &name));
        }
        let columns = arrange(columns)?;
        let count = |kind| columns.iter().filter(|column: &&Column| column.kind == kind).count();
        let table = Table {
            id: self.new_table_id(),
            uuid: Uuid::new_v4(),
            keyspace: Arc::from(keyspace.as_str()),
            name: Arc::from(name.as_str()),
            partition_columns: count(ColumnKind::PartitionKey),
            clustering_columns: count(ColumnKind::Clustering),
            next_column: columns.len() as u16,
            columns,
            options,
            partitioner: Partitioner::Murmur3,
            dropped: Vec::new(),
            cdc_log: None,
        };
        self.put_table(table)
    }

    /// Adds columns.
    pub fn add_columns(
        &mut self,
        keyspace: &str,
        table: &str,
        added: Vec<ColumnDefinition>,
    ) -> Result<(), DbError> {
        let mut changed = self.alterable(keyspace, table, Wish::Columns)?;
        for column in added {
            if changed.column(&column.name).is_some() {
                let message = format!(
                    "Invalid column name {} because it conflicts with an existing column",
                    column.name
                );
                return Err(DbError::invalid(message));
            }
            if column.kind == ColumnKind::Static && changed.clustering_columns == 0 {
                return Err(DbError::invalid(
                    "Static columns are not allowed in tables without clustering columns",
                ));
            }
            let id = changed.next_column;
            changed.next_column += 1;
            changed.columns.push(Column {
                id,
                name: column.name.into(),
                kind: column.kind,
                typ: column.typ,
                direction: Direction::Ascending,
            });
        }
        sort_columns(&mut changed.columns);
        self.put_table(changed).map(drop)
    }

    /// Removes columns; what they held is out of reach at once.
    pub fn drop_columns(&mut self, keyspace: &str, table: &str, dropped: &[String]) -> Result<(), DbError> {
        let mut changed = self.alterable(keyspace, table, Wish::Columns)?;
        for name in dropped {
            let Some((index, column)) = changed.column(name) else {
                return Err(DbError::invalid(format!("Column {name} was not found in table {table}")));
            };
            if matches!(column.kind, ColumnKind::PartitionKey | ColumnKind::Clustering) {
                return Err(DbError::invalid(format!("Cannot drop PRIMARY KEY part {name}")));
            }
            changed.columns.remove(index);
        }
        self.put_table(changed).map(drop)
    }

    /// Gives a key column another name.
    pub fn rename_column(
        &mut self,
        keyspace: &str,
        table: &str,
        from: &str,
        to: &str,
    ) -> Result<(), DbError> {
        let mut changed = self.alterable(keyspace, table, Wish::Names)?;
        if changed.column(to).is_some() {
            let message = format!(
                "Cannot rename column {from} to {to} in table {table}; another column of that name already exist"
            );
            return Err(DbError::invalid(message));
        }
        let Some((index, column)) = changed.column(from) else {
            return Err(DbError::invalid(format!("Cannot rename unknown column {from} in table {table}")));
        };
        if !matches!(column.kind, ColumnKind::PartitionKey | ColumnKind::Clustering) {
            return Err(DbError::invalid(format!("Cannot rename non PRIMARY KEY part {from}")));
        }
        changed.columns[index].name = Arc::from(to);
        if let Some(log) = &changed.cdc_log {
            // The log's column is renamed too, so that what it holds stays.
            let mut log = (*log.table).clone();
            log.columns
                .iter_mut()
                .filter(|column| *column.name == *from)
                .for_each(|column| column.name = to.into());
            self.insert(Arc::new(log))?;
        }
        self.put_table(changed).map(drop)
    }

    /// Replaces a table's options (start from the present ones); enables or disables CDC if they say so.
    pub fn set_options(&mut self, keyspace: &str, table: &str, options: TableOptions) -> Result<(), DbError> {
        let mut changed = (**self.table(keyspace, table)?).clone();
        refuse_system(keyspace)?;
        if changed.is_cdc_log() && options.cdc.enabled {
            let message = format!(
                "Cannot create a CDC log for a table {keyspace}.{table}, because creating nested CDC logs is not allowed"
            );
            return Err(DbError::invalid(message));
        }
        changed.options = options;
        self.put_table(changed).map(drop)
    }

    /// Removes a table and its CDC log.
    pub fn drop_table(&mut self, keyspace: &str, name: &str) -> Result<(), DbError> {
        let table = Arc::clone(self.table(keyspace, name)?);
        if log_table::is_in_use(self, &table) {
            return Err(DbError::unauthorized(format!("Cannot DROP cdc log table {name}")));
        }
        let keyspace = self.existing_mut(keyspace)?;
        keyspace.tables.remove(name);
        // The log goes with its table, in use or left over.
        let log = log_name(name);
        if keyspace.tables.get(log.as_str()).is_some_and(|log| log.is_cdc_log()) {
            keyspace.tables.remove(log.as_str());
        }
        Ok(())
    }

    /// Adds a user-defined type.
    pub fn create_type(
        &mut self,
        keyspace: &str,
        name: &str,
        fields: Vec<(String, CqlType)>,
    ) -> Result<(), DbError> {
        if self.keyspace(keyspace)?.types.contains_key(name) {
            return Err(DbError::invalid(format!("A user type of name {keyspace}.{name} already exists")));
        }
        let definition = UserDefinedType {
            name: name.to_owned().into(),
            keyspace: keyspace.to_owned().into(),
            field_types: fields.into_iter().map(|(name, typ)| (name.into(), typ)).collect(),
        };
        self.existing_mut(keyspace)?.types.insert(name.to_owned(), Arc::new(definition));
        Ok(())
    }

    /// Removes a user-defined type that nothing uses.
    pub fn drop_type(&mut self, keyspace: &str, name: &str) -> Result<(), DbError> {
        if !self.keyspace(keyspace)?.types.contains_key(name) {
            return Err(DbError::invalid(format!("No user type named {keyspace}.{name} exists.")));
        }
        let wanted = |typ: &CqlType| mentions(typ, keyspace, name);
        let in_table = self.tables().find(|table| table.columns.iter().any(|column| wanted(&column.typ)));
        if let Some(table) = in_table {
            let message = format!(
                "Cannot drop user type {keyspace}.{name} as it is still used by table {}.{}",
                table.keyspace, table.name
            );
            return Err(DbError::invalid(message));
        }
        let keyspace_types = &self.keyspace(keyspace)?.types;
        let in_type =
            keyspace_types.values().find(|other| other.field_types.iter().any(|(_, typ)| wanted(typ)));
        if let Some(other) = in_type {
            let message = format!(
                "Cannot drop user type {keyspace}.{name} as it is still used by user type {}",
                other.name
            );
            return Err(DbError::invalid(message));
        }
        self.existing_mut(keyspace)?.types.remove(name);
        Ok(())
    }

    /// Stores a new or changed table, and brings its CDC log in line with it.
    fn put_table(&mut self, mut table: Table) -> Result<Arc<Table>, DbError> {
        let log = log_table::plan(self, &table)?;
        if let Some(mut log) = log {
            if log.id == UNASSIGNED {
                log.id = self.new_table_id();
            }
            let log = Arc::new(log);
            table.cdc_log = Some(Arc::new(super::CdcLog::new(&table, Arc::clone(&log))));
            self.insert(log)?;
        } else {
            table.cdc_log = None;
        }
        let table = Arc::new(table);
        self.insert(Arc::clone(&table))?;
        Ok(table)
    }

    fn insert(&mut self, table: Arc<Table>) -> Result<(), DbError> {
        let keyspace = self.keyspaces.get_mut(&table.keyspace).map(Arc::make_mut);
        let keyspace = keyspace
            .ok_or_else(|| DbError::invalid(format!("Keyspace {} does not exist", table.keyspace)))?;
        keyspace.tables.insert(Arc::clone(&table.name), table);
        Ok(())
    }

    /// The table, to be changed; CDC logs change with their tables only.
    fn alterable(&self, keyspace: &str, table: &str, wish: Wish) -> Result<Table, DbError> {
        refuse_system(keyspace)?;
        let table = self.table(keyspace, table)?;
        if table.is_cdc_log() {
            return Err(DbError::invalid(wish.refusal(self, table)));
        }
        Ok((**table).clone())
    }

    fn keyspace_mut(&mut self, name: &str) -> Result<Option<&mut Keyspace>, DbError> {
        refuse_system(name)?;
        Ok(self.keyspaces.get_mut(name).map(Arc::make_mut))
    }

    /// The keyspace of something that was found in it.
    fn existing_mut(&mut self, name: &str) -> Result<&mut Keyspace, DbError> {
        let missing = || DbError::invalid(format!("Can't find a keyspace {name}"));
        self.keyspace_mut(name)?.ok_or_else(missing)
    }

    fn new_table_id(&mut self) -> TableId {
        self.next_table += 1;
        TableId(self.next_table)
    }
}

/// A log table that has no id yet.
pub(crate) const UNASSIGNED: TableId = TableId(0);
