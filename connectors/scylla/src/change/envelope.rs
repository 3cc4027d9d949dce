//! What a record says of a change: our own JSON, or Debezium's envelope.

use std::io::Write as _;

use super::config::Format;
use crate::reader::row::RowId;
use crate::reader::time::Micros;

/// What a record says beside names and what was written, about.
const REST: usize = 400;

/// Makes values.
pub struct Envelope {
    format: Format,
    /// Keyspace and table as JSON, with the names of their members.
    names: String,
    /// What Debezium calls the source, as far as it is the same for all records.
    source: String,
}

/// One change.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// What was done.
    pub kind: Kind,
    /// The row of the log that says so.
    pub id: RowId,
    /// The key of the row, or of the partition if it is about more than one: an object, as are all that follow.
    pub key: &'a [u8],
    /// The other columns before.
    pub before: Option<&'a [u8]>,
    /// The other columns after.
    pub after: Option<&'a [u8]>,
    /// The columns that were written.
    pub changed: &'a [u8],
    /// The columns of which elements were written.
    pub elements: &'a [u8],
    /// The begin and the end of what was deleted.
    pub range: Option<[Bound<'a>; 2]>,
    /// What was written lives for so many seconds.
    pub ttl: Option<i64>,
}

/// Where a range begins or ends.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'a> {
    /// The columns of the key that it names; none where it is open.
    pub columns: &'a [u8],
    /// A row of that key is in it.
    pub inclusive: bool,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A row was inserted.
    Insert,
    /// A row was updated, or the static columns of a partition were written.
    Update,
    /// A row was deleted.
    Delete,
    /// All rows of a partition were deleted.
    DeletePartition,
    /// Some rows of a partition were deleted.
    DeleteRange,
}

impl Kind {
    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::DeletePartition => "delete_partition",
            Self::DeleteRange => "delete_range",
        }
    }

    /// Its letter in Debezium's envelope.
    fn letter(self) -> &'static str {
        match self {
            Self::Insert => "c",
            Self::Update => "u",
            Self::Delete | Self::DeletePartition | Self::DeleteRange => "d",
        }
    }
}

impl Envelope {
    /// Makes values of this format for the changes of a table; `pipeline` is who reads them.
    pub fn new(format: Format, (keyspace, table): (&str, &str), pipeline: &str) -> Self {
        let json = |text: &str| serde_json::Value::from(text);
        let (keyspace, table) = (json(keyspace), json(table));
        let source = format!(
            r#""version":"{}","connector":"scylla","name":{},"snapshot":"false","db":{keyspace},"keyspace_name":{keyspace},"table_name":{table}"#,
            env!("CARGO_PKG_VERSION"),
            json(pipeline),
        );
        Self { format, names: format!(r#""keyspace":{keyspace},"table":{table}"#), source }
    }

    /// How long a value is at most, and what else a record says, about.
    pub fn size(&self, change: &Change<'_>) -> usize {
        let Change { key, before, after, changed, elements, range, .. } = change;
        let images = before.iter().chain(after).map(|columns| key.len() + columns.len()).sum::<usize>();
        let bounds = range.iter().flatten().map(|bound| bound.columns.len()).sum::<usize>();
        let names = match self.format {
            Format::Json => self.names.len(),
            Format::Debezium => self.source.len(),
        };
        2 * key.len() + images + changed.len() + elements.len() + bounds + names + REST
    }

    /// Appends the value.
    pub fn put(&self, out: &mut Vec<u8>, change: &Change<'_>) {
        match self.format {
            Format::Json => self.put_json(out, change),
            Format::Debezium => self.put_debezium(out, change),
        }
    }

    fn put_json(&self, out: &mut Vec<u8>, change: &Change<'_>) {
        let Change { kind, id, key, before, after, changed, ttl, .. } = *change;
        put(out, format_args!(r#"{{"op":"{}",{},"key":"#, kind.name(), self.names));
        out.extend_from_slice(key);
        out.extend_from_slice(br#","before":"#);
        put_image(out, key, before);
        out.extend_from_slice(br#","after":"#);
        put_image(out, key, after);
        if matches!(kind, Kind::Insert | Kind::Update) {
            out.extend_from_slice(br#","changed":"#);
            out.extend_from_slice(changed);
        }
        put_rest(out, change);
        put(out, format_args!(r#","time_us":{}"#, id.micros()));
        if let Some(ttl) = ttl {
            put(out, format_args!(r#","ttl":{ttl}"#));
        }
        put(out, format_args!(r#","sequence":{},"source_position":"{id}"}}"#, id.place.seq));
    }

    /// Where the table keeps no image after, `after` has what was written; where it keeps none before, `before` of a
    /// delete has the key.
    fn put_debezium(&self, out: &mut Vec<u8>, change: &Change<'_>) {
        let Change { kind, id, key, before, after, changed, .. } = *change;
        let is_delete = kind.letter() == "d";
        out.extend_from_slice(br#"{"before":"#);
        put_image(out, key, before.or(is_delete.then_some(b"{}")));
        out.extend_from_slice(br#","after":"#);
        put_image(out, key, after.or((!is_delete).then_some(changed)));
        put_rest(out, change);
        put(out, format_args!(r#","source":{{{},"#, self.source));
        put_times(out, id.micros());
        put(
            out,
            format_args!(
                r#","sequence":{},"source_position":"{id}"}},"op":"{}","#,
                id.place.seq,
                kind.letter()
            ),
        );
        // Not when it was read: a change that is read twice makes the same record twice.
        put_times(out, id.micros());
        out.extend_from_slice(br#","transaction":null}"#);
    }
}

/// A row: its key and its other columns.
fn put_image(out: &mut Vec<u8>, key: &[u8], columns: Option<&[u8]>) {
    let Some(columns) = columns else {
        out.extend_from_slice(b"null");
        return;
    };
    match (key, columns) {
        (_, b"{}") => out.extend_from_slice(key),
        ([key @ .., b'}'], [b'{', columns @ ..]) => {
            out.extend_from_slice(key);
            out.push(b',');
            out.extend_from_slice(columns);
        }
        _ => out.extend_from_slice(columns),
    }
}

/// What only some changes have: elements and a range.
fn put_rest(out: &mut Vec<u8>, change: &Change<'_>) {
    if change.elements != b"{}" {
        out.extend_from_slice(br#","elements":"#);
        out.extend_from_slice(change.elements);
    }
    if let Some([from, to]) = change.range {
        out.extend_from_slice(br#","range":{"from":"#);
        put_bound(out, from);
        out.extend_from_slice(br#","to":"#);
        put_bound(out, to);
        out.push(b'}');
    }
}

fn put_bound(out: &mut Vec<u8>, Bound { columns, inclusive }: Bound<'_>) {
    if columns == b"{}" {
        out.extend_from_slice(b"null");
        return;
    }
    out.extend_from_slice(br#"{"key":"#);
    out.extend_from_slice(columns);
    put(out, format_args!(r#","inclusive":{inclusive}}}"#));
}

fn put_times(out: &mut Vec<u8>, at: Micros) {
    let (millis, nanos) = (at.div_euclid(1000), i128::from(at) * 1000);
    put(out, format_args!(r#""ts_ms":{millis},"ts_us":{at},"ts_ns":{nanos}"#));
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing into memory fails only if a value's own formatting does, and these do not.
    out.write_fmt(text).ok();
}
