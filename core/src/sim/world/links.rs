//! Connections: who opened them and to whom, and what travels on them.
//!
//! A direction that is cut keeps what it carries until it is joined again, as TCP does; whether anybody waits for so long is up
//! to both ends.

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_protocol::Str;

use super::flights::{Asked, Flight, Party};
use super::{Event, ProcessId, Program, ProgramEvent, World};
use crate::broker::Peer;
use crate::client::{LinkEffect, LinkEvent, LinkId, Target};
use crate::ids::ConnectionId;
use crate::machine::{Chunk, Frame, LinkOwner};
use crate::sim::{Disk, Host, Network};
use crate::time::Instant;

/// Bytes in front of every frame.
const LENGTH_PREFIX: usize = 4;
/// Where client processes are, beside the hosts.
pub const CLIENTS: i32 = -1;

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    Process(ProcessId),
    Host { id: i32, incarnation: u64, owner: LinkOwner },
}

impl End {
    /// Where it is.
    pub fn place(self) -> i32 {
        match self {
            Self::Process(_) => CLIENTS,
            Self::Host { id, .. } => id,
        }
    }

    fn party(self) -> Party {
        match self {
            Self::Process(id) => Party::Process(id),
            Self::Host { id, .. } => Party::Host(id),
        }
    }
}

/// A connection, seen from both ends.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub opener: End,
    pub link: LinkId,
    pub host: i32,
    /// Of the listener.
    pub port: u16,
    /// Of the host's process, once it has accepted.
    pub incarnation: u64,
    pub last_to_host: Instant,
    pub last_to_opener: Instant,
    asked: Asked,
}

/// All connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    all: BTreeMap<ConnectionId, Link>,
    by_opener: BTreeMap<(End, LinkId), ConnectionId>,
    next: u64,
}

impl Links {
    fn insert(&mut self, link: Link) -> ConnectionId {
        let connection = ConnectionId(self.next);
        self.next += 1;
        self.by_opener.insert((link.opener, link.link), connection);
        self.all.insert(connection, link);
        connection
    }

    pub fn get(&self, connection: ConnectionId) -> Option<&Link> {
        self.all.get(&connection)
    }

    pub fn remove(&mut self, connection: ConnectionId) -> Option<Link> {
        let link = self.all.remove(&connection)?;
        self.by_opener.remove(&(link.opener, link.link));
        Some(link)
    }

    /// A connection of all that there are.
    pub fn nth(&self, index: u64) -> Option<ConnectionId> {
        self.all.keys().nth(usize::try_from(index).ok()?).copied()
    }

    pub fn len(&self) -> u64 {
        self.all.len() as u64
    }

    /// Those that this is true of.
    pub fn of(&self, is_one: impl Fn(&Link) -> bool) -> Vec<ConnectionId> {
        self.all.iter().filter(|(_, link)| is_one(link)).map(|(id, _)| *id).collect()
    }

    /// When the last of what a host has sent on connections to it arrives.
    pub fn last_from(&self, host: i32) -> Option<Instant> {
        self.all.values().filter(|link| link.host == host).map(|link| link.last_to_opener).max()
    }
}

impl<S: Disk, P: Program> World<S, P> {
    /// When something sent now arrives.
    fn arrival(&mut self, connection: ConnectionId, is_to_host: bool) -> Option<Instant> {
        let link = self.links.all.get_mut(&connection)?;
        let (here, there) = (link.opener.place(), link.host);
        let (way, last) = match is_to_host {
            true => ((here, there), &mut link.last_to_host),
            false => ((there, here), &mut link.last_to_opener),
        };
        let network = self.slow.get(&way).unwrap_or(&self.config.network);
        Some(network.arrival(self.now, last, &mut self.rng))
    }

    /// Where an event travels from, and to.
    pub(super) fn way(&self, event: &Event<S::Pending>) -> Option<(i32, i32)> {
        let (connection, is_to_host) = match event {
            Event::Connect { connection }
            | Event::ToHost { connection, .. }
            | Event::CloseAtHost { connection } => (*connection, true),
            Event::ToOpener { connection, .. } => (*connection, false),
            Event::Gone { .. }
            | Event::Synced { .. }
            | Event::HostTick { .. }
            | Event::ProcessTick { .. } => return None,
        };
        let link = self.links.get(connection)?;
        let (here, there) = (link.opener.place(), link.host);
        Some(if is_to_host { (here, there) } else { (there, here) })
    }

    /// Tells whoever opened a connection.
    pub(super) fn tell_opener(&mut self, opener: End, event: LinkEvent) {
        match opener {
            End::Process(id) => self.pass(id, ProgramEvent::Link(event)),
            End::Host { id, incarnation, owner } => {
                let now = self.now_at(id);
                let host = self.hosts.get_mut(&id).filter(|host| host.incarnation() == incarnation);
                let effects = host.map(|host| host.linked(now, owner, event));
                self.carry_out(id, effects.unwrap_or_default());
            }
        }
    }

    /// The host of a connection, while it is the process that was connected to.
    pub(super) fn host_of(&self, connection: ConnectionId) -> Option<i32> {
        let link = self.links.get(connection)?;
        let host = self.hosts.get(&link.host)?;
        (host.incarnation() == link.incarnation && host.node().is_some()).then_some(link.host)
    }

    /// A connection reaches a host: its system accepts it even while the process stands still.
    pub(super) fn connected(&mut self, connection: ConnectionId) {
        let Some(link) = self.links.get(connection) else { return };
        let (opener, host_id, port) = (link.opener, link.host, link.port);
        let listener = self.hosts.get_mut(&host_id).and_then(|host| host.admits(port));
        let Some(listener) = listener else {
            return self.closed_by_host(connection, "connection refused");
        };
        let address = match opener {
            End::Process(process) => format!("/10.0.0.{}", process.0 % 250 + 2),
            End::Host { id, .. } => format!("/10.0.1.{id}"),
        };
        let peer = Peer { id: connection, listener: Str::from(listener), host: address.into() };
        let incarnation = self.hosts.get_mut(&host_id).map_or(0, |host| {
            host.connect(peer);
            host.incarnation()
        });
        let id = self.links.all.get_mut(&connection).map(|link| {
            link.incarnation = incarnation;
            link.link
        });
        if let (Some(id), Some(at)) = (id, self.arrival(connection, false)) {
            self.schedule(at, Event::ToOpener { connection, event: LinkEvent::Opened(id), flight: 0 });
        }
    }

    pub(super) fn closed_by_host(&mut self, connection: ConnectionId, reason: &str) {
        let Some(at) = self.arrival(connection, false) else { return };
        let Some(link) = self.links.get(connection) else { return };
        let event = LinkEvent::Closed(link.link, reason.to_owned());
        self.schedule(at, Event::ToOpener { connection, event, flight: 0 });
    }

    pub(super) fn closed_by_opener(&mut self, connection: ConnectionId) {
        if let Some(at) = self.arrival(connection, true) {
            self.schedule(at, Event::CloseAtHost { connection });
        }
    }

    /// Breaks a connection: who opened it hears of that, what was on its way is lost.
    pub(super) fn reset(&mut self, connection: ConnectionId) -> Option<Link> {
        let gone = self.links.remove(connection)?;
        let at = Instant(self.now.0 + self.config.network.delay_max_us);
        let (opener, link) = (gone.opener, gone.link);
        self.schedule(at, Event::Gone { opener, link, reason: "connection reset".to_owned() });
        Some(gone)
    }

    /// The connections of a process that is gone: what it has sent arrives, or is lost with them.
    pub(super) fn break_connections(&mut self, host: i32) {
        let is_reset = self.rng.chance(1, 2);
        for connection in self.links.of(|link| link.host == host) {
            if is_reset {
                self.reset(connection);
            } else {
                self.closed_by_host(connection, "the broker is gone");
            }
        }
        for connection in self.links.of(|link| link.opener.place() == host) {
            self.closed_by_opener(connection);
        }
    }

    /// A host answers.
    pub(super) fn send(&mut self, host_id: i32, connection: ConnectionId, frame: &Frame<S::Slice>) {
        let Some(host) = self.hosts.get_mut(&host_id) else { return };
        let mut bytes = Vec::with_capacity(frame.len);
        for chunk in &frame.chunks {
            match chunk {
                Chunk::Bytes(chunk) => bytes.extend_from_slice(chunk),
                Chunk::Slice(slice) => match host.store.read_slice(slice) {
                    Ok(slice) => bytes.extend_from_slice(&slice),
                    Err(_) => return self.closed_by_host(connection, "the log could not be read"),
                },
            }
        }
        let Some(at) = self.arrival(connection, false) else { return };
        let Some(link) = self.links.get(connection).map(|link| link.link) else { return };
        let frame = Bytes::from(bytes).slice(LENGTH_PREFIX..);
        let flight = self.frame_sent(at, connection, &frame, false);
        self.schedule(at, Event::ToOpener { connection, event: LinkEvent::Received(link, frame), flight });
    }

    /// Does what a process or a machine asks of its links.
    pub(super) fn link(&mut self, opener: End, effect: LinkEffect) {
        match effect {
            LinkEffect::Open { link, target } => self.open(opener, link, &target),
            LinkEffect::Send { link, frame } => {
                let connection = self.links.by_opener.get(&(opener, link)).copied();
                if let Some(connection) = connection.filter(|_| frame.len() >= LENGTH_PREFIX)
                    && let Some(at) = self.arrival(connection, true)
                {
                    let frame = frame.slice(LENGTH_PREFIX..);
                    let flight = self.frame_sent(at, connection, &frame, true);
                    self.schedule(at, Event::ToHost { connection, frame, flight });
                }
            }
            LinkEffect::Close { link } => {
                if let Some(connection) = self.links.by_opener.get(&(opener, link)).copied() {
                    self.closed_by_opener(connection);
                }
            }
        }
    }

    /// Counts a frame, and notes it for whoever watches; its number.
    fn frame_sent(
        &mut self,
        arrives: Instant,
        connection: ConnectionId,
        frame: &[u8],
        is_request: bool,
    ) -> u64 {
        self.tally.frames += 1;
        let travels_us = arrives.0.saturating_sub(self.now.0);
        self.tally.frames_delayed += u64::from(travels_us > Network::default().delay_max_us);
        let (number, sent) = (self.tally.frames, self.now);
        if let Some(link) = self.links.all.get_mut(&connection) {
            self.flights.begin(number, || {
                let (opener, host) = (link.opener.party(), Party::Host(link.host));
                let (from, to) = if is_request { (opener, host) } else { (host, opener) };
                let api = if is_request { link.asked.note(frame) } else { link.asked.answered(frame) };
                Flight { from, to, api, is_response: !is_request, sent, arrives, is_over: false }
            });
        }
        number
    }

    fn open(&mut self, opener: End, link: LinkId, target: &Target) {
        let Some(host) = self.resolve(target) else {
            let at = Instant(self.now.0 + self.config.network.delay_max_us);
            let reason = format!("{}:{}: connection refused", target.host, target.port);
            return self.schedule(at, Event::Gone { opener, link, reason });
        };
        let now = self.now;
        let entry = Link {
            opener,
            link,
            host,
            port: target.port,
            incarnation: 0,
            last_to_host: now,
            last_to_opener: now,
            asked: Asked::default(),
        };
        let connection = self.links.insert(entry);
        if let Some(at) = self.arrival(connection, true) {
            self.schedule(at, Event::Connect { connection });
        }
    }

    /// The machine that an address leads to: by the port of its listener, and by the name where several listen on that port.
    fn resolve(&self, target: &Target) -> Option<i32> {
        let listens = |host: &Host<S>, is_named: bool| {
            let config = &host.config;
            let mut all = config.advertised_listeners.iter().chain(&config.advertised_controller_listeners);
            all.any(|listener| {
                let is_name = || is_here(&target.host) || listener.host == *target.host;
                listener.port == target.port && (!is_named || is_name())
            })
        };
        let found = |is_named: bool| {
            self.hosts.iter().filter(move |(_, host)| listens(host, is_named)).map(|(id, _)| *id)
        };
        let mut listening = found(false);
        match (listening.next(), listening.next()) {
            (only, None) => only,
            _ => found(true).next(),
        }
    }
}

/// Names that stand for the machine one sits at.
fn is_here(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "::1" | "kafka")
}
