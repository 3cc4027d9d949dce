//! From the `session` block to a session.

use std::sync::Arc;
use std::time::Duration;

use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::retry::FallthroughRetryPolicy;
use weir_sdk::{Error, ErrorKind};

use super::config::{SessionConfig, Tls};
use super::errors::Classify;

/// Connects to the cluster that the block names.
///
/// # Errors
/// `Unavailable` when no node answers, `Auth` when the cluster refuses the user, `Config` when the block cannot work.
pub async fn connect(config: &SessionConfig) -> Result<Arc<Session>, Error> {
    let mut balancing = DefaultPolicy::builder();
    if let Some(datacenter) = &config.local_datacenter {
        balancing = balancing.prefer_datacenter(datacenter.clone());
    }
    let profile = ExecutionProfile::builder()
        .consistency(config.consistency.into())
        .request_timeout(Some(config.request_timeout.get()))
        .load_balancing_policy(balancing.build())
        .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
        .build();
    let mut builder = SessionBuilder::new()
        .known_nodes(config.contact_points.iter().map(|node| node.with_default_port(9042)))
        .default_execution_profile_handle(profile.into_handle())
        .connection_timeout(config.request_timeout.get().min(Duration::from_secs(5)));
    if let (Some(user), Some(password)) = (&config.username, &config.password) {
        builder = builder.user(user, password.expose());
    }
    if let Some(tls) = &config.tls {
        builder = encrypt(builder, tls)?;
    }
    let session = builder.build().await.map_err(|error| {
        let nodes: Vec<_> = config.contact_points.iter().map(ToString::to_string).collect();
        error.classify().context(format!("connect to ScyllaDB at {}", nodes.join(", ")))
    })?;
    known_datacenter(&session, config)?;
    Ok(Arc::new(session))
}

/// The driver would quietly use remote nodes, or none, if the datacenter does not exist.
fn known_datacenter(session: &Session, config: &SessionConfig) -> Result<(), Error> {
    let Some(wanted) = &config.local_datacenter else { return Ok(()) };
    let state = session.get_cluster_state();
    let mut known: Vec<_> =
        state.get_nodes_info().iter().filter_map(|node| node.datacenter.as_deref()).collect();
    known.sort_unstable();
    known.dedup();
    if known.contains(&wanted.as_str()) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Config, format!("the cluster has no datacenter `{wanted}`"))
        .advice(format!("set local_datacenter to one of: {}", known.join(", "))))
}

#[cfg(feature = "tls")]
fn encrypt(builder: SessionBuilder, tls: &Tls) -> Result<SessionBuilder, Error> {
    use openssl::ssl::{SslConnector, SslFiletype, SslMethod, SslVerifyMode};
    use scylla::client::session::OpenSsl010Config;

    use super::config::Verify;

    let failed = |what: &str, file: &str| {
        let message = format!("cannot use the {what} `{file}`");
        move |error: openssl::error::ErrorStack| {
            Error::new(ErrorKind::Config, message)
                .caused_by(error)
                .advice("check that the file is there, can be read and is PEM")
        }
    };
    let mut context = SslConnector::builder(SslMethod::tls())
        .map_err(|error| Error::new(ErrorKind::Bug, "cannot set up TLS").caused_by(error))?;
    if let Some(file) = &tls.ca_file {
        context.set_ca_file(file).map_err(failed("CA certificates", file))?;
    }
    if let (Some(cert), Some(key)) = (&tls.cert_file, &tls.key_file) {
        context.set_certificate_chain_file(cert).map_err(failed("client certificate", cert))?;
        context.set_private_key_file(key, SslFiletype::PEM).map_err(failed("client key", key))?;
    }
    context.set_verify(match tls.verify {
        Verify::Certificate => SslVerifyMode::PEER,
        Verify::None => SslVerifyMode::NONE,
    });
    Ok(builder.tls_context(Some(OpenSsl010Config::new(context))))
}

#[cfg(not(feature = "tls"))]
fn encrypt(_: SessionBuilder, _: &Tls) -> Result<SessionBuilder, Error> {
    Err(Error::new(ErrorKind::Config, "this program was built without TLS")
        .advice("build it with the cargo feature `tls`"))
}
