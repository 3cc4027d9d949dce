//! WHERE, the conditions of IF, and USING.
use super::super::ast::{Condition, Left, Operator, Relation, Right, Using};
use super::{Kind, ParseError, Parser};

impl Parser<'_> {
    /// `WHERE a AND b`, or nothing.
    pub(super) fn filter(&mut self) -> Result<Vec<Relation>, ParseError> {
        if self.word("where") { self.relations() } else { Ok(Vec::new()) }
    }

    /// The relations after WHERE, which must be there.
    pub(super) fn relations(&mut self) -> Result<Vec<Relation>, ParseError> {
        let mut relations = Vec::new();
        self.relation(&mut relations)?;
        while self.word("and") {
            self.relation(&mut relations)?;
        }
        Ok(relations)
    }

    /// One relation, or several joined by AND in parentheses.
    fn relation(&mut self, relations: &mut Vec<Relation>) -> Result<(), ParseError> {
        self.nested(|parser| {
            if parser.is_symbol("(") && !parser.begins_columns() {
                parser.skip();
                relations.extend(parser.relations()?);
                return parser.expect(")");
            }
            let left = parser.left()?;
            relations.push(parser.right(left)?);
            Ok(())
        })
    }

    /// Tells `(a, b) > …` and `(a) > …` from `(a > …)`.
    fn begins_columns(&self) -> bool {
        matches!(self.peek_at(1), Kind::Word(_) | Kind::Quoted(_))
            && (self.is_symbol_at(2, ",") || self.is_symbol_at(2, ")"))
    }

    fn left(&mut self) -> Result<Left, ParseError> {
        if self.is_symbol("(") {
            return Ok(Left::Columns(self.names()?));
        }
        if self.word("token") {
            return Ok(Left::Token(self.names()?));
        }
        let column = self.name()?;
        if self.accept("[") {
            let key = self.term()?;
            self.expect("]")?;
            return Ok(Left::Element(column, key));
        }
        if self.accept(".") {
            return Ok(Left::Field(column, self.name()?));
        }
        Ok(Left::Column(column))
    }

    fn right(&mut self, left: Left) -> Result<Relation, ParseError> {
        let operator = self.operator()?;
        let several = matches!(operator, Operator::In | Operator::NotIn) && self.accept("(");
        let right = if several {
            Right::Several(self.list_until(")", Self::term)?)
        } else {
            Right::One(self.term()?)
        };
        Ok(Relation { left, operator, right })
    }

    fn operator(&mut self) -> Result<Operator, ParseError> {
        let operator = match self.peek() {
            Kind::Symbol("=") => Operator::Eq,
            Kind::Symbol("!=") => Operator::Ne,
            Kind::Symbol("<") => Operator::Lt,
            Kind::Symbol("<=") => Operator::Le,
            Kind::Symbol(">") => Operator::Gt,
            Kind::Symbol(">=") => Operator::Ge,
            Kind::Word(word) => match word.as_str() {
                "in" => Operator::In,
                "contains" => return Err(ParseError::unsupported("CONTAINS")),
                "like" => return Err(ParseError::unsupported("LIKE")),
                "is" => return Err(ParseError::unsupported("IS NOT NULL")),
                "not" if self.is_word_at(1, "in") => {
                    self.skip();
                    Operator::NotIn
                }
                _ => return Err(self.unexpected()),
            },
            _ => return Err(self.unexpected()),
        };
        self.skip();
        Ok(operator)
    }

    /// `IF EXISTS`, `IF conditions`, or nothing.
    pub(super) fn condition(&mut self) -> Result<Condition, ParseError> {
        if self.if_exists() {
            return Ok(Condition::Exists);
        }
        if self.word("if") { Ok(Condition::Holds(self.relations()?)) } else { Ok(Condition::None) }
    }

    /// `USING a AND b`, or nothing.
    pub(super) fn using(&mut self, allowed: &[&str]) -> Result<Using, ParseError> {
        let mut using = Using::default();
        if !self.word("using") {
            return Ok(using);
        }
        loop {
            let Kind::Word(word) = self.peek().clone() else { return Err(self.unexpected()) };
            if !allowed.contains(&word.as_str()) {
                return Err(self.unexpected());
            }
            self.skip();
            match word.as_str() {
                "timestamp" => using.timestamp = Some(self.number()?),
                "ttl" => using.ttl = Some(self.number()?),
                _ => using.timeout = Some(self.term()?),
            }
            if !self.word("and") {
                return Ok(using);
            }
        }
    }
}
