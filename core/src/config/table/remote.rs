//! Tiered storage (KIP-405).

use super::rows::*;

keys! { KEYS: Broker, internal = false;
    /// Whether a new follower begins where tiered storage ends instead of copying what is there.
    "follower.fetch.last.tiered.offset.enable" Boolean = "false", Any, Medium, ClusterWide, Ignored(REMOTE);
    /// Size of the part of a tiered log that stays on this disk; -2 follows the whole log's.
    "log.local.retention.bytes" Long = "-2", AtLeast(-2), Medium, ClusterWide, Ignored(REMOTE);
    /// Age up to which a tiered log stays on this disk; -2 follows the whole log's.
    "log.local.retention.ms" Long = "-2", AtLeast(-2), Medium, ClusterWide, Ignored(REMOTE);
    /// How long a fetch waits for tiered storage.
    "remote.fetch.max.wait.ms" Int = "500", AtLeast(1), Medium, ClusterWide, Ignored(REMOTE);
    /// How long a look-up of an offset waits for tiered storage.
    "remote.list.offsets.request.timeout.ms" Long = "30000", AtLeast(1), Medium, ClusterWide, Ignored(REMOTE);
    /// Disk space for indexes that were fetched from tiered storage.
    "remote.log.index.file.cache.total.size.bytes" Long = "1073741824", AtLeast(1), Low, ClusterWide, Ignored(REMOTE);
    /// Threads that copy segments to tiered storage.
    "remote.log.manager.copier.thread.pool.size" Int = "10", AtLeast(1), Medium, ClusterWide, Ignored(REMOTE);
    /// Most bytes that go to tiered storage in a second.
    "remote.log.manager.copy.max.bytes.per.second" Long = "9223372036854775807", AtLeast(1), Medium, ClusterWide, Ignored(REMOTE);
    /// How many samples the quota of copying to tiered storage remembers.
    "remote.log.manager.copy.quota.window.num" Int = "11", AtLeast(1), Medium, ReadOnly, Ignored(REMOTE);
    /// How long one sample of the quota of copying to tiered storage lasts.
    "remote.log.manager.copy.quota.window.size.seconds" Int = "1", AtLeast(1), Medium, ReadOnly, Ignored(REMOTE);
    /// Threads that delete from tiered storage.
    "remote.log.manager.expiration.thread.pool.size" Int = "10", AtLeast(1), Medium, ClusterWide, Ignored(REMOTE);
    /// Most bytes that come from tiered storage in a second.
    "remote.log.manager.fetch.max.bytes.per.second" Long = "9223372036854775807", AtLeast(1), Medium, ClusterWide, Ignored(REMOTE);
    /// How many samples the quota of reading tiered storage remembers.
    "remote.log.manager.fetch.quota.window.num" Int = "11", AtLeast(1), Medium, ReadOnly, Ignored(REMOTE);
    /// How long one sample of the quota of reading tiered storage lasts.
    "remote.log.manager.fetch.quota.window.size.seconds" Int = "1", AtLeast(1), Medium, ReadOnly, Ignored(REMOTE);
    /// Threads that follow what leaders did in tiered storage.
    "remote.log.manager.follower.thread.pool.size" Int = "2", AtLeast(1), Medium, ClusterWide, Ignored(REMOTE);
    /// How often tiered storage is looked after.
    "remote.log.manager.task.interval.ms" Long = "30000", AtLeast(1), Low, ReadOnly, Ignored(REMOTE);
    /// Threads that look after tiered storage.
    "remote.log.manager.thread.pool.size" Int = "2", AtLeast(1), Medium, ReadOnly, Ignored(REMOTE);
    /// Most bytes that a storage plugin may attach to a segment's metadata.
    "remote.log.metadata.custom.metadata.max.bytes" Int = "128", AtLeast(0), Low, ReadOnly, Ignored(REMOTE);
    /// Plugin that remembers which segments are in tiered storage.
    "remote.log.metadata.manager.class.name" String = "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager", NonEmptyString, Medium, ReadOnly, Ignored(REMOTE);
    /// Where the classes of the plugin for tiered storage's metadata are.
    "remote.log.metadata.manager.class.path" String = null, Any, Medium, ReadOnly, Ignored(REMOTE);
    /// Beginning of the keys that are handed to the plugin for tiered storage's metadata.
    "remote.log.metadata.manager.impl.prefix" String = "rlmm.config.", NonEmptyString, Medium, ReadOnly, Ignored(REMOTE);
    /// Listener on which the plugin for tiered storage's metadata reaches the brokers.
    "remote.log.metadata.manager.listener.name" String = null, NonEmptyString, Medium, ReadOnly, Ignored(REMOTE);
    /// Reads of tiered storage that may wait.
    "remote.log.reader.max.pending.tasks" Int = "100", AtLeast(1), Medium, ReadOnly, Ignored(REMOTE);
    /// Threads that read tiered storage.
    "remote.log.reader.threads" Int = "10", AtLeast(1), Medium, ClusterWide, Ignored(REMOTE);
    /// Plugin that stores segments elsewhere.
    "remote.log.storage.manager.class.name" String = null, NonEmptyString, Medium, ReadOnly, Ignored(REMOTE);
    /// Where the classes of the plugin for tiered storage are.
    "remote.log.storage.manager.class.path" String = null, Any, Medium, ReadOnly, Ignored(REMOTE);
    /// Beginning of the keys that are handed to the plugin for tiered storage.
    "remote.log.storage.manager.impl.prefix" String = "rsm.config.", NonEmptyString, Medium, ReadOnly, Ignored(REMOTE);
    /// Whether the broker offers tiered storage.
    "remote.log.storage.system.enable" Boolean = "false", Any, Medium, ReadOnly, NotBuilt;
}
