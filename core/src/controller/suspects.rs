//! [`Suspects`]: brokers whose connection has closed. One that refuses two connections besides is gone, and its session ends at once: there is
//! no pause of a process in which the kernel refuses for it (`ottla.broker.fast.fencing.enable`). One of Ottla that takes a connection and says
//! nothing hangs.
//!
//! A wrong suspicion costs availability only: a broker that is fenced comes back with its next heartbeat.

use super::peers::Look;
use crate::ids::ConnectionId;
use crate::small_map::SmallMap;
use crate::time::Instant;

/// Between the two attempts to connect, ms.
const SECOND_LOOK_MS: i64 = 50;

/// Who is suspected.
#[derive(Clone, Debug, Default)]
pub struct Suspects {
    /// By the connection: the broker that speaks by it, and its epoch.
    connections: SmallMap<ConnectionId, (i32, i64)>,
    suspects: SmallMap<i32, Suspect>,
}

#[derive(Clone, Copy, Debug)]
struct Suspect {
    epoch: i64,
    has_refused: bool,
    /// When to look at it; `None` while that is under way.
    look_at: Option<Instant>,
}

impl Suspects {
    /// A broker sent a heartbeat, or fetched metadata, by one of its connections.
    pub fn heard(&mut self, connection: ConnectionId, broker: i32, epoch: i64) {
        self.connections.insert(connection, (broker, epoch));
        self.suspects.remove(&broker);
    }

    /// A connection closed.
    pub fn closed(&mut self, now: Instant, connection: ConnectionId) {
        if let Some((broker, epoch)) = self.connections.remove(&connection) {
            self.suspects.insert(broker, Suspect { epoch, has_refused: false, look_at: Some(now) });
        }
    }

    /// Nobody knows what became of these: broker and epoch.
    pub fn suspect(&mut self, now: Instant, brokers: impl Iterator<Item = (i32, i64)>) {
        for (broker, epoch) in brokers {
            self.suspects.insert(broker, Suspect { epoch, has_refused: false, look_at: Some(now) });
        }
    }

    /// Those to be looked at now.
    pub fn take_due(&mut self, now: Instant) -> Vec<i32> {
        let due = self.suspects.iter_mut().filter(|(_, suspect)| suspect.look_at.is_some_and(|at| at <= now));
        due.map(|(broker, suspect)| {
            suspect.look_at = None;
            *broker
        })
        .collect()
    }

    /// What came of a look; the epoch of the broker if it is gone, or hangs: of one whose process `may_pause` silence says nothing.
    pub fn looked(&mut self, now: Instant, broker: i32, look: Look, may_pause: bool) -> Option<i64> {
        let suspect = self.suspects.get_mut(&broker)?;
        if look == Look::Refused && !suspect.has_refused {
            suspect.has_refused = true;
            suspect.look_at = Some(now.plus_ms(SECOND_LOOK_MS));
            return None;
        }
        let suspect = self.suspects.remove(&broker)?;
        let is_lost = look == Look::Refused || look == Look::Silent && !may_pause;
        is_lost.then_some(suspect.epoch)
    }

    /// Another node is the active controller.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// When somebody is to be looked at.
    pub fn deadline(&self) -> Option<Instant> {
        self.suspects.values().filter_map(|suspect| suspect.look_at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEARTBEATS: ConnectionId = ConnectionId(1);

    #[test]
    fn two_refusals_after_a_closed_connection_are_proof() {
        let mut suspects = Suspects::default();
        suspects.heard(HEARTBEATS, 7, 70);
        assert_eq!(suspects.take_due(Instant(0)), [], "its connection stands");
        suspects.closed(Instant(0), HEARTBEATS);
        assert_eq!(suspects.take_due(Instant(0)), [7]);
        assert_eq!(suspects.looked(Instant(0), 7, Look::Refused, true), None);
        let again = suspects.deadline().expect("a second look");
        assert_eq!(suspects.take_due(Instant(0)), [], "not at once");
        assert_eq!(suspects.take_due(again), [7]);
        assert_eq!(suspects.looked(again, 7, Look::Refused, true), Some(70));
        assert_eq!(suspects.deadline(), None);
    }

    #[test]
    fn who_answers_or_comes_back_is_no_suspect() {
        let mut suspects = Suspects::default();
        suspects.heard(HEARTBEATS, 7, 70);
        suspects.closed(Instant(0), HEARTBEATS);
        assert_eq!(suspects.take_due(Instant(0)), [7]);
        assert_eq!(suspects.looked(Instant(0), 7, Look::Answered, false), None);
        assert_eq!(suspects.deadline(), None);
        suspects.heard(HEARTBEATS, 7, 70);
        suspects.closed(Instant(0), HEARTBEATS);
        suspects.heard(ConnectionId(2), 7, 70);
        assert_eq!(suspects.deadline(), None);
    }

    #[test]
    fn silence_says_something_of_those_that_do_not_pause() {
        let mut suspects = Suspects::default();
        for (may_pause, lost) in [(true, None), (false, Some(70))] {
            suspects.suspect(Instant(0), [(7, 70)].into_iter());
            assert_eq!(suspects.take_due(Instant(0)), [7]);
            assert_eq!(suspects.looked(Instant(0), 7, Look::Silent, may_pause), lost);
            assert_eq!(suspects.deadline(), None);
        }
    }

    #[test]
    fn each_connection_of_a_broker_tells_of_its_end() {
        let mut suspects = Suspects::default();
        suspects.heard(HEARTBEATS, 7, 70);
        suspects.heard(ConnectionId(2), 7, 70);
        suspects.closed(Instant(0), HEARTBEATS);
        assert_eq!(suspects.take_due(Instant(0)), [7]);
        assert_eq!(suspects.looked(Instant(0), 7, Look::Answered, false), None);
        suspects.closed(Instant(0), ConnectionId(2));
        assert_eq!(suspects.take_due(Instant(0)), [7]);
    }
}
