//! `Traceparent`: where in a distributed trace an event was written, carried along as it came.
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The W3C trace context of a request: version, trace id, span id and flags, 55 letters in all.
///
/// ```
/// use weir_event_store::Traceparent;
///
/// let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// assert_eq!(header.parse::<Traceparent>()?.as_str(), header);
/// # Ok::<(), weir_event_store::NotATraceparent>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Traceparent([u8; 55]);

/// A text that is no trace context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no `traceparent`: write VERSION-TRACE-SPAN-FLAGS in lower-case hex digits, 2, 32, 16 and 2 of them")]
pub struct NotATraceparent;

impl Traceparent {
    /// As it stands in a header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("only hex digits and dashes are taken in")
    }
}

impl FromStr for Traceparent {
    type Err = NotATraceparent;

    fn from_str(text: &str) -> Result<Self, NotATraceparent> {
        let bytes: [u8; 55] = text.as_bytes().try_into().map_err(|_| NotATraceparent)?;
        let fits = bytes.iter().enumerate().all(|(at, byte)| match at {
            2 | 35 | 52 => *byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        });
        let is_zero = |part: &[u8]| part.iter().all(|byte| *byte == b'0');
        let known = &bytes[..2] != b"ff" && !is_zero(&bytes[3..35]) && !is_zero(&bytes[36..52]);
        if fits && known { Ok(Self(bytes)) } else { Err(NotATraceparent) }
    }
}

impl fmt::Debug for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Traceparent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Traceparent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{NotATraceparent, Traceparent};

    #[test]
    fn only_a_trace_context_is_taken_in() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace: Traceparent = good.parse().unwrap();
        let json = serde_json::to_string(&trace).unwrap();
        assert_eq!(serde_json::from_str::<Traceparent>(&json).unwrap().as_str(), good);
        for wrong in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
        ] {
            assert_eq!(wrong.parse::<Traceparent>(), Err(NotATraceparent), "{wrong}");
        }
    }
}
