//! What a page draws: one bounded snapshot of a playground.

use ottla_protocol::ApiKey;
use serde::{Deserialize, Serialize};

use super::Machines;
use super::operation::process_id;
use super::shell::Terminal;
use crate::broker::cluster_view::OFFSETS_TOPIC;
use crate::client::assigned_partitions;
use crate::coordinator::Runtime;
use crate::coordinator::group::GroupCoordinator;
use crate::ids::TopicIdPartition;
use crate::log::{FetchIsolation, LogStore as _, MemoryStore};
use crate::metadata::{MetadataImage, TopicImage};
use crate::partition::Partition;
use crate::record::{Compressors, batches};
use crate::sim::world::Party;
use crate::small_map::SmallMap;

/// Frames that are named at most.
const FLIGHTS_MAX: usize = 200;
/// Cells of a partition that are shown at most.
const CELLS_MAX: i64 = 24;
/// Letters of a value that are shown at most.
const VALUE_MAX: usize = 80;
/// Bytes of a partition's end that are read to find its last cells.
const TAIL_BYTES: u64 = 64 * 1024;
/// Topics that are shown at most.
const TOPICS_MAX: usize = 100;

/// Everything that is shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// Virtual microseconds since the beginning.
    pub now_us: u64,
    /// In order of id.
    pub brokers: Vec<BrokerView>,
    /// In order of name.
    pub topics: Vec<TopicView>,
    /// In order of name.
    pub groups: Vec<GroupView>,
    /// In order of opening.
    pub terminals: Vec<TerminalView>,
    /// Frames on their way, and those of the last moments; the oldest first.
    pub flights: Vec<FlightView>,
    /// How many more there are than `flights` names, by ends.
    pub edges: Vec<EdgeView>,
}

/// A broker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BrokerView {
    /// Its id.
    pub id: i32,
    /// Whether there is a process.
    pub is_running: bool,
    /// Whether that stands still.
    pub is_paused: bool,
    /// Whether nothing comes through to it or from it.
    pub is_cut_off: bool,
    /// Whether the cluster does not let anybody in to it.
    pub is_fenced: bool,
    /// Whether it is the active controller.
    pub controller: bool,
    /// Where clients connect.
    pub port: u16,
    /// The number of its process, or of the last one.
    pub process_id: u32,
}

/// A topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TopicView {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// Whether it belongs to the brokers.
    pub internal: bool,
    /// In order of index.
    pub partitions: Vec<PartitionView>,
}

/// A partition, as the controller knows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PartitionView {
    /// Its index.
    pub index: i32,
    /// −1 without one.
    pub leader: i32,
    /// Its epoch.
    pub leader_epoch: i32,
    /// In order of assignment: the preferred leader first.
    pub replicas: Vec<ReplicaView>,
    /// Brokers that are in sync.
    pub isr: Vec<i32>,
}

impl PartitionView {
    /// The leader's replica; without a leader, the one that would be preferred.
    pub fn led(&self) -> Option<&ReplicaView> {
        self.replicas.iter().find(|replica| replica.broker == self.leader).or(self.replicas.first())
    }
}

/// A replica: a log of its own. That of a broker whose process is gone is as it was left.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReplicaView {
    /// Whose it is.
    pub broker: i32,
    /// First offset kept.
    pub log_start_offset: i64,
    /// First offset that consumers do not see, as far as this replica knows.
    pub high_watermark: i64,
    /// First offset that does not exist.
    pub log_end_offset: i64,
    /// First offset that `read_committed` consumers do not see.
    pub last_stable_offset: i64,
    /// The newest records, oldest first: all that there are from `cells_from` on. Compaction leaves gaps.
    pub cells: Vec<CellView>,
    /// An offset.
    pub cells_from: i64,
}

/// A record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CellView {
    /// Its offset.
    pub offset: i64,
    /// Its key as text.
    pub key: Option<String>,
    /// Its value as text, cut short.
    pub value: String,
    /// ms.
    pub timestamp: i64,
    /// Bytes of key and value.
    pub bytes: u32,
}

/// A group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupView {
    /// Its name.
    pub id: String,
    /// As Kafka names states.
    pub state: String,
    /// Counts rebalances.
    pub generation: i32,
    /// Who shares partitions out, and how.
    pub protocol: String,
    /// In order of member id.
    pub members: Vec<MemberView>,
    /// What is committed, in order.
    pub offsets: Vec<OffsetView>,
}

/// A member.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MemberView {
    /// Its member id.
    pub id: String,
    /// Its `client.id`.
    pub client_id: String,
    /// Where it runs.
    pub host: String,
    /// What it was given.
    pub partitions: Vec<(String, i32)>,
}

/// A committed offset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OffsetView {
    /// Of which topic.
    pub topic: String,
    /// Of which partition.
    pub partition: i32,
    /// The next offset to read.
    pub committed: i64,
    /// The high watermark.
    pub log_end: i64,
    /// What lies between.
    pub lag: i64,
}

/// A terminal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TerminalView {
    /// Its number.
    pub id: u8,
    /// What stands before the next line.
    pub prompt: String,
    /// The program in it.
    pub running: Option<String>,
    /// What it shows.
    pub lines: Vec<LineView>,
    /// How the last program ended.
    pub exit_code: Option<i32>,
}

/// A line of a terminal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LineView {
    /// Whose it is.
    pub kind: LineKind,
    /// Without its end.
    pub text: String,
}

/// Whose a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LineKind {
    /// A command, with the prompt before it.
    Prompt,
    /// Standard output.
    Out,
    /// Standard error.
    Err,
    /// Typed into a program.
    Input,
}

/// An end of a frame's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Place {
    /// By id.
    Broker(i32),
    /// The program in a terminal, by the terminal's number.
    Terminal(u8),
}

/// What a frame is about: what it is drawn as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MessageKind {
    /// Records to a leader.
    Produce,
    /// Records from a leader, to consumers and followers.
    Fetch,
    /// Everything else.
    Control,
}

/// A frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlightView {
    /// Grows with every frame that is sent.
    pub number: u64,
    /// Who sent it.
    pub from: Place,
    /// Who is to get it.
    pub to: Place,
    /// Kafka's name of what is asked, or was.
    pub api: String,
    /// Of that.
    pub kind: MessageKind,
    /// An answer.
    pub is_response: bool,
    /// Virtual µs.
    pub sent_us: u64,
    /// Virtual µs, if nothing is in its way.
    pub arrives_us: u64,
    /// It has, or was lost.
    pub is_over: bool,
}

/// Frames that are not named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EdgeView {
    /// Who sent them.
    pub from: Place,
    /// Who is to get them.
    pub to: Place,
    /// How many.
    pub count: u32,
}

/// What there is to be seen.
pub fn of(world: &Machines, terminals: &[Terminal]) -> View {
    let mut view = View { now_us: world.now().monotonic.0, ..View::default() };
    let newest = world
        .hosts()
        .filter_map(|(_, host)| Some(&host.last_node()?.published))
        .max_by_key(|published| published.offset);
    let controller = active_controller(world);
    for (id, host) in world.hosts() {
        view.brokers.push(BrokerView {
            id,
            is_running: host.node().is_some(),
            is_paused: host.node().is_some() && world.is_paused(id),
            is_cut_off: world.is_cut_off(id),
            is_fenced: newest.and_then(|newest| newest.image.broker(id)).is_none_or(|broker| broker.fenced),
            controller: controller == Some(id),
            port: host.config.advertised_listeners.first().map_or(0, |listener| listener.port),
            process_id: process_id(id, host.incarnation()),
        });
    }
    if let Some(newest) = newest {
        let topics = newest.image.topics_by_name().take(TOPICS_MAX);
        view.topics = topics.map(|topic| view_topic(world, topic)).collect();
        view_groups(&mut view, world, &newest.image);
    }
    view.terminals = terminals.iter().map(|terminal| view_terminal(world, terminal)).collect();
    view_flights(&mut view, world, terminals);
    view
}

/// Who leads the quorum: of those that believe it, the one in the newest epoch.
fn active_controller(world: &Machines) -> Option<i32> {
    let leaders = world.hosts().filter_map(|(id, host)| {
        let quorum = host.node()?.controller.quorum();
        quorum.has_claimed().then_some((quorum.epoch(), id))
    });
    leaders.max().map(|(_, id)| id)
}

fn view_flights(view: &mut View, world: &Machines, terminals: &[Terminal]) {
    let place = |party: Party| match party {
        Party::Host(id) => Some(Place::Broker(id)),
        Party::Process(id) => {
            let terminal = terminals.iter().find(|terminal| terminal.process() == Some(id));
            terminal.map(|terminal| Place::Terminal(terminal.id()))
        }
    };
    let mut counts: SmallMap<(Place, Place), u32> = SmallMap::new();
    for (number, flight) in world.flights().rev() {
        let (Some(from), Some(to), Some(api)) = (place(flight.from), place(flight.to), flight.api) else {
            continue;
        };
        if view.flights.len() == FLIGHTS_MAX {
            *counts.or_default((from, to)) += 1;
            continue;
        }
        view.flights.push(FlightView {
            number,
            from,
            to,
            api: api.name().to_owned(),
            kind: match api {
                ApiKey::Produce => MessageKind::Produce,
                ApiKey::Fetch => MessageKind::Fetch,
                _ => MessageKind::Control,
            },
            is_response: flight.is_response,
            sent_us: flight.sent.0,
            arrives_us: flight.arrives.0,
            is_over: flight.is_over,
        });
    }
    view.flights.reverse();
    view.edges = counts.into_iter().map(|((from, to), count)| EdgeView { from, to, count }).collect();
}

fn view_terminal(world: &Machines, terminal: &Terminal) -> TerminalView {
    TerminalView {
        id: terminal.id(),
        prompt: terminal.prompt(world),
        running: terminal.running().map(str::to_owned),
        lines: terminal.lines().cloned().collect(),
        exit_code: terminal.exit_code(),
    }
}

fn view_topic(world: &Machines, topic: &TopicImage) -> TopicView {
    let partitions = topic.partitions.iter().map(|(index, registration)| PartitionView {
        index: *index,
        leader: registration.leader,
        leader_epoch: registration.leader_epoch,
        replicas: registration
            .replicas
            .iter()
            .map(|broker| view_replica(world, topic, *index, *broker))
            .collect(),
        isr: registration.isr.clone(),
    });
    TopicView {
        name: topic.name.to_string(),
        id: topic.id.to_string(),
        internal: crate::broker::cluster_view::is_internal(&topic.name),
        partitions: partitions.collect(),
    }
}

fn view_replica(world: &Machines, topic: &TopicImage, index: i32, broker: i32) -> ReplicaView {
    let host = world.hosts().find(|(id, _)| *id == broker).map(|(_, host)| host);
    let found = host.and_then(|host| {
        let shards = &host.last_node()?.shards;
        let mut partitions = shards.iter().flat_map(|shard| shard.partitions());
        let is_it = |id: &TopicIdPartition| id.topic_id == topic.id && id.partition == index;
        let partition = partitions.find(|partition| is_it(&partition.id()))?;
        let log = partition.log();
        Some(ReplicaView {
            broker,
            log_start_offset: log.log_start_offset(),
            high_watermark: log.high_watermark(),
            log_end_offset: log.log_end_offset(),
            last_stable_offset: log.last_stable_offset(),
            cells_from: cells_from(partition),
            cells: cells(partition, &host.store).unwrap_or_default(),
        })
    });
    found.unwrap_or(ReplicaView { broker, ..ReplicaView::default() })
}

/// Of each group what the leader of its offsets partition knows; one that does not know yet that it leads no longer has no say.
fn view_groups(view: &mut View, world: &Machines, image: &MetadataImage) {
    let offsets = image.topic(OFFSETS_TOPIC);
    let leader_of = |partition: i32| Some(offsets?.partitions.get(&partition)?.leader);
    for (id, host) in world.hosts() {
        let shards = host.node().into_iter().flat_map(|node| &node.shards);
        for (partition, runtime) in shards.flat_map(|shard| shard.coordinators().active()) {
            if leader_of(partition) == Some(id) {
                view_groups_of(view, runtime);
            }
        }
    }
    view.groups.sort_by(|a, b| a.id.cmp(&b.id));
}

fn view_groups_of(view: &mut View, runtime: &Runtime<GroupCoordinator>) {
    for (id, value) in runtime.committed().groups() {
        let mut group = GroupView { id: id.to_string(), ..GroupView::default() };
        group.state = runtime.coordinator().state_of(id).unwrap_or("Empty").to_owned();
        if let Some(value) = value {
            group.generation = value.generation;
            group.protocol = value.protocol.as_deref().unwrap_or_default().to_owned();
            group.members = value.members.iter().map(view_member).collect();
        }
        if let Some(topics) = runtime.committed().offsets().of_group(id) {
            for (topic, partition, offset) in crate::coordinator::group::offsets::partitions(topics) {
                let log_end = end_of(view, topic, partition);
                group.offsets.push(OffsetView {
                    topic: topic.to_string(),
                    partition,
                    committed: offset.committed_offset,
                    log_end,
                    lag: (log_end - offset.committed_offset).max(0),
                });
            }
        }
        view.groups.push(group);
    }
}

fn view_member(member: &ottla_protocol::records::group::group_metadata_value::MemberMetadata) -> MemberView {
    let partitions = assigned_partitions(&member.assignment);
    MemberView {
        id: member.member_id.to_string(),
        client_id: member.client_id.to_string(),
        host: member.client_host.to_string(),
        partitions: partitions.into_iter().map(|(topic, partition)| (topic.to_string(), partition)).collect(),
    }
}

fn end_of(view: &View, topic: &str, partition: i32) -> i64 {
    let topic = view.topics.iter().find(|other| other.name == topic);
    let partition = topic.and_then(|topic| topic.partitions.iter().find(|other| other.index == partition));
    partition.and_then(PartitionView::led).map_or(0, |replica| replica.high_watermark)
}

/// The newest records of a partition.
fn cells(partition: &Partition<MemoryStore>, store: &MemoryStore) -> Option<Vec<CellView>> {
    let log = partition.log();
    // Reading remembers where it stands: do it on copies, which share all that is large.
    let (mut log, mut store) = (log.clone(), store.clone());
    let from = cells_from(partition);
    let mut next = from;
    let mut cells = Vec::new();
    while next < log.log_end_offset() {
        let read = log.read(&mut store, next, TAIL_BYTES, FetchIsolation::LogEnd, true, None).ok()?;
        let bytes = store.read_slice(&read.records?).ok()?;
        let before = next;
        for batch in batches(&bytes) {
            let batch = batch.ok()?;
            next = batch.header().next_offset();
            for record in batch.records(&Compressors::default()).ok()? {
                let record = record.ok()?;
                if record.offset < from {
                    continue;
                }
                let size = record.key.as_ref().map_or(0, bytes::Bytes::len)
                    + record.value.as_ref().map_or(0, bytes::Bytes::len);
                cells.push(CellView {
                    offset: record.offset,
                    key: record.key.as_deref().map(text),
                    value: record.value.as_deref().map(text).unwrap_or_default(),
                    timestamp: record.timestamp,
                    bytes: u32::try_from(size).unwrap_or(u32::MAX),
                });
            }
        }
        if next <= before {
            break;
        }
    }
    Some(cells)
}

fn cells_from(partition: &Partition<MemoryStore>) -> i64 {
    let log = partition.log();
    (log.log_end_offset() - CELLS_MAX).max(log.log_start_offset())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(VALUE_MAX).collect()
}
