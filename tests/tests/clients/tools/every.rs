//! Every administrative tool with every option that it documents, four ways: Apache Kafka's tool against Apache Kafka and against Ottla, Ottla's
//! tool against Ottla and against Apache Kafka. All must say the same, errors included, and end the same. Each way has a broker
//! of its own, so that what a step changes is there for the next. At the end stands a table: tool, option, the same or why not.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use ottla_protocol::messages::ProduceRequest;
use ottla_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_tests::batch::Batch;
use ottla_tests::peer::{Kind, Peer, chosen, ottla_binary};
use ottla_tests::program::{command, java, run_with};
use ottla_tests::wire::Wire;

use super::known::KNOWN;
use super::load_steps::{LOAD_FAMILIES, unmeasured};
use super::move_steps::{MOVE_FAMILIES, MOVE_FILES};
use super::steps::{FAMILIES, FILES, Family};
use super::{Said, from_base64, masked};

/// How long a partition may be without a leader at first.
const LED_WITHIN: Duration = Duration::from_secs(10);

/// What is done to a broker before the first step.
fn prepare(peer: &Peer) {
    for (name, text) in FILES.iter().chain(MOVE_FILES) {
        let text = text.replace("{dir}", &peer.directory().display().to_string());
        fs::write(peer.directory().join(name), text).expect("the peer's directory can be written");
    }
    let quick = Family {
        tool: "kafka-topics",
        steps: &["--create --topic t --partitions 2 --config retention.ms=-1"],
        ..FAMILIES[0]
    };
    let created = own(peer, &quick, quick.steps[0]);
    assert_eq!(created.out, "Created topic t.", "{created:?}");
    own(peer, &quick, "--create --topic one --partitions 1");
    for (name, index, count) in [("t", 0, 6), ("t", 1, 4), ("one", 0, 2)] {
        let records = Batch::of(count).encode().into();
        let partition = PartitionProduceData { index, records };
        let topic =
            TopicProduceData { name: name.into(), partition_data: vec![partition], ..Default::default() };
        let request =
            ProduceRequest { acks: -1, timeout_ms: 10_000, topic_data: vec![topic], ..Default::default() };
        let produce = || {
            let answer = Wire::connect(peer.address()).and_then(|mut wire| wire.call(&request, 9));
            answer.expect("an answer").responses[0].partition_responses[0].error_code
        };
        // A partition that was just created is not led yet.
        let started = Instant::now();
        while produce() != 0 {
            assert!(started.elapsed() < LED_WITHIN, "{name}-{index} is not led");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The words of a step, for a broker: `{brokers}` and `{dir}` are put in, `%20` is a blank.
fn words(peer: &Peer, family: &Family, step: &str) -> Vec<String> {
    let filled = step
        .trim_start_matches('!')
        .replace("{brokers}", &peer.bootstrap())
        .replace("{dir}", &peer.directory().display().to_string());
    let mut words: Vec<String> = Vec::new();
    if family.names_brokers && !step.starts_with('!') {
        words.extend(["--bootstrap-server".to_owned(), peer.bootstrap()]);
    }
    words.extend(filled.split_whitespace().map(|word| word.replace("%20", " ")));
    words
}

fn own(peer: &Peer, family: &Family, step: &str) -> Said {
    let binary = ottla_binary().display().to_string();
    let words = words(peer, family, step);
    let all: Vec<&str> =
        [binary.as_str(), family.tool].into_iter().chain(words.iter().map(String::as_str)).collect();
    let ended = run_with(command(&all), "");
    Said {
        code: ended.code,
        out: plain(peer, family, step, &ended.out),
        err: plain(peer, family, step, &ended.err),
    }
}

fn all_own(peer: &Peer, family: &Family) -> Vec<Said> {
    family.steps.iter().map(|step| own(peer, family, step)).collect()
}

/// With Apache Kafka's tools: in one JVM, but for those that would end it.
fn all_java(peer: &Peer, family: &Family) -> Vec<Said> {
    let mut all = Vec::new();
    let alone = |step: &&str| family.ends_its_jvm && step.starts_with('!');
    for run in family.steps.chunk_by(|one, other| !alone(one) && !alone(other)) {
        if run.iter().any(&alone) {
            for step in run {
                let words = words(peer, family, step);
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let ended = run_with(java(family.class, &words), "");
                let [out, err] = [&ended.out, &ended.err].map(|text| plain(peer, family, step, text));
                all.push(Said { code: ended.code, out, err });
            }
            continue;
        }
        let line = |step: &&str| {
            let words = words(peer, family, step);
            [vec![family.class.to_owned()], words].concat().join("\t") + "\n"
        };
        let lines: String = run.iter().map(line).collect();
        let answers = run_with(java("tests/clients/java/Tools.java", &[]), &lines).ok();
        assert_eq!(answers.lines().count(), run.len(), "{answers}");
        all.extend(answers.lines().zip(run).map(|(answer, step)| {
            let [code, out, err] = answer.split(' ').collect::<Vec<_>>()[..] else { panic!("{answer}") };
            let text = |word: &str| plain(peer, family, step, &from_base64(word.trim_start_matches('.')));
            Said { code: code.parse().ok(), out: text(out), err: text(err) }
        }));
    }
    all
}

/// What was said, without what is particular to a run or to Java.
fn plain(peer: &Peer, family: &Family, step: &str, text: &str) -> String {
    let text = text.replace(&peer.directory().display().to_string(), "<dir>");
    let port = peer.address().port().to_string();
    // A usage is laid out as it pleases; the error counts.
    if let Some((_, error)) = text.split_once(" error: ").filter(|_| text.starts_with("usage: ")) {
        return error.split_whitespace().collect();
    }
    if text.starts_with("usage: ") {
        return "<usage>".to_owned();
    }
    let masked = masked(peer, &text).replace(&format!(" {port} "), " <port> ");
    let lines = masked.lines().filter(|line| !is_of_java(line) && !is_to_come(line));
    let mut lines: Vec<String> = lines.map(|line| scrubbed(family, line)).collect();
    if family.is_measured {
        lines = lines.iter().filter_map(|line| unmeasured(line)).collect();
    }
    // Java tells of partitions in no order, and of those who have limits.
    let are_limits = lines.iter().any(|line| line.starts_with("Quota configs for "));
    if family.is_unordered || are_limits || step.contains("--reset-offsets") {
        lines.sort();
    }
    lines.join("\n")
}

/// Causes, loggers' lines, and warnings that are logged: by Apache Kafka's scripts, and not by its classes.
fn is_of_java(line: &str) -> bool {
    let begins = [
        "Caused by: ",
        "Bootstrap metadata: ",
        "Suppressed: ",
        "... ",
        "ERROR ",
        "WARN New offset",
        "com.fasterxml",
        "at [Source",
        "(org.apache.",
    ];
    begins.iter().any(|begin| line.starts_with(begin))
        || line.split_once("Z ").is_some_and(|(time, _)| time.contains('T') && time.starts_with("20"))
}

/// Of a feature that is not built yet.
fn is_to_come(line: &str) -> bool {
    let to_come = ["group", "share", "streams", "transaction"];
    to_come.iter().any(|feature| line.starts_with(&format!("Feature: {feature}.version")))
}

/// A line without ids, times, and what two clusters have different numbers of.
fn scrubbed(family: &Family, line: &str) -> String {
    if let Some((_, list)) = line.split_once("requires one of the following scenarios: ") {
        let mut words: Vec<&str> = list.trim_matches(['[', ']']).split("], [").collect();
        words.sort_unstable();
        return words.join(" ");
    }
    let is_listed =
        ["Quota configs for ", "SCRAM credential configs for "].iter().any(|it| line.starts_with(it));
    if let Some((before, list)) = line.split_once(" are ").filter(|_| is_listed) {
        let mut listed: Vec<&str> = list.split(", ").collect();
        listed.sort_unstable();
        return format!("{before} are {}", listed.join(", "));
    }
    if line.starts_with("{\"brokers\"") {
        let ends = |part: &str| part.find('}').map_or(part.len(), |end| end + 1);
        let mut parts = line.split("{\"partition\"");
        let first = parts.next().unwrap_or_default();
        let (mut partitions, rest): (Vec<&str>, Vec<&str>) =
            parts.map(|part| part.split_at(ends(part))).unzip();
        partitions.sort_unstable();
        return format!("{first}{}{}", partitions.join(" "), rest.join("").trim_start_matches(','));
    }
    let numbered = ["LeaderEpoch:", "HighWatermark:"].iter().any(|name| line.starts_with(name))
        || family.tool == "kafka-metadata-quorum" && line.ends_with("Leader");
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let mut words: Vec<String> = Vec::new();
    for word in line.split(' ') {
        let is_time = word.len() == 13 && word.starts_with("17") && is_number(word);
        let is_epoch = words.last().is_some_and(|before| before == "Epoch:");
        let address =
            word.split_once("127.0.0.1:").filter(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()));
        words.push(if is_time || is_epoch || numbered && is_number(word) {
            "<number>".to_owned()
        } else if let Some((before, rest)) = address {
            format!("{before}127.0.0.1:<port>{}", rest.trim_start_matches(|c: char| c.is_ascii_digit()))
        } else {
            word.to_owned()
        });
    }
    let words: Vec<String> = words.iter().map(|word| scrubbed_id(word)).collect();
    words.join(" ")
}

/// Ids of clusters and directories, wherever they stand in a word.
fn scrubbed_id(word: &str) -> String {
    let is_of_id = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    let mut rest = word;
    let mut scrubbed = String::new();
    while !rest.is_empty() {
        let end = rest.find(|letter| !is_of_id(letter)).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        let has = |is: fn(&char) -> bool| part.chars().any(|letter| is(&letter));
        let is_id = part.len() == 22 && has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase);
        scrubbed.push_str(if is_id { "<id>" } else { part });
        let next = after.find(is_of_id).unwrap_or(after.len());
        scrubbed.push_str(&after[..next]);
        rest = &after[next..];
    }
    scrubbed
}

/// Options and commands in a step, without their values.
fn options(family: &Family, step: &str) -> Vec<String> {
    let words = step.trim_start_matches('!').split_whitespace();
    let is_option = |word: &&str| word.starts_with("--") || family.commands.contains(word);
    let mut options: Vec<String> =
        words.filter(is_option).map(|word| word.split('=').next().unwrap_or(word).to_owned()).collect();
    if family.names_brokers && !step.starts_with('!') {
        options.push("--bootstrap-server".to_owned());
    }
    options
}

/// What Apache Kafka's tool documents in its help.
fn documented(family: &Family) -> Vec<String> {
    let helps = family.helps.iter().map(|help| format!("{}\t{help}\n", family.class).replace(' ', "\t"));
    let lines: String = helps.collect();
    let said: String = if family.ends_its_jvm {
        let ended = |help: &&str| {
            let words: Vec<&str> = help.split(' ').collect();
            run_with(java(family.class, &words), "").out
        };
        family.helps.iter().map(ended).collect()
    } else {
        let answers = run_with(java("tests/clients/java/Tools.java", &[]), &lines).ok();
        let texts = answers.split_whitespace().filter_map(|word| word.strip_prefix('.'));
        texts.map(from_base64).collect()
    };
    let mut options: Vec<String> = Vec::new();
    for line in said.lines() {
        // What stands further in is said of an option.
        let Some(line) = Some(line.trim_start()).filter(|option| line.len() <= option.len() + 2) else {
            continue;
        };
        let is_option = |name: &&str| name.strip_prefix("--").is_some_and(|name| !name.starts_with('-'));
        let names = line.split([' ', ',']).next().filter(is_option);
        options.extend(names.map(str::to_owned));
    }
    options.extend(family.commands.iter().map(|command| (*command).to_owned()));
    options.sort();
    options.dedup();
    options
}

#[test]
fn every_tool_and_option() {
    let only = std::env::var("OTTLA_TEST_FAMILY").ok();
    let kind = chosen()[0];
    let overrides = [("auto.create.topics.enable", "false")];
    let peers = [Kind::Kafka, kind, kind, Kind::Kafka].map(|kind| Peer::start(kind, &overrides));
    peers.iter().for_each(prepare);
    let [reference, with_java, with_own, own_on_kafka] = &peers;
    let mut faults = Vec::new();
    let mut met = vec![false; KNOWN.len()];
    let mut table: BTreeMap<(&str, String), Vec<&str>> = BTreeMap::new();
    for family in FAMILIES
        .iter()
        .chain(&MOVE_FAMILIES)
        .chain(&LOAD_FAMILIES)
        .filter(|family| only.as_ref().is_none_or(|only| family.tool.contains(only)))
    {
        // At once: each has a broker of its own, and most of it is waiting.
        let (expected, ways) = thread::scope(|scope| {
            let expected = scope.spawn(|| all_java(reference, family));
            let ways = [
                ("Apache Kafka's tool, Ottla", scope.spawn(|| all_java(with_java, family))),
                ("Ottla's tool, Ottla", scope.spawn(|| all_own(with_own, family))),
                ("Ottla's tool, Apache Kafka", scope.spawn(|| all_own(own_on_kafka, family))),
            ];
            let said = ways.map(|(way, said)| (way, said.join().expect("it ends")));
            (expected.join().expect("it ends"), said)
        });
        for (at, (step, expected)) in family.steps.iter().zip(&expected).enumerate() {
            let whole = format!("{} {step}", family.tool);
            let differing: Vec<_> = ways
                .iter()
                .filter(|(_, said)| said[at] != *expected)
                .map(|(way, said)| (way, &said[at]))
                .collect();
            let mut reasons = Vec::new();
            for (way, said) in differing {
                let known = KNOWN.iter().position(|known| {
                    whole.contains(known.step) && way.ends_with(known.broker) && way.starts_with(known.tool)
                });
                match known {
                    Some(at) => {
                        met[at] = true;
                        reasons.push(KNOWN[at].why);
                    }
                    None => {
                        reasons.push("UNKNOWN");
                        faults.push(format!("{whole}\n  expected: {expected:#?}\n  {way}: {said:#?}"));
                    }
                }
            }
            for option in options(family, step) {
                table.entry((family.tool, option)).or_default().extend(&reasons);
            }
        }
        for option in documented(family) {
            if !table.contains_key(&(family.tool, option.clone())) {
                faults.push(format!("{} {option} is documented, and no step has it", family.tool));
            }
        }
    }
    println!("| tool | option | |\n|---|---|---|");
    for ((tool, option), mut reasons) in table {
        reasons.sort_unstable();
        reasons.dedup();
        let verdict =
            if reasons.is_empty() { "same".to_owned() } else { format!("differs: {}", reasons.join("; ")) };
        println!("| {tool} | {option} | {verdict} |");
    }
    let stale: Vec<_> =
        KNOWN.iter().zip(&met).filter(|(_, met)| !**met).map(|(known, _)| known.step).collect();
    if only.is_none() && kind == Kind::Ottla && !stale.is_empty() {
        faults.push(format!("known.rs lists what does not differ any more: {stale:?}"));
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
