//! FindCoordinator: the broker that leads a group's part of `__consumer_offsets`.

use bytes::Bytes;
use ottla_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use ottla_protocol::messages::find_coordinator_response::{Coordinator, FindCoordinatorResponse};
use ottla_protocol::{ErrorCode, Str};

use super::{Env, Handled, Outcome, metadata};
use crate::broker::cluster_view::{self, OFFSETS_TOPIC};
use crate::broker::request::Request;
use crate::coordinator::group::partition_for;
use crate::log::LogStore;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let asked: FindCoordinatorRequest = request.decode(body)?;
    let response = if request.version >= 4 {
        let coordinators = asked.coordinator_keys.iter().map(|key| find(env, request, asked.key_type, key));
        FindCoordinatorResponse { coordinators: coordinators.collect(), ..FindCoordinatorResponse::default() }
    } else {
        let found = find(env, request, asked.key_type, &asked.key);
        FindCoordinatorResponse {
            error_code: found.error_code,
            // Kafka names the absence of an error here.
            error_message: Some(
                found.error_message.filter(|text| !text.is_empty()).unwrap_or_else(|| "NONE".into()),
            ),
            node_id: found.node_id,
            host: found.host,
            port: found.port,
            ..FindCoordinatorResponse::default()
        }
    };
    Ok(Outcome::Reply(request.respond(&response, [])))
}

fn find<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, key_type: i8, key: &Str) -> Coordinator {
    let refuse = |error: ErrorCode, message: Option<Str>| Coordinator {
        key: key.clone(),
        node_id: -1,
        host: Str::default(),
        port: -1,
        error_code: error.code(),
        error_message: message.or_else(|| Some(error.message().into())),
    };
    match key_type {
        GROUP => {}
        // Neither transactions nor share groups are built, and neither feature is finalized.
        TRANSACTION => return refuse(ErrorCode::TransactionalIdAuthorizationFailed, None),
        SHARE if request.version >= 4 => return refuse(ErrorCode::InvalidRequest, Some(Str::default())),
        _ => return refuse(ErrorCode::InvalidRequest, None),
    }
    let Some(topic) = env.image().topic(OFFSETS_TOPIC) else {
        metadata::auto_create(env, request, &[OFFSETS_TOPIC.into()]);
        return refuse(ErrorCode::CoordinatorNotAvailable, None);
    };
    let count = i32::try_from(topic.partitions.size()).unwrap_or(i32::MAX);
    let leader = topic.partitions.get(&partition_for(key, count)).map(|partition| partition.leader);
    let endpoint =
        leader.and_then(|leader| cluster_view::endpoint(env.image(), leader, &request.context.listener));
    match (leader, endpoint) {
        (Some(leader), Some((host, port))) => Coordinator {
            key: key.clone(),
            node_id: leader,
            host,
            port,
            error_code: 0,
            error_message: Some(Str::default()),
        },
        _ => refuse(ErrorCode::CoordinatorNotAvailable, None),
    }
}
