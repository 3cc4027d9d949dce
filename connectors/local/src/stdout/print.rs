//! `Printer`: prints chunks whole or says what happened to the reader.

use std::io::{self, Write};

use weir_sdk::{Error, ErrorKind};

use crate::writer::Target;

/// Any stream of bytes that somebody reads.
pub(super) struct Printer<W> {
    stream: W,
    /// An append failed, perhaps inside a line.
    torn: bool,
    /// The reader has gone, and a pipe gets no new one.
    gone: bool,
}

impl<W: Write> Printer<W> {
    pub(super) fn new(stream: W) -> Self {
        Self { stream, torn: false, gone: false }
    }

    fn try_append(&mut self, chunks: &[Vec<u8>]) -> io::Result<()> {
        if self.torn {
            // The rest of a torn line stays a line of its own.
            self.stream.write_all(b"\n")?;
            self.torn = false;
        }
        self.torn = true;
        for chunk in chunks {
            self.stream.write_all(chunk)?;
        }
        self.stream.flush()?;
        self.torn = false;
        Ok(())
    }

    fn judge(&mut self, result: io::Result<()>) -> Result<(), Error> {
        let Err(error) = result else { return Ok(()) };
        self.gone |= error.kind() == io::ErrorKind::BrokenPipe;
        let kind = if self.gone { ErrorKind::Unavailable } else { ErrorKind::Transient };
        let fault = Error::new(kind, "standard output").caused_by(error);
        Err(if self.gone {
            fault.advice("whoever read it has gone; start again with a reader")
        } else {
            fault
        })
    }
}

impl<W: Write + Send + 'static> Target for Printer<W> {
    fn append(&mut self, chunks: &[Vec<u8>]) -> Result<(), Error> {
        let result = self.try_append(chunks);
        self.judge(result)
    }

    fn probe(&mut self) -> Result<(), Error> {
        let result = if self.gone { Err(io::ErrorKind::BrokenPipe.into()) } else { self.stream.flush() };
        self.judge(result)
    }
}
