//! `kafka-storage`, and `ottla format`, which is its command `format` with defaults.

use std::path::Path;
use std::process::ExitCode;

use ottla_core::config::BrokerConfig;
use ottla_core::quorum::format::initial_voter;
use ottla_core::quorum::{self, FirstVoters, FormatError, FormatOptions};
use ottla_core::rng::Rng;
use ottla_core::tools::Exit;
use ottla_core::tools::storage::{self, FormatCommand, Found, StorageCommand};

use crate::cli::{configuration, refuse};
use crate::driver::Clock;
use crate::lock::DirectoryLocks;
use crate::store::{Durable as _, FileStore};
use crate::tools::end;

/// Runs `ottla format`.
pub fn run(arguments: &[String]) -> ExitCode {
    end(storage::read_own_format(arguments).map_or_else(|exit| exit, |command| said(format(command))))
}

/// Runs `kafka-storage`.
pub fn run_storage(arguments: &[String]) -> ExitCode {
    let seed = match crate::server::seed() {
        Ok(seed) => seed,
        Err(sentence) => return refuse(&sentence),
    };
    end(match storage::read(arguments, &mut Rng::from_seed(seed)) {
        Ok(StorageCommand::Format(command)) => said(format(command)),
        Ok(StorageCommand::Info { config }) => info(&config).unwrap_or_else(failed),
        Err(exit) => exit,
    })
}

fn failed(sentence: String) -> Exit {
    Exit { stdout: String::new(), stderr: format!("{sentence}\n"), code: 1 }
}

fn said(done: Result<String, String>) -> Exit {
    done.map_or_else(failed, |stdout| Exit { stdout, stderr: String::new(), code: 0 })
}

/// What Kafka's tool ends with where it catches nothing.
fn uncaught(class: &str, error: &FormatError) -> String {
    format!("Exception in thread \"main\" java.lang.{class}: {error}")
}

/// What a file says, and the settings over it.
fn configured(file: Option<&str>, overrides: &[String]) -> Result<BrokerConfig, String> {
    if let Some(file) = file.filter(|file| !Path::new(file).exists()) {
        return Err(format!("Exception in thread \"main\" java.nio.file.NoSuchFileException: {file}"));
    }
    Ok(configuration(file.map(Path::new), overrides)?.config)
}

fn info(config: &str) -> Result<Exit, String> {
    let mut paths = quorum::log_dirs(&configured(Some(config), &[])?);
    paths.sort_unstable();
    let found = paths.into_iter().map(|path| {
        let found = match std::fs::metadata(&path) {
            Err(_) => Found::Nothing,
            Ok(meta) if !meta.is_dir() => Found::NoDirectory,
            Ok(_) => Found::Directory(std::fs::read_to_string(Path::new(&path).join("meta.properties")).ok()),
        };
        (path, found)
    });
    Ok(storage::info(&found.collect::<Vec<_>>()))
}

fn format(command: FormatCommand) -> Result<String, String> {
    let config = configured(command.config.as_deref(), &command.overrides)?;
    let options = FormatOptions {
        voters: voters(&config, &command)?,
        cluster_id: command.cluster_id,
        metadata_version: command.metadata_version,
        features: command.features,
        ignore_formatted: command.ignore_formatted,
    };
    let directories = quorum::log_dirs(&config);
    let _locks = DirectoryLocks::take(directories.iter().map(String::as_str))?;
    let mut store = FileStore::default();
    let mut rng = Rng::from_seed(crate::server::seed()?);
    let done = quorum::format(&mut store, Clock::start().now(), &mut rng, &config, &options);
    let done = done.map_err(|error| match error {
        FormatError::AlreadyFormatted(directory) => format!(
            "Log directory {directory} is already formatted. Use --ignore-formatted to ignore this directory and format the others."
        ),
        error @ FormatError::OtherCluster(..) => uncaught("RuntimeException", &error),
        error @ FormatError::UnknownLevel(..) => uncaught("IllegalArgumentException", &error),
        other => other.to_string(),
    })?;
    let synced = done.sync.files.iter().try_for_each(|file| store.sync_file(file));
    let synced =
        synced.and_then(|()| done.sync.directories.iter().try_for_each(|path| store.sync_directory(path)));
    synced.map_err(|error| error.to_string())?;
    if done.directories.is_empty() {
        return Ok("All of the log directories are already formatted.\n".to_owned());
    }
    let version = options.metadata_version.name();
    let votes = matches!(options.voters, FirstVoters::Standalone | FirstVoters::Initial(_));
    let kind = |directory: &String| match (*directory == config.metadata_log_dir, votes) {
        (false, _) => "data directory",
        (true, true) => "dynamic metadata voter directory",
        (true, false) => "metadata directory",
    };
    let mut directories: Vec<&String> = done.directories.iter().map(|(directory, _)| directory).collect();
    // The one that holds the metadata comes last.
    directories.sort_by_key(|directory| **directory == config.metadata_log_dir);
    let line = |directory: &&String| {
        format!("Formatting {} {directory} with metadata.version {version}.\n", kind(directory))
    };
    let mut text: String = directories.iter().map(line).collect();
    if options.cluster_id.is_none() {
        text.push_str(&format!("The id of the cluster is {}.\n", done.cluster_id));
    }
    Ok(text)
}

/// Who votes first, if that can be told.
fn voters(config: &BrokerConfig, command: &FormatCommand) -> Result<FirstVoters, String> {
    let is_static = config.settings.text("controller.quorum.voters").is_some_and(|voters| !voters.is_empty());
    let names_voters = command.initial_controllers.is_some() || command.voters == FirstVoters::Standalone;
    if is_static && names_voters {
        return Err("You cannot specify controller.quorum.voters and format the node with --initial-controllers or --standalone. If you want to use dynamic quorum, please remove controller.quorum.voters and specify controller.quorum.bootstrap.servers instead.".to_owned());
    }
    if let Some(voters) = &command.initial_controllers {
        let parse = |voter: &str| {
            let parsed = initial_voter(config, voter);
            parsed
                .ok_or_else(|| format!("--initial-controllers {voter}: it is not ID@HOST:PORT:DIRECTORY-ID"))
        };
        return Ok(FirstVoters::Initial(voters.split(',').map(parse).collect::<Result<_, _>>()?));
    }
    let is_controller = config.process_roles.controller;
    if command.voters == FirstVoters::Standalone && !is_controller {
        return Err("You can only use --standalone on a controller.".to_owned());
    }
    if !command.is_lenient && !is_static && is_controller && command.voters == FirstVoters::Configured {
        return Err("Because controller.quorum.voters is not set on this controller, you must specify one of the following: --standalone, --initial-controllers, or --no-initial-controllers.".to_owned());
    }
    Ok(command.voters.clone())
}
