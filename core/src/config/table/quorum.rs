//! The node, its roles and the metadata quorum (KRaft).

use super::rows::*;

keys! { KEYS: Broker, internal = false;
    /// Time between two heartbeats of a broker to the controller.
    "broker.heartbeat.interval.ms" Int = "2000", Any, Medium, ReadOnly, Honoured;
    /// Older name of `node.id`.
    "broker.id" Int = "-1", Any, High, ReadOnly, Honoured;
    /// Rack or zone of this broker, for spreading replicas and for reading from the nearest one.
    "broker.rack" String = null, Any, Medium, ReadOnly, Honoured;
    /// Time without heartbeats after which the controller fences a broker.
    "broker.session.timeout.ms" Int = "9000", Any, Medium, ReadOnly, Honoured;
    /// Listeners that belong to the controller; the first of them is how others reach it.
    "controller.listener.names" List = required, DistinctNonEmpty, High, ReadOnly, Honoured;
    /// How long the metadata leader collects records before it writes them out.
    "controller.quorum.append.linger.ms" Int = "25", AtLeast(0), Medium, ReadOnly, Ignored(QUORUM_BATCH);
    /// Whether a new controller adds itself to the voters.
    "controller.quorum.auto.join.enable" Boolean = "false", Any, Low, ReadOnly, Honoured;
    /// Controllers through which the current quorum is found.
    "controller.quorum.bootstrap.servers" List = "", BootstrapServers, High, ReadOnly, Honoured;
    /// Upper bound of the random pause before a lost election is tried again.
    "controller.quorum.election.backoff.max.ms" Int = "1000", AtLeast(0), High, ReadOnly, Honoured;
    /// Time that a candidate waits for votes before it begins another election.
    "controller.quorum.election.timeout.ms" Int = "1000", AtLeast(0), High, ReadOnly, Honoured;
    /// Most metadata that one fetch within the quorum returns.
    "controller.quorum.fetch.max.bytes" Int = "1048576", AtLeast(1), Low, ReadOnly, Honoured;
    /// Most of a metadata snapshot that one request returns.
    "controller.quorum.fetch.snapshot.max.bytes" Int = "1048576", AtLeast(1), Low, ReadOnly, Honoured;
    /// Time without a successful fetch after which a voter becomes a candidate, or a leader steps down.
    "controller.quorum.fetch.timeout.ms" Int = "2000", AtLeast(0), High, ReadOnly, Honoured;
    /// How long a request within the quorum may stay unanswered.
    "controller.quorum.request.timeout.ms" Int = "2000", AtLeast(0), Medium, ReadOnly, Honoured;
    /// Pause before a failed request within the quorum is sent again.
    "controller.quorum.retry.backoff.ms" Int = "20", AtLeast(0), Low, ReadOnly, Honoured;
    /// The fixed set of controllers as `id@host:port`.
    "controller.quorum.voters" List = "", QuorumVoters, High, ReadOnly, Honoured;
    /// How long a request to the controller may stay unanswered.
    "controller.socket.timeout.ms" Int = "30000", Any, Medium, ReadOnly, Honoured;
    /// How long a starting broker tries to register before it gives up.
    "initial.broker.registration.timeout.ms" Int = "60000", Any, Medium, ReadOnly, Ignored(REGISTRATION);
    /// Directory of the metadata log; the first of `log.dirs` when absent.
    "metadata.log.dir" String = null, Any, High, ReadOnly, Honoured;
    /// Bytes of metadata records after which a snapshot is written.
    "metadata.log.max.record.bytes.between.snapshots" Long = "20971520", AtLeast(1), High, ReadOnly, Honoured;
    /// Age at which changed metadata is written as a snapshot; 0 for never.
    "metadata.log.max.snapshot.interval.ms" Long = "3600000", AtLeast(0), High, ReadOnly, Honoured;
    /// Size at which a segment of the metadata log is closed.
    "metadata.log.segment.bytes" Int = "1073741824", AtLeast(8_388_608), High, ReadOnly, Honoured;
    /// Age at which a segment of the metadata log is closed.
    "metadata.log.segment.ms" Long = "604800000", Any, High, ReadOnly, Honoured;
    /// Quiet time after which the controller writes a record without content; 0 for never.
    "metadata.max.idle.interval.ms" Int = "500", AtLeast(0), Low, ReadOnly, Ignored(METADATA_LOG);
    /// Size beyond which old metadata segments and snapshots go.
    "metadata.max.retention.bytes" Long = "104857600", Any, High, ReadOnly, Ignored(METADATA_LOG);
    /// Age at which old metadata segments and snapshots go.
    "metadata.max.retention.ms" Long = "604800000", Any, High, ReadOnly, Ignored(METADATA_LOG);
    /// Number of this node in the cluster.
    "node.id" Int = required, AtLeast(0), High, ReadOnly, Honoured;
    /// Whether this node is a broker, a controller or both.
    "process.roles" List = required, NonEmptySetOf(&["broker", "controller"]), High, ReadOnly, Honoured;
}
