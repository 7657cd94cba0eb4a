//! Running a client program to its end and keeping what it printed.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a client program may take: all of them finish in a fraction of it.
const PROGRAM_MAX: Duration = Duration::from_secs(120);

/// What a program printed and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// Its standard output, when it ended well; else a panic that shows everything.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "the program failed:\n{}\n{}", self.out, self.err);
        self.out
    }
}

/// A command built from words, run in the top of the checkout.
pub fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(crate::root());
    command
}

/// Runs `command` with `input` on its standard input.
pub fn run_with(mut command: Command, input: &str) -> Ended {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{shown}: {error}; `cargo xtask test` installs what is missing"));
    let out = collect(child.stdout.take().expect("piped"));
    let err = collect(child.stderr.take().expect("piped"));
    // A program that ends before it read everything closes the pipe: not our concern.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break status;
        }
        if started.elapsed() > PROGRAM_MAX {
            let _ = child.kill();
            let status = child.wait().expect("a child can be waited for");
            let (out, err) = (out.join().expect("read"), err.join().expect("read"));
            panic!("{shown}: not ended after {} s ({status})\n{out}\n{err}", PROGRAM_MAX.as_secs());
        }
        thread::sleep(Duration::from_millis(10));
    };
    Ended { code: status.code(), out: out.join().expect("read"), err: err.join().expect("read") }
}

/// Runs `command` with nothing on its standard input.
pub fn run(command: Command) -> Ended {
    run_with(command, "")
}

fn collect(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The class path that holds Apache Kafka 4.3.1, its tools and its clients.
pub fn class_path() -> String {
    let jars = crate::tools().join("kafka-4.3.1");
    assert!(
        jars.is_dir(),
        "{} is missing: `cargo xtask test --only clients` installs Apache Kafka's jars there",
        jars.display()
    );
    format!("{}/*", jars.display())
}

/// A JVM that starts fast and stays small, about to run `class` of Apache Kafka's.
pub fn java(class: &str, arguments: &[&str]) -> Command {
    java_with(&class_path(), class, arguments)
}

/// The same with a class path of the caller's.
pub fn java_with(class_path: &str, class: &str, arguments: &[&str]) -> Command {
    let logging = crate::root().join("tests/peers/log4j2.properties");
    let mut java =
        command(&["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]);
    java.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
    java.args(["-cp", class_path, class]).args(arguments);
    java
}

/// A program of the Python environment that `cargo xtask test` made.
pub fn python() -> PathBuf {
    crate::tools().join("python/bin/python")
}
