//! [`Heartbeats`]: what brokers said last. Nothing of it is written down: a new controller gives every unfenced broker a whole session.

use crate::metadata::MetadataImage;
use crate::small_map::SmallMap;
use crate::time::Instant;

/// The sessions of brokers, and how far they have read the metadata.
#[derive(Clone, Debug)]
pub struct Heartbeats {
    session_timeout_ms: i64,
    brokers: SmallMap<i32, Heartbeat>,
}

/// What is known of one life of a broker.
#[derive(Clone, Copy, Debug)]
struct Heartbeat {
    epoch: i64,
    /// Where its registration stands in the log: it is caught up once it has read that.
    registered_at: i64,
    /// When it was heard of last; `None` before its first heartbeat and after its session has ended.
    contact: Option<Instant>,
    /// It is known to be gone: its session is over.
    is_lost: bool,
    /// The last metadata that it has, −1 while it has not said.
    metadata_offset: i64,
    /// Where the move of its leaderships ended in the log, while it is in controlled shutdown.
    shutdown_offset: Option<i64>,
}

impl Heartbeats {
    /// None.
    pub fn new(session_timeout_ms: i64) -> Self {
        Self { session_timeout_ms, brokers: SmallMap::new() }
    }

    /// Begins anew: a session for every broker that is not fenced.
    pub fn load(&mut self, now: Instant, image: &MetadataImage) {
        self.brokers.clear();
        for broker in image.brokers() {
            self.register(broker.id, broker.epoch, broker.epoch);
            if !broker.fenced
                && let Some(heartbeat) = self.brokers.get_mut(&broker.id)
            {
                heartbeat.contact = Some(now);
            }
        }
    }

    /// A broker registers; the record is at the offset `at`. An amendment of a registration leaves the session as it is.
    pub fn register(&mut self, broker: i32, epoch: i64, at: i64) {
        let known = self.brokers.get(&broker).filter(|known| known.epoch == epoch);
        let contact = known.and_then(|known| known.contact);
        let heartbeat = Heartbeat {
            epoch,
            registered_at: at,
            contact,
            is_lost: false,
            metadata_offset: -1,
            shutdown_offset: None,
        };
        self.brokers.insert(broker, heartbeat);
    }

    /// A broker is registered in this epoch, whatever was last said of it here: that may not have been written.
    pub fn know(&mut self, broker: i32, epoch: i64) {
        if self.brokers.get(&broker).is_none_or(|known| known.epoch != epoch) {
            self.register(broker, epoch, epoch);
        }
    }

    /// A broker is unregistered.
    pub fn remove(&mut self, broker: i32) {
        self.brokers.remove(&broker);
    }

    /// Whether this life of a broker was heard of within the session timeout.
    pub fn has_session(&self, now: Instant, broker: i32, epoch: i64) -> bool {
        let known = self.brokers.get(&broker).filter(|known| known.epoch == epoch);
        let contact = known.and_then(|known| known.contact);
        contact.is_some_and(|contact| now < contact.plus_ms(self.session_timeout_ms))
    }

    /// A broker was heard of: it has the metadata up to `metadata_offset`. One that is fenced is in no controlled shutdown any more.
    pub fn touch(&mut self, now: Instant, broker: i32, metadata_offset: i64, is_fenced: bool) {
        let Some(heartbeat) = self.brokers.get_mut(&broker) else { return };
        heartbeat.contact = Some(now);
        heartbeat.is_lost = false;
        heartbeat.metadata_offset = metadata_offset;
        if is_fenced {
            heartbeat.shutdown_offset = None;
        }
    }

    /// What a broker has of the metadata counts from its next heartbeat on: its registration has changed.
    pub fn registration_changed(&mut self, broker: i32) {
        if let Some(heartbeat) = self.brokers.get_mut(&broker) {
            heartbeat.metadata_offset = -1;
        }
    }

    /// A broker was told to stop: the next life of it need not wait for the session to end.
    pub fn end(&mut self, broker: i32) {
        if let Some(heartbeat) = self.brokers.get_mut(&broker) {
            heartbeat.contact = None;
        }
    }

    /// Where a broker's registration stands in the log.
    pub fn registered_at(&self, broker: i32) -> i64 {
        self.brokers.get(&broker).map_or(i64::MAX, |known| known.registered_at)
    }

    /// Where the move of a broker's leaderships ended, if it is in controlled shutdown.
    pub fn shutdown_offset(&self, broker: i32) -> Option<i64> {
        self.brokers.get(&broker)?.shutdown_offset
    }

    /// A broker is in controlled shutdown, its leaderships gone at `offset`.
    pub fn begin_shutdown(&mut self, broker: i32, offset: i64) {
        if let Some(heartbeat) = self.brokers.get_mut(&broker) {
            heartbeat.shutdown_offset = Some(offset);
        }
    }

    /// The least that any broker has of the metadata, of those that are neither fenced nor in controlled shutdown.
    pub fn lowest_active_offset(&self, image: &MetadataImage) -> i64 {
        let is_fenced = |broker: i32| image.broker(broker).is_none_or(|registration| registration.fenced);
        let active =
            self.brokers.iter().filter(|(broker, one)| one.shutdown_offset.is_none() && !is_fenced(**broker));
        active.map(|(_, one)| one.metadata_offset).min().unwrap_or(i64::MAX)
    }

    /// This life of a broker is known to be gone: its session ends now.
    pub fn lose(&mut self, broker: i32, epoch: i64) {
        let known = self.brokers.get_mut(&broker).filter(|known| known.epoch == epoch);
        if let Some(heartbeat) = known.filter(|known| known.contact.is_some()) {
            heartbeat.is_lost = true;
        }
    }

    /// When the next session ends.
    pub fn deadline(&self) -> Option<Instant> {
        if self.brokers.values().any(|one| one.is_lost) {
            return Some(Instant(0));
        }
        let contacts = self.brokers.values().filter_map(|one| one.contact);
        contacts.min().map(|contact| contact.plus_ms(self.session_timeout_ms))
    }

    /// Ends one session that is over: whose.
    pub fn take_expired(&mut self, now: Instant) -> Option<(i32, i64)> {
        let timeout_ms = self.session_timeout_ms;
        let is_over = |contact: &Instant| contact.plus_ms(timeout_ms) <= now;
        let (broker, heartbeat) = self
            .brokers
            .iter_mut()
            .filter(|(_, one)| one.is_lost || one.contact.as_ref().is_some_and(is_over))
            .min_by_key(|(_, one)| one.contact)?;
        heartbeat.contact = None;
        heartbeat.is_lost = false;
        heartbeat.shutdown_offset = None;
        Some((*broker, heartbeat.epoch))
    }

    /// The end of a session could not be written: it begins anew.
    pub fn renew(&mut self, now: Instant, broker: i32) {
        if let Some(heartbeat) = self.brokers.get_mut(&broker) {
            heartbeat.contact = Some(now);
        }
    }
}
