//! `Endpoint`: a host and perhaps a port.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A host and perhaps a port: `127.0.0.1:9042`, `scylla-1`, `[::1]:9092`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    host: String,
    port: Option<u16>,
}

impl Endpoint {
    /// The name or address, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, if one was written.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// `host:port`, with this port where none was written.
    pub fn with_default_port(&self, port: u16) -> String {
        Self { port: Some(self.port.unwrap_or(port)), host: self.host.clone() }.to_string()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl FromStr for Endpoint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.contains("://") {
            return Err("this address begins with a scheme\nwrite host:port alone, without `…://`");
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or(SHAPE)?,
            // More than one colon without brackets is an IPv6 address.
            None if text.matches(':').count() > 1 => (text, ""),
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match port.strip_prefix(':') {
            Some(digits) => Some(digits.parse().ok().filter(|port| *port > 0).ok_or(PORT)?),
            None if port.is_empty() => None,
            None => return Err(SHAPE),
        };
        if !is_host(host) || (host.contains(':') && host.parse::<std::net::Ipv6Addr>().is_err()) {
            return Err(SHAPE);
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

const SHAPE: &str = "expected an address\nwrite host:port, for example `127.0.0.1:9042` or `[::1]:9042`";
const PORT: &str = "this address has no usable port\nwrite a whole number from 1 to 65535 behind the colon";

fn is_host(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    !host.is_empty() && host.bytes().all(allowed)
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Endpoint {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Endpoint".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "address",
            "type": "string",
            "description": "A host and perhaps a port.",
            "examples": ["127.0.0.1:9042", "scylla-1:9042"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn hosts_ports_and_addresses_of_both_families_are_read() {
        for (text, host, port, shown) in [
            ("127.0.0.1:9042", "127.0.0.1", Some(9042), "127.0.0.1:9042"),
            ("scylla-1.local", "scylla-1.local", None, "scylla-1.local:1"),
            ("[::1]:9092", "::1", Some(9092), "[::1]:9092"),
            ("fe80::1", "fe80::1", None, "[fe80::1]:1"),
            (" redpanda_0:9092 ", "redpanda_0", Some(9092), "redpanda_0:9092"),
        ] {
            let endpoint: Endpoint = text.parse().expect(text);
            assert_eq!((endpoint.host(), endpoint.port()), (host, port), "{text}");
            assert_eq!(endpoint.with_default_port(1), shown);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", ":9042", "a:", "a:0", "a:70000", "a b:1", "http://a:1", "[::1", "[::1]9042", "a:b:c"]
        {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
