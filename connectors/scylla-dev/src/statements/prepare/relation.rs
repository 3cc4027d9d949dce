//! Which partitions, which rows and which tests the relations of a WHERE ask for.
use scylla_cql::frame::response::result::{CollectionType, ColumnType, NativeType};

use super::ast::{Left, Operator, Relation, Right};
use super::condition::test;
use super::{Context, Receiver, column};
use crate::error::DbError;
use crate::execute::plan::{BoundValues, Choice, Clustering, Edge, Filter, FilterLeft, Partitions, Prefix};
use crate::execute::term::Term;
use crate::schema::{ColumnKind, Table};
use crate::value::{CqlType, types};

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

fn needs_filtering() -> DbError {
    DbError::invalid(
        "Cannot execute this query as it might involve data filtering and thus may have unpredictable performance. \
         If you want to execute this query despite the performance unpredictability, use ALLOW FILTERING",
    )
}

/// One relation with its values resolved.
struct Resolved {
    columns: Vec<usize>,
    left: FilterLeft,
    operator: Operator,
    right: Choice,
    is_tuple: bool,
    used: bool,
}

impl Context<'_> {
    pub(super) fn restrictions(
        &mut self,
        table: &Table,
        relations: &[Relation],
    ) -> Result<Restrictions, DbError> {
        let mut tokens = (None, None);
        let mut resolved = Vec::with_capacity(relations.len());
        for relation in relations {
            match &relation.left {
                Left::Token(columns) => self.token_bound(table, columns, relation, &mut tokens)?,
                _ => resolved.push(self.resolve(table, relation)?),
            }
        }
        let mut analysis = Analysis { table, relations: resolved, filtering: None };
        let keys = analysis.partition_keys()?;
        let by_token = tokens.0.is_some() || tokens.1.is_some();
        let partitions = match keys {
            Some(keys) if !by_token => Partitions::Keys(keys),
            _ => Partitions::Tokens { lower: tokens.0, upper: tokens.1 },
        };
        let (clustering, fixed) = analysis.clustering(&partitions)?;
        let (filters, filtered) = analysis.filters();
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
                let (left, name, typ) = self.inner_left(table, &relation.left)?;
                (Vec::new(), left, name, typ)
            }
        };
        let is_tuple = matches!(left, FilterLeft::Columns(_));
        if types::is_multi_cell(&typ) {
            let kind = types::name(&typ);
            return Err(DbError::invalid(format!(
                "Collection column '{name}' ({kind}) cannot be restricted by a '{}' relation",
                sign(operator)
            )));
        }
        if operator == Operator::Ne {
            return Err(DbError::invalid(format!("Unsupported \"!=\" relation: {name} != …")));
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
            (Right::One(term), Operator::In) => {
                let inner = name.strip_prefix('(').and_then(|name| name.strip_suffix(')')).unwrap_or(name);
                let element = Box::new(types::frozen(typ));
                let list = ColumnType::Collection { frozen: false, typ: CollectionType::List(element) };
                let receiver = Receiver::new(table, format!("in({inner})"), list);
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
        bounds: &mut (Option<(Term, Edge)>, Option<(Term, Edge)>),
    ) -> Result<(), DbError> {
        let key: Vec<&str> = table.partition_key_columns().iter().map(|column| &*column.name).collect();
        if *columns != key {
            for name in columns {
                column(table, name)?;
            }
            return Err(DbError::invalid(format!(
                "The token() function must be applied to all partition key components in their order: {}",
                key.join(", ")
            )));
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
            Operator::Ne | Operator::In => {
                return Err(DbError::invalid("Only =, <, <=, > and >= can be used with the token function"));
            }
        };
        for (edge, bound, which) in [(lower, &mut bounds.0, "start"), (upper, &mut bounds.1, "end")] {
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

/// Takes relations away as it finds a use for them; what is left over becomes filters.
struct Analysis<'t> {
    table: &'t Table,
    relations: Vec<Resolved>,
    filtering: Option<DbError>,
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

    fn partition_keys(&mut self) -> Result<Option<Vec<Choice>>, DbError> {
        let mut found = Vec::new();
        let mut restricted = false;
        for column in 0..self.table.partition_columns {
            restricted |= !self.of_column(column).is_empty();
            match self.equality(column)? {
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

    fn clustering(&mut self, partitions: &Partitions) -> Result<(Clustering, usize), DbError> {
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
    fn filters(&mut self) -> (Vec<Filter>, Vec<String>) {
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

fn sign(operator: Operator) -> &'static str {
    match operator {
        Operator::Eq => "=",
        Operator::Ne => "!=",
        Operator::Lt => "<",
        Operator::Le => "<=",
        Operator::Gt => ">",
        Operator::Ge => ">=",
        Operator::In => "IN",
    }
}
