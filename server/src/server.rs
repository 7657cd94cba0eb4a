//! A node's life: bind, open, serve, stop.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_core::config::BrokerConfig;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::cli::refuse;
use crate::compressors::compressors;
use crate::dispatcher::Dispatcher;
use crate::driver::{Clock, Driver, Surroundings};
use crate::http::{self, Web};
use crate::kafka_listener::{KafkaListener, Limits, Stops};
use crate::lock::DirectoryLocks;
use crate::memory::Memory;
use crate::store::FileStore;
use crate::{logging, metrics};

/// How long clients may take to see that a stopping node has closed their connections.
const PARTING: Duration = Duration::from_secs(1);
/// How long flushing may take; a service manager kills at some point, too.
const STOP_MAX: Duration = Duration::from_secs(60);
/// Threads that stay for others when every shard, the controller and the log directories wait for a disk.
const SPARE_WORKERS: usize = 2;

/// Runs a node until it is told to stop.
pub fn run(config: BrokerConfig, started: Instant) -> ExitCode {
    logging::end_on_panic();
    metrics::begin();
    raise_descriptor_limit();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let shards = usize::try_from(config.ottla_shards).ok().filter(|shards| *shards > 0).unwrap_or(8);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads((shards + 2).max(cores) + SPARE_WORKERS)
        .thread_name("ottla")
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&format!("no threads: {error}")),
    };
    let lived = runtime.block_on(live(config, started));
    // What still runs waits for clients that are gone.
    runtime.shutdown_background();
    match lived {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => refuse(&sentence),
    }
}

/// Takes as many descriptors as the system allows: each connection and each open segment is one.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(target: "kafka.server", %error, "the limit of descriptors stays as it is");
    }
}

async fn live(mut config: BrokerConfig, started: Instant) -> Result<(), String> {
    let directories = config.log_dirs.iter().chain([&config.metadata_log_dir]);
    let mut directories: Vec<&str> = directories.map(String::as_str).collect();
    directories.sort_unstable();
    directories.dedup();
    let _locks = DirectoryLocks::take_usable(directories)?;

    let mut kafka = Vec::new();
    for listener in &config.listeners {
        let bound = KafkaListener::bind(listener, &config).await;
        kafka.push(bound.map_err(|error| {
            format!("listeners: {}://{}:{}: {error}", listener.name, listener.host, listener.port)
        })?);
    }
    let http = bind_http(&config).await?;
    advertise(&mut config, &kafka);

    let config = Arc::new(config);
    let runtime = tokio::runtime::Handle::current();
    let dispatcher = Dispatcher::start(runtime.clone()).map_err(|error| format!("no threads: {error}"))?;
    let driver = {
        let (config, dispatcher) = (Arc::clone(&config), dispatcher.clone());
        // Opening reads the metadata log, and a file of each partition.
        let opened = tokio::task::spawn_blocking(move || open(config, dispatcher, runtime));
        opened.await.map_err(|error| error.to_string())??
    };

    let (close, closed) = watch::channel(false);
    let (part, parted) = watch::channel(false);
    let limits = Limits::new(&config).await;
    let mut addresses = Vec::new();
    // Controllers speak to each other before the broker has a place in the cluster.
    let (controllers, brokers): (Vec<_>, Vec<_>) =
        kafka.into_iter().partition(|listener| config.is_controller_listener(listener.name()));
    let (_never, forever) = watch::channel(false);
    let mut serve =
        |listener: KafkaListener, limits: &Limits, [closed, parted]: [&watch::Receiver<bool>; 2]| {
            addresses.extend(listener.address().map(|address| format!("{}://{address}", listener.name())));
            let service = Arc::clone(&driver) as _;
            let stops = Stops { listener: closed.clone(), connections: parted.clone() };
            tokio::spawn(listener.serve(service, limits.clone(), dispatcher.clone(), stops))
        };
    let mut signals = Signals::listen()?;
    // Until the end: while this node hands over, others need to reach it.
    let of_controllers = limits.apart(&config);
    for listener in controllers {
        serve(listener, &of_controllers, [&forever, &forever]);
    }
    if config.process_roles.broker {
        tokio::select! {
            () = driver.let_in() => {}
            signal = signals.next() => {
                tracing::info!(target: "kafka.server", signal, "stopping before the cluster has let the broker in");
                return Ok(());
            }
        }
    }
    let brokers: Vec<_> =
        brokers.into_iter().map(|listener| serve(listener, &limits, [&closed, &parted])).collect();
    drop(parted);
    let pages: Vec<SocketAddr> = http.iter().filter_map(|listener| listener.local_addr().ok()).collect();
    for listener in http {
        let mut closed = closed.clone();
        let web = web(&config, Arc::clone(&driver), dispatcher.clone(), limits.memory());
        tokio::spawn(async move {
            let stopping = async move {
                let _ = closed.wait_for(|closed| *closed).await;
            };
            if let Err(error) = http::serve(listener, web, stopping).await {
                tracing::error!(target: "kafka.server", %error, "the page is not served any more");
            }
        });
    }
    announce(&config, &addresses, &pages, started);

    let signal = signals.next().await;
    tracing::info!(target: "kafka.server", signal, "stopping");
    tokio::spawn(async move {
        let signal = signals.next().await;
        tracing::warn!(target: "kafka.server", signal, "stopping at once: the next start will recover");
        std::process::exit(1);
    });
    if tokio::time::timeout(STOP_MAX, driver.leave()).await.is_err() {
        tracing::warn!(target: "kafka.server", "stopping while it still leads partitions");
    }
    // A client that comes back to a listener that still accepts would take a second to look elsewhere.
    close.send_replace(true);
    for listener in brokers {
        let _ = listener.await;
    }
    part.send_replace(true);
    let _ = tokio::time::timeout(PARTING, part.closed()).await;
    if tokio::time::timeout(STOP_MAX, driver.stop()).await.is_err() {
        return Err(format!(
            "the stop was not clean after {} s: the next start will recover",
            STOP_MAX.as_secs()
        ));
    }
    dispatcher.end();
    tracing::info!(target: "kafka.server", "stopped");
    Ok(())
}

/// Opens the node and starts to drive it.
fn open(
    config: Arc<BrokerConfig>,
    dispatcher: Dispatcher,
    runtime: tokio::runtime::Handle,
) -> Result<Arc<Driver<FileStore>>, String> {
    let seed = seed()?;
    let halt = move |reason: &str| {
        tracing::error!(target: "kafka.server", seed, "the node cannot go on: {reason}");
        std::process::exit(logging::EXIT_BROKEN);
    };
    let (store, compressors, halt) = (FileStore::default(), compressors(), Box::new(halt));
    Driver::open(
        config,
        Surroundings { store, compressors, clock: Clock::start(), dispatcher, runtime, halt, seed },
    )
}

/// A seed from the system.
pub(crate) fn seed() -> Result<u64, String> {
    let mut bytes = [0; 8];
    let drawn = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    drawn.map_err(|error| format!("no randomness: {error}"))?;
    Ok(u64::from_ne_bytes(bytes))
}

/// Fills in what only the shell knows of the addresses that clients are told: ports that the system chose, and this machine's name.
fn advertise(config: &mut BrokerConfig, bound: &[KafkaListener]) {
    for advertised in &mut config.advertised_listeners {
        let address =
            bound.iter().find(|listener| listener.name() == advertised.name).map(KafkaListener::address);
        if let (0, Some(Ok(address))) = (advertised.port, address) {
            advertised.port = address.port();
        }
        if advertised.host.is_empty() {
            advertised.host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        }
    }
}

/// Binds `ottla.http.listeners`. The default port may be somebody else's: that costs the page, not the broker.
async fn bind_http(config: &BrokerConfig) -> Result<Vec<TcpListener>, String> {
    let is_default = config.settings.text("ottla.http.listeners").is_none();
    let mut bound = Vec::new();
    for address in &config.ottla_http_listeners {
        match TcpListener::bind(address).await {
            Ok(listener) => bound.push(listener),
            Err(error) if is_default => {
                tracing::warn!(target: "kafka.server", "no page: ottla.http.listeners={address}: {error}");
            }
            Err(error) => return Err(format!("ottla.http.listeners={address}: {error}")),
        }
    }
    Ok(bound)
}

fn web(
    config: &BrokerConfig,
    driver: Arc<Driver<FileStore>>,
    dispatcher: Dispatcher,
    memory: &Arc<Memory>,
) -> Web {
    let hosts = config.ottla_http_listeners.iter().filter_map(|address| address.rsplit_once(':'));
    let hosts = hosts.map(|(host, _)| host.to_ascii_lowercase());
    let machine = rustix::system::uname().nodename().to_string_lossy().to_ascii_lowercase();
    let listener = config.advertised_listeners.first().map_or("", |listener| &listener.name);
    Web {
        service: Arc::clone(&driver) as _,
        watched: Arc::clone(&driver) as _,
        metered: driver,
        node_id: config.node_id,
        listener: listener.into(),
        request_bytes_max: usize::try_from(config.socket_request_max_bytes).unwrap_or(usize::MAX),
        own_names: hosts.chain([machine]).collect(),
        dispatcher,
        memory: Arc::clone(memory),
    }
}

/// One readable block for whoever started it.
fn announce(config: &BrokerConfig, kafka: &[String], pages: &[SocketAddr], started: Instant) {
    let mut block = format!("Ottla {}, node {}\n", crate::VERSION, config.node_id);
    let mut line = |name: &str, values: &[String]| {
        if !values.is_empty() {
            block.push_str(&format!("  {name:<8}{}\n", values.join("  ")));
        }
    };
    line("kafka", kafka);
    line("page", &pages.iter().map(|address| format!("http://{address}/")).collect::<Vec<_>>());
    line("data", &config.log_dirs);
    line("ready", &[format!("after {} ms", started.elapsed().as_millis())]);
    crate::cli::say(&block);
}

/// The signals that end a server.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Signals, String> {
        let listen = |kind| signal(kind).map_err(|error| format!("no signals: {error}"));
        Ok(Signals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
