//! Laying a schema file: CQL text, statement by statement, since the protocol takes only one at a time.
use scylla::client::session::Session;

use crate::Error;

/// Executes every statement of `cql`, in order, each when the cluster agrees on the one before.
///
/// # Errors
/// When the database refuses one; the ones before it stay.
pub async fn lay(session: &Session, cql: &str) -> Result<(), Error> {
    for statement in statements(cql) {
        Box::pin(session.query_unpaged(statement, ()))
            .await
            .map_err(|e| Error::Schema { statement: first_line(statement), source: Box::new(e) })?;
    }
    Ok(())
}

/// The statements of a CQL text, without the `;` between them: one inside a string, a quoted name or a comment ends
/// nothing. What holds only comments is no statement.
#[must_use]
pub fn statements(cql: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut start, mut at, mut has_code) = (0, 0, false);
    while at < cql.len() {
        let rest = &cql[at..];
        let (length, is_code) = match Piece::at(rest) {
            Piece::End => {
                if has_code {
                    found.push(cql[start..at].trim());
                }
                (start, has_code) = (at + 1, false);
                (1, false)
            }
            Piece::Blank(length) => (length, false),
            Piece::Code(length) => (length, true),
        };
        has_code |= is_code;
        at += length;
    }
    if has_code {
        found.push(cql[start..].trim());
    }
    found
}

/// What stands at the beginning of a text, with its length in bytes.
enum Piece {
    End,
    Blank(usize),
    Code(usize),
}

impl Piece {
    fn at(text: &str) -> Self {
        let until =
            |end: &str, from: usize| text[from..].find(end).map_or(text.len(), |i| from + i + end.len());
        match text.chars().next() {
            Some(';') => Self::End,
            _ if text.starts_with("--") || text.starts_with("//") => Self::Blank(until("\n", 2)),
            _ if text.starts_with("/*") => Self::Blank(until("*/", 2)),
            _ if text.starts_with("$$") => Self::Code(until("$$", 2)),
            // A doubled quote inside reads as two strings side by side, which ends in the same place.
            Some('\'') => Self::Code(until("'", 1)),
            Some('"') => Self::Code(until("\"", 1)),
            Some(c) if c.is_whitespace() => Self::Blank(c.len_utf8()),
            Some(c) => Self::Code(c.len_utf8()),
            None => Self::Blank(0),
        }
    }
}

fn first_line(statement: &str) -> String {
    let code = statement.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("--"));
    code.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_semicolon_in_code_ends_a_statement() {
        let cql = "-- first; comment\nCREATE TABLE a (b int PRIMARY KEY); /* c; */ \n\
                   INSERT INTO t (x) VALUES ('it''s; here') ; SELECT \"odd;name\" FROM t; // end; of it\n";
        assert_eq!(
            statements(cql),
            [
                "-- first; comment\nCREATE TABLE a (b int PRIMARY KEY)",
                "/* c; */ \nINSERT INTO t (x) VALUES ('it''s; here')",
                "SELECT \"odd;name\" FROM t",
            ]
        );
    }

    #[test]
    fn the_last_statement_needs_no_semicolon_and_nothing_is_no_statement() {
        assert_eq!(statements("SELECT 1 FROM t"), ["SELECT 1 FROM t"]);
        assert_eq!(statements(" ;; -- only this\n ; /* and that */"), [""; 0]);
        assert_eq!(statements(""), [""; 0]);
    }

    #[test]
    fn what_is_never_closed_ends_with_the_text() {
        assert_eq!(statements("SELECT 'a; b"), ["SELECT 'a; b"]);
        assert_eq!(statements("SELECT a; /* b; c"), ["SELECT a"]);
    }

    #[test]
    fn an_error_names_the_statement_by_its_first_line_of_code() {
        assert_eq!(first_line("-- why\n\nCREATE TABLE t (\n a int)"), "CREATE TABLE t (");
    }
}
