//! INSERT, UPDATE, DELETE and text batches.
use super::super::ast::{
    Assignment, Batch, BatchKind, Change, Delete, DeleteTarget, Insert, Statement, Update,
};
use super::{Kind, ParseError, Parser};

/// What USING may say of a write.
const WRITE: [&str; 3] = ["timestamp", "ttl", "timeout"];

impl Parser<'_> {
    pub(super) fn modification(&mut self) -> Result<Statement, ParseError> {
        if self.word("insert") {
            self.insert()
        } else if self.word("update") {
            self.update()
        } else if self.word("delete") {
            self.delete()
        } else {
            Err(self.unexpected())
        }
    }

    fn insert(&mut self) -> Result<Statement, ParseError> {
        self.expect_word("into")?;
        let table = self.table_name()?;
        if self.word("json") {
            return Err(ParseError::unsupported("INSERT JSON"));
        }
        let columns = self.names()?;
        self.expect_word("values")?;
        self.expect("(")?;
        let values = self.list_until(")", Self::term)?;
        let if_not_exists = self.if_not_exists();
        Ok(Statement::Insert(Insert { table, columns, values, if_not_exists, using: self.using(&WRITE)? }))
    }

    fn update(&mut self) -> Result<Statement, ParseError> {
        let table = self.table_name()?;
        let using = self.using(&WRITE)?;
        self.expect_word("set")?;
        let assignments = self.list(Self::assignment)?;
        self.expect_word("where")?;
        let filter = self.relations()?;
        Ok(Statement::Update(Update { table, using, assignments, filter, condition: self.condition()? }))
    }

    fn assignment(&mut self) -> Result<Assignment, ParseError> {
        let column = self.name()?;
        let change = if self.accept("[") {
            self.element_change()?
        } else if self.accept(".") {
            let field = self.name()?;
            self.expect("=")?;
            Change::Field { field, value: self.term()? }
        } else if self.accept("+=") {
            Change::Append(self.term()?)
        } else if self.accept("-=") {
            Change::Remove(self.term()?)
        } else {
            self.expect("=")?;
            self.new_value(&column)?
        };
        Ok(Assignment { column, change })
    }

    /// What follows `column[`.
    fn element_change(&mut self) -> Result<Change, ParseError> {
        let list_cell = self.word("scylla_timeuuid_list_index");
        if list_cell {
            self.expect("(")?;
        }
        let key = self.term()?;
        if list_cell {
            self.expect(")")?;
        }
        self.expect("]")?;
        self.expect("=")?;
        let value = self.term()?;
        Ok(if list_cell { Change::ListCell { id: key, value } } else { Change::Element { key, value } })
    }

    /// `v`, `column + v`, `column - v` or `v + column`.
    fn new_value(&mut self, column: &str) -> Result<Change, ParseError> {
        let sum = self.is_symbol_at(1, "+") || self.is_symbol_at(1, "-");
        if sum && matches!(self.peek(), Kind::Word(_) | Kind::Quoted(_)) {
            self.same_column(column)?;
            if self.accept("+") {
                return Ok(Change::Append(self.term()?));
            }
            self.expect("-")?;
            return Ok(Change::Remove(self.term()?));
        }
        let value = self.term()?;
        if self.accept("+") {
            self.same_column(column)?;
            return Ok(Change::Prepend(value));
        }
        Ok(Change::Set(value))
    }

    fn same_column(&mut self, column: &str) -> Result<(), ParseError> {
        let other = self.name()?;
        if other == column {
            return Ok(());
        }
        Err(self.fail("Only expressions of the form X = X <op> Y are supported."))
    }

    fn delete(&mut self) -> Result<Statement, ParseError> {
        let targets = if self.is_word("from") { Vec::new() } else { self.list(Self::delete_target)? };
        self.expect_word("from")?;
        let table = self.table_name()?;
        let using = self.using(&["timestamp", "timeout"])?;
        self.expect_word("where")?;
        let filter = self.relations()?;
        Ok(Statement::Delete(Delete { targets, table, using, filter, condition: self.condition()? }))
    }

    fn delete_target(&mut self) -> Result<DeleteTarget, ParseError> {
        let column = self.name()?;
        if self.accept("[") {
            let key = self.term()?;
            self.expect("]")?;
            return Ok(DeleteTarget::Element(column, key));
        }
        if self.accept(".") {
            return Ok(DeleteTarget::Field(column, self.name()?));
        }
        Ok(DeleteTarget::Column(column))
    }

    pub(super) fn batch(&mut self) -> Result<Statement, ParseError> {
        self.expect_word("begin")?;
        if self.is_word("counter") {
            return Err(ParseError::unsupported("COUNTER BATCH"));
        }
        let kind = if self.word("unlogged") { BatchKind::Unlogged } else { BatchKind::Logged };
        self.expect_word("batch")?;
        let using = self.using(&WRITE)?;
        let mut statements = Vec::new();
        while !self.word("apply") {
            statements.push(self.modification()?);
            self.accept(";");
        }
        self.expect_word("batch")?;
        Ok(Statement::Batch(Batch { kind, using, statements }))
    }
}
