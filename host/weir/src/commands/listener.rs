//! Where a host serves HTTP, and the token that it asks for: the same for who serves and who calls.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use weir_host::config::Lookup;
use weir_sdk::config::Secret;
use weir_sdk::{Error, ErrorKind};

/// What names the listener of a host.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ListenerArgs {
    /// Where the host serves HTTP [default: 127.0.0.1:9090, or the port in METRICS_PORT].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// A file with the token that the host asks for [default: the token in WEIR_TOKEN, if any].
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl ListenerArgs {
    /// The address, where `METRICS_PORT` of the environment gives the port of the default.
    pub(crate) fn address(&self, lookup: &dyn Lookup) -> anyhow::Result<SocketAddr> {
        if let Some(address) = self.listen {
            return Ok(address);
        }
        let port = lookup.env("METRICS_PORT").unwrap_or_else(|| "9090".to_owned());
        let port: u16 = port.parse().with_context(|| format!("METRICS_PORT={port} is no port number"))?;
        Ok(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    /// The token, from the file or the environment: a command line can be read by everybody on the machine.
    pub(crate) fn token(&self, lookup: &dyn Lookup) -> anyhow::Result<Option<Secret>> {
        let (token, place) = match &self.token_file {
            Some(path) => {
                let text = lookup.file(path);
                (
                    text.with_context(|| format!("cannot read the token in {}", path.display()))?,
                    path.display().to_string(),
                )
            }
            None => match lookup.env("WEIR_TOKEN") {
                Some(token) if !token.is_empty() => (token, "WEIR_TOKEN".to_owned()),
                _ => return Ok(None),
            },
        };
        let token = token.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            let advice =
                "write one line of letters, digits and signs, for instance from `openssl rand -hex 32`";
            let error = Error::new(ErrorKind::Config, format!("{place} holds no token")).advice(advice);
            return Err(error.into());
        }
        Ok(Some(Secret::from(token)))
    }
}

#[cfg(test)]
mod tests {
    use super::ListenerArgs;

    fn args(token_file: Option<&str>) -> ListenerArgs {
        ListenerArgs { listen: None, token_file: token_file.map(Into::into) }
    }

    #[test]
    fn the_token_comes_from_the_file_before_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let environment = |name: &str| (name == "WEIR_TOKEN").then(|| "of-the-environment".to_owned());
        let token =
            |args: &ListenerArgs| args.token(&environment).map(|token| token.unwrap().expose().to_owned());
        assert_eq!(token(&args(None)).unwrap(), "of-the-environment");
        std::fs::write(&file, "of-the-file\n").unwrap();
        let of_file = args(file.to_str());
        assert_eq!(token(&of_file).unwrap(), "of-the-file");
        for wrong in ["", " \n", "two\nlines", "smile \u{263a}"] {
            std::fs::write(&file, wrong).unwrap();
            let error = token(&of_file).unwrap_err().to_string();
            assert!(error.ends_with("token holds no token"), "{error}");
        }
        assert!(args(None).token(&|_: &str| None).unwrap().is_none());
    }
}
