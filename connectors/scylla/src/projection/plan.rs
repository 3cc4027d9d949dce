//! The block against the table: the statements of each type of event, or every problem at once.

use std::collections::BTreeMap;

use weir_sdk::config::{Problem, child, name_help};
use weir_sdk::json::Lookup;

use super::config::{Change, ProjectionConfig};
use super::expression::Expression;
use super::table::Table;
use crate::session::schema::quote;

/// What a type of event does.
#[derive(Debug, Default)]
pub struct Plan {
    /// Finds the places in its payload that the statements use.
    pub lookup: Lookup,
    /// One, or two where a row moves.
    pub statements: Vec<Planned>,
}

/// A statement and what is bound to it.
#[derive(Debug)]
pub struct Planned {
    /// CQL.
    pub text: String,
    /// In the order of its markers.
    pub binds: Vec<Bind>,
}

/// What is bound to a marker.
#[derive(Debug)]
pub enum Bind {
    /// The time of the write: that of the event, less so many microseconds.
    Time(i64),
    /// The value of a column.
    Column(Cell),
}

/// Where the value of a column comes from.
#[derive(Debug)]
pub struct Cell {
    /// The column.
    pub column: String,
    /// It is part of the primary key, so there must be a value.
    pub is_key: bool,
    /// As it is written.
    pub expression: Expression,
    /// Its number in the look-up; of a path only.
    pub number: usize,
    /// Where it is written.
    pub pointer: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Delete,
    Upsert,
    Update,
}

type Columns = BTreeMap<String, Expression>;

/// The plan of each type of event.
///
/// # Errors
/// Every problem with a place in the block.
pub fn plans(config: &ProjectionConfig, table: &Table) -> Result<Vec<(String, Plan)>, Vec<Problem>> {
    let mut problems: Vec<_> = unknown(&config.columns, table, "/columns").collect();
    let mut plans = Vec::new();
    for (name, change) in &config.events {
        let mut plan = Plan::default();
        for (verb, own, pointer) in parts(change, &child("/events", name)) {
            problems.extend(unknown(own, table, &pointer));
            let part = Part { verb, own, pointer, config, table };
            match part.checked() {
                Ok(()) => plan.statements.push(part.planned(&mut plan.lookup)),
                Err(problem) => problems.push(problem),
            }
        }
        plans.push((name.clone(), plan));
    }
    if problems.is_empty() { Ok(plans) } else { Err(problems) }
}

fn parts<'c>(change: &'c Change, at: &str) -> impl Iterator<Item = (Verb, &'c Columns, String)> {
    let part = |verb, columns: &'c Option<Columns>, key| Some((verb, columns.as_ref()?, child(at, key)));
    let parts = [
        part(Verb::Delete, &change.delete, "delete"),
        part(Verb::Upsert, &change.upsert, "upsert"),
        part(Verb::Update, &change.update, "update"),
    ];
    parts.into_iter().flatten()
}

/// Columns that the table does not have, or that no event can set.
fn unknown(columns: &Columns, table: &Table, at: &str) -> impl Iterator<Item = Problem> {
    columns.keys().filter_map(move |name| match table.columns.get(name) {
        None => {
            let known: Vec<_> = table.columns.keys().map(String::as_str).collect();
            let help = name_help(name, &known, "its columns are");
            let message = format!("{} has no column `{name}`", table.name);
            Some(Problem::at_key(child(at, name), message).help(help))
        }
        Some(column) => {
            let (message, help) = does_not_converge(&column.of_type)?;
            Some(Problem::at_key(child(at, name), message).help(help))
        }
    })
}

/// Why repeated events would change a column of this type again, and what to do.
fn does_not_converge(of_type: &str) -> Option<(&'static str, &'static str)> {
    if of_type == "counter" {
        let message = "a counter adds up, so a repeated event would count twice";
        return Some((message, "keep the number itself in the event"));
    }
    // Its items are stored under the time at which the server got them, whatever time the write carries.
    of_type.starts_with("list<").then_some((
        "a list that is not frozen would have the items of a repeated event twice",
        "make it a `frozen<list<…>>`, or a set or map",
    ))
}

/// One of the parts of an event.
struct Part<'a> {
    verb: Verb,
    own: &'a Columns,
    pointer: String,
    config: &'a ProjectionConfig,
    table: &'a Table,
}

impl Part<'_> {
    /// What is wrong with the part as a whole.
    fn checked(&self) -> Result<(), Problem> {
        let cells = self.cells();
        let mut keys = self.table.columns.iter().filter(|(_, column)| column.is_key).map(|(name, _)| name);
        if let Some(absent) = keys.find(|key| cells.iter().all(|cell| cell.column != **key)) {
            let message = format!("nothing says what `{absent}` is, a part of the primary key");
            return Err(Problem::at_key(&self.pointer, message)
                .help("add it here, or to `columns:` where it is the same for every event"));
        }
        let is_key = |name: &String| self.table.columns.get(name).is_none_or(|column| column.is_key);
        match self.verb {
            Verb::Delete => match self.own.keys().find(|name| !is_key(name)) {
                Some(name) => {
                    let message = format!("a delete takes the whole row, and `{name}` is no part of its key");
                    Err(Problem::at_key(child(&self.pointer, name), message)
                        .help("to empty columns only, `update` them from a field that is null"))
                }
                None => Ok(()),
            },
            Verb::Update if cells.iter().all(|cell| cell.is_key) => {
                Err(Problem::at_key(&self.pointer, "this changes nothing but the key")
                    .help("set at least one other column, or write `upsert`"))
            }
            Verb::Update | Verb::Upsert => Ok(()),
        }
    }

    /// Every column it names, its own and the shared ones, the key last.
    fn cells(&self) -> Vec<Cell> {
        let shared = self.config.columns.iter().filter(|(name, _)| !self.own.contains_key(*name));
        let shared = shared.map(|(name, expression)| (name, expression, "/columns"));
        let own = self.own.iter().map(|(name, expression)| (name, expression, self.pointer.as_str()));
        let cell = |(name, expression, at): (&String, &Expression, &str)| Cell {
            column: name.clone(),
            is_key: self.table.columns.get(name).is_some_and(|column| column.is_key),
            expression: expression.clone(),
            number: 0,
            pointer: child(at, name),
        };
        let mut cells: Vec<_> = shared.chain(own).map(cell).collect();
        cells.retain(|cell| cell.is_key || self.verb != Verb::Delete);
        cells.sort_by_key(|cell| cell.is_key);
        cells
    }

    fn planned(&self, lookup: &mut Lookup) -> Planned {
        let mut cells = self.cells();
        for cell in &mut cells {
            if let Expression::Path(path) = &cell.expression {
                cell.number = lookup.add(path);
            }
        }
        let each = |cells: &[Cell], after: &str, between: &str| {
            let names = cells.iter().map(|cell| format!("{}{after}", quote(&cell.column)));
            names.collect::<Vec<_>>().join(between)
        };
        let (set, key) = cells.split_at(cells.partition_point(|cell| !cell.is_key));
        let (name, key) = (&self.table.name, each(key, " = ?", " AND "));
        let using = match self.config.ttl {
            Some(ttl) if self.verb != Verb::Delete => {
                format!("USING TIMESTAMP ? AND TTL {}", ttl.get().as_secs())
            }
            _ => "USING TIMESTAMP ?".to_owned(),
        };
        let text = match self.verb {
            Verb::Delete => format!("DELETE FROM {name} {using} WHERE {key}"),
            Verb::Update => format!("UPDATE {name} {using} SET {} WHERE {key}", each(set, " = ?", ", ")),
            Verb::Upsert => {
                let marks = vec!["?"; cells.len()].join(", ");
                format!("INSERT INTO {name} ({}) VALUES ({marks}) {using}", each(&cells, "", ", "))
            }
        };
        let mut binds: Vec<_> = cells.into_iter().map(Bind::Column).collect();
        match self.verb {
            // Before the event, so that a row which the event writes in the same place stays.
            Verb::Delete => binds.insert(0, Bind::Time(1)),
            Verb::Update => binds.insert(0, Bind::Time(0)),
            Verb::Upsert => binds.push(Bind::Time(0)),
        }
        Planned { text, binds }
    }
}

#[cfg(test)]
mod tests;
