//! CREATE, ALTER and DROP.
use super::super::ast::{
    AlterAction, AlterKeyspace, AlterTable, ColumnDefinition, CreateKeyspace, CreateTable, CreateType, Drop,
    DropKeyspace, OrderBy, PrimaryKey, Properties, Property, Statement,
};
use super::{Kind, ParseError, Parser};

impl Parser<'_> {
    pub(super) fn create(&mut self) -> Result<Statement, ParseError> {
        self.expect_word("create")?;
        if self.keyspace_word() {
            let if_not_exists = self.if_not_exists();
            let name = self.name()?;
            let properties = self.with()?.0;
            return Ok(Statement::CreateKeyspace(CreateKeyspace { name, if_not_exists, properties }));
        }
        if self.table_word() {
            return self.create_table();
        }
        if self.word("type") {
            return self.create_type();
        }
        Err(self.out_of_scope("CREATE"))
    }

    pub(super) fn alter(&mut self) -> Result<Statement, ParseError> {
        self.expect_word("alter")?;
        if self.keyspace_word() {
            let name = self.name()?;
            return Ok(Statement::AlterKeyspace(AlterKeyspace { name, properties: self.with()?.0 }));
        }
        if self.table_word() {
            return self.alter_table();
        }
        Err(self.out_of_scope("ALTER"))
    }

    pub(super) fn drop_statement(&mut self) -> Result<Statement, ParseError> {
        self.expect_word("drop")?;
        if self.keyspace_word() {
            let if_exists = self.if_exists();
            return Ok(Statement::DropKeyspace(DropKeyspace { name: self.name()?, if_exists }));
        }
        if self.table_word() {
            let if_exists = self.if_exists();
            return Ok(Statement::DropTable(Drop { name: self.table_name()?, if_exists }));
        }
        if self.word("type") {
            let if_exists = self.if_exists();
            return Ok(Statement::DropType(Drop { name: self.table_name()?, if_exists }));
        }
        Err(self.out_of_scope("DROP"))
    }

    fn keyspace_word(&mut self) -> bool {
        self.word("keyspace") || self.word("schema")
    }

    fn table_word(&mut self) -> bool {
        self.word("table") || self.word("columnfamily")
    }

    /// What ScyllaDB would know is refused by its name; anything else is a mistake.
    fn out_of_scope(&self, verb: &str) -> ParseError {
        const KNOWN: [(&str, &str); 11] = [
            ("index", "INDEX"),
            ("custom", "CUSTOM INDEX"),
            ("materialized", "MATERIALIZED VIEW"),
            ("type", "TYPE"),
            ("function", "FUNCTION"),
            ("aggregate", "AGGREGATE"),
            ("or", "OR REPLACE"),
            ("role", "ROLE"),
            ("user", "USER"),
            ("trigger", "TRIGGER"),
            ("service", "SERVICE LEVEL"),
        ];
        match KNOWN.iter().find(|(word, _)| self.is_word(word)) {
            Some((_, name)) => ParseError::unsupported(&format!("{verb} {name}")),
            None => self.unexpected(),
        }
    }

    fn create_type(&mut self) -> Result<Statement, ParseError> {
        let if_not_exists = self.if_not_exists();
        let name = self.table_name()?;
        self.expect("(")?;
        let fields = self.list_until(")", |parser| Ok((parser.name()?, parser.type_name()?)))?;
        Ok(Statement::CreateType(CreateType { name, if_not_exists, fields }))
    }

    fn create_table(&mut self) -> Result<Statement, ParseError> {
        let if_not_exists = self.if_not_exists();
        let name = self.table_name()?;
        let (mut columns, mut keys) = (Vec::new(), Vec::new());
        self.expect("(")?;
        loop {
            if self.words(&["primary", "key"]) {
                keys.push(self.primary_key()?);
            } else {
                let column = self.column_definition()?;
                if self.words(&["primary", "key"]) {
                    keys.push(PrimaryKey { partition: vec![column.name.clone()], clustering: Vec::new() });
                }
                columns.push(column);
            }
            // A comma more than there are columns is no mistake in CQL.
            if !self.accept(",") || self.is_symbol(")") {
                break;
            }
        }
        self.expect(")")?;
        let none = (Vec::new(), Vec::new());
        let (properties, clustering_order) = if self.is_word("with") { self.with()? } else { none };
        let table = CreateTable { name, if_not_exists, columns, keys, clustering_order, properties };
        Ok(Statement::CreateTable(table))
    }

    fn column_definition(&mut self) -> Result<ColumnDefinition, ParseError> {
        let name = self.name()?;
        let column_type = self.type_name()?;
        Ok(ColumnDefinition { name, column_type, is_static: self.word("static") })
    }

    /// `(a, b)` or `((a, b), c)`.
    fn primary_key(&mut self) -> Result<PrimaryKey, ParseError> {
        self.expect("(")?;
        let partition = if self.is_symbol("(") { self.names()? } else { vec![self.name()?] };
        let mut clustering = Vec::new();
        while self.accept(",") {
            clustering.push(self.name()?);
        }
        self.expect(")")?;
        Ok(PrimaryKey { partition, clustering })
    }

    fn alter_table(&mut self) -> Result<Statement, ParseError> {
        let name = self.table_name()?;
        let action = if self.word("add") {
            let parenthesis = self.accept("(");
            let columns = self.list(Self::column_definition)?;
            if parenthesis {
                self.expect(")")?;
            }
            AlterAction::Add(columns)
        } else if self.word("drop") {
            AlterAction::Drop(if self.is_symbol("(") { self.names()? } else { self.list(Self::name)? })
        } else if self.word("rename") {
            let mut renames = vec![self.rename()?];
            while self.word("and") {
                renames.push(self.rename()?);
            }
            AlterAction::Rename(renames)
        } else if self.is_word("alter") {
            return Err(ParseError::unsupported("ALTER TABLE … ALTER"));
        } else {
            AlterAction::With(self.with()?.0)
        };
        Ok(Statement::AlterTable(AlterTable { name, action }))
    }

    fn rename(&mut self) -> Result<(String, String), ParseError> {
        let from = self.name()?;
        self.expect_word("to")?;
        Ok((from, self.name()?))
    }

    /// `WITH a = b AND CLUSTERING ORDER BY (c DESC)`.
    fn with(&mut self) -> Result<(Properties, Vec<OrderBy>), ParseError> {
        let (mut properties, mut order) = (Vec::new(), Vec::new());
        self.expect_word("with")?;
        loop {
            if self.words(&["clustering", "order", "by"]) {
                self.expect("(")?;
                order = self.list_until(")", Self::order_by)?;
            } else if self.words(&["compact", "storage"]) {
                return Err(ParseError::unsupported("COMPACT STORAGE"));
            } else {
                let name = self.name()?.to_ascii_lowercase();
                self.expect("=")?;
                properties.push((name, self.property()?));
            }
            if !self.word("and") {
                return Ok((properties, order));
            }
        }
    }

    fn property(&mut self) -> Result<Property, ParseError> {
        if !self.accept("{") {
            return Ok(Property::Value(self.property_literal()?));
        }
        let entries = self.list_until("}", |parser| {
            let key = parser.property_literal()?;
            parser.expect(":")?;
            Ok((key, parser.property_literal()?))
        })?;
        Ok(Property::Map(entries))
    }

    fn property_literal(&mut self) -> Result<String, ParseError> {
        let sign = if self.accept("-") { "-" } else { "" };
        match self.peek().clone() {
            Kind::Integer(text) | Kind::Float(text) => {
                self.skip();
                Ok(format!("{sign}{text}"))
            }
            Kind::String(text) | Kind::Uuid(text) if sign.is_empty() => {
                self.skip();
                Ok(text)
            }
            Kind::Word(word) if sign.is_empty() && matches!(word.as_str(), "true" | "false" | "null") => {
                self.skip();
                Ok(word)
            }
            _ => Err(self.unexpected()),
        }
    }
}
