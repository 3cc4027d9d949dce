//! SELECT statements, from the selectors to the options behind them.
use super::super::ast::{
    Expression, OrderBy, Select, SelectItem, Statement, TableName, Term, TypeName, Using,
};
use super::{Kind, ParseError, Parser};
use crate::value::types;

impl Parser<'_> {
    pub(super) fn select(&mut self) -> Result<Statement, ParseError> {
        self.expect_word("select")?;
        if self.is_clause("json") {
            return Err(ParseError::unsupported("SELECT JSON"));
        }
        let distinct = self.is_clause("distinct");
        if distinct {
            self.skip();
        }
        let selection = if self.accept("*") { Vec::new() } else { self.list(Self::select_item)? };
        self.expect_word("from")?;
        let mut select = Select {
            distinct,
            selection,
            table: self.table_name()?,
            filter: self.filter()?,
            order_by: Vec::new(),
            per_partition_limit: None,
            limit: None,
            allow_filtering: false,
            using: Using::default(),
        };
        if self.words(&["group", "by"]) {
            return Err(ParseError::unsupported("GROUP BY"));
        }
        if self.words(&["order", "by"]) {
            select.order_by = self.list(Self::order_by)?;
        }
        if self.words(&["per", "partition", "limit"]) {
            select.per_partition_limit = Some(self.number()?);
        }
        if self.word("limit") {
            select.limit = Some(self.number()?);
        }
        select.allow_filtering = self.words(&["allow", "filtering"]);
        self.words(&["bypass", "cache"]);
        select.using = self.using(&["timeout"])?;
        Ok(Statement::Select(select))
    }

    /// Whether the word stands for a clause here and does not name a column or a function.
    fn is_clause(&self, word: &str) -> bool {
        let named = |symbol| self.is_symbol_at(1, symbol);
        self.is_word(word) && !self.is_word_at(1, "from") && ![",", "(", ".", "["].into_iter().any(named)
    }

    pub(super) fn order_by(&mut self) -> Result<OrderBy, ParseError> {
        let column = self.name()?;
        let descending = self.word("desc");
        if !descending {
            self.word("asc");
        }
        Ok(OrderBy { column, descending })
    }

    fn select_item(&mut self) -> Result<SelectItem, ParseError> {
        let expression = self.expression()?;
        let alias = if self.word("as") { Some(self.name()?) } else { None };
        Ok(SelectItem { expression, alias })
    }

    fn expression(&mut self) -> Result<Expression, ParseError> {
        self.nested(|parser| {
            let mut expression = parser.simple_expression()?;
            let mut steps = 0;
            loop {
                if parser.accept(".") {
                    expression = Expression::Field { value: Box::new(expression), field: parser.name()? };
                } else if parser.accept("[") {
                    let key = parser.term()?;
                    parser.expect("]")?;
                    expression = Expression::Element { value: Box::new(expression), key };
                } else {
                    return Ok(expression);
                }
                steps += 1;
                if steps > super::MAX_DEPTH {
                    return Err(parser.fail("the statement is nested too deeply"));
                }
            }
        })
    }

    fn simple_expression(&mut self) -> Result<Expression, ParseError> {
        let word = match self.peek() {
            Kind::Word(word) => word.as_str(),
            Kind::Quoted(_) => "",
            _ => return Ok(Expression::Term(self.term()?)),
        };
        let system_call = word == "system" && self.is_symbol_at(1, ".") && self.is_symbol_at(3, "(");
        let call = system_call || self.is_symbol_at(1, "(");
        match word {
            "null" | "true" | "false" | "nan" | "infinity" => Ok(Expression::Term(self.term()?)),
            _ if !call => Ok(Expression::Column(self.name()?)),
            "count" if self.counts_rows() => {
                self.at += 4;
                Ok(Expression::CountRows)
            }
            "writetime" => self.column_argument().map(|(column, key)| Expression::Writetime(column, key)),
            "ttl" => self.column_argument().map(|(column, key)| Expression::Ttl(column, key)),
            "cast" => self.cast(),
            _ => {
                let name = self.function_name()?;
                self.expect("(")?;
                Ok(Expression::Call { name, arguments: self.list_until(")", Self::expression)? })
            }
        }
    }

    /// `count(*)` and `count(1)` count rows, `count(column)` counts values.
    fn counts_rows(&self) -> bool {
        let one = matches!(self.peek_at(2), Kind::Integer(text) if text == "1");
        (one || self.is_symbol_at(2, "*")) && self.is_symbol_at(3, ")")
    }

    /// `(column)` or `(column[key])`.
    fn column_argument(&mut self) -> Result<(String, Option<Term>), ParseError> {
        self.skip();
        self.expect("(")?;
        let column = self.name()?;
        let key = if self.accept("[") { Some(self.term()?) } else { None };
        if key.is_some() {
            self.expect("]")?;
        }
        self.expect(")")?;
        Ok((column, key))
    }

    fn cast(&mut self) -> Result<Expression, ParseError> {
        self.skip();
        self.expect("(")?;
        let value = Box::new(self.expression()?);
        self.expect_word("as")?;
        if !matches!(self.peek(), Kind::Word(word) if types::native(word).is_some()) {
            return Err(self.unexpected());
        }
        let to = TypeName::Name(TableName { keyspace: None, name: self.name()? });
        self.expect(")")?;
        Ok(Expression::Cast { value, to })
    }
}
