//! A broker process that ends when we do, however we end.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a broker may take to end after SIGTERM.
pub const TERMINATE_MAX: Duration = Duration::from_secs(10);

/// Starts its arguments, says their process id, and kills them when its input ends: which it does
/// when the test's process is gone. Then, if it was told to, it removes the folder of their output.
const SUPERVISOR: &str = r#"
    out=$1; clean=$2; shift 2
    "$@" >>"$out" 2>&1 & echo $!
    read -r _
    kill -KILL $!; wait
    [ "$clean" != clean ] || rm -rf "${out%/*}"
"#;

/// A supervised process.
#[derive(Debug)]
pub struct Supervised {
    supervisor: Child,
    input: Option<ChildStdin>,
    pid: u32,
}

impl Supervised {
    /// Starts `command` with its output appended to `output`, whose folder goes with it if `clean`.
    pub fn start(command: &Command, output: &Path, clean: bool) -> Self {
        File::options().create(true).append(true).open(output).expect("the output file can be written");
        let mut supervisor = Command::new("bash");
        supervisor.args(["-c", SUPERVISOR, "supervisor"]).arg(output).arg(if clean {
            "clean"
        } else {
            "keep"
        });
        supervisor.arg(command.get_program()).args(command.get_args());
        supervisor.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        if let Some(directory) = command.get_current_dir() {
            supervisor.current_dir(directory);
        }
        let mut supervisor = supervisor
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("bash can be started");
        let mut line = String::new();
        let said = supervisor.stdout.take().expect("piped");
        BufReader::new(said).read_line(&mut line).expect("the supervisor says a process id");
        let pid = line.trim().parse().expect("a process id");
        let input = supervisor.stdin.take();
        Self { supervisor, input, pid }
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// True while the process is there and not a zombie.
    pub fn runs(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
    }

    /// Sends a signal, by its name with a hyphen.
    pub fn signal(&self, name: &str) {
        signal(name, self.pid);
    }

    /// SIGKILL, and its end.
    pub fn kill(self) {
        drop(self);
    }

    /// SIGTERM; true when the process ended by itself in time.
    pub fn terminate(self, patience: Duration) -> bool {
        signal("-TERM", self.pid);
        let asked = Instant::now();
        while self.runs() {
            if asked.elapsed() > patience {
                return false;
            }
            thread::sleep(Duration::from_millis(10));
        }
        true
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if self.runs() {
            signal("-KILL", self.pid);
        }
        self.input = None;
        let _ = self.supervisor.wait();
    }
}

fn signal(name: &str, pid: u32) {
    let _ = Command::new("kill").args([name, &pid.to_string()]).status();
}
