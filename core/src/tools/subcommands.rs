//! Arguments of the tools that have commands of their own: options of the tool, the command, options of the command.

use super::Exit;
use super::options::{OptionSpec, Options, Takes, value};

/// A tool and its commands.
#[derive(Clone, Copy, Debug)]
pub struct Grammar {
    pub name: &'static str,
    pub about: &'static str,
    /// Options that stand before the command.
    pub options: &'static [OptionSpec],
    pub commands: &'static [Command],
    /// Letters that options go by, besides.
    pub letters: &'static [(char, &'static str)],
    /// The cluster has to be named, unless that is seen to later.
    pub needs_cluster: bool,
}

/// One of a tool's commands.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    pub name: &'static str,
    pub help: &'static str,
    pub options: &'static [OptionSpec],
    pub required: &'static [&'static str],
    /// Options whose value is a number.
    pub numbers: &'static [&'static str],
}

/// Where the cluster is, which is one of these.
pub const CLUSTER: [OptionSpec; 2] = [
    value("bootstrap-server", "host:port", "A server of the cluster, or several, separated by commas."),
    value(
        "bootstrap-controller",
        "host:port",
        "A controller of the cluster, or several, separated by commas.",
    ),
];

/// What was not understood, and in which command.
#[derive(Debug)]
pub struct Misread {
    /// What is said before the error, or as the help.
    pub usage: String,
    /// The error; `None` where help was asked for.
    pub error: Option<String>,
}

impl Grammar {
    /// The command, and all options.
    pub fn read(&self, arguments: &[String]) -> Result<(&'static Command, Options), Misread> {
        let mut options = Options::default();
        let mut command: Option<&'static Command> = None;
        let mut rest = arguments.iter().peekable();
        while let Some(argument) = rest.next() {
            let before = command;
            let misread = |error: String| Misread { usage: self.usage(before), error: Some(error) };
            if matches!(argument.as_str(), "-h" | "--help") {
                return Err(Misread { usage: self.help(command), error: None });
            }
            if !argument.starts_with('-') && command.is_none() {
                command = self.commands.iter().find(|command| command.name == argument);
                if command.is_none() {
                    return Err(misread(self.invalid_choice(argument)));
                }
                continue;
            }
            let known = command.map_or(self.options, |command| command.options);
            let (name, inline) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (argument.as_str(), None),
            };
            let Some(spec) = self.find(known, name).map_err(misread)? else {
                return Err(misread(format!("unrecognized arguments: '{argument}'")));
            };
            let label = self.label(spec.name);
            let is_value = |next: &String| !next.starts_with('-') || next.parse::<f64>().is_ok();
            let given = match (spec.takes, inline) {
                (Takes::Nothing, None) => String::new(),
                (Takes::Nothing, Some(value)) => {
                    return Err(misread(format!("argument {label}: ignored explicit argument '{value}'")));
                }
                (_, Some(value)) => value,
                (_, None) => match rest.next_if(|next| is_value(next)) {
                    Some(value) => value.clone(),
                    None => return Err(misread(format!("argument {label}: expected one argument"))),
                },
            };
            if command.is_some_and(|command| command.numbers.contains(&spec.name))
                && given.parse::<i32>().is_err()
            {
                let reason =
                    format!("could not convert '{given}' to Integer (For input string: \"{given}\")");
                return Err(misread(format!("argument {label}: {reason}")));
            }
            let other = CLUSTER.iter().find(|other| other.name != spec.name && options.has(other.name));
            if let Some(other) = other.filter(|_| CLUSTER.iter().any(|one| one.name == spec.name)) {
                let sentence =
                    format!("argument {label}: not allowed with argument {}", self.label(other.name));
                return Err(misread(sentence));
            }
            options.give(spec.name, given);
        }
        let misread = |error: String| Misread { usage: self.usage(command), error: Some(error) };
        let Some(found) = command else { return Err(misread("too few arguments".into())) };
        if let Some(missing) = found.required.iter().rev().find(|name| !options.has(name)) {
            return Err(misread(format!("argument {} is required", self.label(missing))));
        }
        if self.needs_cluster && !CLUSTER.iter().any(|one| options.has(one.name)) {
            let labels = CLUSTER.map(|one| self.label(one.name)).join(" ");
            let usage = if self.options.is_empty() { self.usage(command) } else { self.usage(None) };
            return Err(Misread { usage, error: Some(format!("one of the arguments {labels} is required")) });
        }
        Ok((found, options))
    }

    fn find(&self, known: &'static [OptionSpec], name: &str) -> Result<Option<&'static OptionSpec>, String> {
        let named = |name: &str| known.iter().find(|spec| spec.name == name);
        let Some(long) = name.strip_prefix("--") else {
            let letter =
                self.letters.iter().find(|(letter, _)| name.strip_prefix('-') == Some(&letter.to_string()));
            return Ok(letter.and_then(|(_, name)| named(name)));
        };
        if let Some(spec) = named(long) {
            return Ok(Some(spec));
        }
        let mut matching: Vec<_> = known.iter().filter(|spec| spec.name.starts_with(long)).collect();
        if matching.len() > 1 {
            matching.sort_unstable_by_key(|spec| spec.name);
            let names: Vec<String> = matching.iter().map(|spec| format!("--{}", spec.name)).collect();
            return Err(format!("ambiguous option: {name} could match {}", names.join(", ")));
        }
        Ok(matching.pop())
    }

    /// `--id/-i`.
    fn label(&self, name: &str) -> String {
        let letter = self.letters.iter().find(|(_, option)| *option == name);
        letter.map_or(format!("--{name}"), |(letter, _)| format!("--{name}/-{letter}"))
    }

    fn invalid_choice(&self, word: &str) -> String {
        let names: Vec<String> = self.commands.iter().map(|command| format!("'{}'", command.name)).collect();
        format!("invalid choice: '{word}' (choose from {})", names.join(", "))
    }

    /// One line of the options that there are.
    fn usage(&self, command: Option<&Command>) -> String {
        let required = command.map_or(&[][..], |command| command.required);
        let words = command.map_or(self.options, |command| command.options).iter().map(|spec| {
            let word = match spec.takes {
                Takes::Nothing => format!("--{}", spec.name),
                _ => format!("--{} {}", spec.name, spec.name.replace('-', "_").to_uppercase()),
            };
            if required.contains(&spec.name) { word } else { format!("[{word}]") }
        });
        let words: Vec<String> = words.collect();
        let names: Vec<&str> = self.commands.iter().map(|command| command.name).collect();
        let (before, after) = match command {
            Some(command) => (format!("{} ", command.name), String::new()),
            None => (String::new(), format!(" {{{}}} ...", names.join(","))),
        };
        format!("usage: {} {before}[-h] {}{after}\n", self.name, words.join(" ")).replace("  ", " ")
    }

    fn help(&self, command: Option<&Command>) -> String {
        let mut text = self.usage(command);
        let mut lines: Vec<(String, &str)> = Vec::new();
        match command {
            Some(command) => text.push_str(&format!("\n{}\n", command.help)),
            None => {
                text.push_str(&format!("\n{}\n", self.about));
                lines.extend(self.commands.iter().map(|command| (command.name.to_owned(), command.help)));
            }
        }
        lines.push(("-h, --help".to_owned(), "Prints this."));
        let options = command.map_or(self.options, |command| command.options);
        lines.extend(options.iter().map(|spec| (self.label(spec.name), spec.help)));
        let width = lines.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
        text.push('\n');
        lines.iter().for_each(|(label, help)| text.push_str(&format!("  {label:<width$}  {help}\n")));
        text
    }
}

impl Misread {
    /// The usage, and the error after the tool's name; help has an exit code of the tool's own.
    pub fn exit(self, name: &str, help_code: i32) -> Exit {
        match self.error {
            None => Exit { stdout: self.usage, stderr: String::new(), code: help_code },
            Some(error) => {
                let stderr = format!("{}{name}: error: {error}\n", self.usage);
                Exit { stdout: String::new(), stderr, code: 1 }
            }
        }
    }
}
