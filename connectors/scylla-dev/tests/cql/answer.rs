//! Runs a statement with the driver and writes down what comes back.
use std::ops::ControlFlow;

use scylla::client::session::Session;
use scylla::deserialize::row::ColumnIterator;
use scylla::errors::{ExecutionError, PrepareError, RequestAttemptError};
use scylla::frame::response::result::{ColumnSpec, ColumnType, NativeType};
use scylla::response::query_result::QueryResult;
use scylla::response::{PagingState, PagingStateResponse};
use scylla::serialize::SerializationError;
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::writers::RowWriter;
use scylla::statement::Statement;

use crate::script::Step;
use crate::show;

/// The lines of the answer.
pub(crate) async fn of(session: &Session, step: &Step) -> Vec<String> {
    let mut lines = Vec::new();
    let done = if step.directive("prepare").is_some() {
        prepare(session, step, &mut lines).await
    } else {
        run(session, step, &mut lines).await
    };
    if let Err(refusal) = done {
        lines.push(format!("--! {refusal}"));
    }
    lines
}

async fn run(session: &Session, step: &Step, lines: &mut Vec<String>) -> Result<(), String> {
    let values = Values(step.directive("bind").map_or_else(Vec::new, literals));
    let Some(size) = step.directive("page") else {
        let result = session.query_unpaged(step.statement.as_str(), values).await.map_err(refusal)?;
        rows(&result, lines);
        return Ok(());
    };
    let statement = Statement::new(&step.statement).with_page_size(size.parse().unwrap());
    let mut state = PagingState::start();
    loop {
        let page = session.query_single_page(statement.clone(), &values, state).await;
        let (result, next): (QueryResult, PagingStateResponse) = page.map_err(refusal)?;
        rows(&result, lines);
        match next.into_paging_control_flow() {
            ControlFlow::Break(()) => return Ok(()),
            ControlFlow::Continue(next) => state = next,
        }
    }
}

fn rows(result: &QueryResult, lines: &mut Vec<String>) {
    lines.extend(result.warnings().map(|warning| format!("--~ {warning}")));
    if !result.is_rows() {
        return;
    }
    let result = result.clone().into_rows_result().unwrap();
    lines.push(format!("-- {}", columns(result.column_specs().iter())));
    for row in result.rows::<ColumnIterator<'_, '_>>().unwrap() {
        let values = row.unwrap().map(|column| {
            let column = column.unwrap();
            show::value(column.spec.typ(), column.slice.as_ref().map(|slice| slice.as_slice()))
        });
        lines.push(format!("-- {}", values.collect::<Vec<_>>().join(" | ")));
    }
}

async fn prepare(session: &Session, step: &Step, lines: &mut Vec<String>) -> Result<(), String> {
    let prepared = session.prepare(step.statement.as_str()).await.map_err(|error| match error {
        PrepareError::AllAttemptsFailed { first_attempt } => attempt(&first_attempt),
        other => other.to_string(),
    })?;
    let key: Vec<_> = prepared.get_variable_pk_indexes().iter().map(|key| key.index.to_string()).collect();
    lines.push(format!("-- binds {}", columns(prepared.get_variable_col_specs().iter())));
    lines.push(format!("-- partition key {}", key.join(" ")));
    lines.push(format!("-- gives {}", columns(prepared.get_current_result_set_col_specs().get().iter())));
    Ok(())
}

fn columns<'s>(specs: impl Iterator<Item = &'s ColumnSpec<'s>>) -> String {
    specs.map(|spec| format!("{} {}", spec.name(), show::name(spec.typ()))).collect::<Vec<_>>().join(" | ")
}

fn refusal(error: ExecutionError) -> String {
    match error {
        ExecutionError::LastAttemptError(error) => attempt(&error),
        ExecutionError::PrepareError(PrepareError::AllAttemptsFailed { first_attempt }) => {
            attempt(&first_attempt)
        }
        other => other.to_string(),
    }
}

fn attempt(error: &RequestAttemptError) -> String {
    let RequestAttemptError::DbError(code, message) = error else { return error.to_string() };
    let code = format!("{code:?}");
    let code = code.split([' ', '(']).next().unwrap_or_default();
    format!("{code}: {}", message.replace('\n', "\\n"))
}

/// Values as written in a file; they are serialized by the types that the server tells.
struct Values(Vec<String>);

/// Cuts at commas; texts in files have none.
fn literals(text: &str) -> Vec<String> {
    text.split(',').map(|literal| literal.trim().to_owned()).collect()
}

impl SerializeRow for Values {
    fn serialize(
        &self,
        context: &RowSerializationContext<'_>,
        writer: &mut RowWriter<'_>,
    ) -> Result<(), SerializationError> {
        for (index, literal) in self.0.iter().enumerate() {
            let cell = writer.make_cell_writer();
            let typ = context.columns().get(index).map(ColumnSpec::typ);
            match literal.as_str() {
                "null" => cell.set_null(),
                "unset" => cell.set_unset(),
                literal => cell.set_value(&bytes(typ, literal)).map_err(SerializationError::new)?,
            };
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn bytes(typ: Option<&ColumnType<'_>>, literal: &str) -> Vec<u8> {
    if let Some(text) = literal.strip_prefix('\'') {
        return text.trim_end_matches('\'').as_bytes().to_vec();
    }
    if let Some(digits) = literal.strip_prefix("0x") {
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        return (0..digits.len()).step_by(2).map(byte).collect();
    }
    let number: i64 = literal.parse().unwrap_or_else(|_| panic!("{literal} is no literal of these files"));
    let width = match typ {
        Some(ColumnType::Native(NativeType::TinyInt | NativeType::Boolean)) => 1,
        Some(ColumnType::Native(NativeType::SmallInt)) => 2,
        Some(ColumnType::Native(NativeType::Int)) => 4,
        _ => 8,
    };
    number.to_be_bytes()[8 - width..].to_vec()
}
