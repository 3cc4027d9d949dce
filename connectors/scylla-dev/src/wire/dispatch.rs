//! One request in, one answer out.
use std::sync::Arc;

use bytes::BytesMut;
use scylla_cql::frame::types;

use super::frame::{self, Compression, Format, Frame, Reply, opcode};
use super::prepared::Statement;
use super::request::{self, BatchPart, malformed};
use super::{Server, login, response, shards};
use crate::error::DbError;
use crate::execute;
use crate::outcome::{ChangeKind, ChangeTarget, Outcome, SchemaChange, Session};
use crate::schema::{Schema, log_name};
use crate::statements;
use crate::value::types::put_name;

/// What a connection is, between requests.
#[derive(Debug, Default)]
pub(super) struct ConnectionState {
    pub(super) session: Session,
    /// Whether it wants to hear of schema changes.
    pub(super) registered: bool,
    pub(super) format: Format,
    /// Which shard it belongs to.
    shard: u16,
    stage: Stage,
    mark: response::Mark,
    tablets: Tablets,
}

impl ConnectionState {
    /// A new connection to this shard.
    pub(super) fn on(shard: u16) -> Self {
        Self { shard, ..Self::default() }
    }
}

/// Whether a client wants to be told of tablets it asks the wrong shard for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Tablets {
    #[default]
    Silent,
    Told,
}

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    #[default]
    New,
    LoggingIn,
    Ready,
}

/// Answers one request into `out`.
pub(super) fn answer(server: &Server, state: &mut ConnectionState, frame: &Frame, out: &mut BytesMut) {
    let start = out.len();
    // What STARTUP agrees on holds from the next frame on.
    let compression = state.format.compression;
    if let Err(error) = try_answer(server, state, frame, out) {
        out.truncate(start);
        put_error(out, frame.reply, &error);
    }
    frame::compress(out, start, compression);
}

/// Writes an ERROR frame.
pub(super) fn put_error(out: &mut BytesMut, reply: Reply, error: &DbError) {
    frame::put(out, reply, opcode::ERROR, |out| response::error(out, error));
}

fn try_answer(
    server: &Server,
    state: &mut ConnectionState,
    frame: &Frame,
    out: &mut BytesMut,
) -> Result<(), DbError> {
    check_stage(state.stage, frame.opcode)?;
    match frame.opcode {
        opcode::OPTIONS => {
            let shards = server.store.node().layout.shards;
            let supported = |out: &mut _| response::supported(out, state.shard, shards);
            frame::put(out, frame.reply, opcode::SUPPORTED, supported);
        }
        opcode::STARTUP => startup(server, state, frame, out)?,
        opcode::AUTH_RESPONSE => {
            let Some(login) = &server.login else {
                return Err(DbError::protocol("Unexpected message AUTH_RESPONSE, nobody logs in here"));
            };
            login.check(&frame.body)?;
            state.stage = Stage::Ready;
            // An empty token.
            frame::put(out, frame.reply, opcode::AUTH_SUCCESS, |out| out.extend_from_slice(&[0; 4]));
        }
        opcode::REGISTER => {
            let events = types::read_string_list(&mut &frame.body[..]).map_err(malformed)?;
            let known = ["TOPOLOGY_CHANGE", "STATUS_CHANGE", "SCHEMA_CHANGE"];
            if let Some(event) = events.iter().find(|event| !known.contains(&event.as_str())) {
                return Err(DbError::protocol(format!("Invalid value '{event}' for Event.Type")));
            }
            state.registered |= events.iter().any(|event| event == "SCHEMA_CHANGE");
            frame::put(out, frame.reply, opcode::READY, |_| {});
        }
        opcode::QUERY => query(server, state, frame, out)?,
        opcode::PREPARE => prepare(server, state, frame, out)?,
        opcode::EXECUTE => execute(server, state, frame, out)?,
        opcode::BATCH => batch(server, state, frame, out)?,
        other => return Err(DbError::protocol(format!("Unknown opcode {other}"))),
    }
    Ok(())
}

/// Which requests a connection may make.
fn check_stage(stage: Stage, opcode: u8) -> Result<(), DbError> {
    match (stage, opcode) {
        (_, opcode::OPTIONS) | (Stage::New, opcode::STARTUP) | (Stage::LoggingIn, opcode::AUTH_RESPONSE) => {
            Ok(())
        }
        (Stage::New, other) => {
            Err(DbError::protocol(format!("Unexpected message {other}, expecting STARTUP or OPTIONS")))
        }
        (Stage::LoggingIn, other) => {
            Err(DbError::protocol(format!("Unexpected message {other}, expecting SASL_RESPONSE")))
        }
        (Stage::Ready, opcode::STARTUP) => {
            Err(DbError::protocol("Unexpected message STARTUP, the connection is already initialized"))
        }
        (Stage::Ready, _) => Ok(()),
    }
}

fn startup(
    server: &Server,
    state: &mut ConnectionState,
    frame: &Frame,
    out: &mut BytesMut,
) -> Result<(), DbError> {
    let options = types::read_string_map(&mut &frame.body[..]).map_err(malformed)?;
    let compression = match options.get("COMPRESSION").map(|name| name.to_ascii_lowercase()).as_deref() {
        None | Some("") => Compression::None,
        Some("lz4") => Compression::Lz4,
        Some("snappy") => Compression::Snappy,
        Some(name) => return Err(DbError::protocol(format!("Unknown compression algorithm: {name}"))),
    };
    state.format.compression = compression;
    if options.contains_key(response::LWT_MARK) {
        state.mark = response::Mark::Wanted;
    }
    // With one shard there is no wrong one.
    if options.contains_key(shards::EXTENSION) && server.store.node().layout.shards > 1 {
        state.tablets = Tablets::Told;
    }
    if server.login.is_some() {
        state.stage = Stage::LoggingIn;
        frame::put(out, frame.reply, opcode::AUTHENTICATE, |out| put_name(login::AUTHENTICATOR, out));
    } else {
        state.stage = Stage::Ready;
        frame::put(out, frame.reply, opcode::READY, |_| {});
    }
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
    server.faults.looked_for(outcome.looked_for());
    let telling = Telling {
        reply: frame.reply,
        skip_metadata: parameters.skip_metadata,
        before: &schema,
        elsewhere: None,
    };
    put_outcome(server, state, &telling, outcome, out);
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
    frame::put(out, frame.reply, opcode::RESULT, |out| {
        response::prepared(out, frame.reply.version, &statement, state.mark);
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
    server.faults.looked_for(outcome.looked_for());
    statement.counts.add(outcome.looked_for());
    let elsewhere = match state.tablets {
        Tablets::Silent => None,
        Tablets::Told => {
            let asked = (&*statement.prepared, values.as_ref());
            shards::tablet_elsewhere(&schema, server.store.node(), asked, state.shard)
        }
    };
    let telling =
        Telling { reply: frame.reply, skip_metadata: parameters.skip_metadata, before: &schema, elsewhere };
    put_outcome(server, state, &telling, outcome, out);
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
    let telling = Telling { reply: frame.reply, skip_metadata: false, before: &schema, elsewhere: None };
    put_outcome(server, state, &telling, outcome, out);
    Ok(())
}

/// How an outcome is told.
struct Telling<'r> {
    reply: Reply,
    skip_metadata: bool,
    /// The schema before the statement.
    before: &'r Schema,
    /// The tablet of another shard that it should have been sent to.
    elsewhere: Option<Vec<u8>>,
}

fn put_outcome(
    server: &Server,
    state: &mut ConnectionState,
    telling: &Telling<'_>,
    outcome: Outcome,
    out: &mut BytesMut,
) {
    let payload = telling.elsewhere.as_deref().map(|tablet| (shards::PAYLOAD, tablet));
    frame::put_with(out, telling.reply, opcode::RESULT, payload, |out| match outcome {
        Outcome::Void => response::void(out),
        Outcome::Rows(rows) => response::rows(out, &rows, telling.skip_metadata),
        Outcome::SetKeyspace(keyspace) => {
            response::set_keyspace(out, &keyspace);
            state.session.keyspace = Some(keyspace);
        }
        Outcome::SchemaChange(change) => {
            response::schema_change(out, &change);
            let log = change_of_log(&change, telling.before, &server.store.schema());
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
