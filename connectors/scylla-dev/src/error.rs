//! What a client is told when a statement fails: an error code of the protocol and ScyllaDB's wording.
use bytes::{BufMut, Bytes};

/// A failed statement or frame, as it goes to the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DbError {
    /// The code and what the protocol adds to it.
    pub code: ErrorCode,
    /// For a person to read; clients match on some of the texts.
    pub message: String,
}

/// The error codes of CQL v4 with the fields that follow the message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the protocol's own")]
pub enum ErrorCode {
    Server,
    Protocol,
    Credentials,
    Unavailable { consistency: u16, required: i32, alive: i32 },
    Overloaded,
    Bootstrapping,
    Truncate,
    WriteTimeout { consistency: u16, received: i32, block_for: i32, write_type: &'static str },
    ReadTimeout { consistency: u16, received: i32, block_for: i32, data_present: u8 },
    ReadFailure { consistency: u16, received: i32, block_for: i32, failures: i32 },
    WriteFailure { consistency: u16, received: i32, block_for: i32, failures: i32 },
    Syntax,
    Unauthorized,
    Invalid,
    Config,
    AlreadyExists { keyspace: String, table: String },
    Unprepared { id: Bytes },
}

impl DbError {
    /// An error with this code and text.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// 0x2200: understood, but wrong. Unknown tables and columns are this too.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Invalid, message)
    }

    /// 0x2000: the text is not CQL.
    pub fn syntax(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Syntax, message)
    }

    /// 0x2300: an option of a keyspace or table is wrong.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Config, message)
    }

    /// 0x000A: the frame is not what the protocol allows.
    pub fn protocol(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Protocol, message)
    }

    /// 0x2100: not allowed to do this.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unauthorized, message)
    }

    /// 0x0000: the server's own fault.
    pub fn server(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Server, message)
    }

    /// 0x2400: the keyspace (`table` empty) or table is there already.
    pub fn already_exists(keyspace: &str, table: &str) -> Self {
        let message = if table.is_empty() {
            format!("Cannot add existing keyspace \"{keyspace}\"")
        } else {
            format!("Cannot add already existing table \"{table}\" to keyspace \"{keyspace}\"")
        };
        let code = ErrorCode::AlreadyExists { keyspace: keyspace.to_owned(), table: table.to_owned() };
        Self::new(code, message)
    }
}

impl ErrorCode {
    /// The number on the wire.
    pub fn number(&self) -> i32 {
        match self {
            Self::Server => 0x0000,
            Self::Protocol => 0x000A,
            Self::Credentials => 0x0100,
            Self::Unavailable { .. } => 0x1000,
            Self::Overloaded => 0x1001,
            Self::Bootstrapping => 0x1002,
            Self::Truncate => 0x1003,
            Self::WriteTimeout { .. } => 0x1100,
            Self::ReadTimeout { .. } => 0x1200,
            Self::ReadFailure { .. } => 0x1300,
            Self::WriteFailure { .. } => 0x1500,
            Self::Syntax => 0x2000,
            Self::Unauthorized => 0x2100,
            Self::Invalid => 0x2200,
            Self::Config => 0x2300,
            Self::AlreadyExists { .. } => 0x2400,
            Self::Unprepared { .. } => 0x2500,
        }
    }

    /// Writes what follows the message in an ERROR frame.
    pub(crate) fn write_details(&self, out: &mut impl BufMut) {
        match self {
            Self::Unavailable { consistency, required, alive } => {
                out.put_u16(*consistency);
                out.put_i32(*required);
                out.put_i32(*alive);
            }
            Self::WriteTimeout { consistency, received, block_for, write_type } => {
                put_counts(out, *consistency, *received, *block_for);
                put_string(out, write_type);
            }
            Self::ReadTimeout { consistency, received, block_for, data_present } => {
                put_counts(out, *consistency, *received, *block_for);
                out.put_u8(*data_present);
            }
            Self::ReadFailure { consistency, received, block_for, failures } => {
                put_counts(out, *consistency, *received, *block_for);
                out.put_i32(*failures);
                out.put_u8(0);
            }
            Self::WriteFailure { consistency, received, block_for, failures } => {
                put_counts(out, *consistency, *received, *block_for);
                out.put_i32(*failures);
                put_string(out, "SIMPLE");
            }
            Self::AlreadyExists { keyspace, table } => {
                put_string(out, keyspace);
                put_string(out, table);
            }
            Self::Unprepared { id } => {
                out.put_u16(u16::try_from(id.len()).unwrap_or(0));
                out.put_slice(id);
            }
            _ => {}
        }
    }
}

fn put_counts(out: &mut impl BufMut, consistency: u16, received: i32, block_for: i32) {
    out.put_u16(consistency);
    out.put_i32(received);
    out.put_i32(block_for);
}

fn put_string(out: &mut impl BufMut, text: &str) {
    let length = text.len().min(usize::from(u16::MAX));
    out.put_u16(u16::try_from(length).unwrap_or(u16::MAX));
    out.put_slice(&text.as_bytes()[..length]);
}
