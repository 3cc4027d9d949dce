//! `Admin`: what an operator of a Kafka does that librdkafka's admin client cannot: passwords and rights, over the
//! protocol itself.

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::alter_user_scram_credentials_request::ScramCredentialUpsertion;
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::{
    AlterUserScramCredentialsRequest, CreateAclsRequest, DeleteAclsRequest, RequestHeader, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use openssl::hash::MessageDigest;
use openssl::pkcs5::pbkdf2_hmac;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

/// As Kafka numbers them.
const TOPIC: i8 = 2;
const LITERAL: i8 = 3;
const WRITE: i8 = 4;
const DENY: i8 = 2;
const SCRAM_SHA_256: i8 = 1;

/// A client of a listener that needs nothing, with all rights.
pub(crate) struct Admin(String);

impl Admin {
    pub(crate) fn of(brokers: &str) -> Self {
        Self(brokers.to_owned())
    }

    /// Makes a topic of one partition.
    pub(crate) fn create_topic(&self, name: &str) {
        let client: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.0).create().unwrap();
        let new = NewTopic::new(name, 1, TopicReplication::Fixed(1));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let made = runtime.block_on(client.create_topics([&new], &AdminOptions::new())).unwrap();
        assert!(made[0].is_ok(), "{made:?}");
    }

    /// The user exists from now on, with this password for SCRAM-SHA-256.
    pub(crate) fn set_password(&self, user: &str, password: &str) {
        let (salt, iterations) = (b"salt of a test", 4096_u16);
        let mut salted = [0; 32];
        let digest = MessageDigest::sha256();
        pbkdf2_hmac(password.as_bytes(), salt, iterations.into(), digest, &mut salted).unwrap();
        let credential = ScramCredentialUpsertion::default()
            .with_name(text(user))
            .with_mechanism(SCRAM_SHA_256)
            .with_iterations(iterations.into())
            .with_salt(Bytes::from_static(salt))
            .with_salted_password(Bytes::copy_from_slice(&salted));
        let request = AlterUserScramCredentialsRequest::default().with_upsertions(vec![credential]);
        let answer = self.ask(&request);
        assert!(answer.results.iter().all(|result| result.error_code == 0), "{answer:?}");
    }

    /// The user may no longer write to this topic.
    pub(crate) fn deny_writing(&self, user: &str, topic: &str) {
        let rule = AclCreation::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(topic))
            .with_resource_pattern_type(LITERAL)
            .with_principal(text(&format!("User:{user}")))
            .with_host(text("*"))
            .with_operation(WRITE)
            .with_permission_type(DENY);
        let answer = self.ask(&CreateAclsRequest::default().with_creations(vec![rule]));
        assert!(answer.results.iter().all(|result| result.error_code == 0), "{answer:?}");
    }

    /// The user may write to this topic again.
    pub(crate) fn allow_writing(&self, user: &str, topic: &str) {
        let rule = DeleteAclsFilter::default()
            .with_resource_type_filter(TOPIC)
            .with_resource_name_filter(Some(text(topic)))
            .with_pattern_type_filter(LITERAL)
            .with_principal_filter(Some(text(&format!("User:{user}"))))
            .with_host_filter(None)
            .with_operation(WRITE)
            .with_permission_type(DENY);
        let answer = self.ask(&DeleteAclsRequest::default().with_filters(vec![rule]));
        let removed: usize = answer.filter_results.iter().map(|result| result.matching_acls.len()).sum();
        assert_eq!(removed, 1, "{answer:?}");
    }

    /// One request on a connection of its own, in the newest version that we know.
    fn ask<R: Request>(&self, request: &R) -> R::Response {
        let version = R::VERSIONS.max;
        let header = RequestHeader::default().with_request_api_key(R::KEY).with_request_api_version(version);
        let mut body = BytesMut::new();
        header.encode(&mut body, R::header_version(version)).unwrap();
        request.encode(&mut body, version).unwrap();
        let mut stream = TcpStream::connect(&self.0).unwrap();
        stream.write_all(&u32::try_from(body.len()).unwrap().to_be_bytes()).unwrap();
        stream.write_all(&body).unwrap();
        let mut length = [0; 4];
        stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
        stream.read_exact(&mut answer).unwrap();
        let mut answer = Bytes::from(answer);
        ResponseHeader::decode(&mut answer, R::Response::header_version(version)).unwrap();
        let decoded = R::Response::decode(&mut answer, version).unwrap();
        assert!(!answer.has_remaining(), "an answer of another shape");
        decoded
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
