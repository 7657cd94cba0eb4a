//! What the replicas of the metadata log ask each other, and what others ask about them (KIP-595, 630, 853): answered by the quorum.

use bytes::Bytes;
use ottla_protocol::Uuid;
use ottla_protocol::messages::DescribeQuorumResponse;

use super::{Env, Handled, Outcome, Pending};
use crate::broker::Message;
use crate::broker::request::Request;
use crate::controller::ControllerEvent;
use crate::log::LogStore;
use crate::quorum::raft::rpc;

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let (api, version) = (request.api, request.version);
    let asked = rpc::Request::decode(api, version, body)
        .ok_or_else(|| format!("{} is advertised and has no handler", api.name()))?;
    let asked = asked.map_err(|error| format!("{} v{version}: {error}", api.name()))?;
    env.cx.effects.tell(Message::Controller(ControllerEvent::Quorum {
        token: env.token(request),
        version,
        request: asked,
        is_of_broker: !env.config.is_controller_listener(&request.context.listener),
    }));
    Ok(Outcome::Wait(Box::new(Pending::Controller)))
}

pub fn resume<S: LogStore>(request: &Request, response: rpc::Response) -> Handled<S> {
    Ok(Outcome::Reply(match response {
        rpc::Response::Vote(answer) => request.respond(&answer, []),
        rpc::Response::BeginQuorumEpoch(answer) => request.respond(&answer, []),
        rpc::Response::EndQuorumEpoch(answer) => request.respond(&answer, []),
        rpc::Response::Fetch(answer) => request.respond(&answer, []),
        rpc::Response::FetchSnapshot(answer) => request.respond(&answer, []),
        rpc::Response::DescribeQuorum(answer) => request.respond(&quorum_at(answer, request.version), []),
        rpc::Response::AddRaftVoter(answer) => request.respond(&answer, []),
        rpc::Response::RemoveRaftVoter(answer) => request.respond(&answer, []),
        rpc::Response::UpdateRaftVoter(answer) => request.respond(&answer, []),
        rpc::Response::ApiVersions(answer) => request.respond(&answer, []),
    }))
}

/// Versions before 2 know neither the directories of voters nor the nodes, and say so when they are given some (KIP-853).
fn quorum_at(mut answer: DescribeQuorumResponse, version: i16) -> DescribeQuorumResponse {
    if version < 2 {
        answer.nodes.clear();
        let partitions = answer.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
        for voter in partitions.flat_map(|partition| &mut partition.current_voters) {
            voter.replica_directory_id = Uuid::ZERO;
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use ottla_protocol::messages::describe_quorum_response::{Node, PartitionData, ReplicaState, TopicData};
    use ottla_protocol::{Encoder, Message as _};

    use super::*;

    #[test]
    fn the_quorum_is_described_at_every_version() {
        let voter = ReplicaState { replica_directory_id: Uuid::ONE, ..ReplicaState::default() };
        let partition = PartitionData { current_voters: vec![voter], ..PartitionData::default() };
        let topics = vec![TopicData { partitions: vec![partition], ..TopicData::default() }];
        let nodes = vec![Node::default()];
        let answer = DescribeQuorumResponse { topics, nodes, ..DescribeQuorumResponse::default() };
        for version in 0..=2 {
            let encoded = quorum_at(answer.clone(), version).encode(&mut Encoder::new(), version);
            assert!(encoded.is_ok(), "version {version}: {encoded:?}");
        }
    }
}
