//! SELECT statements with every name resolved: what is selected, from which rows, in which order.
use scylla_cql::frame::response::result::{ColumnSpec, NativeType};

use super::ast;
use super::relation::Restrictions;
use super::{Context, Receiver, owner, without_rows};
use crate::error::DbError;
use crate::execute::plan::{Choice, Partitions, Plan, Prefix, Prepared, Select};
use crate::execute::term::Term;
use crate::schema::{ColumnKind, Table};
use crate::value::order::Direction;

impl Context<'_> {
    pub(super) fn select(&mut self, select: &ast::Select) -> Result<Prepared, DbError> {
        let table = self.table(&select.table)?;
        let selection = self.selection(&table, &select.selection)?;
        let restrictions = self.restrictions(&table, &select.filter)?;
        if let Some(reason) = &restrictions.filtering
            && !select.allow_filtering
        {
            return Err(reason.clone());
        }
        if select.distinct {
            check_distinct(&table, &selection.used, &restrictions)?;
        }
        if select.per_partition_limit.is_some() && (select.distinct || !selection.aggregates.is_empty()) {
            let what = if select.distinct { "SELECT DISTINCT queries" } else { "aggregate queries." };
            return Err(DbError::invalid(format!("PER PARTITION LIMIT is not allowed with {what}")));
        }
        if only_statics(&table, &selection.used) && restricts_rows(&restrictions) {
            return Err(DbError::invalid(
                "Cannot restrict clustering columns when selecting only static columns",
            ));
        }
        let reverse = order(&table, &select.order_by, &restrictions)?;
        let per_partition_limit =
            self.limit(&table, select.per_partition_limit.as_ref(), "[per_partition_limit]")?;
        let limit = self.limit(&table, select.limit.as_ref(), "[limit]")?;
        self.using_timeout(&table, &select.using)?;
        let one_partition =
            |choices: &[Choice]| choices.iter().all(|choice| matches!(choice, Choice::One(_)));
        let sort = match &restrictions.partitions {
            Partitions::Keys(choices) => !select.order_by.is_empty() && !one_partition(choices),
            Partitions::Tokens { .. } => false,
        };
        let columns = selection.columns.into_iter();
        let result = columns.map(|(name, typ)| ColumnSpec::owned(name, typ, owner(&table))).collect();
        let partition_key = key_markers(&restrictions.partitions);
        let plan = Select {
            partitions: restrictions.partitions,
            clustering: restrictions.clustering,
            filters: restrictions.filters,
            reverse,
            distinct: select.distinct,
            limit,
            per_partition_limit,
            selectors: selection.selectors,
            aggregates: selection.aggregates,
            sort,
            table,
        };
        Ok(Prepared { partition_key, result, ..without_rows(Plan::Select(Box::new(plan))) })
    }

    fn limit(
        &mut self,
        table: &Table,
        limit: Option<&ast::Term>,
        name: &str,
    ) -> Result<Option<Term>, DbError> {
        limit.map(|term| self.term(term, &Receiver::native(table, name, NativeType::Int))).transpose()
    }

    /// Notes what USING TIMEOUT says; it is checked when the statement runs.
    pub(super) fn using_timeout(&mut self, table: &Table, using: &ast::Using) -> Result<(), DbError> {
        if let Some(term) = &using.timeout {
            let receiver = Receiver::native(table, "[timeout]", NativeType::Duration);
            self.timeout = Some(self.term(term, &receiver)?);
        }
        Ok(())
    }
}

fn check_distinct(table: &Table, used: &[usize], restrictions: &Restrictions) -> Result<(), DbError> {
    let of_partition = |name: &String| {
        let kind = table.column(name).map(|(_, column)| column.kind);
        matches!(kind, Some(ColumnKind::PartitionKey | ColumnKind::Static))
    };
    if restricts_rows(restrictions) || !restrictions.filtered.iter().all(of_partition) {
        return Err(DbError::invalid(
            "SELECT DISTINCT with WHERE clause only supports restriction by partition key and/or static columns.",
        ));
    }
    let scan = matches!(restrictions.partitions, Partitions::Tokens { .. });
    let missing = (0..table.partition_columns).find(|index| scan && !used.contains(index));
    if let Some(missing) = missing {
        return Err(DbError::invalid(format!(
            "SELECT DISTINCT queries must request all the partition key columns (missing {})",
            table.columns[missing].name
        )));
    }
    let wrong = used
        .iter()
        .map(|index| &table.columns[*index])
        .find(|column| !matches!(column.kind, ColumnKind::PartitionKey | ColumnKind::Static));
    match wrong {
        None => Ok(()),
        Some(column) => Err(DbError::invalid(format!(
            "SELECT DISTINCT queries must only request partition key columns and/or static columns (not {})",
            column.name
        ))),
    }
}

fn only_statics(table: &Table, used: &[usize]) -> bool {
    let kinds = || used.iter().map(|index| table.columns[*index].kind);
    kinds().any(|kind| kind == ColumnKind::Static)
        && kinds().all(|kind| matches!(kind, ColumnKind::Static | ColumnKind::PartitionKey))
}

fn restricts_rows(restrictions: &Restrictions) -> bool {
    let clustering = &restrictions.clustering;
    !clustering.prefix.is_empty() || clustering.lower.is_some() || clustering.upper.is_some()
}

/// Whether ORDER BY asks for the rows backwards.
fn order(table: &Table, order: &[ast::OrderBy], restrictions: &Restrictions) -> Result<bool, DbError> {
    if order.is_empty() {
        return Ok(false);
    }
    if matches!(restrictions.partitions, Partitions::Tokens { .. }) {
        return Err(DbError::invalid(
            "ORDER BY is only supported when the partition key is restricted by an EQ or an IN.",
        ));
    }
    let one_value = restrictions
        .clustering
        .prefix
        .iter()
        .take_while(|part| {
            matches!(part, Prefix::Column(Choice::One(_)) | Prefix::Columns(_, Choice::One(_)))
        })
        .count();
    // Columns with one value only may be left out.
    let mut expected = table.partition_columns;
    let skippable = table.partition_columns + one_value.min(restrictions.fixed);
    let mut reverse = None;
    for part in order {
        let Some((index, _)) = table.column(&part.column) else {
            let message = format!("Order by on unknown column {}", part.column);
            return Err(DbError::invalid(message));
        };
        let definition = &table.columns[index];
        if definition.kind != ColumnKind::Clustering {
            return Err(DbError::invalid(format!(
                "Order by is currently only supported on the clustered columns of the PRIMARY KEY, got {}",
                part.column
            )));
        }
        if index != expected && !(index > expected && index <= skippable) {
            return Err(DbError::invalid(
                "Order by currently only support the ordering of columns following their declared order in the \
                 PRIMARY KEY",
            ));
        }
        expected = index + 1;
        let backwards = part.descending != (definition.direction == Direction::Descending);
        if *reverse.get_or_insert(backwards) != backwards {
            return Err(DbError::invalid("Unsupported order by relation"));
        }
    }
    Ok(reverse.unwrap_or(false))
}

/// The variables that make the partition key, if they alone do.
pub(super) fn key_markers(partitions: &Partitions) -> Vec<u16> {
    let Partitions::Keys(choices) = partitions else { return Vec::new() };
    let marker = |choice: &Choice| match choice {
        Choice::One(term) => term.marker(),
        Choice::Several(_) | Choice::List(_) => None,
    };
    choices.iter().map(marker).collect::<Option<Vec<u16>>>().unwrap_or_default()
}
