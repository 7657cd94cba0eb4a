//! Where Ottla is known to answer differently, and why. What is not listed here fails the test; each run says
//! what was met, and what it no longer says can be taken out. "Open" marks what is to be mended.

/// A difference that is known.
#[derive(Debug)]
pub struct Known {
    pub api: &'static str,
    /// Empty for all.
    pub scenario: &'static str,
    /// Empty for all.
    pub labels: &'static [&'static str],
    /// Parts of the paths that differ; empty for all.
    pub paths: &'static [&'static str],
    pub why: &'static str,
}

const ANY: &[&str] = &[];

pub const KNOWN: &[Known] = &[
    Known {
        api: "ApiVersions",
        scenario: "all",
        labels: &["plain: finalized"],
        paths: &["finalized"],
        why: "kraft.version, which lives in the log's own control records, is not shown yet",
    },
    Known {
        api: "DescribeCluster",
        scenario: "all",
        labels: &["controllers", "unknown endpoints"],
        paths: &["EndpointType"],
        why: "the refusal says the type that would have been right, not the one that was asked",
    },
    Known {
        api: "DescribeConfigs",
        scenario: "topic",
        labels: ANY,
        paths: &["min.insync.replicas"],
        why: "with ELR Apache Kafka's controller writes a cluster-wide min.insync.replicas when it first starts",
    },
    Known {
        api: "OffsetDelete",
        scenario: "deletion",
        labels: &["unknown partition", "unknown topic"],
        paths: &["ErrorCode"],
        why: "open: topics are not looked up before their offsets are deleted",
    },
    Known {
        api: "OffsetFetch",
        scenario: "without members",
        labels: &["all at the end", "null metadata", "stable", "two groups"],
        paths: &["TopicId"],
        why: "open: when all partitions are asked, their topics carry no ids",
    },
    Known {
        api: "DescribeGroups",
        scenario: "all",
        labels: &["describe with operations"],
        paths: &["Groups"],
        why: "a group named twice is described once",
    },
    Known {
        api: "ListOffsets",
        scenario: "refusals",
        labels: &["a partition twice"],
        paths: ANY,
        why: "a partition named twice is refused twice",
    },
    Known {
        api: "Produce",
        scenario: "",
        labels: ANY,
        paths: &["ErrorMessage", "LogStartOffset"],
        why: "a refused batch is explained, and comes without the log start offset",
    },
    Known {
        api: "Produce",
        scenario: "acks",
        labels: &["a transactional id without a transaction"],
        paths: ANY,
        why: "transactions are not built: a transactional id is refused, whatever the batch says",
    },
    Known {
        api: "Produce",
        scenario: "batches",
        labels: &["transactional", "just small enough", "rest after the batch"],
        paths: ANY,
        why: "open: a transactional batch in a request without a transactional id is taken; offsets after it shift",
    },
    Known {
        api: "Produce",
        scenario: "batches",
        labels: &["noise", "unknown magic"],
        paths: &["ErrorCode"],
        why: "open: INVALID_RECORD where Apache Kafka says CORRUPT_MESSAGE",
    },
    Known {
        api: "Produce",
        scenario: "batches",
        labels: &["compressed in name only", "unknown compression"],
        paths: &["ErrorCode"],
        why: "Apache Kafka falls over what it cannot decompress and says UNKNOWN_SERVER_ERROR",
    },
    Known {
        api: "Produce",
        scenario: "idempotence",
        labels: &["the first again", "the last again"],
        paths: &["LogAppendTimeMs"],
        why: "a duplicate of a CreateTime batch has no append time to tell",
    },
    Known {
        api: "DeleteTopics",
        scenario: "all",
        labels: &["id and its name"],
        paths: ANY,
        why: "open: a topic named by id and by name in one request is deleted",
    },
    Known {
        api: "DescribeTopicPartitions",
        scenario: "all",
        labels: &["bad name", "unknown"],
        paths: &["TopicAuthorizedOperations"],
        why: "operations are told only of topics that are there",
    },
    Known {
        api: "DescribeTopicPartitions",
        scenario: "all",
        labels: &["cursor at an unknown topic", "limit of zero", "negative cursor"],
        paths: ANY,
        why: "open: bounds of limit and cursor are refused by closing the connection",
    },
    Known {
        api: "Fetch",
        scenario: "",
        labels: &[
            "current leader epoch 1",
            "current leader epoch 100",
            "from -1",
            "from -2",
            "from 13",
            "from 1000",
        ],
        paths: &["AbortedTransactions", "HighWatermark", "LastStableOffset", "LogStartOffset"],
        why: "a refused partition still says where it stands",
    },
    Known {
        api: "Fetch",
        scenario: "epochs",
        labels: &["last fetched epoch 1", "last fetched epoch 100"],
        paths: ANY,
        why: "open: an epoch that never was is not refused",
    },
    Known {
        api: "Fetch",
        scenario: "offsets",
        labels: &["the same twice", "unknown isolation"],
        paths: ANY,
        why: "a partition named twice is answered twice; an unknown isolation level reads uncommitted",
    },
    Known {
        api: "Metadata",
        scenario: "topics",
        labels: &["by id", "id and name", "no id", "unknown id"],
        paths: ANY,
        why: "open: versions 10 and 11 with ids, and neither id nor name, are refused by closing the connection",
    },
];
