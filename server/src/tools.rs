//! Kafka's command-line tools, natively: the machines of `core::tools` over blocking sockets, standard input and output.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use ottla_core::client::LinkEvent;
use ottla_core::rng::Rng;
use ottla_core::tools::{self, Environment, Exit, Output, TOOLS, Tool, ToolCx, ToolEvent};

use crate::cli::refuse;
use crate::compressors::compressors;
use crate::driver::Clock;
use crate::links::Links;

/// How often a tool without a deadline is looked at.
const PATIENCE: Duration = Duration::from_secs(60);

/// Lines of input read ahead of the tool.
const LINES_AHEAD_MAX: usize = 1_024;

/// Whether the binary was asked for a tool, with or without `.sh`.
pub fn is_tool(name: &str) -> bool {
    TOOLS.contains(&name.strip_suffix(".sh").unwrap_or(name))
}

/// Runs a tool to its end.
pub fn run(name: &str, arguments: &[String]) -> ExitCode {
    let environment = match environment(arguments) {
        Ok(environment) => environment,
        Err(sentence) => return refuse(&sentence),
    };
    let seed = match crate::server::seed() {
        Ok(seed) => seed,
        Err(sentence) => return refuse(&sentence),
    };
    match tools::start(name, arguments, &environment, &mut Rng::from_seed(seed)) {
        Ok(tool) => exit(drive(tool)),
        Err(Exit { stdout, stderr, code }) => {
            say(&Output { stdout, stderr });
            exit(code)
        }
    }
}

fn exit(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// What a thread tells the one that drives the tool.
enum Happened {
    Tool(ToolEvent),
    /// A line, or the end of the input. The reader waits for room before the next.
    Input(Option<String>),
}

impl From<LinkEvent> for Happened {
    fn from(event: LinkEvent) -> Self {
        Self::Tool(ToolEvent::Link(event))
    }
}

/// The tool's loop; its exit code.
fn drive(mut tool: Tool) -> i32 {
    let (clock, compressors) = (Clock::start(), compressors());
    let (happen, happened): (Sender<Happened>, Receiver<Happened>) = mpsc::channel();
    let mut links = Links::new(happen.clone());
    let prompt = tool.prompt().filter(|_| io::stdin().is_terminal() && io::stdout().is_terminal());
    let room = tool.prompt().map(|_| read_input(happen.clone()));
    on_interrupt(happen);
    let write_prompt = || {
        if let Some(prompt) = prompt {
            say(&Output { stdout: prompt.to_owned(), stderr: String::new() });
        }
    };
    write_prompt();
    let mut next = Some(ToolEvent::Tick);
    loop {
        if let Some(event) = next.take() {
            let mut output = Output::default();
            tool.handle(
                &mut ToolCx { now: clock.now(), compressors: &compressors, output: &mut output },
                event,
            );
            if !say(&output) {
                // Nobody reads any more, as after `| head`.
                return tool.exit_code().unwrap_or(0);
            }
            for effect in tool.take_effects() {
                links.perform(effect);
            }
            if let Some(code) = tool.exit_code() {
                return code;
            }
        }
        let until =
            tool.deadline().map(|at| clock.instant(at).saturating_duration_since(std::time::Instant::now()));
        next = match happened.recv_timeout(until.unwrap_or(PATIENCE).min(PATIENCE)) {
            Ok(Happened::Tool(event)) => Some(event),
            Ok(Happened::Input(line)) => {
                if let Some(room) = &room {
                    let _ = room.send(());
                }
                if line.is_some() {
                    write_prompt();
                }
                Some(line.map_or(ToolEvent::EndOfInput, ToolEvent::Line))
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                let is_due = tool.deadline().is_some_and(|at| at <= clock.monotonic());
                is_due.then_some(ToolEvent::Tick)
            }
        };
    }
}

/// Reads lines on a thread of its own; each `()` that is sent back makes room for one more.
fn read_input(happen: Sender<Happened>) -> Sender<()> {
    let (room, taken) = mpsc::channel();
    std::thread::spawn(move || {
        let mut ahead = 0;
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if happen.send(Happened::Input(Some(line))).is_err() {
                return;
            }
            ahead += 1;
            ahead -= taken.try_iter().count();
            if ahead >= LINES_AHEAD_MAX {
                if taken.recv().is_err() {
                    return;
                }
                ahead -= 1;
            }
        }
        let _ = happen.send(Happened::Input(None));
    });
    room
}

/// Ctrl-C ends a tool in good order; a second one ends it at once.
fn on_interrupt(happen: Sender<Happened>) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            let mut interrupts = 0;
            while tokio::signal::ctrl_c().await.is_ok() {
                interrupts += 1;
                if interrupts > 1 || happen.send(Happened::Tool(ToolEvent::Interrupt)).is_err() {
                    std::process::exit(130);
                }
            }
        });
    });
}

/// Prints what a tool says. `false` when nobody reads it.
fn say(output: &Output) -> bool {
    let _ = io::stderr().write_all(output.stderr.as_bytes());
    let mut stdout = io::stdout().lock();
    stdout.write_all(output.stdout.as_bytes()).and_then(|()| stdout.flush()).is_ok()
}

/// The files that arguments name, read for the tool.
fn environment(arguments: &[String]) -> Result<Environment, String> {
    let mut environment = Environment { behind_zookeeper: None, files: Default::default() };
    let names_file = |option: &str| {
        let option = option.trim_start_matches('-');
        option.ends_with("config") || option.ends_with("config-file") || option.ends_with("-file")
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let (option, value) = match argument.split_once('=') {
            Some((option, value)) => (option, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        if !option.starts_with("--") || !names_file(option) {
            continue;
        }
        // `--config key=value` of a topic looks like it and is no file.
        let path = value.or_else(|| arguments.next().cloned()).unwrap_or_default();
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                environment.files.insert(path, text);
            }
            Err(_) if option == "--config" => {}
            Err(error) => return Err(format!("{path}: {error}")),
        }
    }
    Ok(environment)
}
