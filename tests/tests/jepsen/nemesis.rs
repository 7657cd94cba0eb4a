//! What is done to the nodes, drawn from a seed.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use ottla_core::rng::Rng;
use ottla_tests::peer::cluster::Cluster;
use ottla_tests::peer::network::Network;

use super::TOPIC;

const NODES: [usize; 3] = [1, 2, 3];

/// A fault that lasts for a while and is mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Kill,
    /// Two nodes at once: nothing can be written.
    KillTwo,
    Stop,
    Hang,
    RollingRestart,
    /// A node hears nobody and is heard by nobody.
    Isolate,
    /// A node hears others, and is not heard.
    Mute,
    /// A node is heard, and hears nobody.
    Deafen,
    /// Two nodes that reach each other only by way of the third.
    Bridge,
    /// A link that loses most of what is sent.
    Slow,
}

const FAULTS: [Fault; 10] = [
    Fault::Kill,
    Fault::KillTwo,
    Fault::Stop,
    Fault::Hang,
    Fault::RollingRestart,
    Fault::Isolate,
    Fault::Mute,
    Fault::Deafen,
    Fault::Bridge,
    Fault::Slow,
];

#[derive(Debug)]
pub struct Nemesis {
    rng: Rng,
    /// Faults of a round that have not had their turn.
    left: Vec<Fault>,
    tally: BTreeMap<Fault, u32>,
}

impl Nemesis {
    pub fn new(rng: Rng) -> Self {
        Self { rng, left: Vec::new(), tally: BTreeMap::new() }
    }

    /// How often there was what.
    pub fn tally(&self) -> impl std::fmt::Debug {
        self.tally.clone()
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.rng.below(count as u64)).expect("it is below")
    }

    fn pause(&mut self, from_ms: u64, to_ms: u64) -> Duration {
        Duration::from_millis(from_ms + self.rng.below(to_ms - from_ms))
    }

    /// One fault from beginning to end, and sometimes no time to recover before the next.
    pub fn act(&mut self, cluster: &mut Cluster) {
        if self.left.is_empty() {
            self.left = FAULTS.to_vec();
        }
        let chosen = self.below(self.left.len());
        let fault = self.left.swap_remove(chosen);
        let node = NODES[self.below(NODES.len())];
        let others: Vec<usize> = NODES.into_iter().filter(|other| *other != node).collect();
        let lasts = self.pause(300, 4_000);
        println!("{fault:?} {node} for {} ms", lasts.as_millis());
        match fault {
            Fault::Kill => {
                cluster.kill(node);
                thread::sleep(lasts);
                cluster.restart(node);
            }
            Fault::KillTwo => {
                others.iter().for_each(|other| cluster.kill(*other));
                thread::sleep(lasts);
                others.iter().for_each(|other| cluster.restart(*other));
            }
            Fault::Stop => {
                assert!(cluster.stop(node), "{node} did not stop in time");
                thread::sleep(lasts / 4);
                cluster.restart(node);
            }
            Fault::Hang => {
                cluster.signal(node, "-STOP");
                thread::sleep(lasts * 2);
                cluster.signal(node, "-CONT");
            }
            Fault::RollingRestart => {
                for node in NODES {
                    assert!(cluster.stop(node), "{node} did not stop in time");
                    cluster.restart(node);
                    cluster.until_in_sync(TOPIC);
                }
            }
            Fault::Isolate | Fault::Mute | Fault::Deafen | Fault::Bridge | Fault::Slow => {
                let Some(network) = cluster.network() else { return };
                cut(network, fault, node, &others, lasts * 2);
            }
        }
        *self.tally.entry(fault).or_default() += 1;
        let calm = self.pause(100, 2_500);
        thread::sleep(calm);
    }
}

fn cut(network: &Network, fault: Fault, node: usize, others: &[usize], lasts: Duration) {
    let out = others.iter().map(|other| (node, *other));
    let into = others.iter().map(|other| (*other, node));
    let links: Vec<(usize, usize)> = match fault {
        Fault::Mute => out.collect(),
        Fault::Deafen => into.collect(),
        Fault::Bridge | Fault::Slow => vec![(others[0], others[1]), (others[1], others[0])],
        _ => out.chain(into).collect(),
    };
    let flaps = if fault == Fault::Slow { 10 } else { 1 };
    for _ in 0..flaps {
        links.iter().for_each(|(from, to)| network.cut(*from, *to));
        thread::sleep(lasts / flaps);
        links.iter().for_each(|(from, to)| network.heal(*from, *to));
        if flaps > 1 {
            thread::sleep(Duration::from_millis(50));
        }
    }
}
