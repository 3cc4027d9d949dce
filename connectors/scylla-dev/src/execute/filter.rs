//! Tests of rows: the relations that no key answers, and the conditions of IF.
use std::cmp::Ordering;

use bytes::Bytes;

use super::key;
use super::plan::{Choice, Filter, FilterLeft};
use super::row::RowContext;
use super::term::Env;
use crate::error::DbError;
use crate::outcome::BoundValue;
use crate::schema::Table;
use crate::value::{self, CqlType, collection, order};

/// The operators of tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Test {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

/// What null means on the left: in WHERE nothing holds for it, in IF it is a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nulls {
    Fail,
    Compare,
}

/// A test with its values at hand.
pub(super) struct BoundFilter<'p> {
    left: &'p FilterLeft,
    test: Test,
    rights: Vec<Option<Bytes>>,
    key: Option<Bytes>,
    nulls: Nulls,
}

/// All tests of a statement with their values.
pub(super) fn bind<'p>(
    filters: &'p [Filter],
    nulls: Nulls,
    env: &Env<'_>,
) -> Result<Vec<BoundFilter<'p>>, DbError> {
    filters.iter().map(|filter| BoundFilter::new(filter, nulls, env)).collect()
}

impl<'p> BoundFilter<'p> {
    fn new(filter: &'p Filter, nulls: Nulls, env: &Env<'_>) -> Result<Self, DbError> {
        let mut rights = Vec::new();
        match &filter.right {
            Choice::One(term) => rights.push(comparable(env.value(term)?)?),
            Choice::Several(terms) => {
                for term in terms {
                    rights.push(comparable(env.value(term)?)?);
                }
            }
            Choice::List(term) => {
                if let Some(list) = comparable(env.value(term)?)? {
                    let elements = collection::optional_elements(&list);
                    rights.extend(elements.map(|element| element.map(|element| list.slice_ref(element))));
                }
            }
        }
        if let Some(sign) = filter.operator.of_order()
            && nulls == Nulls::Compare
            && rights.contains(&None)
        {
            let message = format!("Invalid comparison with null for operator \"{sign}\"");
            return Err(DbError::invalid(message));
        }
        let key = match &filter.left {
            FilterLeft::Element(_, term) => comparable(env.value(term)?)?,
            _ => None,
        };
        Ok(Self { left: &filter.left, test: filter.operator, rights, key, nulls })
    }

    /// Whether the row passes.
    pub(super) fn holds(&self, row: &RowContext<'_>) -> Result<bool, DbError> {
        let table = row.table;
        let mut buffer = Vec::new();
        match self.left {
            FilterLeft::Column(column) => {
                let found = row.read(*column, &mut buffer);
                Ok(self.compare(&table.columns[*column].typ, found.then_some(&buffer[..])))
            }
            FilterLeft::Element(column, _) => {
                let typ = &table.columns[*column].typ;
                let found = row.read(*column, &mut buffer);
                let key = self.key.as_deref().filter(|_| found);
                let value = key.and_then(|key| element(typ, &buffer, key));
                Ok(self.compare(element_type(typ), value))
            }
            FilterLeft::Field(column, field) => {
                let typ = &table.columns[*column].typ;
                let found = row.read(*column, &mut buffer);
                let value = found.then(|| collection::fields(&buffer).nth(*field).flatten()).flatten();
                Ok(self.compare(field_type(typ, *field), value))
            }
            FilterLeft::Columns(columns) => self.holds_columns(columns, row, table),
        }
    }

    fn compare(&self, typ: &CqlType, left: Option<&[u8]>) -> bool {
        if self.nulls == Nulls::Fail && left.is_none() {
            return false;
        }
        let equal = |right: &Option<Bytes>| match (left, right) {
            (Some(left), Some(right)) => value::compare(typ, left, right).is_eq(),
            (left, right) => left.is_none() && right.is_none(),
        };
        let ordered = |wanted: fn(Ordering) -> bool| {
            let right = self.rights.first().and_then(Option::as_deref);
            left.zip(right).is_some_and(|(left, right)| wanted(value::compare(typ, left, right)))
        };
        match self.test {
            Test::Eq | Test::In => self.rights.iter().any(equal),
            Test::Ne | Test::NotIn => !self.rights.iter().any(equal),
            Test::Lt => ordered(Ordering::is_lt),
            Test::Le => ordered(Ordering::is_le),
            Test::Gt => ordered(Ordering::is_gt),
            Test::Ge => ordered(Ordering::is_ge),
        }
    }

    fn holds_columns(&self, columns: &[usize], row: &RowContext<'_>, table: &Table) -> Result<bool, DbError> {
        for right in self.rights.iter().flatten() {
            let values = key::split(right, columns.len())?;
            let mut order = Ordering::Equal;
            for (column, right) in columns.iter().zip(&values) {
                let mut buffer = Vec::new();
                if !row.read(*column, &mut buffer) {
                    return Ok(false);
                }
                order = order.then_with(|| value::compare(&table.columns[*column].typ, &buffer, right));
            }
            let holds = match self.test {
                Test::Eq | Test::In => order.is_eq(),
                Test::Ne | Test::NotIn => order.is_ne(),
                Test::Lt => order.is_lt(),
                Test::Le => order.is_le(),
                Test::Gt => order.is_gt(),
                Test::Ge => order.is_ge(),
            };
            if holds {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Test {
    /// The sign of an operator that only ordered values have.
    fn of_order(self) -> Option<&'static str> {
        match self {
            Self::Lt => Some("<"),
            Self::Le => Some("<="),
            Self::Gt => Some(">"),
            Self::Ge => Some(">="),
            Self::Eq | Self::Ne | Self::In | Self::NotIn => None,
        }
    }
}

/// A value to compare with; `None` is null.
fn comparable(value: BoundValue) -> Result<Option<Bytes>, DbError> {
    match value {
        BoundValue::Set(bytes) => Ok(Some(bytes)),
        BoundValue::Null => Ok(None),
        BoundValue::Unset => Err(DbError::invalid("Invalid unset value in condition")),
    }
}

/// The value of a map's key or at a list's place.
pub(super) fn element<'v>(typ: &CqlType, value: &'v [u8], key: &[u8]) -> Option<&'v [u8]> {
    use scylla_cql::frame::response::result::{CollectionType, ColumnType};
    match typ {
        ColumnType::Collection { typ: CollectionType::Map(key_type, _), .. } => {
            let wanted = order::sortable(key_type, key);
            collection::entries(value)
                .find(|(key, _)| order::sortable(key_type, key) == wanted)
                .map(|(_, value)| value)
        }
        ColumnType::Collection { typ: CollectionType::Set(item), .. } => {
            let wanted = order::sortable(item, key);
            collection::elements(value).find(|element| order::sortable(item, element) == wanted)
        }
        _ => {
            let index = usize::try_from(i32::from_be_bytes(key.try_into().ok()?)).ok()?;
            collection::elements(value).nth(index)
        }
    }
}

/// The type of a collection's values.
pub(crate) fn element_type(typ: &CqlType) -> &CqlType {
    use scylla_cql::frame::response::result::{CollectionType, ColumnType};
    match typ {
        ColumnType::Collection { typ: CollectionType::Map(_, value), .. } => value,
        ColumnType::Collection { typ: CollectionType::Set(item) | CollectionType::List(item), .. } => item,
        other => other,
    }
}

/// The type of a field of a user-defined type.
pub(crate) fn field_type(typ: &CqlType, field: usize) -> &CqlType {
    use scylla_cql::frame::response::result::ColumnType;
    match typ {
        ColumnType::UserDefinedType { definition, .. } => {
            definition.field_types.get(field).map_or(typ, |(_, typ)| typ)
        }
        other => other,
    }
}
