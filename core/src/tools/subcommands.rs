//! Arguments of the tools whose grammar is argparse4j's: options of the tool, the command, options of the command. A tool without commands has
//! one that has no name.

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
    /// Options whose value is not just text.
    pub typed: &'static [(&'static str, Typed)],
    /// Options of which one at most is taken, and whether one has to be.
    pub exclusive: &'static [(&'static [&'static str], bool)],
}

/// What the value of an option is.
#[derive(Clone, Copy, Debug)]
pub enum Typed {
    Integer,
    Long,
    Double,
    /// One of these integers.
    Choice(&'static [&'static str]),
}

impl Typed {
    /// What is wrong with a value.
    fn fault(self, given: &str) -> Option<String> {
        let (name, is_read) = match self {
            Self::Integer | Self::Choice(_) => ("Integer", given.parse::<i32>().is_ok()),
            Self::Long => ("Long", given.parse::<i64>().is_ok()),
            Self::Double => ("Double", given.parse::<f64>().is_ok()),
        };
        match self {
            _ if !is_read => {
                Some(format!("could not convert '{given}' to {name} (For input string: \"{given}\")"))
            }
            Self::Choice(choices) if !choices.contains(&given) => {
                Some(format!("invalid choice: '{given}' (choose from {{{}}})", choices.join(",")))
            }
            _ => None,
        }
    }
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
        let mut command = self.commands.first().filter(|command| command.name.is_empty());
        if command.is_some() && arguments.is_empty() {
            return Err(Misread { usage: self.help(command), error: None });
        }
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
            if !argument.starts_with('-') {
                let words: Vec<&str> = [argument].into_iter().chain(rest).map(String::as_str).collect();
                return Err(misread(format!("unrecognized arguments: '{}'", words.join(" "))));
            }
            let (name, inline) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (argument.as_str(), None),
            };
            let Some(spec) = self.find(known, name).map_err(misread)? else {
                return Err(misread(format!("unrecognized arguments: '{argument}'")));
            };
            let label = self.label(spec.name);
            let is_value = |next: &&String| !next.starts_with('-') || next.parse::<f64>().is_ok();
            let mut given: Vec<String> = inline.into_iter().collect();
            match spec.takes {
                Takes::Nothing if !given.is_empty() => {
                    let value = &given[0];
                    return Err(misread(format!("argument {label}: ignored explicit argument '{value}'")));
                }
                Takes::Nothing => given.push(String::new()),
                Takes::Several(_) => {
                    while let Some(value) = rest.next_if(is_value) {
                        given.push(value.clone());
                    }
                }
                Takes::Value(_) | Takes::MaybeValue(_) if given.is_empty() => {
                    given.extend(rest.next_if(is_value).cloned());
                }
                Takes::Value(_) | Takes::MaybeValue(_) => {}
            }
            if given.is_empty() {
                let what =
                    if matches!(spec.takes, Takes::Several(_)) { "1 argument(s)" } else { "one argument" };
                return Err(misread(format!("argument {label}: expected {what}")));
            }
            let typed = command.and_then(|command| command.typed.iter().find(|(name, _)| *name == spec.name));
            if let Some(fault) =
                typed.and_then(|(_, typed)| given.iter().find_map(|value| typed.fault(value)))
            {
                return Err(misread(format!("argument {label}: {fault}")));
            }
            let sets = command.map_or(&[][..], |command| command.exclusive).iter();
            let mut others = sets.filter(|(set, _)| set.contains(&spec.name)).flat_map(|(set, _)| set.iter());
            if let Some(other) = others.find(|other| **other != spec.name && options.has(other)) {
                let other = self.label(other);
                return Err(misread(format!("argument {label}: not allowed with argument {other}")));
            }
            let other = CLUSTER.iter().find(|other| other.name != spec.name && options.has(other.name));
            if let Some(other) = other.filter(|_| CLUSTER.iter().any(|one| one.name == spec.name)) {
                let sentence =
                    format!("argument {label}: not allowed with argument {}", self.label(other.name));
                return Err(misread(sentence));
            }
            given.into_iter().for_each(|value| options.give(spec.name, value));
        }
        let misread = |error: String| Misread { usage: self.usage(command), error: Some(error) };
        let Some(found) = command else { return Err(misread("too few arguments".into())) };
        if let Some(missing) = found.required.iter().rev().find(|name| !options.has(name)) {
            return Err(misread(format!("argument {} is required", self.label(missing))));
        }
        let unmet = |(set, needed): &&(&[&str], bool)| *needed && !set.iter().any(|name| options.has(name));
        if let Some((set, _)) = found.exclusive.iter().find(unmet) {
            let labels: Vec<String> = set.iter().map(|name| self.label(name)).collect();
            return Err(misread(format!("one of the arguments {} is required", labels.join(" "))));
        }
        if self.needs_cluster && !CLUSTER.iter().any(|one| options.has(one.name)) {
            let labels = CLUSTER.map(|one| self.label(one.name)).join(" ");
            let usage = if self.options.is_empty() { self.usage(command) } else { self.usage(None) };
            return Err(Misread { usage, error: Some(format!("one of the arguments {labels} is required")) });
        }
        Ok((found, options))
    }

    /// What the tool itself finds wrong with its arguments.
    pub fn refuse(&self, command: &Command, error: &str) -> Exit {
        Misread { usage: self.usage(Some(command)), error: Some(error.to_owned()) }.exit(self.name, 1)
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
                Takes::Several(what) => format!("--{} {what} [{what} ...]", spec.name),
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
