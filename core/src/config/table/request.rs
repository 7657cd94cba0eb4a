//! Requests: fetch bounds, purgatories, client quotas.

use super::rows::*;

keys! { KEYS: Broker, internal = false;
    /// Plugin that decides which quota a request is charged to.
    "client.quota.callback.class" Class = null, Any, Low, ReadOnly, NotBuilt;
    /// How many samples the quota of topic changes remembers.
    "controller.quota.window.num" Int = "11", AtLeast(1), Low, ReadOnly, Honoured;
    /// How long one sample of the quota of topic changes lasts.
    "controller.quota.window.size.seconds" Int = "1", AtLeast(1), Low, ReadOnly, Honoured;
    /// Finished requests that the DeleteRecords purgatory keeps before it is purged.
    "delete.records.purgatory.purge.interval.requests" Int = "1", Any, Medium, ReadOnly, Ignored(PURGATORY);
    /// Most that one fetch request may return, whatever the client asks; the first batch is whole all the
    /// same.
    "fetch.max.bytes" Int = "57671680", AtLeast(1024), Medium, ReadOnly, Honoured;
    /// Finished requests that the fetch purgatory keeps before it is purged.
    "fetch.purgatory.purge.interval.requests" Int = "1000", Any, Medium, ReadOnly, Ignored(PURGATORY);
    /// Most fetch sessions that are remembered.
    "max.incremental.fetch.session.cache.slots" Int = "1000", AtLeast(0), Medium, ReadOnly, Honoured;
    /// Most partitions that one DescribeTopicPartitions answer holds.
    "max.request.partition.size.limit" Int = "2000", AtLeast(1), Medium, ReadOnly, Honoured;
    /// Finished requests that the produce purgatory keeps before it is purged.
    "producer.purgatory.purge.interval.requests" Int = "1000", Any, Medium, ReadOnly, Ignored(PURGATORY);
    /// How many samples client quotas remember.
    "quota.window.num" Int = "11", AtLeast(1), Low, ReadOnly, Honoured;
    /// How long one sample of a client quota lasts.
    "quota.window.size.seconds" Int = "1", AtLeast(1), Low, ReadOnly, Honoured;
}
