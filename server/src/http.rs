//! HTTP: the page, `/health`, `/ready`, `/metrics`, and the WebSockets `/kafka/{node}` (this one or another) and `/events`.
//!
//! A browser lets any page on the internet talk to a port of this machine. So a request is answered when its `Host` is an
//! address, a loopback name or the listener's own name, which no page elsewhere can make it (DNS rebinding), and a WebSocket is
//! opened when its `Origin` is such a host too.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Request, State, WebSocketUpgrade};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::IntoResponse as _;
use axum::routing::{any, get};
use ottla_core::ids::NodeId;
use tokio::net::TcpListener;

use crate::dispatcher::Dispatcher;
use crate::events::{self, Watched};
use crate::memory::Memory;
use crate::metrics::Metered;
use crate::page::{self, plain};
use crate::service::{Peer, Service};
use crate::{metrics, tunnel, websocket};

/// Watchers have nothing to say.
const WATCHER_BYTES_MAX: usize = 1024;

/// What the handlers answer from.
#[derive(Clone)]
pub struct Web {
    /// The node that WebSockets lead to.
    pub service: Arc<dyn Service>,
    /// The same node, for those who watch.
    pub watched: Arc<dyn Watched>,
    /// The same node, for those who measure.
    pub metered: Arc<dyn Metered>,
    /// Its number: `/kafka/{node}`.
    pub node_id: i32,
    /// Name of the Kafka listener whose addresses WebSocket clients are told.
    pub listener: Arc<str>,
    /// `socket.request.max.bytes`
    pub request_bytes_max: usize,
    /// Names by which this server may be called, besides loopback and addresses.
    pub own_names: Arc<[String]>,
    /// For wakes.
    pub dispatcher: Dispatcher,
    /// For long answers.
    pub memory: Arc<Memory>,
}

/// Serves one of `ottla.http.listeners` until `stop` ends.
pub async fn serve(
    listener: TcpListener,
    web: Web,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let service = router(web).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop).await
}

fn router(web: Web) -> Router {
    Router::new()
        .route("/ready", get(ready))
        .route("/kafka/{node}", any(kafka))
        .route("/events", any(events))
        .route("/metrics", get(async |State(web): State<Web>| metrics::respond(&*web.metered).await))
        .fallback(async |request: Request| {
            page::respond(request.method(), request.uri().path(), request.headers()).await
        })
        .layer(middleware::from_fn_with_state(web.clone(), check_host))
        // Probes come by whatever name.
        .route("/health", get(async || "ok\n"))
        .with_state(web)
}

async fn ready(State(web): State<Web>) -> Response<Body> {
    match web.metered.is_ready() {
        true => plain(StatusCode::OK, "ready\n"),
        false => plain(StatusCode::SERVICE_UNAVAILABLE, "not now: the broker is fenced, or leaves\n"),
    }
}

async fn kafka(
    State(web): State<Web>,
    Path(node): Path<i32>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response<Body> {
    if !web.allows_origin(&headers) {
        return plain(StatusCode::FORBIDDEN, "a page of another origin\n");
    }
    let upgrade = upgrade.max_message_size(web.request_bytes_max).max_frame_size(web.request_bytes_max);
    if node == web.node_id {
        let peer = Peer { listener: Arc::clone(&web.listener), host: address.ip().to_canonical() };
        return upgrade
            .on_upgrade(move |socket| websocket::serve(socket, web.service, peer, web.dispatcher, web.memory))
            .into_response();
    }
    let Some(target) = web.service.address(node, &web.listener) else {
        return plain(
            StatusCode::NOT_FOUND,
            "no such broker, or none that clients without TLS and SASL can use now\n",
        );
    };
    match tunnel::open(&target).await {
        Ok(stream) => upgrade.on_upgrade(move |socket| tunnel::carry(socket, stream, node)).into_response(),
        Err(error) => {
            tracing::info!(target: "kafka.network", node, %error, "a tunnel cannot be opened");
            plain(StatusCode::BAD_GATEWAY, "that broker cannot be reached from here\n")
        }
    }
}

async fn events(State(web): State<Web>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response<Body> {
    if !web.allows_origin(&headers) {
        return plain(StatusCode::FORBIDDEN, "a page of another origin\n");
    }
    upgrade
        .max_message_size(WATCHER_BYTES_MAX)
        .on_upgrade(move |socket| events::serve(socket, web.watched, NodeId(web.node_id)))
        .into_response()
}

async fn check_host(State(web): State<Web>, request: Request, next: Next) -> Response<Body> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if !host.is_some_and(|host| web.is_own(host)) {
        return plain(StatusCode::MISDIRECTED_REQUEST, "not a name of this server\n");
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

impl Web {
    /// Whether an authority (`host` or `host:port`) names this server and cannot be made to by others.
    fn is_own(&self, authority: &str) -> bool {
        let host = host_of(authority);
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        host.parse::<IpAddr>().is_ok() || is_loopback_name(&name) || self.own_names.contains(&name)
    }

    /// Whether the page that opens a WebSocket, if any, is ours or on this machine.
    fn allows_origin(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = origins.next() else { return true };
        let authority =
            origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, rest)| rest);
        let (Some(origin), None) = (authority, origins.next()) else { return false };
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let on_this_machine = is_loopback(host_of(origin)) && is_loopback(host_of(host));
        self.is_own(host) && (on_this_machine || origin.eq_ignore_ascii_case(host))
    }
}

/// An authority without its port and without the brackets of IPv6.
fn host_of(authority: &str) -> &str {
    if let Some((host, _)) = authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return host;
    }
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

fn is_loopback(host: &str) -> bool {
    host.parse::<IpAddr>().map_or_else(|_| is_loopback_name(host), |address| address.is_loopback())
}

fn is_loopback_name(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost")
}

impl std::fmt::Debug for Web {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Web").field("node_id", &self.node_id).finish_non_exhaustive()
    }
}
