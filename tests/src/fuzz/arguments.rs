//! Any words as the command line of any tool: it starts, or says why not.

use std::collections::BTreeMap;

use ottla_core::record::Compressors;
use ottla_core::rng::Rng;
use ottla_core::time::Now;
use ottla_core::tools::{Check, DumpLog, Environment, Output, TOOLS, ToolCx, ToolEvent, start};

use super::Choices;

/// Options of all tools, so that the fuzzer need not guess their letters.
const WORDS: &[&str] = &[
    "--bootstrap-server",
    "localhost:9092",
    "--topic",
    "t",
    "--create",
    "--list",
    "--describe",
    "--alter",
    "--delete",
    "--partitions",
    "3",
    "--replication-factor",
    "--replica-assignment",
    "0:1,1:0",
    "--config",
    "retention.ms=1",
    "--group",
    "g",
    "--all-groups",
    "--all-topics",
    "--reset-offsets",
    "--to-datetime",
    "2024-02-30T00:00:00.000",
    "--by-duration",
    "P1DT2H",
    "--shift-by",
    "-1",
    "--to-offset",
    "--to-current",
    "--to-earliest",
    "--from-file",
    "f",
    "--export",
    "--dry-run",
    "--execute",
    "--command-config",
    "--property",
    "parse.key=true",
    "key.separator=:",
    "--from-beginning",
    "--max-messages",
    "--formatter",
    "--offset",
    "--partition",
    "--entity-type",
    "topics",
    "--entity-name",
    "--entity-default",
    "--add-config",
    "a=[1,2],b=3",
    "--delete-config",
    "--describe",
    "--time",
    "-2",
    "--topic-partitions",
    "t:0-3",
    "--offset-json-file",
    "--broker-list",
    "1,2",
    "--release-version",
    "--feature",
    "metadata.version=1",
    "--timeout",
    "--state",
    "--members",
    "--offsets",
    "--verbose",
    "--help",
    "--version",
    "--if-exists",
    "describe",
    "--status",
    "--producer-property",
    "acks=all",
    "--reader-config",
    "--isolation-level",
    "--interval",
    "--metrics",
    "--match",
    "upgrade",
    "cluster-id",
    "--node-id",
    "--include",
    ".*(",
    "--exclude-internal-topics",
    "--broker",
    "1",
];

pub fn run(input: &[u8]) {
    let mut choices = Choices(input);
    let tool = choices.below(TOOLS.len() + 2);
    let mut words = Vec::new();
    while !choices.is_over() && words.len() < 24 {
        words.push(word(&mut choices));
    }
    let Some(name) = TOOLS.get(tool) else {
        _ = if tool == TOOLS.len() { Check::start(&words).err() } else { DumpLog::start(&words).err() };
        return;
    };
    let files = BTreeMap::from([("f".to_owned(), words.join("\n"))]);
    let environment = Environment { files, ..Environment::default() };
    match start(name, &words, &environment, &mut Rng::from_seed(1)) {
        Err(exit) => {
            assert!(!(exit.stdout.is_empty() && exit.stderr.is_empty()), "it says why: {name} {words:?}");
        }
        Ok(mut tool) => {
            let mut output = Output::default();
            let compressors = Compressors::default();
            let mut cx = ToolCx { now: Now::default(), compressors: &compressors, output: &mut output };
            tool.handle(&mut cx, ToolEvent::Tick);
            tool.handle(&mut cx, ToolEvent::Line(words.join(" ")));
            tool.handle(&mut cx, ToolEvent::EndOfInput);
        }
    }
}

fn word(choices: &mut Choices<'_>) -> String {
    match choices.byte() {
        0..=199 => WORDS[choices.below(WORDS.len())].to_owned(),
        200..=219 => format!("{}={}", WORDS[choices.below(WORDS.len())], WORDS[choices.below(WORDS.len())]),
        _ => {
            let count = choices.below(32);
            String::from_utf8_lossy(choices.bytes(count)).into_owned()
        }
    }
}
