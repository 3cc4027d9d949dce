//! What UPDATE sets and what DELETE takes out of a row.
use scylla_cql::frame::response::result::{CollectionType, ColumnType, NativeType};

use super::ast;
use super::condition::{field_index, known_column};
use super::modify::is_key;
use super::{Context, Receiver};
use crate::error::DbError;
use crate::execute::filter::field_type;
use crate::execute::plan::{Action, Change};
use crate::schema::Table;
use crate::value::{CqlType, types};

impl Context<'_> {
    pub(super) fn assignment(
        &mut self,
        table: &Table,
        assignment: &ast::Assignment,
    ) -> Result<Change, DbError> {
        let name = &assignment.column;
        let column = known_column(table, name)?;
        if is_key(table, name) {
            return Err(DbError::invalid(format!("PRIMARY KEY part {name} found in SET part")));
        }
        let typ = table.columns[column].typ.clone();
        let multi_cell = types::is_multi_cell(&typ);
        let whole = Receiver::new(table, name, typ.clone());
        let refused = |operation: &str, wanted: &str| {
            let frozen = types::is_multi_cell(&thawed(&typ)) && !multi_cell;
            let wanted = if frozen { frozen_kind(&typ) } else { wanted };
            DbError::invalid(format!("Invalid operation ({operation}) for {wanted} column {name}"))
        };
        let of_sum = |sign: char| refused(&format!("{name} = {name} {sign} …"), "non counter");
        let is_list = matches!(&typ, ColumnType::Collection { typ: CollectionType::List(_), .. });
        let is_user_type = matches!(&typ, ColumnType::UserDefinedType { .. });
        let action = match &assignment.change {
            ast::Change::Set(term) if multi_cell => Action::Replace(self.term(term, &whole)?),
            ast::Change::Set(term) => Action::Set(self.term(term, &whole)?),
            ast::Change::Append(term) if multi_cell && !is_user_type => {
                Action::Append(self.term(term, &whole)?)
            }
            ast::Change::Prepend(term) if multi_cell && is_list => Action::Prepend(self.term(term, &whole)?),
            ast::Change::Remove(term) if multi_cell && !is_user_type => {
                Action::Remove(self.term(term, &Receiver::new(table, name, removed_type(&typ)))?)
            }
            ast::Change::Element { key, value } => {
                let of_element = format!("{name}[…] = …");
                let value_type = match &typ {
                    ColumnType::Collection { .. } if !multi_cell => return Err(refused(&of_element, "")),
                    ColumnType::Collection { typ: CollectionType::Map(_, value), .. } => value,
                    ColumnType::Collection { typ: CollectionType::List(item), .. } => item,
                    ColumnType::Collection { .. } => return Err(refused(&of_element, "set")),
                    _ => return Err(refused(&of_element, "non collection")),
                };
                let key = self.element_key(table, name, &typ, key)?;
                let receiver = Receiver::new(table, format!("value({name})"), (**value_type).clone());
                Action::SetElement(key, self.term(value, &receiver)?)
            }
            ast::Change::ListCell { id, value } => {
                let ColumnType::Collection { typ: CollectionType::List(item), frozen: false } = &typ else {
                    return Err(refused(&format!("{name}[SCYLLA_TIMEUUID_LIST_INDEX(…)] = …"), "non list"));
                };
                let id =
                    self.term(id, &Receiver::native(table, format!("idx({name})"), NativeType::Timeuuid))?;
                let receiver = Receiver::new(table, format!("value({name})"), (**item).clone());
                Action::SetListCell(id, self.term(value, &receiver)?)
            }
            ast::Change::Field { field, .. } if !is_user_type || !multi_cell => {
                return Err(refused(&format!("{name}.{field} = …"), "non-UDT"));
            }
            ast::Change::Field { field, value } => {
                let index = field_index(&typ, name, field)?;
                let field_type = field_type(&typ, index).clone();
                Action::SetField(
                    index,
                    self.term(value, &Receiver::new(table, format!("{name}.{field}"), field_type))?,
                )
            }
            ast::Change::Append(_) => return Err(of_sum('+')),
            ast::Change::Prepend(_) => return Err(refused(&format!("{name} = … + {name}"), "non list")),
            ast::Change::Remove(_) => return Err(of_sum('-')),
        };
        Ok(Change { column, action })
    }

    pub(super) fn delete_target(
        &mut self,
        table: &Table,
        target: &ast::DeleteTarget,
    ) -> Result<Change, DbError> {
        let (ast::DeleteTarget::Column(name)
        | ast::DeleteTarget::Element(name, _)
        | ast::DeleteTarget::Field(name, _)) = target;
        let column = known_column(table, name)?;
        if is_key(table, name) {
            return Err(DbError::invalid(format!(
                "Invalid identifier {name} for deletion (should not be a PRIMARY KEY part)"
            )));
        }
        let typ = &table.columns[column].typ;
        let action = match target {
            ast::DeleteTarget::Column(_) => Action::Delete,
            _ if !types::is_multi_cell(typ) => {
                let kind = match (types::is_multi_cell(&thawed(typ)), target) {
                    (true, _) => frozen_kind(typ),
                    (false, ast::DeleteTarget::Field(..)) => "non-UDT",
                    (false, _) => "non collection",
                };
                return Err(DbError::invalid(format!("Invalid deletion operation for {kind} column {name}")));
            }
            ast::DeleteTarget::Element(_, key) => {
                Action::DeleteElement(self.element_key(table, name, typ, key)?)
            }
            ast::DeleteTarget::Field(_, field) => Action::DeleteField(field_index(typ, name, field)?),
        };
        Ok(Change { column, action })
    }
}

/// The type as if it were not frozen.
fn thawed(typ: &CqlType) -> CqlType {
    match typ {
        ColumnType::Collection { typ, .. } => ColumnType::Collection { frozen: false, typ: typ.clone() },
        ColumnType::UserDefinedType { definition, .. } => {
            ColumnType::UserDefinedType { frozen: false, definition: std::sync::Arc::clone(definition) }
        }
        other => other.clone(),
    }
}

fn frozen_kind(typ: &CqlType) -> &'static str {
    if matches!(typ, ColumnType::UserDefinedType { .. }) { "frozen UDT" } else { "frozen collection" }
}

/// What is taken out of a map is a set of its keys.
fn removed_type(typ: &CqlType) -> CqlType {
    match typ {
        ColumnType::Collection { typ: CollectionType::Map(key, _), .. } => {
            ColumnType::Collection { frozen: false, typ: CollectionType::Set(key.clone()) }
        }
        other => other.clone(),
    }
}
