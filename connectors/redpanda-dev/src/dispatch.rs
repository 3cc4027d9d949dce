//! The table from request to engine.

use anyhow::{Context, bail};
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, FetchRequest, JoinGroupRequest, ProduceRequest,
    RequestHeader, ResponseHeader, SyncGroupRequest,
};
use kafka_protocol::protocol::{Decodable, Encodable};
use noida::kafka::engine::EngineState;

use crate::serve::Shared;
use crate::{fetch, groups, topics};

/// The error code of a request whose version we do not speak.
const UNSUPPORTED_VERSION: i16 = 35;
/// The newest version of `ApiVersions` we speak.
const API_VERSIONS: i16 = 3;
/// From version 13 on a fetch names topics by id, which the engine does not give out.
const LAST_FETCH_BY_NAME: i16 = 12;

/// One request as it came.
pub(crate) struct Call {
    pub(crate) api: ApiKey,
    pub(crate) header: RequestHeader,
    pub(crate) body: Bytes,
}

/// Carries out a request. None: the protocol wants no answer to it. An error closes the connection.
pub(crate) async fn answer(shared: &Shared, host: &str, call: Call) -> anyhow::Result<Option<BytesMut>> {
    let version = call.header.request_api_version;
    let answer = match call.api {
        ApiKey::Produce => {
            let request: ProduceRequest = call.request()?;
            let response = shared.state().handle_produce(&request, version);
            shared.wake_fetches();
            if request.acks == 0 {
                return Ok(None);
            }
            call.encode(&response)
        }
        ApiKey::Fetch => call.encode(&fetch::wait(shared, &call.request::<FetchRequest>()?).await),
        ApiKey::JoinGroup => {
            let request: JoinGroupRequest = call.request()?;
            let client = call.header.client_id.as_ref().map_or("", |id| id.as_str());
            let member = groups::Joining { request: &request, version, client, host };
            call.encode(&groups::join(shared, &member).await)
        }
        ApiKey::SyncGroup => {
            let request: SyncGroupRequest = call.request()?;
            call.encode(&groups::sync(shared, &request, version).await)
        }
        ApiKey::ApiVersions => call.versions(&shared.state()),
        _ => {
            let answer = at_once(&call, &mut shared.state())?;
            if matches!(call.api, ApiKey::EndTxn | ApiKey::InitProducerId | ApiKey::DeleteRecords) {
                shared.wake_fetches();
            }
            Ok(answer)
        }
    };
    answer.map(Some)
}

/// The requests that wait for nothing.
fn at_once(call: &Call, state: &mut EngineState) -> anyhow::Result<BytesMut> {
    match call.api {
        ApiKey::Metadata => {
            let answer = call.act(state, EngineState::handle_metadata);
            topics::give_defaults(state);
            answer
        }
        ApiKey::CreateTopics => {
            let answer = call.act(state, EngineState::handle_create_topics);
            topics::give_defaults(state);
            answer
        }
        ApiKey::DeleteTopics => call.act(state, EngineState::handle_delete_topics),
        ApiKey::CreatePartitions => call.act(state, EngineState::handle_create_partitions),
        ApiKey::DescribeConfigs => call.ask(state, EngineState::handle_describe_configs),
        ApiKey::AlterConfigs => call.act(state, EngineState::handle_alter_configs),
        ApiKey::IncrementalAlterConfigs => call.act(state, EngineState::handle_incremental_alter_configs),
        ApiKey::DescribeCluster => call.ask(state, EngineState::handle_describe_cluster),
        ApiKey::DescribeLogDirs => call.ask(state, EngineState::handle_describe_log_dirs),

        ApiKey::ListOffsets => call.ask(state, EngineState::handle_list_offsets),
        ApiKey::OffsetForLeaderEpoch => call.ask(state, EngineState::handle_offset_for_leader_epoch),
        ApiKey::DeleteRecords => call.act(state, EngineState::handle_delete_records),

        ApiKey::FindCoordinator => call.ask(state, EngineState::handle_find_coordinator),
        ApiKey::Heartbeat => call.act(state, EngineState::handle_heartbeat),
        ApiKey::LeaveGroup => call.act(state, EngineState::handle_leave_group),
        ApiKey::OffsetCommit => call.act(state, EngineState::handle_offset_commit),
        ApiKey::OffsetFetch => call.ask(state, EngineState::handle_offset_fetch),
        ApiKey::OffsetDelete => call.act(state, EngineState::handle_offset_delete),
        ApiKey::DescribeGroups => call.ask(state, EngineState::handle_describe_groups),
        ApiKey::ListGroups => call.ask(state, EngineState::handle_list_groups),
        ApiKey::DeleteGroups => call.act(state, EngineState::handle_delete_groups),

        ApiKey::InitProducerId => call.act(state, EngineState::handle_init_producer_id),
        ApiKey::AddPartitionsToTxn => call.act(state, EngineState::handle_add_partitions_to_txn),
        ApiKey::AddOffsetsToTxn => call.act(state, EngineState::handle_add_offsets_to_txn),
        ApiKey::TxnOffsetCommit => call.act(state, EngineState::handle_txn_offset_commit),
        ApiKey::EndTxn => call.act(state, EngineState::handle_end_txn),
        ApiKey::DescribeTransactions => call.ask(state, EngineState::handle_describe_transactions),
        ApiKey::ListTransactions => call.ask(state, EngineState::handle_list_transactions),
        ApiKey::DescribeProducers => call.ask(state, EngineState::handle_describe_producers),
        other => bail!("{other:?} is not served"),
    }
}

/// What the engine offers and the table above does not serve.
const NOT_SERVED: [ApiKey; 5] = [
    ApiKey::DescribeAcls,
    ApiKey::CreateAcls,
    ApiKey::DeleteAcls,
    ApiKey::SaslHandshake,
    ApiKey::SaslAuthenticate,
];

impl Call {
    fn request<Q: Decodable>(&self) -> anyhow::Result<Q> {
        let version = self.header.request_api_version;
        Q::decode(&mut self.body.clone(), version)
            .with_context(|| format!("{:?} version {version}", self.api))
    }

    fn act<Q: Decodable, A: Encodable>(
        &self,
        state: &mut EngineState,
        handle: impl FnOnce(&mut EngineState, &Q, i16) -> A,
    ) -> anyhow::Result<BytesMut> {
        self.encode(&handle(state, &self.request()?, self.header.request_api_version))
    }

    fn ask<Q: Decodable, A: Encodable>(
        &self,
        state: &EngineState,
        handle: impl FnOnce(&EngineState, &Q, i16) -> A,
    ) -> anyhow::Result<BytesMut> {
        self.encode(&handle(state, &self.request()?, self.header.request_api_version))
    }

    /// As Kafka does, a version we do not speak is answered in version 0, so that the client can ask again.
    fn versions(&self, state: &EngineState) -> anyhow::Result<BytesMut> {
        let asked = self.header.request_api_version;
        let mut response: ApiVersionsResponse = state.handle_api_versions(asked.min(API_VERSIONS));
        response.api_keys.retain(|range| NOT_SERVED.iter().all(|api| *api as i16 != range.api_key));
        for range in &mut response.api_keys {
            if range.api_key == ApiKey::Fetch as i16 {
                range.max_version = LAST_FETCH_BY_NAME;
            }
        }
        if asked > API_VERSIONS {
            response.error_code = UNSUPPORTED_VERSION;
            return self.encode_as(&response, 0);
        }
        self.request::<ApiVersionsRequest>()?;
        self.encode(&response)
    }

    fn encode<A: Encodable>(&self, response: &A) -> anyhow::Result<BytesMut> {
        self.encode_as(response, self.header.request_api_version)
    }

    /// A whole frame: length, header, response.
    fn encode_as<A: Encodable>(&self, response: &A, version: i16) -> anyhow::Result<BytesMut> {
        let mut frame = BytesMut::new();
        frame.put_u32(0);
        let header = ResponseHeader::default().with_correlation_id(self.header.correlation_id);
        header.encode(&mut frame, self.api.response_header_version(version))?;
        response.encode(&mut frame, version).with_context(|| format!("answer to {:?}", self.api))?;
        let length = u32::try_from(frame.len() - 4).context("an answer longer than a frame can be")?;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        Ok(frame)
    }
}
