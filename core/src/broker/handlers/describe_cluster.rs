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
    let is_controller = env.config.is_controller_listener(&request.context.listener);
    if asked.endpoint_type == CONTROLLERS && is_controller {
        return Ok(Outcome::Reply(request.respond(&controllers(env, request), [])));
    }
    if asked.endpoint_type != BROKERS || is_controller {
        let (error, message) = match asked.endpoint_type {
            BROKERS => (
                ErrorCode::MismatchedEndpointType,
                "The request was sent to an endpoint of type CONTROLLER, but we wanted an endpoint of type BROKER".into(),
            ),
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

/// The controllers as they registered (KIP-919).
fn controllers<S: LogStore>(env: &Env<'_, '_, S>, request: &Request) -> DescribeClusterResponse {
    let image = env.image();
    let endpoints = image.controllers().filter_map(|controller| {
        let endpoint =
            controller.endpoints.iter().find(|endpoint| endpoint.name == request.context.listener)?;
        Some(DescribeClusterBroker {
            broker_id: controller.id,
            host: endpoint.host.clone(),
            port: i32::from(endpoint.port),
            rack: None,
            is_fenced: false,
        })
    });
    DescribeClusterResponse {
        endpoint_type: CONTROLLERS,
        cluster_id: image.cluster_id.clone(),
        controller_id: env.published.leader_id,
        brokers: endpoints.collect(),
        ..DescribeClusterResponse::default()
    }
}
