//! What a page draws: one bounded snapshot of a playground.

use serde::{Deserialize, Serialize};

use super::program::ToolProgram;
use super::shell::Terminal;
use crate::client::assigned_partitions;
use crate::log::{FetchIsolation, LogStore as _, MemoryStore};
use crate::partition::Partition;
use crate::record::{Compressors, batches};
use crate::sim::{Host, World};

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
}

/// A broker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BrokerView {
    /// Its id.
    pub id: i32,
    /// Whether its process runs.
    pub is_running: bool,
    /// Whether it is the active controller.
    pub controller: bool,
    /// Where clients connect.
    pub port: u16,
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

/// A partition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PartitionView {
    /// Its index.
    pub index: i32,
    /// −1 without one.
    pub leader: i32,
    /// Its epoch.
    pub leader_epoch: i32,
    /// First offset kept.
    pub log_start_offset: i64,
    /// First offset that consumers do not see.
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

/// What there is to be seen.
pub fn of(world: &World<MemoryStore, ToolProgram>, terminals: &[Terminal]) -> View {
    let mut view = View { now_us: world.now().monotonic.0, ..View::default() };
    for (id, host) in world.hosts() {
        view.brokers.push(BrokerView {
            id,
            is_running: host.node().is_some(),
            controller: host.node().is_some(),
            port: host.config.advertised_listeners.first().map_or(0, |listener| listener.port),
        });
        view_host(&mut view, host);
    }
    view.topics.truncate(TOPICS_MAX);
    view.terminals = terminals.iter().map(|terminal| view_terminal(world, terminal)).collect();
    view
}

fn view_terminal(world: &World<MemoryStore, ToolProgram>, terminal: &Terminal) -> TerminalView {
    TerminalView {
        id: terminal.id(),
        prompt: terminal.prompt(world),
        running: terminal.running().map(str::to_owned),
        lines: terminal.lines().cloned().collect(),
        exit_code: terminal.exit_code(),
    }
}

fn view_host(view: &mut View, host: &Host<MemoryStore>) {
    let Some(node) = host.node() else { return };
    for topic in node.published.image.topics_by_name() {
        let partitions = topic.partitions.iter().map(|(index, registration)| {
            let replica =
                node.shards.iter().flat_map(|shard| shard.partitions()).find(|partition| {
                    partition.id().topic_id == topic.id && partition.id().partition == *index
                });
            let mut shown =
                replica.map(|partition| view_partition(partition, &host.store)).unwrap_or_default();
            shown.index = *index;
            shown.leader = registration.leader;
            shown.leader_epoch = registration.leader_epoch;
            shown
        });
        view.topics.push(TopicView {
            name: topic.name.to_string(),
            id: topic.id.to_string(),
            internal: crate::broker::cluster_view::is_internal(&topic.name),
            partitions: partitions.collect(),
        });
    }
    for shard in &node.shards {
        for (_, runtime) in shard.coordinators().active() {
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
    }
    view.groups.sort_by(|a, b| a.id.cmp(&b.id));
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
    partition.map_or(0, |partition| partition.high_watermark)
}

fn view_partition(partition: &Partition<MemoryStore>, store: &MemoryStore) -> PartitionView {
    let log = partition.log();
    PartitionView {
        log_start_offset: log.log_start_offset(),
        high_watermark: log.high_watermark(),
        log_end_offset: log.log_end_offset(),
        last_stable_offset: log.last_stable_offset(),
        cells_from: cells_from(partition),
        cells: cells(partition, store).unwrap_or_default(),
        ..PartitionView::default()
    }
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
