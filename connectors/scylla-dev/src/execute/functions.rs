//! The functions of CQL. To add one, write its `eval` in a file of this folder and its line in that file's list.
mod blob;
mod cast;
mod id;
mod number;
mod time;

use bytes::Bytes;
use scylla_cql::frame::response::result::NativeType;

pub(crate) use cast::{can_cast, cast};
pub(crate) use number::Number;

use crate::error::DbError;

/// A function with the types it is used with.
#[derive(Debug, Clone)]
pub(crate) struct Function {
    /// In lower case, without the keyspace.
    pub(crate) name: String,
    pub(crate) arguments: Vec<NativeType>,
    pub(crate) returns: NativeType,
    pub(crate) eval: Eval,
}

/// Computes a result. Arguments are of the function's types and never null; `None` is null.
pub(crate) type Eval = fn(&Input<'_>) -> Result<Option<Bytes>, DbError>;

/// What a function is given.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    pub(crate) function: &'a Function,
    pub(crate) arguments: &'a [Bytes],
    /// The server's time, microseconds since 1970.
    pub(crate) now: i64,
}

/// A line in the list of a file.
struct Definition {
    name: &'static str,
    arguments: &'static [NativeType],
    returns: NativeType,
    eval: Eval,
}

/// All functions of this name, whatever their arguments.
pub(crate) fn named(name: &str) -> Vec<Function> {
    let listed = time::FUNCTIONS.iter().chain(id::FUNCTIONS).filter(|definition| definition.name == name);
    let listed = listed.map(|definition| Function {
        name: definition.name.to_owned(),
        arguments: definition.arguments.to_vec(),
        returns: definition.returns.clone(),
        eval: definition.eval,
    });
    listed.chain(blob::conversion(name)).collect()
}

/// The names of a function's argument types, for messages.
pub(crate) fn signature(function: &Function) -> String {
    use crate::value::types;
    use scylla_cql::frame::response::result::ColumnType;
    let name = |native: &NativeType| types::name(&ColumnType::Native(native.clone()));
    let arguments = function.arguments.iter().map(name).collect::<Vec<_>>().join(", ");
    format!("{} : ({arguments}) -> {}", function.name, name(&function.returns))
}

impl Input<'_> {
    /// Argument `index` as a fixed number of bytes; `None` when it is an empty value.
    fn fixed<const N: usize>(&self, index: usize) -> Option<[u8; N]> {
        self.arguments.get(index)?.as_ref().try_into().ok()
    }
}
