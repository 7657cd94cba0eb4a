//! Keys of topics, groups, client metrics subscriptions, and quotas of clients.

use super::rows::*;

keys! { CLIENT_METRICS_KEYS: ClientMetrics, internal = false;
    /// How often a client pushes its metrics.
    "interval.ms" Int = "300000", Any, Medium, Entity, Ignored(TELEMETRY);
    /// Which clients are meant, as `selector=regular expression`.
    "match" List = "", Distinct, Medium, Entity, Ignored(TELEMETRY);
    /// Beginnings of the names of metrics that are wanted; empty for none, `*` for all.
    "metrics" List = "", Distinct, Medium, Entity, Ignored(TELEMETRY);
}

keys! { GROUP_KEYS: Group, internal = false;
    /// Least time between two new assignments of this consumer group.
    "consumer.assignment.interval.ms" Int = "1000", AtLeast(0), Medium, Entity, Ignored(CONSUMER);
    /// Time between heartbeats that this group's members are told.
    "consumer.heartbeat.interval.ms" Int = "5000", AtLeast(1), Medium, Entity, Ignored(CONSUMER);
    /// Time without heartbeats after which a member of this group is removed.
    "consumer.session.timeout.ms" Int = "45000", AtLeast(1), Medium, Entity, Ignored(CONSUMER);
    /// Least time between two new assignments of this share group.
    "share.assignment.interval.ms" Int = "1000", AtLeast(0), Medium, Entity, Ignored(SHARE);
    /// Where a share group begins in a partition that is new to it.
    "share.auto.offset.reset" String = "latest", ShareOffsetReset, Medium, Entity, Ignored(SHARE);
    /// How often a record is delivered to this group before it is given up.
    "share.delivery.count.limit" Int = "5", AtLeast(2), Medium, Entity, Ignored(SHARE);
    /// Time between heartbeats that this share group's members are told.
    "share.heartbeat.interval.ms" Int = "5000", AtLeast(1), Medium, Entity, Ignored(SHARE);
    /// Whether records of aborted or open transactions are delivered.
    "share.isolation.level" String = "read_uncommitted", OneOf(&["read_committed", "read_uncommitted"]), Medium, Entity, Ignored(SHARE);
    /// Most records of one partition that this group holds locked.
    "share.partition.max.record.locks" Int = "2000", AtLeast(100), Medium, Entity, Ignored(SHARE);
    /// How long a record is locked for the consumer that got it.
    "share.record.lock.duration.ms" Int = "30000", AtLeast(1000), Medium, Entity, Ignored(SHARE);
    /// Whether consumers may prolong their locks.
    "share.renew.acknowledge.enable" Boolean = "true", Any, Medium, Entity, Ignored(SHARE);
    /// Time without heartbeats after which a member of this share group is removed.
    "share.session.timeout.ms" Int = "45000", AtLeast(1), Medium, Entity, Ignored(SHARE);
    /// Least time between two new assignments of this streams group.
    "streams.assignment.interval.ms" Int = "1000", AtLeast(0), Medium, Entity, Ignored(STREAMS);
    /// Time between heartbeats that this streams group's members are told.
    "streams.heartbeat.interval.ms" Int = "5000", AtLeast(1), Medium, Entity, Ignored(STREAMS);
    /// How long this group's first assignment waits for more members.
    "streams.initial.rebalance.delay.ms" Int = "3000", AtLeast(0), Medium, Entity, Ignored(STREAMS);
    /// Standby replicas of each task.
    "streams.num.standby.replicas" Int = "0", AtLeast(0), Medium, Entity, Ignored(STREAMS);
    /// Time without heartbeats after which a member of this streams group is removed.
    "streams.session.timeout.ms" Int = "45000", AtLeast(1), Medium, Entity, Ignored(STREAMS);
}

keys! { TOPIC_KEYS: Topic, internal = false;
    /// What becomes of old records: deleted, compacted by key, both, or neither.
    "cleanup.policy" List = "delete", SetOf(&["compact", "delete"]), Medium, Entity, Honoured;
    /// Effort of gzip when the broker compresses this topic: 1 is fastest, 9 smallest, -1 the codec's own
    /// choice.
    "compression.gzip.level" Int = "-1", LevelOrMinusOne(1, 9), Medium, Entity, Honoured;
    /// Effort of lz4 when the broker compresses this topic: 1 is fastest, 17 smallest.
    "compression.lz4.level" Int = "9", Between(1, 17), Medium, Entity, Honoured;
    /// Codec in which this topic is stored; `producer` keeps batches as they came.
    "compression.type" String = "producer", OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), Medium, Entity, Honoured;
    /// Effort of zstd when the broker compresses this topic: the greater, the smaller and slower.
    "compression.zstd.level" Int = "3", Between(-131_072, 22), Medium, Entity, Honoured;
    /// How long tombstones stay after compaction, so that readers see the deletion.
    "delete.retention.ms" Long = "86400000", AtLeast(0), Medium, Entity, Honoured;
    /// How long a deleted segment's files stay on disk.
    "file.delete.delay.ms" Long = "60000", AtLeast(0), Medium, Entity, Honoured;
    /// Records after which a partition is forced to disk.
    "flush.messages" Long = "9223372036854775807", AtLeast(1), Medium, Entity, Honoured;
    /// Age of an unforced record at which its partition is forced to disk.
    "flush.ms" Long = "9223372036854775807", AtLeast(0), Medium, Entity, Honoured;
    /// Replicas whose copying is throttled on the follower's side: `partition:broker` pairs, or `*`.
    "follower.replication.throttled.replicas" List = "", ThrottledReplicas, Medium, Entity, Honoured;
    /// Bytes of log between two entries of the offset index.
    "index.interval.bytes" Int = "4096", AtLeast(0), Medium, Entity, Honoured;
    /// Replicas whose copying is throttled on the leader's side: `partition:broker` pairs, or `*`.
    "leader.replication.throttled.replicas" List = "", ThrottledReplicas, Medium, Entity, Honoured;
    /// Size of the part of this tiered log that stays on the broker's disk; -2 follows `retention.bytes`.
    "local.retention.bytes" Long = "-2", AtLeast(-2), Medium, Entity, Ignored(REMOTE);
    /// Age up to which this tiered log stays on the broker's disk; -2 follows `retention.ms`.
    "local.retention.ms" Long = "-2", AtLeast(-2), Medium, Entity, Ignored(REMOTE);
    /// Age at which a record must become eligible for compaction.
    "max.compaction.lag.ms" Long = "9223372036854775807", AtLeast(1), Medium, Entity, Honoured;
    /// Largest batch that is accepted, compressed as it comes.
    "max.message.bytes" Int = "1048588", AtLeast(0), Medium, Entity, Honoured;
    /// How far in the future a producer's timestamp may lie.
    "message.timestamp.after.max.ms" Long = "3600000", AtLeast(0), Medium, Entity, Honoured;
    /// How far in the past a producer's timestamp may lie.
    "message.timestamp.before.max.ms" Long = "9223372036854775807", AtLeast(0), Medium, Entity, Honoured;
    /// Whether records carry the producer's time or that of their arrival.
    "message.timestamp.type" String = "CreateTime", OneOf(&["CreateTime", "LogAppendTime"]), Medium, Entity, Honoured;
    /// Part of a log that must be uncompacted before compaction is worth it.
    "min.cleanable.dirty.ratio" Double = "0.5", UpTo(1.0), Medium, Entity, Honoured;
    /// Age before which a record is not compacted away.
    "min.compaction.lag.ms" Long = "0", AtLeast(0), Medium, Entity, Honoured;
    /// Replicas that must be in sync for a write with `acks=all` to be accepted.
    "min.insync.replicas" Int = "1", AtLeast(1), Medium, Entity, Honoured;
    /// Whether a new segment takes its whole space at once.
    "preallocate" Boolean = "false", Any, Medium, Entity, Ignored(PREALLOCATE);
    /// Whether a tiered topic stops copying and only reads what is in tiered storage.
    "remote.log.copy.disable" Boolean = "false", Any, Medium, Entity, Ignored(REMOTE);
    /// Whether what is in tiered storage goes when the topic leaves it.
    "remote.log.delete.on.disable" Boolean = "false", Any, Medium, Entity, Ignored(REMOTE);
    /// Whether old segments of this topic go to tiered storage.
    "remote.storage.enable" Boolean = "false", Any, Medium, Entity, Ignored(REMOTE);
    /// Size of a partition beyond which its oldest segments go; -1 for no bound.
    "retention.bytes" Long = "-1", Any, Medium, Entity, Honoured;
    /// Age at which records go; -1 keeps them for ever.
    "retention.ms" Long = "604800000", AtLeast(-1), Medium, Entity, Honoured;
    /// Size at which a segment is closed.
    "segment.bytes" Int = "1073741824", AtLeast(1_048_576), Medium, Entity, Honoured;
    /// Largest index of a segment.
    "segment.index.bytes" Int = "10485760", AtLeast(4), Medium, Entity, Honoured;
    /// Random part by which segments close earlier, so that not all close at once.
    "segment.jitter.ms" Long = "0", AtLeast(0), Medium, Entity, Honoured;
    /// Age at which a segment is closed although it is not full.
    "segment.ms" Long = "604800000", AtLeast(1), Medium, Entity, Honoured;
    /// Whether a replica that is not in sync may lead when no other is left, at the price of records.
    "unclean.leader.election.enable" Boolean = "false", Any, Medium, Entity, Honoured;
}

keys! { TOPIC_INTERNAL_KEYS: Topic, internal = true;
    /// Segment size without its usual lower bound, for tests.
    "internal.segment.bytes" Int = null, Any, Medium, Entity, Honoured;
}

keys! { CLIENT_QUOTA_KEYS: ClientQuota, internal = false;
    /// Most bytes in a second that a client may fetch from one broker.
    "consumer_byte_rate" Long = "9223372036854775807", Any, Medium, Entity, Honoured;
    /// Most topic and partition changes in a second that a client may ask for.
    "controller_mutation_rate" Double = "2.147483647E9", Any, Medium, Entity, Honoured;
    /// Most bytes in a second that a client may produce to one broker.
    "producer_byte_rate" Long = "9223372036854775807", Any, Medium, Entity, Honoured;
    /// Most of a broker's request-serving time that a client may take, in per cent of one thread.
    "request_percentage" Double = "2.147483647E9", Any, Medium, Entity, Honoured;
}

keys! { IP_QUOTA_KEYS: IpQuota, internal = false;
    /// Most connections in a second that one address may open.
    "connection_creation_rate" Int = "2147483647", AtLeast(0), Medium, Entity, Honoured;
}
