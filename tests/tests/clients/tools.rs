//! Apache Kafka's own command-line tools: each prints the same against both brokers, and Ottla's tools print what
//! Apache Kafka's do.

mod every;
mod known;
mod load_steps;
mod move_steps;
mod steps;

use ottla_tests::peer::{Kind, Peer, chosen, ottla_binary};
use ottla_tests::program::{Ended, command, java, run_with};

/// What is particular to one run is masked: addresses, topic ids, member ids, stack traces, and the table of options
/// after a wrong command line.
fn masked(peer: &Peer, text: &str) -> String {
    let text = text.replace(&peer.bootstrap(), "<bootstrap>");
    let text = text.split("\nOption ").next().unwrap_or_default();
    let text = text.lines().filter(|line| !line.starts_with("\tat "));
    let mut lines: Vec<String> = text.map(in_order).collect();
    // Of groups that were not deleted, Java tells in no order.
    lines
        .chunk_by_mut(|one, other| one.starts_with("* Group ") && other.starts_with("* Group "))
        .for_each(<[_]>::sort);
    let text = lines.join("\n");
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

/// A line whose list is a set of Java's, sorted.
fn in_order(line: &str) -> String {
    for head in [
        "Valid states are: ",
        "Valid types are: ",
        "takes one of these options: ",
        "takes the following options: ",
    ] {
        if let Some((before, list)) = line.split_once(head) {
            let mut words: Vec<_> = list.split(", ").collect();
            words.sort_unstable();
            return format!("{before}{head}{}", words.join(", "));
        }
    }
    line.to_owned()
}

/// One step: a tool's class, its arguments, and what is typed into it.
type Step<'a> = (&'a str, &'a [&'a str], &'a str);

const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";
const GROUPS: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
const CONSOLE_PRODUCER: &str = "org.apache.kafka.tools.ConsoleProducer";
const CONSOLE_CONSUMER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";
const CONFIGS: &str = "kafka.admin.ConfigCommand";
const OFFSETS: &str = "org.apache.kafka.tools.GetOffsetShell";

/// What a tool said: its exit code, its output, its complaints.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

/// The steps with Apache Kafka's tools: those that read nothing in one JVM, the others in one of their own.
fn play(peer: &Peer, steps: &[Step<'_>]) -> Vec<Said> {
    let bootstrap = peer.bootstrap();
    let mut all = Vec::new();
    let reads = |(class, ..): &Step<'_>| [CONSOLE_PRODUCER, CONSOLE_CONSUMER].contains(class);
    for run in steps.chunk_by(|one, other| !reads(one) && !reads(other)) {
        if let [step] = run
            && reads(step)
        {
            let (class, arguments, input) = step;
            all.push(said(peer, java(class, &with_bootstrap(&bootstrap, arguments)), input));
            continue;
        }
        let line = |(class, arguments, _): &Step<'_>| {
            [&[*class], &with_bootstrap(&bootstrap, arguments)[..]].concat().join("\t") + "\n"
        };
        let lines: String = run.iter().map(line).collect();
        let answers = run_with(java("tests/clients/java/Tools.java", &[]), &lines).ok();
        assert_eq!(answers.lines().count(), run.len(), "{answers}");
        all.extend(answers.lines().map(|answer| {
            let [code, out, err] = answer.split(' ').collect::<Vec<_>>()[..] else { panic!("{answer}") };
            let text = |word: &str| masked(peer, &from_base64(word.trim_start_matches('.')));
            Said { code: code.parse().ok(), out: text(out), err: text(err) }
        }));
    }
    all
}

fn from_base64(text: &str) -> String {
    let digit = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        bits = bits << 6 | u32::from(digit(letter));
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The step with Ottla's own tool, where it has one for it.
fn play_own(peer: &Peer, (class, arguments, input): &Step<'_>) -> Option<Said> {
    let tool = match *class {
        TOPICS => "kafka-topics",
        GROUPS => "kafka-consumer-groups",
        CONFIGS => "kafka-configs",
        OFFSETS => "kafka-get-offsets",
        _ => return None,
    };
    let (binary, bootstrap) = (ottla_binary(), peer.bootstrap());
    let binary = binary.display().to_string();
    let mut words = vec![binary.as_str(), tool];
    words.extend(with_bootstrap(&bootstrap, arguments));
    Some(said(peer, command(&words), input))
}

fn with_bootstrap<'a>(bootstrap: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["--bootstrap-server", bootstrap];
    all.extend(arguments);
    all
}

fn said(peer: &Peer, command: std::process::Command, input: &str) -> Said {
    let Ended { code, out, err } = run_with(command, input);
    Said { code, out: masked(peer, &out), err: masked(peer, &err) }
}

/// Plays the steps on Apache Kafka and on each chosen broker and compares what was printed. On Ottla they are played again
/// with its own tools, which print the same; of what they complain of, the first line.
fn compare(steps: &[Step<'_>]) {
    let reference = Peer::shared(Kind::Kafka);
    let expected = play(reference, steps);
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
        let mut judge = |who: &str, step: &Step<'_>, expected: &Said, found: &Said| {
            if found != expected {
                let what = format!("{} {}", step.0, step.1.join(" "));
                faults.push(format!("{what}\n  Apache Kafka: {expected:#?}\n  {who}: {found:#?}"));
            }
        };
        for ((step, expected), found) in steps.iter().zip(&expected).zip(play(subject, steps)) {
            println!("$ {} {}\n{}", step.0, step.1.join(" "), found.out);
            judge(&format!("{kind:?}"), step, expected, &found);
        }
        if kind == Kind::Ottla {
            for (step, expected) in steps.iter().zip(&expected) {
                match play_own(subject, step) {
                    Some(found) => {
                        judge("Ottla's tool", step, &first_complaint(expected), &first_complaint(&found));
                    }
                    None => _ = play(subject, &[*step]),
                }
            }
        }
        assert!(faults.is_empty(), "{} of {} differ:\n{}", faults.len(), steps.len(), faults.join("\n"));
    }
}

/// Apache Kafka's tools log their errors in their logger's form.
fn first_complaint(said: &Said) -> Said {
    // What is logged as a warning besides.
    let err =
        said.err.lines().find(|line| !line.starts_with("WARN New offset")).unwrap_or_default().to_owned();
    Said { err, ..said.clone() }
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
        (TOPICS, &["--create", "--topic", "t-topics", "--if-not-exists"], ""),
        (TOPICS, &["--create", "--topic", "t.under_score"], ""),
        (TOPICS, &["--create", "--topic", "t_under.score"], ""),
        (TOPICS, &["--create", "--topic", "t-assigned", "--replica-assignment", "1,1"], ""),
        (TOPICS, &["--create", "--topic", "t-bad", "--replica-assignment", "1:7"], ""),
        (TOPICS, &["--create", "--topic", "t-bad", "--replica-assignment", "1:1"], ""),
        (TOPICS, &["--create", "--topic", "t-bad", "--replication-factor", "3"], ""),
        (TOPICS, &["--create", "--topic", "t-bad", "--partitions", "0"], ""),
        (TOPICS, &["--create", "--topic", "t-bad", "--config", "retention.ms=soon"], ""),
        (TOPICS, &["--create", "--topic", "t-bad", "--config", "no.such.key=1"], ""),
        (TOPICS, &["--create", "--topic", "t bad"], ""),
        (TOPICS, &["--create", "--topic", "t-bad", "--partitions", "many"], ""),
        (TOPICS, &["--create", "--topic", "t-bad", "--replication-factor", "0"], ""),
        (TOPICS, &["--create", "--topic", "t-bad", "--replica-assignment", "1,1:2"], ""),
        (TOPICS, &["--create", "--topic", "t-bad", "--replica-assignment", "one"], ""),
        (TOPICS, &["--create", "--topic", "t-bad", "--config", "retention.ms"], ""),
        (TOPICS, &["--describe", "--topic", "("], ""),
        (TOPICS, &["--describe", "--topic-id", "short"], ""),
        (TOPICS, &["--describe", "--topic-id", "not/a-letter"], ""),
        (TOPICS, &["--describe", "--topic-id", "shorter-than-it-should"], ""),
        (TOPICS, &["--create"], ""),
        (TOPICS, &["--create", "--list"], ""),
        (TOPICS, &["--describe", "--topic", "t-topics"], ""),
        (TOPICS, &["--describe", "--topic", "t-(topics|assigned)"], ""),
        (TOPICS, &["--describe", "--topic", "t-topics", "--under-replicated-partitions"], ""),
        (TOPICS, &["--describe", "--topic", "t-topics", "--unavailable-partitions"], ""),
        (TOPICS, &["--describe", "--topic", "t-topics", "--under-min-isr-partitions"], ""),
        (TOPICS, &["--describe", "--topic", "t-topics", "--at-min-isr-partitions"], ""),
        (TOPICS, &["--describe", "--topic", "t-(topics|assigned)", "--topics-with-overrides"], ""),
        (TOPICS, &["--describe", "--topic-id", "AAAAAAAAAAAAAAAAAAAAew"], ""),
        (TOPICS, &["--list", "--topic", "t[-.](topics|assigned|under_score)"], ""),
        (TOPICS, &["--list", "--topic", "t-nothing"], ""),
        (TOPICS, &["--alter", "--topic", "t-topics", "--partitions", "4"], ""),
        (TOPICS, &["--alter", "--topic", "t-topics", "--partitions", "4"], ""),
        (TOPICS, &["--alter", "--topic", "t-topics", "--partitions", "2"], ""),
        (TOPICS, &["--alter", "--topic", "t-topics", "--partitions", "0"], ""),
        (
            TOPICS,
            &["--alter", "--topic", "t-topics", "--partitions", "5", "--replica-assignment", "1,1,1,1,7"],
            "",
        ),
        (TOPICS, &["--alter", "--topic", "t-nothing", "--partitions", "2"], ""),
        (TOPICS, &["--alter", "--topic", "t-nothing", "--partitions", "2", "--if-exists"], ""),
        (TOPICS, &["--alter", "--topic", "t-topics"], ""),
        (TOPICS, &["--describe", "--topic", "t-topics"], ""),
        (TOPICS, &["--delete", "--topic", "t-topics"], ""),
        (TOPICS, &["--delete", "--topic", "t-topics"], ""),
        (TOPICS, &["--delete", "--topic", "t-topics", "--if-exists"], ""),
        (TOPICS, &["--delete"], ""),
        (TOPICS, &["--describe", "--topic", "t-topics"], ""),
        (TOPICS, &["--describe", "--topic", "t-topics", "--if-exists"], ""),
        (TOPICS, &["--delete", "--topic", "t-assigned"], ""),
        (TOPICS, &["--delete", "--topic", "t.under_score"], ""),
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
        (GROUPS, &["--describe", "--group", "t-g", "--verbose"], ""),
        (GROUPS, &["--describe", "--group", "t-g", "--state"], ""),
        (GROUPS, &["--describe", "--group", "t-g", "--members"], ""),
        (GROUPS, &["--describe", "--group", "t-g", "--members", "--verbose"], ""),
        (GROUPS, &["--describe", "--group", "t-g", "--group", "t-none"], ""),
        (GROUPS, &["--describe", "--group", "t-none"], ""),
        (GROUPS, &["--describe", "--group", "t-none", "--state"], ""),
        (GROUPS, &["--describe", "--group", "t-none", "--members"], ""),
        (GROUPS, &["--describe"], ""),
        (GROUPS, &["--describe", "--group", "t-g", "--state", "--members"], ""),
        (GROUPS, &["--list", "--state", "Happy"], ""),
        (GROUPS, &["--list", "--type", "happy"], ""),
        (GROUPS, &["--list", "--describe"], ""),
        (
            GROUPS,
            &["--reset-offsets", "--group", "t-g", "--topic", "t-console", "--to-earliest", "--dry-run"],
            "",
        ),
        (
            GROUPS,
            &["--reset-offsets", "--group", "t-g", "--topic", "t-console:7", "--to-latest", "--execute"],
            "",
        ),
        (
            GROUPS,
            &["--reset-offsets", "--group", "t-g", "--topic", "t-nothing", "--to-latest", "--execute"],
            "",
        ),
        (
            GROUPS,
            &["--reset-offsets", "--group", "t-g", "--topic", "t-console", "--to-earliest", "--execute"],
            "",
        ),
        (
            GROUPS,
            &["--reset-offsets", "--group", "t-g", "--topic", "t-console", "--shift-by", "99", "--execute"],
            "",
        ),
        (GROUPS, &["--describe", "--group", "t-g", "--offsets"], ""),
        (GROUPS, &["--delete-offsets", "--group", "t-g", "--topic", "t-nothing"], ""),
        (GROUPS, &["--delete-offsets", "--group", "t-g", "--topic", "t-console"], ""),
        (GROUPS, &["--delete-offsets", "--group", "t-none", "--topic", "t-console"], ""),
        (GROUPS, &["--delete", "--group", "t-g"], ""),
        (GROUPS, &["--delete", "--group", "t-g"], ""),
        (GROUPS, &["--delete", "--group", "t-g", "--group", "t-none"], ""),
        (GROUPS, &["--delete"], ""),
        (OFFSETS, &["--topic", "t-console"], ""),
        (TOPICS, &["--delete", "--topic", "t-console"], ""),
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
        (TOPICS, &["--delete", "--topic", "t-configs"], ""),
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
