//! Our own keys, which Kafka does not know.

use super::rows::*;

keys! { KEYS: Broker, internal = false;
    /// Whether a broker that is gone is fenced before its session ends: its connection to the controller has closed, and its own address
    /// refuses connections twice. The same makes the controllers elect another one.
    "ottla.broker.fast.fencing.enable" Boolean = "true", Any, Medium, ReadOnly, Honoured;
    /// Where the page, `/health`, `/metrics` and the WebSocket bridge listen, as `host:port`; empty for nowhere.
    "ottla.http.listeners" List = "127.0.0.1:8080", Distinct, Medium, ReadOnly, Honoured;
    /// How long a partition is left alone, in ms, before what was written to it is synced: a start after an unclean stop reads it then no
    /// more than after a clean one.
    "ottla.log.flush.idle.ms" Long = "60000", AtLeast(1), Low, ReadOnly, Honoured;
    /// Bytes of each log directory that are kept back for a full disk: deletion, checkpoints and compaction get them.
    "ottla.log.reserve.bytes" Long = "1048576", Between(0, 1 << 40), Low, ReadOnly, Honoured;
    /// Whether what is acknowledged is on the disk: `none` leaves that to replication, `batch` has acknowledgements, and
    /// readers, wait for a sync that the appends of a moment share.
    "ottla.log.sync" String = "none", OneOf(&["none", "batch"]), Medium, ReadOnly, Honoured;
    /// How many shards share the partitions; 0 takes one per processor core.
    "ottla.shards" Int = "0", Between(0, 1024), Medium, ReadOnly, Honoured;
    /// Where ZooKeeper's protocol is spoken, as `host:port`.
    "ottla.zookeeper.listeners" List = "", Distinct, Medium, ReadOnly, NotBuilt;
}
