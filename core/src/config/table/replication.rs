//! Replication, leaders and replication quotas.

use super::rows::*;

keys! { KEYS: Broker, internal = false;
    /// How many samples the quota for moving replicas between directories remembers.
    "alter.log.dirs.replication.quota.window.num" Int = "11", AtLeast(1), Low, ReadOnly, Ignored(DIRECTORIES);
    /// How long one sample of the quota for moving replicas between directories lasts.
    "alter.log.dirs.replication.quota.window.size.seconds" Int = "1", AtLeast(1), Low, ReadOnly, Ignored(DIRECTORIES);
    /// Whether leadership moves back to preferred replicas by itself.
    "auto.leader.rebalance.enable" Boolean = "true", Any, High, ReadOnly, Honoured;
    /// Whether a stopping broker hands its leaderships over first.
    "controlled.shutdown.enable" Boolean = "true", Any, Medium, ReadOnly, Honoured;
    /// Replicas of a topic whose creation names no number.
    "default.replication.factor" Int = "1", Any, Medium, ReadOnly, Honoured;
    /// How often leaderships are compared with the preferred replicas.
    "leader.imbalance.check.interval.seconds" Long = "300", AtLeast(1), High, ReadOnly, Honoured;
    /// Replicas that must be in sync for a write with `acks=all` to be accepted.
    "min.insync.replicas" Int = "1", AtLeast(1), High, ClusterWide, Honoured;
    /// Threads that move replicas between directories.
    "num.replica.alter.log.dirs.threads" Int = null, Any, High, ReadOnly, Ignored(DIRECTORIES);
    /// Threads that copy from each other broker.
    "num.replica.fetchers" Int = "1", AtLeast(1), High, ClusterWide, Ignored(SHARDS);
    /// Pause of a follower after a failed fetch.
    "replica.fetch.backoff.ms" Int = "1000", AtLeast(0), Medium, ReadOnly, Honoured;
    /// Most that a follower takes of one partition in one fetch; the first batch is whole all the same.
    "replica.fetch.max.bytes" Int = "1048576", AtLeast(0), Medium, ReadOnly, Honoured;
    /// Least that a follower's fetch waits for.
    "replica.fetch.min.bytes" Int = "1", Any, High, ReadOnly, Honoured;
    /// Most that a follower takes in one fetch.
    "replica.fetch.response.max.bytes" Int = "10485760", AtLeast(0), Medium, ReadOnly, Honoured;
    /// Longest time that a follower's fetch waits.
    "replica.fetch.wait.max.ms" Int = "500", Any, High, ReadOnly, Honoured;
    /// How often high watermarks are written down.
    "replica.high.watermark.checkpoint.interval.ms" Long = "5000", Any, High, ReadOnly, Honoured;
    /// Time without catching up after which a replica is out of sync.
    "replica.lag.time.max.ms" Long = "30000", Any, High, ReadOnly, Honoured;
    /// Plugin that chooses which replica a consumer reads from.
    "replica.selector.class" String = null, Any, Medium, ReadOnly, Honoured;
    /// Receive buffer of a follower's connections.
    "replica.socket.receive.buffer.bytes" Int = "65536", Any, High, ReadOnly, Ignored(LINKS);
    /// How long a follower's fetch may stay unanswered.
    "replica.socket.timeout.ms" Int = "30000", Any, High, ReadOnly, Honoured;
    /// How many samples replication quotas remember.
    "replication.quota.window.num" Int = "11", AtLeast(1), Low, ReadOnly, Honoured;
    /// How long one sample of a replication quota lasts.
    "replication.quota.window.size.seconds" Int = "1", AtLeast(1), Low, ReadOnly, Honoured;
    /// Whether a replica that is not in sync may lead when no other is left, at the price of records.
    "unclean.leader.election.enable" Boolean = "false", Any, High, ClusterWide, Honoured;
}

// Kafka takes these at run time only and shows them only when they are set.
keys! { THROTTLE_KEYS: Broker, internal = true;
    /// Most bytes in a second that throttled replicas of followers on this broker copy.
    "follower.replication.throttled.rate" Long = "9223372036854775807", AtLeast(0), Medium, ClusterWide, Honoured;
    /// Most bytes in a second that this broker's leaders hand to throttled replicas.
    "leader.replication.throttled.rate" Long = "9223372036854775807", AtLeast(0), Medium, ClusterWide, Honoured;
    /// Most bytes in a second that move between directories of this broker.
    "replica.alter.log.dirs.io.max.bytes.per.second" Long = "9223372036854775807", AtLeast(0), Medium, ClusterWide, Ignored(DIRECTORIES);
}
