//! `kafka-features`: the features of a cluster, and their levels.

use std::collections::BTreeMap;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};
use ottla_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, UpdateFeaturesResponse};

use super::KAFKA_VERSION;
use super::admin::Admin;
use super::client_config::admin_session;
use super::failure::{Refusal, refusal};
use super::options::{OptionSpec, Options, flag, value};
use super::partitions::error_of;
use super::runner::{Next, Runner, Steps};
use super::subcommands::{CLUSTER, Command, Grammar, Typed};
use super::{Environment, Exit, Output, ToolCx};
use crate::client::{Destination, Reply};
use crate::metadata::features::{ELIGIBLE_LEADER_REPLICAS_VERSION, KNOWN, KRAFT_VERSION, METADATA_VERSION};
use crate::metadata::version::NAMES;
use crate::time::Instant;

const METADATA: OptionSpec = value("metadata", "release", "The old way to name a release, as 4.3-IV0.");
const RELEASE: OptionSpec =
    value("release-version", "release", "The release, as 4.3-IV0, of which all levels are.");
const LEVEL: OptionSpec = value("feature", "name=level", "A feature and its level; may be repeated.");
const NAME: OptionSpec = value("feature", "name", "The feature; may be repeated.");
const UNSAFE: OptionSpec = flag("unsafe", "Even if metadata is lost.");
const DRY_RUN: OptionSpec = flag("dry-run", "Only checks.");

static GRAMMAR: Grammar = Grammar {
    name: "kafka-features",
    about: "This tool manages feature flags in Kafka.",
    options: &[
        value("command-config", "file", "A properties file for the admin client."),
        CLUSTER[0],
        CLUSTER[1],
    ],
    commands: &[
        command("describe", "Shows the features.", &[value("node-id", "id", "The node that is asked.")]),
        command("upgrade", "Raises levels.", &[METADATA, RELEASE, LEVEL, DRY_RUN]),
        command("downgrade", "Lowers levels.", &[METADATA, RELEASE, LEVEL, UNSAFE, DRY_RUN]),
        command("disable", "Lowers levels to 0.", &[NAME, UNSAFE, DRY_RUN]),
        command("version-mapping", "Shows which levels belong to a release.", &[RELEASE]),
        Command {
            required: &["feature"],
            ..command("feature-dependencies", "Shows what a level needs of other features.", &[LEVEL])
        },
    ],
    letters: &[],
    needs_cluster: false,
};

const fn command(name: &'static str, help: &'static str, options: &'static [OptionSpec]) -> Command {
    Command { name, help, options, required: &[], typed: &[("node-id", Typed::Integer)], exclusive: &[] }
}

/// A level that Kafka 4.3 knows the name of, and does not finalize yet.
const UNSTABLE: (i16, &str) = (31, "4.4-IV0");

/// Features besides `metadata.version`, in the order of Kafka's tool: since which level of that they are at their own by default.
const DEFAULTS: [(&str, i16, i16); 6] = [
    (KRAFT_VERSION, 21, 1),
    ("transaction.version", 24, 2),
    ("group.version", 22, 1),
    (ELIGIBLE_LEADER_REPLICAS_VERSION, 26, 1),
    ("share.version", 28, 1),
    ("streams.version", 29, 1),
];

/// UpdateFeatures' numbers.
const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;
const UNSAFE_DOWNGRADE: i8 = 3;

#[derive(Clone, Debug)]
enum Features {
    Describe { node: Option<i32> },
    Update(Update),
}

#[derive(Clone, Debug)]
struct Update {
    /// The command.
    name: &'static str,
    levels: BTreeMap<String, i16>,
    upgrade_type: i8,
    dry_run: bool,
}

/// Reads the arguments. What needs no cluster is said at once.
pub fn start(arguments: &[String], environment: &Environment) -> Result<Runner, Exit> {
    let unread = |error: String| Exit {
        stdout: String::new(),
        stderr: format!("Command line error: {error}. Type --help for help."),
        code: 1,
    };
    let (command, options) = GRAMMAR.read(arguments).map_err(|misread| match misread.error {
        Some(error) => unread(error),
        None => Exit { stdout: misread.usage, stderr: String::new(), code: 0 },
    })?;
    let table = match command.name {
        "version-mapping" => Some(version_mapping(&options)),
        "feature-dependencies" => Some(dependencies(&options)),
        _ => None,
    };
    let error = |stdout: &str, sentence: String| Exit {
        stdout: stdout.to_owned(),
        stderr: format!("{sentence}\n"),
        code: 1,
    };
    match table {
        Some(Ok(stdout)) => return Err(Exit { stdout, stderr: String::new(), code: 0 }),
        Some(Err((stdout, sentence))) => return Err(error(&stdout, sentence)),
        None => {}
    }
    if !CLUSTER.iter().any(|one| options.has(one.name)) {
        return Err(unread("You must specify either --bootstrap-controller or --bootstrap-server.".into()));
    }
    let mut greeting = Output::default();
    if options.has("metadata") && !options.has("release-version") {
        greeting.stdout.push_str(" `metadata` flag is deprecated and may be removed in a future release.\n");
    }
    let steps = Features::understand(command.name, &options);
    let steps = steps.map_err(|sentence| error(&greeting.stdout, sentence))?;
    Ok(Runner::new(admin_session(&options, environment)?, steps).greets(greeting))
}

impl Features {
    fn understand(name: &'static str, options: &Options) -> Result<Self, String> {
        if name == "describe" {
            let node: Option<i32> = options.number("node-id").ok().flatten();
            if let Some(node) = node.filter(|node| *node < 0) {
                return Err(format!("Invalid node id {node}: must be non-negative."));
            }
            return Ok(Self::Describe { node });
        }
        let upgrade_type = match name {
            "upgrade" => UPGRADE,
            _ if options.has("unsafe") => UNSAFE_DOWNGRADE,
            _ => SAFE_DOWNGRADE,
        };
        let mut levels = BTreeMap::new();
        if let Some(release) = options.value("release-version") {
            if options.has("metadata") || options.has("feature") {
                return Err("Can not specify `release-version` with other feature flags.".into());
            }
            let version = metadata_version(release)?;
            levels.insert(METADATA_VERSION.to_owned(), version);
            let defaults =
                DEFAULTS.iter().map(|(name, ..)| ((*name).to_owned(), default_level(name, version)));
            levels.extend(defaults.filter(|(_, level)| upgrade_type != UPGRADE || *level > 0));
        }
        if let Some(release) = options.value("metadata") {
            levels.insert(METADATA_VERSION.to_owned(), metadata_version(release)?);
        }
        for feature in options.values("feature") {
            let (name, level) = match name {
                "disable" => (feature.to_owned(), 0),
                _ => name_and_level(feature)?,
            };
            if levels.insert(name.clone(), level).is_some() {
                return Err(format!("Feature {name} was specified more than once."));
            }
        }
        if levels.is_empty() {
            return Err(format!("You must specify at least one feature to {name}"));
        }
        Ok(Self::Update(Update { name, levels, upgrade_type, dry_run: options.has("dry-run") }))
    }
}

/// All levels of `metadata.version`, with their releases.
fn releases() -> impl DoubleEndedIterator<Item = (i16, &'static str)> {
    NAMES.iter().copied().chain([UNSTABLE])
}

/// The level of a release, or of the last one that begins so.
fn metadata_version(release: &str) -> Result<i16, String> {
    let exact = releases().find(|(_, name)| *name == release);
    let of_release =
        || releases().rev().find(|(_, name)| name.split_once('-').is_some_and(|(short, _)| short == release));
    exact.or_else(of_release).map(|(level, _)| level).ok_or_else(|| {
        let names: Vec<&str> = releases().map(|(_, name)| name).collect();
        let names = names.join(", ");
        format!("Unknown metadata.version '{release}'. Supported metadata.version are: {names}")
    })
}

fn default_level(feature: &str, metadata_version: i16) -> i16 {
    let of_feature = DEFAULTS.iter().find(|(name, since, _)| *name == feature && *since <= metadata_version);
    of_feature.map_or(0, |(.., level)| *level)
}

fn name_and_level(text: &str) -> Result<(String, i16), String> {
    let cannot = format!("Can't parse feature=level string {text}: ");
    let Some((name, level)) = text.split_once('=') else {
        return Err(format!("{cannot}equals sign not found."));
    };
    let level = level.trim();
    let parsed = level.parse().map_err(|_| format!("{cannot}unable to parse {level} as a short."))?;
    Ok((name.trim().to_owned(), parsed))
}

/// What is said; in the error, what was said before it.
type Table = Result<String, (String, String)>;

fn version_mapping(options: &Options) -> Table {
    let latest = NAMES.last().map_or("", |(_, name)| name);
    let release = options.value("release-version").unwrap_or(latest);
    mapping(release).map_err(|sentence| (String::new(), sentence))
}

/// The levels that belong to a release.
pub fn mapping(release: &str) -> Result<String, String> {
    let version = metadata_version(release)?;
    let mut text = format!("metadata.version={version} ({release})\n");
    for (feature, ..) in DEFAULTS {
        text.push_str(&format!("{feature}={}\n", default_level(feature, version)));
    }
    Ok(text)
}

fn dependencies(options: &Options) -> Table {
    let mut text = String::new();
    for feature in options.values("feature") {
        match dependencies_of(feature) {
            Ok(lines) => text.push_str(&lines),
            Err(sentence) => return Err((text, sentence)),
        }
    }
    Ok(text)
}

fn dependencies_of(feature: &str) -> Result<String, String> {
    let (name, level) = name_and_level(feature)?;
    requirements(&name, level)
        .map_err(|known| known.unwrap_or_else(|| format!("No feature:{name} with feature level {level}")))
}

/// What a level needs of other features; without a sentence for a level that the feature does not have.
pub fn requirements(name: &str, level: i16) -> Result<String, Option<String>> {
    let release = |level: i16| releases().find(|(other, _)| *other == level).map(|(_, release)| release);
    if name == METADATA_VERSION {
        let release = release(level).ok_or_else(|| format!("Unknown metadata.version {level}"))?;
        return Ok(format!("{name}={level} ({release}) has no dependencies.\n"));
    }
    let known = KNOWN.iter().find(|(known, _)| *known == name);
    let (_, highest) = known.ok_or_else(|| format!("Unknown feature: {name}"))?;
    if !(0..=*highest).contains(&level) {
        return Err(None);
    }
    if name == ELIGIBLE_LEADER_REPLICAS_VERSION && level == 1 {
        // Partition records hold them since.
        let needed = crate::metadata::MetadataVersion::ELR;
        let (level, release) = (needed.level(), needed.name());
        return Ok(format!("{name}=1 requires:\n    {METADATA_VERSION}={level} ({release})\n"));
    }
    Ok(format!("{name}={level} has no dependencies.\n"))
}

impl Steps for Features {
    fn ask(&mut self, now: Instant, admin: &mut Admin) {
        match self {
            Self::Describe { node } => {
                let to = node.map_or(Destination::Any, Destination::Node);
                let request = ApiVersionsRequest {
                    client_software_name: "ottla".into(),
                    client_software_version: KAFKA_VERSION.into(),
                };
                admin.ask(now, &to, (0, 4), request);
            }
            Self::Update(update) => {
                let updates = update.levels.iter().map(|(feature, level)| FeatureUpdateKey {
                    feature: feature.as_str().into(),
                    max_version_level: *level,
                    upgrade_type: update.upgrade_type,
                    ..Default::default()
                });
                let request = UpdateFeaturesRequest {
                    feature_updates: updates.collect(),
                    validate_only: update.dry_run,
                    ..Default::default()
                };
                admin.ask(now, &admin.anyone(), (1, 2), request);
            }
        }
    }

    fn answered(&mut self, cx: &mut ToolCx<'_>, _admin: &Admin, replies: &[Reply]) -> Result<Next, Refusal> {
        let Some(reply) = replies.first() else { return Ok(Next::Again) };
        match self {
            Self::Describe { .. } => {
                let answer: ApiVersionsResponse = reply.decode()?;
                match error_of(answer.error_code) {
                    ErrorCode::None => cx.output.stdout.push_str(&description(&answer)),
                    error => return Err(refusal(error, None)),
                }
            }
            Self::Update(update) => return update.done(cx.output, &reply.decode()?),
        }
        Ok(Next::Exit(0))
    }

    fn refused(&self, output: &mut Output, refusal: Refusal) -> i32 {
        output.stderr.push_str(&format!("{}\n", refusal.executed().message));
        1
    }
}

fn description(answer: &ApiVersionsResponse) -> String {
    let shown = |feature: &str, level: i16| match releases().find(|(other, _)| *other == level) {
        _ if feature != METADATA_VERSION => level.to_string(),
        Some((_, release)) => release.to_owned(),
        None => format!("UNKNOWN {level}"),
    };
    let epoch = answer.finalized_features_epoch;
    let epoch = if epoch < 0 { "-".to_owned() } else { epoch.to_string() };
    let mut supported: Vec<_> = answer.supported_features.iter().collect();
    supported.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let line = |feature: &&ottla_protocol::messages::api_versions_response::SupportedFeatureKey| {
        let name = &*feature.name;
        let finalized = answer.finalized_features.iter().find(|finalized| &*finalized.name == name);
        let [lowest, highest, finalized] = [
            feature.min_version,
            feature.max_version,
            finalized.map_or(0, |finalized| finalized.max_version_level),
        ]
        .map(|level| shown(name, level));
        format!(
            "Feature: {name:<40}  SupportedMinVersion: {lowest:<15}  SupportedMaxVersion: {highest:<15}  \
             FinalizedVersionLevel: {finalized:<15}  Epoch: {epoch}\n"
        )
    };
    supported.iter().map(line).collect()
}

impl Update {
    fn done(&self, output: &mut Output, answer: &UpdateFeaturesResponse) -> Result<Next, Refusal> {
        let overall = error_of(answer.error_code);
        if overall.is_retriable() {
            return Ok(Next::Again);
        }
        let mut failures = 0;
        for (feature, level) in &self.levels {
            let of_feature = answer.results.iter().find(|result| *result.feature == **feature);
            let (error, message) = match (overall, of_feature) {
                (ErrorCode::None, Some(result)) => (error_of(result.error_code), &result.error_message),
                _ => (overall, &answer.error_message),
            };
            let name = self.name;
            let line = match (error, name) {
                (ErrorCode::None, "disable") => {
                    format!("{feature} {} disabled.", if self.dry_run { "can be" } else { "was" })
                }
                (ErrorCode::None, _) => {
                    format!("{feature} {} {name}d to {level}.", if self.dry_run { "can be" } else { "was" })
                }
                (error, _) => {
                    failures += 1;
                    let what = match name {
                        "disable" => format!("disable {feature}"),
                        _ => format!("{name} {feature} to {level}"),
                    };
                    let reason = refusal(error, message.as_deref()).message;
                    format!("{} not {what}. {reason}", if self.dry_run { "Can" } else { "Could" })
                }
            };
            output.stdout.push_str(&format!("{line}\n"));
        }
        if failures == 0 {
            return Ok(Next::Exit(0));
        }
        Err(Refusal::terse(format!("{failures} out of {} operation(s) failed.", self.levels.len())))
    }
}
