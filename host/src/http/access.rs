//! `Access`: who may ask.
//!
//! A listener that only this machine reaches is still reached by every page in a browser on it: a page can send requests
//! to 127.0.0.1, and with a name that it lets point there (DNS rebinding) it can read the answers. So without a token
//! the request must name this machine as `Host`, which such a page cannot, and its `Origin`, if any, must be here too.

use std::hint::black_box;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use weir_sdk::config::Secret;
use weir_sdk::{Error, ErrorKind};

use super::refusal_with;

/// Who may ask.
#[derive(Clone, Debug)]
pub enum Access {
    /// Whoever is on this machine.
    Loopback,
    /// Whoever shows this token, as `Authorization: Bearer TOKEN`. `/live` and `/ready` need none.
    Token(Secret),
    /// Whoever reaches the address.
    Insecure,
}

impl Access {
    /// # Errors
    /// Other machines reach the address, and nothing keeps them out.
    pub(super) fn check_address(&self, address: SocketAddr) -> Result<(), Error> {
        let wrong = |message: String| Error::new(ErrorKind::Config, message);
        match self {
            Self::Loopback if !is_here(address.ip()) => {
                Err(wrong(format!("other machines reach {address}, so it needs a token")).advice(
                    "listen on 127.0.0.1, or set a token, or say `insecure` if the network keeps others out",
                ))
            }
            Self::Token(token) if token.expose().trim().is_empty() => {
                Err(wrong("the token of the HTTP listener is empty".to_owned())
                    .advice("give it a long random text, for instance from `openssl rand -hex 32`"))
            }
            Self::Loopback | Self::Token(_) | Self::Insecure => Ok(()),
        }
    }

    fn refuses(&self, path: &str, headers: &HeaderMap) -> Option<Response> {
        match self {
            Self::Insecure => (!is_of_its_own_page(headers)).then(elsewhere),
            Self::Token(token) => {
                let open = matches!(path, "/live" | "/ready");
                (!open && !shows(headers, token)).then(unauthorized)
            }
            Self::Loopback => {
                let asked_here = headers.get(header::HOST).is_some_and(|host| names_here(host.as_bytes()));
                let from_here = headers.get(header::ORIGIN).is_none_or(|origin| {
                    let origin = origin.as_bytes();
                    let host = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
                    host.is_some_and(names_here)
                });
                (!asked_here || !from_here).then(foreign)
            }
        }
    }
}

/// Whoever reaches the address may ask, but no page of another site may have a browser ask for it.
fn is_of_its_own_page(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let origin = origin.as_bytes();
    let host = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    host.is_some() && host == headers.get(header::HOST).map(HeaderValue::as_bytes)
}

/// Lets a request pass, or answers it.
pub(super) async fn check(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    match access.refuses(request.uri().path(), request.headers()) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    }
}

fn shows(headers: &HeaderMap, token: &Secret) -> bool {
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, shown) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(shown)
    });
    shown.is_some_and(|shown| same(shown.trim_ascii(), token.expose().trim().as_bytes()))
}

/// Compares in a time that tells nothing but the lengths.
fn same(shown: &[u8], token: &[u8]) -> bool {
    let pairs = shown.iter().zip(token);
    let differences = pairs.fold(0, |differences, (a, b)| black_box(differences | (a ^ b)));
    shown.len() == token.len() && differences == 0
}

/// Whether the host of `host:port` is this machine, in a way that no name server can decide.
fn names_here(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_here)
}

fn is_here(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn unauthorized() -> Response {
    let advice = "send the token of the listener as `Authorization: Bearer TOKEN`";
    let refusal = refusal_with(StatusCode::UNAUTHORIZED, "this needs a token", Some(advice));
    ([(header::WWW_AUTHENTICATE, "Bearer")], refusal).into_response()
}

fn foreign() -> Response {
    let advice = "ask for 127.0.0.1 or localhost; to be asked under another name, the listener needs a token";
    refusal_with(
        StatusCode::FORBIDDEN,
        "this machine is asked under a name that is not its own",
        Some(advice),
    )
}

fn elsewhere() -> Response {
    let advice =
        "ask without a browser, or from a page of this host; a listener with a token is not asked so";
    refusal_with(StatusCode::FORBIDDEN, "a page of another site asks", Some(advice))
}

#[cfg(test)]
mod tests {
    use super::{Access, names_here, same};
    use axum::http::{HeaderName, header};
    use weir_sdk::config::Secret;

    #[test]
    fn only_names_that_no_name_server_decides_are_here() {
        for here in [
            "localhost",
            "LocalHost:9090",
            "127.0.0.1",
            "127.8.0.1:1",
            "[::1]:9090",
            "[::1]",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(names_here(here.as_bytes()), "{here}");
        }
        for there in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:9090",
            "10.0.0.1",
            "[::2]",
            "0.0.0.0",
        ] {
            assert!(!names_here(there.as_bytes()), "{there}");
        }
        assert!(!names_here(b"\xff"));
    }

    #[test]
    fn tokens_are_compared_whole() {
        assert!(same(b"secret", b"secret"));
        for wrong in [&b""[..], b"secre", b"secret1", b"Secret"] {
            assert!(!same(wrong, b"secret"));
        }
    }

    #[test]
    fn an_insecure_listener_is_not_ordered_about_by_pages_of_other_sites() {
        let refuses = |headers: &[(HeaderName, &str)]| {
            let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
            Access::Insecure.refuses("/api/v1/tasks/pause", &headers.collect()).is_some()
        };
        let host = (header::HOST, "weir.example:9090");
        assert!(!refuses(&[]) && !refuses(std::slice::from_ref(&host)));
        assert!(!refuses(&[host.clone(), (header::ORIGIN, "http://weir.example:9090")]));
        for origin in
            ["http://evil.example", "null", "http://weir.example:9090.evil.example", "weir.example:9090"]
        {
            assert!(refuses(&[host.clone(), (header::ORIGIN, origin)]), "{origin}");
        }
    }

    #[test]
    fn an_address_that_others_reach_needs_a_token_or_a_word() {
        let all = "0.0.0.0:9090".parse().unwrap();
        let here = "[::1]:9090".parse().unwrap();
        let error = Access::Loopback.check_address(all).unwrap_err();
        assert_eq!(error.message(), "other machines reach 0.0.0.0:9090, so it needs a token");
        Access::Loopback.check_address(here).unwrap();
        Access::Insecure.check_address(all).unwrap();
        Access::Token(Secret::from("long")).check_address(all).unwrap();
        let error = Access::Token(Secret::from(" ")).check_address(here).unwrap_err();
        assert_eq!(error.message(), "the token of the HTTP listener is empty");
    }
}
