//! What `kafka-topics` is asked for.

use ottla_protocol::Uuid;

use crate::client::Target;
use crate::config::{ConfigError, validate_topic_config};
use crate::small_map::SmallMap;
use crate::tools::failure::Refusal;
use crate::tools::options::{OptionSpec, Options, flag, parsed_id, value};
use crate::tools::pattern::Pattern;
use crate::tools::{Environment, Exit, addresses};

/// The actions, one of which is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Create,
    Delete,
    Alter,
    Describe,
    List,
}

/// Which partitions `--describe` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    UnderReplicated,
    Unavailable,
    UnderMinIsr,
    AtMinIsr,
    /// No partition: topics with settings of their own.
    Overrides,
}

/// A command line, understood.
#[derive(Clone, Debug)]
pub struct Command {
    pub action: Action,
    pub bootstrap: Vec<Target>,
    /// `--zookeeper`: says what Kafka's tool said then.
    pub old_style: bool,
    pub topics: Pattern,
    pub topic_id: Option<Uuid>,
    pub partitions: Option<i32>,
    pub replication_factor: Option<i16>,
    /// For each partition its replicas.
    pub replica_assignment: Option<Vec<Vec<i32>>>,
    pub configs: SmallMap<String, String>,
    pub if_exists: bool,
    pub if_not_exists: bool,
    pub exclude_internal: bool,
    pub only: Option<Only>,
    pub partitions_per_response: i32,
    pub warns_of_collisions: bool,
}

const ABOUT: &str = "This tool helps to create, delete, describe, or change a topic.";

pub const COLLISION_WARNING: &str = "WARNING: Due to limitations in metric names, topics with a period ('.') or \
underscore ('_') could collide. To avoid issues it is best to use either, but not both.\n";
/// As Kafka 2.0's tool said it.
pub const KEY_WARNING: &str = "WARNING: If partitions are increased for a topic that has a key, the partition logic \
or ordering of the messages will be affected\n";
/// As Kafka 2.0's tool said it.
pub const DELETE_NOTE: &str = "Note: This will have no impact if delete.topic.enable is not set to true.\n";

static SPECS: [OptionSpec; 23] = [
    flag("alter", "Raises a topic's number of partitions."),
    flag(
        "at-min-isr-partitions",
        "Describes only partitions whose in-sync replicas are as many as the minimum.",
    ),
    value(
        "bootstrap-server",
        "host:port",
        "REQUIRED: a server of the cluster, or several, separated by commas.",
    ),
    value("command-config", "file", "A properties file for the admin client."),
    value("config", "name=value", "A setting of the topic that is created; may be repeated."),
    flag("create", "Creates a topic."),
    flag("delete", "Deletes topics."),
    value("delete-config", "name", "No longer supported: see kafka-configs."),
    flag("describe", "Shows topics, their partitions and their settings."),
    flag("exclude-internal", "Leaves internal topics out."),
    flag("help", "Prints this."),
    flag("if-exists", "Does nothing where the topic does not exist."),
    flag("if-not-exists", "Does nothing where the topic exists."),
    flag("list", "Lists topics."),
    value("partitions", "count", "The number of partitions of the topic that is created or altered."),
    value("replica-assignment", "1:2,2:1", "Replicas by hand: brokers of a partition are joined by colons."),
    value("replication-factor", "count", "Replicas of each partition of the topic that is created."),
    value("topic", "name", "The topic; other than for --create a regular expression."),
    value("topic-id", "id", "The id of the topic that is described."),
    flag("topics-with-overrides", "Describes only topics with settings of their own."),
    flag("unavailable-partitions", "Describes only partitions without a leader."),
    flag(
        "under-min-isr-partitions",
        "Describes only partitions whose in-sync replicas are fewer than the minimum.",
    ),
    flag("under-replicated-partitions", "Describes only partitions that lack in-sync replicas."),
];

/// Options of old that are taken besides, and of late that take no short form away.
static OTHER_SPECS: [OptionSpec; 4] = [
    value("partition-size-limit-per-response", "count", "Partitions in one answer at most."),
    value("zookeeper", "host:port", "In the place of --bootstrap-server."),
    flag("force", "Nothing is asked."),
    flag("version", "Prints the version."),
];

const FILTERS: [(&str, Only); 5] = [
    ("under-replicated-partitions", Only::UnderReplicated),
    ("unavailable-partitions", Only::Unavailable),
    ("under-min-isr-partitions", Only::UnderMinIsr),
    ("at-min-isr-partitions", Only::AtMinIsr),
    ("topics-with-overrides", Only::Overrides),
];

const ACTIONS: [(&str, Action); 5] = [
    ("create", Action::Create),
    ("list", Action::List),
    ("alter", Action::Alter),
    ("describe", Action::Describe),
    ("delete", Action::Delete),
];

impl Command {
    /// Understands the arguments.
    pub fn parse(arguments: &[String], environment: &Environment) -> Result<Self, Exit> {
        let usage = |message: String| Exit::usage(&[&SPECS], &message);
        let options =
            Options::parse(&[&SPECS, &OTHER_SPECS], arguments).map_err(|error| Exit::error(&error))?;
        if options.has("help") {
            return Err(usage(ABOUT.into()));
        }
        if options.has("version") {
            return Err(Exit::version());
        }
        let mut actions = ACTIONS.iter().filter(|(name, _)| options.has(name));
        let (Some((_, action)), None) = (actions.next(), actions.next()) else {
            return Err(usage(
                "Command must include exactly one action: --list, --describe, --create, --alter or --delete"
                    .into(),
            ));
        };
        let old_style = options.has("zookeeper") && !options.has("bootstrap-server");
        let bootstrap = match (options.value("bootstrap-server"), options.value("zookeeper")) {
            (Some(servers), _) => addresses(servers)?,
            (None, Some(_)) => match &environment.behind_zookeeper {
                Some(target) => vec![target.clone()],
                None => {
                    return Err(Exit::error("--zookeeper leads to no broker here: use --bootstrap-server"));
                }
            },
            (None, None) => return Err(Exit::error("--bootstrap-server must be specified")),
        };
        check(*action, &options).map_err(usage)?;
        Self::understand(*action, bootstrap, old_style, &options)
            .map_err(|reason| Exit::refused("Error while executing topic command : ", &reason))
    }

    fn understand(
        action: Action,
        bootstrap: Vec<Target>,
        old_style: bool,
        options: &Options,
    ) -> Result<Self, Refusal> {
        let unread = |message: String| Refusal::new("OptionArgumentConversionException", message);
        let topic = options.value("topic");
        let topics = match topic {
            Some(name) if action == Action::Create => Pattern::literal(name),
            Some(pattern) => {
                Pattern::parse(pattern).map_err(|message| Refusal::new("RuntimeException", message))?
            }
            None => Pattern::any(),
        };
        let topic_id = options.value("topic-id").map(topic_id).transpose()?;
        let partitions: Option<i32> = options.number("partitions").map_err(unread)?;
        if action == Action::Create && partitions.is_some_and(|count| count < 1) {
            return Err(illegal("The partitions must be greater than 0"));
        }
        let replication_factor: Option<i16> = options.number("replication-factor").map_err(unread)?;
        if replication_factor.is_some_and(|factor| factor < 1) {
            return Err(illegal("The replication factor must be between 1 and 32767 inclusive"));
        }
        let configs = configs(options)?;
        let per_response: Option<i32> =
            options.number("partition-size-limit-per-response").map_err(unread)?;
        Ok(Self {
            action,
            bootstrap,
            old_style,
            topic_id,
            partitions,
            replication_factor,
            replica_assignment: options.value("replica-assignment").map(replica_assignment).transpose()?,
            configs,
            if_exists: options.has("if-exists"),
            if_not_exists: options.has("if-not-exists"),
            exclude_internal: options.has("exclude-internal"),
            only: FILTERS.iter().find(|(name, _)| options.has(name)).map(|(_, only)| *only),
            partitions_per_response: per_response.unwrap_or(2_000),
            warns_of_collisions: topic.is_some_and(|name| name.contains(['.', '_'])),
            topics,
        })
    }

    /// What is said of a topic that was created.
    pub fn created(&self, name: &str) -> String {
        if self.old_style {
            format!("Created topic \"{name}\".\n")
        } else {
            format!("Created topic {name}.\n")
        }
    }
}

/// Which options go together.
fn check(action: Action, options: &Options) -> Result<(), String> {
    let needed: &[&str] = match action {
        Action::Create => &["topic"],
        Action::Delete => &["topic"],
        Action::Alter => &["topic", "partitions"],
        Action::Describe | Action::List => &[],
    };
    if let Some(missing) = needed.iter().find(|name| !options.has(name)) {
        return Err(format!("Missing required argument \"[{missing}]\""));
    }
    let only_with = |name: &str, actions: &[Action]| match actions.contains(&action) || !options.has(name) {
        true => Ok(()),
        false => Err(format!("Option \"[{name}]\" can't be used with option \"[{}]\"", action_name(action))),
    };
    only_with("config", &[Action::Create])?;
    only_with("partitions", &[Action::Create, Action::Alter])?;
    only_with("replication-factor", &[Action::Create])?;
    only_with("replica-assignment", &[Action::Create, Action::Alter])?;
    only_with("if-not-exists", &[Action::Create])?;
    only_with("if-exists", &[Action::Alter, Action::Delete, Action::Describe])?;
    only_with("exclude-internal", &[Action::List, Action::Describe])?;
    only_with("topic-id", &[Action::Describe])?;
    FILTERS.iter().try_for_each(|(name, _)| only_with(name, &[Action::Describe]))?;
    let clash =
        |one: &str, other: &str| format!("Option \"[{one}]\" can't be used with option \"[{other}]\"");
    for other in ["partitions", "replication-factor"] {
        if action == Action::Create && options.has("replica-assignment") && options.has(other) {
            return Err(clash("replica-assignment", other));
        }
    }
    let mut filters = FILTERS.iter().filter(|(name, _)| options.has(name));
    if let (Some((one, _)), Some((other, _))) = (filters.next(), filters.next()) {
        return Err(clash(one, other));
    }
    Ok(())
}

fn action_name(action: Action) -> &'static str {
    ACTIONS.iter().find(|(_, other)| *other == action).map_or("", |(name, _)| name)
}

fn illegal(message: impl Into<String>) -> Refusal {
    Refusal::new("IllegalArgumentException", message)
}

/// `--config name=value`, each checked before anybody is asked.
fn configs(options: &Options) -> Result<SmallMap<String, String>, Refusal> {
    let mut configs = SmallMap::new();
    for pair in options.values("config") {
        let Some((name, value)) = pair.split_once('=') else {
            let sentence = "requirement failed: Invalid topic config: all configs to be added must be in the format \"key=val\".";
            return Err(illegal(sentence));
        };
        configs.insert(name.trim().to_owned(), value.trim().to_owned());
    }
    for (name, value) in &configs {
        validate_topic_config(name, value).map_err(|error| match &error {
            ConfigError::UnknownKey { .. } => {
                Refusal::new("InvalidConfigurationException", error.to_string())
            }
            _ => Refusal::new("ConfigException", error.to_string()),
        })?;
    }
    Ok(configs)
}

fn topic_id(text: &str) -> Result<Uuid, Refusal> {
    parsed_id(text).map_err(illegal)
}

fn replica_assignment(text: &str) -> Result<Vec<Vec<i32>>, Refusal> {
    let mut partitions = Vec::new();
    for (partition, replicas) in text.split(',').enumerate() {
        let mut brokers: Vec<i32> = Vec::new();
        for broker in replicas.split(':') {
            let broker = broker.trim();
            let unread = |_| Refusal::new("NumberFormatException", format!("For input string: \"{broker}\""));
            let id = broker.parse().map_err(unread)?;
            if brokers.contains(&id) {
                let message = format!("Partition replica lists may not contain duplicate entries: {id}");
                return Err(Refusal::new("AdminCommandFailedException", message));
            }
            brokers.push(id);
        }
        if partitions.first().is_some_and(|first: &Vec<i32>| first.len() != brokers.len()) {
            let message = format!("Partition {partition} has different replication factor: {brokers:?}");
            return Err(Refusal::new("AdminOperationException", message));
        }
        partitions.push(brokers);
    }
    Ok(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, Exit> {
        let behind = Some(Target { host: "broker".into(), port: 9092 });
        let environment = Environment { behind_zookeeper: behind, ..Environment::default() };
        Command::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>(), &environment)
    }

    #[test]
    fn a_command_of_old_goes_to_the_broker_behind_zookeeper() {
        let line = "--create --zookeeper localhost:2181 --replication-factor 1 --partition 1 --topic mytest";
        let command = parse(line).unwrap();
        assert_eq!((command.action, command.partitions), (Action::Create, Some(1)));
        assert_eq!(&*command.bootstrap[0].host, "broker");
        assert_eq!(command.created("mytest"), "Created topic \"mytest\".\n");
    }

    #[test]
    fn wrong_commands_are_refused_in_the_words_of_the_original() {
        let refused = [
            ("--bootstrap-server a:1", "Command must include exactly one action"),
            ("--bootstrap-server a:1 --create --list", "Command must include exactly one action"),
            ("--create --topic x", "--bootstrap-server must be specified"),
            ("--bootstrap-server a:1 --create", "Missing required argument \"[topic]\""),
            ("--bootstrap-server a:1 --alter --topic x", "Missing required argument \"[partitions]\""),
            (
                "--bootstrap-server a:1 --list --partitions 3",
                "\"[partitions]\" can't be used with option \"[list]\"",
            ),
            ("--bootstrap-server a:1 --bogus", "bogus is not a recognized option"),
            (
                "--bootstrap-server a:1 --create --topic x --partitions",
                "Option partitions requires an argument",
            ),
        ];
        for (line, expected) in refused {
            let exit = parse(line).unwrap_err();
            assert!(exit.stderr.contains(expected), "{line}: {exit:?}");
            assert_eq!((exit.code, exit.stdout.as_str()), (1, ""));
        }
        let exit = parse("--bootstrap-server a:1 --create --topic x --partitions 0").unwrap_err();
        assert_eq!(
            exit.stdout,
            "Error while executing topic command : The partitions must be greater than 0\n"
        );
    }

    #[test]
    fn replicas_by_hand() {
        assert_eq!(replica_assignment("1:2,2:1"), Ok(vec![vec![1, 2], vec![2, 1]]));
        assert!(replica_assignment("1:1").unwrap_err().message.contains("duplicate"));
        assert!(replica_assignment("1:2,1").unwrap_err().message.contains("different replication factor"));
        assert!(replica_assignment("x").is_err());
    }
}
