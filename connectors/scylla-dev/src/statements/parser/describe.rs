//! DESCRIBE.
use super::super::ast::{Described, Statement};
use super::{Kind, ParseError, Parser};
use crate::schema::describe::Internals;

impl Parser<'_> {
    pub(super) fn describe(&mut self) -> Result<Statement, ParseError> {
        self.skip();
        let described = self.described()?;
        let mut internals = Internals::Hidden;
        if self.words(&["with", "internals"]) {
            internals = Internals::Shown;
            if self.words(&["and", "passwords"]) {
                return Err(ParseError::unsupported("DESCRIBE … WITH INTERNALS AND PASSWORDS"));
            }
        }
        Ok(Statement::Describe(described, internals))
    }

    fn described(&mut self) -> Result<Described, ParseError> {
        // A word that is a table's name too stands for the table when a dot follows.
        let dotted = self.is_symbol_at(1, ".");
        let Kind::Word(word) = self.peek().clone() else { return Ok(Described::Any(self.table_name()?)) };
        let last =
            matches!(self.peek_at(1), Kind::End) || self.is_symbol_at(1, ";") || self.is_word_at(1, "with");
        let described = match word.as_str() {
            _ if dotted => return Ok(Described::Any(self.table_name()?)),
            "cluster" if last => Described::Cluster,
            "schema" if last => Described::Schema,
            "keyspaces" if last => Described::Keyspaces,
            "tables" | "columnfamilies" if last => Described::Tables,
            "types" if last => Described::Types,
            "functions" | "aggregates" if last => Described::Nothing,
            "full" => {
                self.skip();
                self.expect_word("schema")?;
                return Ok(Described::FullSchema);
            }
            "only" | "keyspace" | "schema" => return self.described_keyspace(),
            "table" | "columnfamily" => return self.named(Described::Table),
            "type" => return self.named(Described::Type),
            "function" => return self.named(|name| Described::Absent("Function", name)),
            "aggregate" => return self.named(|name| Described::Absent("Aggregate", name)),
            "index" => return self.named(|name| Described::Absent("Table for existing index", name)),
            "materialized" => {
                self.skip();
                self.expect_word("view")?;
                return Ok(Described::Absent("Materialized view", self.table_name()?));
            }
            _ => return Ok(Described::Any(self.table_name()?)),
        };
        self.skip();
        Ok(described)
    }

    fn named(
        &mut self,
        described: impl FnOnce(super::super::ast::TableName) -> Described,
    ) -> Result<Described, ParseError> {
        self.skip();
        Ok(described(self.table_name()?))
    }

    fn described_keyspace(&mut self) -> Result<Described, ParseError> {
        let only = self.word("only");
        if !self.word("keyspace") {
            self.expect_word("schema")?;
        }
        let named = !matches!(self.peek(), Kind::End) && !self.is_symbol(";") && !self.is_word("with");
        let name = if named { Some(self.name()?) } else { None };
        Ok(if only { Described::OnlyKeyspace(name) } else { Described::Keyspace(name) })
    }
}
