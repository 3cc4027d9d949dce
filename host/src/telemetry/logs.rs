//! The log on standard error, for people or as one JSON object a line.

use std::io::{self, IsTerminal};
use std::str::FromStr;

use tracing::Subscriber;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{self, DefaultFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};
use weir_sdk::{Error, ErrorKind};

use super::repeats::Repeats;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people, in colour on a terminal.
    Human,
    /// One JSON object a line: `timestamp`, `level`, `target` and `fields`, of which `message` is one.
    Json,
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err(Error::new(ErrorKind::Config, "the log format is human or json")),
        }
    }
}

/// Everything is logged from now on, at the levels of `filter` (as in `info,weir_host=debug`), or of [`DEFAULT`].
///
/// A filter that cannot be read is itself logged, and the default taken: no run fails for its log. Only the first call
/// of a process counts.
pub fn init(format: Format, filter: Option<&str>) {
    let (levels, wrong) = match levels(filter) {
        Ok(levels) => (levels, None),
        Err(error) => (EnvFilter::new(DEFAULT), Some(error)),
    };
    let plain = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let lines = dressed(format, plain);
    // Who asks for levels of their own gets every line.
    let lines = if is_given(filter) { lines } else { lines.with_filter(Repeats::default()).boxed() };
    let first = tracing_subscriber::registry().with(levels).with(lines).try_init();
    if let (Ok(()), Some(error)) = (first, wrong) {
        tracing::warn!(%error, filter, "the filter of the log cannot be read, so it is {DEFAULT}");
    }
}

/// What is logged unless asked otherwise: the host's own words, and of the client libraries only what states and
/// errors do not already tell, each of the driver's warnings once a minute. `RUST_LOG=info,scylla=warn` shows them all.
pub const DEFAULT: &str = "info,scylla=warn,librdkafka=error";

fn levels(filter: Option<&str>) -> Result<EnvFilter, ParseError> {
    EnvFilter::try_new(filter.filter(|_| is_given(filter)).unwrap_or(DEFAULT))
}

fn is_given(filter: Option<&str>) -> bool {
    filter.is_some_and(|filter| !filter.trim().is_empty())
}

/// A layer that writes plain lines, in this format.
fn dressed<S, W>(
    format: Format,
    plain: fmt::Layer<S, DefaultFields, format::Format, W>,
) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    match format {
        Format::Human => plain.boxed(),
        Format::Json => plain.json().boxed(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Format, dressed, levels};
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::fmt;
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What these two lines look like.
    fn logged(format: Format, filter: Option<&str>) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let plain = fmt::layer().with_writer(move || writer.clone()).with_ansi(false);
        let subscriber =
            tracing_subscriber::registry().with(levels(filter).unwrap()).with(dressed(format, plain));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(address = %"127.0.0.1:9090", "listening");
            tracing::debug!("a detail");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn people_read_lines() {
        let text = logged(Format::Human, None);
        assert!(text.ends_with("listening address=127.0.0.1:9090\n"), "{text}");
        assert!(text.contains(" INFO "), "{text}");
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn machines_read_objects() {
        let text = logged(Format::Json, Some("debug"));
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(
            lines[0]["fields"],
            serde_json::json!({"message": "listening", "address": "127.0.0.1:9090"})
        );
        assert_eq!((&lines[0]["level"], &lines[1]["level"]), (&"INFO".into(), &"DEBUG".into()));
    }

    #[test]
    fn a_filter_selects_and_a_wrong_one_is_told() {
        assert_eq!(logged(Format::Human, Some("warn")), "");
        assert_eq!(logged(Format::Human, Some(" ")).lines().count(), 1);
        assert!(levels(Some("info,weir=loud")).is_err());
        assert!("yaml".parse::<Format>().is_err());
    }
}
