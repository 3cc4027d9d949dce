//! Recursive descent from tokens to the syntax tree; each submodule holds one family of statements.
//!
//! Written by hand: no kept crate speaks ScyllaDB's dialect (BYPASS CACHE, USING TIMEOUT, SCYLLA_TIMEUUID_LIST_INDEX), the
//! places in its messages must be ScyllaDB's, and what is left out must be refused by its name.
mod ddl;
mod describe;
mod modify;
mod relation;
mod select;
mod term;
#[cfg(test)]
mod tests;

use super::ast::{Parsed, Statement, TableName};
use super::lexer::{Kind, Token, place, tokens};
use crate::value::identifier::is_reserved;

/// Parses one statement, with or without a semicolon at its end.
pub(crate) fn parse(text: &str) -> Result<Parsed, ParseError> {
    let mut parser = Parser { text, tokens: tokens(text)?, at: 0, depth: 0, markers: Vec::new() };
    let statement = parser.statement()?;
    while parser.accept(";") {}
    if *parser.peek() != Kind::End {
        return Err(parser.fail(&format!("missing EOF at '{}'", parser.found())));
    }
    Ok(Parsed { statement, markers: parser.markers })
}

/// Why a text is no statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ParseError {
    /// It does not follow the grammar.
    Syntax(String),
    /// It is CQL that this server leaves out on purpose.
    Unsupported(String),
}

impl ParseError {
    fn unsupported(what: &str) -> Self {
        Self::Unsupported(format!("{what} is not supported by this server"))
    }
}

/// Terms and types nest no deeper than this, so that no text can exhaust the stack.
const MAX_DEPTH: usize = 100;

struct Parser<'text> {
    text: &'text str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    markers: Vec<Option<String>>,
}

impl Parser<'_> {
    fn statement(&mut self) -> Result<Statement, ParseError> {
        let Kind::Word(first) = self.peek().clone() else { return Err(self.unexpected()) };
        match first.as_str() {
            "select" => self.select(),
            "insert" | "update" | "delete" => self.modification(),
            "begin" => self.batch(),
            "create" => self.create(),
            "alter" => self.alter(),
            "drop" => self.drop_statement(),
            "truncate" => {
                self.skip();
                let _table = self.word("table") || self.word("columnfamily");
                Ok(Statement::Truncate(self.table_name()?, self.using(&["timeout"])?))
            }
            "use" => {
                self.skip();
                Ok(Statement::Use(self.name()?))
            }
            "describe" | "desc" => self.describe(),
            "list" | "grant" | "revoke" => Err(ParseError::unsupported(&first.to_ascii_uppercase())),
            _ => Err(self.unexpected()),
        }
    }

    // The cursor.

    fn peek(&self) -> &Kind {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> &Kind {
        self.tokens.get(self.at + ahead).map_or(&Kind::End, |token| &token.kind)
    }

    fn skip(&mut self) {
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
    }

    /// Takes the token away, when the caller knows what it is.
    fn next(&mut self) -> Kind {
        let kind = self.peek().clone();
        self.skip();
        kind
    }

    fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek(), Kind::Symbol(found) if *found == symbol)
    }

    fn is_word(&self, word: &str) -> bool {
        self.is_word_at(0, word)
    }

    fn is_word_at(&self, ahead: usize, word: &str) -> bool {
        matches!(self.peek_at(ahead), Kind::Word(found) if found == word)
    }

    fn is_symbol_at(&self, ahead: usize, symbol: &str) -> bool {
        matches!(self.peek_at(ahead), Kind::Symbol(found) if *found == symbol)
    }

    fn accept(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        if found {
            self.skip();
        }
        found
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.skip();
        }
        found
    }

    /// Takes all these words or none.
    fn words(&mut self, words: &[&str]) -> bool {
        let found = words.iter().enumerate().all(|(ahead, word)| self.is_word_at(ahead, word));
        if found {
            self.at += words.len();
        }
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), ParseError> {
        if self.accept(symbol) {
            return Ok(());
        }
        Err(self.fail(&format!("mismatched input '{}' expecting '{symbol}'", self.found())))
    }

    fn expect_word(&mut self, word: &str) -> Result<(), ParseError> {
        if self.word(word) {
            return Ok(());
        }
        let expected = word.to_ascii_uppercase();
        Err(self.fail(&format!("mismatched input '{}' expecting K_{expected}", self.found())))
    }

    // Errors.

    /// The token at the cursor as it stands in the text.
    fn found(&self) -> &str {
        let start = self.tokens[self.at].at;
        if *self.peek() == Kind::End {
            return "<EOF>";
        }
        let end = self.tokens.get(self.at + 1).map_or(self.text.len(), |next| next.at);
        self.text[start..end].split("--").next().unwrap_or_default().trim()
    }

    fn fail(&self, what: &str) -> ParseError {
        ParseError::Syntax(format!("line {} {what}", place(self.text, self.tokens[self.at].at)))
    }

    fn unexpected(&self) -> ParseError {
        self.fail(&format!("no viable alternative at input '{}'", self.found()))
    }

    /// Runs a recursive part one level deeper.
    fn nested<T>(&mut self, part: impl FnOnce(&mut Self) -> Result<T, ParseError>) -> Result<T, ParseError> {
        if self.depth == MAX_DEPTH {
            return Err(self.fail("the statement is nested too deeply"));
        }
        self.depth += 1;
        let result = part(self);
        self.depth -= 1;
        result
    }

    // Names and lists.

    /// A name: a word that is not reserved, or any text in double quotes.
    fn name(&mut self) -> Result<String, ParseError> {
        match self.peek() {
            Kind::Quoted(name) if !name.is_empty() => {}
            Kind::Word(word) if !is_reserved(word) => {}
            _ => return Err(self.unexpected()),
        }
        match self.next() {
            Kind::Quoted(name) | Kind::Word(name) => Ok(name),
            _ => Err(self.unexpected()),
        }
    }

    fn table_name(&mut self) -> Result<TableName, ParseError> {
        let first = self.name()?;
        if self.accept(".") {
            return Ok(TableName { keyspace: Some(first), name: self.name()? });
        }
        Ok(TableName { keyspace: None, name: first })
    }

    /// One or more parts between commas.
    fn list<T>(&mut self, part: impl Fn(&mut Self) -> Result<T, ParseError>) -> Result<Vec<T>, ParseError> {
        let mut list = vec![part(self)?];
        while self.accept(",") {
            list.push(part(self)?);
        }
        Ok(list)
    }

    /// Parts between commas up to the closing symbol, perhaps none.
    fn list_until<T>(
        &mut self,
        close: &str,
        part: impl Fn(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        if self.accept(close) {
            return Ok(Vec::new());
        }
        let list = self.list(part)?;
        self.expect(close)?;
        Ok(list)
    }

    fn names(&mut self) -> Result<Vec<String>, ParseError> {
        self.expect("(")?;
        let names = self.list(Self::name)?;
        self.expect(")")?;
        Ok(names)
    }

    fn if_exists(&mut self) -> bool {
        self.words(&["if", "exists"])
    }

    fn if_not_exists(&mut self) -> bool {
        self.words(&["if", "not", "exists"])
    }
}
