//! One data directory, two brokers: what Apache Kafka wrote Ottla opens, goes on with and hands back.
//!
//! `tests/interchange/Interchange.java` writes and tells; a telling has one line for each record, offset, setting and credential.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use ottla_tests::dump::dumped_alike;
use ottla_tests::peer::{Kind, Peer};
use ottla_tests::program::{class_path, command, java, java_with, run};

/// Apache Kafka takes ACLs only with an authorizer.
const KAFKA: &[(&str, &str)] = &[
    ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
    ("super.users", "User:ANONYMOUS"),
];
/// Ottla compacts and snapshots as soon as there is something to compact and to snapshot.
const OTTLA: &[(&str, &str)] =
    &[("log.cleaner.backoff.ms", "100"), ("metadata.log.max.record.bytes.between.snapshots", "1000")];
/// How long the cleaner may take to find a partition that is worth it.
const COMPACTED_WITHIN: Duration = Duration::from_secs(30);
const SHELL_READS_WITHIN: Duration = Duration::from_secs(60);

#[test]
fn after_a_clean_stop() {
    there_and_back(|kafka| assert!(kafka.stop(), "Apache Kafka did not stop in time"));
}

#[test]
fn after_a_kill() {
    there_and_back(Peer::kill);
}

fn there_and_back(end: impl FnOnce(&mut Peer)) {
    let mut peer = Peer::start(Kind::Kafka, KAFKA);
    interchange(&peer, "write");
    interchange(&peer, "secure");
    let (written, security) = (interchange(&peer, "tell"), interchange(&peer, "tell-security"));
    assert!(written.lines().count() > 5_000, "too little was written to prove anything:\n{written}");
    let running = peer.checked();
    assert!(running.code == Some(2) && running.err.contains("another process uses"), "{running:?}");
    end(&mut peer);
    nothing_wrong(&peer);

    peer.hand_over(Kind::Ottla, OTTLA);
    same("Ottla tells", &written, &interchange(&peer, "tell"));
    let before = cleaned_up_to(&peer);
    interchange(&peer, "append");
    let appended = Instant::now();
    while cleaned_up_to(&peer) <= before {
        assert!(appended.elapsed() < COMPACTED_WITHIN, "nothing was compacted past {before:?}");
        thread::sleep(Duration::from_millis(50));
    }
    let gone_on = interchange(&peer, "tell");
    assert!(peer.stop(), "Ottla did not stop in time");
    assert!(names(&peer, "__cluster_metadata-0", ".checkpoint").len() > 1, "no snapshot was written");
    looked_over_by_kafka(&peer);
    dumped_by_both(&peer);
    nothing_wrong(&peer);

    peer.hand_over(Kind::Kafka, KAFKA);
    same("Apache Kafka tells", &gone_on, &interchange(&peer, "tell"));
    same("Apache Kafka tells of security", &security, &interchange(&peer, "tell-security"));
    assert!(peer.stop(), "Apache Kafka did not stop in time");
    nothing_wrong(&peer);
}

/// Has the Java program do something with the broker; what it printed.
fn interchange(peer: &Peer, what: &str) -> String {
    let classes = peer.directory().join("classes");
    if !classes.is_dir() {
        let place = classes.display().to_string();
        let source = "tests/interchange/Interchange.java";
        run(command(&["javac", "-nowarn", "-cp", &class_path(), "-d", &place, source])).ok();
    }
    let class_path = format!("{}:{}", class_path(), classes.display());
    run(java_with(&class_path, "Interchange", &[&peer.bootstrap(), what])).ok()
}

#[track_caller]
fn same(what: &str, expected: &str, found: &str) {
    let (mut missing, mut more) = (Vec::new(), Vec::new());
    let sides = [expected, found].map(|text| text.lines().collect::<std::collections::BTreeSet<_>>());
    missing.extend(sides[0].difference(&sides[1]));
    more.extend(sides[1].difference(&sides[0]));
    let shown = |lines: &[&str]| lines.iter().take(20).map(|line| format!("\n  {line}")).collect::<String>();
    assert!(
        missing.is_empty() && more.is_empty(),
        "{what}: {} lines are missing:{}\n{} lines are new:{}",
        missing.len(),
        shown(&missing),
        more.len(),
        shown(&more)
    );
    assert_eq!(expected.lines().count(), found.lines().count(), "{what}: some lines more than once");
}

/// Apache Kafka's own tools find nothing wrong in any file.
fn looked_over_by_kafka(peer: &Peer) {
    const DUMP: &str = "org.apache.kafka.tools.DumpLogSegments";
    let data = peer.directory().join("data");
    let mut logs = Vec::new();
    let mut indexes = Vec::new();
    for directory in entries(&data).iter().filter(|path| path.is_dir()) {
        for file in entries(directory) {
            let name = file.display().to_string();
            match file.extension().and_then(|extension| extension.to_str()) {
                Some("log") => logs.push(name),
                // Apache Kafka's tool reads the indexes of records; an empty one has nothing to say.
                Some("index" | "timeindex") if file.metadata().is_ok_and(|file| file.len() > 0) => {
                    indexes.push(name);
                }
                _ => {}
            }
        }
    }
    for (option, files) in
        [("--deep-iteration", &logs), ("--verify-index-only", &indexes), ("--index-sanity-check", &indexes)]
    {
        let printed = run(java(DUMP, &[option, "--files", &files.join(",")])).ok();
        let wrong: Vec<&str> = printed.lines().filter(|line| is_complaint(line)).collect();
        assert!(wrong.is_empty(), "{option}: {wrong:#?}");
    }
    for file in logs.iter().filter(|name| name.contains("__cluster_metadata")).chain(&snapshots(peer)) {
        shows_topics(file);
    }
}

/// Apache Kafka's dump tool and ours say the same of every file.
fn dumped_by_both(peer: &Peer) {
    let data = peer.directory().join("data");
    let mut files = Vec::new();
    for entry in entries(&data) {
        if entry.is_dir() { files.extend(entries(&entry)) } else { files.push(entry) }
    }
    // Both give up where the room that was left in an index is about an empty log.
    files.retain(|file| file.extension().is_none_or(|extension| extension != "index") || has_records(file));
    let (said, complaints) = dumped_alike(&["--print-data-log"], &files);
    let count = said.lines().count();
    assert!(count > 5_000 && said.contains("lastStableOffset: "), "{count} lines were dumped; {complaints}");
    let decoders = [
        ("__cluster_metadata-", "--cluster-metadata-decoder", "TOPIC_RECORD"),
        ("__consumer_offsets-", "--offsets-decoder", "commitTimestamp"),
        ("__transaction_state-", "--transaction-log-decoder", "transactionStatus"),
    ];
    for (topic, decoder, shown) in decoders {
        let of_topic = |file: &&PathBuf| {
            let name = file.display().to_string();
            name.contains(topic) && (name.ends_with(".log") || name.ends_with(".checkpoint"))
        };
        let files: Vec<&PathBuf> = files.iter().filter(of_topic).collect();
        let (said, _) = dumped_alike(&[decoder], &files);
        assert!(said.contains(shown), "{decoder}: {said}");
    }
}

/// `ottla check` finds no fault in what either wrote.
fn nothing_wrong(peer: &Peer) {
    let said = peer.checked().ok();
    assert!(said.ends_with(": no fault\n"), "{said}");
    let checked = |what: &str| {
        said.split([',', '\n']).filter_map(|part| part.strip_suffix(what)?.trim().parse().ok()).next_back()
    };
    let batches: Option<u64> = checked(" batches");
    assert!(batches > Some(300), "too little was checked: {said}");
}

fn has_records(index: &Path) -> bool {
    index.with_extension("log").metadata().is_ok_and(|log| log.len() > 0)
}

/// The metadata shell answers while another of its threads still reads the file: it is asked until it has read.
fn shows_topics(file: &str) {
    let asked = Instant::now();
    loop {
        let arguments = ["--snapshot", file, "ls", "/image/configs"];
        let printed = run(java("org.apache.kafka.shell.MetadataShell", &arguments)).ok();
        if printed.contains("TOPIC:compacted") {
            return;
        }
        assert!(asked.elapsed() < SHELL_READS_WITHIN, "{file}: {printed}");
    }
}

fn is_complaint(line: &str) -> bool {
    let line = line.to_lowercase();
    [
        "mismatch",
        "corrupt",
        "isvalid: false",
        "failed",
        "misaligned",
        "non-consecutive",
        "exception",
        "not found",
    ]
    .iter()
    .any(|word| line.contains(word))
}

fn snapshots(peer: &Peer) -> Vec<String> {
    let directory = peer.directory().join("data/__cluster_metadata-0");
    names(peer, "__cluster_metadata-0", ".checkpoint")
        .iter()
        .max()
        .map(|name| directory.join(name).display().to_string())
        .into_iter()
        .collect()
}

/// The first offset of the compacted topic that was not compacted yet, as the checkpoint file says.
fn cleaned_up_to(peer: &Peer) -> Option<i64> {
    let path = peer.directory().join("data/cleaner-offset-checkpoint");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("compacted 0 "))?.parse().ok()
}

fn names(peer: &Peer, partition: &str, suffix: &str) -> Vec<String> {
    let files = entries(&peer.directory().join("data").join(partition));
    let names = files.iter().filter_map(|path| path.file_name()?.to_str());
    names.filter(|name| name.ends_with(suffix)).map(str::to_owned).collect()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let listing = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    listing.map(|entry| entry.expect("an entry").path()).collect()
}
