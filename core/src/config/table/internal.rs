//! Keys that Kafka hides from its users.

use super::rows::*;

keys! { KEYS: Broker, internal = true;
    /// Duration from which an event of the controller is logged as slow.
    "controller.performance.always.log.threshold.ms" Long = "2000", AtLeast(0), Medium, ReadOnly, Ignored(WATCHDOG);
    /// Period over which the controller summarises its slowest events.
    "controller.performance.sample.period.ms" Long = "60000", AtLeast(100), Medium, ReadOnly, Ignored(WATCHDOG);
    /// How often regular expressions of subscriptions are matched against the topics again.
    "group.consumer.regex.refresh.interval.ms" Int = "600000", AtLeast(10_000), Medium, ReadOnly, Ignored(CONSUMER);
    /// Pause before the state of a share partition is initialised again.
    "group.share.initialize.retry.interval.ms" Int = "30000", AtLeast(1), Low, ReadOnly, Ignored(SHARE);
    /// Plugin that keeps the state of share groups.
    "group.share.persister.class.name" String = "org.apache.kafka.server.share.persister.DefaultStatePersister", Any, Medium, ReadOnly, Ignored(SHARE);
    /// How long old segments of the metadata log stay after their deletion was decided.
    "internal.metadata.delete.delay.millis" Long = "60000", Any, Low, ReadOnly, Ignored(WATCHDOG);
    /// Segment size of the metadata log, for tests that want it small.
    "internal.metadata.log.segment.bytes" Int = null, Any, Low, ReadOnly, Ignored(QUORUM_BATCH);
    /// Largest batch of the metadata log.
    "internal.metadata.max.batch.size.in.bytes" Int = "8388608", Any, Low, ReadOnly, Ignored(QUORUM_BATCH);
    /// How long after the start the log's chores first run.
    "log.initial.task.delay.ms" Long = "30000", AtLeast(0), Low, ReadOnly, Honoured;
    /// How often forgotten producers are removed from memory.
    "producer.id.expiration.check.interval.ms" Int = "600000", AtLeast(1), Low, ReadOnly, Ignored(PRODUCERS);
    /// How long an index from tiered storage is kept unused; -1 for ever.
    "remote.log.index.file.cache.ttl.ms" Long = "900000", AtLeast(-1), Low, ReadOnly, Ignored(REMOTE);
    /// Longest pause before a failed task of tiered storage is tried again.
    "remote.log.manager.task.retry.backoff.max.ms" Long = "30000", AtLeast(1), Low, ReadOnly, Ignored(REMOTE);
    /// First pause before a failed task of tiered storage is tried again.
    "remote.log.manager.task.retry.backoff.ms" Long = "500", AtLeast(1), Low, ReadOnly, Ignored(REMOTE);
    /// Random part of the pauses between tries of a task of tiered storage.
    "remote.log.manager.task.retry.jitter" Double = "0.2", UpTo(0.5), Low, ReadOnly, Ignored(REMOTE);
    /// How long a start may take before it is given up.
    "server.max.startup.time.ms" Long = "9223372036854775807", AtLeast(0), Medium, ReadOnly, Ignored(WATCHDOG);
    /// How often share partitions without news are written as a snapshot.
    "share.coordinator.cold.partition.snapshot.interval.ms" Int = "300000", AtLeast(1), Low, ReadOnly, Ignored(SHARE);
    /// How often the topic of share groups' state is freed of what is superseded.
    "share.coordinator.state.topic.prune.interval.ms" Int = "300000", AtLeast(1), Low, ReadOnly, Ignored(SHARE);
    /// How often partitions are looked over for an unclean election.
    "unclean.leader.election.interval.ms" Long = "300000", AtLeast(1), Medium, ReadOnly, Honoured;
    /// Whether versions of requests that are still in the making are offered.
    "unstable.api.versions.enable" Boolean = "false", Any, High, ReadOnly, NotBuilt;
    /// Whether feature levels that are still in the making are offered.
    "unstable.feature.versions.enable" Boolean = "false", Any, High, ReadOnly, NotBuilt;
}
