//! Share groups and the share coordinator (KIP-932).

use super::rows::*;

keys! { KEYS: Broker, internal = false;
    /// Least time between two new assignments of a share group.
    "group.share.assignment.interval.ms" Int = "1000", AtLeast(0), Medium, ClusterWide, Ignored(SHARE);
    /// Assignor of share groups.
    "group.share.assignors" List = "simple", DistinctNonEmpty, Medium, ReadOnly, Ignored(SHARE);
    /// How often a record is delivered to a share group before it is given up.
    "group.share.delivery.count.limit" Int = "5", Between(2, 10), Medium, ReadOnly, Ignored(SHARE);
    /// Time between heartbeats that members of share groups are told.
    "group.share.heartbeat.interval.ms" Int = "5000", AtLeast(1), Medium, ReadOnly, Ignored(SHARE);
    /// Greatest assignment interval that a share group may choose.
    "group.share.max.assignment.interval.ms" Int = "15000", AtLeast(0), Medium, ReadOnly, Ignored(SHARE);
    /// Greatest delivery count that a share group may choose.
    "group.share.max.delivery.count.limit" Int = "10", Between(5, 25), Medium, ReadOnly, Ignored(SHARE);
    /// Greatest heartbeat interval that a share group may choose.
    "group.share.max.heartbeat.interval.ms" Int = "15000", AtLeast(1), Medium, ReadOnly, Ignored(SHARE);
    /// Greatest number of record locks per partition that a share group may choose.
    "group.share.max.partition.max.record.locks" Int = "4000", Between(2000, 10_000), Medium, ReadOnly, Ignored(SHARE);
    /// Longest record lock that a share group may choose.
    "group.share.max.record.lock.duration.ms" Int = "60000", Between(30_000, 3_600_000), Medium, ReadOnly, Ignored(SHARE);
    /// Greatest session timeout that a share group may choose.
    "group.share.max.session.timeout.ms" Int = "60000", AtLeast(1), Medium, ReadOnly, Ignored(SHARE);
    /// Most share sessions of one broker.
    "group.share.max.share.sessions" Int = "2000", AtLeast(1), Medium, ReadOnly, Ignored(SHARE);
    /// Most members of one share group.
    "group.share.max.size" Int = "200", Between(1, 1000), Medium, ReadOnly, Ignored(SHARE);
    /// Least assignment interval that a share group may choose.
    "group.share.min.assignment.interval.ms" Int = "0", AtLeast(0), Medium, ReadOnly, Ignored(SHARE);
    /// Least delivery count that a share group may choose.
    "group.share.min.delivery.count.limit" Int = "2", Between(2, 5), Medium, ReadOnly, Ignored(SHARE);
    /// Least heartbeat interval that a share group may choose.
    "group.share.min.heartbeat.interval.ms" Int = "5000", AtLeast(1), Medium, ReadOnly, Ignored(SHARE);
    /// Least number of record locks per partition that a share group may choose.
    "group.share.min.partition.max.record.locks" Int = "100", Between(100, 2000), Medium, ReadOnly, Ignored(SHARE);
    /// Shortest record lock that a share group may choose.
    "group.share.min.record.lock.duration.ms" Int = "15000", Between(1000, 30_000), Medium, ReadOnly, Ignored(SHARE);
    /// Least session timeout that a share group may choose.
    "group.share.min.session.timeout.ms" Int = "45000", AtLeast(1), Medium, ReadOnly, Ignored(SHARE);
    /// Most records of one partition that a share group holds locked.
    "group.share.partition.max.record.locks" Int = "2000", Between(100, 10_000), Medium, ReadOnly, Ignored(SHARE);
    /// How long a record is locked for the consumer that got it from a share group.
    "group.share.record.lock.duration.ms" Int = "30000", Between(1000, 3_600_000), Medium, ReadOnly, Ignored(SHARE);
    /// Time without heartbeats after which a member of a share group is removed.
    "group.share.session.timeout.ms" Int = "45000", AtLeast(1), Medium, ReadOnly, Ignored(SHARE);
    /// How long the share coordinator collects records before it writes them; -1 lets it decide.
    "share.coordinator.append.linger.ms" Int = "-1", AtLeast(-1), Medium, ReadOnly, Ignored(SHARE);
    /// Largest write buffer that the share coordinator keeps for reuse.
    "share.coordinator.cached.buffer.max.bytes" Int = "1048588", AtLeast(524_288), Medium, ClusterWide, Ignored(SHARE);
    /// Bytes read at once when the state of share groups is loaded.
    "share.coordinator.load.buffer.size" Int = "5242880", AtLeast(1), High, ReadOnly, Ignored(SHARE);
    /// Updates of a share partition after which a snapshot is written.
    "share.coordinator.snapshot.update.records.per.snapshot" Int = "500", Between(0, 500), Medium, ReadOnly, Ignored(SHARE);
    /// Codec of the topic of share groups' state, as Kafka numbers codecs.
    "share.coordinator.state.topic.compression.codec" Int = "0", Any, High, ReadOnly, Ignored(SHARE);
    /// Replicas of the topic of share groups' state that must be in sync for a write.
    "share.coordinator.state.topic.min.isr" Short = "2", AtLeast(1), High, ReadOnly, Ignored(SHARE);
    /// Partitions of the topic of share groups' state; not to be changed later.
    "share.coordinator.state.topic.num.partitions" Int = "50", AtLeast(1), High, ReadOnly, Ignored(SHARE);
    /// Replicas of the topic of share groups' state.
    "share.coordinator.state.topic.replication.factor" Short = "3", AtLeast(1), High, ReadOnly, Ignored(SHARE);
    /// Segment size of the topic of share groups' state.
    "share.coordinator.state.topic.segment.bytes" Int = "104857600", AtLeast(1), High, ReadOnly, Ignored(SHARE);
    /// Threads of the share coordinator.
    "share.coordinator.threads" Int = "1", AtLeast(1), Medium, ReadOnly, Ignored(SHARE);
    /// How long a write of the share coordinator waits for its replicas.
    "share.coordinator.write.timeout.ms" Int = "5000", AtLeast(1), High, ReadOnly, Ignored(SHARE);
    /// Finished requests that the share fetch purgatory keeps before it is purged.
    "share.fetch.purgatory.purge.interval.requests" Int = "1000", Any, Medium, ReadOnly, Ignored(PURGATORY);
}
