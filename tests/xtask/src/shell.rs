//! Running other programs: each says what it is doing, has a time limit, and fails with advice.

use std::ffi::OsStr;
use std::fmt;
use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Why a step failed, and what the reader can do about it.
#[derive(Debug)]
pub struct Failure {
    what: String,
    advice: Option<String>,
}

impl Failure {
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), advice: None }
    }

    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(what)
    }

    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice.get_or_insert(advice.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.what)?;
        match &self.advice {
            Some(advice) => write!(out, "\n  what to do: {advice}"),
            None => Ok(()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}

pub type Outcome<T = ()> = Result<T, Failure>;

/// A command line built from words.
pub fn command<W: AsRef<OsStr>>(words: impl IntoIterator<Item = W>) -> Command {
    let mut words = words.into_iter();
    let program = words.next().expect("a command has a first word");
    let mut command = Command::new(program);
    command.args(words).current_dir(crate::repository::root());
    command
}

/// Runs a command with our output, until it ends or `limit` passes.
pub fn run(mut command: Command, limit: Duration) -> Outcome {
    println!("$ {}", shown(&command));
    let grouped = !std::io::stdin().is_terminal();
    if grouped {
        command.process_group(0);
    }
    let mut child = command.stdin(Stdio::null()).spawn().map_err(|error| not_started(&command, &error))?;
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return match status.success() {
                true => Ok(()),
                false => Err(Failure::new(format!("`{}` ended with {status}", shown(&command)))),
            };
        }
        if started.elapsed() > limit {
            stop(&mut child, grouped);
            let seconds = limit.as_secs();
            return Err(Failure::new(format!("`{}` did not end within {seconds} s", shown(&command))));
        }
        sleep(Duration::from_millis(50));
    }
}

fn not_started(command: &Command, error: &std::io::Error) -> Failure {
    let program = command.get_program().to_string_lossy().into_owned();
    Failure::new(format!("`{program}` could not be started: {error}"))
        .advise(format!("install `{program}` and put it on the PATH"))
}

/// Ends a child, with everything it started when it has a process group of its own.
fn stop(child: &mut Child, grouped: bool) {
    if grouped {
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]).status();
    }
    let _ = child.kill();
    let _ = child.wait();
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Runs a command without showing it and gives what it printed.
pub fn quiet(mut command: Command) -> Outcome<String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| not_started(&command, &error))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(Failure::new(format!("`{}` ended with {}:\n{said}", shown(&command), output.status)))
        }
    }
}
