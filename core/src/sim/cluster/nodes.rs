//! The nodes of a cluster: what they are configured with, and their disks as a format leaves them.

use std::sync::Arc;

use ottla_protocol::Uuid;

use crate::client::Target;
use crate::config::BrokerConfig;
use crate::machine::SyncTarget;
use crate::quorum::format::initial_voter;
use crate::quorum::{self, FirstVoters, FormatOptions};
use crate::rng::Rng;
use crate::sim::mutation::Planted;
use crate::sim::workload::configured;
use crate::sim::{Disk as _, SimDisk};
use crate::time::Now;

/// Where brokers listen.
const PORT: u16 = 9092;
/// Where controllers do.
const CONTROLLER_PORT: u16 = 9093;
const DIRECTORIES: [&str; 2] = ["./data", "./data-2"];
/// Of a node that is a controller and nothing else.
const FIRST_CONTROLLER: i32 = 101;
const CLUSTER_ID: &str = "Vt6ZAsSRQzKTlHsmVVl1bw";

/// What a cluster consists of, and how careful it is.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Ids.
    pub brokers: Vec<i32>,
    /// Ids; of the brokers, where roles are combined.
    pub controllers: Vec<i32>,
    /// Voters are those of `controller.quorum.voters`, not of the log.
    pub has_static_voters: bool,
    /// Nothing is acknowledged before it is durable.
    pub syncs_first: bool,
    /// `min.insync.replicas`
    pub min_insync_replicas: i32,
    /// `ottla.broker.fast.fencing.enable`
    pub fences_fast: bool,
}

impl Shape {
    /// Mostly three brokers that are controllers, too.
    pub fn random(rng: &mut Rng) -> Self {
        let kind = rng.below(10);
        let brokers = if kind == 0 || kind == 1 { vec![1, 2, 3, 4] } else { vec![1, 2, 3] };
        let first = if kind == 2 { FIRST_CONTROLLER } else { 1 };
        Self {
            brokers,
            controllers: (first..first + 3).collect(),
            has_static_voters: rng.chance(1, 3),
            syncs_first: rng.chance(1, 5),
            min_insync_replicas: if rng.chance(3, 4) { 2 } else { 1 },
            fences_fast: rng.chance(2, 3),
        }
    }

    /// All of them.
    pub fn nodes(&self) -> Vec<i32> {
        let alone = self.controllers.iter().filter(|id| !self.brokers.contains(id));
        self.brokers.iter().chain(alone).copied().collect()
    }

    /// What clients are told to begin with.
    pub fn bootstrap(&self) -> Vec<Target> {
        self.brokers.iter().map(|id| Target { host: host(*id).into(), port: PORT }).collect()
    }

    /// Configures and formats every node.
    pub fn build(&self, rng: &mut Rng, planted: Planted) -> Vec<(Arc<BrokerConfig>, SimDisk)> {
        let directory_ids: Vec<Uuid> = self.controllers.iter().map(|_| rng.uuid()).collect();
        let more = self.settings(rng);
        let nodes = self.nodes();
        nodes
            .iter()
            .map(|id| {
                let directories = &DIRECTORIES[..1 + usize::from(rng.chance(1, 2))];
                let config = configured(rng, directories, &self.settings_of(*id, &more));
                let mut disk = SimDisk::with_directories(directories);
                self.format(rng, &config, &mut disk, &directory_ids);
                disk.plant(planted);
                (config, disk)
            })
            .collect()
    }

    /// What all have in common.
    fn settings(&self, rng: &mut Rng) -> Vec<(&'static str, String)> {
        let among = |rng: &mut Rng, values: [u64; 2]| values[usize::from(rng.chance(1, 2))].to_string();
        let voters: Vec<String> = self
            .controllers
            .iter()
            .map(|id| match self.has_static_voters {
                true => format!("{id}@{}:{CONTROLLER_PORT}", host(*id)),
                false => format!("{}:{CONTROLLER_PORT}", host(*id)),
            })
            .collect();
        let voters_key = match self.has_static_voters {
            true => "controller.quorum.voters",
            false => "controller.quorum.bootstrap.servers",
        };
        let mut settings = vec![
            (voters_key, voters.join(",")),
            ("broker.session.timeout.ms", among(rng, [2_000, 4_000])),
            ("broker.heartbeat.interval.ms", among(rng, [300, 800])),
            ("replica.lag.time.max.ms", among(rng, [1_500, 4_000])),
            ("replica.fetch.wait.max.ms", among(rng, [100, 500])),
            ("controller.quorum.election.timeout.ms", among(rng, [400, 1_000])),
            ("controller.quorum.fetch.timeout.ms", among(rng, [800, 2_000])),
            ("min.insync.replicas", self.min_insync_replicas.to_string()),
            ("ottla.broker.fast.fencing.enable", self.fences_fast.to_string()),
            ("offsets.topic.replication.factor", "3".to_owned()),
            ("default.replication.factor", "3".to_owned()),
        ];
        if self.syncs_first {
            settings.push(("ottla.log.sync", "batch".to_owned()));
        }
        settings
    }

    fn settings_of(&self, id: i32, common: &[(&'static str, String)]) -> Vec<(&'static str, String)> {
        let is_controller = self.controllers.contains(&id);
        let is_broker = self.brokers.contains(&id);
        let roles = [(is_broker, "broker"), (is_controller, "controller")];
        let roles: Vec<&str> = roles.into_iter().filter(|(is, _)| *is).map(|(_, role)| role).collect();
        let listeners = [
            (is_broker, format!("PLAINTEXT://{}:{PORT}", host(id))),
            (is_controller, format!("CONTROLLER://{}:{CONTROLLER_PORT}", host(id))),
        ];
        let listeners: Vec<String> =
            listeners.into_iter().filter(|(is, _)| *is).map(|(_, listener)| listener).collect();
        let own = [
            ("node.id", id.to_string()),
            ("process.roles", roles.join(",")),
            ("listeners", listeners.join(",")),
            ("controller.listener.names", "CONTROLLER".to_owned()),
            ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".to_owned()),
        ];
        own.into_iter().chain(common.iter().cloned()).collect()
    }

    fn format(&self, rng: &mut Rng, config: &BrokerConfig, disk: &mut SimDisk, directory_ids: &[Uuid]) {
        let named = self.controllers.iter().zip(directory_ids).filter_map(|(id, directory)| {
            initial_voter(config, &format!("{id}@{}:{CONTROLLER_PORT}:{directory}", host(*id)))
        });
        let voters = match (self.has_static_voters, self.controllers.contains(&config.node_id)) {
            (true, _) => FirstVoters::Configured,
            (false, true) => FirstVoters::Initial(named.collect()),
            (false, false) => FirstVoters::Unknown,
        };
        let options =
            FormatOptions { cluster_id: Some(CLUSTER_ID.to_owned()), voters, ..FormatOptions::default() };
        let done = match quorum::format(disk, Now::default(), rng, config, &options) {
            Ok(done) => done,
            Err(error) => panic!("node {} cannot be formatted: {error}", config.node_id),
        };
        let files = done.sync.files.into_iter().map(SyncTarget::File);
        let directories = done.sync.directories.into_iter().map(SyncTarget::Directory);
        let pending = disk.begin_sync(&files.chain(directories).collect::<Vec<_>>());
        disk.synced(pending);
    }
}

fn host(id: i32) -> String {
    format!("node-{id}")
}
