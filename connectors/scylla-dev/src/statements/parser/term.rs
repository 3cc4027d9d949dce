//! Values, bind variables and types as written.
use super::super::ast::{Term, TypeName};
use super::{Kind, ParseError, Parser};

impl Parser<'_> {
    pub(super) fn term(&mut self) -> Result<Term, ParseError> {
        self.nested(Self::bare_term)
    }

    /// A whole number or a bind variable, where nothing else may stand.
    pub(super) fn number(&mut self) -> Result<Term, ParseError> {
        let digits = usize::from(self.is_symbol("-"));
        if matches!(self.peek_at(digits), Kind::Integer(_)) || self.is_symbol("?") || self.is_symbol(":") {
            return self.term();
        }
        Err(self.unexpected())
    }

    fn bare_term(&mut self) -> Result<Term, ParseError> {
        match self.peek().clone() {
            Kind::String(text) => Ok(self.literal(Term::String(text))),
            Kind::Uuid(text) => Ok(self.literal(Term::Uuid(text))),
            Kind::Blob(digits) => Ok(self.literal(Term::Blob(digits))),
            Kind::Integer(text) => Ok(self.literal(Term::Integer(text))),
            Kind::Float(text) => Ok(self.literal(Term::Float(text))),
            Kind::Duration(text) => Ok(self.literal(Term::Duration(text))),
            Kind::Symbol("-") => self.negative(),
            Kind::Symbol("?" | ":") => self.marker(),
            Kind::Symbol("[") => {
                self.skip();
                Ok(Term::List(self.list_until("]", Self::term)?))
            }
            Kind::Symbol("(") => self.tuple_or_hint(),
            Kind::Symbol("{") => self.braces(),
            Kind::Word(word) => self.word_term(&word),
            Kind::Quoted(_) => self.call(),
            Kind::Symbol(_) | Kind::End => Err(self.unexpected()),
        }
    }

    fn literal(&mut self, term: Term) -> Term {
        self.skip();
        term
    }

    fn negative(&mut self) -> Result<Term, ParseError> {
        self.skip();
        let term = match self.peek() {
            Kind::Integer(text) => Term::Integer(format!("-{text}")),
            Kind::Float(text) => Term::Float(format!("-{text}")),
            Kind::Duration(text) => Term::Duration(format!("-{text}")),
            Kind::Word(word) if word == "nan" => Term::Float("NaN".to_owned()),
            Kind::Word(word) if word == "infinity" => Term::Float("-Infinity".to_owned()),
            _ => return Err(self.unexpected()),
        };
        Ok(self.literal(term))
    }

    fn word_term(&mut self, word: &str) -> Result<Term, ParseError> {
        let literal = match word {
            "null" => Term::Null,
            "true" => Term::Boolean(true),
            "false" => Term::Boolean(false),
            "nan" => Term::Float("NaN".to_owned()),
            "infinity" => Term::Float("Infinity".to_owned()),
            _ => return self.call(),
        };
        Ok(self.literal(literal))
    }

    /// `name(arguments)`; `token` is a function although the word is reserved.
    fn call(&mut self) -> Result<Term, ParseError> {
        let name = self.function_name()?;
        if !self.accept("(") {
            return Err(self.unexpected());
        }
        Ok(Term::Call { name, arguments: self.list_until(")", Self::term)? })
    }

    /// The name of a function; the keyspace `system` may stand before it.
    pub(super) fn function_name(&mut self) -> Result<String, ParseError> {
        if self.word("token") {
            return Ok("token".to_owned());
        }
        if self.is_word("system") && self.is_symbol_at(1, ".") {
            self.at += 2;
        }
        self.name()
    }

    /// `?` or `:name`.
    fn marker(&mut self) -> Result<Term, ParseError> {
        if self.accept("?") {
            self.markers.push(None);
        } else {
            self.expect(":")?;
            let name = self.name()?;
            let known = self.markers.iter().position(|marker| marker.as_ref() == Some(&name));
            if let Some(number) = known {
                return Ok(Term::Marker(number));
            }
            self.markers.push(Some(name));
        }
        if self.markers.len() > usize::from(u16::MAX) {
            return Err(self.fail("more than 65535 bind variables"));
        }
        Ok(Term::Marker(self.markers.len() - 1))
    }

    /// `{…}`: a map has a colon after its first value, a user-defined type after its first name.
    fn braces(&mut self) -> Result<Term, ParseError> {
        self.expect("{")?;
        if self.accept("}") {
            return Ok(Term::Set(Vec::new()));
        }
        let named = matches!(self.peek(), Kind::Quoted(_))
            || matches!(self.peek(), Kind::Word(word) if !is_literal(word));
        let named = named && self.is_symbol_at(1, ":");
        if named {
            return Ok(Term::Udt(self.list_until("}", |parser| {
                let field = parser.name()?;
                parser.expect(":")?;
                Ok((field, parser.term()?))
            })?));
        }
        let first = self.term()?;
        if self.accept(":") {
            let mut entries = vec![(first, self.term()?)];
            while self.accept(",") {
                let key = self.term()?;
                self.expect(":")?;
                entries.push((key, self.term()?));
            }
            self.expect("}")?;
            return Ok(Term::Map(entries));
        }
        let mut elements = vec![first];
        while self.accept(",") {
            elements.push(self.term()?);
        }
        self.expect("}")?;
        Ok(Term::Set(elements))
    }

    /// `(a, b)` is a tuple, `(int) a` gives the type of a value.
    fn tuple_or_hint(&mut self) -> Result<Term, ParseError> {
        self.expect("(")?;
        if self.begins_type() {
            let to = self.type_name()?;
            self.expect(")")?;
            return Ok(Term::Hint { to, value: Box::new(self.term()?) });
        }
        Ok(Term::Tuple(self.list_until(")", Self::term)?))
    }

    fn begins_type(&self) -> bool {
        match self.peek() {
            Kind::Word(word) if !is_literal(word) => {
                self.is_symbol_at(1, "<") || self.is_symbol_at(1, ")") || self.is_symbol_at(3, ")")
            }
            Kind::Quoted(_) => self.is_symbol_at(1, ")") || self.is_symbol_at(1, "."),
            _ => false,
        }
    }

    pub(super) fn type_name(&mut self) -> Result<TypeName, ParseError> {
        self.nested(Self::bare_type)
    }

    fn bare_type(&mut self) -> Result<TypeName, ParseError> {
        let word = match self.peek() {
            Kind::Word(word) if self.is_symbol_at(1, "<") => word.clone(),
            _ => return Ok(TypeName::Name(self.table_name()?)),
        };
        if word == "vector" {
            let message = "vector types are not supported by this server".to_owned();
            return Err(ParseError::Unsupported(message));
        }
        self.at += 2;
        let mut parts = self.list(Self::type_name)?;
        self.expect(">")?;
        if word == "tuple" {
            return Ok(TypeName::Tuple(parts));
        }
        let last = parts.pop().map(Box::new);
        let first = parts.pop().map(Box::new);
        match (word.as_str(), first, last) {
            ("list", None, Some(element)) => Ok(TypeName::List(element)),
            ("set", None, Some(element)) => Ok(TypeName::Set(element)),
            ("frozen", None, Some(inner)) => Ok(TypeName::Frozen(inner)),
            ("map", Some(key), Some(value)) if parts.is_empty() => Ok(TypeName::Map(key, value)),
            _ => Err(self.fail(&format!("no such type: {word} of these types"))),
        }
    }
}

/// Whether the word is a value and names nothing.
fn is_literal(word: &str) -> bool {
    matches!(word, "null" | "true" | "false" | "nan" | "infinity")
}
