//! Kafka's protocol over TCP.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ottla_core::broker::quotas::{ConnectionLimits, ConnectionRates};
use ottla_core::config::{BrokerConfig, Listener};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::MissedTickBehavior;

use crate::dispatcher::Dispatcher;
use crate::driver::Clock;
use crate::frames::FrameReader;
use crate::memory::{Charge, Memory};
use crate::outbox::TcpOutbox;
use crate::service::{Peer, Service, Session};

/// A socket's buffers when their keys are not set. Kafka's default of 100 KiB wakes a thread for every two batches.
const BUFFER_BYTES: u32 = 1 << 20;
/// Bytes of responses that may wait for a slow client before its next request is read. Apache Kafka has it take the whole response.
const UNSENT_BYTES_MAX: usize = 64 << 10;
/// An idle connection is looked at this often within `connections.max.idle.ms`.
const IDLE_CHECKS: u32 = 4;

/// How long a stopping node waits for a client to take its last responses.
const PARTING: Duration = Duration::from_millis(500);
/// How long it waits for a moment in which a client has no request on its way that could fail, and how often it looks.
const QUIET_MAX: Duration = Duration::from_millis(300);
const QUIET_CHECK: Duration = Duration::from_millis(1);

/// A bound socket that does not accept yet: clients that come early wait in its backlog.
#[derive(Debug)]
pub struct KafkaListener {
    name: Arc<str>,
    socket: TcpListener,
}

/// What holds for every connection of a node.
#[derive(Clone, Debug)]
pub struct Limits {
    request_bytes_max: usize,
    idle_max: Option<Duration>,
    connections: Arc<Semaphore>,
    per_ip: Arc<PerIp>,
    rates: Arc<Mutex<ConnectionRates>>,
    memory: Arc<Memory>,
    clock: Clock,
}

/// When a listener ends, and when its connections do.
#[derive(Clone, Debug)]
pub struct Stops {
    pub listener: watch::Receiver<bool>,
    pub connections: watch::Receiver<bool>,
}

/// Connections by client address.
#[derive(Debug)]
struct PerIp {
    counts: Mutex<HashMap<IpAddr, usize>>,
    max: usize,
    overrides: HashMap<IpAddr, usize>,
}

/// One client's place in the count of its address.
#[derive(Debug)]
struct Place {
    per_ip: Arc<PerIp>,
    host: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl KafkaListener {
    /// Binds one of `listeners`.
    pub async fn bind(listener: &Listener, config: &BrokerConfig) -> io::Result<Self> {
        let socket = bind_first(&listener.host, listener.port, config).await?;
        Ok(Self { name: listener.name.as_str().into(), socket })
    }

    /// Where it is bound: the port is the system's choice if the configuration says 0.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Name of the listener.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Accepts until the first of `stops` says so; connections live until the second does.
    pub async fn serve(
        self,
        service: Arc<dyn Service>,
        limits: Limits,
        dispatcher: Dispatcher,
        mut stops: Stops,
    ) {
        loop {
            let Ok(permit) = Arc::clone(&limits.connections).acquire_owned().await else { return };
            let accepted = tokio::select! {
                biased;
                () = stopped(&mut stops.listener) => return,
                accepted = self.socket.accept() => accepted,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // The process has no descriptors left, most likely: give it time to get some back.
                    tracing::warn!(target: "kafka.network", %error, listener = %self.name, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let host = address.ip().to_canonical();
            let pace = service.connection_limits(&self.name, host);
            let wait = limits.accepted(&self.name, pace);
            if !wait.is_zero() {
                tracing::debug!(target: "kafka.network", ?wait, listener = %self.name, "connections come too fast");
                tokio::select! {
                    () = stopped(&mut stops.listener) => return,
                    () = tokio::time::sleep(wait) => {}
                }
            }
            if let Err(wait) = limits.pace(&self.name, host, pace) {
                tracing::debug!(target: "kafka.network", %host, ?wait, listener = %self.name, "refusing a connection: they come too fast from this address");
                tokio::spawn(async move {
                    tokio::time::sleep(wait).await;
                    drop(stream);
                });
                continue;
            }
            let Some(place) = limits.admit(host, permit) else {
                tracing::info!(target: "kafka.network", %host, listener = %self.name, "refusing a connection: too many from this address");
                continue;
            };
            let peer = Peer { listener: Arc::clone(&self.name), host };
            let (service, dispatcher, limits) = (Arc::clone(&service), dispatcher.clone(), limits.clone());
            let mut stop = stops.connections.clone();
            tokio::spawn(async move {
                let _place = place;
                serve_connection(stream, peer, service, dispatcher, &limits, &mut stop).await;
            });
        }
    }
}

/// Reads requests until the client goes, misbehaves, idles, or is sent away.
async fn serve_connection(
    stream: TcpStream,
    peer: Peer,
    service: Arc<dyn Service>,
    dispatcher: Dispatcher,
    limits: &Limits,
    stop: &mut watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(target: "kafka.network", %error, "TCP_NODELAY");
    }
    if never_leaves_the_machine(&stream) {
        // There is no network to be gentle with, and an algorithm that paces its packets spends a quarter of the CPU on timers.
        let _ = rustix::net::sockopt::set_tcp_congestion(&stream, "reno");
    }
    let host = peer.host;
    let (read, write) = stream.into_split();
    let outbox = Arc::new(TcpOutbox::new(write, dispatcher, Arc::clone(&limits.memory)));
    let session = service.connected(peer, Arc::clone(&outbox) as _);
    read_requests(read, host, &*session, &outbox, limits, stop).await;
    // Whoever still holds the outbox holds the socket: the client is not to wait for that.
    outbox.shut_down();
}

fn never_leaves_the_machine(stream: &TcpStream) -> bool {
    let (peer, own) = (stream.peer_addr(), stream.local_addr());
    matches!((peer, own), (Ok(peer), Ok(own)) if peer.ip() == own.ip() || peer.ip().to_canonical().is_loopback())
}

async fn read_requests(
    mut read: OwnedReadHalf,
    host: IpAddr,
    session: &dyn Session,
    outbox: &TcpOutbox,
    limits: &Limits,
    stop: &mut watch::Receiver<bool>,
) {
    let memory = &limits.memory;
    let mut frames = FrameReader::new(limits.request_bytes_max, Arc::clone(memory));
    let mut idle = Idle::new(limits.idle_max);
    let mut parting = Parting { stop, until: None };
    loop {
        if parting.is_over(|| frames.is_empty() && session.may_part()) {
            return part(outbox).await;
        }
        if outbox.bytes() > UNSENT_BYTES_MAX && !outbox.drain_in_time().await {
            return;
        }
        if !session.wants_more() {
            tokio::select! {
                () = session.resumed().notified() => {}
                () = outbox.stuck() => if !outbox.drain_in_time().await { return },
                () = parting.next() => {}
            }
            continue;
        }
        if memory.is_used_up() && (frames.wants_memory() || outbox.bytes() > 0) {
            tokio::select! {
                () = memory.available() => {}
                () = outbox.stuck() => if !outbox.drain_in_time().await { return },
                () = parting.next() => {}
            }
            continue;
        }
        match frames.next_frame() {
            Ok(Some(frame)) => {
                if outbox.attend(|| session.received(frame)) && !outbox.drain_in_time().await {
                    return;
                }
                continue;
            }
            Ok(None) => {}
            Err(error) => {
                tracing::info!(target: "kafka.network", %host, %error, "closing a connection");
                return;
            }
        }
        let since = frames.charge().map(Charge::since);
        tokio::select! {
            biased;
            () = outbox.stuck() => if !outbox.drain_in_time().await { return },
            read = frames.fill(&mut read) => match read {
                Ok(0) => return,
                Ok(_) => idle.is_active(),
                Err(error) => {
                    tracing::debug!(target: "kafka.network", %host, %error, "a connection broke");
                    return;
                }
            },
            () = frames_wanted_back(since, memory) => {
                tracing::info!(target: "kafka.network", %host, "closing the connection of a client whose request does not end");
                return;
            }
            () = idle.passed(outbox) => {
                tracing::debug!(target: "kafka.network", %host, "closing an idle connection");
                return;
            }
            () = parting.next() => {}
        }
    }
}

/// A connection of a node that stops: it ends when its client has nothing on its way, or when that takes too long.
struct Parting<'a> {
    stop: &'a mut watch::Receiver<bool>,
    until: Option<Instant>,
}

impl Parting<'_> {
    /// Waits until it may be over.
    async fn next(&mut self) {
        match self.until {
            None => stopped(self.stop).await,
            Some(_) => tokio::time::sleep(QUIET_CHECK).await,
        }
    }

    fn is_over(&mut self, is_quiet: impl FnOnce() -> bool) -> bool {
        // A sender that is gone is a node that is gone.
        if self.until.is_none() && (*self.stop.borrow() || self.stop.has_changed().is_err()) {
            self.until = Some(Instant::now() + QUIET_MAX);
        }
        self.until.is_some_and(|until| is_quiet() || Instant::now() >= until)
    }
}

/// Returns once others need what a frame that is still being read holds.
async fn frames_wanted_back(since: Option<Instant>, memory: &Memory) {
    match since {
        Some(since) => memory.wanted_back(since).await,
        None => std::future::pending().await,
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone is a node that is gone.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Sends what is left, to a client that takes it.
async fn part(outbox: &TcpOutbox) {
    let _ = tokio::time::timeout(PARTING, outbox.drain()).await;
}

/// Watches for `connections.max.idle.ms` without touching a clock for each request.
struct Idle {
    checks: Option<tokio::time::Interval>,
    quiet_checks: u32,
    sent: u64,
}

impl Idle {
    fn new(max: Option<Duration>) -> Self {
        let checks = max.map(|max| {
            let period = (max / IDLE_CHECKS).max(Duration::from_millis(1));
            let mut checks = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
            checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            checks
        });
        Self { checks, quiet_checks: 0, sent: 0 }
    }

    fn is_active(&mut self) {
        self.quiet_checks = 0;
    }

    /// Returns once neither side has sent anything for the whole time.
    async fn passed(&mut self, outbox: &TcpOutbox) {
        let Some(checks) = &mut self.checks else { return std::future::pending().await };
        loop {
            checks.tick().await;
            let sent = outbox.sent();
            self.quiet_checks = if sent == self.sent { self.quiet_checks + 1 } else { 0 };
            self.sent = sent;
            if self.quiet_checks >= IDLE_CHECKS {
                return;
            }
        }
    }
}

impl Limits {
    /// As the configuration says. Names in `max.connections.per.ip.overrides` are looked up here, once.
    pub async fn new(config: &BrokerConfig) -> Self {
        let bound = |number: i32| usize::try_from(number).unwrap_or(0);
        let mut overrides = HashMap::new();
        for (host, max) in &config.max_connections_per_ip_overrides {
            match tokio::net::lookup_host((host.as_str(), 0)).await {
                Ok(addresses) => {
                    overrides.extend(addresses.map(|address| (address.ip().to_canonical(), bound(*max))));
                }
                Err(error) => {
                    tracing::warn!(target: "kafka.network", %host, %error, "max.connections.per.ip.overrides: unknown host");
                }
            }
        }
        let per_ip = PerIp { counts: Mutex::default(), max: bound(config.max_connections_per_ip), overrides };
        Self {
            request_bytes_max: bound(config.socket_request_max_bytes),
            idle_max: u64::try_from(config.connections_max_idle_ms).ok().map(Duration::from_millis),
            connections: Arc::new(Semaphore::new(bound(config.max_connections).min(Semaphore::MAX_PERMITS))),
            per_ip: Arc::new(per_ip),
            rates: Arc::new(Mutex::new(ConnectionRates::new(config))),
            memory: Memory::new(config.queued_max_request_bytes),
            clock: Clock::start(),
        }
    }

    /// The account of long requests and unsent answers.
    pub fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// The same for other listeners, whose connections come at a rate of their own.
    #[must_use]
    pub fn apart(&self, config: &BrokerConfig) -> Self {
        Self { rates: Arc::new(Mutex::new(ConnectionRates::new(config))), ..self.clone() }
    }

    /// How long a listener that has accepted a connection waits.
    fn accepted(&self, listener: &str, pace: ConnectionLimits) -> Duration {
        ms(self.rates().accept(self.clock.monotonic(), listener, pace))
    }

    /// Whether a connection is let in, or how long it is held.
    fn pace(&self, listener: &str, host: IpAddr, pace: ConnectionLimits) -> Result<(), Duration> {
        self.rates().admit(self.clock.monotonic(), listener, host, pace).map_err(ms)
    }

    fn rates(&self) -> MutexGuard<'_, ConnectionRates> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(&self, host: IpAddr, permit: OwnedSemaphorePermit) -> Option<Place> {
        let max = self.per_ip.overrides.get(&host).copied().unwrap_or(self.per_ip.max);
        let mut counts = self.per_ip.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(host).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Place { per_ip: Arc::clone(&self.per_ip), host, _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.per_ip.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.host) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.host);
            }
        }
    }
}

fn ms(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// Binds the first of a host's addresses that can be bound; no host is every interface.
async fn bind_first(host: &str, port: u16, config: &BrokerConfig) -> io::Result<TcpListener> {
    let addresses: Vec<SocketAddr> = if host.is_empty() {
        vec![(std::net::Ipv6Addr::UNSPECIFIED, port).into(), (std::net::Ipv4Addr::UNSPECIFIED, port).into()]
    } else {
        tokio::net::lookup_host((host, port)).await?.collect()
    };
    let mut refused = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match bind(address, config) {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

fn bind(address: SocketAddr, config: &BrokerConfig) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // −1 leaves a buffer to the system. Accepted sockets inherit the sizes.
    let asked = |key: &str, bytes: i32| match config.settings.text(key) {
        Some(_) => u32::try_from(bytes).ok(),
        None => Some(BUFFER_BYTES),
    };
    if let Some(bytes) = asked("socket.send.buffer.bytes", config.socket_send_buffer_bytes) {
        socket.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = asked("socket.receive.buffer.bytes", config.socket_receive_buffer_bytes) {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.bind(address)?;
    socket.listen(u32::try_from(config.socket_listen_backlog_size).unwrap_or(50))
}
