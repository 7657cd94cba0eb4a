//! Kafka's tools natively: `core::tools` over blocking sockets, standard input and output.
//!
//! One thread drives the tool; others read its links, standard input, and wait for Ctrl-C.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ottla_core::client::{LinkEvent, Target};
use ottla_core::rng::Rng;
use ottla_core::time::{Instant, Now};
use ottla_core::tools::{
    self, Check, DUMP_LOG, DumpLent, DumpLog, Environment, Exit, Output, STORAGE, TOOLS, Tool, ToolCx,
    ToolEvent,
};

use crate::compressors::compressors;
use crate::links::Links;
use crate::lock::DirectoryLocks;
use crate::store::FileStore;

/// Lines that are read ahead of the records that have not been delivered.
const LINES_AHEAD: usize = 10_000;
/// Options that name a file whose contents a tool needs.
const FILE_OPTIONS: [&str; 15] = [
    "--command-config",
    "-c",
    "--config",
    "--add-config-file",
    "--offset-json-file",
    "--producer.config",
    "--consumer.config",
    "--reader-config",
    "--formatter-config",
    "--from-file",
    "--payload-file",
    "--admin.config",
    "--path-to-json-file",
    "--topics-to-move-json-file",
    "--reassignment-json-file",
];

/// All tools of Kafka's that Ottla has, by name.
pub fn names() -> impl Iterator<Item = &'static str> {
    TOOLS.iter().copied().chain([DUMP_LOG, STORAGE])
}

/// Whether Kafka has a tool of this name that Ottla has too; `.sh` may follow it.
pub fn is_tool(name: &str) -> bool {
    let name = name.strip_suffix(".sh").unwrap_or(name);
    names().any(|tool| tool == name)
}

/// Runs a tool to its end.
pub fn run(name: &str, arguments: &[String]) -> ExitCode {
    match name.strip_suffix(".sh").unwrap_or(name) {
        DUMP_LOG => return dump_log(arguments),
        STORAGE => return crate::format::run_storage(arguments),
        _ => {}
    }
    let seed = std::collections::hash_map::RandomState::new().build_hasher().finish();
    match tools::start(name, arguments, &environment(arguments), &mut Rng::from_seed(seed)) {
        Ok(tool) => exit_code(drive(tool)),
        Err(exit) => end(exit),
    }
}

/// Says why a tool did not start, or all that it has to say.
pub fn end(Exit { stdout, stderr, code }: Exit) -> ExitCode {
    print(&Output { stdout, stderr });
    exit_code(code)
}

/// The tool that reads files and needs no cluster.
fn dump_log(arguments: &[String]) -> ExitCode {
    let tool = match DumpLog::start(arguments) {
        Ok(tool) => tool,
        Err(exit) => return end(exit),
    };
    let directory = std::env::current_dir().unwrap_or_default();
    let compressors = compressors();
    let lent = DumpLent { compressors: &compressors, current_directory: &directory.to_string_lossy() };
    let mut said = Buffered::default();
    let code = tool.run(&mut FileStore::for_reading(), lent, &mut |output| said.say(output));
    said.flush();
    exit_code(code)
}

/// `ottla check`: looks over log directories that no broker uses, and keeps brokers out of them meanwhile.
pub fn check(arguments: &[String]) -> ExitCode {
    let check = match Check::start(arguments) {
        Ok(check) => check,
        Err(exit) => return end(exit),
    };
    let directories = check.directories().iter().map(String::as_str);
    let _locks = match DirectoryLocks::share(directories) {
        Ok(locks) => locks,
        Err(stderr) => return end(Exit { stdout: String::new(), stderr: format!("{stderr}\n"), code: 2 }),
    };
    let mut said = Buffered::default();
    let code = check.run(&mut FileStore::for_reading(), &compressors(), &mut |output| said.say(output));
    said.flush();
    exit_code(code)
}

/// What a tool says, printed in pieces that are worth a system call.
#[derive(Default)]
struct Buffered(Output);

impl Buffered {
    fn say(&mut self, output: Output) {
        self.0.stdout.push_str(&output.stdout);
        self.0.stderr.push_str(&output.stderr);
        if self.0.stdout.len() > 64 << 10 || !self.0.stderr.is_empty() {
            self.flush();
        }
    }

    fn flush(&mut self) {
        print(&std::mem::take(&mut self.0));
    }
}

fn exit_code(code: i32) -> ExitCode {
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// What the arguments name outside of the tool: files, and the broker behind a ZooKeeper.
fn environment(arguments: &[String]) -> Environment {
    let mut files = BTreeMap::new();
    let mut behind_zookeeper = None;
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let (option, attached) = match argument.split_once('=') {
            Some((option, value)) => (option, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        if FILE_OPTIONS.contains(&option) {
            let Some(path) = attached.or_else(|| rest.next().cloned()) else { continue };
            read_into(&mut files, path);
        } else if option == "--zookeeper" {
            behind_zookeeper =
                attached.or_else(|| rest.next().cloned()).and_then(|address| broker_behind(&address));
        }
    }
    let current_directory = std::env::current_dir().unwrap_or_default().to_string_lossy().into_owned();
    Environment { behind_zookeeper, files, current_directory }
}

/// Reads a file that arguments name, and the one that says whose metadata directory it names. Tools say themselves what they miss.
fn read_into(files: &mut BTreeMap<String, String>, path: String) {
    let Ok(text) = std::fs::read_to_string(&path) else { return };
    if let Some(directory) = tools::metadata_directory(&text) {
        let meta = tools::meta_properties(&directory);
        files.extend(std::fs::read_to_string(&meta).map(|text| (meta, text)));
    }
    files.insert(path, text);
}

/// Ottla's broker listens where its ZooKeeper does, on Kafka's port.
fn broker_behind(zookeeper: &str) -> Option<Target> {
    let first = zookeeper.split([',', '/']).next()?;
    let (host, port) = first.rsplit_once(':').unwrap_or((first, "2181"));
    let port = if port == "2181" { 9092 } else { port.parse().ok()? };
    Some(Target { host: host.into(), port })
}

/// What happens to a tool.
struct Event(ToolEvent);

impl From<LinkEvent> for Event {
    fn from(event: LinkEvent) -> Self {
        Self(ToolEvent::Link(event))
    }
}

fn drive(mut tool: Tool) -> i32 {
    let (events, inbox) = channel();
    let mut links = Links::new(events.clone());
    let (tokens, taken) = sync_channel(LINES_AHEAD);
    let prompt = tool.prompt().filter(|_| io::stdin().is_terminal());
    if tool.reads_input() {
        let events = events.clone();
        std::thread::spawn(move || read_lines(&events, &tokens));
    }
    if tool.ends_by_interrupt() {
        std::thread::spawn(move || wait_for_interrupts(&events));
    }
    let (compressors, started) = (compressors(), std::time::Instant::now());
    let mut event = Some(ToolEvent::Tick);
    let mut undelivered = 0_usize;
    if let Some(prompt) = prompt {
        print(&Output { stdout: prompt.to_owned(), ..Output::default() });
    }
    loop {
        let mut output = Output::default();
        while let Some(current) = event.take() {
            undelivered += usize::from(matches!(current, ToolEvent::Line(_)));
            let prompts = prompt.filter(|_| matches!(current, ToolEvent::Line(_)));
            let mut cx = ToolCx { now: now(started), compressors: &compressors, output: &mut output };
            tool.handle(&mut cx, current);
            tool.take_effects().into_iter().for_each(|effect| links.perform(effect));
            output.stdout.push_str(prompts.unwrap_or_default());
            // What is there already is handled before anything is printed.
            if tool.exit_code().is_none() && output.stdout.len() + output.stderr.len() < 64 << 10 {
                event = inbox.try_recv().ok().map(|Event(event)| event);
            }
        }
        print(&output);
        if let Some(code) = tool.exit_code() {
            return code;
        }
        while undelivered > tool.undelivered() && taken.try_recv().is_ok() {
            undelivered -= 1;
        }
        event = Some(next(&inbox, tool.deadline(), now(started).monotonic));
    }
}

fn next(inbox: &Receiver<Event>, deadline: Option<Instant>, now: Instant) -> ToolEvent {
    let wait = deadline.map_or(Duration::from_secs(3600), |deadline| {
        Duration::from_micros(deadline.0.saturating_sub(now.0)).min(Duration::from_secs(3600))
    });
    match inbox.recv_timeout(wait) {
        Ok(Event(event)) => event,
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => ToolEvent::Tick,
    }
}

fn now(started: std::time::Instant) -> Now {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    Now {
        monotonic: Instant(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX)),
        wall: i64::try_from(wall).unwrap_or(i64::MAX),
    }
}

/// Prints; when the reader has gone there is nobody left to work for.
fn print(output: &Output) {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(output.stdout.as_bytes()).and_then(|()| stdout.flush());
    let _ = io::stderr().lock().write_all(output.stderr.as_bytes());
    if written.is_err() {
        std::process::exit(0);
    }
}

fn read_lines(events: &Sender<Event>, tokens: &SyncSender<()>) {
    let mut input = io::stdin().lock();
    loop {
        let mut line = Vec::new();
        match input.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        if tokens.send(()).is_err() || events.send(Event(ToolEvent::Line(line))).is_err() {
            return;
        }
    }
    let _ = events.send(Event(ToolEvent::EndOfInput));
}

fn wait_for_interrupts(events: &Sender<Event>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
    runtime.block_on(async {
        let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        else {
            return;
        };
        loop {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            if events.send(Event(ToolEvent::Interrupt)).is_err() {
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broker_behind_a_zookeeper() {
        let behind = |address| broker_behind(address).map(|target| (target.host.to_string(), target.port));
        assert_eq!(behind("zookeeper:2181/kafka"), Some(("zookeeper".into(), 9092)));
        assert_eq!(behind("localhost:19092,other:1"), Some(("localhost".into(), 19092)));
        assert_eq!(behind("localhost"), Some(("localhost".into(), 9092)));
    }

    #[test]
    fn tools_go_by_their_scripts_names() {
        assert!(is_tool("kafka-topics") && is_tool("kafka-topics.sh") && !is_tool("server"));
    }
}
