//! DescribeCluster (KIP-700, 919, 1073).

use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_cluster_request::DescribeClusterRequest;
use ottla_protocol::messages::describe_cluster_response::{DescribeClusterBroker, DescribeClusterResponse};

use super::{Env, Handled, Outcome};
use crate::broker::authorizer::CLUSTER_OPERATIONS;
use crate::broker::cluster_view;
use crate::broker::request::Request;
use crate::log::LogStore;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let asked: DescribeClusterRequest = request.decode(body)?;
    let image = env.image();
    if asked.endpoint_type != BROKERS {
        let (error, message) = match asked.endpoint_type {
            CONTROLLERS => (
                ErrorCode::MismatchedEndpointType,
                "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER".into(),
            ),
            other => (ErrorCode::UnsupportedEndpointType, format!("Unsupported endpoint type {other}").into()),
        };
        // Its endpoint type stays that of the protocol's default, whatever was asked.
        let response = DescribeClusterResponse {
            error_code: error.code(),
            error_message: Some(message),
            ..DescribeClusterResponse::default()
        };
        return Ok(Outcome::Reply(request.respond(&response, [])));
    }
    let brokers = image.brokers().filter(|broker| asked.include_fenced_brokers || !broker.fenced).filter_map(
        |broker| {
            let endpoint = broker.endpoint(&request.context.listener)?;
            Some(DescribeClusterBroker {
                broker_id: broker.id,
                host: endpoint.host.clone(),
                port: i32::from(endpoint.port),
                rack: broker.rack.clone(),
                is_fenced: broker.fenced,
            })
        },
    );
    let response = DescribeClusterResponse {
        endpoint_type: BROKERS,
        cluster_id: image.cluster_id.clone(),
        controller_id: cluster_view::controller_id(image),
        brokers: brokers.collect(),
        cluster_authorized_operations: if asked.include_cluster_authorized_operations {
            CLUSTER_OPERATIONS
        } else {
            i32::MIN
        },
        ..DescribeClusterResponse::default()
    };
    Ok(Outcome::Reply(request.respond(&response, [])))
}
