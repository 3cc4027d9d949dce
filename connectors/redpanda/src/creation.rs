//! Topics made on first use.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;
use weir_sdk::Error;

use crate::config::Creation;
use crate::errors;
use crate::producer::stop_elsewhere;

/// How long the cluster may take to create a topic.
const PATIENCE: Duration = Duration::from_secs(10);

/// Creates topics, each once. A topic is made by a client of its own: it is rare, and nothing stays connected.
pub(crate) struct Topics {
    settings: ClientConfig,
    wanted: Creation,
    there: Mutex<HashSet<String>>,
}

impl Topics {
    /// Speaks to the cluster with the producer's settings.
    pub(crate) fn new(settings: &ClientConfig, wanted: Creation) -> Self {
        Self { settings: settings.clone(), wanted, there: Mutex::default() }
    }

    /// Sees to it that a topic is there. A topic that somebody else made is taken as it is.
    pub(crate) async fn ensure(&self, topic: &str) -> Result<(), Error> {
        if self.there().contains(topic) {
            return Ok(());
        }
        let partitions = i32::try_from(self.wanted.partitions).unwrap_or(i32::MAX);
        let copies = self.wanted.replication.map_or(-1, i32::from);
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(copies));
        for (key, value) in &self.wanted.config {
            new = new.set(key, &value.0);
        }
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
        let context = |error: Error| error.context(format!("create topic {topic}"));
        let admin: AdminClient<DefaultClientContext> =
            self.settings.create().map_err(|error| errors::of_call(&error))?;
        let created = admin.create_topics([&new], &options).await;
        stop_elsewhere(admin);
        let created = created.map_err(|error| context(errors::of_call(&error)))?;
        match created.into_iter().next() {
            Some(Err((_, code))) if code != RDKafkaErrorCode::TopicAlreadyExists => {
                Err(context(errors::of(code)))
            }
            _ => {
                self.there().insert(topic.to_owned());
                Ok(())
            }
        }
    }

    fn there(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.there.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
