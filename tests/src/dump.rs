//! The same files dumped by Apache Kafka's `kafka-dump-log` and by Ottla's.

use std::path::Path;

use crate::peer::ottla_binary;
use crate::program::{Ended, command, java, run};

/// Differences that stay: in these lines what follows is not compared.
const KNOWN: &[(&str, &str)] = &[
    ("Snapshot failed schema validation: ", "what its fields lack is said in the words of Java's exceptions"),
    (
        "skipping. ",
        "why a record of an internal topic cannot be read is said in the words of Java's exceptions",
    ),
    ("ERROR java.nio.BufferUnderflowException", "Java's exception says nothing, ours says what is too short"),
    ("ERROR java.util.NoSuchElementException", "Java's exception does not say what is missing"),
    ("ERROR java.lang.StringIndexOutOfBoundsException", "Java's exception does not say what is too short"),
    ("ERROR java.lang.IllegalArgumentException", "Java's exception shows a FileRecords"),
    (
        "ERROR org.apache.kafka.common.InvalidRecordException",
        "what is wrong with a record is said in our words",
    ),
];

/// Dumps `files` with both tools and asserts that they say the same and end the same way. Answers what was said on standard output
/// and on standard error.
#[track_caller]
pub fn dumped_alike(options: &[&str], files: &[impl AsRef<Path>]) -> (String, String) {
    let files: Vec<String> = files.iter().map(|file| file.as_ref().display().to_string()).collect();
    let files = files.join(",");
    let arguments: Vec<&str> = options.iter().copied().chain(["--files", &files]).collect();
    let mut kafka = java("org.apache.kafka.tools.DumpLogSegments", &arguments);
    kafka.env("JAVA_TOOL_OPTIONS", "-Dfile.encoding=UTF-8 -Dsun.stdout.encoding=UTF-8");
    let mut ottla = command(&[&ottla_binary().display().to_string(), "kafka-dump-log"]);
    ottla.args(&arguments);
    let (kafka, ottla) = (said(run(kafka)), said(run(ottla)));
    assert_eq!(kafka.code, ottla.code, "{options:?}:\n{}\n{}", kafka.err, ottla.err);
    same(options, &kafka.out, &ottla.out);
    same(options, &by_file(&kafka.err), &by_file(&ottla.err));
    (ottla.out, ottla.err)
}

/// What a tool said without what is of Java alone, and without the differences that are known.
fn said(mut ended: Ended) -> Ended {
    let lines = ended.err.lines().filter(|line| !is_javas_own(line));
    let lines = lines.map(|line| line.replace("Exception in thread \"main\" ", "ERROR "));
    ended.err = lines.map(|line| known(&line)).collect();
    ended.out = ended.out.lines().map(known).collect();
    ended
}

/// Complaints about several files stand in the order of Java's hash map: here they are sorted.
fn by_file(complaints: &str) -> String {
    let mut blocks: Vec<String> = Vec::new();
    for line in complaints.lines() {
        let goes_on = line.starts_with("  ") || line.starts_with("Indexed offset: ");
        match blocks.last_mut().filter(|_| goes_on) {
            Some(block) => block.extend(["\n", line]),
            None => blocks.push(line.to_owned()),
        }
    }
    blocks.sort_unstable();
    blocks.join("\n")
}

fn is_javas_own(line: &str) -> bool {
    ["\tat ", "\t... ", "Caused by: ", "Picked up JAVA_TOOL_OPTIONS"]
        .iter()
        .any(|start| line.starts_with(start))
}

fn known(line: &str) -> String {
    let cut = KNOWN.iter().find_map(|(what, _)| Some(line.find(what)? + what.len()));
    format!("{}\n", line.get(..cut.unwrap_or(line.len())).unwrap_or(line))
}

#[track_caller]
fn same(options: &[&str], kafka: &str, ottla: &str) {
    let (mut theirs, mut ours) = (kafka.lines(), ottla.lines());
    for number in 1.. {
        match (theirs.next(), ours.next()) {
            (None, None) => return,
            (theirs, ours) => assert_eq!(theirs, ours, "{options:?}: line {number}, Apache Kafka's first"),
        }
    }
}
