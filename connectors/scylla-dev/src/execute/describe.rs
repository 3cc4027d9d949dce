//! DESCRIBE: the schema as statements that make it again.
use std::sync::Arc;

use super::plan::Description;
use crate::error::DbError;
use crate::outcome::{Outcome, Rows, RowsBody, Specs};
use crate::schema::describe::{self, Internals};
use crate::schema::{Keyspace, Schema, Table, log_name};
use crate::storage::Store;
use crate::system;
use crate::value::collection;
use crate::value::identifier::quoted;

/// One row: what it is, its name, and in lists no statement.
struct Entry {
    keyspace: String,
    kind: &'static str,
    name: String,
    statement: Option<String>,
}

pub(super) fn run(
    store: &Store,
    description: &Description,
    internals: Internals,
    specs: &Specs,
) -> Result<Outcome, DbError> {
    let schema = store.schema();
    let mut body = RowsBody::default();
    if let Description::Cluster { keyspace } = description {
        put_cluster(&mut body, store, keyspace.is_some());
    } else {
        for entry in (Describer { schema: &schema, internals }).entries(description)? {
            body.put(Some(quoted(&entry.keyspace).as_bytes()));
            body.put(Some(entry.kind.as_bytes()));
            body.put(Some(quoted(&entry.name).as_bytes()));
            if let Some(statement) = &entry.statement {
                body.put(Some(statement.as_bytes()));
            }
            body.end_row();
        }
    }
    Ok(Outcome::Rows(Rows { specs: Specs::clone(specs), body, paging_state: None, looked_for: 0 }))
}

fn put_cluster(body: &mut RowsBody, store: &Store, with_owners: bool) {
    for text in [system::CLUSTER, system::PARTITIONER, "org.apache.cassandra.locator.SimpleSnitch"] {
        body.put(Some(text.as_bytes()));
    }
    if with_owners {
        let node = store.node();
        let mut owner = Vec::new();
        collection::write_elements(&mut owner, [node.address.to_string().as_bytes()].into_iter());
        let mut tokens: Vec<String> = node.tokens.iter().map(i64::to_string).collect();
        tokens.sort_unstable();
        let mut owners = Vec::new();
        collection::write_entries(&mut owners, tokens.iter().map(|token| (token.as_bytes(), &owner[..])));
        body.put(Some(&owners));
    }
    body.end_row();
}

struct Describer<'s> {
    schema: &'s Schema,
    internals: Internals,
}

impl Describer<'_> {
    fn entries(&self, description: &Description) -> Result<Vec<Entry>, DbError> {
        match description {
            Description::Cluster { .. } | Description::Nothing => Ok(Vec::new()),
            Description::Schema => Ok(self.all(|keyspace| !keyspace.is_system())),
            Description::FullSchema => Ok(self.all(|_| true)),
            Description::Keyspaces(only) => self.list(only.as_deref(), |_, keyspace| vec![listed(keyspace)]),
            Description::Tables(only) => self.list(only.as_deref(), |schema, keyspace| {
                let tables = keyspace.tables.values().filter(|table| !schema.is_log_in_use(table));
                tables.map(|table| entry(keyspace, "table", &table.name, None)).collect()
            }),
            Description::Types(only) => self.list(only.as_deref(), |_, keyspace| {
                let types = keyspace.sorted_types().into_iter();
                types.map(|definition| entry(keyspace, "type", &definition.name, None)).collect()
            }),
            Description::Keyspace(name) => Ok(self.whole(self.keyspace(name)?)),
            Description::OnlyKeyspace(name) => Ok(vec![created(self.keyspace(name)?)]),
            Description::Table(keyspace, name) => {
                let keyspace = self.keyspace(keyspace)?;
                let table = keyspace.tables.get(name.as_str());
                let missing = || not_found(&format!("Table '{name}'"), &keyspace.name);
                Ok(self.table(keyspace, table.ok_or_else(missing)?))
            }
            Description::Type(keyspace, name) => {
                let keyspace = self.keyspace(keyspace)?;
                let missing = || not_found(&format!("Type '{name}'"), &keyspace.name);
                self.user_type(keyspace, name).ok_or_else(missing)
            }
            Description::Any { qualified, here, name } => {
                self.any(qualified.as_deref(), here.as_deref(), name)
            }
        }
    }

    fn all(&self, wanted: impl Fn(&Keyspace) -> bool) -> Vec<Entry> {
        let keyspaces = self.schema.keyspaces().filter(|keyspace| wanted(keyspace));
        keyspaces.flat_map(|keyspace| self.whole(keyspace)).collect()
    }

    fn list(
        &self,
        only: Option<&str>,
        entries: impl Fn(&Schema, &Keyspace) -> Vec<Entry>,
    ) -> Result<Vec<Entry>, DbError> {
        match only {
            Some(name) => Ok(entries(self.schema, self.keyspace(name)?)),
            None => Ok(self.schema.keyspaces().flat_map(|keyspace| entries(self.schema, keyspace)).collect()),
        }
    }

    fn any(&self, qualified: Option<&str>, here: Option<&str>, name: &str) -> Result<Vec<Entry>, DbError> {
        if qualified.is_none()
            && let Ok(keyspace) = self.schema.keyspace(name)
        {
            return Ok(self.whole(keyspace));
        }
        let keyspace = qualified.or(here).and_then(|keyspace| self.schema.keyspace(keyspace).ok());
        let keyspace =
            keyspace.ok_or_else(|| DbError::invalid(format!("'{name}' not found in keyspaces")))?;
        if let Some(table) = keyspace.tables.get(name) {
            return Ok(self.table(keyspace, table));
        }
        let missing = || not_found(&format!("'{name}'"), &keyspace.name);
        self.user_type(keyspace, name).ok_or_else(missing)
    }

    fn keyspace(&self, name: &str) -> Result<&Keyspace, DbError> {
        let found = self.schema.keyspace(name).map(|keyspace| &**keyspace);
        found.map_err(|_| DbError::invalid(format!("'{name}' not found in keyspaces")))
    }

    /// A keyspace with all that is in it, in an order in which it can be made.
    fn whole(&self, keyspace: &Keyspace) -> Vec<Entry> {
        let mut entries = vec![created(keyspace)];
        entries.extend(keyspace.sorted_types().into_iter().map(|definition| {
            entry(keyspace, "type", &definition.name, Some(describe::create_type(definition)))
        }));
        let tables = keyspace.tables.values().filter(|table| !self.schema.is_log_in_use(table));
        entries.extend(tables.flat_map(|table| self.table(keyspace, table)));
        entries
    }

    /// A table and what becomes of its CDC log.
    fn table(&self, keyspace: &Keyspace, table: &Arc<Table>) -> Vec<Entry> {
        let mut statement = table.create_statement(self.internals);
        if self.schema.is_log_in_use(table) {
            statement = format!(
                "/* Do NOT execute this statement! It's only for informational purposes.\n   \
                 A CDC log table is created automatically when creating the base with CDC\n   enabled option or \
                 creating the vector index on the base table's vector column.\n\n{statement}\n*/"
            );
        }
        let mut entries = vec![entry(keyspace, "table", &table.name, Some(statement))];
        // The present one: what the table holds may be from before a change of the log's options.
        let log = table.cdc_log.as_ref().and_then(|_| keyspace.tables.get(log_name(&table.name).as_str()));
        if let Some(log) = log {
            entries.push(entry(keyspace, "table", &log.name, Some(log.alter_statement())));
        }
        entries
    }

    fn user_type(&self, keyspace: &Keyspace, name: &str) -> Option<Vec<Entry>> {
        let definition = keyspace.types.get(name)?;
        Some(vec![entry(keyspace, "type", name, Some(describe::create_type(definition)))])
    }
}

fn listed(keyspace: &Keyspace) -> Entry {
    entry(keyspace, "keyspace", &keyspace.name, None)
}

fn created(keyspace: &Keyspace) -> Entry {
    entry(keyspace, "keyspace", &keyspace.name, Some(keyspace.create_statement()))
}

fn entry(keyspace: &Keyspace, kind: &'static str, name: &str, statement: Option<String>) -> Entry {
    Entry { keyspace: keyspace.name.to_string(), kind, name: name.to_owned(), statement }
}

fn not_found(what: &str, keyspace: &str) -> DbError {
    DbError::invalid(format!("{what} not found in keyspace '{keyspace}'"))
}
