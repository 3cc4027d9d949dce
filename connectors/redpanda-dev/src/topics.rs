//! What a topic gets when its creator did not say: small segments and a bounded log.

use std::io;

use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use kafka_protocol::protocol::StrBytes;
use noida::kafka::engine::EngineState;

/// The engine sums up the open segment at each append, so a large one makes every append slower than the last.
/// The log lives in memory, so it must end somewhere: 64 MiB a partition. It does not end by age: records carry the
/// time of their source, and what is replayed from last month would be gone within a second.
const DEFAULTS: [(&str, &str); 3] =
    [("segment.bytes", "1048576"), ("retention.bytes", "67108864"), ("retention.ms", "-1")];

/// Fills in what the creators of the topics left out.
pub(crate) fn give_defaults(state: &mut EngineState) {
    for topic in state.topics.values_mut().filter(|topic| !topic.is_internal) {
        for (name, value) in DEFAULTS {
            if !topic.configs.contains_key(name) {
                topic.configs.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

/// Creates a topic as a client's request would.
pub(crate) fn create(
    state: &mut EngineState,
    name: &str,
    partitions: i32,
    settings: &[(&str, &str)],
) -> io::Result<()> {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let setting = |(name, value): &(&str, &str)| {
        CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
    };
    let topic = CreatableTopic::default()
        .with_name(TopicName(text(name)))
        .with_num_partitions(partitions)
        .with_replication_factor(1)
        .with_configs(settings.iter().map(setting).collect());
    let response = state.handle_create_topics(&CreateTopicsRequest::default().with_topics(vec![topic]), 7);
    give_defaults(state);
    match response.topics.first() {
        Some(created) if created.error_code == 0 => Ok(()),
        Some(refused) => {
            let reason = refused.error_message.as_ref().map_or("refused", |message| message.as_str());
            Err(io::Error::other(format!("topic {name}: {reason}")))
        }
        None => Err(io::Error::other(format!("topic {name}: the engine gave no answer"))),
    }
}
