//! The nodes of a cluster, each a process of its own: Apache Kafka's or Ottla's.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::network::Network;
use super::process::Supervised;
use super::{Kind, kafka, new_directory, ottla};
use crate::program::{self, Ended};

/// Of every cluster.
pub const CLUSTER_ID: &str = "Vt6ZAsSRQzKTlHsmVVl1bw";
/// How long a quorum may take to do what it will do.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many nodes a cluster may have.
const NODES_MAX: usize = 5;

/// A cluster.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    members: Vec<Member>,
    /// Nothing is changed that would cost time or change what is measured.
    is_as_it_comes: bool,
    /// Ports of nodes to come: of their controllers and brokers.
    spare: Vec<(u16, u16)>,
    quorum: Quorum,
    /// Each node has an address of its own.
    network: Option<Network>,
}

#[derive(Debug)]
struct Member {
    kind: Kind,
    port: u16,
    /// Of its broker.
    broker_port: u16,
    is_broker: bool,
    process: Option<Supervised>,
}

/// What the nodes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Roles {
    /// A metadata quorum and nothing else.
    Controllers,
    /// A broker and nothing else, with a second listener, SASL, at the port of a controller.
    Broker,
    /// Each is a controller and a broker.
    Both,
}

/// How the controllers know of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quorum {
    /// `controller.quorum.voters`.
    Static,
    /// `controller.quorum.bootstrap.servers`, and voters that may change (KIP-853).
    Dynamic,
}

impl Cluster {
    /// Formats and starts one node of each kind, with the ids 1, 2, …, and static voters.
    pub fn start(kinds: &[Kind], roles: Roles, overrides: &[(&str, &str)]) -> Self {
        Self::start_with(kinds, roles, Quorum::Static, |_| overrides.to_vec())
    }

    /// The same without debug logs, and with all features of Apache Kafka: to be measured.
    pub fn start_as_it_comes(kinds: &[Kind], roles: Roles, overrides: &[(&str, &str)]) -> Self {
        Self::launch(kinds, roles, Quorum::Static, true, None, |_| overrides.to_vec())
    }

    /// The same with each node in a network of its own, where that is allowed.
    pub fn start_apart(kinds: &[Kind], roles: Roles, overrides: &[(&str, &str)]) -> Self {
        let network = Network::of(kinds.len());
        Self::launch(kinds, roles, Quorum::Static, false, network, |_| overrides.to_vec())
    }

    /// The same with a quorum of another kind, and what each node is told beside.
    pub fn start_with<'a>(
        kinds: &[Kind],
        roles: Roles,
        quorum: Quorum,
        overrides: impl Fn(usize) -> Vec<(&'a str, &'a str)>,
    ) -> Self {
        Self::launch(kinds, roles, quorum, false, None, overrides)
    }

    fn launch<'a>(
        kinds: &[Kind],
        roles: Roles,
        quorum: Quorum,
        is_as_it_comes: bool,
        network: Option<Network>,
        overrides: impl Fn(usize) -> Vec<(&'a str, &'a str)>,
    ) -> Self {
        let ports: [u16; 2 * NODES_MAX] = super::free_ports();
        let (ports, broker_ports) = ports.split_at(NODES_MAX);
        let spare = ports.iter().zip(broker_ports).map(|(port, broker_port)| (*port, *broker_port));
        let (directory, spare) = (new_directory(), spare.rev().collect());
        let mut cluster = Self { directory, members: Vec::new(), is_as_it_comes, spare, quorum, network };
        for kind in kinds {
            cluster.join(*kind, roles);
        }
        for id in 1..=kinds.len() {
            let voters = cluster.voters(kinds.len());
            cluster.write_properties(id, roles, quorum, &voters, &overrides(id));
            let formatted = match quorum {
                Quorum::Static => Vec::new(),
                Quorum::Dynamic => {
                    let voters: Vec<String> = (1..)
                        .zip(&voters)
                        .map(|(id, voter)| format!("{voter}:{}", directory_id(id)))
                        .collect();
                    vec!["--initial-controllers".to_owned(), voters.join(",")]
                }
            };
            cluster.format(id, &formatted);
            cluster.restart(id);
        }
        cluster
    }

    /// Formats and starts a controller that is no voter: its id. It finds the others by `controller.quorum.bootstrap.servers`, as all that are added do.
    pub fn add_controller(&mut self, kind: Kind, overrides: &[(&str, &str)]) -> usize {
        let voters = self.voters(self.members.len());
        let id = self.join(kind, Roles::Controllers);
        self.write_properties(id, Roles::Controllers, Quorum::Dynamic, &voters, overrides);
        self.format(id, &["--no-initial-controllers".to_owned()]);
        self.restart(id);
        id
    }

    /// Formats and starts a broker: its id.
    pub fn add_broker(&mut self, kind: Kind, overrides: &[(&str, &str)]) -> usize {
        let voters = self.voters(self.members.len());
        let id = self.join(kind, Roles::Broker);
        self.write_properties(id, Roles::Broker, self.quorum, &voters, overrides);
        self.format(id, &[]);
        self.restart(id);
        id
    }

    fn join(&mut self, kind: Kind, roles: Roles) -> usize {
        let (port, broker_port) = self.spare.pop().expect("a spare port");
        let is_broker = roles != Roles::Controllers;
        self.members.push(Member { kind, port, broker_port, is_broker, process: None });
        self.members.len()
    }

    /// `id@host:port` of the first nodes.
    fn voters(&self, nodes: usize) -> Vec<String> {
        let members = self.members.iter().take(nodes);
        (1..).zip(members).map(|(id, member)| format!("{id}@{}:{}", self.host(id), member.port)).collect()
    }

    fn write_properties(
        &self,
        id: usize,
        roles: Roles,
        quorum: Quorum,
        voters: &[String],
        overrides: &[(&str, &str)],
    ) {
        let member = &self.members[id - 1];
        let host = self.host(id);
        let controller = format!("CONTROLLER://{host}:{}", member.port);
        let (roles, listeners) = match roles {
            Roles::Controllers => ("controller", controller),
            Roles::Broker => {
                ("broker", format!("PLAINTEXT://{host}:{},SASL://{host}:{}", member.broker_port, member.port))
            }
            Roles::Both => {
                ("broker,controller", format!("PLAINTEXT://{host}:{},{controller}", member.broker_port))
            }
        };
        let quorum = match quorum {
            Quorum::Static => format!("controller.quorum.voters={}", voters.join(",")),
            Quorum::Dynamic => {
                let servers: Vec<&str> = voters.iter().filter_map(|voter| voter.split('@').nth(1)).collect();
                format!("controller.quorum.bootstrap.servers={}", servers.join(","))
            }
        };
        let mut properties = format!(
            "process.roles={roles}\nnode.id={id}\nlisteners={listeners}\n\
             controller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT\n\
             {quorum}\nlog.dirs={data}\n",
            data = self.data(id).display(),
        );
        if member.kind == Kind::Ottla {
            properties.push_str("ottla.http.listeners=\n");
        }
        overrides.iter().for_each(|(key, value)| properties.push_str(&format!("{key}={value}\n")));
        fs::write(self.properties(id), properties).expect("the directory can be written");
    }

    fn host(&self, id: usize) -> Ipv4Addr {
        self.network.as_ref().map_or(Ipv4Addr::LOCALHOST, |network| network.address(id))
    }

    /// Where links between nodes can be cut.
    pub fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    fn member(&mut self, id: usize) -> &mut Member {
        &mut self.members[id - 1]
    }

    /// The `server.properties` of a node.
    pub fn properties(&self, id: usize) -> PathBuf {
        self.directory.join(format!("{id}.properties"))
    }

    /// The log directory of a controller.
    pub fn data(&self, id: usize) -> PathBuf {
        self.directory.join(format!("data-{id}"))
    }

    fn format(&self, id: usize, options: &[String]) {
        let path = self.properties(id).display().to_string();
        let options = options.iter().map(String::as_str);
        let ended = match self.members[id - 1].kind {
            Kind::Kafka => {
                let mut arguments = vec!["format", "-t", CLUSTER_ID, "-c", &path];
                if !self.is_as_it_comes {
                    kafka::FEATURES_OFF.iter().for_each(|feature| arguments.extend(["--feature", feature]));
                }
                arguments.extend(options);
                program::run(program::java("kafka.tools.StorageTool", &arguments))
            }
            Kind::Ottla => {
                let mut format = Command::new(ottla::binary());
                format.args(["format", "--cluster-id", CLUSTER_ID, "--config", &path]).args(options);
                program::run(format)
            }
        };
        ended.ok();
    }

    /// Starts a controller, again if it runs.
    pub fn restart(&mut self, id: usize) {
        self.kill(id);
        let path = self.properties(id);
        let command = match self.members[id - 1].kind {
            Kind::Kafka => kafka::server(&path),
            Kind::Ottla => {
                let mut server = Command::new(ottla::binary());
                server.arg("server").arg(&path).env("RUST_BACKTRACE", "0");
                if !self.is_as_it_comes {
                    server.args(["--log", "debug,kafka.request.logger=info"]);
                }
                server
            }
        };
        let command = match &self.network {
            Some(network) => network.inside(id, &command),
            None => command,
        };
        let output = self.output(id);
        self.member(id).process = Some(Supervised::start(&command, &output, false));
    }

    fn output(&self, id: usize) -> PathBuf {
        self.directory.join(format!("{id}.txt"))
    }

    /// `kill -9`.
    pub fn kill(&mut self, id: usize) {
        if let Some(process) = self.member(id).process.take() {
            process.kill();
        }
    }

    /// Sends a signal, by its name with a hyphen.
    pub fn signal(&self, id: usize, name: &str) {
        if let Some(process) = &self.members[id - 1].process {
            process.signal(name);
        }
    }

    /// The process of a node that runs.
    pub fn pid(&self, id: usize) -> u32 {
        self.members[id - 1].process.as_ref().expect("the node runs").pid()
    }

    /// Where a node's broker listens.
    pub fn broker_address(&self, id: usize) -> SocketAddr {
        (self.host(id), self.members[id - 1].broker_port).into()
    }

    /// SIGTERM; true when it ended by itself.
    pub fn stop(&mut self, id: usize) -> bool {
        let process = self.member(id).process.take();
        process.is_none_or(|process| process.terminate(super::process::TERMINATE_MAX))
    }

    /// Where the controller and the broker of a node listen.
    pub fn ports(&self, id: usize) -> (u16, u16) {
        let member = &self.members[id - 1];
        (member.port, member.broker_port)
    }

    /// How many nodes there are, running or not.
    pub fn nodes(&self) -> usize {
        self.members.len()
    }

    /// Where everything of the cluster is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Which kind a controller is of.
    pub fn kind(&self, id: usize) -> Kind {
        self.members[id - 1].kind
    }

    /// The addresses of those that run, as tools take them.
    pub fn bootstrap(&self) -> String {
        let running = (1..).zip(&self.members).filter(|(_, member)| member.process.is_some());
        let addresses = running.map(|(id, member)| format!("{}:{}", self.host(id), member.port));
        addresses.collect::<Vec<_>>().join(",")
    }

    /// The addresses of all brokers, as clients take them.
    pub fn brokers(&self) -> String {
        let addresses = (1..=self.members.len()).map(|id| self.broker_address(id).to_string());
        addresses.collect::<Vec<_>>().join(",")
    }

    /// Apache Kafka's `kafka-topics.sh` with these arguments.
    pub fn topics(&self, arguments: &[&str]) -> Ended {
        let brokers = self.brokers();
        let mut all = vec!["--bootstrap-server", &brokers];
        all.extend(arguments);
        program::run(program::java("org.apache.kafka.tools.TopicCommand", &all))
    }

    /// Apache Kafka's `kafka-metadata-quorum.sh` with these arguments.
    pub fn tool(&self, arguments: &[&str]) -> Ended {
        // A client that comes before the controllers know of each other never looks again.
        let patience = self.directory.join("tool.properties");
        fs::write(&patience, "default.api.timeout.ms=5000\nrequest.timeout.ms=3000\n")
            .expect("it is written");
        let (bootstrap, patience) = (self.bootstrap(), patience.display().to_string());
        let mut all = vec!["--bootstrap-controller", &bootstrap, "--command-config", &patience];
        all.extend(arguments);
        program::run(program::java("org.apache.kafka.tools.MetadataQuorumCommand", &all))
    }

    /// What `describe --status` says of each name.
    pub fn status(&self) -> Option<Status> {
        let ended = self.tool(&["describe", "--status"]);
        if ended.code != Some(0) {
            return None;
        }
        let value = |name: &str| {
            let line = ended.out.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            Some(line.trim().to_owned())
        };
        Some(Status {
            leader_id: value("LeaderId")?.parse().ok()?,
            leader_epoch: value("LeaderEpoch")?.parse().ok()?,
            high_watermark: value("HighWatermark")?.parse().ok()?,
            max_follower_lag: value("MaxFollowerLag")?.parse().ok()?,
        })
    }

    /// Asks until what is said is so.
    #[track_caller]
    pub fn until(&self, what: &str, is_so: impl Fn(&Status) -> bool) -> Status {
        let started = Instant::now();
        let mut last = None;
        while started.elapsed() < PATIENCE {
            last = self.status();
            if let Some(status) = last.take_if(|status| is_so(status)) {
                return status;
            }
            thread::sleep(Duration::from_millis(200));
        }
        panic!("not within {PATIENCE:?}: {what}; {last:?}\n{}", self.last_words());
    }

    /// Waits until the brokers that run name each other, and no one else: a client that comes before waits for one that is not there.
    #[track_caller]
    pub fn until_brokers_know_each_other(&self) {
        let started = Instant::now();
        let running = || self.members.iter().filter(|member| member.process.is_some() && member.is_broker);
        let all = u32::try_from(running().count()).expect("few");
        let knows_all = |member: &Member| {
            crate::wire::brokers_known((std::net::Ipv4Addr::LOCALHOST, member.broker_port).into()) == all
        };
        while !running().all(knows_all) {
            assert!(started.elapsed() < PATIENCE, "brokers do not know each other\n{}", self.last_words());
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Creates a topic, once there are brokers for all its replicas.
    #[track_caller]
    pub fn until_created(&self, topic: &str, partitions: &str) {
        let started = Instant::now();
        loop {
            let ended = self.topics(&["--create", "--topic", topic, "--partitions", partitions]);
            if ended.code == Some(0) {
                return;
            }
            let said = format!("{}\n{}", ended.out, ended.err);
            assert!(started.elapsed() < PATIENCE, "{topic} is not created: {said}\n{}", self.last_words());
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// Waits until every replica of a topic is in sync.
    #[track_caller]
    pub fn until_in_sync(&self, topic: &str) {
        self.until_in_sync_replicas(topic, self.members.len());
    }

    /// Waits until every partition of a topic has so many replicas in sync.
    #[track_caller]
    pub fn until_in_sync_replicas(&self, topic: &str, replicas: usize) {
        let started = Instant::now();
        let mut said = String::new();
        while started.elapsed() < PATIENCE {
            said = self.topics(&["--describe", "--topic", topic]).out;
            let partitions: Vec<&str> = said.lines().filter(|line| line.contains("Partition: ")).collect();
            let isr = |line: &&str| line.split("Isr: ").nth(1)?.split_whitespace().next().map(str::len);
            let all = replicas * 2 - 1;
            if !partitions.is_empty() && partitions.iter().all(|line| isr(line) == Some(all)) {
                return;
            }
            thread::sleep(Duration::from_millis(200));
        }
        panic!("not within {PATIENCE:?}: every replica of {topic} in sync; {said}\n{}", self.last_words());
    }

    fn last_words(&self) -> String {
        let words = (1..=self.members.len()).map(|id| {
            let output = fs::read(self.output(id)).unwrap_or_default();
            let from = output.len().saturating_sub(3_000);
            format!("{:?} {id}:\n{}\n", self.kind(id), String::from_utf8_lossy(&output[from..]))
        });
        words.collect()
    }
}

/// Of the data directory of a first voter.
pub fn directory_id(id: usize) -> String {
    const DIGITS: [&str; NODES_MAX] = ["Q", "R", "S", "T", "U"];
    format!("ottlaOttlaOttlaOttla{}A", DIGITS[id - 1])
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.members.clear();
        if thread::panicking() {
            eprintln!("{}", self.last_words());
        }
        if std::env::var_os("OTTLA_TEST_KEEP").is_none() {
            let _ = fs::remove_dir_all(&self.directory);
        } else {
            eprintln!("kept {}", self.directory.display());
        }
    }
}

/// What the leader says of the quorum.
#[derive(Clone, Debug)]
pub struct Status {
    pub leader_id: usize,
    pub leader_epoch: i32,
    pub high_watermark: i64,
    pub max_follower_lag: i64,
}
