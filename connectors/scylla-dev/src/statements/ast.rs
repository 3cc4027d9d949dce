//! The syntax tree: what a CQL statement says, before any table or type is looked up.
use crate::schema::describe::Internals;

/// One parsed statement and its bind variables in the order of their numbers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parsed {
    pub(crate) statement: Statement,
    /// The name of each variable, `None` for `?`. A name used twice is one variable.
    pub(crate) markers: Vec<Option<String>>,
}

/// Every statement this server knows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Statement {
    Select(Select),
    Insert(Insert),
    Update(Update),
    Delete(Delete),
    Batch(Batch),
    Use(String),
    Truncate(TableName, Using),
    CreateKeyspace(CreateKeyspace),
    AlterKeyspace(AlterKeyspace),
    DropKeyspace(DropKeyspace),
    CreateTable(CreateTable),
    AlterTable(AlterTable),
    DropTable(Drop),
    CreateType(CreateType),
    DropType(Drop),
    Describe(Described, Internals),
}

/// What `DESCRIBE …` is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Described {
    Cluster,
    Schema,
    /// The server's own keyspaces too.
    FullSchema,
    Keyspaces,
    Tables,
    Types,
    /// Lists of what this server never has: functions and aggregates.
    Nothing,
    /// The session's keyspace if none is named.
    Keyspace(Option<String>),
    OnlyKeyspace(Option<String>),
    Table(TableName),
    Type(TableName),
    /// One of what this server never has, and how an error calls it.
    Absent(&'static str, TableName),
    /// A keyspace, table or type, whichever has this name.
    Any(TableName),
}

/// A table or type name; the keyspace of the session is used where none is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableName {
    pub(crate) keyspace: Option<String>,
    pub(crate) name: String,
}

/// `SELECT …`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Select {
    pub(crate) distinct: bool,
    /// Empty for `*`.
    pub(crate) selection: Vec<SelectItem>,
    pub(crate) table: TableName,
    pub(crate) filter: Vec<Relation>,
    pub(crate) order_by: Vec<OrderBy>,
    pub(crate) per_partition_limit: Option<Term>,
    pub(crate) limit: Option<Term>,
    pub(crate) allow_filtering: bool,
    pub(crate) using: Using,
}

/// One selected expression and the name it was given with `AS`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SelectItem {
    pub(crate) expression: Expression,
    pub(crate) alias: Option<String>,
}

/// What may stand between SELECT and FROM.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    Column(String),
    CountRows,
    /// `writetime(column)`, perhaps of one element.
    Writetime(String, Option<Term>),
    Ttl(String, Option<Term>),
    Call {
        name: String,
        arguments: Vec<Expression>,
    },
    Cast {
        value: Box<Expression>,
        to: TypeName,
    },
    Field {
        value: Box<Expression>,
        field: String,
    },
    Element {
        value: Box<Expression>,
        key: Term,
    },
    Term(Term),
}

/// One column of ORDER BY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OrderBy {
    pub(crate) column: String,
    pub(crate) descending: bool,
}

/// One relation of WHERE, or one condition of IF.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Relation {
    pub(crate) left: Left,
    pub(crate) operator: Operator,
    pub(crate) right: Right,
}

/// The left side of a relation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Left {
    Column(String),
    /// `column[key]`
    Element(String, Term),
    /// `column.field`
    Field(String, String),
    /// `(a, b)`
    Columns(Vec<String>),
    /// `token(a, b)`
    Token(Vec<String>),
}

/// The operator of a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

/// The right side of a relation: one value, or the list in parentheses after IN.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Right {
    One(Term),
    Several(Vec<Term>),
}

/// `INSERT INTO … (columns) VALUES (values)`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Insert {
    pub(crate) table: TableName,
    pub(crate) columns: Vec<String>,
    pub(crate) values: Vec<Term>,
    pub(crate) if_not_exists: bool,
    pub(crate) using: Using,
}

/// `UPDATE … SET … WHERE …`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Update {
    pub(crate) table: TableName,
    pub(crate) using: Using,
    pub(crate) assignments: Vec<Assignment>,
    pub(crate) filter: Vec<Relation>,
    pub(crate) condition: Condition,
}

/// One assignment of UPDATE.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Assignment {
    pub(crate) column: String,
    pub(crate) change: Change,
}

/// What an assignment does to its column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// `c = v`
    Set(Term),
    /// `c = c + v`
    Append(Term),
    /// `c = v + c`
    Prepend(Term),
    /// `c = c - v`
    Remove(Term),
    /// `c[key] = v`
    Element { key: Term, value: Term },
    /// `c[SCYLLA_TIMEUUID_LIST_INDEX(id)] = v`
    ListCell { id: Term, value: Term },
    /// `c.field = v`
    Field { field: String, value: Term },
}

/// `DELETE [targets] FROM … WHERE …`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Delete {
    /// Empty when whole rows or partitions are deleted.
    pub(crate) targets: Vec<DeleteTarget>,
    pub(crate) table: TableName,
    pub(crate) using: Using,
    pub(crate) filter: Vec<Relation>,
    pub(crate) condition: Condition,
}

/// What DELETE takes out of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum DeleteTarget {
    Column(String),
    Element(String, Term),
    Field(String, String),
}

/// The IF part of UPDATE and DELETE.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    None,
    Exists,
    Holds(Vec<Relation>),
}

/// The USING part. TIMEOUT is checked for form and otherwise has no effect.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Using {
    pub(crate) timestamp: Option<Term>,
    pub(crate) ttl: Option<Term>,
    pub(crate) timeout: Option<Term>,
}

/// `BEGIN … BATCH … APPLY BATCH`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Batch {
    pub(crate) kind: BatchKind,
    pub(crate) using: Using,
    /// Only INSERT, UPDATE and DELETE.
    pub(crate) statements: Vec<Statement>,
}

/// How a text batch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BatchKind {
    Logged,
    Unlogged,
}

/// A value as written: not yet of any type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Term {
    Null,
    /// The number of a bind variable.
    Marker(usize),
    String(String),
    /// Digits, perhaps with a minus sign.
    Integer(String),
    /// A number with a point or an exponent, or `NaN`, `Infinity`.
    Float(String),
    Boolean(bool),
    Uuid(String),
    /// The hexadecimal digits after `0x`.
    Blob(String),
    Duration(String),
    List(Vec<Term>),
    /// `{a, b}`; empty braces are an empty set or map.
    Set(Vec<Term>),
    Map(Vec<(Term, Term)>),
    Tuple(Vec<Term>),
    Udt(Vec<(String, Term)>),
    Call {
        name: String,
        arguments: Vec<Term>,
    },
    /// `(type) term`
    Hint {
        to: TypeName,
        value: Box<Term>,
    },
}

impl std::fmt::Display for Term {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = |terms: &[Self]| terms.iter().map(Self::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::Null => out.write_str("null"),
            Self::Marker(_) => out.write_str("?"),
            Self::String(text) => write!(out, "'{}'", text.replace('\'', "''")),
            Self::Integer(text) | Self::Float(text) | Self::Uuid(text) | Self::Duration(text) => {
                out.write_str(text)
            }
            Self::Boolean(value) => write!(out, "{value}"),
            Self::Blob(digits) => write!(out, "0x{digits}"),
            Self::List(items) => write!(out, "[{}]", all(items)),
            Self::Set(items) => write!(out, "{{{}}}", all(items)),
            Self::Tuple(items) => write!(out, "({})", all(items)),
            Self::Map(entries) => {
                let entries = entries.iter().map(|(key, value)| format!("{key}: {value}"));
                write!(out, "{{{}}}", entries.collect::<Vec<_>>().join(", "))
            }
            Self::Udt(fields) => {
                let fields = fields.iter().map(|(name, value)| format!("{name}: {value}"));
                write!(out, "{{{}}}", fields.collect::<Vec<_>>().join(", "))
            }
            Self::Call { name, arguments } => write!(out, "system.{name}({})", all(arguments)),
            Self::Hint { value, .. } => write!(out, "{value}"),
        }
    }
}

/// A type as written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TypeName {
    /// A native type or, where no such exists or a keyspace is given, a user-defined one.
    Name(TableName),
    List(Box<TypeName>),
    Set(Box<TypeName>),
    Map(Box<TypeName>, Box<TypeName>),
    Tuple(Vec<TypeName>),
    Frozen(Box<TypeName>),
}

/// `CREATE KEYSPACE …`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CreateKeyspace {
    pub(crate) name: String,
    pub(crate) if_not_exists: bool,
    pub(crate) properties: Properties,
}

/// `ALTER KEYSPACE …`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AlterKeyspace {
    pub(crate) name: String,
    pub(crate) properties: Properties,
}

/// `DROP KEYSPACE …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DropKeyspace {
    pub(crate) name: String,
    pub(crate) if_exists: bool,
}

/// `DROP TABLE …`, `DROP TYPE …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Drop {
    pub(crate) name: TableName,
    pub(crate) if_exists: bool,
}

/// What follows WITH, in the order written; names are lower case.
pub(crate) type Properties = Vec<(String, Property)>;

/// The value of a property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Property {
    /// A literal, as text without quotes.
    Value(String),
    /// A map of literals, as text without quotes.
    Map(Vec<(String, String)>),
}

/// `CREATE TABLE …`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CreateTable {
    pub(crate) name: TableName,
    pub(crate) if_not_exists: bool,
    pub(crate) columns: Vec<ColumnDefinition>,
    /// Every partition key given, inline or trailing: exactly one is right.
    pub(crate) keys: Vec<PrimaryKey>,
    pub(crate) clustering_order: Vec<OrderBy>,
    pub(crate) properties: Properties,
}

/// One PRIMARY KEY clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PrimaryKey {
    pub(crate) partition: Vec<String>,
    pub(crate) clustering: Vec<String>,
}

/// One column of CREATE TABLE or ALTER TABLE ADD.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ColumnDefinition {
    pub(crate) name: String,
    pub(crate) column_type: TypeName,
    pub(crate) is_static: bool,
}

/// `ALTER TABLE …`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AlterTable {
    pub(crate) name: TableName,
    pub(crate) action: AlterAction,
}

/// What ALTER TABLE changes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AlterAction {
    Add(Vec<ColumnDefinition>),
    Drop(Vec<String>),
    Rename(Vec<(String, String)>),
    With(Properties),
}

/// `CREATE TYPE …`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CreateType {
    pub(crate) name: TableName,
    pub(crate) if_not_exists: bool,
    pub(crate) fields: Vec<(String, TypeName)>,
}
