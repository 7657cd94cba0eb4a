//! Arguments as Kafka's tools take them: `--name value`, `--name=value`, and any prefix that only one name has.

use ottla_protocol::Uuid;

use super::Exit;
use crate::small_map::SmallMap;

/// Whether an option takes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A flag.
    Nothing,
    /// A value; the text names it in the help.
    Value(&'static str),
    /// A value that may be left out.
    MaybeValue(&'static str),
    /// Values, as many as follow.
    Several(&'static str),
}

/// One option of a tool.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// Without the dashes.
    pub name: &'static str,
    /// What follows it.
    pub takes: Takes,
    /// What it does.
    pub help: &'static str,
}

/// An option that is a flag.
pub const fn flag(name: &'static str, help: &'static str) -> OptionSpec {
    OptionSpec { name, takes: Takes::Nothing, help }
}

/// An option with a value.
pub const fn value(name: &'static str, what: &'static str, help: &'static str) -> OptionSpec {
    OptionSpec { name, takes: Takes::Value(what), help }
}

/// What was given.
#[derive(Clone, Debug, Default)]
pub struct Options {
    given: SmallMap<&'static str, Vec<String>>,
    /// The names of those that were given, in order.
    pub order: Vec<&'static str>,
    /// What was no option, in order.
    pub rest: Vec<String>,
}

impl Options {
    /// Reads arguments. The error is a sentence.
    pub fn parse(specs: &[&'static [OptionSpec]], arguments: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut arguments = arguments.iter().peekable();
        while let Some(argument) = arguments.next() {
            let dashed = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'));
            let Some(dashed) = dashed.filter(|name| !name.is_empty()) else {
                options.rest.push(argument.clone());
                continue;
            };
            let (name, inline) = match dashed.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (dashed, None),
            };
            let spec = find(specs, name)?;
            let next_is_value = match spec.takes {
                Takes::Value(_) => arguments.peek().is_some(),
                _ => arguments.peek().is_some_and(|next| !next.starts_with("--")),
            };
            let value = match spec.takes {
                Takes::Nothing if inline.is_some() => return Err(format!("Option {name} takes no argument")),
                Takes::Nothing => String::new(),
                _ if inline.is_some() => inline.unwrap_or_default(),
                Takes::MaybeValue(_) if !next_is_value => String::new(),
                Takes::Value(_) if !next_is_value => {
                    return Err(format!("Option {} requires an argument", spec.name));
                }
                Takes::Value(_) | Takes::MaybeValue(_) | Takes::Several(_) => {
                    arguments.next().cloned().unwrap_or_default()
                }
            };
            options.give(spec.name, value);
        }
        Ok(options)
    }

    /// An option was given.
    pub fn give(&mut self, name: &'static str, value: String) {
        self.given.or_default(name).push(value);
        self.order.push(name);
    }

    /// Whether an option was given.
    pub fn has(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// The value of an option; the last one counts.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.given.get(name)?.last().map(String::as_str)
    }

    /// All values of an option.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.given.get(name).into_iter().flatten().map(String::as_str)
    }

    /// All values of an option that takes several with commas between them.
    pub fn split(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values(name).flat_map(|value| value.split(','))
    }

    /// What is said of the first of these that was not given.
    pub fn require(&self, names: &[&str]) -> Result<(), String> {
        match names.iter().find(|name| !self.has(name)) {
            Some(missing) => Err(format!("Missing required argument \"[{missing}]\"")),
            None => Ok(()),
        }
    }

    /// What is said of the first of `others` that was given beside `used`.
    pub fn exclude(&self, used: &str, others: &[&str]) -> Result<(), String> {
        match others.iter().find(|other| self.has(used) && self.has(other)) {
            Some(other) => Err(format!("Option \"[{used}]\" can't be used with option \"[{other}]\"")),
            None => Ok(()),
        }
    }

    /// The one of these that was given; `None` when it is not exactly one.
    pub fn only<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        let mut given = names.iter().filter(|name| self.has(name));
        given.next().copied().filter(|_| given.next().is_none())
    }

    /// A value as a number.
    pub fn number<N: std::str::FromStr>(&self, name: &str) -> Result<Option<N>, String> {
        let parse =
            |text: &str| text.parse().map_err(|_| format!("Cannot parse argument '{text}' of option {name}"));
        self.value(name).map(parse).transpose()
    }

    /// `key=value` pairs of an option that may be repeated; a later one replaces an earlier one.
    pub fn pairs(&self, name: &str) -> Result<SmallMap<String, String>, String> {
        let pair = |text: &str| match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(format!("Invalid command line properties: {text}")),
        };
        self.values(name).map(pair).collect()
    }
}

/// What a tool says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Manual {
    /// Its purpose, in the words that Kafka's tool prints before its help.
    pub about: &'static str,
    /// Its options.
    pub specs: &'static [OptionSpec],
}

impl Manual {
    /// Reads arguments. `--help`, `--version` and nothing at all end the tool; what is not understood does as `unread` says.
    pub fn read(&self, arguments: &[String], unread: impl Fn(String) -> Exit) -> Result<Options, Exit> {
        let options = Options::parse(&[self.specs, &COMMON], arguments).map_err(unread)?;
        if arguments.is_empty() || options.has("help") {
            return Err(self.usage(self.about));
        }
        if options.has("version") {
            return Err(Exit::version());
        }
        Ok(options)
    }

    /// Of a wrong command line.
    pub fn usage(&self, message: &str) -> Exit {
        Exit::usage(&[self.specs, &COMMON], message)
    }
}

/// What every tool has.
static COMMON: [OptionSpec; 3] = [
    value("command-config", "file", "A properties file for the admin client."),
    flag("help", "Prints this."),
    flag("version", "Prints the version."),
];

/// Where the cluster is.
pub const BOOTSTRAP: OptionSpec = value(
    "bootstrap-server",
    "host:port",
    "REQUIRED: a server of the cluster, or several, separated by commas.",
);

/// The option with this name, or the one that it is short for. An earlier list goes before a later one, so that an option that
/// came to a tool later does not take a short form away.
fn find(lists: &[&'static [OptionSpec]], name: &str) -> Result<&'static OptionSpec, String> {
    if let Some(spec) = lists.iter().copied().flatten().find(|spec| spec.name == name) {
        return Ok(spec);
    }
    for specs in lists {
        let mut matching = specs.iter().filter(|spec| spec.name.starts_with(name));
        match (matching.next(), matching.next()) {
            (Some(spec), None) => return Ok(spec),
            (Some(_), Some(_)) => {
                return Err(format!("{name} is ambiguous: it is short for more than one option"));
            }
            (None, _) => {}
        }
    }
    Err(format!("{name} is not a recognized option"))
}

/// The help text of a tool.
pub fn help(specs: &[&[OptionSpec]]) -> String {
    let label = |spec: &OptionSpec| match spec.takes {
        Takes::Nothing => format!("--{}", spec.name),
        Takes::Value(what) | Takes::Several(what) => format!("--{} <{what}>", spec.name),
        Takes::MaybeValue(what) => format!("--{} [{what}]", spec.name),
    };
    let mut specs: Vec<&OptionSpec> = specs.iter().copied().flatten().collect();
    specs.sort_unstable_by_key(|spec| spec.name);
    let width = specs.iter().map(|spec| label(spec).len()).max().unwrap_or(0);
    let mut text = format!("{:<width$}  Description\n{:<width$}  -----------\n", "Option", "------");
    for spec in specs {
        text.push_str(&format!("{:<width$}  {}\n", label(spec), spec.help));
    }
    text
}

/// An id in base 64; the error is what Java finds wrong with it.
pub fn parsed_id(text: &str) -> Result<Uuid, String> {
    text.parse().map_err(|_| unread_id(text))
}

/// What Java finds wrong with an id.
fn unread_id(text: &str) -> String {
    const LETTERS_MAX: usize = 24;
    let is_known = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    let letters = text.trim_end_matches('=');
    if text.len() == 1 {
        return "Input byte[] should at least have 2 bytes for base64 bytes".to_owned();
    }
    if text.chars().count() > LETTERS_MAX {
        let prefix: String = text.chars().take(LETTERS_MAX).collect();
        return format!("Input string with prefix `{prefix}` is too long to be decoded as a base64 UUID");
    }
    if let Some(letter) = letters.chars().find(|letter| !is_known(letter)) {
        return format!("Illegal base64 character {:x}", u32::from(letter));
    }
    if letters.len() % 4 == 1 {
        return "Last unit does not have enough valid bits".to_owned();
    }
    let bytes = letters.len() * 3 / 4;
    format!(
        "Input string `{text}` decoded as {bytes} bytes, which is not equal to the expected 16 bytes of a \
         base64-encoded UUID"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    static SPECS: [OptionSpec; 3] =
        [flag("create", "c"), value("partitions", "count", "p"), value("property", "k=v", "p")];

    fn parse(arguments: &[&str]) -> Result<Options, String> {
        Options::parse(
            &[&SPECS],
            &arguments.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>(),
        )
    }

    #[test]
    fn a_unique_prefix_stands_for_its_option() {
        let options = parse(&["--create", "--partition", "3"]).unwrap();
        assert_eq!(options.number::<i32>("partitions"), Ok(Some(3)));
        assert!(parse(&["--p", "3"]).unwrap_err().contains("ambiguous"));
        assert!(parse(&["--nothing"]).unwrap_err().contains("not a recognized option"));
        assert!(parse(&["--partitions"]).unwrap_err().contains("requires an argument"));
    }

    #[test]
    fn values_may_hold_equals_signs_and_repeat() {
        let options = parse(&["--property", "parse.key=true", "--property=key.separator=:"]).unwrap();
        let pairs = options.pairs("property").unwrap();
        assert_eq!(pairs.get("key.separator").map(String::as_str), Some(":"));
        assert_eq!(pairs.get("parse.key").map(String::as_str), Some("true"));
    }
}
