//! The command line: which part of the binary is meant, and the options of the server.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ottla_core::config::{self, BrokerConfig, Resolved};
use ottla_core::tools::CHECK;

use crate::{format, keys, server, tools};

const HELP: &str = "\
Ottla: Apache Kafka's protocol and log format, in one binary.

  ottla server [FILE] [--override KEY=VALUE]... [--log LEVELS]
      Runs a node as FILE says, a server.properties of Kafka's. Without FILE: a node of its own on 127.0.0.1:9092 with
      its data in ./data, formatted when it is not there, and its page on http://127.0.0.1:8080.
  ottla format --config FILE [--cluster-id ID] [...]
      Prepares the log directories that FILE names: kafka-storage format with defaults. See ottla format --help.
  ottla config [TEXT]...
      Lists configuration keys: values, defaults, and what Ottla does with each. See ottla config --help.
  ottla check DIR...
      Looks over log directories offline and names file, position and fault; changes nothing. See ottla check --help.
  ottla TOOL ...
      One of Kafka's tools, with its options: see ottla TOOL --help. A link to this binary that has the name of a tool,
      with or without .sh, is that tool.
  ottla install-tools DIR
      Makes such a link for every tool, as Kafka's scripts are named: DIR/bin/kafka-topics.sh and so on.

  --log LEVELS  Of the log, to standard error: fatal, error, warn, info, debug or trace, and LOGGER=LEVEL, with commas between
                them; RUST_LOG if it is not given. `kafka-configs --entity-type broker-loggers` shows the loggers, and changes
                their levels while the server runs.
  --version     Prints the version.
";

/// Does what the arguments (the program's name first) ask for.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter().map(|argument| argument.to_string_lossy().into_owned());
    let program = arguments.next().unwrap_or_default();
    let name =
        Path::new(&program).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.strip_suffix(".sh").unwrap_or(&name);
    let arguments: Vec<String> = arguments.collect();
    if tools::is_tool(name) {
        return tools::run(name, &arguments);
    }
    match arguments.split_first() {
        Some((command, rest)) if command == "server" => serve(rest),
        Some((command, rest)) if command == "format" => format::run(rest),
        Some((command, rest)) if command == "config" => keys::run(rest),
        Some((command, rest)) if command == CHECK => tools::check(rest),
        Some((command, rest)) if command == "install-tools" => install_tools(rest),
        Some((tool, rest)) if tools::is_tool(tool) => tools::run(tool, rest),
        Some((option, [])) if option == "--version" || option == "-V" => {
            say(&format!("ottla {}\n", crate::VERSION))
        }
        Some((option, [])) if ["--help", "-h", "help"].contains(&option.as_str()) => {
            say(&format!("{HELP}\nTools: {}\n", tools::names().collect::<Vec<_>>().join(", ")))
        }
        Some((unknown, _)) => refuse(&format!("{unknown} is no command of ottla: see ottla --help")),
        None => refuse("a command is needed: ottla server, or see ottla --help"),
    }
}

/// Links to this binary under the names of Kafka's scripts. Links that are there already are replaced, other files are not.
fn install_tools(arguments: &[String]) -> ExitCode {
    let [directory] = arguments else { return refuse("ottla install-tools wants a directory") };
    if ["--help", "-h"].contains(&directory.as_str()) {
        return say(HELP);
    }
    let bin = Path::new(directory).join("bin");
    match std::env::current_exe().and_then(|binary| link_tools(&binary, &bin)) {
        Ok(count) => say(&format!("{count} tools in {}\n", bin.display())),
        Err(error) => refuse(&format!("{}: {error}", bin.display())),
    }
}

fn link_tools(binary: &Path, bin: &Path) -> std::io::Result<usize> {
    std::fs::create_dir_all(bin)?;
    for name in tools::names() {
        let link = bin.join(format!("{name}.sh"));
        if link.symlink_metadata().is_ok_and(|there| there.is_symlink()) {
            std::fs::remove_file(&link)?;
        }
        std::os::unix::fs::symlink(binary, &link)?;
    }
    Ok(tools::names().count())
}

/// What `ottla server` was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct ServerArguments {
    file: Option<PathBuf>,
    overrides: Vec<String>,
    log: Option<String>,
}

fn serve(arguments: &[String]) -> ExitCode {
    let started = std::time::Instant::now();
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        return say(HELP);
    }
    let arguments = match parse_server(arguments) {
        Ok(arguments) => arguments,
        Err(sentence) => return refuse(&sentence),
    };
    if let Err(sentence) = crate::logging::start(arguments.log.as_deref()) {
        return refuse(&sentence);
    }
    match configuration(arguments.file.as_deref(), &arguments.overrides) {
        Ok(resolved) => {
            for notice in &resolved.notices {
                tracing::warn!(target: "kafka.server", "{notice}");
            }
            server::run(resolved.config, started)
        }
        Err(sentences) => refuse(&sentences),
    }
}

fn parse_server(arguments: &[String]) -> Result<ServerArguments, String> {
    let mut parsed = ServerArguments::default();
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
            "--override" => parsed.overrides.push(value()?),
            "--log" => parsed.log = Some(value()?),
            _ if option.starts_with('-') => {
                return Err(format!("{option} is no option of ottla server: see ottla --help"));
            }
            _ if parsed.file.is_some() => return Err("ottla server takes one file".to_owned()),
            _ => parsed.file = Some(argument.into()),
        }
    }
    Ok(parsed)
}

/// The configuration that a file and overrides make; the error is one sentence a line.
pub(crate) fn configuration(file: Option<&Path>, overrides: &[String]) -> Result<Resolved, String> {
    let mut settings = Vec::new();
    if let Some(path) = file {
        let name = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|error| format!("{name}: cannot be read: {error}"))?;
        let properties = config::parse_properties(&text).map_err(|error| format!("{name}: {error}"))?;
        settings.extend(config::file_settings(&name, properties));
    }
    for argument in overrides {
        let setting = config::override_setting(argument);
        settings.push(setting.ok_or_else(|| format!("--override {argument}: it is not KEY=VALUE"))?);
    }
    BrokerConfig::resolve(settings, file.is_none()).map_err(|errors| {
        let sentences: Vec<String> = errors.iter().map(ToString::to_string).collect();
        sentences.join("\n")
    })
}

/// Prints to standard output; a closed pipe is the reader's choice.
pub(crate) fn say(text: &str) -> ExitCode {
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// Prints why not.
pub(crate) fn refuse(sentence: &str) -> ExitCode {
    eprintln!("{sentence}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<ServerArguments, String> {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        parse_server(&arguments)
    }

    #[test]
    fn options_of_the_server() {
        let parsed = parse(&["--override", "a=b", "x.properties", "--override=c=d", "--log", "debug"]);
        let expected = ServerArguments {
            file: Some("x.properties".into()),
            overrides: vec!["a=b".into(), "c=d".into()],
            log: Some("debug".into()),
        };
        assert_eq!(parsed, Ok(expected));
        assert_eq!(parse(&["a=b.properties"]).expect("a file").file, Some("a=b.properties".into()));
        for wrong in [&["--override"][..], &["--bogus"], &["a", "b"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn every_tool_gets_a_link() {
        let directory = tempfile::tempdir().expect("directory");
        let bin = directory.path().join("kafka/bin");
        let (binary, other) = (Path::new("/usr/bin/ottla"), Path::new("/opt/ottla"));
        assert_eq!(link_tools(other, &bin).expect("made"), tools::names().count());
        assert_eq!(link_tools(binary, &bin).expect("made again"), tools::names().count());
        let link = bin.join("kafka-configs.sh");
        assert_eq!(std::fs::read_link(&link).expect("a link"), binary);
        std::fs::remove_file(&link).expect("removed");
        std::fs::write(&link, "a script").expect("written");
        assert!(link_tools(binary, &bin).is_err(), "what is no link stays");
    }

    #[test]
    fn errors_name_file_line_and_key() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("server.properties");
        std::fs::write(&path, "node.id=1\n\nnum.partitions=many\n").expect("written");
        let sentence = configuration(Some(&path), &[]).expect_err("wrong");
        assert!(sentence.contains("server.properties:3"), "{sentence}");
        assert!(sentence.contains("num.partitions"), "{sentence}");
        assert_eq!(sentence.lines().count(), 1, "{sentence}");
        let sentence = configuration(None, &["no-equals-sign".into()]).expect_err("wrong");
        assert!(sentence.contains("no-equals-sign"), "{sentence}");
        assert!(configuration(Some(&directory.path().join("nowhere")), &[]).is_err());
    }
}
