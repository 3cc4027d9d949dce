//! From the syntax tree to a plan: keyspaces, tables, columns, functions and types are looked up here and only here.
//!
//! [`term`] gives values their types (and names the bind variables), [`relation`] finds out which keys and ranges a
//! WHERE asks for, [`selection`] resolves what is selected; [`select`], [`modify`] and [`schema`] put plans together.
mod assignment;
mod condition;
mod describe;
mod literal;
mod modify;
mod relation;
mod schema;
mod select;
mod selection;
mod term;
#[cfg(test)]
mod tests;
mod types;

use std::sync::Arc;

use scylla_cql::frame::response::result::{ColumnSpec, ColumnType, NativeType, TableSpec};

use super::ast::{self, Statement, TableName};
use super::parser::{self, ParseError};
use crate::error::DbError;
use crate::execute::plan::{Plan, Prepared};
use crate::outcome::Specs;
use crate::schema::{Schema, Table};
use crate::value::CqlType;

/// Prepares one statement. Names without a keyspace are looked up in `keyspace`.
pub fn prepare(text: &str, keyspace: Option<&str>, schema: &Schema) -> Result<Prepared, DbError> {
    let parsed = parser::parse(text).map_err(|error| match error {
        ParseError::Syntax(message) => DbError::syntax(message),
        ParseError::Unsupported(message) => DbError::invalid(message),
    })?;
    let variables = vec![None; parsed.markers.len()];
    let mut context =
        Context { schema, keyspace, names: parsed.markers, variables, timeout: None, choices: Vec::new() };
    let prepared = context.statement(parsed.statement)?;
    let (timeout, choices) = (context.timeout.take(), std::mem::take(&mut context.choices));
    let bind = context.bind_specs()?;
    Ok(Prepared { bind, timeout, choices, ..prepared })
}

/// What the parts of this module share while one statement is prepared.
struct Context<'s> {
    schema: &'s Schema,
    keyspace: Option<&'s str>,
    /// By number: what `:name` markers are called.
    names: Vec<Option<String>>,
    /// By number: what is known of the variable so far.
    variables: Vec<Option<ColumnSpec<'static>>>,
    /// Which variables are lists after IN.
    choices: Vec<usize>,
    /// What USING TIMEOUT says.
    timeout: Option<crate::execute::term::Term>,
}

/// What a value is for.
struct Receiver<'t> {
    table: &'t Table,
    name: String,
    typ: CqlType,
}

impl Context<'_> {
    fn statement(&mut self, statement: Statement) -> Result<Prepared, DbError> {
        match statement {
            Statement::Select(select) => self.select(&select),
            Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => {
                self.modification(&statement)
            }
            Statement::Batch(batch) => self.batch(&batch),
            Statement::Truncate(name, using) => {
                let table = self.table(&name)?;
                self.using_timeout(&table, &using)?;
                refuse_system(&table.keyspace)?;
                Ok(without_rows(Plan::Truncate(table)))
            }
            Statement::Use(keyspace) => {
                let keyspace = self
                    .schema
                    .keyspace(&keyspace)
                    .map_err(|_| DbError::invalid(format!("Keyspace '{keyspace}' does not exist")))?;
                Ok(without_rows(Plan::Use(Arc::clone(&keyspace.name))))
            }
            Statement::Describe(described, internals) => self.description(described, internals),
            other => self.schema_change(other),
        }
    }

    /// The keyspace that a name is looked up in.
    fn keyspace_of(&self, name: &TableName) -> Result<String, DbError> {
        name.keyspace.as_deref().or(self.keyspace).map(str::to_owned).ok_or_else(|| {
            DbError::invalid(
                "No keyspace has been specified. USE a keyspace, or explicitly specify keyspace.tablename",
            )
        })
    }

    fn table(&self, name: &TableName) -> Result<Arc<Table>, DbError> {
        self.schema.table(&self.keyspace_of(name)?, &name.name).map(Arc::clone)
    }

    /// Notes what a bind variable is for; a name used twice must have one type.
    fn variable(&mut self, number: usize, receiver: &Receiver<'_>) -> Result<(), DbError> {
        let name = self.names.get(number).cloned().flatten().unwrap_or_else(|| receiver.name.clone());
        let Some(slot) = self.variables.get_mut(number) else { return Ok(()) };
        if let Some(known) = slot {
            if *known.typ() == receiver.typ {
                return Ok(());
            }
            let message = format!("variable {name} is used with multiple incompatible types");
            return Err(DbError::invalid(message));
        }
        *slot = Some(ColumnSpec::owned(name, receiver.typ.clone(), owner(receiver.table)));
        Ok(())
    }

    fn bind_specs(self) -> Result<Specs, DbError> {
        let unknown = || DbError::invalid("the type of a bind variable cannot be told");
        self.variables.into_iter().map(|variable| variable.ok_or_else(unknown)).collect()
    }
}

impl<'t> Receiver<'t> {
    fn new(table: &'t Table, name: impl Into<String>, typ: CqlType) -> Self {
        Self { table, name: name.into(), typ }
    }

    fn native(table: &'t Table, name: impl Into<String>, native: NativeType) -> Self {
        Self::new(table, name, ColumnType::Native(native))
    }

    /// A part of this value, such as a map's key.
    fn part(&self, name: impl Into<String>, typ: CqlType) -> Receiver<'t> {
        Receiver::new(self.table, name, typ)
    }
}

fn owner(table: &Table) -> TableSpec<'static> {
    TableSpec::owned(table.keyspace.to_string(), table.name.to_string())
}

/// A plan whose variables are still to be told.
fn without_rows(plan: Plan) -> Prepared {
    Prepared {
        bind: Arc::from([]),
        partition_key: Vec::new(),
        result: Arc::from([]),
        choices: Vec::new(),
        timeout: None,
        plan,
    }
}

fn refuse_system(keyspace: &str) -> Result<(), DbError> {
    if crate::schema::is_system(keyspace) {
        return Err(DbError::unauthorized(format!("{keyspace} keyspace is not user-modifiable.")));
    }
    Ok(())
}

/// The place of a column in the table.
fn column(table: &Table, name: &str) -> Result<usize, DbError> {
    let found = table.column(name).map(|(index, _)| index);
    found.ok_or_else(|| DbError::invalid(format!("Unrecognized name {name}")))
}
