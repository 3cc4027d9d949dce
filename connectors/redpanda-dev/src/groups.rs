//! Consumer groups: joins that wait for their round to complete, and members that vanished.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse, SyncGroupRequest, SyncGroupResponse};
use kafka_protocol::protocol::StrBytes;
use noida::kafka::engine::{EngineState, GroupLifecycleState, GroupState};
use tokio::time::{Instant, sleep};

use crate::serve::Shared;

const UNKNOWN_MEMBER_ID: i16 = 25;
const REBALANCE_IN_PROGRESS: i16 = 27;
const FENCED_INSTANCE_ID: i16 = 82;

/// How often a waiting member looks whether its round is complete.
const LOOK: Duration = Duration::from_millis(20);

/// A member's wish to join, and where it comes from.
pub(crate) struct Joining<'a> {
    pub(crate) request: &'a JoinGroupRequest,
    pub(crate) version: i16,
    pub(crate) client: &'a str,
    pub(crate) host: &'a str,
}

/// Answers when all members of the group have joined the round.
pub(crate) async fn join(shared: &Shared, joining: &Joining<'_>) -> JoinGroupResponse {
    let Joining { request, version, client, host } = joining;
    let first = shared.state().handle_join_group(request, *version, client, host);
    if first.error_code != 0 {
        return first;
    }
    loop {
        if let Some(answer) = joined(&mut shared.state(), request, &first.member_id) {
            return answer;
        }
        sleep(LOOK).await;
    }
}

/// A follower is answered when the leader has sent the assignments, everyone else at once.
pub(crate) async fn sync(shared: &Shared, request: &SyncGroupRequest, version: i16) -> SyncGroupResponse {
    let started = Instant::now();
    loop {
        let patience = patience_for_leader(&shared.state(), request);
        match patience {
            None => return shared.state().handle_sync_group(request, version),
            Some(patience) if started.elapsed() >= patience => {
                return SyncGroupResponse::default().with_error_code(REBALANCE_IN_PROGRESS);
            }
            Some(_) => sleep(LOOK).await,
        }
    }
}

/// Removes the members that were not heard of for their session timeout, and starts a new round without them.
pub(crate) fn expire(state: &mut EngineState) {
    let now = state.now_ms();
    for group in state.groups.values_mut() {
        let before = group.members.len();
        // A member that waits for its round sends no heartbeats and is alive.
        let waiting = &group.awaiting_members;
        group.members.retain(|id, member| {
            now - member.last_heartbeat_ms <= i64::from(member.session_timeout_ms) || waiting.contains_key(id)
        });
        if group.members.len() < before {
            start_round(group, now);
        }
    }
}

/// The answer to a member once its round is complete.
fn joined(
    state: &mut EngineState,
    request: &JoinGroupRequest,
    member: &StrBytes,
) -> Option<JoinGroupResponse> {
    let now = state.now_ms();
    let refused = |code| JoinGroupResponse::default().with_error_code(code).with_member_id(member.clone());
    let Some(group) = state.groups.get_mut(request.group_id.as_str()) else {
        return Some(refused(UNKNOWN_MEMBER_ID));
    };
    let Some(known) = group.members.get(member.as_str()) else {
        let replaced = request.group_instance_id.is_some();
        return Some(refused(if replaced { FENCED_INSTANCE_ID } else { UNKNOWN_MEMBER_ID }));
    };
    if group.state != GroupLifecycleState::PreparingRebalance {
        return Some(round_of(group, member));
    }
    // A round that began anew while this member was waiting has forgotten that it is still here.
    if !group.awaiting_members.contains_key(member.as_str()) {
        let protocols = known.protocols.clone();
        group.awaiting_members.insert(member.to_string(), protocols);
    }
    let patience = group.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0);
    if now - group.rebalance_start_ms >= i64::from(patience) {
        let here = &group.awaiting_members;
        group.members.retain(|id, _| here.contains_key(id));
    }
    group.try_complete_join();
    (group.state != GroupLifecycleState::PreparingRebalance).then(|| round_of(group, member))
}

/// What a member is told of a complete round; only the leader learns of the others.
fn round_of(group: &GroupState, member: &StrBytes) -> JoinGroupResponse {
    let leader = StrBytes::from_string(group.leader_id.clone().unwrap_or_default());
    let members = if leader == *member { everyone(group) } else { Vec::new() };
    JoinGroupResponse::default()
        .with_generation_id(group.generation_id)
        .with_protocol_type(Some(StrBytes::from_string(group.protocol_type.clone())))
        .with_protocol_name(Some(StrBytes::from_string(group.protocol_name.clone().unwrap_or_default())))
        .with_leader(leader)
        .with_member_id(member.clone())
        .with_members(members)
}

fn everyone(group: &GroupState) -> Vec<JoinGroupResponseMember> {
    let describe = |(id, member): (&String, &noida::kafka::engine::GroupMember)| {
        let chosen = member.protocols.iter().find(|(name, _)| Some(name) == group.protocol_name.as_ref());
        JoinGroupResponseMember::default()
            .with_member_id(StrBytes::from_string(id.clone()))
            .with_group_instance_id(member.group_instance_id.clone().map(StrBytes::from_string))
            .with_metadata(chosen.map_or_else(Bytes::new, |(_, metadata)| Bytes::copy_from_slice(metadata)))
    };
    group.members.iter().map(describe).collect()
}

/// How long a follower waits for its leader, or none if it need not: a leader that vanished is noticed when its
/// session ends.
fn patience_for_leader(state: &EngineState, request: &SyncGroupRequest) -> Option<Duration> {
    let group = state.groups.get(request.group_id.as_str())?;
    let member = group.members.get(request.member_id.as_str())?;
    let waits = group.state == GroupLifecycleState::CompletingRebalance
        && request.assignments.is_empty()
        && request.generation_id == group.generation_id
        && group.leader_id.as_deref() != Some(request.member_id.as_str());
    let patience = member.rebalance_timeout_ms.min(member.session_timeout_ms);
    waits.then(|| Duration::from_millis(u64::try_from(patience).unwrap_or(0)))
}

fn start_round(group: &mut GroupState, now: i64) {
    group.assignments.clear();
    if group.leader_id.as_ref().is_none_or(|leader| !group.members.contains_key(leader)) {
        group.leader_id = group.members.keys().next().cloned();
    }
    group.generation_id += 1;
    if group.members.is_empty() {
        group.state = GroupLifecycleState::Empty;
        group.awaiting_members.clear();
        return;
    }
    if group.state != GroupLifecycleState::PreparingRebalance {
        group.awaiting_members.clear();
        group.state = GroupLifecycleState::PreparingRebalance;
        group.rebalance_start_ms = now;
    }
    group.try_complete_join();
}
