//! `ottla format`: prepares the log directories of a node, with the options of Kafka's storage tool.

use std::path::PathBuf;
use std::process::ExitCode;

use ottla_core::metadata::MetadataVersion;
use ottla_core::quorum::format::initial_voter;
use ottla_core::quorum::{self, FirstVoters, FormatOptions};
use ottla_core::rng::Rng;

use crate::cli::{configuration, refuse, say};
use crate::driver::Clock;
use crate::lock::DirectoryLocks;
use crate::store::{Durable as _, FileStore};

const HELP: &str = "\
ottla format --config FILE [--cluster-id ID] [--ignore-formatted]
             [--standalone | --initial-controllers VOTERS | --no-initial-controllers]
             [--release-version VERSION] [--feature NAME=LEVEL]...

  -c, --config FILE             The node's server.properties.
  -t, --cluster-id ID           The cluster's id; drawn at random without one, and printed.
  -s, --standalone              The node is a quorum of its own, which is the default without controller.quorum.voters.
  -I, --initial-controllers ID@HOST:PORT:DIRECTORY-ID,...
                                The voters that the quorum begins with, this node among them.
  -N, --no-initial-controllers  The node finds the quorum by controller.quorum.bootstrap.servers.
  -g, --ignore-formatted        Leaves directories that are formatted alone.
  -r, --release-version VERSION The release whose features are finalized, such as 4.3 or 4.0-IV3.
  -f, --feature NAME=LEVEL      The level of one feature.
      --override KEY=VALUE      A setting over those of the file.
";

/// Runs the command.
pub fn run(arguments: &[String]) -> ExitCode {
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        return say(HELP);
    }
    match parse(arguments).and_then(format) {
        Ok(text) => say(&text),
        Err(sentence) => refuse(&sentence),
    }
}

#[derive(Debug, Default)]
struct Arguments {
    file: Option<PathBuf>,
    overrides: Vec<String>,
    options: FormatOptions,
    /// Of `--initial-controllers`.
    voters: Option<String>,
}

fn parse(arguments: &[String]) -> Result<Arguments, String> {
    let mut parsed = Arguments::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let (option, attached) = match argument.split_once('=') {
            Some((option, value)) if option.starts_with("--") => (option, Some(value.to_owned())),
            _ => (argument.as_str(), None),
        };
        let mut value = || {
            attached.clone().or_else(|| rest.next().cloned()).ok_or_else(|| format!("{option} needs a value"))
        };
        match option {
            "--config" | "-c" => parsed.file = Some(value()?.into()),
            "--override" => parsed.overrides.push(value()?),
            "--cluster-id" | "-t" => parsed.options.cluster_id = Some(value()?),
            "--ignore-formatted" | "-g" => parsed.options.ignore_formatted = true,
            "--standalone" | "-s" => parsed.options.voters = FirstVoters::Standalone,
            "--no-initial-controllers" | "-N" => parsed.options.voters = FirstVoters::Unknown,
            "--initial-controllers" | "-I" => parsed.voters = Some(value()?),
            "--release-version" | "-r" => {
                let release = value()?;
                let version = MetadataVersion::from_release(&release);
                parsed.options.metadata_version =
                    version.ok_or_else(|| format!("Unknown metadata.version '{release}'"))?;
            }
            "--feature" | "-f" => parsed.options.features.push(feature(&value()?)?),
            _ => return Err(format!("{option} is no option of ottla format: see ottla format --help")),
        }
    }
    Ok(parsed)
}

fn feature(text: &str) -> Result<(String, i16), String> {
    let parsed = text.split_once('=').and_then(|(name, level)| Some((name.to_owned(), level.parse().ok()?)));
    parsed.ok_or_else(|| format!("--feature {text}: it is not NAME=LEVEL"))
}

fn format(arguments: Arguments) -> Result<String, String> {
    let Arguments { file, overrides, mut options, voters } = arguments;
    let config = configuration(file.as_deref(), &overrides)?.config;
    if let Some(voters) = voters {
        let parse = |voter: &str| {
            let parsed = initial_voter(&config, voter);
            parsed
                .ok_or_else(|| format!("--initial-controllers {voter}: it is not ID@HOST:PORT:DIRECTORY-ID"))
        };
        options.voters = FirstVoters::Initial(voters.split(',').map(parse).collect::<Result<_, _>>()?);
    }
    let directories = quorum::log_dirs(&config);
    let _locks = DirectoryLocks::take(directories.iter().map(String::as_str))?;
    let mut store = FileStore::default();
    let mut rng = Rng::from_seed(crate::server::seed()?);
    let done = quorum::format(&mut store, Clock::start().now(), &mut rng, &config, &options);
    let done = done.map_err(|error| error.to_string())?;
    let synced = done.sync.files.iter().try_for_each(|file| store.sync_file(file));
    let synced =
        synced.and_then(|()| done.sync.directories.iter().try_for_each(|path| store.sync_directory(path)));
    synced.map_err(|error| error.to_string())?;
    if done.directories.is_empty() {
        return Ok("All of the log directories are already formatted.\n".to_owned());
    }
    let version = options.metadata_version.name();
    let line =
        |(directory, _): &(String, _)| format!("Formatting {directory} with metadata.version {version}.\n");
    let mut text: String = done.directories.iter().map(line).collect();
    if options.cluster_id.is_none() {
        text.push_str(&format!("The id of the cluster is {}.\n", done.cluster_id));
    }
    Ok(text)
}
