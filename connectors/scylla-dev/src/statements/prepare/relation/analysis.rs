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

    /// `=` or else IN of this column; what more is said of it becomes filters.
    fn equality(&self, column: usize) -> Option<usize> {
        let all = self.of_column(column);
        let find = |operator| all.iter().find(|at| self.relations[**at].operator == operator);
        find(Operator::Eq).or_else(|| find(Operator::In)).copied()
    }

    pub(super) fn partition_keys(&mut self) -> Result<Option<Vec<Choice>>, DbError> {
        let mut found = Vec::new();
        let mut restricted = false;
        for column in 0..self.table.partition_columns {
            restricted |= !self.of_column(column).is_empty();
            match self.equality(column) {
                Some(at) => found.push(at),
                None if !self.of_column(column).is_empty() => {
                    self.filtering = Some(DbError::invalid(
                        "Only EQ and IN relation are supported on the partition key (unless you use the token() \
                         function or allow filtering)",
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
            match self.equality(at) {
                Some(relation) => clustering.prefix.push(Prefix::Column(self.take(relation))),
                None => {
                    self.bounds(at, &mut clustering);
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

    /// The first bound of each side; further ones become filters.
    fn bounds(&mut self, column: usize, clustering: &mut Clustering) {
        for at in self.of_column(column) {
            let Some((bound, edge, _)) = bound_of(clustering, self.relations[at].operator) else { continue };
            if bound.is_none()
                && let Choice::One(term) = self.take(at)
            {
                *bound = Some((BoundValues::Column(term), edge));
            }
        }
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
            let Some((bound, edge, which)) = bound_of(clustering, operator).filter(|_| same) else {
                continue;
            };
            if bound.is_some() {
                let name = self.name(first);
                let message = format!("More than one restriction was found for the {which} bound on {name}");
                return Err(DbError::invalid(message));
            }
            if let Choice::One(term) = self.take(at) {
                *bound = Some((BoundValues::Columns(term), edge));
            }
        }
        Ok(())
    }

    /// Clustering columns that no range answers because of a gap before them.
    fn check_rest(&mut self, columns: std::ops::Range<usize>, from: usize, clustering: &Clustering) {
        for column in columns {
            if self.of_column(column).is_empty() || column <= from {
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
                self.filtering.get_or_insert(unrestricted(name, before));
                continue;
            };
            self.filtering.get_or_insert_with(|| DbError::invalid(message));
        }
    }

    /// What no key answers. More that is said of the first `answered` columns does not have other rows read.
    pub(super) fn filters(&mut self, answered: usize) -> (Vec<Filter>, Vec<String>) {
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
                if column >= answered || !matches!(relation.left, FilterLeft::Column(_)) {
                    self.filtering.get_or_insert_with(needs_filtering);
                }
            }
            let operator = test(relation.operator);
            filters.push(Filter { left: relation.left, operator, right: relation.right });
        }
        (filters, names)
    }
}

type OneBound = Option<(BoundValues, Edge)>;

/// The bound that an operator of order sets, whether it belongs to the range, and what it is called.
fn bound_of(clustering: &mut Clustering, operator: Operator) -> Option<(&mut OneBound, Edge, &'static str)> {
    match operator {
        Operator::Gt => Some((&mut clustering.lower, Edge::Excluded, "start")),
        Operator::Ge => Some((&mut clustering.lower, Edge::Included, "start")),
        Operator::Lt => Some((&mut clustering.upper, Edge::Excluded, "end")),
        Operator::Le => Some((&mut clustering.upper, Edge::Included, "end")),
        Operator::Eq | Operator::Ne | Operator::In | Operator::NotIn => None,
    }
}

pub(in super::super) fn unrestricted(column: &str, before: &str) -> DbError {
    DbError::invalid(format!(
        "PRIMARY KEY column \"{column}\" cannot be restricted as preceding column \"{before}\" is not restricted"
    ))
}

fn needs_filtering() -> DbError {
    DbError::invalid(
        "Cannot execute this query as it might involve data filtering and thus may have unpredictable performance. \
         If you want to execute this query despite the performance unpredictability, use ALLOW FILTERING",
    )
}
