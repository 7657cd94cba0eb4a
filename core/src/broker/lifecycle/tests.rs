//! What a broker says to the controller, and when.

use ottla_protocol::messages::assign_replicas_to_dirs_request;
use ottla_protocol::messages::assign_replicas_to_dirs_response::{DirectoryData, PartitionData, TopicData};
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::{
    FeatureLevelRecord, PartitionRecord, RegisterBrokerRecord, TopicRecord,
};

use super::*;
use crate::log::MemoryStore;
use crate::machine::Effects;
use crate::metadata::{MetadataDelta, MetadataImage};
use crate::record::Compressors;
use crate::small_map::SmallMap;
use crate::time::Now;
use crate::trace::Traces;

/// The directories of broker 1.
const DIRECTORIES: [Uuid; 2] = [Uuid([1; 16]), Uuid([2; 16])];
const TOPIC: Uuid = Uuid([3; 16]);

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
        Self::of(BrokerConfig::default())
    }

    fn of(config: BrokerConfig) -> Self {
        let config = Arc::new(BrokerConfig { node_id: 1, ..config });
        let me = Myself { incarnation_id: Uuid::ONE, directories: DIRECTORIES.to_vec(), previous_epoch: -1 };
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
                Effect::Halt { .. } => self.said.push("halt"),
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
        let published =
            Published { image, delta, offset, epoch: 1, leader_id, kraft_version: 0, lost: SmallMap::new() };
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
    let log_dirs = vec![DIRECTORIES[0]];
    RegisterBrokerRecord {
        broker_id,
        broker_epoch,
        fenced: false,
        log_dirs,
        ..RegisterBrokerRecord::default()
    }
    .into()
}

fn metadata_version(feature_level: i16) -> MetadataRecord {
    FeatureLevelRecord { name: "metadata.version".into(), feature_level }.into()
}

fn partition(index: i32, directory: Uuid) -> MetadataRecord {
    PartitionRecord {
        partition_id: index,
        topic_id: TOPIC,
        replicas: vec![1, 2],
        isr: vec![1, 2],
        leader: 2,
        directories: vec![directory, DIRECTORIES[1]],
        ..PartitionRecord::default()
    }
    .into()
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
fn a_stop_without_a_controlled_shutdown_asks_nobody() {
    let mut house = House::of(BrokerConfig { controlled_shutdown_enable: false, ..BrokerConfig::default() });
    house.tell(LifecycleEvent::Stop);
    assert!(house.asked.is_empty());
    house.tell(LifecycleEvent::ControllerStopped);
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

#[test]
fn a_directory_that_fails_is_told_of_at_once_and_for_ever() {
    let mut house = House::new();
    house.publish(&[metadata_version(30)]);
    house.tell(LifecycleEvent::DirectoryFailed(DIRECTORIES[1]));
    assert_eq!(house.due_ms(), Some(30_000), "log.dir.failure.timeout.ms");
    assert_eq!(house.beat(|_| ()).offline_log_dirs, [DIRECTORIES[1]]);
    house.wait(FAST_INTERVAL_MS);
    // One that fails while a heartbeat is under way goes with the next, at once.
    house.tell(LifecycleEvent::DirectoryFailed(DIRECTORIES[0]));
    assert_eq!(house.beat(|_| ()).offline_log_dirs, [DIRECTORIES[1]]);
    house.wait(0);
    assert_eq!(house.beat(|_| ()).offline_log_dirs, DIRECTORIES);
    assert!(house.said.is_empty());
}

#[test]
fn a_broker_ends_that_cannot_tell_of_a_directory_that_failed() {
    let mut house = House::new();
    house.publish(&[metadata_version(30)]);
    house.wait(FAST_INTERVAL_MS);
    house.tell(LifecycleEvent::DirectoryFailed(DIRECTORIES[1]));
    house.wait(29_999);
    assert!(house.said.is_empty());
    house.wait(1);
    assert_eq!(house.said, ["halt"], "log.dir.failure.timeout.ms");
}

#[test]
fn heartbeats_of_old_clusters_know_no_directories() {
    let mut house = House::new();
    house.publish(&[metadata_version(16)]);
    house.tell(LifecycleEvent::DirectoryFailed(DIRECTORIES[1]));
    assert!(house.beat(|_| ()).offline_log_dirs.is_empty());
    house.wait(60_000);
    assert!(house.said.is_empty(), "there is nothing to tell");
}

#[test]
fn directories_are_registered_once_the_cluster_knows_of_them() {
    let mut house = House::new();
    house.publish(&[metadata_version(16)]);
    let nameless = RegisterBrokerRecord {
        broker_id: 1,
        broker_epoch: 1,
        incarnation_id: Uuid::ONE,
        fenced: false,
        ..RegisterBrokerRecord::default()
    };
    house.publish(&[nameless.into()]);
    house.publish(&[metadata_version(17)]);
    let [(_, ControllerRequest::BrokerRegistration(request))] = &house.asked[..] else {
        panic!("{:?}", house.asked)
    };
    assert_eq!((&request.log_dirs[..], request.incarnation_id), (&DIRECTORIES[..], Uuid::ONE));
}

#[test]
fn the_controller_is_told_where_replicas_are() {
    let mut house = House::new();
    let topic = TopicRecord { name: "t".into(), topic_id: TOPIC };
    let unassigned = crate::metadata::topics::DIRECTORY_UNASSIGNED;
    let partitions = [partition(0, unassigned), partition(1, unassigned), partition(2, DIRECTORIES[0])];
    house.publish(&[metadata_version(17), topic.into()]);
    house.publish(&partitions);
    for (index, directory) in
        [(0, DIRECTORIES[0]), (1, DIRECTORIES[1]), (2, DIRECTORIES[0]), (7, DIRECTORIES[0])]
    {
        house.tell(LifecycleEvent::Placed(TopicIdPartition { topic_id: TOPIC, partition: index }, directory));
    }
    let asked = |house: &House| -> Vec<(Uuid, Vec<i32>)> {
        let [(_, ControllerRequest::AssignReplicasToDirs(request))] = &house.asked[..] else {
            panic!("{:?}", house.asked)
        };
        assert_eq!((request.broker_id, request.broker_epoch), (1, 1));
        let indexes = |directory: &assign_replicas_to_dirs_request::DirectoryData| {
            directory
                .topics
                .iter()
                .flat_map(|topic| &topic.partitions)
                .map(|one| one.partition_index)
                .collect()
        };
        request.directories.iter().map(|directory| (directory.id, indexes(directory))).collect()
    };
    assert_eq!(asked(&house), [(DIRECTORIES[0], vec![0])], "one request at a time");
    // The controller has not noted it: it is said again, with what has come meanwhile, but for what the metadata knows.
    let said = |error_code| {
        let partitions = vec![PartitionData { partition_index: 0, error_code }];
        let topics = vec![TopicData { topic_id: TOPIC, partitions }];
        let directories = vec![DirectoryData { id: DIRECTORIES[0], topics }];
        ControllerResponse::AssignReplicasToDirs(AssignReplicasToDirsResponse {
            directories,
            ..AssignReplicasToDirsResponse::default()
        })
    };
    house.answer(said(ErrorCode::UnknownTopicId.code()));
    house.wait(RETRY_MS);
    assert_eq!(asked(&house), [(DIRECTORIES[0], vec![0]), (DIRECTORIES[1], vec![1])]);
    house.answer(said(0));
    house.wait(RETRY_MS);
    assert_eq!(asked(&house), [(DIRECTORIES[1], vec![1])]);
}
