//! Values get their types: literals become bytes, bind variables are named, functions are chosen.
use bytes::Bytes;
use scylla_cql::frame::response::result::{CollectionType, ColumnType, NativeType};

use super::ast::Term as Written;
use super::{Context, Receiver, literal};
use crate::error::DbError;
use crate::execute::functions::{self, Function};
use crate::execute::term::{Env, NullKeys, Shape, Term};
use crate::outcome::BoundValue;
use crate::value::{CqlType, types};

impl Context<'_> {
    /// The value as one of the receiver's type.
    pub(super) fn term(&mut self, term: &Written, receiver: &Receiver<'_>) -> Result<Term, DbError> {
        match term {
            Written::Null => Ok(Term::Constant(None)),
            Written::Marker(number) => {
                self.variable(*number, receiver)?;
                Ok(Term::Marker(*number))
            }
            Written::Call { name, arguments } => self.call(name, arguments, receiver),
            Written::Hint { to, value } => {
                let typ = self.cql_type(to, &receiver.table.keyspace)?;
                if !assignable(&typ, &receiver.typ) {
                    return Err(mismatch(&format!("a value of type {}", types::name(&typ)), receiver));
                }
                self.term(value, &receiver.part(receiver.name.clone(), typ))
            }
            Written::List(_) | Written::Set(_) | Written::Map(_) | Written::Tuple(_) | Written::Udt(_) => {
                let built = self.build(term, receiver)?;
                fold(built)
            }
            _ => match &receiver.typ {
                ColumnType::Native(native) => {
                    literal::value(term, native, &receiver.name).map(|bytes| Term::Constant(Some(bytes)))
                }
                typ => Err(literal::wrong_kind(term, typ, &receiver.name)),
            },
        }
    }

    fn build(&mut self, term: &Written, receiver: &Receiver<'_>) -> Result<Term, DbError> {
        let name = &receiver.name;
        match (term, &receiver.typ) {
            (Written::List(items), ColumnType::Collection { typ: CollectionType::List(item), .. }) => {
                let part = receiver.part(format!("value({name})"), (**item).clone());
                Ok(Term::Build(Box::new(Shape::List), self.parts(items, &part)?))
            }
            (Written::Set(items), ColumnType::Collection { typ: CollectionType::Set(item), .. }) => {
                let part = receiver.part(format!("value({name})"), (**item).clone());
                Ok(Term::Build(Box::new(Shape::Set((**item).clone())), self.parts(items, &part)?))
            }
            (Written::Set(items), ColumnType::Collection { typ: CollectionType::Map(key, _), .. })
                if items.is_empty() =>
            {
                Ok(Term::Build(Box::new(Shape::Map((**key).clone())), Vec::new()))
            }
            (Written::Map(entries), ColumnType::Collection { typ: CollectionType::Map(key, value), .. }) => {
                let key_part = receiver.part(format!("key({name})"), (**key).clone());
                let value_part = receiver.part(format!("value({name})"), (**value).clone());
                let mut parts = Vec::with_capacity(entries.len() * 2);
                for (key, value) in entries {
                    parts.push(self.term(key, &key_part)?);
                    parts.push(self.term(value, &value_part)?);
                }
                Ok(Term::Build(Box::new(Shape::Map((**key).clone())), parts))
            }
            (Written::Tuple(items), ColumnType::Tuple(fields)) => self.tuple(items, fields, receiver),
            (Written::Udt(fields), ColumnType::UserDefinedType { .. }) => self.user_type(fields, receiver),
            (written, _) => {
                let kind = match written {
                    Written::List(_) => "list",
                    Written::Set(_) => "set",
                    Written::Map(_) => "map",
                    Written::Tuple(_) => "tuple",
                    _ => "user type",
                };
                let typ = types::name(&receiver.typ);
                Err(DbError::invalid(format!("Invalid {kind} literal for {name} of type {typ}")))
            }
        }
    }

    fn parts(&mut self, items: &[Written], part: &Receiver<'_>) -> Result<Vec<Term>, DbError> {
        items.iter().map(|item| self.term(item, part)).collect()
    }

    fn tuple(
        &mut self,
        items: &[Written],
        fields: &[CqlType],
        receiver: &Receiver<'_>,
    ) -> Result<Term, DbError> {
        if items.len() > fields.len() {
            let (name, typ) = (&receiver.name, types::name(&receiver.typ));
            return Err(DbError::invalid(format!(
                "Invalid tuple literal for {name}: too many elements. Type {typ} expects {} but got {}",
                fields.len(),
                items.len()
            )));
        }
        let mut parts = Vec::with_capacity(items.len());
        for (index, (item, typ)) in items.iter().zip(fields).enumerate() {
            parts.push(self.term(item, &receiver.part(format!("{}[{index}]", receiver.name), typ.clone()))?);
        }
        Ok(Term::Build(Box::new(Shape::Tuple), parts))
    }

    fn user_type(&mut self, given: &[(String, Written)], receiver: &Receiver<'_>) -> Result<Term, DbError> {
        let ColumnType::UserDefinedType { definition, .. } = &receiver.typ else {
            return Err(mismatch("a user type literal", receiver));
        };
        let unknown =
            given.iter().find(|(name, _)| definition.field_types.iter().all(|(known, _)| known != name));
        if let Some((field, _)) = unknown {
            return Err(DbError::invalid(format!(
                "Unknown field '{field}' in value of user defined type {}",
                definition.name
            )));
        }
        let mut parts = Vec::with_capacity(definition.field_types.len());
        for (name, typ) in &definition.field_types {
            let part = receiver.part(format!("{}.{name}", receiver.name), typ.clone());
            parts.push(match given.iter().find(|(given, _)| given == name) {
                Some((_, value)) => self.term(value, &part)?,
                None => Term::Constant(None),
            });
        }
        Ok(Term::Build(Box::new(Shape::Tuple), parts))
    }

    fn call(&mut self, name: &str, arguments: &[Written], receiver: &Receiver<'_>) -> Result<Term, DbError> {
        if name == "token" {
            return self.token(arguments, receiver);
        }
        let function = self.function(name, arguments)?;
        let returns = ColumnType::Native(function.returns.clone());
        if !assignable(&returns, &receiver.typ) {
            let what = format!("result of function system.{name} (type {})", types::name(&returns));
            return Err(mismatch(&what, receiver));
        }
        let mut terms = Vec::with_capacity(arguments.len());
        for (index, (argument, native)) in arguments.iter().zip(&function.arguments).enumerate() {
            let part = Receiver::native(receiver.table, format!("arg{index}(system.{name})"), native.clone());
            terms.push(self.term(argument, &part)?);
        }
        Ok(Term::Call(Box::new(function), terms))
    }

    fn token(&mut self, arguments: &[Written], receiver: &Receiver<'_>) -> Result<Term, DbError> {
        let table = receiver.table;
        let columns = table.partition_key_columns();
        if arguments.len() != columns.len() {
            return Err(DbError::invalid(format!(
                "Invalid number of arguments in call to function system.token: {} required but {} provided",
                columns.len(),
                arguments.len()
            )));
        }
        if !assignable(&ColumnType::Native(NativeType::BigInt), &receiver.typ) {
            return Err(mismatch("result of function system.token (type bigint)", receiver));
        }
        let mut terms = Vec::with_capacity(arguments.len());
        for (index, (argument, column)) in arguments.iter().zip(columns).enumerate() {
            let part = receiver.part(format!("arg{index}(system.token)"), column.typ.clone());
            terms.push(self.term(argument, &part)?);
        }
        let table = self.schema.table(&table.keyspace, &table.name)?;
        Ok(Term::Token(std::sync::Arc::clone(table), terms))
    }

    /// The function of this name that takes these arguments.
    fn function(&self, name: &str, arguments: &[Written]) -> Result<Function, DbError> {
        if matches!(name, "count" | "min" | "max" | "sum" | "avg") {
            return Err(DbError::invalid("Aggregation function are not supported in the where clause"));
        }
        let names: Vec<String> = arguments.iter().map(Written::to_string).collect();
        choose(name, &names, |function| {
            function.arguments.len() == arguments.len()
                && function
                    .arguments
                    .iter()
                    .zip(arguments)
                    .all(|(native, argument)| self.fits(argument, native))
        })
    }

    /// Whether a value as written can be one of this type.
    fn fits(&self, term: &Written, native: &NativeType) -> bool {
        match term {
            Written::Null | Written::Marker(_) => true,
            Written::Call { name, arguments } => {
                self.function(name, arguments).is_ok_and(|function| natives_agree(&function.returns, native))
            }
            Written::Hint { to, .. } => self
                .cql_type(to, self.keyspace.unwrap_or_default())
                .is_ok_and(|typ| assignable(&typ, &ColumnType::Native(native.clone()))),
            literal => literal::value(literal, native, "").is_ok(),
        }
    }
}

/// The one function of this name that `accepts` takes; `arguments` is what they are called in messages.
pub(super) fn choose(
    name: &str,
    arguments: &[String],
    accepts: impl Fn(&Function) -> bool,
) -> Result<Function, DbError> {
    let mut all = functions::named(name);
    match all.as_slice() {
        [] if matches!(name, "tojson" | "fromjson") => {
            return Err(DbError::invalid(format!("{name} is not supported by this server")));
        }
        [] => return Err(DbError::invalid(format!("Unknown function '{name}'"))),
        [only] if !accepts(only) => return Err(misfit(only, arguments)),
        [_] => return Ok(all.remove(0)),
        _ => {}
    }
    let signatures =
        |functions: &[Function]| functions.iter().map(functions::signature).collect::<Vec<_>>().join(", ");
    let (mut fitting, others): (Vec<_>, Vec<_>) = all.into_iter().partition(accepts);
    match fitting.len() {
        1 => Ok(fitting.swap_remove(0)),
        0 => Err(DbError::invalid(format!(
            "Invalid call to function {name}, none of its type signatures match (known type signatures: {})",
            signatures(&others)
        ))),
        _ => Err(DbError::invalid(format!(
            "Ambiguous call to function {name} (can be matched by following signatures: {}): use type casts to \
             disambiguate",
            signatures(&fitting)
        ))),
    }
}

/// Why the only function of its name cannot be called so.
fn misfit(function: &Function, arguments: &[String]) -> DbError {
    let (name, wanted) = (&function.name, &function.arguments);
    if arguments.len() != wanted.len() {
        return DbError::invalid(format!(
            "Invalid number of arguments in call to function system.{name}: {} required but {} provided",
            wanted.len(),
            arguments.len()
        ));
    }
    let typ =
        wanted.first().map_or_else(String::new, |native| types::name(&ColumnType::Native(native.clone())));
    let argument = arguments.first().map_or("", String::as_str);
    DbError::invalid(format!(
        "Type error: {argument} cannot be passed as argument 0 of function system.{name} of type {typ}"
    ))
}

/// Whether a value of one type can stand where the other is wanted.
pub(super) fn assignable(from: &CqlType, to: &CqlType) -> bool {
    match (from, to) {
        (ColumnType::Native(from), ColumnType::Native(to)) => natives_agree(from, to),
        (from, to) => types::frozen(from) == types::frozen(to),
    }
}

fn natives_agree(from: &NativeType, to: &NativeType) -> bool {
    use NativeType as N;
    // The bytes of any value are a blob.
    from == to || matches!((from, to), (N::Ascii, N::Text) | (N::Timeuuid, N::Uuid) | (_, N::Blob))
}

fn mismatch(what: &str, receiver: &Receiver<'_>) -> DbError {
    let typ = types::name(&receiver.typ);
    DbError::invalid(format!("Type error: cannot assign {what} to {} (type {typ})", receiver.name))
}

/// A collection of constants is a constant.
fn fold(term: Term) -> Result<Term, DbError> {
    let Term::Build(_, parts) = &term else { return Ok(term) };
    if !parts.iter().all(Term::is_constant) {
        return Ok(term);
    }
    match (Env { values: &[], now: 0, null_keys: NullKeys::Refused }).value(&term)? {
        BoundValue::Set(bytes) => Ok(Term::Constant(Some(bytes))),
        BoundValue::Null | BoundValue::Unset => Ok(Term::Constant(None::<Bytes>)),
    }
}
