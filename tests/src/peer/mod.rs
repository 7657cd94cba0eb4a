//! A broker as the suites see it: Apache Kafka 4.3.1 or Ottla, started on random ports with an
//! empty data directory, stopped when dropped.

pub mod cluster;
mod kafka;
pub mod network;
mod ottla;
mod process;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use self::process::Supervised;
use crate::program::{Ended, command, run};

/// How long a broker may take from exec to its first Metadata answer, on a busy machine.
const START_MAX: Duration = Duration::from_secs(90);

/// Which broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Kafka,
    Ottla,
}

/// A running broker.
#[derive(Debug)]
pub struct Peer {
    kind: Kind,
    directory: PathBuf,
    port: u16,
    /// Apache Kafka's controller listener.
    controller_port: u16,
    overrides: Vec<(String, String)>,
    /// A shared peer lives as long as the test's process, which drops nothing at its end.
    shared: bool,
    process: Option<Supervised>,
    /// From exec to the first Metadata answer, the last time it was started.
    started_within: Duration,
}

/// Properties that both brokers get: those of a small node whose groups answer at once.
const COMMON: &[(&str, &str)] = &[
    ("node.id", "1"),
    ("offsets.topic.replication.factor", "1"),
    ("offsets.topic.num.partitions", "4"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("num.partitions", "1"),
];

impl Peer {
    /// Formats a new data directory, starts the broker and waits for its first answer.
    pub fn start(kind: Kind, overrides: &[(&str, &str)]) -> Self {
        Self::launch(kind, overrides, false)
    }

    /// The one broker of this kind that the tests of a process share: each uses topics of its own.
    pub fn shared(kind: Kind) -> &'static Self {
        static KAFKA: OnceLock<Peer> = OnceLock::new();
        static OTTLA: OnceLock<Peer> = OnceLock::new();
        let peer = match kind {
            Kind::Kafka => &KAFKA,
            Kind::Ottla => &OTTLA,
        };
        peer.get_or_init(|| Self::launch(kind, &[], true))
    }

    fn launch(kind: Kind, overrides: &[(&str, &str)], shared: bool) -> Self {
        let [port, controller_port] = free_ports();
        let overrides = with_common(overrides);
        let directory = new_directory();
        let mut peer = Self {
            kind,
            directory,
            port,
            controller_port,
            overrides,
            shared,
            process: None,
            started_within: Duration::ZERO,
        };
        if kind == Kind::Kafka {
            kafka::format(&peer);
        }
        peer.restart();
        peer
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// `127.0.0.1:port`.
    pub fn bootstrap(&self) -> String {
        self.address().to_string()
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The broker's process id.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("the broker runs").pid()
    }

    /// Where its log directories and its output are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// From exec to the first Metadata answer, the last time it was started.
    pub fn started_within(&self) -> Duration {
        self.started_within
    }

    /// True while its process is there.
    pub fn runs(&self) -> bool {
        self.process.as_ref().is_some_and(Supervised::runs)
    }

    /// `kill -9`: nothing is flushed, nothing is said.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// SIGTERM, then its end; true when it ended by itself within ten seconds.
    pub fn stop(&mut self) -> bool {
        self.stop_within(process::TERMINATE_MAX)
    }

    /// [`Peer::stop`] with another patience.
    pub fn stop_within(&mut self, patience: Duration) -> bool {
        self.process.take().is_none_or(|process| process.terminate(patience))
    }

    /// Starts it again on its data directory and the same port.
    pub fn restart(&mut self) {
        self.restart_within(START_MAX);
    }

    /// [`Peer::restart`] with another patience.
    pub fn restart_within(&mut self, patience: Duration) {
        self.kill();
        let command = match self.kind {
            Kind::Kafka => kafka::command(self),
            Kind::Ottla => ottla::command(self),
        };
        let started = Instant::now();
        self.process = Some(Supervised::start(&command, &self.output_path(), self.shared));
        while !crate::wire::answers_metadata(self.address()) {
            assert!(
                started.elapsed() < patience && self.runs(),
                "{:?} did not answer after {:?}; its last words:\n{}",
                self.kind,
                started.elapsed(),
                self.last_words()
            );
            thread::sleep(Duration::from_millis(2));
        }
        self.started_within = started.elapsed();
    }

    /// Lets another broker go on with its data directory, on the same port and with its own overrides. Apache Kafka keeps those
    /// that it was formatted with.
    pub fn hand_over(&mut self, kind: Kind, overrides: &[(&str, &str)]) {
        self.kind = kind;
        self.overrides = with_common(overrides);
        self.restart();
    }

    /// What `ottla check` says of its data directory.
    pub fn checked(&self) -> Ended {
        let data = self.directory.join("data").display().to_string();
        run(command(&[&ottla_binary().display().to_string(), "check", &data]))
    }

    fn output_path(&self) -> PathBuf {
        self.directory.join("output.txt")
    }

    /// The end of what the broker printed.
    pub fn last_words(&self) -> String {
        let output = fs::read(self.output_path()).unwrap_or_default();
        let from = output.len().saturating_sub(4000);
        String::from_utf8_lossy(&output[from..]).into_owned()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("{:?} ({}) last said:\n{}", self.kind, self.bootstrap(), self.last_words());
        }
        if env::var_os("OTTLA_TEST_KEEP").is_none() {
            let _ = fs::remove_dir_all(&self.directory);
        } else {
            eprintln!("kept {}", self.directory.display());
        }
    }
}

/// The brokers that a suite runs against: Ottla, unless `OTTLA_TEST_PEERS` names others
/// (`kafka`, or `kafka,ottla`: a suite that passes on Apache Kafka tests what is true).
pub fn chosen() -> Vec<Kind> {
    let names = env::var("OTTLA_TEST_PEERS").unwrap_or_else(|_| "ottla".to_owned());
    let kind = |name| match name {
        "kafka" => Kind::Kafka,
        "ottla" => Kind::Ottla,
        other => panic!("OTTLA_TEST_PEERS: no peer `{other}`"),
    };
    names.split(',').map(kind).collect()
}

fn with_common(overrides: &[(&str, &str)]) -> Vec<(String, String)> {
    COMMON.iter().chain(overrides).map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The binary under test.
pub fn ottla_binary() -> PathBuf {
    ottla::binary()
}

fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("a bound socket").port())
}

fn new_directory() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let directory = env::temp_dir().join(format!("ottla-test-{}-{number}", std::process::id()));
    fs::create_dir_all(&directory).expect("the temporary folder can be written");
    directory
}
