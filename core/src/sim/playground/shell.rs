//! A terminal on a broker's machine: a small shell around the tools, with the commands of lecture notes.

use std::collections::VecDeque;

use super::program::ToolProgram;
use super::view::{LineKind, LineView};
use crate::client::Target;
use crate::log::MemoryStore;
use crate::sim::{ProcessId, World};
use crate::tools::{self, Environment, Exit, Output, TOOLS, ToolEvent};

/// Lines that a terminal keeps.
const LINES_MAX: usize = 500;
/// Where Kafka is installed on every machine.
const BIN: &str = "/opt/kafka/bin";
const HOME: &str = "/";

type Machine = World<MemoryStore, ToolProgram>;

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

    /// How its last program ended.
    pub fn exit_code(&self) -> Option<i32> {
        self.exit_code
    }

    /// What stands before the next line.
    pub fn prompt(&self, world: &Machine) -> String {
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
    pub fn line(&mut self, world: &mut Machine, text: &str) {
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

    fn command(&mut self, world: &mut Machine, words: &[String]) {
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
            "ls" => self.ls(arguments.iter().find(|argument| !argument.starts_with('-'))),
            "jps" => self.print(LineKind::Out, "1 Kafka\n42 Jps"),
            "echo" => self.print(LineKind::Out, &arguments.join(" ")),
            "docker" => self.docker(arguments),
            "exit" => (self.inside, self.directory) = (false, HOME.to_owned()),
            _ => self.fail(127, &format!("{command}: command not found")),
        }
    }

    fn run(&mut self, world: &mut Machine, tool: &str, arguments: &[String]) {
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

    fn docker(&mut self, arguments: &[String]) {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["exec", rest @ ..] if rest.iter().any(|word| matches!(*word, "kafka" | "broker1")) => {
                (self.inside, self.directory) = (true, HOME.to_owned());
            }
            ["exec", ..] => self.fail(1, "Error: No such container: try docker exec -it kafka /bin/bash"),
            ["ps", ..] => self.print(LineKind::Out, "CONTAINER ID   IMAGE          PORTS                    NAMES\n0a1b2c3d4e5f   ottla/kafka    0.0.0.0:9092->9092/tcp   kafka"),
            _ => self.fail(1, "docker: here it knows exec and ps"),
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

    fn ls(&mut self, what: Option<&String>) {
        let path = what.map_or_else(|| self.directory.clone(), |what| self.absolute(what));
        if path == BIN {
            let names: Vec<String> = TOOLS.iter().map(|tool| format!("{tool}.sh")).collect();
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
        self.print(LineKind::Out, "  ls  cd  pwd  jps  echo  clear  help  docker exec -it kafka /bin/bash");
        self.print(LineKind::Out, "Each tool explains itself with --help.");
    }

    /// Ctrl-C.
    pub fn interrupt(&mut self, world: &mut Machine) {
        self.print(LineKind::Out, "^C");
        if let Some((id, _)) = &self.running {
            let id = *id;
            world.tell(id, ToolEvent::Interrupt);
        }
    }

    /// Ctrl-D.
    pub fn end_of_input(&mut self, world: &mut Machine) {
        if let Some((id, _)) = &self.running {
            let id = *id;
            world.tell(id, ToolEvent::EndOfInput);
        }
    }

    /// Prints what the program said, and notices its end.
    pub fn listen(&mut self, world: &mut Machine) {
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

fn directories() -> [&'static str; 5] {
    ["/", "/opt", "/opt/kafka", BIN, "/bin"]
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
