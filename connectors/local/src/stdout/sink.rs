//! `StdoutSink`: turns records into lines and waits until they are printed.

use std::io::Write;

use async_trait::async_trait;
use weir_sdk::{Error, Records, Sink, WriteError};

use super::Format;
use super::print::Printer;
use crate::line;
use crate::writer::Writer;

/// An open stream.
pub(super) struct StdoutSink {
    format: Format,
    writer: Writer,
}

impl StdoutSink {
    pub(super) fn over(format: Format, stream: impl Write + Send + 'static) -> Result<Self, Error> {
        Ok(Self { format, writer: Writer::start("stdout-sink", Printer::new(stream))? })
    }
}

#[async_trait]
impl Sink for StdoutSink {
    async fn write(&self, records: Records) -> Result<(), WriteError> {
        let mut lines = Vec::with_capacity(records.size() + records.len() * 128);
        for record in records.iter() {
            match self.format {
                Format::Json => line::write(record, &mut lines),
                Format::Value => {
                    lines.extend_from_slice(record.value.as_deref().unwrap_or_default());
                    lines.push(b'\n');
                }
            }
        }
        Ok(self.writer.append(lines).await?)
    }

    async fn probe(&self) -> Result<(), Error> {
        self.writer.probe().await
    }

    async fn close(&self) -> Result<(), Error> {
        self.writer.close().await;
        Ok(())
    }
}
