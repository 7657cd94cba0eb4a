//! What a broker says to the controller, and when.

use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::RegisterBrokerRecord;

use super::*;
use crate::log::MemoryStore;
use crate::machine::Effects;
use crate::metadata::{MetadataDelta, MetadataImage};
use crate::record::Compressors;
use crate::time::Now;
use crate::trace::Traces;

/// Broker 1 of a cluster of two, as it is seen by whoever carries its messages.
struct House {
    lifecycle: Lifecycle,
    now: Now,
    image: MetadataImage,
    offset: i64,
    /// What was asked of the controller and is not answered.
    asked: Vec<(u64, ControllerRequest)>,
    /// That clients may go, that the controller is to stop, that shards are to stop.
    said: Vec<&'static str>,
}

impl House {
    fn new() -> Self {
        let config = Arc::new(BrokerConfig { node_id: 1, ..BrokerConfig::default() });
        let me = Myself { incarnation_id: Uuid::ONE, directories: Vec::new(), previous_epoch: -1 };
        let published = Published::first(MetadataImage::default(), -1, -1, 0);
        let mut house = Self {
            lifecycle: Lifecycle::new(config, 1, me, published, false),
            now: Now::default(),
            image: MetadataImage::default(),
            offset: -1,
            asked: Vec::new(),
            said: Vec::new(),
        };
        house.publish(&[broker(2)]);
        let response =
            BrokerRegistrationResponse { broker_epoch: 1, ..BrokerRegistrationResponse::default() };
        house.answer(ControllerResponse::BrokerRegistration(response));
        house.publish(&[broker(1)]);
        house.beat(|_| ());
        house
    }

    fn tell(&mut self, event: LifecycleEvent) {
        let (mut store, compressors) = (MemoryStore::new(), Compressors::default());
        let (mut effects, mut traces) = (Effects::default(), Traces::default());
        let mut cx = Cx {
            now: self.now,
            store: &mut store,
            compressors: &compressors,
            effects: &mut effects,
            traces: &mut traces,
        };
        self.lifecycle.handle(&mut cx, event);
        for effect in effects.drain() {
            match effect {
                Effect::Tell(Message::Controller(ControllerEvent::Request { token, request, .. })) => {
                    self.asked.push((token.request, request));
                }
                Effect::Tell(Message::Controller(ControllerEvent::Stop)) => self.said.push("hand over"),
                Effect::Tell(Message::Shard(_, ShardEvent::Stop)) => self.said.push("stop"),
                Effect::Relieved => self.said.push("relieved"),
                _ => {}
            }
        }
    }

    fn publish(&mut self, records: &[MetadataRecord]) {
        let before = self.image.clone();
        records.iter().for_each(|record| self.image.replay(record).unwrap());
        self.offset += i64::try_from(records.len()).unwrap();
        self.publish_led_by(2, MetadataDelta::between(&before, &self.image, records));
    }

    fn publish_led_by(&mut self, leader_id: i32, delta: MetadataDelta) {
        let (image, offset) = (self.image.clone(), self.offset);
        let published = Published { image, delta, offset, epoch: 1, leader_id, kraft_version: 0 };
        self.tell(LifecycleEvent::Metadata(Arc::new(published)));
    }

    fn answer(&mut self, response: ControllerResponse) {
        let (request, _) = self.asked.remove(0);
        self.tell(LifecycleEvent::Answered { request, response });
    }

    /// Answers the heartbeat that is under way: what it said.
    fn beat(&mut self, change: impl FnOnce(&mut BrokerHeartbeatResponse)) -> BrokerHeartbeatRequest {
        let Some((_, ControllerRequest::BrokerHeartbeat(said))) = self.asked.first().cloned() else {
            panic!("no heartbeat: {:?}", self.asked)
        };
        let mut response = BrokerHeartbeatResponse { is_fenced: false, ..BrokerHeartbeatResponse::default() };
        change(&mut response);
        self.answer(ControllerResponse::BrokerHeartbeat(response));
        said
    }

    /// When the next heartbeat is due, ms from now.
    fn due_ms(&self) -> Option<i64> {
        let due = Machine::<MemoryStore>::deadline(&self.lifecycle)?;
        Some(due.ms_since(self.now.monotonic))
    }

    fn wait(&mut self, ms: i64) {
        self.now.monotonic = self.now.monotonic.plus_ms(ms);
        self.tell(LifecycleEvent::Tick);
    }
}

fn broker(broker_id: i32) -> MetadataRecord {
    let broker_epoch = i64::from(broker_id);
    RegisterBrokerRecord { broker_id, broker_epoch, fenced: false, ..RegisterBrokerRecord::default() }.into()
}

fn leaving(broker_id: i32) -> MetadataRecord {
    let broker_epoch = i64::from(broker_id);
    let fenced = false;
    RegisterBrokerRecord {
        broker_id,
        broker_epoch,
        fenced,
        in_controlled_shutdown: true,
        ..RegisterBrokerRecord::default()
    }
    .into()
}

#[test]
fn heartbeats_are_frequent_enough_for_silence_to_say_something() {
    let mut house = House::new();
    assert_eq!(house.due_ms(), Some(FAST_INTERVAL_MS));
    house.wait(FAST_INTERVAL_MS);
    assert_eq!(house.asked.len(), 1);
}

#[test]
fn a_broker_that_leaves_is_told_at_once_that_its_leaders_are_known() {
    let mut house = House::new();
    house.publish(&[leaving(2)]);
    let said = house.beat(|_| ());
    assert_eq!(said.current_metadata_offset, house.offset);
    assert_eq!(house.due_ms(), Some(FAST_INTERVAL_MS), "once");
    // What comes while a heartbeat is under way is said by the next one, at once.
    house.wait(FAST_INTERVAL_MS);
    house.publish(&[leaving(2)]);
    house.beat(|_| ());
    house.wait(0);
    assert_eq!(house.beat(|_| ()).current_metadata_offset, house.offset);
}

#[test]
fn a_new_controller_is_told_at_once_who_is_there() {
    let mut house = House::new();
    house.publish_led_by(3, MetadataDelta::default());
    house.beat(|_| ());
}

#[test]
fn clients_are_served_until_others_lead() {
    let mut house = House::new();
    house.tell(LifecycleEvent::Leave);
    assert!(house.beat(|_| ()).want_shut_down);
    assert!(house.said.is_empty());
    house.wait(LEAVING_INTERVAL_MS);
    house.beat(|beat| beat.should_shut_down = true);
    assert_eq!(house.said, ["relieved", "hand over"]);
    house.tell(LifecycleEvent::ControllerStopped);
    assert_eq!(house.said, ["relieved", "hand over"], "clients are sent away first");
    house.tell(LifecycleEvent::Stop);
    assert_eq!(house.said, ["relieved", "hand over", "stop"]);
}

#[test]
fn a_stop_leaves_first() {
    let mut house = House::new();
    house.tell(LifecycleEvent::Stop);
    house.beat(|beat| beat.should_shut_down = true);
    house.tell(LifecycleEvent::ControllerStopped);
    assert_eq!(house.said, ["relieved", "hand over", "stop"]);
    house.tell(LifecycleEvent::Stop);
    assert_eq!(house.said.len(), 3, "once");
}
