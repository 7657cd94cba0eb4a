//! Transactions and producer ids.

use super::rows::*;

keys! { KEYS: Broker, internal = false;
    /// Longest time that the broker itself retries adding partitions to a transaction before the client has
    /// to.
    "add.partitions.to.txn.retry.backoff.max.ms" Int = "100", AtLeast(0), High, ReadOnly, Ignored(TRANSACTIONS);
    /// Pause between the broker's own retries of adding partitions to a transaction.
    "add.partitions.to.txn.retry.backoff.ms" Int = "20", AtLeast(1), High, ReadOnly, Ignored(TRANSACTIONS);
    /// Time after a producer's last write when its sequence numbers are forgotten.
    "producer.id.expiration.ms" Int = "86400000", AtLeast(1), Low, ClusterWide, Honoured;
    /// How often transactions are looked over for those that took too long.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms" Int = "10000", AtLeast(1), Low, ReadOnly, Ignored(TRANSACTIONS);
    /// Longest timeout that a transactional producer may ask for.
    "transaction.max.timeout.ms" Int = "900000", AtLeast(1), High, ReadOnly, Ignored(TRANSACTIONS);
    /// Whether a partition asks the coordinator before it takes transactional records.
    "transaction.partition.verification.enable" Boolean = "true", Any, Low, ClusterWide, Ignored(TRANSACTIONS);
    /// How often transactional ids are looked over for those to forget.
    "transaction.remove.expired.transaction.cleanup.interval.ms" Int = "3600000", AtLeast(1), Low, ReadOnly, Ignored(TRANSACTIONS);
    /// Bytes read at once when the state of transactions is loaded.
    "transaction.state.log.load.buffer.size" Int = "5242880", AtLeast(1), High, ReadOnly, Ignored(TRANSACTIONS);
    /// Replicas of the topic of transactions' state that must be in sync for a write.
    "transaction.state.log.min.isr" Int = "2", AtLeast(1), High, ReadOnly, Ignored(TRANSACTIONS);
    /// Partitions of the topic of transactions' state; not to be changed later.
    "transaction.state.log.num.partitions" Int = "50", AtLeast(1), High, ReadOnly, Ignored(TRANSACTIONS);
    /// Replicas of the topic of transactions' state.
    "transaction.state.log.replication.factor" Short = "3", AtLeast(1), High, ReadOnly, Ignored(TRANSACTIONS);
    /// Segment size of the topic of transactions' state.
    "transaction.state.log.segment.bytes" Int = "104857600", AtLeast(1), High, ReadOnly, Ignored(TRANSACTIONS);
    /// Whether a producer may prepare a transaction that somebody else decides.
    "transaction.two.phase.commit.enable" Boolean = "false", Any, Low, ReadOnly, Ignored(TRANSACTIONS);
    /// Time without news after which a transactional id is forgotten.
    "transactional.id.expiration.ms" Int = "604800000", AtLeast(1), High, ReadOnly, Ignored(TRANSACTIONS);
}
