//! Listeners, sockets and connections.

use super::rows::*;

keys! { KEYS: Broker, internal = false;
    /// Addresses that clients and brokers are told to connect to; the listeners themselves when absent.
    "advertised.listeners" List = null, DistinctNonEmpty, High, ReadOnly, Honoured;
    /// Threads for chores in the background.
    "background.threads" Int = "10", AtLeast(1), High, ClusterWide, Ignored(SHARDS);
    /// Time without traffic after which a connection is closed.
    "connections.max.idle.ms" Long = "600000", Any, Medium, ReadOnly, Honoured;
    /// Listeners that answer before authorization has loaded.
    "early.start.listeners" List = null, Distinct, High, ReadOnly, NotBuilt;
    /// Listener on which brokers speak to each other.
    "inter.broker.listener.name" String = null, Any, Medium, ReadOnly, Honoured;
    /// Which security protocol each listener speaks.
    "listener.security.protocol.map" String = "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT", Any, Low, PerBroker, Honoured;
    /// Addresses to listen on, as `NAME://host:port`; no host means every interface.
    "listeners" List = "PLAINTEXT://:9092", DistinctNonEmpty, High, PerBroker, Honoured;
    /// Most new connections in a second.
    "max.connection.creation.rate" Int = "2147483647", AtLeast(0), Medium, ClusterWide, Honoured;
    /// Most connections at the same time.
    "max.connections" Int = "2147483647", AtLeast(0), Medium, ClusterWide, Honoured;
    /// Most connections from one address at the same time.
    "max.connections.per.ip" Int = "2147483647", AtLeast(0), Medium, ClusterWide, Honoured;
    /// Other bounds for single hosts or addresses, as `host:count`.
    "max.connections.per.ip.overrides" String = "", Any, Medium, ClusterWide, Honoured;
    /// Threads that serve requests.
    "num.io.threads" Int = "8", AtLeast(1), High, ClusterWide, Ignored(SHARDS);
    /// Threads that read and write the network.
    "num.network.threads" Int = "3", AtLeast(1), High, ClusterWide, Ignored(SHARDS);
    /// Bytes of requests that may wait before no more is read from the network; -1 for no bound.
    "queued.max.request.bytes" Long = "-1", Any, Medium, ReadOnly, Honoured;
    /// Requests that may wait before no more is read from the network.
    "queued.max.requests" Int = "500", AtLeast(1), High, ReadOnly, Ignored(QUEUES);
    /// How long a request of this broker to another may stay unanswered.
    "request.timeout.ms" Int = "30000", Any, High, ReadOnly, Honoured;
    /// Longest time that connecting to another node may take, after repeated failures.
    "socket.connection.setup.timeout.max.ms" Long = "30000", Any, Medium, ReadOnly, Ignored(LINKS);
    /// How long connecting to another node may take at first.
    "socket.connection.setup.timeout.ms" Long = "10000", Any, Medium, ReadOnly, Ignored(LINKS);
    /// Connections that may wait to be accepted; the system may hold fewer.
    "socket.listen.backlog.size" Int = "50", AtLeast(1), Medium, ReadOnly, Honoured;
    /// Receive buffer of connections; -1 leaves it to the system.
    "socket.receive.buffer.bytes" Int = "102400", Any, High, ReadOnly, Honoured;
    /// Largest request that is read.
    "socket.request.max.bytes" Int = "104857600", AtLeast(1), High, ReadOnly, Honoured;
    /// Send buffer of connections; -1 leaves it to the system.
    "socket.send.buffer.bytes" Int = "102400", Any, High, ReadOnly, Honoured;
}
