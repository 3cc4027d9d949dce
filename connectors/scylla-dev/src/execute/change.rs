//! Changes of columns: plain values, and the elements of collections and user-defined types.
use bytes::Bytes;
use scylla_cql::frame::response::result::{CollectionType, ColumnType};

use super::list_id;
use super::plan::{Action, Change};
use super::term::{Env, Term};
use crate::error::DbError;
use crate::mutation::{RowPatch, Stamp, Tombstone};
use crate::outcome::BoundValue;
use crate::schema::{Column, Table};
use crate::storage::LiveRow;
use crate::value::{CqlType, collection};

/// With what the changes of one statement are written.
pub(super) struct Writer<'a> {
    pub(super) env: &'a Env<'a>,
    pub(super) table: &'a Table,
    pub(super) timestamp: i64,
    /// Seconds, 0 for ever.
    pub(super) ttl: u32,
}

/// Writes the changes to the patch. `existing` is the row as it is, for changes of lists by place or value.
pub(super) fn apply(
    changes: &[Change],
    writer: &Writer<'_>,
    existing: Option<&LiveRow<'_>>,
    patch: &mut RowPatch,
) -> Result<(), DbError> {
    for change in changes {
        let column = &writer.table.columns[change.column];
        Target { writer, column, existing, patch: &mut *patch }.apply(&change.action)?;
    }
    Ok(())
}

pub(crate) fn is_list(typ: &CqlType) -> bool {
    matches!(typ, ColumnType::Collection { typ: CollectionType::List(_), .. })
}

fn is_map(typ: &CqlType) -> bool {
    matches!(typ, ColumnType::Collection { typ: CollectionType::Map(..), .. })
}

impl Writer<'_> {
    pub(super) fn stamp(&self) -> Stamp {
        Stamp::expiring(self.timestamp, self.ttl, self.seconds())
    }

    pub(super) fn tombstone(&self) -> Tombstone {
        Tombstone { timestamp: self.timestamp, deleted_at: self.seconds() }
    }

    fn seconds(&self) -> u32 {
        u32::try_from(self.env.now / 1_000_000).unwrap_or(u32::MAX)
    }
}

/// The column that is changed.
struct Target<'t> {
    writer: &'t Writer<'t>,
    column: &'t Column,
    existing: Option<&'t LiveRow<'t>>,
    patch: &'t mut RowPatch,
}

impl Target<'_> {
    fn apply(&mut self, action: &Action) -> Result<(), DbError> {
        match action {
            Action::Set(term) => match self.value(term)? {
                BoundValue::Set(bytes) => self.patch.set(self.column.id, &bytes, self.writer.stamp()),
                BoundValue::Null => self.patch.unset(self.column.id, self.writer.tombstone()),
                BoundValue::Unset => {}
            },
            Action::Replace(term) => self.replace(term)?,
            Action::Append(term) => self.with_value(term, Self::append)?,
            Action::Prepend(term) => self.with_value(term, Self::prepend)?,
            Action::Remove(term) => self.with_value(term, Self::remove)?,
            Action::SetElement(key, value) => self.set_element(key, value)?,
            Action::SetListCell(id, value) => {
                let path = self.column.path(&self.required(id, "list element id")?);
                self.set_path(&path, value)?;
            }
            Action::SetField(index, value) => self.set_path(&field_path(*index), value)?,
            Action::Delete if self.column.is_multi_cell() => {
                self.patch.clear(self.column.id, self.writer.tombstone());
            }
            Action::Delete => self.patch.unset(self.column.id, self.writer.tombstone()),
            Action::DeleteElement(key) => self.delete_element(key)?,
            Action::DeleteField(index) => self.unset_path(&field_path(*index)),
        }
        Ok(())
    }

    fn value(&self, term: &Term) -> Result<BoundValue, DbError> {
        self.writer.env.value(term)
    }

    fn required(&self, term: &Term, what: &str) -> Result<Bytes, DbError> {
        self.writer.env.required(term, &|| what.to_owned())
    }

    /// Null and UNSET add and remove nothing.
    fn with_value(
        &mut self,
        term: &Term,
        change: fn(&mut Self, &[u8]) -> Result<(), DbError>,
    ) -> Result<(), DbError> {
        match self.value(term)? {
            BoundValue::Set(bytes) => change(self, &bytes),
            BoundValue::Null | BoundValue::Unset => Ok(()),
        }
    }

    /// Whatever was there goes one microsecond before the new elements come.
    fn replace(&mut self, term: &Term) -> Result<(), DbError> {
        let value = self.value(term)?;
        if value == BoundValue::Unset {
            return Ok(());
        }
        let just_before =
            Tombstone { timestamp: self.writer.timestamp.saturating_sub(1), ..self.writer.tombstone() };
        self.patch.clear(self.column.id, just_before);
        let BoundValue::Set(bytes) = value else { return Ok(()) };
        if !matches!(self.column.typ, ColumnType::UserDefinedType { .. }) {
            return self.append(&bytes);
        }
        for (index, field) in collection::fields(&bytes).enumerate() {
            if let Some(field) = field {
                self.patch.set_element(self.column.id, &field_path(index), field, self.writer.stamp());
            }
        }
        Ok(())
    }

    fn append(&mut self, value: &[u8]) -> Result<(), DbError> {
        let (id, stamp) = (self.column.id, self.writer.stamp());
        if is_map(&self.column.typ) {
            for (key, value) in collection::entries(value) {
                self.patch.set_element(id, &self.column.path(key), value, stamp);
            }
        } else if is_list(&self.column.typ) {
            let elements: Vec<&[u8]> = collection::elements(value).collect();
            for (place, element) in list_id::appended(self.writer.env.now, elements.len()).zip(elements) {
                self.patch.set_element(id, &self.column.path(place.as_bytes()), element, stamp);
            }
        } else {
            for element in collection::elements(value) {
                self.patch.set_element(id, &self.column.path(element), &[], stamp);
            }
        }
        Ok(())
    }

    fn prepend(&mut self, value: &[u8]) -> Result<(), DbError> {
        let elements: Vec<&[u8]> = collection::elements(value).collect();
        let places = list_id::prepended(self.writer.env.now, elements.len());
        for (place, element) in places.zip(elements.into_iter().rev()) {
            let path = self.column.path(place.as_bytes());
            self.patch.set_element(self.column.id, &path, element, self.writer.stamp());
        }
        Ok(())
    }

    fn remove(&mut self, value: &[u8]) -> Result<(), DbError> {
        if !is_list(&self.column.typ) {
            for key in collection::elements(value) {
                self.unset_path(&self.column.path(key));
            }
            return Ok(());
        }
        let Some(row) = self.existing else { return Ok(()) };
        let unwanted: Vec<&[u8]> = collection::elements(value).collect();
        for cell in row.elements(self.column) {
            if unwanted.contains(&cell.value) {
                self.unset_path(cell.path);
            }
        }
        Ok(())
    }

    fn set_element(&mut self, key: &Term, value: &Term) -> Result<(), DbError> {
        let path = self.path_of(key, "set an element on")?;
        self.set_path(&path, value)
    }

    fn delete_element(&mut self, key: &Term) -> Result<(), DbError> {
        let path = self.path_of(key, "delete an element from")?;
        self.unset_path(&path);
        Ok(())
    }

    /// The path of a map key, a set element, or of what stands at a place of the list.
    fn path_of(&self, key: &Term, verb: &str) -> Result<Vec<u8>, DbError> {
        if !is_list(&self.column.typ) {
            return Ok(self.column.path(&self.required(key, "map key")?));
        }
        let index = self.required(key, "list index")?;
        let index = index.as_ref().try_into().map_or(-1, i32::from_be_bytes);
        let Some(row) = self.existing.filter(|row| row.elements(self.column).next().is_some()) else {
            return Err(DbError::invalid(format!("Attempted to {verb} a list which is null")));
        };
        let found = usize::try_from(index).ok().and_then(|index| row.elements(self.column).nth(index));
        found.map(|cell| cell.path.to_vec()).ok_or_else(|| {
            let size = row.elements(self.column).count();
            DbError::invalid(format!("List index {index} out of bound, list has size {size}"))
        })
    }

    fn set_path(&mut self, path: &[u8], value: &Term) -> Result<(), DbError> {
        match self.value(value)? {
            BoundValue::Set(bytes) => {
                self.patch.set_element(self.column.id, path, &bytes, self.writer.stamp());
            }
            BoundValue::Null => self.unset_path(path),
            BoundValue::Unset => {}
        }
        Ok(())
    }

    fn unset_path(&mut self, path: &[u8]) {
        self.patch.unset_element(self.column.id, path, self.writer.tombstone());
    }
}

fn field_path(index: usize) -> Vec<u8> {
    // User-defined types have far fewer fields.
    Column::field_path(u16::try_from(index).unwrap_or(u16::MAX))
}
