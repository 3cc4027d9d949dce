//! Types as written become types; user-defined ones are looked up.
use std::sync::Arc;

use scylla_cql::frame::response::result::{CollectionType, ColumnType, NativeType};

use super::Context;
use super::ast::TypeName;
use crate::error::DbError;
use crate::value::{CqlType, types};

impl Context<'_> {
    /// The type of this name, in `keyspace` where it names a user-defined one.
    pub(super) fn cql_type(&self, name: &TypeName, keyspace: &str) -> Result<CqlType, DbError> {
        match name {
            TypeName::Name(name) => {
                if name.keyspace.is_none()
                    && let Some(native) = types::native(&name.name)
                {
                    if native == NativeType::Counter {
                        return Err(DbError::invalid("counter is not supported by this server"));
                    }
                    return Ok(ColumnType::Native(native));
                }
                let definition =
                    self.schema.user_type(name.keyspace.as_deref().unwrap_or(keyspace), &name.name)?;
                Ok(ColumnType::UserDefinedType { frozen: false, definition: Arc::clone(definition) })
            }
            TypeName::List(item) => {
                let item = self.inner(item, keyspace)?;
                Ok(ColumnType::Collection { frozen: false, typ: CollectionType::List(item) })
            }
            TypeName::Set(item) => {
                let item = self.inner(item, keyspace)?;
                refuse_durations(&item, "inside sets")?;
                Ok(ColumnType::Collection { frozen: false, typ: CollectionType::Set(item) })
            }
            TypeName::Map(key, value) => {
                let (key, value) = (self.inner(key, keyspace)?, self.inner(value, keyspace)?);
                refuse_durations(&key, "as map keys")?;
                Ok(ColumnType::Collection { frozen: false, typ: CollectionType::Map(key, value) })
            }
            TypeName::Tuple(items) => {
                let items = items.iter().map(|item| Ok(types::frozen(&self.cql_type(item, keyspace)?)));
                Ok(ColumnType::Tuple(items.collect::<Result<_, DbError>>()?))
            }
            TypeName::Frozen(inner) => self.frozen_type(inner, keyspace),
        }
    }

    /// Inside `frozen<…>` everything is frozen, whether each part says so or not.
    fn frozen_type(&self, name: &TypeName, keyspace: &str) -> Result<CqlType, DbError> {
        if let Some(native) = native_name(name) {
            return Err(DbError::syntax(format!(
                "frozen<> is only allowed on collections, tuples, and user-defined types (got {native})"
            )));
        }
        let frozen = |inner: &TypeName| match native_name(inner) {
            Some(_) => Box::new(inner.clone()),
            None => Box::new(TypeName::Frozen(Box::new(inner.clone()))),
        };
        let name = match name {
            TypeName::List(item) => TypeName::List(frozen(item)),
            TypeName::Set(item) => TypeName::Set(frozen(item)),
            TypeName::Map(key, value) => TypeName::Map(frozen(key), frozen(value)),
            other => other.clone(),
        };
        Ok(types::frozen(&self.cql_type(&name, keyspace)?))
    }

    /// The type of a collection's part, which must be frozen if it is a collection itself.
    fn inner(&self, name: &TypeName, keyspace: &str) -> Result<Box<CqlType>, DbError> {
        let typ = self.cql_type(name, keyspace)?;
        if types::is_multi_cell(&typ) {
            let name = types::name(&typ);
            return Err(DbError::invalid(format!(
                "Non-frozen user types or collections are not allowed inside collections: {name}"
            )));
        }
        Ok(Box::new(typ))
    }
}

fn native_name(name: &TypeName) -> Option<&str> {
    match name {
        TypeName::Name(name) if name.keyspace.is_none() => {
            types::native(&name.name).map(|_| name.name.as_str())
        }
        _ => None,
    }
}

/// What sorts cannot hold durations, which have no order.
fn refuse_durations(typ: &CqlType, place: &str) -> Result<(), DbError> {
    if types::walk(typ, &mut |typ| matches!(typ, ColumnType::Native(NativeType::Duration))) {
        return Err(DbError::invalid(format!("Durations are not allowed {place}: {}", types::name(typ))));
    }
    Ok(())
}
