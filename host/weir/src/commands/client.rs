//! `Client`: asks the HTTP listener of a running host, one request a connection.
//!
//! By hand over TCP: a request line, a JSON answer with its length, nothing that a library would do better.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use weir_sdk::config::Secret;
use weir_sdk::{Error, ErrorKind};

/// Knows where the host listens, and its token.
pub(crate) struct Client {
    address: SocketAddr,
    token: Option<Secret>,
}

/// What the host answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// Longer than the host takes for any answer.
const PATIENCE: Duration = Duration::from_secs(40);
const LARGEST: u64 = 64 << 20;

impl Client {
    /// Of the host that listens on `address`; on any address of this machine, if it is the unspecified one.
    pub(crate) fn new(mut address: SocketAddr, token: Option<Secret>) -> Self {
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            });
        }
        Self { address, token }
    }

    /// Sends a request without a body.
    ///
    /// # Errors
    /// Nobody listens there, or no weir.
    pub(crate) async fn send(&self, method: &str, path: &str) -> Result<Answer, Error> {
        let exchange = timeout(PATIENCE, self.exchange(method, path)).await;
        let bytes =
            exchange.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())).map_err(|error| {
                Error::new(ErrorKind::Unavailable, format!("no weir answers at {}", self.address))
                    .caused_by(error)
                    .advice("start `weir run`, or say where it listens with --listen or METRICS_PORT")
            })?;
        parse(&bytes).ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, format!("what answers at {} is no weir", self.address))
                .advice("say where weir listens with --listen or METRICS_PORT")
        })
    }

    async fn exchange(&self, method: &str, path: &str) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.address).await?;
        let token = self.token.as_ref().map(|token| format!("Authorization: Bearer {}\r\n", token.expose()));
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: 0\r\n{}\r\n",
            self.address,
            token.unwrap_or_default()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.take(LARGEST).read_to_end(&mut bytes).await?;
        Ok(bytes)
    }
}

/// A path segment in which every byte that means something else stands as `%XX`.
pub(crate) fn segment(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    name.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// `None` when it is no whole answer in JSON.
fn parse(bytes: &[u8]) -> Option<Answer> {
    let (head, body) = std::str::from_utf8(bytes).ok()?.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let whole = length.is_none_or(|length| length == body.len());
    whole.then(|| serde_json::from_str(body).ok()).flatten().map(|body| Answer { status, body })
}

#[cfg(test)]
mod tests {
    use super::{parse, segment};

    #[test]
    fn an_answer_is_whole_or_none() {
        let answer = parse(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        assert_eq!((answer.status, answer.body), (404, serde_json::json!({})));
        for wrong in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\n\r\n<html>",
            b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}",
            b"HTTP/1.1 2\r\n\r\n{}",
            b"SSH-2.0\r\n\r\n{}",
            b"\xff\xff",
        ] {
            assert!(parse(wrong).is_none(), "{}", wrong.escape_ascii());
        }
    }

    #[test]
    fn a_name_cannot_leave_its_segment() {
        assert_eq!(segment("orders-1.x_Y"), "orders-1.x_Y");
        assert_eq!(segment("a/b c\r\n?\u{e9}"), "a%2Fb%20c%0D%0A%3F%C3%A9");
    }
}
