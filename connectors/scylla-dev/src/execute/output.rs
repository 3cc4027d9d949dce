//! What a scan makes of its rows: encoded rows, rows to sort, or one row of aggregates.
use bytes::{Bytes, BytesMut};

use super::aggregate::Fold;
use super::plan::{Select, Selector};
use super::row::RowContext;
use super::term::Env;
use crate::error::DbError;
use crate::outcome::RowsBody;

/// Rows as they are collected.
pub(super) struct Output {
    body: RowsBody,
    scratch: Vec<u8>,
    form: Form,
    /// In rows to sort.
    sorted_bytes: usize,
}

enum Form {
    Rows,
    /// Rows with their place, to be sorted.
    Sorted(Vec<(Vec<u8>, BytesMut)>),
    Folded(Fold),
}

impl Output {
    pub(super) fn new(plan: &Select) -> Self {
        let form = if !plan.aggregates.is_empty() {
            Form::Folded(Fold::new(&plan.aggregates))
        } else if plan.sort {
            Form::Sorted(Vec::new())
        } else {
            Form::Rows
        };
        Self { body: RowsBody::default(), scratch: Vec::new(), form, sorted_bytes: 0 }
    }

    /// Takes a row in.
    pub(super) fn add(&mut self, plan: &Select, env: &Env<'_>, row: &RowContext<'_>) -> Result<(), DbError> {
        if let Form::Folded(fold) = &mut self.form {
            return fold.add(&plan.aggregates, env, row);
        }
        self.write(plan, env, row, &[])?;
        if let Form::Sorted(rows) = &mut self.form {
            let place = row.row.map(|row| row.place().to_vec()).unwrap_or_default();
            self.sorted_bytes += self.body.bytes.len();
            rows.push((place, self.body.bytes.split()));
        }
        Ok(())
    }

    /// Bytes of the result so far.
    pub(super) fn bytes(&self) -> usize {
        self.body.bytes.len() + self.sorted_bytes
    }

    /// The result; `limit` is for rows that were sorted, the others are limited already.
    pub(super) fn finish(mut self, plan: &Select, env: &Env<'_>, limit: u32) -> Result<RowsBody, DbError> {
        match std::mem::replace(&mut self.form, Form::Rows) {
            Form::Rows => {}
            Form::Sorted(mut rows) => {
                rows.sort_by(|left, right| left.0.cmp(&right.0));
                if plan.reverse {
                    rows.reverse();
                }
                rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
                self.body.count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
                rows.iter().for_each(|(_, row)| self.body.bytes.extend_from_slice(row));
            }
            Form::Folded(fold) => {
                let results = fold.finish()?;
                let nowhere = RowContext { table: &plan.table, key: &[], token: 0, statics: None, row: None };
                self.write(plan, env, &nowhere, &results)?;
            }
        }
        Ok(self.body)
    }

    fn write(
        &mut self,
        plan: &Select,
        env: &Env<'_>,
        row: &RowContext<'_>,
        aggregates: &[Option<Bytes>],
    ) -> Result<(), DbError> {
        for selector in &plan.selectors {
            match selector {
                Selector::Column(column) => row.put(*column, &mut self.scratch, &mut self.body),
                other => {
                    let value = row.select(other, env, aggregates)?;
                    self.body.put(value.as_deref());
                }
            }
        }
        self.body.end_row();
        Ok(())
    }
}
