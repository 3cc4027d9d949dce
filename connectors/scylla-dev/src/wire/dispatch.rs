//! One request in, one answer out.
use std::sync::Arc;

use bytes::BytesMut;
use scylla_cql::frame::types;

use super::frame::{self, Compression, Frame, opcode};
use super::prepared::Statement;
use super::request::{self, BatchPart, malformed};
use super::{Server, response};
use crate::error::DbError;
use crate::execute;
use crate::outcome::{ChangeKind, ChangeTarget, Outcome, SchemaChange, Session};
use crate::schema::{Schema, log_name};
use crate::statements;

/// What a connection is, between requests.
#[derive(Debug, Default)]
pub(super) struct ConnectionState {
    pub(super) session: Session,
    /// Whether it wants to hear of schema changes.
    pub(super) registered: bool,
    pub(super) compression: Compression,
    started: bool,
    mark: response::Mark,
}

/// Answers one request into `out`.
pub(super) fn answer(server: &Server, state: &mut ConnectionState, frame: &Frame, out: &mut BytesMut) {
    let start = out.len();
    // What STARTUP agrees on holds from the next frame on.
    let compression = state.compression;
    if let Err(error) = try_answer(server, state, frame, out) {
        out.truncate(start);
        put_error(out, frame.stream, &error);
    }
    frame::compress(out, start, compression);
}

/// Writes an ERROR frame.
pub(super) fn put_error(out: &mut BytesMut, stream: i16, error: &DbError) {
    frame::put(out, stream, opcode::ERROR, |out| response::error(out, error));
}

fn try_answer(
    server: &Server,
    state: &mut ConnectionState,
    frame: &Frame,
    out: &mut BytesMut,
) -> Result<(), DbError> {
    let early = matches!(frame.opcode, opcode::OPTIONS | opcode::STARTUP);
    if !early && !state.started {
        return Err(DbError::protocol("Unexpected message, expecting STARTUP or OPTIONS"));
    }
    match frame.opcode {
        opcode::OPTIONS => frame::put(out, frame.stream, opcode::SUPPORTED, response::supported),
        opcode::STARTUP => {
            startup(state, frame)?;
            frame::put(out, frame.stream, opcode::READY, |_| {});
        }
        opcode::REGISTER => {
            let events = types::read_string_list(&mut &frame.body[..]).map_err(malformed)?;
            state.registered |= events.iter().any(|event| event == "SCHEMA_CHANGE");
            frame::put(out, frame.stream, opcode::READY, |_| {});
        }
        opcode::QUERY => query(server, state, frame, out)?,
        opcode::PREPARE => prepare(server, state, frame, out)?,
        opcode::EXECUTE => execute(server, state, frame, out)?,
        opcode::BATCH => batch(server, state, frame, out)?,
        other => return Err(DbError::protocol(format!("Unknown opcode {other:#04x}"))),
    }
    Ok(())
}

fn startup(state: &mut ConnectionState, frame: &Frame) -> Result<(), DbError> {
    let options = types::read_string_map(&mut &frame.body[..]).map_err(malformed)?;
    state.compression = match options.get("COMPRESSION").map(String::as_str) {
        None | Some("") => Compression::None,
        Some(name) if name.eq_ignore_ascii_case("lz4") => Compression::Lz4,
        Some(name) => return Err(DbError::protocol(format!("Unknown compression algorithm: {name}"))),
    };
    if options.contains_key(response::LWT_MARK) {
        state.mark = response::Mark::Wanted;
    }
    state.started = true;
    Ok(())
}

fn query(
    server: &Server,
    state: &mut ConnectionState,
    frame: &Frame,
    out: &mut BytesMut,
) -> Result<(), DbError> {
    let rest = &mut &frame.body[..];
    let text = types::read_long_string(rest).map_err(malformed)?;
    let parameters = request::parameters(&frame.body, rest)?;
    server.faults.check(text)?;
    let schema = server.store.schema();
    let prepared = statements::prepare(text, state.session.keyspace.as_deref(), &schema)?;
    let values = parameters.values.in_order(prepared.bind_specs())?;
    let outcome = execute::run(&server.store, &prepared, &values, &parameters.options)?;
    let reply = Reply { stream: frame.stream, skip_metadata: parameters.skip_metadata, before: &schema };
    put_outcome(server, state, &reply, outcome, out);
    Ok(())
}

fn prepare(
    server: &Server,
    state: &ConnectionState,
    frame: &Frame,
    out: &mut BytesMut,
) -> Result<(), DbError> {
    let text = request::text(&mut &frame.body[..])?;
    let schema = server.store.schema();
    let statement = server.prepared.prepare(&text, state.session.keyspace.as_deref(), &schema)?;
    frame::put(out, frame.stream, opcode::RESULT, |out| {
        response::prepared(out, &statement.id, &statement.prepared, state.mark);
    });
    Ok(())
}

fn execute(
    server: &Server,
    state: &mut ConnectionState,
    frame: &Frame,
    out: &mut BytesMut,
) -> Result<(), DbError> {
    let rest = &mut &frame.body[..];
    let id = frame.body.slice_ref(types::read_short_bytes(rest).map_err(malformed)?);
    let parameters = request::parameters(&frame.body, rest)?;
    let schema = server.store.schema();
    let statement = server.prepared.get(&id, &schema)?;
    server.faults.check(&statement.text)?;
    let values = parameters.values.in_order(statement.prepared.bind_specs())?;
    let outcome = execute::run(&server.store, &statement.prepared, &values, &parameters.options)?;
    let reply = Reply { stream: frame.stream, skip_metadata: parameters.skip_metadata, before: &schema };
    put_outcome(server, state, &reply, outcome, out);
    Ok(())
}

fn batch(
    server: &Server,
    state: &mut ConnectionState,
    frame: &Frame,
    out: &mut BytesMut,
) -> Result<(), DbError> {
    let request = request::batch(&frame.body)?;
    let schema = server.store.schema();
    let keyspace = state.session.keyspace.as_deref();
    let mut statements = Vec::with_capacity(request.parts.len());
    for part in request.parts {
        let (prepared, values) = match part {
            BatchPart::Text(text, values) => {
                server.faults.check(&text)?;
                (Arc::new(statements::prepare(&text, keyspace, &schema)?), values)
            }
            BatchPart::Prepared(id, values) => {
                let statement: Arc<Statement> = server.prepared.get(&id, &schema)?;
                server.faults.check(&statement.text)?;
                (Arc::clone(&statement.prepared), values)
            }
        };
        let values = request::Values::Positional(values).in_order(prepared.bind_specs())?;
        statements.push((prepared, values));
    }
    let outcome = execute::run_batch(&server.store, request.kind, &statements, &request.options)?;
    let reply = Reply { stream: frame.stream, skip_metadata: false, before: &schema };
    put_outcome(server, state, &reply, outcome, out);
    Ok(())
}

/// How an outcome is told.
struct Reply<'r> {
    stream: i16,
    skip_metadata: bool,
    /// The schema before the statement.
    before: &'r Schema,
}

fn put_outcome(
    server: &Server,
    state: &mut ConnectionState,
    reply: &Reply<'_>,
    outcome: Outcome,
    out: &mut BytesMut,
) {
    frame::put(out, reply.stream, opcode::RESULT, |out| match outcome {
        Outcome::Void => response::void(out),
        Outcome::Rows(rows) => response::rows(out, &rows, reply.skip_metadata),
        Outcome::SetKeyspace(keyspace) => {
            response::set_keyspace(out, &keyspace);
            state.session.keyspace = Some(keyspace);
        }
        Outcome::SchemaChange(change) => {
            response::schema_change(out, &change);
            let log = change_of_log(&change, reply.before, &server.store.schema());
            for change in std::iter::once(change).chain(log) {
                // Nobody listening is no failure.
                server.schema_changes.send(change).ok();
            }
        }
    });
}

/// What a change of a table did to its CDC log, which clients are told of like of any other table.
fn change_of_log(change: &SchemaChange, before: &Schema, after: &Schema) -> Option<SchemaChange> {
    let ChangeTarget::Table(table) = &change.target else {
        return None;
    };
    let name = log_name(table);
    let keyspace = &change.keyspace;
    let kind = match (before.table(keyspace, &name), after.table(keyspace, &name)) {
        (Err(_), Ok(_)) => ChangeKind::Created,
        (Ok(_), Err(_)) => ChangeKind::Dropped,
        (Ok(before), Ok(after)) if !Arc::ptr_eq(before, after) => ChangeKind::Updated,
        _ => return None,
    };
    Some(SchemaChange { kind, target: ChangeTarget::Table(name), keyspace: keyspace.clone() })
}
