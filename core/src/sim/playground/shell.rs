//! A terminal on a broker's machine: a small shell around the tools, with the commands of lecture notes.

use std::collections::VecDeque;

use super::Machines;
use super::operation::{Operation, carry_out, process_id};
use super::program::ToolProgram;
use super::view::{LineKind, LineView};
use crate::client::Target;
use crate::sim::ProcessId;
use crate::tools::{self, Environment, Exit, Output, TOOLS, ToolEvent};

/// Lines that a terminal keeps.
const LINES_MAX: usize = 500;
/// Where Kafka is installed on every machine.
const BIN: &str = "/opt/kafka/bin";
const CONFIG: &str = "/opt/kafka/config";
const HOME: &str = "/";
/// Beside the tools.
const SERVER_SCRIPTS: [&str; 2] = ["kafka-server-start", "kafka-server-stop"];

/// One terminal.
#[derive(Clone, Debug)]
pub struct Terminal {
    id: u8,
    lines: VecDeque<LineView>,
    directory: String,
    inside: bool,
    running: Option<(ProcessId, String)>,
    exit_code: Option<i32>,
    /// A line of the program's output that has not ended.
    partial: String,
}

impl Terminal {
    /// A fresh one, in Kafka's directory.
    pub fn new(id: u8) -> Self {
        Self {
            id,
            lines: VecDeque::new(),
            directory: BIN.to_owned(),
            inside: true,
            running: None,
            exit_code: None,
            partial: String::new(),
        }
    }

    /// Its number.
    pub fn id(&self) -> u8 {
        self.id
    }

    /// What it shows, the oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &LineView> {
        self.lines.iter()
    }

    /// The program in it.
    pub fn running(&self) -> Option<&str> {
        self.running.as_ref().map(|(_, name)| name.as_str())
    }

    /// That program's process.
    pub fn process(&self) -> Option<ProcessId> {
        self.running.as_ref().map(|(id, _)| *id)
    }

    /// How its last program ended.
    pub fn exit_code(&self) -> Option<i32> {
        self.exit_code
    }

    /// What stands before the next line.
    pub fn prompt(&self, world: &Machines) -> String {
        if let Some((id, _)) = &self.running {
            let prompt = world.program(*id).and_then(|program| program.tool.prompt());
            return prompt.unwrap_or_default().to_owned();
        }
        if self.inside { format!("broker1:{}$ ", self.shown_directory()) } else { "$ ".to_owned() }
    }

    fn shown_directory(&self) -> &str {
        if self.directory == BIN { "bin" } else { &self.directory }
    }

    fn print(&mut self, kind: LineKind, text: &str) {
        for line in text.lines() {
            if self.lines.len() == LINES_MAX {
                self.lines.pop_front();
            }
            self.lines.push_back(LineView { kind, text: line.to_owned() });
        }
    }

    /// A line was typed.
    pub fn line(&mut self, world: &mut Machines, text: &str) {
        let prompt = self.prompt(world);
        if let Some((id, _)) = &self.running {
            let id = *id;
            self.print_typed(LineKind::Input, &prompt, text);
            return world.tell(id, ToolEvent::Line(text.to_owned()));
        }
        self.print_typed(LineKind::Prompt, &prompt, text);
        self.exit_code = Some(0);
        match words(text) {
            Ok(words) => self.command(world, &words),
            Err(reason) => self.fail(2, &reason),
        }
    }

    fn print_typed(&mut self, kind: LineKind, prompt: &str, text: &str) {
        let typed = format!("{prompt}{text}");
        self.print(kind, if typed.is_empty() { " " } else { &typed });
    }

    fn fail(&mut self, code: i32, reason: &str) {
        self.exit_code = Some(code);
        self.print(LineKind::Err, reason);
    }

    fn command(&mut self, world: &mut Machines, words: &[String]) {
        let Some((command, arguments)) = words.split_first() else { return };
        let name = command.rsplit('/').next().unwrap_or(command);
        let tool = name.strip_suffix(".sh").unwrap_or(name);
        if TOOLS.contains(&tool) {
            return self.run(world, tool, arguments);
        }
        match name {
            "help" => self.help(),
            "clear" => self.lines.clear(),
            "pwd" => {
                let directory = self.directory.clone();
                self.print(LineKind::Out, &directory);
            }
            "cd" => self.cd(arguments.first().map_or(HOME, String::as_str)),
            "ls" => self.ls(world, arguments.iter().find(|argument| !argument.starts_with('-'))),
            "jps" => self.jps(world, arguments),
            "kill" => self.kill(world, arguments),
            "kafka-server-start.sh" => self.server_start(world, arguments),
            "kafka-server-stop.sh" => self.server_stop(world, arguments),
            "echo" => self.print(LineKind::Out, &arguments.join(" ")),
            "docker" => self.docker(world, arguments),
            "exit" => (self.inside, self.directory) = (false, HOME.to_owned()),
            _ => self.fail(127, &format!("{command}: command not found")),
        }
    }

    fn run(&mut self, world: &mut Machines, tool: &str, arguments: &[String]) {
        let behind_zookeeper = Some(Target { host: "localhost".into(), port: 9092 });
        let environment = Environment { behind_zookeeper, ..Environment::default() };
        let started = tools::start(tool, arguments, &environment, world.rng());
        match started {
            Ok(tool_machine) => {
                let id = world.spawn(ToolProgram { tool: tool_machine, output: Output::default() });
                self.exit_code = None;
                self.running = Some((id, tool.to_owned()));
            }
            Err(Exit { stdout, stderr, code }) => {
                self.print(LineKind::Out, &stdout);
                self.print(LineKind::Err, &stderr);
                self.exit_code = Some(code);
            }
        }
    }

    /// Does something to a broker; how it fails is printed.
    fn operate(&mut self, world: &mut Machines, broker: i32, operation: Operation) -> bool {
        let done = carry_out(world, broker, operation);
        if let Err(reason) = &done {
            self.fail(1, reason);
        }
        done.is_ok()
    }

    fn jps(&mut self, world: &Machines, arguments: &[String]) {
        let has = |letter: char| arguments.iter().any(|flag| flag.starts_with('-') && flag.contains(letter));
        let name = if has('l') { "kafka.Kafka" } else { "Kafka" };
        for (id, process) in processes(world) {
            let file = if has('m') { format!(" {CONFIG}/server-{id}.properties") } else { String::new() };
            self.print(LineKind::Out, &format!("{process} {name}{file}"));
        }
        let own = if has('l') { "jdk.jcmd/sun.tools.jps.Jps" } else { "Jps" };
        self.print(LineKind::Out, &format!("{} {own}", 1_000 + u32::from(self.id)));
    }

    fn kill(&mut self, world: &mut Machines, arguments: &[String]) {
        let (signal, rest) = match arguments.split_first() {
            Some((flag, rest)) if flag == "-s" => match rest.split_first() {
                Some((signal, rest)) => (signal.as_str(), rest),
                None => ("", rest),
            },
            Some((flag, rest)) if flag.starts_with('-') => (&flag[1..], rest),
            _ => ("TERM", arguments),
        };
        let operation = match signal.strip_prefix("SIG").unwrap_or(signal) {
            "9" | "KILL" => Operation::Kill,
            "15" | "TERM" => Operation::Stop,
            "19" | "STOP" => Operation::Pause,
            "18" | "CONT" => Operation::Resume,
            _ => return self.fail(1, "kill: here it knows -9, -TERM, -STOP and -CONT"),
        };
        if rest.is_empty() {
            return self.fail(2, "kill: usage: kill [-s sigspec | -n signum | -sigspec] pid");
        }
        for word in rest {
            let broker = processes(world).find(|(_, process)| process.to_string() == *word).map(|(id, _)| id);
            match broker {
                Some(broker) => _ = self.operate(world, broker, operation),
                None => self.fail(1, &format!("kill: ({word}) - No such process")),
            }
        }
    }

    fn server_start(&mut self, world: &mut Machines, arguments: &[String]) {
        let is_daemon = arguments.iter().any(|argument| argument == "-daemon");
        let Some(file) = arguments.iter().find(|argument| !argument.starts_with('-')) else {
            return self.fail(
                1,
                "USAGE: kafka-server-start.sh [-daemon] server.properties [--override property=value]*",
            );
        };
        if !is_daemon {
            return self.fail(1, &format!("here it wants -daemon: kafka-server-start.sh -daemon {file}"));
        }
        let path = self.absolute(file);
        let broker =
            world.hosts().map(|(id, _)| id).find(|id| path == format!("{CONFIG}/server-{id}.properties"));
        match broker {
            Some(broker) => _ = self.operate(world, broker, Operation::Start),
            None => self.fail(1, &format!("{file}: No such file: ls {CONFIG}")),
        }
    }

    /// KIP-979: all of them, or the one of `--node-id=`.
    fn server_stop(&mut self, world: &mut Machines, arguments: &[String]) {
        let mut after = arguments.iter().skip_while(|argument| *argument != "--node-id");
        let of_word = || arguments.iter().find_map(|argument| argument.strip_prefix("--node-id="));
        let wanted = after.nth(1).map(String::as_str).or_else(of_word);
        let is_wanted = |id: i32| wanted.is_none_or(|wanted| wanted == id.to_string());
        let brokers: Vec<i32> = processes(world).map(|(id, _)| id).filter(|id| is_wanted(*id)).collect();
        if brokers.is_empty() {
            self.fail(1, "No kafka server to stop");
        }
        for broker in brokers {
            self.operate(world, broker, Operation::Stop);
        }
    }

    fn docker(&mut self, world: &mut Machines, arguments: &[String]) {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let operation = match words.as_slice() {
            ["kill", _] => Operation::Kill,
            ["stop", _] => Operation::Stop,
            ["start", _] => Operation::Start,
            ["pause", _] => Operation::Pause,
            ["unpause", _] => Operation::Resume,
            ["network", "disconnect", "kafka", _] => Operation::CutOff,
            ["network", "connect", "kafka", _] => Operation::Reconnect,
            ["exec", rest @ ..] if rest.iter().any(|word| container(world, word).is_some()) => {
                (self.inside, self.directory) = (true, HOME.to_owned());
                return;
            }
            ["exec", ..] => {
                return self.fail(1, "Error: No such container: try docker exec -it kafka /bin/bash");
            }
            ["ps", ..] => return self.docker_ps(world),
            _ => {
                return self.fail(
                    1,
                    "docker: here it knows exec, ps, kill, stop, start, pause, unpause and network connect, disconnect",
                );
            }
        };
        let name = words.last().copied().unwrap_or_default();
        let Some(broker) = container(world, name) else {
            return self.fail(1, &format!("Error response from daemon: No such container: {name}"));
        };
        if self.operate(world, broker, operation) && words.len() == 2 {
            self.print(LineKind::Out, name);
        }
    }

    fn docker_ps(&mut self, world: &Machines) {
        self.print(
            LineKind::Out,
            "CONTAINER ID   IMAGE         STATUS        PORTS                    NAMES",
        );
        for (id, host) in world.hosts().filter(|(_, host)| host.node().is_some()) {
            let port = host.config.advertised_listeners.first().map_or(0, |listener| listener.port);
            let status = if world.is_paused(id) { "Up (Paused)" } else { "Up" };
            self.print(
                LineKind::Out,
                &format!(
                    "0a1b2c3d4e{id:02}   ottla/kafka   {status:<11}   0.0.0.0:{port}->{port}/tcp   kafka-{id}"
                ),
            );
        }
    }

    fn cd(&mut self, to: &str) {
        let path = self.absolute(to);
        if directories().contains(&path.as_str()) {
            self.directory = path;
        } else {
            self.fail(1, &format!("cd: {to}: No such file or directory"));
        }
    }

    fn ls(&mut self, world: &Machines, what: Option<&String>) {
        let path = what.map_or_else(|| self.directory.clone(), |what| self.absolute(what));
        if path == BIN {
            let tools = TOOLS.iter().chain(&SERVER_SCRIPTS);
            let names: Vec<String> = tools.map(|tool| format!("{tool}.sh")).collect();
            return self.print(LineKind::Out, &names.join("\n"));
        }
        if path == CONFIG {
            let names: Vec<String> = world.hosts().map(|(id, _)| format!("server-{id}.properties")).collect();
            return self.print(LineKind::Out, &names.join("\n"));
        }
        let below = if path == "/" { path.clone() } else { format!("{path}/") };
        let children: Vec<&str> = directories()
            .into_iter()
            .filter_map(|directory| directory.strip_prefix(below.as_str()))
            .filter(|rest| !rest.is_empty() && !rest.contains('/'))
            .collect();
        if !directories().contains(&path.as_str()) {
            return self.fail(2, &format!("ls: cannot access '{path}': No such file or directory"));
        }
        self.print(LineKind::Out, &children.join("\n"));
    }

    fn absolute(&self, path: &str) -> String {
        let joined =
            if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", self.directory) };
        let mut parts: Vec<&str> = Vec::new();
        for part in joined.split('/') {
            match part {
                "" | "." => {}
                ".." => _ = parts.pop(),
                part => parts.push(part),
            }
        }
        format!("/{}", parts.join("/"))
    }

    fn help(&mut self) {
        let tools: Vec<String> = TOOLS.iter().map(|tool| format!("  {tool}.sh")).collect();
        self.print(LineKind::Out, &tools.join("\n"));
        self.print(LineKind::Out, "  kafka-server-stop.sh --node-id=1");
        self.print(LineKind::Out, "  kafka-server-start.sh -daemon /opt/kafka/config/server-1.properties");
        self.print(LineKind::Out, "  jps -m  kill -9 PID  kill -STOP PID  kill -CONT PID");
        self.print(
            LineKind::Out,
            "  docker network disconnect kafka kafka-1  docker network connect kafka kafka-1",
        );
        self.print(
            LineKind::Out,
            "  ls  cd  pwd  echo  clear  help  docker ps  docker exec -it kafka /bin/bash",
        );
        self.print(LineKind::Out, "Each tool explains itself with --help.");
    }

    /// Ctrl-C.
    pub fn interrupt(&mut self, world: &mut Machines) {
        self.print(LineKind::Out, "^C");
        if let Some((id, _)) = &self.running {
            let id = *id;
            world.tell(id, ToolEvent::Interrupt);
        }
    }

    /// Ctrl-D.
    pub fn end_of_input(&mut self, world: &mut Machines) {
        if let Some((id, _)) = &self.running {
            let id = *id;
            world.tell(id, ToolEvent::EndOfInput);
        }
    }

    /// Prints what the program said, and notices its end.
    pub fn listen(&mut self, world: &mut Machines) {
        let Some((id, _)) = &self.running else { return };
        let id = *id;
        let Some(program) = world.program_mut(id) else { return self.running = None };
        let Output { stdout, stderr } = std::mem::take(&mut program.output);
        let ended = program.tool.exit_code();
        let text = std::mem::take(&mut self.partial) + &stdout;
        let (whole, rest) = match text.rsplit_once('\n') {
            Some((whole, rest)) => (whole, rest),
            None => ("", text.as_str()),
        };
        // The prompt of a program stands before its input line, not among its output.
        self.print(LineKind::Out, whole);
        self.partial = rest.trim_start_matches('>').to_owned();
        self.print(LineKind::Err, &stderr);
        if let Some(code) = ended {
            let partial = std::mem::take(&mut self.partial);
            self.print(LineKind::Out, &partial);
            world.reap(id);
            self.running = None;
            self.exit_code = Some(code);
        }
    }
}

fn directories() -> [&'static str; 6] {
    ["/", "/opt", "/opt/kafka", BIN, CONFIG, "/bin"]
}

/// Brokers that run, and the numbers of their processes.
fn processes(world: &Machines) -> impl Iterator<Item = (i32, u32)> {
    let running = world.hosts().filter(|(_, host)| host.node().is_some());
    running.map(|(id, host)| (id, process_id(id, host.incarnation())))
}

/// The broker in a container. `kafka` alone is the first.
fn container(world: &Machines, name: &str) -> Option<i32> {
    let is_named = |id: i32| {
        name == format!("kafka-{id}") || name == format!("broker{id}") || (id == 1 && name == "kafka")
    };
    world.hosts().map(|(id, _)| id).find(|id| is_named(*id))
}

/// Words as a shell splits them: quotes and backslashes protect blanks.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' | '"' => {
                let word = word.get_or_insert_with(String::new);
                loop {
                    match letters.next() {
                        Some(inner) if inner == letter => break,
                        Some(inner) => word.push(inner),
                        None => {
                            return Err("unexpected end of line while looking for matching quote".to_owned());
                        }
                    }
                }
            }
            '\\' => word.get_or_insert_with(String::new).extend(letters.next()),
            letter if letter.is_whitespace() => words.extend(word.take()),
            letter => word.get_or_insert_with(String::new).push(letter),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_keep_what_quotes_protect() {
        assert_eq!(words("a  'b c' \"d\"e f\\ g").unwrap(), ["a", "b c", "de", "f g"]);
        assert!(words("'open").is_err());
    }
}
