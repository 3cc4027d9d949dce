//! From the text of a statement to a plan: parse, then look up every name and type once.
//!
//! [`lexer`] cuts text into tokens, [`parser`] makes a tree of them ([`ast`]), [`mod@prepare`] turns the tree into what
//! [`crate::execute`] runs, with the help of the schema.
mod ast;
#[cfg(test)]
mod fuzz;
mod lexer;
mod parser;
mod prepare;

pub use crate::execute::Prepared;
pub use prepare::prepare;
