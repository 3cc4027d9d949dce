//! Names of keyspaces, tables and columns as CQL needs them to be written.

/// The name as it is written in a statement: in double quotes unless it is plain lower case and no word of the language.
pub(crate) fn quoted(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain && !is_reserved(name) { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Whether the word names something only in double quotes.
pub(crate) fn is_reserved(word: &str) -> bool {
    matches!(
        word,
        "add"
            | "allow"
            | "alter"
            | "and"
            | "apply"
            | "asc"
            | "authorize"
            | "batch"
            | "begin"
            | "by"
            | "columnfamily"
            | "create"
            | "delete"
            | "desc"
            | "describe"
            | "drop"
            | "entries"
            | "execute"
            | "from"
            | "full"
            | "grant"
            | "if"
            | "in"
            | "index"
            | "infinity"
            | "insert"
            | "into"
            | "is"
            | "keyspace"
            | "limit"
            | "materialized"
            | "modify"
            | "nan"
            | "norecursive"
            | "not"
            | "null"
            | "of"
            | "on"
            | "or"
            | "order"
            | "primary"
            | "rename"
            | "revoke"
            | "schema"
            | "select"
            | "set"
            | "table"
            | "to"
            | "token"
            | "truncate"
            | "unlogged"
            | "update"
            | "use"
            | "using"
            | "view"
            | "where"
            | "with"
    )
}
