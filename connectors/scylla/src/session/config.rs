//! The `session` block: where a cluster is and how to talk to it.

use schemars::JsonSchema;
use scylla::statement::Consistency;
use serde::Deserialize;
use weir_sdk::config::{Endpoint, HumanDuration, Problem, Secret};

/// Where a ScyllaDB cluster is and how to talk to it.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionConfig {
    /// Nodes to ask first, `host` or `host:port` (9042 where none is given); the rest of the cluster is found.
    pub contact_points: Vec<Endpoint>,
    /// User name, where the cluster asks for one.
    #[serde(default)]
    pub username: Option<String>,
    /// The user's password; best a reference such as `${env:SCYLLA_PASSWORD}`.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Encrypts the connections; without it they are plain.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// The datacenter whose nodes are asked; without it any node is.
    #[serde(default)]
    pub local_datacenter: Option<String>,
    /// How many replicas must answer.
    #[serde(default)]
    pub consistency: ConsistencyLevel,
    /// How long one request may take.
    #[serde(default = "default_request_timeout")]
    pub request_timeout: HumanDuration,
    /// Rows that one answer carries at most.
    #[serde(default = "default_page_size")]
    pub page_size: u32,
}

/// How connections are encrypted.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// File with the certificates (PEM) that may sign the server's.
    pub ca_file: Option<String>,
    /// File with this client's certificate (PEM), where the server asks for one.
    pub cert_file: Option<String>,
    /// File with the key (PEM) of this client's certificate.
    pub key_file: Option<String>,
    /// What is checked of the server's certificate.
    pub verify: Verify,
}

/// What is checked of the server's certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// It must be signed by a certificate of `ca_file`. Names are not compared: nodes are known by address.
    #[default]
    Certificate,
    /// Nothing: encrypted, but anyone may answer.
    None,
}

/// How many replicas must answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ConsistencyLevel {
    /// Any one replica.
    One,
    /// Any two replicas.
    Two,
    /// Any three replicas.
    Three,
    /// A majority of all replicas.
    Quorum,
    /// A majority of the replicas in the local datacenter.
    #[default]
    LocalQuorum,
    /// One replica in the local datacenter.
    LocalOne,
    /// Every replica.
    All,
}

impl From<ConsistencyLevel> for Consistency {
    fn from(level: ConsistencyLevel) -> Self {
        match level {
            ConsistencyLevel::One => Self::One,
            ConsistencyLevel::Two => Self::Two,
            ConsistencyLevel::Three => Self::Three,
            ConsistencyLevel::Quorum => Self::Quorum,
            ConsistencyLevel::LocalQuorum => Self::LocalQuorum,
            ConsistencyLevel::LocalOne => Self::LocalOne,
            ConsistencyLevel::All => Self::All,
        }
    }
}

impl SessionConfig {
    /// A block that names nothing but these nodes.
    pub fn new(contact_points: Vec<Endpoint>) -> Self {
        Self {
            contact_points,
            username: None,
            password: None,
            tls: None,
            local_datacenter: None,
            consistency: ConsistencyLevel::default(),
            request_timeout: default_request_timeout(),
            page_size: default_page_size(),
        }
    }

    /// Problems of a block that has this one under `/session`, and of the names in it, each with its pointer.
    pub(crate) fn check_beside(&self, names: &[(&str, &str)]) -> Vec<Problem> {
        let empty = names.iter().filter(|(_, name)| name.is_empty());
        let empty = empty.map(|(pointer, _)| Problem::new(*pointer, "the name is empty"));
        self.check().into_iter().map(|problem| problem.under("/session")).chain(empty).collect()
    }

    /// Problems that the types cannot express; pointers are relative to the block.
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.contact_points.is_empty() {
            problems.push(
                Problem::new("/contact_points", "no node is named")
                    .help("name at least one, for example `127.0.0.1:9042`"),
            );
        }
        match (&self.username, &self.password) {
            (Some(_), None) => problems
                .push(Problem::at_key("/username", "a user name without a password").help("add `password:`")),
            (None, Some(_)) => problems
                .push(Problem::at_key("/password", "a password without a user name").help("add `username:`")),
            _ => {}
        }
        if self.request_timeout.is_zero() {
            problems.push(
                Problem::new("/request_timeout", "no request can be answered in no time")
                    .help("the default is `10s`"),
            );
        }
        if !(1..=100_000).contains(&self.page_size) {
            problems
                .push(Problem::new("/page_size", "expected 1 to 100000 rows").help("the default is 5000"));
        }
        problems.extend(self.tls.iter().flat_map(Tls::check));
        problems
    }
}

impl Tls {
    fn check(&self) -> Option<Problem> {
        let key = |message| Problem::at_key("/tls", message);
        if !cfg!(feature = "tls") {
            let problem = key("this program was built without TLS");
            return Some(problem.help("build it with the cargo feature `tls`"));
        }
        if self.ca_file.is_none() && self.verify == Verify::Certificate {
            let problem = key("nothing says whose certificates are trusted");
            return Some(problem.help("add `ca_file:`, or `verify: none` where anyone may answer"));
        }
        let missing = match (&self.cert_file, &self.key_file) {
            (Some(_), None) => "key_file",
            (None, Some(_)) => "cert_file",
            _ => return None,
        };
        Some(key("a certificate and its key only work together").help(format!("add `{missing}:`")))
    }
}

fn default_request_timeout() -> HumanDuration {
    HumanDuration::from_secs(10)
}

fn default_page_size() -> u32 {
    5_000
}

#[cfg(test)]
mod tests {
    use super::{ConsistencyLevel, SessionConfig};
    use serde_json::json;

    #[test]
    fn one_node_is_enough_and_the_rest_has_defaults() {
        let config: SessionConfig =
            weir_sdk::config::read(&json!({"contact_points": ["127.0.0.1:9042,scylla-2"]})).unwrap();
        let nodes: Vec<_> = config.contact_points.iter().map(|node| node.with_default_port(9042)).collect();
        assert_eq!(nodes, ["127.0.0.1:9042", "scylla-2:9042"]);
        assert_eq!(config.consistency, ConsistencyLevel::LocalQuorum);
        assert!(config.check().is_empty());
    }

    #[test]
    fn every_problem_is_reported_and_no_secret_is_shown() {
        let config: SessionConfig = weir_sdk::config::read(&json!({
            "contact_points": [], "password": "hunter2", "request_timeout": "0s", "page_size": 0,
            "tls": {"cert_file": "me.pem", "verify": "none"}, "consistency": "LOCAL_ONE"
        }))
        .unwrap();
        let pointers: Vec<_> = config.check().into_iter().map(|problem| problem.pointer).collect();
        assert_eq!(pointers, ["/contact_points", "/password", "/request_timeout", "/page_size", "/tls"]);
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
