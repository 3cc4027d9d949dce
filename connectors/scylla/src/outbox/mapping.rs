//! The configured columns against those of the table: what is selected, and what each value becomes.

use std::sync::Arc;

use weir_sdk::HeaderName;
use weir_sdk::config::{Problem, child, name_help};

use super::config::{OutboxConfig, Preset};
use super::text::Form;
use crate::reader::table::Table;
use crate::session::schema::quote;

/// What is selected from the log beside the key columns, in this order.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// The columns.
    pub columns: Vec<Mapped>,
}

/// One column.
#[derive(Clone, Debug)]
pub struct Mapped {
    /// Its name.
    pub column: String,
    /// What it becomes.
    pub role: Role,
    /// How its value is written.
    pub form: Form,
    /// Without it a row is no event.
    pub required: bool,
}

/// What a column becomes.
#[derive(Clone, Debug)]
pub enum Role {
    /// The record's key, and this header.
    Key(HeaderName),
    /// Its place among events of the same time; no part of the record.
    Rank,
    /// The record's value.
    Value,
    /// This header.
    Header(HeaderName),
}

impl Mapping {
    /// Finds the configured columns in the table.
    ///
    /// # Errors
    /// Every column that is missing or of a type that has no short text, with the CQL that repairs it.
    pub fn find(config: &OutboxConfig, table: &Table) -> Result<Self, Vec<Problem>> {
        let (mut columns, mut problems) = (Vec::new(), Vec::new());
        for Wanted { field, given, usual, cql, need } in wanted(config) {
            let Some(column) = given.or(usual) else { continue };
            if given.is_none() && need == Need::Optional && table.column(column).is_none() {
                continue;
            }
            let pointer = format!("/columns/{field}");
            let role = match field {
                "aggregate_id" => Role::Key(field.into()),
                "payload" => Role::Value,
                _ => Role::Header(field.into()),
            };
            match form(table, column, cql, &role) {
                Ok(form) => {
                    let required = need == Need::Required;
                    columns.push(Mapped { column: column.to_owned(), role, form, required });
                }
                Err(problem) => problems.push(Problem { pointer, ..problem }),
            }
        }
        for (header, column) in &config.headers {
            let role = Role::Header(header.clone().into());
            match form(table, column, "text", &role) {
                Ok(form) => columns.push(Mapped { column: column.clone(), role, form, required: false }),
                Err(problem) => problems.push(Problem { pointer: child("/headers", header), ..problem }),
            }
        }
        if config.order_by_key {
            match rank(config, table) {
                Ok(rank) => columns.extend(rank),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(Self { columns }) } else { Err(problems) }
    }

    /// The column of the record's key.
    pub fn key(&self) -> Option<&str> {
        let key = self.columns.iter().find(|mapped| matches!(mapped.role, Role::Key(_)));
        key.map(|mapped| mapped.column.as_str())
    }

    /// The names of the headers, in the order of their columns, and `more` behind them.
    pub fn headers(&self, more: &[&'static str]) -> Arc<[HeaderName]> {
        let names = self.columns.iter().filter_map(|mapped| match &mapped.role {
            Role::Key(name) | Role::Header(name) => Some(name.clone()),
            Role::Rank | Role::Value => None,
        });
        names.chain(more.iter().map(|name| HeaderName::from(*name))).collect()
    }

    /// What is selected beside the key columns: `, "a", "b"`.
    pub fn selected(&self) -> String {
        self.columns.iter().map(|mapped| format!(", {}", quote(&mapped.column))).collect()
    }
}

/// A column that an event may have.
struct Wanted<'a> {
    field: &'static str,
    given: Option<&'a str>,
    /// Its name where none is given; `None` where it is then left out.
    usual: Option<&'static str>,
    cql: &'static str,
    need: Need,
}

fn wanted(config: &OutboxConfig) -> [Wanted<'_>; 11] {
    let names = &config.columns;
    let mut columns = [
        column("event_id", &names.event_id, "uuid", Need::Required),
        column("event_type", &names.event_type, "text", Need::Required),
        column("event_version", &names.event_version, "int", Need::Optional),
        column("aggregate_id", &names.aggregate_id, "uuid", Need::Required),
        column("aggregate_type", &names.aggregate_type, "text", Need::Optional),
        column("sequence_number", &names.sequence_number, "bigint", Need::Optional),
        column("correlation_id", &names.correlation_id, "uuid", Need::Optional),
        column("causation_id", &names.causation_id, "uuid", Need::Optional),
        column("created_at", &names.created_at, "timestamp", Need::Optional),
        column("traceparent", &names.traceparent, "text", Need::Optional),
        column("payload", &names.payload, "text", Need::Required),
    ];
    for column in &mut columns {
        match (config.preset, column.field) {
            (Preset::Weir, "aggregate_type") => column.usual = None,
            (Preset::Debezium, "event_id") => column.usual = Some("id"),
            (Preset::Debezium, "event_type") => column.usual = Some("type"),
            (Preset::Debezium, "aggregate_id") => column.usual = Some("aggregateid"),
            (Preset::Debezium, "aggregate_type") => {
                (column.usual, column.need) = (Some("aggregatetype"), Need::Required);
            }
            (Preset::Weir | Preset::Debezium, _) => {}
        }
    }
    columns
}

fn column<'a>(field: &'static str, given: &'a Option<String>, cql: &'static str, need: Need) -> Wanted<'a> {
    Wanted { field, given: given.as_deref(), usual: Some(field), cql, need }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Required,
    Optional,
}

/// The column that orders events of the same time: the one that is named, or `sequence_number` if there is one.
fn rank(config: &OutboxConfig, table: &Table) -> Result<Option<Mapped>, Problem> {
    let usual = config.columns.sequence_number.as_deref().unwrap_or("sequence_number");
    let column = match &config.order_column {
        Some(column) => column.as_str(),
        None if table.column(usual).is_some() => usual,
        None => return Ok(None),
    };
    let at = |problem| Problem { pointer: "/order_column".into(), ..problem };
    let form = form(table, column, "bigint", &Role::Rank).map_err(at)?;
    let cql = table.column(column).unwrap_or_default();
    if !matches!(cql, "tinyint" | "smallint" | "int" | "bigint" | "timestamp" | "timeuuid") {
        return Err(at(unfit(table, column, cql, "a whole number, a timestamp or a timeuuid")));
    }
    Ok(Some(Mapped { column: column.to_owned(), role: Role::Rank, form, required: false }))
}

fn form(table: &Table, column: &str, usual: &str, role: &Role) -> Result<Form, Problem> {
    let Some(cql) = table.column(column) else {
        let message = format!("the table {} has no column `{column}`", table.quoted());
        let add = format!("ALTER TABLE {} ADD {} {usual};", table.quoted(), quote(column));
        let known: Vec<&str> = table.columns().collect();
        let help = format!("{}, or add it: {add}", name_help(column, &known, "its columns are"));
        return Err(Problem::new("", message).help(help));
    };
    match (role, Form::of(cql)) {
        (Role::Value, Some(Form::Raw)) | (Role::Key(_) | Role::Header(_), Some(_)) => {
            Ok(Form::of(cql).unwrap_or(Form::Raw))
        }
        (Role::Value, _) => Err(unfit(table, column, cql, "text, ascii or blob")),
        (Role::Rank, form) => Ok(form.unwrap_or(Form::Raw)),
        (_, None) => {
            Err(unfit(table, column, cql, "text, a number, a uuid, a boolean, a timestamp or a blob"))
        }
    }
}

fn unfit(table: &Table, column: &str, cql: &str, fit: &str) -> Problem {
    let message = format!("the column `{column}` is of type `{cql}`, expected {fit}");
    let add = format!("ALTER TABLE {} ADD {} text;", table.quoted(), quote(&format!("{column}_text")));
    Problem::new("", message).help(format!("name another column, or add one: {add}"))
}
