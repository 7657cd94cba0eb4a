//! What `kafka-configs` is asked for.

use ottla_protocol::Str;

use crate::config::parse_properties;
use crate::tools::failure::Refusal;
use crate::tools::options::{Manual, OptionSpec, Options, flag, value};
use crate::tools::subcommands::CLUSTER;
use crate::tools::{Environment, Exit};

pub const MANUAL: Manual = Manual {
    about: "This tool helps to manipulate and describe entity config for a topic, client, user, broker, ip, client-metrics or group",
    specs: &SPECS,
};

static SPECS: [OptionSpec; 23] = [
    value("add-config", "k1=v1,k2=[v2,v3]", "Settings; brackets hold values that contain commas."),
    value("add-config-file", "file", "A properties file with settings."),
    flag("all", "With --describe: all settings, not only those that were set."),
    flag("alter", "Sets and unsets."),
    CLUSTER[1],
    CLUSTER[0],
    value("broker", "id", "The broker."),
    flag("broker-defaults", "All brokers."),
    value("broker-logger", "id", "The broker whose loggers are meant."),
    value("client", "id", "The clients of this id."),
    flag("client-defaults", "All clients."),
    value("client-metrics", "name", "The resource of client metrics."),
    value("delete-config", "k1,k2", "Settings to unset."),
    flag("describe", "Shows."),
    flag("entity-default", "The default of the users, clients, brokers or ips that --entity-type names."),
    value("entity-name", "name", "Which of those that --entity-type names."),
    value(
        "entity-type",
        "type",
        "topics, clients, users, brokers, ips, client-metrics, groups or broker-loggers.",
    ),
    value("group", "id", "The group."),
    value("ip", "address", "The address."),
    flag("ip-defaults", "All addresses."),
    value("topic", "name", "The topic."),
    value("user", "name", "The user."),
    flag("user-defaults", "All users."),
];

/// Kinds of entities, as Kafka's tool lists them.
pub const TOPICS: &str = "topics";
pub const CLIENTS: &str = "clients";
pub const USERS: &str = "users";
pub const BROKERS: &str = "brokers";
pub const IPS: &str = "ips";
pub const CLIENT_METRICS: &str = "client-metrics";
pub const GROUPS: &str = "groups";
pub const BROKER_LOGGERS: &str = "broker-loggers";
const TYPES: [&str; 8] = [TOPICS, CLIENTS, USERS, BROKERS, IPS, CLIENT_METRICS, GROUPS, BROKER_LOGGERS];

/// Options that stand for a type and a name.
const FLAGS: [(&str, &str); 8] = [
    ("topic", TOPICS),
    ("client", CLIENTS),
    ("user", USERS),
    ("broker", BROKERS),
    ("broker-logger", BROKER_LOGGERS),
    ("ip", IPS),
    ("client-metrics", CLIENT_METRICS),
    ("group", GROUPS),
];
/// Options that stand for a type and its default.
const DEFAULTS: [(&str, &str); 4] = [
    ("client-defaults", CLIENTS),
    ("user-defaults", USERS),
    ("broker-defaults", BROKERS),
    ("ip-defaults", IPS),
];

/// A command line, understood.
#[derive(Clone, Debug)]
pub struct Command {
    /// What is set and what is unset; `None` for `--describe`.
    pub alter: Option<Changes>,
    pub all: bool,
    /// One, or users and clients.
    pub types: Vec<&'static str>,
    /// Of each, as far as there are; empty for a default.
    pub names: Vec<Str>,
    /// All of it in one line, for complaints.
    pub line: String,
}

/// What `--alter` does.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    pub set: Vec<(Str, Str)>,
    pub unset: Vec<Str>,
}

impl Command {
    /// Understands the arguments.
    pub fn parse(arguments: &[String], environment: &Environment) -> Result<(Self, Options), Exit> {
        let options = MANUAL.read(arguments, |message| Exit::error(&message))?;
        let (describe, alter) = (options.has("describe"), options.has("alter"));
        if describe && alter || !describe && !alter {
            return Err(MANUAL.usage("Command must include exactly one action: --describe, --alter"));
        }
        let clash = options.exclude("describe", &["alter", "add-config", "delete-config"]);
        clash.map_err(|message| MANUAL.usage(&message))?;
        let types = types(&options).map_err(|sentence| Exit::error(&sentence))?;
        let names = names(&options);
        check(&options, &types, &names).map_err(|sentence| Exit::error(&sentence))?;
        if alter && types.len() != names.len() {
            return Err(Exit::error("An entity name must be specified for every entity type"));
        }
        let line = arguments.join(" ");
        let changes = alter.then(|| changes(&options, environment)).transpose();
        let changes = changes.map_err(|refusal| complaint(&line, refusal))?;
        Ok((Self { alter: changes, all: options.has("all"), types, names, line }, options))
    }
}

/// As the tool complains: what is its own sentence stands alone.
pub fn complaint(line: &str, refusal: Refusal) -> Exit {
    let refusal = refusal.executed();
    let stderr = match refusal.class.as_str() {
        "" => format!("{}\n", refusal.message),
        _ => format!("Error while executing config command with args '{line}'\n{refusal}\n"),
    };
    Exit { stdout: String::new(), stderr, code: 1 }
}

fn types(options: &Options) -> Result<Vec<&'static str>, String> {
    let mut types = Vec::new();
    let mut unknown = None;
    for word in options.values("entity-type") {
        match TYPES.iter().find(|known| **known == word) {
            Some(known) => types.push(*known),
            None => _ = unknown.get_or_insert(word),
        }
    }
    types.extend(FLAGS.iter().chain(&DEFAULTS).filter(|(flag, _)| options.has(flag)).map(|(_, kind)| *kind));
    let mut duplicates = Vec::new();
    for (at, kind) in types.iter().enumerate() {
        if types.iter().take(at).any(|before| before == kind) {
            duplicates.push(*kind);
        }
    }
    if !duplicates.is_empty() {
        return Err(format!("Duplicate entity type(s) specified: {}", duplicates.join(",")));
    }
    if !CLUSTER.iter().any(|one| options.has(one.name)) {
        return Err("Either --bootstrap-server or --bootstrap-controller must be specified.".into());
    }
    if let Some(word) = unknown {
        return Err(format!(
            "Invalid entity type {word}, the entity type must be one of {} with a --bootstrap-server or \
             --bootstrap-controller argument",
            TYPES.join(", ")
        ));
    }
    match types.as_slice() {
        [] => Err("At least one entity type must be specified".into()),
        [_] => Ok(types),
        [one, other] if [*one, *other].contains(&USERS) && [*one, *other].contains(&CLIENTS) => Ok(types),
        _ => Err("Only 'users' and 'clients' entity types may be specified together".into()),
    }
}

/// In the order in which they were given, the short forms last.
fn names(options: &Options) -> Vec<Str> {
    let mut named = options.values("entity-name");
    let mut names: Vec<Str> = Vec::new();
    for option in &options.order {
        match *option {
            "entity-name" => names.extend(named.next().map(Str::from)),
            "entity-default" => names.push(Str::default()),
            _ => {}
        }
    }
    names.extend(FLAGS.iter().filter_map(|(flag, _)| options.value(flag)).map(Str::from));
    names.extend(DEFAULTS.iter().filter(|(flag, _)| options.has(flag)).map(|_| Str::default()));
    names
}

/// Which options go together.
fn check(options: &Options, types: &[&str], names: &[Str]) -> Result<(), String> {
    let has_short = FLAGS.iter().chain(&DEFAULTS).any(|(flag, _)| options.has(flag));
    if has_short && ["entity-name", "entity-type", "entity-default"].iter().any(|name| options.has(name)) {
        return Err(
            "--entity-{type,name,default} should not be used in conjunction with specific entity flags"
                .into(),
        );
    }
    let has_name = names.iter().any(|name| !name.is_empty());
    let has_default = names.iter().any(|name| name.is_empty());
    if CLUSTER.iter().all(|one| options.has(one.name)) {
        return Err("Only one of --bootstrap-server or --bootstrap-controller can be specified".into());
    }
    let kind = types.first().copied().unwrap_or_default();
    let named = |kinds: &[&str]| names.iter().find(|name| kinds.contains(&kind) && !name.is_empty());
    if let Some(name) = named(&[BROKERS, BROKER_LOGGERS]).filter(|name| name.parse::<i32>().is_err()) {
        return Err(format!(
            "The entity name for {kind} must be a valid integer broker id, but it is: {name}"
        ));
    }
    if let Some(name) = named(&[IPS]).filter(|name| !may_resolve(name)) {
        return Err(format!(
            "The entity name for {kind} must be a valid IP or resolvable host, but it is: {name}"
        ));
    }
    let has_defaults = [USERS, CLIENTS, BROKERS, IPS].iter().any(|kind| types.contains(kind));
    if options.has("describe") {
        if !has_defaults && options.has("entity-default") {
            return Err(format!(
                "--entity-default must not be specified with --describe of {}",
                types.join(",")
            ));
        }
        if kind == BROKER_LOGGERS && !has_name {
            return Err(format!("An entity name must be specified with --describe of {kind}"));
        }
        return Ok(());
    }
    if has_defaults && !has_name && !has_default {
        let sentence = "An entity-name or default entity must be specified with --alter of users, clients, brokers or ips";
        return Err(sentence.into());
    }
    if !has_defaults && !has_name {
        return Err(format!("An entity name must be specified with --alter of {}", types.join(",")));
    }
    if options.has("add-config") && options.has("add-config-file") {
        return Err("Only one of --add-config or --add-config-file must be specified".into());
    }
    if !["add-config", "add-config-file", "delete-config"].iter().any(|name| options.has(name)) {
        let sentence = "At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter";
        return Err(sentence.into());
    }
    Ok(())
}

/// Addresses are; of names, which only a resolver could tell, the one that always is.
fn may_resolve(name: &str) -> bool {
    name.parse::<core::net::IpAddr>().is_ok() || name == "localhost"
}

fn changes(options: &Options, environment: &Environment) -> Result<Changes, Refusal> {
    let mut set: Vec<(Str, Str)> = Vec::new();
    if let Some(path) = options.value("add-config-file") {
        let text = environment.files.get(path);
        let text = text.ok_or_else(|| Refusal {
            class: "java.nio.file.NoSuchFileException".into(),
            message: path.into(),
        })?;
        let properties = parse_properties(text).map_err(|error| Refusal::terse(error.to_string()))?;
        set.extend(
            properties
                .iter()
                .map(|property| (Str::from(property.key.as_str()), Str::from(property.value.as_str()))),
        );
    }
    if let Some(list) = options.value("add-config") {
        for pair in outside_brackets(list, ',') {
            let [key, value] = outside_brackets(pair, '=')[..] else {
                return Err(Refusal::terse(
                    "requirement failed: Invalid entity config: all configs to be added must be in the format \
                     \"key=val\" or  \"key=[val1,val2]\" to group values which contain commas.",
                ));
            };
            let value = value.replace(['[', ']'], "");
            let (key, value) = (Str::from(key.trim()), Str::from(value.trim()));
            set.retain(|(other, _)| *other != key);
            set.push((key, value));
        }
    }
    let is_legal = |letter: char| letter.is_ascii_alphanumeric() || "$._-".contains(letter);
    if let Some((key, _)) = set.iter().find(|(key, _)| !key.chars().all(is_legal)) {
        return Err(Refusal::terse(format!("Invalid character found for config key: {key}")));
    }
    let unset = options.split("delete-config").map(|key| Str::from(key.trim())).collect();
    Ok(Changes { set, unset })
}

/// Splits where no bracket is closed before the next one is opened.
fn outside_brackets(text: &str, at: char) -> Vec<&str> {
    let is_outside = |rest: &str| match (rest.find('['), rest.find(']')) {
        (_, None) => true,
        (Some(open), Some(close)) => open < close,
        (None, Some(_)) => false,
    };
    let mut parts = Vec::new();
    let mut from = 0;
    for (place, _) in text.match_indices(at) {
        let after = place + at.len_utf8();
        if text.get(after..).is_some_and(is_outside) {
            parts.extend(text.get(from..place));
            from = after;
        }
    }
    parts.extend(text.get(from..));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let files = [("f".to_owned(), "a=1\nb = 2,3\n".to_owned())].into();
        let environment = Environment { files, ..Environment::default() };
        let parsed = Command::parse(&words, &environment);
        parsed
            .map(|(command, _)| command)
            .map_err(|exit| exit.stderr.lines().next().unwrap_or_default().into())
    }

    #[test]
    fn brackets_hold_commas_and_equals_signs() {
        let line = "--bootstrap-server a:1 --alter --topic t --add-config a=1,b=[2,3],c=,d=[x=y]";
        let set = parse(line).unwrap().alter.unwrap().set;
        let shown: Vec<String> = set.iter().map(|(key, value)| format!("{key}:{value}")).collect();
        assert_eq!(shown, ["a:1", "b:2,3", "c:", "d:x=y"]);
        let of_file = parse("--bootstrap-server a:1 --alter --topic t --add-config-file f").unwrap();
        assert_eq!(of_file.alter.unwrap().set.len(), 2);
    }

    #[test]
    fn names_follow_the_order_of_their_types() {
        let line = "--bootstrap-server a:1 --describe --entity-type users --entity-default --entity-type clients --entity-name c";
        let command = parse(line).unwrap();
        assert_eq!(command.types, [USERS, CLIENTS]);
        assert_eq!(command.names, [Str::default(), Str::from("c")]);
        let short = parse("--bootstrap-server a:1 --describe --user u --client-defaults").unwrap();
        assert_eq!((short.types, short.names.len()), (vec![USERS, CLIENTS], 2));
    }

    #[test]
    fn wrong_commands_are_refused_in_the_words_of_the_original() {
        let refused = [
            ("--describe", "At least one entity type must be specified"),
            ("--describe --alter", "Command must include exactly one action: --describe, --alter"),
            (
                "--describe --topic x --delete-config y",
                "Option \"[describe]\" can't be used with option \"[delete-config]\"",
            ),
            (
                "--describe --user x --topic y",
                "Only 'users' and 'clients' entity types may be specified together",
            ),
            (
                "--describe --broker x",
                "The entity name for brokers must be a valid integer broker id, but it is: x",
            ),
            ("--describe --entity-type users --user x", "Duplicate entity type(s) specified: users"),
            ("--alter --topic x --add-config y%=3", "Invalid character found for config key: y%"),
            (
                "--alter --entity-type topics --add-config x=1",
                "An entity name must be specified with --alter of topics",
            ),
        ];
        for (line, expected) in refused {
            assert_eq!(parse(&format!("--bootstrap-server a:1 {line}")).unwrap_err(), expected, "{line}");
        }
    }
}
