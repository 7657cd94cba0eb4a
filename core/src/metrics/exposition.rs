//! The text that Prometheus reads (exposition format 0.0.4). Names are those by which Apache Kafka's MBeans are known there: the type and the name of
//! the bean in small letters, `_total` for what only grows.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use ottla_protocol::{ApiKey, Str};

use super::requests::{BOUNDS_US, RequestMeters};
use super::{Measured, MeasuredReplica, Meters};
use crate::metadata::Published;
use crate::metadata::topics::NO_LEADER;

/// The type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is known of a node besides what its shards have measured.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// `node.id`
    pub node_id: i32,
    /// The newest metadata.
    pub published: &'a Published,
    /// What was asked of it.
    pub requests: &'a RequestMeters,
    /// Clients that are connected.
    pub connections: usize,
    /// CPU time of the process, in s.
    pub cpu_seconds: f64,
    /// Memory of the process that is resident, in bytes.
    pub resident_bytes: u64,
    /// Files and sockets that it has open.
    pub open_files: usize,
    /// When it began, in s since 1970.
    pub started_at: f64,
    /// Its release.
    pub version: &'a str,
}

/// Everything about a node.
pub fn exposition(facts: Facts<'_>, shards: &[Measured]) -> String {
    let mut text = Text::default();
    process(&mut text, &facts);
    topics(&mut text, shards);
    replicas(&mut text, shards);
    controller(&mut text, &facts);
    requests(&mut text, facts.requests);
    text.0
}

/// The text so far.
#[derive(Default)]
struct Text(String);

impl Text {
    /// The beginning of a metric.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &dyn Display)], value: impl Display) {
        self.0.push_str(name);
        for (index, (label, value)) in labels.iter().enumerate() {
            self.0.push(if index == 0 { '{' } else { ',' });
            let value = value.to_string().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            _ = write!(self.0, "{label}=\"{value}\"");
        }
        self.0.push_str(if labels.is_empty() { " " } else { "} " });
        _ = writeln!(self.0, "{value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.sample(name, &[], value);
    }
}

fn process(text: &mut Text, facts: &Facts<'_>) {
    text.family("process_cpu_seconds_total", "counter", "CPU time of the process in seconds.");
    text.sample("process_cpu_seconds_total", &[], facts.cpu_seconds);
    text.gauge("process_resident_memory_bytes", "Resident memory of the process.", facts.resident_bytes);
    text.gauge("process_open_fds", "Files and sockets that are open.", facts.open_files);
    text.gauge(
        "process_start_time_seconds",
        "When the process began, in seconds since 1970.",
        facts.started_at,
    );
    text.family("ottla_build_info", "gauge", "1, with the release.");
    text.sample("ottla_build_info", &[("version", &facts.version)], 1);
    let name = "kafka_server_socket_server_metrics_connection_count";
    text.gauge(name, "Clients that are connected.", facts.connections);
}

/// A meter of `BrokerTopicMetrics`: the end of its name, what it counts, and where.
type TopicMeter = (&'static str, &'static str, fn(&Meters) -> u64);

const TOPIC_METERS: [TopicMeter; 9] = [
    ("messagesin", "Records appended by clients and coordinators.", |meters| meters.messages_in),
    ("bytesin", "Bytes appended by clients and coordinators.", |meters| meters.bytes_in),
    ("bytesout", "Bytes read by consumers.", |meters| meters.bytes_out),
    ("replicationbytesin", "Bytes copied from leaders.", |meters| meters.replication_bytes_in),
    ("replicationbytesout", "Bytes read by followers.", |meters| meters.replication_bytes_out),
    ("totalproducerequests", "Batches that clients asked to append.", |meters| meters.produce_requests),
    ("failedproducerequests", "Batches that were refused.", |meters| meters.failed_produce_requests),
    ("totalfetchrequests", "Reads of consumers.", |meters| meters.fetch_requests),
    ("failedfetchrequests", "Reads that were refused.", |meters| meters.failed_fetch_requests),
];

fn topics(text: &mut Text, shards: &[Measured]) {
    let (mut topics, mut total) = (BTreeMap::<&Str, Meters>::new(), Meters::default());
    for shard in shards {
        total.add(&shard.total);
        for (topic, meters) in &shard.topics {
            topics.entry(topic).or_default().add(meters);
        }
    }
    for (end, help, meter) in TOPIC_METERS {
        let name = format!("kafka_server_brokertopicmetrics_{end}_total");
        text.family(&name, "counter", help);
        text.sample(&name, &[], meter(&total));
        for (topic, meters) in &topics {
            text.sample(&name, &[("topic", topic)], meter(meters));
        }
    }
}

/// A number of each replica's log: its name, what it says, and where it is.
type LogGauge = (&'static str, &'static str, fn(&MeasuredReplica) -> i64);

const LOG_GAUGES: [LogGauge; 4] = [
    ("kafka_log_log_size", "Bytes in the segments of a replica.", |replica| {
        i64::try_from(replica.size).unwrap_or(i64::MAX)
    }),
    ("kafka_log_log_numlogsegments", "Segments of a replica.", |replica| {
        i64::try_from(replica.segments).unwrap_or(i64::MAX)
    }),
    ("kafka_log_log_logstartoffset", "The first offset of a replica.", |replica| replica.start_offset),
    ("kafka_log_log_logendoffset", "The offset after the last of a replica.", |replica| replica.end_offset),
];

/// How many replicas are in some state: the end of the name, what it says, and which they are.
type ReplicaGauge = (&'static str, &'static str, fn(&MeasuredReplica) -> bool);

const REPLICA_GAUGES: [ReplicaGauge; 6] = [
    ("partitioncount", "Replicas on this broker.", |_| true),
    ("leadercount", "Partitions that this broker leads.", |replica| replica.is_leader),
    ("underreplicatedpartitions", "Partitions led here of which a replica is not in sync.", |replica| {
        replica.is_under_replicated
    }),
    ("underminisrpartitioncount", "Partitions led here with too few replicas in sync.", |replica| {
        replica.is_under_min_isr
    }),
    ("atminisrpartitioncount", "Partitions led here with no replica in sync to spare.", |replica| {
        replica.is_at_min_isr
    }),
    ("offlinereplicacount", "Replicas here that do not serve.", |replica| replica.has_failed),
];

fn replicas(text: &mut Text, shards: &[Measured]) {
    let all = || shards.iter().flat_map(|shard| &shard.replicas);
    for (end, help, counts) in REPLICA_GAUGES {
        let name = format!("kafka_server_replicamanager_{end}");
        text.gauge(&name, help, all().filter(|replica| counts(replica)).count());
    }
    let sum = |of: fn(&Measured) -> usize| shards.iter().map(of).sum::<usize>();
    let help = "Groups that this broker coordinates.";
    text.gauge("kafka_coordinator_group_groupmetadatamanager_numgroups", help, sum(|shard| shard.groups));
    let name = "kafka_server_delayedoperationpurgatory_purgatorysize";
    text.family(name, "gauge", "Requests that wait for records, replicas or the disk.");
    text.sample(name, &[("delayedOperation", &"Fetch")], sum(|shard| shard.delayed_fetches));
    text.sample(name, &[("delayedOperation", &"Produce")], sum(|shard| shard.delayed_produces));
    text.gauge("ottla_partitions_opening", "Replicas that wait to be opened.", sum(|shard| shard.waiting));
    let name = "kafka_log_logmanager_offlinelogdirectorycount";
    let offline = shards.iter().map(|shard| shard.offline_log_dirs).max().unwrap_or(0);
    text.gauge(name, "Log directories that are offline.", offline);
    for (name, help, value) in LOG_GAUGES {
        text.family(name, "gauge", help);
        for replica in all() {
            let name_of = &replica.partition;
            let labels: [(&str, &dyn Display); 2] =
                [("topic", &name_of.topic), ("partition", &name_of.partition)];
            text.sample(name, &labels, value(replica));
        }
    }
}

fn controller(text: &mut Text, facts: &Facts<'_>) {
    let published = facts.published;
    let is_active = published.leader_id == facts.node_id;
    let name = "kafka_controller_kafkacontroller_activecontrollercount";
    text.gauge(name, "1 on the active controller, 0 elsewhere.", u8::from(is_active));
    let name = "kafka_server_broker_metadata_metrics_last_applied_record_offset";
    text.gauge(name, "The offset of the newest metadata that this node acts on.", published.offset);
    if !is_active {
        return;
    }
    let (mut topics, mut partitions, mut offline, mut imbalanced) = (0_u64, 0_u64, 0_u64, 0_u64);
    for topic in published.image.topics_by_name() {
        topics = topics.saturating_add(1);
        for (_, partition) in &topic.partitions {
            partitions = partitions.saturating_add(1);
            offline = offline.saturating_add(u64::from(partition.leader == NO_LEADER));
            imbalanced = imbalanced.saturating_add(u64::from(!partition.has_preferred_leader()));
        }
    }
    let fenced = published.image.brokers().filter(|broker| broker.fenced).count();
    let active = published.image.brokers().count().saturating_sub(fenced);
    for (end, help, value) in [
        ("globaltopiccount", "Topics of the cluster.", topics),
        ("globalpartitioncount", "Partitions of the cluster.", partitions),
        ("offlinepartitionscount", "Partitions without a leader.", offline),
        (
            "preferredreplicaimbalancecount",
            "Partitions that another than the preferred replica leads.",
            imbalanced,
        ),
        ("activebrokercount", "Brokers that serve.", active as u64),
        ("fencedbrokercount", "Brokers that are fenced.", fenced as u64),
    ] {
        text.gauge(&format!("kafka_controller_kafkacontroller_{end}"), help, value);
    }
}

fn requests(text: &mut Text, meters: &RequestMeters) {
    let api = |key: i16| ApiKey::from_key(key).map_or("unknown", ApiKey::name);
    let name = "kafka_network_requestmetrics_requests_total";
    text.family(name, "counter", "Requests that were answered.");
    for ((key, version), count) in &meters.by_version {
        text.sample(name, &[("request", &api(*key)), ("version", version)], count);
    }
    let name = "kafka_network_requestmetrics_requestbytes_total";
    text.family(name, "counter", "Bytes of requests that were answered.");
    for (key, meter) in &meters.by_api {
        text.sample(name, &[("request", &api(*key))], meter.request_bytes);
    }
    let name = "kafka_network_requestmetrics_totaltime_seconds";
    text.family(name, "histogram", "From when a request is begun to its answer.");
    for (key, meter) in &meters.by_api {
        let mut below = 0_u64;
        for (bound_us, count) in BOUNDS_US.iter().zip(&meter.classes) {
            below = below.saturating_add(*count);
            let bound = seconds(*bound_us);
            text.sample(&format!("{name}_bucket"), &[("request", &api(*key)), ("le", &bound)], below);
        }
        let rest: [(&str, &dyn Display); 2] = [("request", &api(*key)), ("le", &"+Inf")];
        text.sample(&format!("{name}_bucket"), &rest, meter.count);
        text.sample(&format!("{name}_sum"), &[("request", &api(*key))], seconds(meter.total_us));
        text.sample(&format!("{name}_count"), &[("request", &api(*key))], meter.count);
    }
}

fn seconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{LogDirId, ShardId, TopicPartition};
    use crate::metadata::MetadataImage;
    use crate::metrics::Answered;

    fn shard(id: u16, topic: &str) -> Measured {
        let meters = Meters { messages_in: 3, bytes_in: 300, ..Meters::default() };
        Measured {
            shard: ShardId(id),
            topics: BTreeMap::from([(Str::from(topic), meters)]),
            total: Meters { messages_in: 5, ..meters },
            replicas: vec![MeasuredReplica {
                partition: TopicPartition { topic: topic.into(), partition: i32::from(id) },
                log_dir: LogDirId(0),
                size: 300,
                segments: 1,
                start_offset: 0,
                end_offset: 3,
                is_leader: true,
                is_under_replicated: id == 1,
                is_under_min_isr: false,
                is_at_min_isr: true,
                has_failed: false,
            }],
            waiting: 0,
            groups: 1,
            delayed_fetches: 2,
            delayed_produces: 0,
            offline_log_dirs: 0,
        }
    }

    #[test]
    fn shards_are_added_up() {
        let published = Published::first(MetadataImage::default(), 7, 1, 0);
        let mut requests = RequestMeters::default();
        requests.answered(&Answered {
            api: ApiKey::Produce,
            version: 12,
            took_us: 700,
            request_bytes: 1_000,
        });
        let facts = Facts {
            node_id: 1,
            published: &published,
            requests: &requests,
            connections: 4,
            cpu_seconds: 1.5,
            resident_bytes: 10,
            open_files: 20,
            started_at: 0.0,
            version: "0",
        };
        let text = exposition(facts, &[shard(0, "a\"b"), shard(1, "a\"b")]);
        let lines: Vec<&str> = text.lines().collect();
        for line in [
            "kafka_server_brokertopicmetrics_messagesin_total 10",
            "kafka_server_brokertopicmetrics_messagesin_total{topic=\"a\\\"b\"} 6",
            "kafka_server_replicamanager_partitioncount 2",
            "kafka_server_replicamanager_underreplicatedpartitions 1",
            "kafka_coordinator_group_groupmetadatamanager_numgroups 2",
            "kafka_server_delayedoperationpurgatory_purgatorysize{delayedOperation=\"Fetch\"} 4",
            "kafka_log_log_logendoffset{topic=\"a\\\"b\",partition=\"1\"} 3",
            "kafka_controller_kafkacontroller_activecontrollercount 0",
            "kafka_network_requestmetrics_requests_total{request=\"Produce\",version=\"12\"} 1",
            "kafka_network_requestmetrics_totaltime_seconds_bucket{request=\"Produce\",le=\"0.0005\"} 0",
            "kafka_network_requestmetrics_totaltime_seconds_bucket{request=\"Produce\",le=\"0.001\"} 1",
            "kafka_network_requestmetrics_totaltime_seconds_bucket{request=\"Produce\",le=\"+Inf\"} 1",
            "process_cpu_seconds_total 1.5",
        ] {
            assert!(lines.contains(&line), "{line}\nis not in\n{text}");
        }
        let mut families: Vec<_> = lines.iter().filter(|line| line.starts_with("# TYPE")).collect();
        let count = families.len();
        families.dedup();
        assert_eq!(families.len(), count, "a family begins once");
    }
}
