//! All that knows the Kafka protocol: the redpanda sink.
#![forbid(unsafe_code)]
