//! Apache Kafka's own command-line tools: each prints the same against both brokers.

use ottla_tests::peer::{Kind, Peer, chosen};
use ottla_tests::program::{Ended, java, run_with};

/// What is particular to one run is masked: addresses, topic ids, member ids. Of an error its class
/// is compared: the sentences and stack traces are each broker's own.
fn masked(peer: &Peer, text: &str) -> String {
    let text = text.replace(&peer.bootstrap(), "<bootstrap>");
    // With ELR Apache Kafka's controller writes this cluster-wide default when it first starts; Ottla does not yet.
    let text = text.replace("min.insync.replicas=1,", "");
    let text = text.lines().filter(|line| !line.starts_with("\tat ")).map(without_sentence);
    let text = text.collect::<Vec<_>>().join("\n");
    let mask = |word: &str| {
        let is_uuid = |part: &str| part.len() == 36 && part.matches('-').count() == 4;
        if word.len() > 36 && word.is_char_boundary(word.len() - 36) && is_uuid(&word[word.len() - 36..]) {
            return format!("{}<uuid>", &word[..word.len() - 36]);
        }
        word.to_owned()
    };
    let lines = text.lines().map(|line| {
        let words: Vec<_> = line.split_whitespace().map(mask).collect();
        let after_id = words.iter().position(|word| word == "TopicId:").map(|index| index + 1);
        let words = words.iter().enumerate().map(|(index, word)| match Some(index) == after_id {
            true => "<topic id>",
            false => word,
        });
        words.collect::<Vec<_>>().join(" ")
    });
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

fn without_sentence(line: &str) -> &str {
    for marker in ["Exception: ", "Error while executing topic command : "] {
        if let Some((before, _)) = line.split_once(marker) {
            return &line[..before.len() + marker.len()];
        }
    }
    line
}

/// One step: a tool's class, its arguments, and what is typed into it.
type Step<'a> = (&'a str, &'a [&'a str], &'a str);

const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";
const GROUPS: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
const CONSOLE_PRODUCER: &str = "org.apache.kafka.tools.ConsoleProducer";
const CONSOLE_CONSUMER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";
const CONFIGS: &str = "kafka.admin.ConfigCommand";
const OFFSETS: &str = "org.apache.kafka.tools.GetOffsetShell";

fn play(peer: &Peer, (class, arguments, input): &Step<'_>) -> (Option<i32>, String) {
    let bootstrap = peer.bootstrap();
    let mut all = vec!["--bootstrap-server", &bootstrap];
    all.extend(*arguments);
    let Ended { code, out, err } = run_with(java(class, &all), input);
    (code, format!("{}\n-- standard error:\n{}", masked(peer, &out), masked(peer, &err)))
}

/// Plays the steps on Apache Kafka and on each chosen broker and compares what was printed.
fn compare(steps: &[Step<'_>]) {
    let reference = Peer::shared(Kind::Kafka);
    let expected: Vec<_> = steps.iter().map(|step| play(reference, step)).collect();
    for kind in chosen() {
        let again;
        let subject = match kind {
            Kind::Ottla => Peer::shared(kind),
            Kind::Kafka => {
                again = Peer::start(Kind::Kafka, &[]);
                &again
            }
        };
        let mut faults = Vec::new();
        for (step, expected) in steps.iter().zip(&expected) {
            let found = play(subject, step);
            println!("$ {} {}\n{}", step.0, step.1.join(" "), found.1);
            if found != *expected {
                let what = format!("{} {}", step.0, step.1.join(" "));
                faults.push(format!(
                    "{what}\n  Apache Kafka ({:?}):\n{}\n  {kind:?} ({:?}):\n{}",
                    expected.0, expected.1, found.0, found.1
                ));
            }
        }
        assert!(faults.is_empty(), "{} of {} differ:\n{}", faults.len(), steps.len(), faults.join("\n"));
    }
}

#[test]
fn topic_command() {
    compare(&[
        (
            TOPICS,
            &["--create", "--topic", "t-topics", "--partitions", "3", "--config", "retention.ms=60000"],
            "",
        ),
        (TOPICS, &["--create", "--topic", "t-topics"], ""),
        (TOPICS, &["--create", "--topic", "t-bad", "--replication-factor", "3"], ""),
        (TOPICS, &["--create", "--topic", "t-bad", "--config", "retention.ms=soon"], ""),
        (TOPICS, &["--describe", "--topic", "t-topics"], ""),
        (TOPICS, &["--alter", "--topic", "t-topics", "--partitions", "4"], ""),
        (TOPICS, &["--alter", "--topic", "t-topics", "--partitions", "2"], ""),
        (TOPICS, &["--describe", "--topic", "t-topics"], ""),
        (TOPICS, &["--delete", "--topic", "t-topics"], ""),
        (TOPICS, &["--describe", "--topic", "t-topics"], ""),
    ]);
}

#[test]
fn console_producer_and_consumer_and_group_command() {
    let keyed = ["--property", "parse.key=true", "--property", "key.separator=:"];
    let produce = ["--topic", "t-console", keyed[0], keyed[1], keyed[2], keyed[3]];
    let consume = [
        "--topic",
        "t-console",
        "--from-beginning",
        "--max-messages",
        "3",
        "--property",
        "print.key=true",
        "--property",
        "print.offset=true",
        "--property",
        "print.partition=true",
    ];
    let in_group = ["--topic", "t-console", "--group", "t-g", "--from-beginning", "--max-messages", "3"];
    compare(&[
        (TOPICS, &["--create", "--topic", "t-console"], ""),
        (CONSOLE_PRODUCER, &produce, "a:1\nb:2\nc:3\n"),
        (CONSOLE_CONSUMER, &consume, ""),
        (CONSOLE_CONSUMER, &in_group, ""),
        (CONSOLE_PRODUCER, &produce, "d:4\n"),
        (GROUPS, &["--describe", "--group", "t-g"], ""),
        (GROUPS, &["--describe", "--group", "t-g", "--state"], ""),
        (GROUPS, &["--describe", "--group", "t-none"], ""),
        (
            GROUPS,
            &["--reset-offsets", "--group", "t-g", "--topic", "t-console", "--to-earliest", "--execute"],
            "",
        ),
        (GROUPS, &["--describe", "--group", "t-g", "--offsets"], ""),
        (GROUPS, &["--delete", "--group", "t-g"], ""),
        (OFFSETS, &["--topic", "t-console"], ""),
    ]);
}

#[test]
fn config_command() {
    let of_topic = ["--entity-type", "topics", "--entity-name", "t-configs"];
    let with = |more: &[&'static str]| of_topic.iter().chain(more).copied().collect::<Vec<_>>();
    let alter = with(&["--alter", "--add-config", "retention.ms=60000,cleanup.policy=[compact,delete]"]);
    let refused = with(&["--alter", "--add-config", "segment.bytes=big"]);
    let remove = with(&["--alter", "--delete-config", "retention.ms"]);
    let describe = with(&["--describe"]);
    compare(&[
        (TOPICS, &["--create", "--topic", "t-configs"], ""),
        (CONFIGS, &alter, ""),
        (CONFIGS, &describe, ""),
        (CONFIGS, &refused, ""),
        (CONFIGS, &remove, ""),
        (CONFIGS, &describe, ""),
    ]);
}

/// The figures differ, so only the count of records is compared.
#[test]
fn producer_and_consumer_performance() {
    for kind in chosen() {
        let peer = Peer::shared(kind);
        let bootstrap = peer.bootstrap();
        ottla_tests::wire::create_topic(peer.address(), "t-perf", 2);
        let properties = format!("bootstrap.servers={bootstrap}");
        let produce = [
            ["--topic", "t-perf"],
            ["--num-records", "20000"],
            ["--record-size", "200"],
            ["--throughput", "-1"],
            ["--producer-props", &properties],
        ];
        let produced =
            run_with(java("org.apache.kafka.tools.ProducerPerformance", &produce.concat()), "").ok();
        assert!(produced.contains("20000 records sent,"), "{produced}");
        let consume = [
            ["--bootstrap-server", &bootstrap],
            ["--topic", "t-perf"],
            ["--num-records", "20000"],
            ["--timeout", "20000"],
        ];
        let consumed =
            run_with(java("org.apache.kafka.tools.ConsumerPerformance", &consume.concat()), "").ok();
        let figures = consumed.lines().last().expect("a line of figures");
        let count = figures.split(", ").nth(4).expect("a count of records");
        assert_eq!(count, "20000", "{consumed}");
    }
}
