//! Finds a use for every relation: keys first, then ranges of rows, and filters for what is left over.
use super::super::ast::Operator;
use super::super::condition::test;
use crate::error::DbError;
use crate::execute::plan::{BoundValues, Choice, Clustering, Edge, Filter, FilterLeft, Partitions, Prefix};
use crate::schema::Table;

/// One relation with its values resolved.
pub(super) struct Resolved {
    pub(super) columns: Vec<usize>,
    pub(super) left: FilterLeft,
    pub(super) operator: Operator,
    pub(super) right: Choice,
    pub(super) is_tuple: bool,
    pub(super) used: bool,
}

/// Takes relations away as it finds a use for them; what is left over becomes filters.
pub(super) struct Analysis<'t> {
    pub(super) table: &'t Table,
    pub(super) relations: Vec<Resolved>,
    pub(super) filtering: Option<DbError>,
}

impl Analysis<'_> {
    fn name(&self, column: usize) -> &str {
        &self.table.columns[column].name
    }

    /// The relations of this column alone that are not used yet.
    fn of_column(&self, column: usize) -> Vec<usize> {
        let wanted =
            |relation: &Resolved| !relation.used && !relation.is_tuple && relation.columns == [column];
        (0..self.relations.len()).filter(|at| wanted(&self.relations[*at])).collect()
    }

    fn take(&mut self, at: usize) -> Choice {
        self.relations[at].used = true;
        self.relations[at].right.clone()
    }

    /// `=` or IN of this column, if that is all that is said of it.
    fn equality(&self, column: usize) -> Result<Option<usize>, DbError> {
        let all = self.of_column(column);
        let is_equality = |at: &&usize| matches!(self.relations[**at].operator, Operator::Eq | Operator::In);
        match (all.iter().find(is_equality), all.len()) {
            (Some(at), 1) => Ok(Some(*at)),
            (Some(_), _) => Err(DbError::invalid(format!(
                "{} cannot be restricted by more than one relation if it includes an Equal",
                self.name(column)
            ))),
            (None, _) => Ok(None),
        }
    }

    pub(super) fn partition_keys(&mut self) -> Result<Option<Vec<Choice>>, DbError> {
        let mut found = Vec::new();
        let mut restricted = false;
        for column in 0..self.table.partition_columns {
            restricted |= !self.of_column(column).is_empty();
            match self.equality(column)? {
                Some(at) => found.push(at),
                None if !self.of_column(column).is_empty() => {
                    self.filtering = Some(DbError::invalid(
                        "Only EQ and IN relation are supported on the partition key (unless you use the token() \
                         function or ALLOW FILTERING)",
                    ));
                }
                None => {}
            }
        }
        if found.len() == self.table.partition_columns {
            return Ok(Some(found.into_iter().map(|at| self.take(at)).collect()));
        }
        if restricted {
            self.filtering.get_or_insert_with(needs_filtering);
        }
        Ok(None)
    }

    pub(super) fn clustering(&mut self, partitions: &Partitions) -> Result<(Clustering, usize), DbError> {
        let mut clustering = Clustering::default();
        let start = self.table.partition_columns;
        let end = start + self.table.clustering_columns;
        let mut at = start;
        while at < end {
            let tuple = self.relations.iter().position(|relation| {
                !relation.used && relation.is_tuple && relation.columns.first() == Some(&at)
            });
            if let Some(relation) = tuple {
                if !self.of_column(at).is_empty() {
                    return Err(DbError::invalid(
                        "Mixing single column relations and multi column relations on clustering columns is not allowed",
                    ));
                }
                let width = self.relations[relation].columns.len();
                if !matches!(self.relations[relation].operator, Operator::Eq | Operator::In) {
                    self.tuple_bounds(at, &mut clustering)?;
                    break;
                }
                clustering.prefix.push(Prefix::Columns(width, self.take(relation)));
                at += width;
                continue;
            }
            match self.equality(at)? {
                Some(relation) => clustering.prefix.push(Prefix::Column(self.take(relation))),
                None => {
                    self.bounds(at, &mut clustering)?;
                    break;
                }
            }
            at += 1;
        }
        self.check_rest(start..end, at.min(end), &clustering);
        let apart = |relation: &Resolved| {
            relation.is_tuple && !relation.used && relation.columns.first() != Some(&at)
        };
        if self.relations.iter().any(apart) {
            self.filtering.get_or_insert_with(needs_filtering);
        }
        let restricted =
            !clustering.prefix.is_empty() || clustering.lower.is_some() || clustering.upper.is_some();
        if restricted && matches!(partitions, Partitions::Tokens { .. }) {
            self.filtering.get_or_insert_with(needs_filtering);
        }
        Ok((clustering, at.min(end) - start))
    }

    fn bounds(&mut self, column: usize, clustering: &mut Clustering) -> Result<(), DbError> {
        for at in self.of_column(column) {
            let Choice::One(term) = self.take(at) else { continue };
            let name = self.name(column).to_owned();
            set_bound(clustering, self.relations[at].operator, BoundValues::Column(term), &name)?;
        }
        Ok(())
    }

    /// Ranges of tuples; where the columns sort in different directions no range of rows is one of tuples.
    fn tuple_bounds(&mut self, first: usize, clustering: &mut Clustering) -> Result<(), DbError> {
        for at in 0..self.relations.len() {
            let relation = &self.relations[at];
            if relation.used || !relation.is_tuple || relation.columns.first() != Some(&first) {
                continue;
            }
            let direction = |column: &usize| self.table.columns[*column].direction;
            let same = relation.columns.iter().all(|column| direction(column) == direction(&first));
            let operator = relation.operator;
            if same && let Choice::One(term) = self.take(at) {
                set_bound(clustering, operator, BoundValues::Columns(term), "a multi-column relation")?;
            }
        }
        Ok(())
    }

    /// Clustering columns that no range answers because of a gap before them.
    fn check_rest(&mut self, columns: std::ops::Range<usize>, from: usize, clustering: &Clustering) {
        for column in columns {
            if self.of_column(column).is_empty() || column < from {
                continue;
            }
            let before = self.name(from);
            let ranged = clustering.lower.is_some() || clustering.upper.is_some();
            let name = self.name(column);
            let message = if ranged {
                format!(
                    "Clustering column \"{name}\" cannot be restricted (preceding column \"{before}\" is restricted \
                     by a non-EQ relation)"
                )
            } else {
                format!(
                    "PRIMARY KEY column \"{name}\" cannot be restricted as preceding column \"{before}\" is not restricted"
                )
            };
            self.filtering.get_or_insert_with(|| DbError::invalid(message));
        }
    }

    /// What no key answers.
    pub(super) fn filters(&mut self) -> (Vec<Filter>, Vec<String>) {
        let table = self.table;
        let mut names = Vec::new();
        let mut filters = Vec::new();
        for relation in self.relations.drain(..).filter(|relation| !relation.used) {
            let column = match &relation.left {
                FilterLeft::Column(column)
                | FilterLeft::Element(column, _)
                | FilterLeft::Field(column, _) => Some(*column),
                FilterLeft::Columns(_) => None,
            };
            if let Some(column) = column {
                names.push(table.columns[column].name.to_string());
                self.filtering.get_or_insert_with(needs_filtering);
            }
            let operator = test(relation.operator);
            filters.push(Filter { left: relation.left, operator, right: relation.right });
        }
        (filters, names)
    }
}

fn set_bound(
    clustering: &mut Clustering,
    operator: Operator,
    values: BoundValues,
    name: &str,
) -> Result<(), DbError> {
    let (bound, edge, which) = match operator {
        Operator::Gt => (&mut clustering.lower, Edge::Excluded, "start"),
        Operator::Ge => (&mut clustering.lower, Edge::Included, "start"),
        Operator::Lt => (&mut clustering.upper, Edge::Excluded, "end"),
        _ => (&mut clustering.upper, Edge::Included, "end"),
    };
    if bound.replace((values, edge)).is_some() {
        let message = format!("More than one restriction was found for the {which} bound on {name}");
        return Err(DbError::invalid(message));
    }
    Ok(())
}

fn needs_filtering() -> DbError {
    DbError::invalid(
        "Cannot execute this query as it might involve data filtering and thus may have unpredictable performance. \
         If you want to execute this query despite the performance unpredictability, use ALLOW FILTERING",
    )
}
