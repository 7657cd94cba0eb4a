//! What `kafka-console-consumer` is asked for.

use super::formatter::Formatter;
use crate::client::ConsumerConfig;
use crate::rng::Rng;
use crate::tools::client_config::Properties;
use crate::tools::options::{OptionSpec, Options, flag, value};
use crate::tools::pattern::Pattern;
use crate::tools::reader::Source;
use crate::tools::{Environment, Exit, addresses};

/// A command line, understood.
#[derive(Clone, Debug)]
pub struct Command {
    pub config: ConsumerConfig,
    pub source: Source,
    pub formatter: Formatter,
    pub max_messages: Option<u64>,
    pub timeout_ms: Option<i64>,
    pub skip_message_on_error: bool,
    pub warnings: String,
}

static SPECS: [OptionSpec; 26] = [
    value(
        "bootstrap-server",
        "host:port",
        "REQUIRED: a server of the cluster, or several, separated by commas.",
    ),
    value("command-config", "file", "A properties file for the consumer."),
    value("command-property", "key=value", "A property of the consumer; may be repeated."),
    value("consumer-property", "key=value", "As --command-property."),
    value("consumer.config", "file", "As --command-config."),
    flag("enable-systest-events", "Taken, without effect."),
    value(
        "formatter",
        "class",
        "How records are printed: DefaultMessageFormatter, LoggingMessageFormatter or NoOpMessageFormatter of org.apache.kafka.tools.consumer.",
    ),
    value("formatter-config", "file", "A properties file for the formatter."),
    value(
        "formatter-property",
        "key=value",
        "print.timestamp, print.partition, print.offset, print.epoch, print.headers, print.key, print.value, key.separator, line.separator, headers.separator, null.literal, key.deserializer, value.deserializer.",
    ),
    flag("from-beginning", "Begins with the earliest record where the group has no offset."),
    value("group", "id", "The consumer group; one of its own by default."),
    flag("help", "Prints this."),
    value("include", "regex", "The topics to read."),
    value("isolation-level", "level", "read_committed or read_uncommitted (default)."),
    value("key-deserializer", "class", "What keys are."),
    value("max-messages", "count", "Ends after so many records."),
    value("offset", "offset", "Where to begin in --partition: a number, earliest or latest (default)."),
    value("partition", "index", "The partition to read."),
    value("property", "key=value", "As --formatter-property."),
    flag("skip-message-on-error", "Goes on after a record that cannot be read."),
    value("timeout-ms", "ms", "Ends when no record has come for so long."),
    value("topic", "topic", "The topic to read."),
    value("value-deserializer", "class", "What values are."),
    flag("version", "Prints the version."),
    value("whitelist", "regex", "As --include."),
    flag("new-consumer", "Taken, without effect."),
];

const ABOUT: &str = "This tool helps to read data from Kafka topics and outputs it to standard output.";

impl Command {
    /// Understands the arguments.
    pub fn parse(arguments: &[String], environment: &Environment, rng: &mut Rng) -> Result<Self, Exit> {
        let usage = |message: String| Exit::usage(&[&SPECS], &message);
        let options = Options::parse(&[&SPECS], arguments).map_err(usage)?;
        if options.has("help") {
            return Err(usage(ABOUT.into()));
        }
        if options.has("version") {
            return Err(Exit::version());
        }
        let source = source(&options).map_err(usage)?;
        let Some(servers) = options.value("bootstrap-server") else {
            return Err(usage("Missing required argument \"[bootstrap-server]\"".into()));
        };
        let mut config = config(&options, environment, rng).map_err(|error| Exit::error(&error))?;
        config.session.bootstrap = addresses(servers)?;
        if matches!(source, Source::Partition(..)) {
            config.membership = None;
        }
        let formatter = formatter(&options, environment).map_err(|error| Exit::error(&error))?;
        let warning = |(old, new): (&str, &str)| match options.has(old) {
            true => format!(
                "Option --{old} is deprecated and will be removed in a future version. Use --{new} instead.\n"
            ),
            false => String::new(),
        };
        let renamed = [("property", "formatter-property"), ("consumer-property", "command-property")];
        Ok(Self {
            config,
            source,
            formatter,
            max_messages: options.number("max-messages").map_err(usage)?,
            timeout_ms: options.number("timeout-ms").map_err(usage)?,
            skip_message_on_error: options.has("skip-message-on-error"),
            warnings: renamed.map(warning).concat(),
        })
    }
}

fn source(options: &Options) -> Result<Source, String> {
    let pattern = options.value("include").or_else(|| options.value("whitelist"));
    let topic = match (options.value("topic"), pattern) {
        (Some(topic), None) => topic,
        (None, Some(pattern)) => return Pattern::parse(pattern).map(Source::Matching),
        _ => return Err("Exactly one of the following arguments is required: [topic], [include]".into()),
    };
    let partition: Option<i32> = options.number("partition")?;
    if options.has("offset") && partition.is_none() {
        return Err("The partition is required when offset is specified.".into());
    }
    if options.has("from-beginning") && options.has("offset") {
        return Err("Options from-beginning and offset cannot be specified together.".into());
    }
    let from = match options.value("offset").map(str::to_ascii_lowercase).as_deref() {
        None if options.has("from-beginning") => -2,
        None | Some("latest") => -1,
        Some("earliest") => -2,
        Some(text) => text.parse().ok().filter(|offset| *offset >= 0).ok_or_else(|| {
            format!(
                "The provided offset value '{text}' is incorrect. Valid values are 'earliest', 'latest', or a \
                 non-negative long."
            )
        })?,
    };
    Ok(match partition {
        Some(partition) => Source::Partition(topic.into(), partition, from),
        None => Source::Topic(topic.into()),
    })
}

fn config(options: &Options, environment: &Environment, rng: &mut Rng) -> Result<ConsumerConfig, String> {
    let files = ["consumer.config", "command-config"];
    let pairs = ["consumer-property", "command-property"];
    let mut properties = Properties::gather(options, environment, &files, &pairs)?;
    match (options.has("from-beginning"), properties.get("auto.offset.reset")) {
        (true, Some(reset)) if reset != "earliest" => {
            return Err(format!(
                "Can't simultaneously specify --from-beginning and 'auto.offset.reset={reset}', please remove one option"
            ));
        }
        (true, _) => properties.set("auto.offset.reset", Some("earliest")),
        (false, _) => properties.set_default("auto.offset.reset", "latest"),
    }
    let groups = [options.value("group"), properties.get("group.id")];
    if let [Some(one), Some(other)] = groups
        && one != other
    {
        return Err("The group ids provided in different places (directly using '--group', via \
                    '--command-property', or via '--command-config') do not match."
            .into());
    }
    let group = groups.into_iter().flatten().next().map(str::to_owned);
    match group {
        Some(group) => properties.set("group.id", Some(&group)),
        None => {
            // Nobody will come back to its offsets.
            properties.set("group.id", Some(&format!("console-consumer-{}", rng.below(100_000))));
            properties.set_default("enable.auto.commit", "false");
        }
    }
    properties.set("isolation.level", options.value("isolation-level"));
    properties.consumer("console-consumer")
}

fn formatter(options: &Options, environment: &Environment) -> Result<Formatter, String> {
    let pairs = ["property", "formatter-property"];
    let mut properties = Properties::gather(options, environment, &["formatter-config"], &pairs)?;
    properties.set("key.deserializer", options.value("key-deserializer"));
    properties.set("value.deserializer", options.value("value-deserializer"));
    Formatter::new(options.value("formatter"), &properties)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, Exit> {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Command::parse(&arguments, &Environment::default(), &mut Rng::from_seed(1))
    }

    #[test]
    fn a_group_of_its_own_does_not_commit() {
        let command = parse("--bootstrap-server a:1 --topic t").unwrap();
        let group = command.config.membership.unwrap().group_id;
        assert!(group.starts_with("console-consumer-"), "{group}");
        assert!(!command.config.enable_auto_commit);
        let command = parse("--bootstrap-server a:1 --topic t --group g").unwrap();
        assert!(command.config.enable_auto_commit);
    }

    #[test]
    fn a_partition_is_read_without_a_group() {
        let command = parse("--bootstrap-server a:1 --topic t --partition 3 --offset 7").unwrap();
        assert!(command.config.membership.is_none());
        assert!(matches!(command.source, Source::Partition(_, 3, 7)));
    }

    #[test]
    fn wrong_commands_are_refused_in_the_words_of_the_original() {
        let refused = [
            (
                "--bootstrap-server a:1",
                "Exactly one of the following arguments is required: [topic], [include]",
            ),
            (
                "--bootstrap-server a:1 --topic t --offset 1",
                "The partition is required when offset is specified.",
            ),
            (
                "--bootstrap-server a:1 --topic t --partition 0 --offset -3",
                "The provided offset value '-3' is incorrect",
            ),
            ("--topic t", "Missing required argument \"[bootstrap-server]\""),
        ];
        for (line, expected) in refused {
            let exit = parse(line).unwrap_err();
            assert!(exit.stderr.contains(expected) && exit.code == 1, "{line}: {exit:?}");
        }
    }
}
