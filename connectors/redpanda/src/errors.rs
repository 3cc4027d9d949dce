//! What each of librdkafka's errors means for what happens next, and what to do about it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use weir_sdk::{Error, ErrorKind};

/// The error behind a code, with librdkafka's own words.
pub(crate) fn of(code: Code) -> Error {
    // A code that a newer librdkafka invented is tried again; a test sees to it that none of today's is missing.
    let (kind, advice) = meaning(code).unwrap_or((ErrorKind::Transient, None));
    let error = Error::new(kind, code.to_string());
    match advice {
        Some(advice) => error.advice(advice),
        None => error,
    }
}

/// The error behind a complaint about a connection. What a listener wants that we do not offer, and the other way
/// round, shows in librdkafka's words only.
pub(crate) fn of_complaint(code: Code, words: &str) -> Error {
    let error = match code {
        // Trying again helps as little as with a wrong password; a client made anew reads the file of the CA again.
        Code::SSL if words.contains("could not be verified") => {
            Error::new(ErrorKind::Config, code.to_string()).advice(UNTRUSTED)
        }
        // Or just a broker that goes away.
        Code::BrokerTransportFailure if words.contains("Disconnected") => of(code).advice(HANGS_UP),
        _ => of(code),
    };
    error.context(words)
}

/// The error behind a failed call.
pub(crate) fn of_call(error: &KafkaError) -> Error {
    match error {
        // librdkafka's words name the key and leave out the value, which may be a secret.
        KafkaError::ClientConfig(_, words, _, _) | KafkaError::ClientCreation(words) => {
            Error::new(ErrorKind::Config, format!("librdkafka refuses its settings: {words}"))
        }
        other => match other.rdkafka_error_code() {
            Some(code) => of(code),
            None => Error::new(ErrorKind::Bug, other.to_string()),
        },
    }
}

/// The record itself was all right: another one, or the end of the producer, took it along.
pub(crate) fn is_collateral(code: Code) -> bool {
    matches!(
        code,
        Code::PurgeQueue
            | Code::PurgeInflight
            | Code::Fatal
            | Code::GaplessGuarantee
            | Code::InvalidDifferentRecord
            | Code::OutOfOrderSequenceNumber
            | Code::UnknownProducerId
            | Code::InvalidProducerEpoch
    )
}

/// A record is at fault. The broker refuses the whole message set for it, so which one is known only when each is
/// sent alone.
pub(crate) fn is_fault_of_a_record(code: Code) -> bool {
    meaning(code).is_some_and(|(kind, _)| kind == ErrorKind::Record)
}

const BROKERS: &str = "check that the brokers run and that `brokers` names them";
const TLS: &str =
    "check `tls`: the CA that signed the brokers' certificate, and that the port is a TLS listener";
const UNTRUSTED: &str = "check `tls.ca`: the CA that signed the brokers' certificate; and that the certificate names the \
                         host in `brokers`, and has not expired";
const HANGS_UP: &str = "check that the brokers run; if they do, the listener wants what is not offered: `tls` where it \
                        is a TLS listener, `sasl` where it asks for credentials";
const CREDENTIALS: &str = "check `sasl`: mechanism, username, password, and that the user exists";
const RIGHTS: &str = "grant the user WRITE and DESCRIBE on the topic (and IDEMPOTENT_WRITE on old clusters)";
const NO_TOPIC: &str = "create the topic, or let the sink do it with `create: {partitions: …}`";
const TOO_LARGE: &str = "raise `max_record` and the topic's `max.message.bytes`, or make the record smaller";
const CREATION: &str = "check `create`: partitions, replication and settings must suit the cluster";
const OLD: &str = "the brokers are too old or set up differently: Kafka 2.1 or later is needed";
const PROGRAM: &str = "this is a fault of the program: please report it";

/// The table: every code, its kind and its advice.
#[expect(clippy::too_many_lines, reason = "one table, read line by line")]
fn meaning(code: Code) -> Option<(ErrorKind, Option<&'static str>)> {
    let meaning = match code {
        // The record's own fault.
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidMessageSize => {
            (ErrorKind::Record, Some(TOO_LARGE))
        }
        Code::InvalidRecord => (ErrorKind::Record, Some("a compacted topic takes only records with a key")),
        Code::InvalidTimestamp => (
            ErrorKind::Record,
            Some("the topic takes only recent times: set `timestamp: arrival`, or the topic's limits"),
        ),
        Code::KeySerialization | Code::ValueSerialization => (ErrorKind::Record, None),

        // Nobody there.
        Code::AllBrokersDown
        | Code::BrokerTransportFailure
        | Code::Resolve
        | Code::BrokerNotAvailable
        | Code::NetworkException
        | Code::UnknownBroker
        | Code::NodeUpdate
        | Code::RebootstrapRequired => (ErrorKind::Unavailable, Some(BROKERS)),
        Code::SSL => (ErrorKind::Unavailable, Some(TLS)),

        // Too late, or too much.
        Code::MessageTimedOut | Code::OperationTimedOut | Code::TimedOutQueue | Code::RequestTimedOut => {
            (ErrorKind::Timeout, None)
        }
        Code::ThrottlingQuotaExceeded => {
            (ErrorKind::Throttled, Some("the cluster's quota is used up: raise it, or expect to be slower"))
        }

        // Who we are, and what we may do.
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnacceptableCredential
        | Code::PrincipalDeserializationFailure
        | Code::DelegationTokenAuthDisabled
        | Code::DelegationTokenNotFound
        | Code::DelegationTokenOwnerMismatch
        | Code::DelegationTokenRequestNotAllowed
        | Code::DelegationTokenAuthorizationFailed
        | Code::DelegationTokenExpired
        | Code::InvalidPrincipalType => (ErrorKind::Auth, Some(CREDENTIALS)),
        Code::TopicAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed => (ErrorKind::Auth, Some(RIGHTS)),

        // What we ask for does not fit the cluster.
        Code::UnknownTopic
        | Code::UnknownTopicOrPartition
        | Code::UnknownPartition
        | Code::UnknownTopicId => (ErrorKind::Config, Some(NO_TOPIC)),
        Code::InvalidTopic => (ErrorKind::Config, Some("check `topic`: the broker does not allow this name")),
        Code::InvalidPartitions
        | Code::InvalidReplicationFactor
        | Code::InvalidReplicaAssignment
        | Code::InvalidConfig
        | Code::PolicyViolation
        | Code::TopicAlreadyExists => (ErrorKind::Config, Some(CREATION)),
        Code::UnsupportedCompressionType | Code::BadCompression => {
            (ErrorKind::Config, Some("choose another `compression`"))
        }
        Code::InvalidRequiredAcks
        | Code::UnsupportedFeature
        | Code::UnsupportedVersion
        | Code::UnsupportedForMessageFormat
        | Code::UnknownProtocol => (ErrorKind::Config, Some(OLD)),
        Code::UnsupportedSASLMechanism | Code::IllegalSASLState | Code::SecurityDisabled => {
            (ErrorKind::Config, Some(CREDENTIALS))
        }
        Code::InvalidArgument | Code::NotConfigured | Code::FileSystem | Code::NoEnt => {
            (ErrorKind::Config, Some("check the `librdkafka` block and the files that `tls` names"))
        }

        // Another owner.
        Code::Fenced | Code::ProducerFenced | Code::FencedInstanceId | Code::TransactionCoordinatorFenced => {
            (ErrorKind::Fenced, None)
        }

        // Passes by itself: leaders move, producers begin anew.
        Code::BadMessage
        | Code::InvalidMessage
        | Code::QueueFull
        | Code::ISRInsufficient
        | Code::InProgress
        | Code::PreviousInProgress
        | Code::WaitingForCoordinator
        | Code::WaitCache
        | Code::Interrupted
        | Code::Outdated
        | Code::Partial
        | Code::Retry
        | Code::PurgeQueue
        | Code::PurgeInflight
        | Code::Fatal
        | Code::GaplessGuarantee
        | Code::InvalidDifferentRecord
        | Code::BrokerDestroy
        | Code::DestroyBroker
        | Code::Fail
        | Code::Unknown
        | Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::ReplicaNotAvailable
        | Code::StaleControllerEpoch
        | Code::CoordinatorLoadInProgress
        | Code::CoordinatorNotAvailable
        | Code::NotCoordinator
        | Code::NotEnoughReplicas
        | Code::NotEnoughReplicasAfterAppend
        | Code::NotController
        | Code::OutOfOrderSequenceNumber
        | Code::DuplicateSequenceNumber
        | Code::InvalidProducerEpoch
        | Code::InvalidProducerIdMapping
        | Code::UnknownProducerId
        | Code::ConcurrentTransactions
        | Code::OperationNotAttempted
        | Code::KafkaStorageError
        | Code::LogDirNotFound
        | Code::ReassignmentInProgress
        | Code::ListenerNotFound
        | Code::FencedLeaderEpoch
        | Code::UnknownLeaderEpoch
        | Code::StaleBrokerEpoch
        | Code::OffsetNotAvailable
        | Code::PreferredLeaderNotAvailable
        | Code::EligibleLeadersNotAvailable
        | Code::CriticalSystemResource => (ErrorKind::Transient, None),

        // What no producer should ever hear.
        Code::NoError
        | Code::PartitionEOF
        | Code::UnknownGroup
        | Code::ExistingSubscription
        | Code::AssignPartitions
        | Code::RevokePartitions
        | Code::Conflict
        | Code::State
        | Code::NotImplemented
        | Code::NoOffset
        | Code::KeyDeserialization
        | Code::ValueDeserialization
        | Code::ReadOnly
        | Code::Underflow
        | Code::InvalidType
        | Code::Inconsistent
        | Code::PollExceeded
        | Code::Application
        | Code::AssignmentLost
        | Code::Noop
        | Code::AutoOffsetReset
        | Code::LogTruncation
        | Code::OffsetOutOfRange
        | Code::OffsetMetadataTooLarge
        | Code::IllegalGeneration
        | Code::InconsistentGroupProtocol
        | Code::InvalidGroupId
        | Code::UnknownMemberId
        | Code::InvalidSessionTimeout
        | Code::RebalanceInProgress
        | Code::InvalidCommitOffsetSize
        | Code::InvalidRequest
        | Code::InvalidTransactionalState
        | Code::InvalidTransactionTimeout
        | Code::NonEmptyGroup
        | Code::GroupIdNotFound
        | Code::FetchSessionIdNotFound
        | Code::InvalidFetchSessionEpoch
        | Code::TopicDeletionDisabled
        | Code::MemberIdRequired
        | Code::GroupMaxSizeReached
        | Code::ElectionNotNeeded
        | Code::NoReassignmentInProgress
        | Code::GroupSubscribedToTopic
        | Code::UnstableOffsetCommit
        | Code::ResourceNotFound
        | Code::DuplicateResource
        | Code::InconsistentVoterSet
        | Code::InvalidUpdateVersion
        | Code::FeatureUpdateFailed
        | Code::FencedMemberEpoch
        | Code::UnreleasedInstanceId
        | Code::UnsupportedAssignor
        | Code::StaleMemberEpoch
        | Code::UnknownSubscriptionId
        | Code::TelemetryTooLarge => (ErrorKind::Bug, Some(PROGRAM)),

        // `Begin`, `End` and `EndAll` are marks in librdkafka's list, no errors; the enum is open for more.
        _ => return None,
    };
    Some(meaning)
}

#[cfg(test)]
mod tests {
    use super::{is_collateral, meaning, of, of_call, of_complaint};
    use rdkafka::ClientConfig;
    use rdkafka::error::RDKafkaErrorCode as Code;
    use rdkafka::producer::BaseProducer;
    use rdkafka::types::RDKafkaRespErr;
    use weir_sdk::ErrorKind;

    fn every_code() -> Vec<Code> {
        let known = (-1000..=1000).filter_map(|code| RDKafkaRespErr::try_from(code).ok()).map(Code::from);
        known.filter(|code| !matches!(code, Code::Begin | Code::End | Code::EndAll)).collect()
    }

    #[test]
    fn every_code_of_this_librdkafka_stands_in_the_table() {
        let codes = every_code();
        assert!(codes.len() > 150, "librdkafka has {} codes?", codes.len());
        let missing: Vec<_> = codes.into_iter().filter(|code| meaning(*code).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn what_an_operator_must_act_on_comes_with_advice() {
        for code in every_code() {
            let error = of(code);
            let acts = [ErrorKind::Config, ErrorKind::Auth, ErrorKind::Unavailable].contains(&error.kind());
            assert!(!acts || error.operator_advice().is_some(), "{error:?}");
            assert!(!is_collateral(code) || error.kind() == ErrorKind::Transient, "{error:?}");
        }
        assert_eq!(
            format!("{:?}", of(Code::MessageSizeTooLarge)),
            "record: MessageSizeTooLarge (Broker: Message size too large) (raise `max_record` and the topic's \
             `max.message.bytes`, or make the record smaller)"
        );
    }

    #[test]
    fn what_a_listener_wants_is_told_from_a_broker_that_is_gone() {
        for (code, words, kind, advice) in [
            (
                Code::SSL,
                "SSL handshake failed: tls_post_process_server_certificate:certificate verify failed: broker \
                 certificate could not be verified, verify that ssl.ca.location is correctly configured",
                ErrorKind::Config,
                "tls.ca",
            ),
            (Code::SSL, "SSL handshake failed: Disconnected", ErrorKind::Unavailable, "`tls`"),
            (
                Code::BrokerTransportFailure,
                "Disconnected: connection closed by peer (after 14ms in state APIVERSION_QUERY)",
                ErrorKind::Unavailable,
                "`tls` where it is a TLS listener",
            ),
            (Code::BrokerTransportFailure, "Connection refused", ErrorKind::Unavailable, "`brokers`"),
        ] {
            let error = of_complaint(code, words);
            assert_eq!(error.kind(), kind, "{error:?}");
            assert!(error.operator_advice().unwrap().contains(advice), "{error:?}");
            assert!(error.message().starts_with(words), "{error:?}");
        }
    }

    #[test]
    fn a_refused_setting_is_named_and_its_value_is_not() {
        let refused = ClientConfig::new().set("socket.timeout.ms", "hunter2").create::<BaseProducer>();
        let error = of_call(&refused.err().unwrap());
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(
            error.message(),
            r#"librdkafka refuses its settings: Invalid value for configuration property "socket.timeout.ms""#
        );
    }
}
