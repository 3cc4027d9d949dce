//! What an error means to a reader, where that is not what it means to a writer.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use weir_sdk::{Error, ErrorKind};

use crate::errors;

const GONE: &str = "the topic kept its records for too short a time; decide whether the loss is acceptable";
const RIGHTS: &str = "grant the user READ and DESCRIBE on the topic";
const NO_TOPIC: &str = "create the topic, or correct `topic`";

/// The error behind a code.
pub(super) fn of(code: Code) -> Error {
    let as_reader = |kind, advice| Error::new(kind, code.to_string()).advice(advice);
    match code {
        Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::NoOffset | Code::LogTruncation => {
            as_reader(ErrorKind::Gap, GONE)
        }
        Code::TopicAuthorizationFailed => as_reader(ErrorKind::Auth, RIGHTS),
        Code::UnknownTopic
        | Code::UnknownTopicOrPartition
        | Code::UnknownPartition
        | Code::UnknownTopicId => as_reader(ErrorKind::Config, NO_TOPIC),
        _ => errors::of(code),
    }
}

/// The error behind a failed call.
pub(super) fn of_call(error: &KafkaError) -> Error {
    error.rdkafka_error_code().map_or_else(|| errors::of_call(error), of)
}

#[cfg(test)]
mod tests {
    use super::of;
    use rdkafka::error::RDKafkaErrorCode as Code;
    use weir_sdk::ErrorKind;

    #[test]
    fn a_reader_sees_some_errors_differently() {
        let kinds = [
            Code::OffsetOutOfRange,
            Code::AutoOffsetReset,
            Code::UnknownTopicOrPartition,
            Code::BrokerTransportFailure,
        ]
        .map(|code| of(code).kind());
        assert_eq!(kinds, [ErrorKind::Gap, ErrorKind::Gap, ErrorKind::Config, ErrorKind::Unavailable]);
    }
}
