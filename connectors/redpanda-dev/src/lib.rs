//! An embedded Kafka-compatible broker for demonstrations and tests.
#![forbid(unsafe_code)]
