//! From the text of a statement to a plan: parse, then look up every name and type once.
pub(crate) mod ast;
mod lexer;
pub(crate) mod parser;
