//! Which partitions, which rows and which tests the relations of a WHERE ask for.
mod analysis;

use scylla_cql::frame::response::result::{CollectionType, ColumnType, NativeType};

use super::ast::{Left, Operator, Relation, Right, Term as Written};
use super::{Context, Receiver, column};
use crate::error::DbError;
use crate::execute::plan::{Choice, Clustering, Edge, Filter, FilterLeft, Partitions};
use crate::execute::term::Term;
use crate::schema::{ColumnKind, Table};
use crate::value::{CqlType, types};
pub(super) use analysis::unrestricted;
use analysis::{Analysis, Resolved};

/// What a WHERE asks for.
pub(super) struct Restrictions {
    pub(super) partitions: Partitions,
    pub(super) clustering: Clustering,
    /// How many clustering columns the prefix fixes.
    pub(super) fixed: usize,
    pub(super) filters: Vec<Filter>,
    /// Why rows would have to be read only to be thrown away.
    pub(super) filtering: Option<DbError>,
    /// Names of columns tested by filters, for messages.
    pub(super) filtered: Vec<String>,
}

/// The ends of a range of tokens.
#[derive(Default)]
struct TokenBounds {
    lower: Option<(Term, Edge)>,
    upper: Option<(Term, Edge)>,
}

impl Context<'_> {
    pub(super) fn restrictions(
        &mut self,
        table: &Table,
        relations: &[Relation],
    ) -> Result<Restrictions, DbError> {
        let mut tokens = TokenBounds::default();
        let mut resolved = Vec::with_capacity(relations.len());
        for relation in relations {
            match &relation.left {
                Left::Token(columns) => self.token_bound(table, columns, relation, &mut tokens)?,
                _ => resolved.push(self.resolve(table, relation)?),
            }
        }
        let mut analysis = Analysis { table, relations: resolved, filtering: None };
        let keys = analysis.partition_keys()?;
        let by_token = tokens.lower.is_some() || tokens.upper.is_some();
        let partitions = match keys {
            Some(_) if by_token => {
                let names: Vec<&str> =
                    table.partition_key_columns().iter().map(|column| &*column.name).collect();
                return Err(DbError::invalid(format!(
                    "Columns \"{}\" cannot be restricted by both a normal relation and a token relation",
                    names.join(", ")
                )));
            }
            Some(keys) => Partitions::Keys(keys),
            None => Partitions::Tokens { lower: tokens.lower, upper: tokens.upper },
        };
        let (clustering, fixed) = analysis.clustering(&partitions)?;
        let by_keys = matches!(partitions, Partitions::Keys(_));
        let answered = if by_keys { table.partition_columns + fixed + 1 } else { 0 };
        let (filters, filtered) = analysis.filters(answered);
        Ok(Restrictions { partitions, clustering, fixed, filters, filtering: analysis.filtering, filtered })
    }

    fn resolve(&mut self, table: &Table, relation: &Relation) -> Result<Resolved, DbError> {
        let operator = relation.operator;
        let (columns, left, name, typ) = match &relation.left {
            Left::Column(name) => {
                let index = column(table, name)?;
                let typ = table.columns[index].typ.clone();
                (vec![index], FilterLeft::Column(index), name.clone(), typ)
            }
            Left::Columns(names) => {
                let columns = clustering_columns(table, names)?;
                let typ =
                    ColumnType::Tuple(columns.iter().map(|at| table.columns[*at].typ.clone()).collect());
                (columns.clone(), FilterLeft::Columns(columns), format!("({})", names.join(",")), typ)
            }
            _ => {
                if let Left::Element(name, _) = &relation.left {
                    check_subscript(table, name)?;
                }
                let (left, name, typ) = self.inner_left(table, &relation.left)?;
                (Vec::new(), left, name, typ)
            }
        };
        let is_tuple = matches!(left, FilterLeft::Columns(_));
        if matches!(typ, ColumnType::Collection { frozen: false, .. }) {
            let kind = types::name(&typ);
            return Err(DbError::invalid(format!(
                "Collection column '{name}' ({kind}) cannot be restricted by a '{}' relation",
                sign(operator)
            )));
        }
        if operator == Operator::Ne {
            return Err(unsupported(operator, &name));
        }
        let ordered = !matches!(operator, Operator::Eq | Operator::In | Operator::NotIn);
        if ordered && matches!(typ, ColumnType::Native(NativeType::Duration)) {
            return Err(DbError::invalid("Slice restrictions are not supported on duration columns"));
        }
        if let Left::Columns(names) = &relation.left {
            check_tuples(names.len(), &relation.right)?;
        }
        let right = self.choice(table, relation, &name, &typ)?;
        Ok(Resolved { columns, left, operator, right, is_tuple, used: false })
    }

    /// The values on the right side, for a left side of this name and type.
    pub(super) fn choice(
        &mut self,
        table: &Table,
        relation: &Relation,
        name: &str,
        typ: &CqlType,
    ) -> Result<Choice, DbError> {
        match (&relation.right, relation.operator) {
            (Right::One(term), Operator::In | Operator::NotIn) => {
                let inner = name.strip_prefix('(').and_then(|name| name.strip_suffix(')')).unwrap_or(name);
                let element = Box::new(types::frozen(typ));
                let list = ColumnType::Collection { frozen: false, typ: CollectionType::List(element) };
                let receiver = Receiver::new(table, format!("{}({inner})", sign(relation.operator)), list);
                if let Written::Marker(number) = term {
                    self.choices.push(*number);
                }
                self.term(term, &receiver).map(Choice::List)
            }
            (Right::One(term), _) => {
                self.term(term, &Receiver::new(table, name, typ.clone())).map(Choice::One)
            }
            (Right::Several(terms), _) => {
                let receiver = Receiver::new(table, name, typ.clone());
                let terms = terms.iter().map(|term| self.term(term, &receiver));
                terms.collect::<Result<_, _>>().map(Choice::Several)
            }
        }
    }

    fn token_bound(
        &mut self,
        table: &Table,
        columns: &[String],
        relation: &Relation,
        bounds: &mut TokenBounds,
    ) -> Result<(), DbError> {
        let key: Vec<&str> = table.partition_key_columns().iter().map(|column| &*column.name).collect();
        if *columns != key {
            for name in columns {
                column(table, name)?;
            }
            return Err(wrong_token(columns, &key));
        }
        let receiver = Receiver::native(table, "partition key token", NativeType::BigInt);
        let Right::One(term) = &relation.right else {
            return Err(DbError::invalid("IN cannot be used with the token function"));
        };
        let term = self.term(term, &receiver)?;
        let (lower, upper) = match relation.operator {
            Operator::Eq => (Some(Edge::Included), Some(Edge::Included)),
            Operator::Gt => (Some(Edge::Excluded), None),
            Operator::Ge => (Some(Edge::Included), None),
            Operator::Lt => (None, Some(Edge::Excluded)),
            Operator::Le => (None, Some(Edge::Included)),
            Operator::Ne | Operator::In | Operator::NotIn => {
                return Err(unsupported(relation.operator, "token"));
            }
        };
        for (edge, bound, which) in [(lower, &mut bounds.lower, "start"), (upper, &mut bounds.upper, "end")] {
            let Some(edge) = edge else { continue };
            if bound.replace((term.clone(), edge)).is_some() {
                return Err(DbError::invalid(format!(
                    "More than one restriction was found for the {which} bound on {}",
                    key.join(", ")
                )));
            }
        }
        Ok(())
    }
}

/// WHERE looks into maps and lists only.
fn check_subscript(table: &Table, name: &str) -> Result<(), DbError> {
    let typ = &table.columns[column(table, name)?].typ;
    match typ {
        ColumnType::Collection { typ: CollectionType::List(_) | CollectionType::Map(..), .. } => Ok(()),
        _ => Err(DbError::invalid(format!("Column {name} is not a map/list, cannot be subscripted"))),
    }
}

/// Tuples as written must have a value for each column.
fn check_tuples(columns: usize, right: &Right) -> Result<(), DbError> {
    let tuples = match right {
        Right::One(term) => std::slice::from_ref(term),
        Right::Several(terms) => terms,
    };
    let wrong = tuples.iter().find_map(|tuple| match tuple {
        Written::Tuple(values) if values.len() != columns => Some(values.len()),
        _ => None,
    });
    match wrong {
        None => Ok(()),
        Some(found) if found > columns && matches!(right, Right::Several(_)) => Err(DbError::invalid(
            format!("Invalid list literal for IN: a tuple of {found} values is not of {columns} columns"),
        )),
        Some(found) => {
            Err(DbError::invalid(format!("Expected {columns} elements in value tuple, but got {found}")))
        }
    }
}

/// Clustering columns that follow each other.
fn clustering_columns(table: &Table, names: &[String]) -> Result<Vec<usize>, DbError> {
    let columns = names.iter().map(|name| column(table, name)).collect::<Result<Vec<_>, _>>()?;
    for index in &columns {
        if table.columns[*index].kind != ColumnKind::Clustering {
            return Err(DbError::invalid(format!(
                "Multi-column relations can only be applied to clustering columns but was applied to: {}",
                table.columns[*index].name
            )));
        }
    }
    if columns.windows(2).any(|pair| pair[1] != pair[0] + 1) {
        return Err(DbError::invalid(format!(
            "Clustering columns must appear in the PRIMARY KEY order in multi-column relations: ({})",
            names.join(", ")
        )));
    }
    Ok(columns)
}

/// Why these are not the columns of a partition key in their order.
fn wrong_token(columns: &[String], key: &[&str]) -> DbError {
    let names = key.join(", ");
    let twice = columns.iter().enumerate().any(|(at, name)| columns[..at].contains(name));
    DbError::invalid(if columns.len() != key.len() {
        let (wanted, found) = (key.len(), columns.len());
        format!(
            "Invalid number of arguments in call to function system.token: {wanted} required but {found} provided"
        )
    } else if twice {
        "The token() function contains duplicate partition key components".to_owned()
    } else if columns.iter().all(|name| key.contains(&name.as_str())) {
        format!("The token function arguments must be in the partition key order: {names}")
    } else {
        format!(
            "The token() function must be applied to all partition key components or none of them: {names}"
        )
    })
}

fn unsupported(operator: Operator, left: &str) -> DbError {
    DbError::invalid(format!("Unsupported \"{0}\" relation: {left} {0} …", sign(operator)))
}

fn sign(operator: Operator) -> &'static str {
    match operator {
        Operator::Eq => "=",
        Operator::Ne => "!=",
        Operator::Lt => "<",
        Operator::Le => "<=",
        Operator::Gt => ">",
        Operator::Ge => ">=",
        Operator::In => "IN",
        Operator::NotIn => "NOT IN",
    }
}
