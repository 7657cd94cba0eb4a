//! What befalls brokers and what lies between them.

use std::collections::BTreeMap;

use super::{CLIENTS, Program, World};
use crate::sim::{Disk, Host, Network};
use crate::time::Instant;

/// Until somebody says otherwise.
pub(super) const FOREVER: Instant = Instant(u64::MAX);

impl<S: Disk, P: Program> World<S, P> {
    /// Kills the broker's process; its disk keeps what was written. What was on its way to clients arrives, or is lost with the
    /// connections.
    pub fn crash_host(&mut self, id: i32) {
        if let Some(host) = self.hosts.get_mut(&id) {
            host.crash();
        }
        self.paused.remove(&id);
        self.break_connections(id);
    }

    /// The machine's power is lost: the process is gone, and what the disk had not written.
    pub fn power_loss(&mut self, id: i32) {
        self.crash_host(id);
        let mut rng = self.rng.fork();
        if let Some(host) = self.hosts.get_mut(&id) {
            self.tally.losses += host.store.power_loss(&mut rng);
        }
    }

    /// The broker's process stands still for so long, µs; its system does not.
    pub fn pause_host(&mut self, id: i32, microseconds: u64) {
        self.paused.insert(id, Instant(self.now.0 + microseconds));
    }

    /// Whether its process stands still.
    pub fn is_paused(&self, id: i32) -> bool {
        self.paused.get(&id).is_some_and(|until| self.now < *until)
    }

    /// The broker's process stands still until it is resumed.
    pub fn freeze_host(&mut self, id: i32) {
        self.paused.insert(id, FOREVER);
    }

    /// The broker's process goes on: all that it has missed happens now.
    pub fn resume_host(&mut self, id: i32) {
        let Some(until) = self.paused.remove(&id) else { return };
        let mut missed = self.queue.split_off(&(until, 0));
        let later: BTreeMap<_, _> = match until {
            FOREVER => BTreeMap::new(),
            _ => missed.split_off(&(Instant(until.0 + 1), 0)),
        };
        self.queue.extend(later);
        for ((at, number), event) in missed {
            let is_its = self.host_acting(&event) == Some(id);
            self.queue.insert((if is_its { self.now } else { at }, number), event);
        }
        if let Some(at) = self.host_ticks.get_mut(&id).filter(|at| **at == until) {
            *at = self.now;
        }
    }

    /// Nothing comes through between a host and all others, clients among them.
    pub fn cut_off(&mut self, id: i32) {
        for other in self.others(id) {
            self.cut(id, other);
            self.cut(other, id);
        }
    }

    /// Whether nothing comes through between a host and all others.
    pub fn is_cut_off(&self, id: i32) -> bool {
        self.is_cut(id, CLIENTS) && self.is_cut(CLIENTS, id)
    }

    /// A host that was cut off is back; what waited arrives. From hosts that are cut off themselves nothing comes.
    pub fn reconnect(&mut self, id: i32) {
        for other in self.others(id).into_iter().filter(|other| !self.is_cut_off(*other)).collect::<Vec<_>>()
        {
            for way in [(id, other), (other, id)] {
                self.cut.remove(&way);
                for event in self.held.remove(&way).unwrap_or_default() {
                    self.schedule(self.now, event);
                }
            }
        }
    }

    fn others(&self, id: i32) -> Vec<i32> {
        self.hosts.keys().copied().filter(|other| *other != id).chain([CLIENTS]).collect()
    }

    /// Why brokers could not go on, since the last call.
    pub fn take_halts(&mut self) -> Vec<(i32, String)> {
        std::mem::take(&mut self.halts)
    }

    /// When the last of what a host has sent arrives.
    pub fn last_arrival(&self, id: i32) -> Instant {
        self.links.last_from(id).unwrap_or(self.now)
    }

    /// How messages travel from now on.
    pub fn set_network(&mut self, network: Network) {
        self.config.network = network;
    }

    /// How they travel from one to another, of hosts and [`CLIENTS`].
    pub fn set_line(&mut self, from: i32, to: i32, network: Network) {
        self.slow.insert((from, to), network);
    }

    /// From one to another nothing comes through.
    pub fn cut(&mut self, from: i32, to: i32) {
        self.cut.insert((from, to));
    }

    /// Whether nothing comes through.
    pub fn is_cut(&self, from: i32, to: i32) -> bool {
        self.cut.contains(&(from, to))
    }

    /// Every direction is whole, and as fast as the others; what waited arrives.
    pub fn join(&mut self) {
        self.cut.clear();
        self.slow.clear();
        for event in std::mem::take(&mut self.held).into_values().flatten() {
            self.schedule(self.now, event);
        }
    }

    /// Cuts a connection of those there are, chosen at random; what was on its way is lost. False when there is none.
    pub fn cut_connection(&mut self) -> bool {
        let chosen = self.rng.below(self.links.len());
        let chosen = self.links.nth(chosen);
        let Some((connection, link)) =
            chosen.and_then(|connection| Some((connection, self.reset(connection)?)))
        else {
            return false;
        };
        let now = self.now_at(link.host);
        let alive = |host: &&mut Host<S>| host.incarnation() == link.incarnation;
        let host = self.hosts.get_mut(&link.host).filter(alive);
        let effects = host.map(|host| host.disconnect(now, connection));
        self.carry_out(link.host, effects.unwrap_or_default());
        true
    }
}
