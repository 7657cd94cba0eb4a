//! The binary as an operator meets it: messages, exit codes, signals, links.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const OTTLA: &str = env!("CARGO_BIN_EXE_ottla");

fn run(arguments: &[&str]) -> Output {
    Command::new(OTTLA).args(arguments).output().expect("the binary runs")
}

/// Starts a server and returns it with the address of its Kafka listener.
fn start(directory: &Path) -> (Child, String) {
    let data = format!("log.dirs={}", directory.display());
    let mut child = Command::new(OTTLA)
        .args(["server", "--override", &data, "--override", "listeners=PLAINTEXT://127.0.0.1:0"])
        .args(["--override=ottla.http.listeners=127.0.0.1:0", "--log", "warn"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let stdout = BufReader::new(child.stdout.as_mut().expect("piped"));
    let mut block = stdout.lines().map(|line| line.expect("text"));
    let address = block.find_map(|line| Some(line.split_once("PLAINTEXT://")?.1.to_owned()));
    (child, address.expect("the block names the listener"))
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().expect("kill runs").success());
}

/// Its exit code, and what it said on standard error.
fn end(mut child: Child) -> (Option<i32>, String) {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(30) {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            let mut said = String::new();
            child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
            return (status.code(), said);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().expect("killed");
    panic!("the server does not end");
}

#[test]
fn keys_can_be_looked_up() {
    let say = |arguments: &[&str]| String::from_utf8(run(arguments).stdout).expect("text");
    let said = say(&["config", "log.segment", "bytes"]);
    assert!(said.contains("\nlog.segment.bytes (broker)\n") && said.contains("default 1073741824"), "{said}");
    assert!(!said.contains("log.segment.delete.delay.ms"), "{said}");
    assert!(say(&["config", "--status", "not-built", "ssl.keystore.location"]).contains("not built yet"));
    assert!(say(&["config", "--scope", "topic", "cleanup.policy"]).starts_with("cleanup.policy (topic)\n"));
    assert!(!say(&["config"]).is_empty());
}

#[test]
fn mistakes_are_one_sentence() {
    for (arguments, named) in [
        (&["server", "--override", "num.partitions=many"][..], "num.partitions"),
        (&["server", "--override", "listeners=SSL://:9092"], "PLAINTEXT"),
        (&["server", "/nowhere/server.properties"], "/nowhere/server.properties"),
        (&["serve"], "serve"),
        (&["config", "--scope", "shelf"], "shelf"),
        (&["config", "no.such.key.at.all"], "ottla config"),
        (&[], "ottla server"),
    ] {
        let output = run(arguments);
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(named), "{said}");
    }
    assert!(String::from_utf8(run(&["--version"]).stdout).expect("text").starts_with("ottla "));
}

#[test]
fn a_life_with_a_clean_end_and_one_without() {
    let directory = tempfile::tempdir().expect("directory");
    let clean = directory.path().join(".kafka_cleanshutdown");

    let (child, address) = start(directory.path());
    let second = run(&["server", "--override", &format!("log.dirs={}", directory.path().display())]);
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8(second.stderr).expect("text").contains("another process"));

    // A link with a tool's name is the tool.
    let link = directory.path().join("kafka-topics.sh");
    std::os::unix::fs::symlink(OTTLA, &link).expect("linked");
    let topics = |arguments: &[&str], address: &str| {
        let mut command = Command::new(&link);
        command.args(["--bootstrap-server", address]).args(arguments).output().expect("the tool runs")
    };
    assert!(topics(&["--create", "--topic", "t", "--partitions", "1"], &address).status.success());

    signal(&child, "-TERM");
    let (code, said) = end(child);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let text = std::fs::read_to_string(&clean).expect("a clean stop says so");
    let epoch = text.strip_prefix(r#"{"version":0,"brokerEpoch":"#).and_then(|rest| rest.strip_suffix('}'));
    assert!(epoch.is_some_and(|epoch| epoch.parse::<i64>().is_ok_and(|epoch| epoch >= 0)), "{text}");

    let (child, address) = start(directory.path());
    assert!(!clean.exists());
    let listed = topics(&["--list"], &address);
    assert_eq!(String::from_utf8(listed.stdout).expect("text"), "t\n");
    signal(&child, "-KILL");
    assert_eq!(end(child).0, None);
    assert!(!clean.exists());

    let (child, address) = start(directory.path());
    // What is acknowledged has a recovered log: a stop before that would not be a clean one.
    let mut producer = Command::new(OTTLA)
        .args(["kafka-console-producer", "--topic", "t", "--bootstrap-server", &address])
        .stdin(Stdio::piped())
        .spawn()
        .expect("the tool runs");
    producer.stdin.take().expect("piped").write_all(b"one\n").expect("written");
    assert!(producer.wait().expect("it ends").success());
    signal(&child, "-INT");
    assert_eq!(end(child).0, Some(0));
    assert!(clean.exists());
}

#[test]
fn what_is_logged_is_changed_while_it_runs() {
    let directory = tempfile::tempdir().expect("directory");
    let (child, address) = start(directory.path());
    let configs = |arguments: &[&str]| {
        let loggers = ["kafka-configs", "--bootstrap-server", &address, "--broker-logger", "1"];
        let output = run(&[&loggers, arguments].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    assert!(configs(&["--describe"]).contains("kafka.request.logger=WARN"));
    configs(&["--alter", "--add-config", "kafka.request.logger=DEBUG"]);
    let described = configs(&["--describe"]);
    assert!(
        described.contains("kafka.request.logger=DEBUG") && described.contains("root=WARN"),
        "{described}"
    );
    configs(&["--alter", "--delete-config", "kafka.request.logger"]);
    let said = configs(&["--describe"]);
    assert!(said.contains("kafka.request.logger=WARN"), "{said}");
    signal(&child, "-TERM");
    let (_, logged) = end(child);
    let requests: Vec<_> = logged.lines().filter(|line| line.contains("kafka.request.logger")).collect();
    assert!(requests.iter().any(|line| line.contains("api=\"DescribeConfigs\"")), "{logged}");
    assert_eq!(requests.len(), logged.lines().count(), "{logged}");
}
