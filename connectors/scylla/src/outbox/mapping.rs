//! The configured columns against those of the table: what is selected, and what each value becomes.

use weir_sdk::HeaderName;
use weir_sdk::config::{Problem, child, name_help};

use super::config::OutboxConfig;
use super::text::Form;
use crate::reader::table::{Table, quote};

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
        let names = &config.columns;
        let wanted = [
            ("event_id", &names.event_id, "uuid", Need::Required),
            ("event_type", &names.event_type, "text", Need::Required),
            ("event_version", &names.event_version, "int", Need::Optional),
            ("aggregate_id", &names.aggregate_id, "uuid", Need::Required),
            ("sequence_number", &names.sequence_number, "bigint", Need::Optional),
            ("correlation_id", &names.correlation_id, "uuid", Need::Optional),
            ("causation_id", &names.causation_id, "uuid", Need::Optional),
            ("created_at", &names.created_at, "timestamp", Need::Optional),
            ("traceparent", &names.traceparent, "text", Need::Optional),
            ("payload", &names.payload, "text", Need::Required),
        ];
        let (mut columns, mut problems) = (Vec::new(), Vec::new());
        for (field, given, usual, need) in wanted {
            let column = given.as_deref().unwrap_or(field);
            if given.is_none() && need == Need::Optional && table.column(column).is_none() {
                continue;
            }
            let pointer = format!("/columns/{field}");
            let role = match field {
                "aggregate_id" => Role::Key(field.into()),
                "payload" => Role::Value,
                _ => Role::Header(field.into()),
            };
            match form(table, column, usual, &role) {
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
        if problems.is_empty() { Ok(Self { columns }) } else { Err(problems) }
    }

    /// What is selected beside the key columns: `, "a", "b"`.
    pub fn selected(&self) -> String {
        self.columns.iter().map(|mapped| format!(", {}", quote(&mapped.column))).collect()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Required,
    Optional,
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
