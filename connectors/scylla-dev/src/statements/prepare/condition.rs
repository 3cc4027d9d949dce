//! The conditions of IF, and the left sides that WHERE and IF share.
use scylla_cql::frame::response::result::{CollectionType, ColumnType, NativeType};

use super::ast::{self, Left, Operator, Relation, Term as Written};
use super::{Context, Receiver, column};
use crate::error::DbError;
use crate::execute::filter::{Test, element_type, field_type};
use crate::execute::plan::{Condition, Filter, FilterLeft};
use crate::execute::term::Term;
use crate::schema::{ColumnKind, Table};
use crate::value::{CqlType, types};

impl Context<'_> {
    pub(super) fn condition(
        &mut self,
        table: &Table,
        condition: &ast::Condition,
    ) -> Result<Option<Condition>, DbError> {
        match condition {
            ast::Condition::None => Ok(None),
            ast::Condition::Exists => Ok(Some(Condition::Exists)),
            ast::Condition::Holds(relations) => {
                let filters = relations.iter().map(|relation| self.condition_filter(table, relation));
                filters.collect::<Result<_, _>>().map(|filters| Some(Condition::Holds(filters)))
            }
        }
    }

    fn condition_filter(&mut self, table: &Table, relation: &Relation) -> Result<Filter, DbError> {
        let (left, name, typ) = match &relation.left {
            Left::Column(name) => {
                let index = known_column(table, name)?;
                (FilterLeft::Column(index), name.clone(), types::frozen(&table.columns[index].typ))
            }
            Left::Element(name, _) if is_set(table, name) => {
                return Err(DbError::invalid(format!("Invalid element access syntax for set column {name}")));
            }
            other => self.inner_left(table, other)?,
        };
        let (FilterLeft::Column(column) | FilterLeft::Element(column, _) | FilterLeft::Field(column, _)) =
            left
        else {
            return Err(DbError::invalid("Multi-column relations are not allowed in conditions"));
        };
        if matches!(table.columns[column].kind, ColumnKind::PartitionKey | ColumnKind::Clustering) {
            return Err(DbError::invalid(format!("PRIMARY KEY column '{name}' cannot have IF conditions")));
        }
        let slice = matches!(relation.operator, Operator::Lt | Operator::Le | Operator::Gt | Operator::Ge);
        if slice && matches!(typ, ColumnType::Native(NativeType::Duration)) {
            return Err(DbError::invalid("Slice conditions are not supported on durations"));
        }
        let right = self.choice(table, relation, &name, &typ)?;
        Ok(Filter { left, operator: test(relation.operator), right })
    }

    /// `column[key]` and `column.field`: what it looks at, its name and its type.
    pub(super) fn inner_left(
        &mut self,
        table: &Table,
        left: &Left,
    ) -> Result<(FilterLeft, String, CqlType), DbError> {
        match left {
            Left::Element(name, key) => {
                let index = column(table, name)?;
                let typ = table.columns[index].typ.clone();
                let key = self.element_key(table, name, &typ, key)?;
                let element = element_type(&typ).clone();
                Ok((FilterLeft::Element(index, key), format!("value({name})"), element))
            }
            Left::Field(name, field) => {
                let index = column(table, name)?;
                let typ = &table.columns[index].typ;
                let at = field_index(typ, name, field)?;
                Ok((FilterLeft::Field(index, at), field.clone(), field_type(typ, at).clone()))
            }
            Left::Column(_) | Left::Columns(_) | Left::Token(_) => {
                Err(DbError::invalid("The token function cannot be used in conditions"))
            }
        }
    }

    /// The key of `column[key]`: a map's key, a list's index, a set's element.
    pub(super) fn element_key(
        &mut self,
        table: &Table,
        name: &str,
        typ: &CqlType,
        key: &Written,
    ) -> Result<Term, DbError> {
        let receiver = match typ {
            ColumnType::Collection { typ: CollectionType::Map(key, _), .. } => {
                Receiver::new(table, format!("key({name})"), (**key).clone())
            }
            ColumnType::Collection { typ: CollectionType::List(_), .. } => {
                Receiver::native(table, format!("idx({name})"), NativeType::Int)
            }
            ColumnType::Collection { typ: CollectionType::Set(item), .. } => {
                Receiver::new(table, format!("value({name})"), (**item).clone())
            }
            other => {
                let typ = types::name(other);
                return Err(DbError::invalid(format!(
                    "Column {name} is not a collection and cannot be subscripted: its type is {typ}"
                )));
            }
        };
        self.term(key, &receiver)
    }
}

fn is_set(table: &Table, name: &str) -> bool {
    let typ = table.column(name).map(|(_, column)| &column.typ);
    matches!(typ, Some(ColumnType::Collection { typ: CollectionType::Set(_), .. }))
}

/// The place of a column that a statement changes or tests.
pub(super) fn known_column(table: &Table, name: &str) -> Result<usize, DbError> {
    let found = table.column(name).map(|(index, _)| index);
    found.ok_or_else(|| DbError::invalid(format!("Unknown identifier {name}")))
}

/// The place of a field in a user-defined type.
pub(super) fn field_index(typ: &CqlType, column: &str, field: &str) -> Result<usize, DbError> {
    let ColumnType::UserDefinedType { definition, .. } = typ else {
        let typ = types::name(typ);
        return Err(DbError::invalid(format!(
            "Invalid operation ({column}.{field}) for column {column} of type {typ}: not a user type"
        )));
    };
    let found = definition.field_types.iter().position(|(name, _)| name == field);
    found.ok_or_else(|| DbError::invalid(format!("UDT column {column} does not have a field named {field}")))
}

pub(super) fn test(operator: Operator) -> Test {
    match operator {
        Operator::Eq => Test::Eq,
        Operator::Ne => Test::Ne,
        Operator::Lt => Test::Lt,
        Operator::Le => Test::Le,
        Operator::Gt => Test::Gt,
        Operator::Ge => Test::Ge,
        Operator::In => Test::In,
        Operator::NotIn => Test::NotIn,
    }
}
