//! The steps of the tools that load a cluster; their figures are masked.

use super::steps::{Family, OTHERWISE};

/// Of a tool whose every run wants a JVM of its own where it begins with `!`.
const LOAD: Family = Family { ends_its_jvm: true, is_measured: true, ..OTHERWISE };

/// Those that tell of single records come first, before the others fill the topics.
pub const LOAD_FAMILIES: [Family; 5] = [
    Family {
        tool: "kafka-verifiable-producer",
        class: "org.apache.kafka.tools.VerifiableProducer",
        names_brokers: false,
        steps: &[
            "!",
            "!--help",
            "!--topic one",
            "!--bootstrap-server {brokers}",
            "!--bootstrap-server {brokers} --topic one --acks 5",
            "!--bootstrap-server {brokers} --topic one --max-messages x",
            "!--bootstrap-server {brokers} --topic one --producer.config /nowhere",
            "!--bootstrap-server {brokers} --topic one --producer.config x --command-config y",
            "!--bootstrap-server {brokers} --topic one --max-messages 3 --acks 1 --throughput 100",
            "!--bootstrap-server {brokers} --topic one --max-messages 3 --value-prefix 7 --repeating-keys 2",
            "!--bootstrap-server {brokers} --topic one --max-messages 1 --message-create-time 1700000000000 --command-config {dir}/client.properties",
            "!--bootstrap-server {brokers} --topic one --max-messages 0 --producer.config {dir}/client.properties",
        ],
        ..LOAD
    },
    Family {
        tool: "kafka-verifiable-consumer",
        class: "org.apache.kafka.tools.VerifiableConsumer",
        names_brokers: false,
        steps: &[
            "!",
            "!--help",
            "!--topic t",
            "!--bootstrap-server {brokers} --topic t",
            "!--bootstrap-server {brokers} --topic t --group-id v --max-messages x",
            "!--bootstrap-server {brokers} --topic t --group-id v --group-protocol bogus",
            "!--bootstrap-server {brokers} --topic t --group-id v --group-protocol consumer --group-remote-assignor range --max-messages 1",
            "!--bootstrap-server {brokers} --topic t --group-id v --consumer.config x --command-config y",
            "!--bootstrap-server {brokers} --topic t --group-id v --command-config /nowhere",
            "!--bootstrap-server {brokers} --topic one --group-id v --max-messages 0 --consumer.config {dir}/client.properties",
            "!--bootstrap-server {brokers} --topic one --group-id v --max-messages 2 --verbose --command-config {dir}/one.properties",
            "!--bootstrap-server {brokers} --topic one --group-id v --max-messages 1 --command-config {dir}/one.properties --group-instance-id i --session-timeout 10000",
            "!--bootstrap-server {brokers} --topic one --group-id w --max-messages 1 --command-config {dir}/one.properties --enable-autocommit --reset-policy earliest --assignment-strategy org.apache.kafka.clients.consumer.RoundRobinAssignor",
        ],
        ..LOAD
    },
    Family {
        tool: "kafka-producer-perf-test",
        class: "org.apache.kafka.tools.ProducerPerformance",
        steps: &[
            "!",
            "!--help",
            "--bogus",
            "words %20",
            "--topic one",
            "--topic one --num-records x",
            "--topic one --num-records 5 --throughput x",
            "--topic one --num-records 5 --throughput -1",
            "--topic one --num-records 5 --throughput -1 --record-size 5 --payload-monotonic",
            "--topic one --num-records 5 --throughput -1 --record-size 5 --producer-props",
            "--topic one --num-records 0 --throughput -1 --record-size 5",
            "--topic one --num-records 5 --throughput -1 --record-size 0",
            "--topic one --num-records 5 --throughput -1 --record-size 5 --warmup-records 5",
            "--topic one --num-records 5 --throughput -1 --record-size 5 --reporting-interval 0",
            "--topic one --num-records 5 --throughput -1 --record-size 5 --transaction-duration-ms 0",
            "--topic one --num-records 5 --throughput -1 --record-size 5 --producer-props a=b --command-property a=b",
            "--topic one --num-records 5 --throughput -1 --record-size 5 --producer.config x --command-config y",
            "--topic one --num-records 2000 --throughput -1 --record-size 100",
            "--topic t --num-records 50 --throughput 500 --payload-monotonic --reporting-interval 20",
            "--topic one --num-records 50 --warmup-records 20 --throughput -1 --record-size 7",
            "--topic one --num-records 5 --throughput -1 --payload-file {dir}/plan.csv",
            "--topic one --num-records 5 --throughput -1 --payload-file {dir}/plan.csv --payload-delimiter [,\\n]",
            "--topic one --num-records 2 --throughput -1 --record-size 2000000",
            "--topic one --num-records 5 --throughput -1 --record-size 5 --command-config {dir}/client.properties",
            "--topic one --num-records 5 --throughput -1 --record-size 5 --producer.config {dir}/client.properties",
            "--topic one --num-records 5 --throughput -1 --record-size 5 --command-property acks=1 linger.ms=0",
            "--topic one --num-records 5 --throughput -1 --record-size 5 --print-metrics",
            "!--topic one --num-records 5 --throughput -1 --record-size 5",
            "!--topic one --num-records 5 --throughput -1 --record-size 5 --producer-props bootstrap.servers={brokers} acks=0",
            "!--topic one --num-records 5 --throughput -1 --record-size 5 --command-property bootstrap.servers={brokers} acks=3",
            "!--topic one --num-records 5 --throughput -1 --record-size 5 --command-property acks",
            "!--topic one --num-records 5 --throughput -1 --record-size 5 --bootstrap-server nowhere",
            "!--topic one --num-records 5 --throughput -1 --record-size 5 --command-config /nowhere",
            "!--topic one --num-records 5 --throughput -1 --payload-file /nowhere --bootstrap-server {brokers}",
            "!--topic one --num-records 5 --throughput -1 --record-size 5 --transactional-id x --bootstrap-server {brokers}",
        ],
        ..LOAD
    },
    Family {
        tool: "kafka-consumer-perf-test",
        class: "org.apache.kafka.tools.ConsumerPerformance",
        steps: &[
            "!",
            "!--help",
            "--version",
            "--bogus",
            "!--topic one",
            "--topic one",
            "--num-records 1",
            "--topic one --include one --num-records 1",
            "--topic one --num-records 1 --messages 1",
            "--topic one --num-records 1 --consumer.config x --command-config y",
            "--topic one --messages 1 --consumer.config /nowhere",
            "--topic one --num-records x",
            "--topic one --num-records 1 --reporting-interval 0",
            "--topic one --num-records 1 --reporting-interval x",
            "--topic one --num-records 1 --date-format yyqQ",
            "--topic one --num-records 1 --group perf --command-property max.poll.records=1",
            "--topic one --num-records 1 --group perf --hide-header --command-config {dir}/single.properties",
            "--topic one --num-records 1 --group other --from-latest --timeout 500",
            "--include (one|x) --messages 1 --command-property max.poll.records=1 --date-format HH:mm",
            "--topic one --num-records 1 --show-detailed-stats --reporting-interval 1 --command-config {dir}/client.properties",
            "--topic one --num-records 1 --fetch-size 1000 --socket-buffer-size 70000 --consumer.config {dir}/single.properties",
            "--topic one --num-records 1 --print-metrics",
            "--topic nothing --num-records 1 --timeout 500",
        ],
        ..LOAD
    },
    Family {
        tool: "kafka-e2e-latency",
        class: "org.apache.kafka.tools.EndToEndLatency",
        helps: &["--topic x --help"],
        steps: &[
            "!",
            "!--help",
            "--version",
            "--help",
            "--bogus",
            "!--topic one",
            "--topic one --num-records 2 --producer-acks 0 --record-size 5",
            "--topic one --num-records 0 --producer-acks 1 --record-size 5",
            "--topic one --num-records x --producer-acks 1 --record-size 5",
            "--topic one --num-records 2 --producer-acks 1 --record-size -5",
            "--topic one --num-records 2 --producer-acks 1 --record-size 5 --record-key-size -1",
            "--topic one --num-records 2 --producer-acks 1 --record-size 5 --record-header-key-size -1",
            "--topic one --num-records 2 --producer-acks 1 --record-size 5 --record-header-size -2",
            "--topic one --num-records 2 --producer-acks 1 --record-size 5 --num-headers -1",
            "--topic one --num-records 2 --producer-acks 1 --record-size 5 --command-config /nowhere",
            "--topic one --num-records 2 --producer-acks all --record-size 5 --command-config {dir}/client.properties",
            "--topic t --num-records 3 --producer-acks 1 --record-size 5 --num-headers 2 --record-header-key-size 3 --record-header-size -1 --record-key-size 5",
            "!{brokers} made 2 1 10",
            "!{brokers} made 2 1",
            "--topic a%20b --num-records 2 --producer-acks 1 --record-size 5",
        ],
        ..LOAD
    },
];

/// A line whose figures are masked; none for progress, of which there is as much as there is time for.
pub fn unmeasured(line: &str) -> Option<String> {
    if line.ends_with(" max latency.") || line == "In steady state." {
        return None;
    }
    if line.starts_with("{\"timestamp\":") {
        return Some(masked_members(line));
    }
    let fields: Vec<&str> = line.split(", ").collect();
    let is_report = fields.len() == 10 && fields[2].parse::<f64>().is_ok();
    if is_report && fields[1] == "0" {
        return None;
    }
    if is_report {
        return Some(format!("<report> {}", fields[4]));
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let masked = words.iter().enumerate().map(|(at, word)| {
        let bare = word.trim_matches(['(', ')', ',']);
        let follows = |expected: &str| at > 0 && words[at - 1] == expected;
        let precedes = |expected: &str| words.get(at + 1).is_some_and(|next| *next == expected);
        let is_figure = bare.parse::<f64>().is_ok() && (bare.contains('.') || follows("=") || precedes("ms"));
        if is_figure || bare == "NaN" { word.replace(bare, "<figure>") } else { (*word).to_owned() }
    });
    Some(masked.collect::<Vec<_>>().join(" "))
}

/// Times and rates of an event.
fn masked_members(line: &str) -> String {
    let members = line.split(',').map(|member| match member.split_once(':') {
        Some((name, _)) if name.ends_with("\"timestamp\"") => format!("{name}:<time>"),
        Some((name, value)) if name == "\"avg_throughput\"" => {
            format!("{name}:<figure>{}", if value.ends_with('}') { "}" } else { "" })
        }
        _ => member.to_owned(),
    });
    members.collect::<Vec<_>>().join(",")
}
