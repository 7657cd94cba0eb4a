//! The machines of a playground: brokers that are controllers, too, as Apache Kafka's own samples for several nodes set them up.

use std::sync::Arc;

use super::Machines;
use crate::config::{BrokerConfig, Origin, Setting};
use crate::log::MemoryStore;
use crate::quorum::format::initial_voter;
use crate::quorum::{self, FirstVoters, FormatOptions};
use crate::time::{Instant, Now};

/// Where the first broker listens; the others do on the ports that follow.
const PORT: u16 = 9092;
/// Where the first controller does.
const CONTROLLER_PORT: u16 = 19_092;
/// How long a cluster may take until all its brokers serve, µs.
const START_MAX_US: u64 = 60_000_000;
/// How often that is looked at, µs.
const START_LOOK_US: u64 = 20_000;

/// What differs from a broker's defaults: partitions of the offsets topic are few, so that they fit a picture, and groups do not
/// wait three seconds for members that nobody has started.
/// Nobody watches for a week: segments close after seconds, and what retention and compaction do is seen soon after.
const SETTINGS: [(&str, &str); 8] = [
    ("offsets.topic.num.partitions", "1"),
    ("group.initial.rebalance.delay.ms", "500"),
    ("log.roll.ms", "5000"),
    ("log.initial.task.delay.ms", "1000"),
    ("log.retention.check.interval.ms", "1000"),
    ("log.cleaner.backoff.ms", "1000"),
    ("log.segment.delete.delay.ms", "1000"),
    ("ottla.log.reserve.bytes", "0"),
];

/// Sets up `brokers` machines, and waits until their brokers serve.
pub fn start(world: &mut Machines, brokers: u8) {
    let ids: Vec<i32> = (1..=i32::from(brokers.max(1))).collect();
    let cluster_id = world.rng().uuid().to_string();
    let voters: Vec<String> = ids
        .iter()
        .map(|id| format!("{id}@localhost:{}:{}", port(CONTROLLER_PORT, *id), world.rng().uuid()))
        .collect();
    for id in &ids {
        let config = configured(*id, &ids);
        let mut store = MemoryStore::new();
        let voters = voters.iter().filter_map(|voter| initial_voter(&config, voter)).collect();
        let options = FormatOptions {
            cluster_id: Some(cluster_id.clone()),
            voters: FirstVoters::Initial(voters),
            ..FormatOptions::default()
        };
        let formatted = quorum::format(&mut store, Now::default(), world.rng(), &config, &options);
        let started = formatted
            .map_err(|error| error.to_string())
            .and_then(|_| world.add_host(Arc::new(config), store));
        if let Err(reason) = started {
            panic!("broker {id} of a playground does not start: {reason}");
        }
    }
    let until = world.now().monotonic.0 + START_MAX_US;
    while !serves(world) && world.now().monotonic.0 < until {
        let at = world.now().monotonic.0 + START_LOOK_US;
        world.run_until(Instant(at));
    }
    world.take_traces();
}

/// Whether all of them know that all of them may be spoken to.
fn serves(world: &Machines) -> bool {
    let brokers = world.hosts().count();
    world.hosts().all(|(_, host)| {
        host.node().is_some_and(|node| {
            let unfenced = node.published.image.brokers().filter(|broker| !broker.fenced).count();
            unfenced == brokers && node.lifecycle.identity().is_let_in(&node.published.image)
        })
    })
}

fn configured(id: i32, ids: &[i32]) -> BrokerConfig {
    let controllers: Vec<String> =
        ids.iter().map(|id| format!("localhost:{}", port(CONTROLLER_PORT, *id))).collect();
    let listeners = format!(
        "PLAINTEXT://localhost:{},CONTROLLER://localhost:{}",
        port(PORT, id),
        port(CONTROLLER_PORT, id)
    );
    let replicas = ids.len().min(3).to_string();
    let own = [
        ("node.id", id.to_string()),
        ("process.roles", "broker,controller".to_owned()),
        ("listeners", listeners),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".to_owned()),
        ("controller.quorum.bootstrap.servers", controllers.join(",")),
        ("offsets.topic.replication.factor", replicas),
    ];
    let settings = own.into_iter().chain(SETTINGS.map(|(name, value)| (name, value.to_owned())));
    let settings =
        settings.map(|(name, value)| (name.to_owned(), Setting { value, origin: Origin::SingleNode }));
    match BrokerConfig::resolve(settings, false) {
        Ok(resolved) => resolved.config,
        Err(errors) => panic!("broker {id} of a playground: {errors:?}"),
    }
}

fn port(first: u16, id: i32) -> u16 {
    first + u16::try_from(id - 1).unwrap_or(0)
}
