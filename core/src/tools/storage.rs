//! `kafka-storage`: what its commands are asked for, and what they say. The shell that has the disks formats and looks.

use std::collections::BTreeMap;

use super::Exit;
use super::features::{mapping, requirements};
use super::options::{OptionSpec, Options, flag, value};
use super::subcommands::{Command, Grammar};
use crate::config::parse_properties;
use crate::metadata::MetadataVersion;
use crate::metadata::version::NAMES;
use crate::quorum::FirstVoters;
use crate::rng::Rng;

/// The tool's name.
pub const STORAGE: &str = "kafka-storage";

const CONFIG: OptionSpec = value("config", "file", "REQUIRED: the node's server.properties.");
const RELEASE: OptionSpec =
    value("release-version", "release", "The release whose features are finalized, such as 4.3 or 4.0-IV3.");
const FEATURE: OptionSpec = value("feature", "name=level", "The level of one feature; may be repeated.");

const FORMAT: [OptionSpec; 9] = [
    CONFIG,
    value("cluster-id", "id", "The cluster's id."),
    value("add-scram", "credential", "Not built yet: refused."),
    flag("ignore-formatted", "Leaves directories that are formatted alone."),
    RELEASE,
    FEATURE,
    flag("standalone", "The node is a quorum of its own."),
    flag("no-initial-controllers", "The node finds the quorum by controller.quorum.bootstrap.servers."),
    value(
        "initial-controllers",
        "id@host:port:directory-id,...",
        "The voters that the quorum begins with, this node among them.",
    ),
];

const VOTERS: &[(&[&str], bool)] =
    &[(&["standalone", "no-initial-controllers", "initial-controllers"], false)];
const LETTERS: &[(char, &str)] = &[
    ('c', "config"),
    ('t', "cluster-id"),
    ('S', "add-scram"),
    ('g', "ignore-formatted"),
    ('r', "release-version"),
    ('f', "feature"),
    ('s', "standalone"),
    ('N', "no-initial-controllers"),
    ('I', "initial-controllers"),
];

const fn command(
    name: &'static str,
    help: &'static str,
    options: &'static [OptionSpec],
    required: &'static [&'static str],
) -> Command {
    Command { name, help, options, required, typed: &[], exclusive: &[] }
}

static GRAMMAR: Grammar = Grammar {
    name: STORAGE,
    about: "The Kafka storage tool.",
    options: &[],
    commands: &[
        command("info", "Says what is in the node's log directories.", &[CONFIG], &["config"]),
        Command {
            exclusive: VOTERS,
            ..command("format", "Prepares the node's log directories.", &FORMAT, &["config", "cluster-id"])
        },
        command("version-mapping", "Shows which levels belong to a release.", &[RELEASE], &[]),
        command(
            "feature-dependencies",
            "Shows what a level needs of other features.",
            &[FEATURE],
            &["feature"],
        ),
        command("random-uuid", "Prints an id that is drawn at random.", &[], &[]),
    ],
    letters: LETTERS,
    needs_cluster: false,
};

static OWN_FORMAT: [OptionSpec; 10] = [
    FORMAT[0],
    value("cluster-id", "id", "The cluster's id; drawn at random without one, and printed."),
    FORMAT[2],
    FORMAT[3],
    FORMAT[4],
    FORMAT[5],
    flag(
        "standalone",
        "The node is a quorum of its own, which is the default without controller.quorum.voters.",
    ),
    FORMAT[7],
    FORMAT[8],
    value("override", "key=value", "A setting over those of the file; may be repeated."),
];

/// `ottla format`: the same with defaults.
static OWN_GRAMMAR: Grammar = Grammar {
    name: "ottla format",
    about: "",
    options: &[],
    commands: &[Command {
        exclusive: VOTERS,
        ..command("", "Prepares a node's log directories, as kafka-storage format does.", &OWN_FORMAT, &[])
    }],
    letters: LETTERS,
    needs_cluster: false,
};

/// What a shell does.
#[derive(Clone, Debug)]
pub enum StorageCommand {
    /// Looks at the directories that a configuration file names.
    Info { config: String },
    /// Formats them.
    Format(FormatCommand),
}

/// What is formatted, and how.
#[derive(Clone, Debug)]
pub struct FormatCommand {
    pub config: Option<String>,
    pub overrides: Vec<String>,
    pub cluster_id: Option<String>,
    pub metadata_version: MetadataVersion,
    pub features: Vec<(String, i16)>,
    pub voters: FirstVoters,
    /// Those of `--initial-controllers`, as they were given.
    pub initial_controllers: Option<String>,
    pub ignore_formatted: bool,
    /// Who votes first need not be said.
    pub is_lenient: bool,
}

/// Reads the arguments of the tool. What needs no disk is said at once.
pub fn read(arguments: &[String], rng: &mut Rng) -> Result<StorageCommand, Exit> {
    let (command, options) = GRAMMAR.read(arguments).map_err(|misread| misread.exit(STORAGE, 0))?;
    let config = options.value("config").map(str::to_owned);
    let said = |stdout: String| Exit { stdout, stderr: String::new(), code: 0 };
    match command.name {
        "info" => Ok(StorageCommand::Info { config: config.unwrap_or_default() }),
        "format" => format(&options, false).map(StorageCommand::Format),
        "version-mapping" => {
            let latest = NAMES.last().map_or("", |(_, name)| name);
            let table = mapping(options.value("release-version").unwrap_or(latest));
            Err(table.map_or_else(|sentence| Exit::error(&sentence), said))
        }
        "feature-dependencies" => Err(dependencies(&options)),
        _ => Err(said(format!("{}\n", rng.uuid()))),
    }
}

/// Reads the arguments of `ottla format`.
pub fn read_own_format(arguments: &[String]) -> Result<FormatCommand, Exit> {
    let (_, options) = OWN_GRAMMAR.read(arguments).map_err(|misread| misread.exit(OWN_GRAMMAR.name, 0))?;
    format(&options, true)
}

fn format(options: &Options, is_lenient: bool) -> Result<FormatCommand, Exit> {
    if options.has("add-scram") {
        return Err(Exit::error("--add-scram is not built yet: set the credentials with kafka-configs"));
    }
    let metadata_version = match options.value("release-version") {
        None => MetadataVersion::LATEST,
        Some(release) => MetadataVersion::from_release(release).ok_or_else(|| {
            let names: Vec<&str> = NAMES.iter().map(|(_, name)| *name).collect();
            let names = names.join(", ");
            Exit::error(&format!(
                "Unknown metadata.version '{release}'. Supported metadata.version are: {names}"
            ))
        })?,
    };
    let voters = match (options.has("standalone"), options.has("no-initial-controllers")) {
        (true, _) => FirstVoters::Standalone,
        (_, true) => FirstVoters::Unknown,
        _ => FirstVoters::Configured,
    };
    Ok(FormatCommand {
        config: options.value("config").map(str::to_owned),
        overrides: options.values("override").map(str::to_owned).collect(),
        cluster_id: options.value("cluster-id").map(str::to_owned),
        metadata_version,
        features: options.values("feature").map(level).collect::<Result<_, _>>()?,
        voters,
        initial_controllers: options.value("initial-controllers").map(str::to_owned),
        ignore_formatted: options.has("ignore-formatted"),
        is_lenient,
    })
}

fn level(text: &str) -> Result<(String, i16), Exit> {
    let cannot = format!(
        "Exception in thread \"main\" java.lang.RuntimeException: Can't parse feature=level string {text}: "
    );
    let Some((name, level)) = text.split_once('=') else {
        return Err(Exit::error(&format!("{cannot}equals sign not found.")));
    };
    let (name, level) = (name.trim(), level.trim());
    let parsed =
        level.parse().map_err(|_| Exit::error(&format!("{cannot}unable to parse {level} as a short.")))?;
    Ok((name.to_owned(), parsed))
}

fn dependencies(options: &Options) -> Exit {
    let mut stdout = String::new();
    for feature in options.values("feature") {
        match dependencies_of(feature) {
            Ok(text) => stdout.push_str(&text),
            Err(sentence) => return Exit { stdout, ..Exit::error(&sentence) },
        }
    }
    Exit { stdout, stderr: String::new(), code: 0 }
}

fn dependencies_of(feature: &str) -> Result<String, String> {
    let (name, level) = feature.split_once('=').ok_or_else(|| {
        format!(
            "Invalid feature format: {feature}. Expected format: 'feature=version' (e.g. 'group.version=1')"
        )
    })?;
    let (name, level) = (name.trim(), level.trim());
    let parsed = level.parse().map_err(|_| format!("Invalid version format: {level} for feature {name}"))?;
    requirements(name, parsed).map_err(|known| {
        known.unwrap_or_else(|| format!("Feature level {level} is not supported for feature {name}"))
    })
}

/// What is at the place of a log directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Nothing,
    /// Something else.
    NoDirectory,
    /// A directory, with its `meta.properties` if there is one.
    Directory(Option<String>),
}

/// What `info` says of the directories, in their order.
pub fn info(directories: &[(String, Found)]) -> Exit {
    let (mut problems, mut found) = (Vec::new(), Vec::new());
    let mut first: Option<BTreeMap<String, String>> = None;
    for (path, at) in directories {
        let text = match at {
            Found::Nothing => {
                problems.push(format!("{path} does not exist"));
                continue;
            }
            Found::NoDirectory => {
                problems.push(format!("{path} is not a directory"));
                continue;
            }
            Found::Directory(text) => {
                found.push(path.as_str());
                text
            }
        };
        let Some(text) = text else {
            problems.push(format!("{path} is not formatted."));
            continue;
        };
        let properties = parse_properties(text).unwrap_or_default().into_iter();
        let properties: BTreeMap<String, String> =
            properties.map(|property| (property.key, property.value)).collect();
        let differs = |key: &str| first.as_ref().is_some_and(|first| first.get(key) != properties.get(key));
        if differs("cluster.id") {
            problems.push("Mismatched cluster IDs between storage directories.".to_owned());
        } else if differs("node.id") {
            problems.push("Mismatched node IDs between storage directories.".to_owned());
        }
        first.get_or_insert(properties);
    }
    let listed = |one: &str, several: &str, lines: &[&str]| match lines {
        [] => String::new(),
        [line] => format!("{one}:\n  {line}\n\n"),
        lines => format!("{several}:\n  {}\n\n", lines.join("\n  ")),
    };
    let mut stdout = listed("Found log directory", "Found log directories", &found);
    if let Some(properties) = &first {
        let members: Vec<String> = properties.iter().map(|(key, value)| format!("{key}={value}")).collect();
        stdout.push_str(&format!("Found metadata: {{{}}}\n\n", members.join(", ")));
    }
    let problems: Vec<&str> = problems.iter().map(String::as_str).collect();
    stdout.push_str(&listed("Found problem", "Found problems", &problems));
    Exit { stdout, stderr: String::new(), code: i32::from(!problems.is_empty()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_told_of() {
        let meta = |cluster: &str| {
            Found::Directory(Some(format!("version=1\ncluster.id={cluster}\nnode.id=1\ndirectory.id=d\n")))
        };
        let said = info(&[("/a".into(), meta("x"))]);
        let metadata = "Found metadata: {cluster.id=x, directory.id=d, node.id=1, version=1}\n\n";
        assert_eq!(said.stdout, format!("Found log directory:\n  /a\n\n{metadata}"));
        assert_eq!(said.code, 0);
        let said = info(&[("/a".into(), meta("x")), ("/b".into(), meta("y")), ("/c".into(), Found::Nothing)]);
        let problems =
            "Found problems:\n  Mismatched cluster IDs between storage directories.\n  /c does not exist\n\n";
        assert_eq!(said.stdout, format!("Found log directories:\n  /a\n  /b\n\n{metadata}{problems}"));
        assert_eq!(said.code, 1);
    }
}
