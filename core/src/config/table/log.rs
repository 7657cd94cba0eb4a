//! The log: segments, retention, flushing, compaction, compression, timestamps.

use super::rows::*;

keys! { KEYS: Broker, internal = false;
    /// Effort of gzip when the broker compresses: 1 is fastest, 9 smallest, -1 the codec's own choice.
    "compression.gzip.level" Int = "-1", LevelOrMinusOne(1, 9), Medium, ClusterWide, Honoured;
    /// Effort of lz4 when the broker compresses: 1 is fastest, 17 smallest.
    "compression.lz4.level" Int = "9", Between(1, 17), Medium, ClusterWide, Honoured;
    /// Codec in which batches are stored; `producer` keeps them as they came.
    "compression.type" String = "producer", OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), High, ClusterWide, Honoured;
    /// Effort of zstd when the broker compresses: the greater, the smaller and slower.
    "compression.zstd.level" Int = "3", Between(-131_072, 22), Medium, ClusterWide, Honoured;
    /// Directories that get no new replicas; `*` means all.
    "cordoned.log.dirs" List = "", Distinct, Medium, PerBroker, NotBuilt;
    /// How long the cleaner sleeps when nothing is to be compacted.
    "log.cleaner.backoff.ms" Long = "15000", AtLeast(0), Medium, ClusterWide, Honoured;
    /// Memory of all cleaner threads together for remembering keys.
    "log.cleaner.dedupe.buffer.size" Long = "134217728", Any, Medium, ClusterWide, Honoured;
    /// How long tombstones stay in a compacted log, so that readers see the deletion.
    "log.cleaner.delete.retention.ms" Long = "86400000", AtLeast(0), Medium, ClusterWide, Honoured;
    /// Whether compacted topics are compacted at all.
    "log.cleaner.enable" Boolean = "true", Any, Medium, ReadOnly, Honoured;
    /// How full the cleaner's memory for keys may become.
    "log.cleaner.io.buffer.load.factor" Double = "0.9", Any, Medium, ClusterWide, Honoured;
    /// Memory of all cleaner threads together for reading and writing.
    "log.cleaner.io.buffer.size" Int = "524288", AtLeast(0), Medium, ClusterWide, Honoured;
    /// Most bytes that all cleaners together read and write in a second.
    "log.cleaner.io.max.bytes.per.second" Double = "1.7976931348623157E308", Any, Medium, ClusterWide, Honoured;
    /// Age at which a record must become eligible for compaction.
    "log.cleaner.max.compaction.lag.ms" Long = "9223372036854775807", AtLeast(1), Medium, ClusterWide, Honoured;
    /// Part of a log that must be uncompacted before compaction is worth it.
    "log.cleaner.min.cleanable.ratio" Double = "0.5", UpTo(1.0), Medium, ClusterWide, Honoured;
    /// Age before which a record is not compacted away.
    "log.cleaner.min.compaction.lag.ms" Long = "0", AtLeast(0), Medium, ClusterWide, Honoured;
    /// Threads that compact logs.
    "log.cleaner.threads" Int = "1", AtLeast(0), Medium, ClusterWide, Ignored(SHARDS);
    /// What becomes of old records: deleted, compacted by key, both, or neither.
    "log.cleanup.policy" List = "delete", SetOf(&["compact", "delete"]), Medium, ClusterWide, Honoured;
    /// Directory of the log, when `log.dirs` is absent.
    "log.dir" List = "/tmp/kafka-logs", DistinctNonEmpty, High, ReadOnly, Honoured;
    /// How long a broker may fail to report a broken directory before it stops.
    "log.dir.failure.timeout.ms" Long = "30000", AtLeast(1), Low, ReadOnly, Honoured;
    /// Directories of the log, over which partitions are spread.
    "log.dirs" List = null, DistinctNonEmpty, High, ReadOnly, Honoured;
    /// Records after which a partition is forced to disk.
    "log.flush.interval.messages" Long = "9223372036854775807", AtLeast(1), High, ClusterWide, Honoured;
    /// Age of an unforced record at which its partition is forced to disk.
    "log.flush.interval.ms" Long = null, Any, High, ClusterWide, Honoured;
    /// How often the point from which recovery would begin is written down.
    "log.flush.offset.checkpoint.interval.ms" Int = "60000", AtLeast(0), High, ReadOnly, Honoured;
    /// How often partitions are looked over for records to be forced to disk.
    "log.flush.scheduler.interval.ms" Long = "9223372036854775807", Any, High, ReadOnly, Honoured;
    /// How often the start offsets of logs are written down.
    "log.flush.start.offset.checkpoint.interval.ms" Int = "60000", AtLeast(0), High, ReadOnly, Honoured;
    /// Bytes of log between two entries of the offset index.
    "log.index.interval.bytes" Int = "4096", AtLeast(0), Medium, ClusterWide, Honoured;
    /// Largest index of a segment.
    "log.index.size.max.bytes" Int = "10485760", AtLeast(4), Medium, ClusterWide, Honoured;
    /// How far in the future a producer's timestamp may lie.
    "log.message.timestamp.after.max.ms" Long = "3600000", AtLeast(0), Medium, ClusterWide, Honoured;
    /// How far in the past a producer's timestamp may lie.
    "log.message.timestamp.before.max.ms" Long = "9223372036854775807", AtLeast(0), Medium, ClusterWide, Honoured;
    /// Whether records carry the producer's time or that of their arrival.
    "log.message.timestamp.type" String = "CreateTime", OneOf(&["CreateTime", "LogAppendTime"]), Medium, ClusterWide, Honoured;
    /// Whether a new segment takes its whole space at once.
    "log.preallocate" Boolean = "false", Any, Medium, ClusterWide, Ignored(PREALLOCATE);
    /// Size of a partition beyond which its oldest segments go; -1 for no bound.
    "log.retention.bytes" Long = "-1", Any, High, ClusterWide, Honoured;
    /// How often logs are looked over for segments to delete.
    "log.retention.check.interval.ms" Long = "300000", AtLeast(1), Medium, ReadOnly, Honoured;
    /// Age in hours at which records go; weaker than minutes and milliseconds.
    "log.retention.hours" Int = "168", Any, High, ReadOnly, Honoured;
    /// Age in minutes at which records go; weaker than milliseconds.
    "log.retention.minutes" Int = null, Any, High, ReadOnly, Honoured;
    /// Age at which records go; -1 keeps them for ever.
    "log.retention.ms" Long = null, Any, High, ClusterWide, Honoured;
    /// Age in hours at which a segment is closed; weaker than milliseconds.
    "log.roll.hours" Int = "168", AtLeast(1), High, ReadOnly, Honoured;
    /// Random part, in hours, by which segments close earlier; weaker than milliseconds.
    "log.roll.jitter.hours" Int = "0", AtLeast(0), High, ReadOnly, Honoured;
    /// Random part by which segments close earlier, so that not all close at once.
    "log.roll.jitter.ms" Long = null, Any, High, ClusterWide, Honoured;
    /// Age at which a segment is closed although it is not full.
    "log.roll.ms" Long = null, Any, High, ClusterWide, Honoured;
    /// Size at which a segment is closed.
    "log.segment.bytes" Int = "1073741824", AtLeast(1_048_576), High, ClusterWide, Honoured;
    /// How long a deleted segment's files stay on disk.
    "log.segment.delete.delay.ms" Long = "60000", AtLeast(0), High, ClusterWide, Honoured;
    /// Largest batch that is accepted, compressed as it comes.
    "message.max.bytes" Int = "1048588", AtLeast(0), High, ClusterWide, Honoured;
    /// Threads that recover the logs of one directory at start.
    "num.recovery.threads.per.data.dir" Int = "2", AtLeast(1), High, ClusterWide, Ignored(SHARDS);
}
