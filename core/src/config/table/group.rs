//! Groups: classic, consumer (KIP-848), streams (KIP-1071), and committed offsets.

use super::rows::*;

keys! { KEYS: Broker, internal = false;
    /// Least time between two new assignments of a consumer group.
    "group.consumer.assignment.interval.ms" Int = "1000", AtLeast(0), Medium, ClusterWide, Ignored(CONSUMER);
    /// Assignors of consumer groups that the broker offers; the first is the default.
    "group.consumer.assignors" List = "uniform,range", DistinctNonEmpty, Medium, ReadOnly, Ignored(CONSUMER);
    /// Time between heartbeats that members of consumer groups are told.
    "group.consumer.heartbeat.interval.ms" Int = "5000", AtLeast(1), Medium, ReadOnly, Ignored(CONSUMER);
    /// Greatest assignment interval that a consumer group may choose.
    "group.consumer.max.assignment.interval.ms" Int = "15000", AtLeast(0), Medium, ReadOnly, Ignored(CONSUMER);
    /// Greatest heartbeat interval that a consumer group may choose.
    "group.consumer.max.heartbeat.interval.ms" Int = "15000", AtLeast(1), Medium, ReadOnly, Ignored(CONSUMER);
    /// Greatest session timeout that a consumer group may choose.
    "group.consumer.max.session.timeout.ms" Int = "60000", AtLeast(1), Medium, ReadOnly, Ignored(CONSUMER);
    /// Most members of one consumer group.
    "group.consumer.max.size" Int = "2147483647", AtLeast(1), Medium, ReadOnly, Ignored(CONSUMER);
    /// In which directions a group may change between the classic and the consumer protocol while it is in
    /// use.
    "group.consumer.migration.policy" String = "bidirectional", OneOfIgnoringCase(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"]), Medium, ReadOnly, Ignored(CONSUMER);
    /// Least assignment interval that a consumer group may choose.
    "group.consumer.min.assignment.interval.ms" Int = "0", AtLeast(0), Medium, ReadOnly, Ignored(CONSUMER);
    /// Least heartbeat interval that a consumer group may choose.
    "group.consumer.min.heartbeat.interval.ms" Int = "5000", AtLeast(1), Medium, ReadOnly, Ignored(CONSUMER);
    /// Least session timeout that a consumer group may choose.
    "group.consumer.min.session.timeout.ms" Int = "45000", AtLeast(1), Medium, ReadOnly, Ignored(CONSUMER);
    /// Time without heartbeats after which a member of a consumer group is removed.
    "group.consumer.session.timeout.ms" Int = "45000", AtLeast(1), Medium, ReadOnly, Ignored(CONSUMER);
    /// How long the group coordinator collects records before it writes them; -1 lets it decide.
    "group.coordinator.append.linger.ms" Int = "-1", AtLeast(-1), Medium, ReadOnly, Ignored(LOADING);
    /// Threads that compute assignments beside the group coordinator.
    "group.coordinator.background.threads" Int = "2", AtLeast(1), High, ReadOnly, Ignored(SHARDS);
    /// Largest write buffer that the group coordinator keeps for reuse.
    "group.coordinator.cached.buffer.max.bytes" Int = "1048588", AtLeast(524_288), Medium, ClusterWide, Ignored(LOADING);
    /// Kinds of groups that the coordinator serves.
    "group.coordinator.rebalance.protocols" List = "classic,consumer,streams", NonEmptySetOf(&["consumer", "classic", "share", "streams"]), Medium, ReadOnly, Ignored(CONSUMER);
    /// Threads of the group coordinator.
    "group.coordinator.threads" Int = "4", AtLeast(1), High, ReadOnly, Ignored(SHARDS);
    /// How long the first rebalance of an empty group waits for more members.
    "group.initial.rebalance.delay.ms" Int = "3000", Any, Medium, ReadOnly, Honoured;
    /// Greatest session timeout that a member of a classic group may ask for.
    "group.max.session.timeout.ms" Int = "1800000", Any, Medium, ReadOnly, Honoured;
    /// Most members of one classic group.
    "group.max.size" Int = "2147483647", AtLeast(1), Medium, ReadOnly, Honoured;
    /// Least session timeout that a member of a classic group may ask for.
    "group.min.session.timeout.ms" Int = "6000", Any, Medium, ReadOnly, Honoured;
    /// Least time between two new assignments of a streams group.
    "group.streams.assignment.interval.ms" Int = "1000", AtLeast(0), Medium, ClusterWide, Ignored(STREAMS);
    /// Time between heartbeats that members of streams groups are told.
    "group.streams.heartbeat.interval.ms" Int = "5000", AtLeast(1), Medium, ReadOnly, Ignored(STREAMS);
    /// How long the first assignment of a streams group waits for more members.
    "group.streams.initial.rebalance.delay.ms" Int = "3000", AtLeast(0), Medium, ReadOnly, Ignored(STREAMS);
    /// Greatest assignment interval that a streams group may choose.
    "group.streams.max.assignment.interval.ms" Int = "15000", AtLeast(0), Medium, ReadOnly, Ignored(STREAMS);
    /// Greatest heartbeat interval that a streams group may choose.
    "group.streams.max.heartbeat.interval.ms" Int = "15000", AtLeast(1), Medium, ReadOnly, Ignored(STREAMS);
    /// Greatest session timeout that a streams group may choose.
    "group.streams.max.session.timeout.ms" Int = "60000", AtLeast(1), Medium, ReadOnly, Ignored(STREAMS);
    /// Most members of one streams group.
    "group.streams.max.size" Int = "2147483647", AtLeast(1), Medium, ReadOnly, Ignored(STREAMS);
    /// Most standby replicas that a streams group may choose.
    "group.streams.max.standby.replicas" Int = "2", AtLeast(0), Medium, ReadOnly, Ignored(STREAMS);
    /// Least assignment interval that a streams group may choose.
    "group.streams.min.assignment.interval.ms" Int = "0", AtLeast(0), Medium, ReadOnly, Ignored(STREAMS);
    /// Least heartbeat interval that a streams group may choose.
    "group.streams.min.heartbeat.interval.ms" Int = "5000", AtLeast(1), Medium, ReadOnly, Ignored(STREAMS);
    /// Least session timeout that a streams group may choose.
    "group.streams.min.session.timeout.ms" Int = "45000", AtLeast(1), Medium, ReadOnly, Ignored(STREAMS);
    /// Standby replicas of each task of a streams group.
    "group.streams.num.standby.replicas" Int = "0", AtLeast(0), Medium, ReadOnly, Ignored(STREAMS);
    /// Time without heartbeats after which a member of a streams group is removed.
    "group.streams.session.timeout.ms" Int = "45000", AtLeast(1), Medium, ReadOnly, Ignored(STREAMS);
    /// Longest text that may go with a committed offset.
    "offset.metadata.max.bytes" Int = "4096", Any, High, ReadOnly, Honoured;
    /// How long a commit of offsets waits for its replicas.
    "offsets.commit.timeout.ms" Int = "5000", AtLeast(1), High, ReadOnly, Ignored(ONE_REPLICA);
    /// Bytes read at once when committed offsets are loaded.
    "offsets.load.buffer.size" Int = "5242880", AtLeast(1), High, ReadOnly, Ignored(LOADING);
    /// How often committed offsets are looked over for those to forget.
    "offsets.retention.check.interval.ms" Long = "600000", AtLeast(1), High, ReadOnly, Honoured;
    /// Minutes after which offsets of a group without members are forgotten.
    "offsets.retention.minutes" Int = "10080", AtLeast(1), High, ReadOnly, Honoured;
    /// Codec of the topic of committed offsets, as Kafka numbers codecs.
    "offsets.topic.compression.codec" Int = "0", Any, High, ReadOnly, Ignored(PLAIN_OFFSETS);
    /// Partitions of the topic of committed offsets; not to be changed later.
    "offsets.topic.num.partitions" Int = "50", AtLeast(1), High, ReadOnly, Honoured;
    /// Replicas of the topic of committed offsets.
    "offsets.topic.replication.factor" Short = "3", AtLeast(1), High, ReadOnly, Honoured;
    /// Segment size of the topic of committed offsets.
    "offsets.topic.segment.bytes" Int = "104857600", AtLeast(1), High, ReadOnly, Honoured;
}
