//! What stands between SELECT and FROM: selectors, their types and the names their columns get.
use scylla_cql::frame::response::result::{ColumnType, NativeType};

use super::ast::{Expression, SelectItem, Term as Written};
use super::condition::field_index;
use super::term::{assignable, choose};
use super::{Context, Receiver, column};
use crate::error::DbError;
use crate::execute::filter::{element_type, field_type};
use crate::execute::functions::{Number, can_cast};
use crate::execute::is_list;
use crate::execute::plan::{Aggregate, Selector};
use crate::execute::term::Term;
use crate::schema::Table;
use crate::value::{CqlType, types};

/// The columns of a result.
#[derive(Default)]
pub(super) struct Selection {
    pub(super) selectors: Vec<Selector>,
    pub(super) aggregates: Vec<Aggregate>,
    /// Name and type of each column.
    pub(super) columns: Vec<(String, CqlType)>,
    /// The table's columns that are looked at, wherever.
    pub(super) used: Vec<usize>,
}

/// An expression with its type and its name in a result.
struct Resolved {
    selector: Selector,
    typ: CqlType,
    name: String,
}

impl Context<'_> {
    pub(super) fn selection(&mut self, table: &Table, items: &[SelectItem]) -> Result<Selection, DbError> {
        if items.is_empty() {
            return Ok(everything(table));
        }
        let folds = items.iter().any(|item| has_aggregate(&item.expression));
        let mut builder = Builder { context: self, table, folds, aggregates: Vec::new(), used: Vec::new() };
        let mut selection = Selection::default();
        for item in items {
            let resolved = builder.expression(&item.expression)?;
            let name = item.alias.clone().unwrap_or(resolved.name);
            selection.selectors.push(resolved.selector);
            selection.columns.push((name, resolved.typ));
        }
        selection.aggregates = builder.aggregates;
        selection.used = builder.used;
        Ok(selection)
    }
}

fn everything(table: &Table) -> Selection {
    let columns = table.columns.iter().map(|column| (column.name.to_string(), column.typ.clone()));
    Selection {
        selectors: (0..table.columns.len()).map(Selector::Column).collect(),
        aggregates: Vec::new(),
        columns: columns.collect(),
        used: (0..table.columns.len()).collect(),
    }
}

fn is_aggregate(name: &str) -> bool {
    matches!(name, "count" | "min" | "max" | "sum" | "avg")
}

fn has_aggregate(expression: &Expression) -> bool {
    match expression {
        Expression::CountRows => true,
        Expression::Call { name, arguments } => is_aggregate(name) || arguments.iter().any(has_aggregate),
        Expression::Cast { value, .. }
        | Expression::Field { value, .. }
        | Expression::Element { value, .. } => has_aggregate(value),
        Expression::Column(_) | Expression::Writetime(..) | Expression::Ttl(..) | Expression::Term(_) => {
            false
        }
    }
}

struct Builder<'b, 's> {
    context: &'b mut Context<'s>,
    table: &'b Table,
    /// Whether the rows are folded into one, so that plain columns show the first row's values.
    folds: bool,
    aggregates: Vec<Aggregate>,
    used: Vec<usize>,
}

impl Builder<'_, '_> {
    fn expression(&mut self, expression: &Expression) -> Result<Resolved, DbError> {
        match expression {
            Expression::Column(name) => {
                let index = self.column(name)?;
                let typ = self.table.columns[index].typ.clone();
                Ok(self.leaf(Selector::Column(index), typ, name.clone()))
            }
            Expression::Writetime(name, key) => {
                let (index, term, name) = self.cell(name, key.as_ref(), "writetime")?;
                Ok(self.leaf(Selector::Writetime(index, term), ColumnType::Native(NativeType::BigInt), name))
            }
            Expression::Ttl(name, key) => {
                let (index, term, name) = self.cell(name, key.as_ref(), "ttl")?;
                Ok(self.leaf(Selector::Ttl(index, term), ColumnType::Native(NativeType::Int), name))
            }
            Expression::CountRows => {
                let typ = ColumnType::Native(NativeType::BigInt);
                Ok(self.aggregate(Aggregate::CountRows, typ, "count".to_owned()))
            }
            Expression::Call { name, arguments } if is_aggregate(name) => {
                self.aggregate_call(name, arguments)
            }
            Expression::Call { name, arguments } if name == "token" => self.token(arguments),
            Expression::Call { name, arguments } => self.call(name, arguments),
            Expression::Cast { value, to } => {
                let value = self.expression(value)?;
                let to = self.context.cql_type(to, &self.table.keyspace)?;
                if value.typ == to {
                    return Ok(value);
                }
                let (from, into) = (types::name(&value.typ), types::name(&to));
                if !can_cast(&value.typ, &to) {
                    return Err(DbError::invalid(format!("{from} cannot be cast to {into}")));
                }
                let name = format!("cast({} as {into})", value.name);
                let selector = Selector::Cast(Box::new(value.selector), value.typ, to.clone());
                Ok(Resolved { selector, typ: to, name })
            }
            Expression::Field { value, field } => {
                let value = self.expression(value)?;
                let index = field_index(&value.typ, &value.name, field)?;
                let typ = field_type(&value.typ, index).clone();
                let name = format!("{}.{field}", value.name);
                Ok(Resolved { selector: Selector::Field(Box::new(value.selector), index), typ, name })
            }
            Expression::Element { value, key } => {
                let value = self.expression(value)?;
                let name = format!("{}[{key}]", value.name);
                let key = self.context.element_key(self.table, &value.name, &value.typ, key)?;
                let typ = element_type(&value.typ).clone();
                let selector = Selector::Element(Box::new(value.selector), value.typ, key);
                Ok(Resolved { selector, typ, name })
            }
            Expression::Term(Written::Hint { to, value }) => {
                let typ = self.context.cql_type(to, &self.table.keyspace)?;
                let receiver =
                    Receiver::new(self.table, format!("({}){value}", types::name(&typ)), typ.clone());
                let term = self.context.term(value, &receiver)?;
                Ok(Resolved { selector: Selector::Term(term), typ, name: receiver.name })
            }
            Expression::Term(_) => {
                Err(DbError::invalid("a constant can be selected only as the argument of a function"))
            }
        }
    }

    fn column(&mut self, name: &str) -> Result<usize, DbError> {
        let index = column(self.table, name)?;
        self.used.push(index);
        Ok(index)
    }

    /// The cell of a column, or of an element of it, and what a function of it is called.
    fn cell(
        &mut self,
        name: &str,
        key: Option<&Written>,
        function: &str,
    ) -> Result<(usize, Option<Term>, String), DbError> {
        let index = self.column(name)?;
        let definition = &self.table.columns[index];
        if index < self.table.partition_columns + self.table.clustering_columns {
            return Err(DbError::invalid(format!(
                "Cannot use selection function {function} on PRIMARY KEY part {name}"
            )));
        }
        let Some(key) = key else {
            if definition.is_multi_cell() {
                let message = format!("Cannot use selection function {function} on collections");
                return Err(DbError::invalid(message));
            }
            return Ok((index, None, format!("{function}({name})")));
        };
        if !definition.is_multi_cell() || is_list(&definition.typ) {
            let typ = types::name(&definition.typ);
            return Err(DbError::invalid(format!(
                "{function} of an element: column {name} is not a map: {typ}"
            )));
        }
        let term = self.context.element_key(self.table, name, &definition.typ, key)?;
        Ok((index, Some(term), format!("{function}({name}[{key}])")))
    }

    fn leaf(&mut self, selector: Selector, typ: CqlType, name: String) -> Resolved {
        if self.folds {
            return self.aggregate(Aggregate::First(selector), typ, name);
        }
        Resolved { selector, typ, name }
    }

    fn aggregate(&mut self, aggregate: Aggregate, typ: CqlType, name: String) -> Resolved {
        self.aggregates.push(aggregate);
        Resolved { selector: Selector::Aggregate(self.aggregates.len() - 1), typ, name }
    }

    fn aggregate_call(&mut self, name: &str, arguments: &[Expression]) -> Result<Resolved, DbError> {
        let [argument] = arguments else {
            return Err(DbError::invalid(format!(
                "Invalid number of arguments in call to function {name}: 1 required but {} provided",
                arguments.len()
            )));
        };
        if has_aggregate(argument) {
            return Err(DbError::invalid(
                "aggregate functions cannot be used as arguments of aggregate functions",
            ));
        }
        self.folds = false;
        let argument = self.expression(argument);
        self.folds = true;
        let Resolved { selector, typ, name: inner } = argument?;
        let number = matches!(&typ, ColumnType::Native(native) if Number::is_type(native));
        if matches!(name, "sum" | "avg") && !number {
            return Err(DbError::invalid(format!(
                "Invalid call to function {name}, none of its type signatures match: it takes numbers, not {}",
                types::name(&typ)
            )));
        }
        let (aggregate, returns) = match name {
            "count" => (Aggregate::Count(selector), ColumnType::Native(NativeType::BigInt)),
            "min" => (Aggregate::Min(selector, typ.clone()), typ),
            "max" => (Aggregate::Max(selector, typ.clone()), typ),
            "sum" => (Aggregate::Sum(selector, typ.clone()), typ),
            _ => (Aggregate::Avg(selector, typ.clone()), typ),
        };
        Ok(self.aggregate(aggregate, returns, format!("system.{name}({inner})")))
    }

    fn token(&mut self, arguments: &[Expression]) -> Result<Resolved, DbError> {
        let names: Vec<&str> = arguments
            .iter()
            .map(|argument| match argument {
                Expression::Column(name) => name.as_str(),
                _ => "",
            })
            .collect();
        let key: Vec<&str> = self.table.partition_key_columns().iter().map(|column| &*column.name).collect();
        if names != key {
            return Err(DbError::invalid(format!(
                "token() takes the partition key columns in their order: {}",
                key.join(", ")
            )));
        }
        let typ = ColumnType::Native(NativeType::BigInt);
        Ok(self.leaf(Selector::Token, typ, format!("system.token({})", names.join(", "))))
    }

    fn call(&mut self, name: &str, arguments: &[Expression]) -> Result<Resolved, DbError> {
        let mut resolved = Vec::with_capacity(arguments.len());
        for argument in arguments {
            resolved.push(match argument {
                Expression::Term(_) => None,
                other => Some(self.expression(other)?),
            });
        }
        let names = arguments.iter().zip(&resolved).map(|(argument, resolved)| match (argument, resolved) {
            (_, Some(resolved)) => resolved.name.clone(),
            (Expression::Term(term), None) => term.to_string(),
            (_, None) => String::new(),
        });
        let names: Vec<String> = names.collect();
        let function = choose(name, &names, |function| {
            let known = function.arguments.iter().zip(&resolved).all(|(native, argument)| {
                let wanted = ColumnType::Native(native.clone());
                argument.as_ref().is_none_or(|argument| assignable(&argument.typ, &wanted))
            });
            known && function.arguments.len() == arguments.len()
        })?;
        let mut selectors = Vec::with_capacity(arguments.len());
        for (index, (argument, resolved)) in arguments.iter().zip(resolved).enumerate() {
            match (argument, resolved) {
                (_, Some(resolved)) => selectors.push(resolved.selector),
                (Expression::Term(term), None) => {
                    let native = function.arguments[index].clone();
                    let receiver = Receiver::native(self.table, format!("arg{index}(system.{name})"), native);
                    selectors.push(Selector::Term(self.context.term(term, &receiver)?));
                }
                (_, None) => {}
            }
        }
        let typ = ColumnType::Native(function.returns.clone());
        let name = format!("system.{name}({})", names.join(", "));
        Ok(Resolved { selector: Selector::Call(Box::new(function), selectors), typ, name })
    }
}
