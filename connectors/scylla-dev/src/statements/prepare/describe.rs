//! DESCRIBE.
use std::sync::Arc;

use scylla_cql::frame::response::result::{CollectionType, ColumnSpec, ColumnType, NativeType, TableSpec};

use super::ast::{Described, TableName};
use super::{Context, without_rows};
use crate::error::DbError;
use crate::execute::plan::{Description, Plan, Prepared};
use crate::outcome::Specs;
use crate::schema::describe::Internals;
use crate::schema::is_system;

impl Context<'_> {
    /// What is described is looked up when the statement runs; here only the session's keyspace is filled in.
    pub(super) fn description(
        &self,
        described: Described,
        internals: Internals,
    ) -> Result<Prepared, DbError> {
        let here = || self.keyspace.map(str::to_owned);
        let named = |name: TableName| {
            let missing = || DbError::invalid("No keyspace specified and no current keyspace");
            let keyspace = name.keyspace.or_else(here).ok_or_else(missing)?;
            Ok::<_, DbError>((keyspace, name.name))
        };
        let described = match described {
            Described::Cluster => {
                Description::Cluster { keyspace: here().filter(|name| self.on_vnodes(name)) }
            }
            Described::Schema => Description::Schema,
            Described::FullSchema => Description::FullSchema,
            Described::Keyspaces => Description::Keyspaces(here()),
            Described::Tables => Description::Tables(here()),
            Described::Types => Description::Types(here()),
            Described::Nothing => Description::Nothing,
            Described::Keyspace(name) => Description::Keyspace(name.or_else(here).unwrap_or_default()),
            Described::OnlyKeyspace(name) => {
                Description::OnlyKeyspace(name.or_else(here).unwrap_or_default())
            }
            Described::Table(name) => {
                let (keyspace, name) = named(name)?;
                Description::Table(keyspace, name)
            }
            Described::Type(name) => {
                let (keyspace, name) = named(name)?;
                Description::Type(keyspace, name)
            }
            Described::Absent(what, name) => {
                let (keyspace, name) = named(name)?;
                return Err(DbError::invalid(format!("{what} '{name}' not found in keyspace '{keyspace}'")));
            }
            Described::Any(TableName { keyspace, name }) => {
                Description::Any { qualified: keyspace, here: here(), name }
            }
        };
        let result = specs(&described);
        Ok(Prepared { result, ..without_rows(Plan::Describe(Box::new(described), internals)) })
    }

    /// Whether the ranges of the ring say who owns what in the keyspace.
    fn on_vnodes(&self, keyspace: &str) -> bool {
        !is_system(keyspace)
            && self.schema.keyspace(keyspace).is_ok_and(|keyspace| keyspace.tablets.is_none())
    }
}

fn specs(described: &Description) -> Specs {
    let text = || ColumnType::Native(NativeType::Text);
    let names: &[&str] = match described {
        Description::Cluster { .. } => &["cluster", "partitioner", "snitch"],
        Description::Keyspaces(_) | Description::Tables(_) | Description::Types(_) | Description::Nothing => {
            &["keyspace_name", "type", "name"]
        }
        _ => &["keyspace_name", "type", "name", "create_statement"],
    };
    let spec = |name: &str, typ| {
        ColumnSpec::owned(name.to_owned(), typ, TableSpec::owned("system".to_owned(), "describe".to_owned()))
    };
    let mut specs: Vec<_> = names.iter().map(|name| spec(name, text())).collect();
    if matches!(described, Description::Cluster { keyspace: Some(_) }) {
        let list = |typ| ColumnType::Collection { frozen: true, typ };
        let owners = list(CollectionType::List(Box::new(text())));
        specs.push(spec("range_ownership", list(CollectionType::Map(Box::new(text()), Box::new(owners)))));
    }
    Arc::from(specs)
}
