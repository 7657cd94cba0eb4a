//! `kafka-metadata-quorum`: who votes on metadata, and how far they are.

use ottla_protocol::messages::add_raft_voter_request::{AddRaftVoterRequest, Listener};
use ottla_protocol::messages::describe_quorum_request::{DescribeQuorumRequest, PartitionData, TopicData};
use ottla_protocol::messages::describe_quorum_response::{Node, PartitionData as Quorum, ReplicaState};
use ottla_protocol::messages::{
    AddRaftVoterResponse, DescribeQuorumResponse, RemoveRaftVoterRequest, RemoveRaftVoterResponse,
};
use ottla_protocol::{ErrorCode, Str, Uuid};

use super::admin::Admin;
use super::client_config::admin_session;
use super::failure::{Refusal, refusal};
use super::options::{Options, flag, parsed_id, value};
use super::partitions::error_of;
use super::runner::{Next, Runner, Steps};
use super::subcommands::{CLUSTER, Command, Grammar, Typed};
use super::table::tabbed;
use super::{Environment, Exit, ToolCx};
use crate::client::Reply;
use crate::config::parse_properties;
use crate::small_map::SmallMap;
use crate::time::Instant;

static GRAMMAR: Grammar = Grammar {
    name: "kafka-metadata-quorum",
    about: "This tool describes kraft metadata quorum status.",
    options: &[
        value(
            "command-config",
            "file",
            "A properties file for the admin client; for add-controller, that of the controller.",
        ),
        CLUSTER[0],
        CLUSTER[1],
    ],
    commands: &[
        Command {
            name: "describe",
            help: "Shows the quorum.",
            options: &[
                flag("status", "In short: who leads, how far it is, who votes, who looks on."),
                flag("replication", "A line for each replica."),
                flag("human-readable", "With --replication: how long ago rather than when."),
            ],
            required: &[],
            typed: &[],
            exclusive: &[],
        },
        Command {
            name: "add-controller",
            help: "Makes a controller a voter.",
            options: &[flag("dry-run", "Only says what would be done.")],
            required: &[],
            typed: &[],
            exclusive: &[],
        },
        Command {
            name: "remove-controller",
            help: "Makes a voter none.",
            options: &[
                value("controller-id", "id", "REQUIRED: the controller."),
                value("controller-directory-id", "id", "REQUIRED: the id of its metadata directory."),
                flag("dry-run", "Only says what would be done."),
            ],
            required: &["controller-id", "controller-directory-id"],
            typed: &[("controller-id", Typed::Integer)],
            exclusive: &[],
        },
    ],
    letters: &[('i', "controller-id"), ('d', "controller-directory-id")],
    needs_cluster: true,
};

#[derive(Clone, Debug)]
enum MetadataQuorum {
    Status,
    Replication { human_readable: bool },
    Add { voter: Voter, dry_run: bool },
    Remove { voter: Voter, dry_run: bool },
}

#[derive(Clone, Debug, Default)]
struct Voter {
    id: i32,
    directory: Uuid,
    /// Name, host and port of each of its listeners.
    listeners: Vec<(String, String, u16)>,
}

/// Reads the arguments.
pub fn start(arguments: &[String], environment: &Environment) -> Result<Runner, Exit> {
    let (command, options) = GRAMMAR.read(arguments).map_err(|misread| misread.exit(GRAMMAR.name, 0))?;
    let failed = |refusal: Refusal| Exit { stdout: String::new(), stderr: refusal.complaint(), code: 1 };
    if let Some(path) = options.value("command-config").filter(|path| !environment.files.contains_key(*path))
    {
        return Err(failed(Refusal::terse(format!("Properties file {path} does not exists!"))));
    }
    let steps = MetadataQuorum::understand(command.name, &options, environment).map_err(failed)?;
    Ok(Runner::new(admin_session(&options, environment)?, steps))
}

impl MetadataQuorum {
    fn understand(command: &str, options: &Options, environment: &Environment) -> Result<Self, Refusal> {
        let dry_run = options.has("dry-run");
        let human_readable = options.has("human-readable");
        match (command, options.has("status"), options.has("replication")) {
            ("describe", true, true) => Err(Refusal::terse(
                "Only one of --status or --replication should be specified with describe sub-command",
            )),
            ("describe", false, true) => Ok(Self::Replication { human_readable }),
            ("describe", true, false) if human_readable => {
                Err(Refusal::terse("The option --human-readable is only supported along with --replication"))
            }
            ("describe", true, false) => Ok(Self::Status),
            ("describe", ..) => Err(Refusal::terse(
                "One of --status or --replication must be specified with describe sub-command",
            )),
            ("add-controller", ..) => {
                let path = options.value("command-config");
                let text = path.and_then(|path| environment.files.get(path)).ok_or_else(|| {
                    Refusal::terse("You must supply the configuration file of the controller you are adding when using add-controller.")
                })?;
                Ok(Self::Add { voter: Voter::configured(text, environment)?, dry_run })
            }
            _ => {
                let id: i32 = options.number("controller-id").ok().flatten().unwrap_or(-1);
                if id < 0 {
                    return Err(Refusal::terse(format!("Invalid negative --controller-id: {id}")));
                }
                let directory = parsed_id(options.value("controller-directory-id").unwrap_or_default());
                let directory = directory.map_err(|reason| {
                    Refusal::terse(format!("Failed to parse --controller-directory-id: {reason}"))
                })?;
                Ok(Self::Remove { voter: Voter { id, directory, listeners: Vec::new() }, dry_run })
            }
        }
    }
}

impl Voter {
    /// A controller as its configuration and its metadata directory have it.
    fn configured(text: &str, environment: &Environment) -> Result<Self, Refusal> {
        const NOT_ONE: &str = "Is this a valid controller configuration file?";
        let properties = parse_properties(text).map_err(|error| Refusal::terse(error.to_string()))?;
        let properties: SmallMap<String, String> =
            properties.into_iter().map(|property| (property.key, property.value)).collect();
        let property = |key: &str| properties.get(key).map(String::as_str);
        let id = property("node.id")
            .ok_or_else(|| Refusal::terse(format!("node.id not found in configuration file. {NOT_ONE}")))?;
        let id: i32 = id
            .trim()
            .parse()
            .map_err(|_| Refusal::new("NumberFormatException", format!("For input string: \"{id}\"")))?;
        if id < 0 {
            return Err(Refusal::terse(format!("node.id was negative in configuration file. {NOT_ONE}")));
        }
        if !property("process.roles").unwrap_or_default().contains("controller") {
            let sentence = "process.roles did not contain 'controller' in configuration file.";
            return Err(Refusal::terse(format!("{sentence} {NOT_ONE}")));
        }
        let directory = metadata_directory(text).ok_or_else(|| {
            Refusal::terse(format!("Neither metadata.log.dir nor log.dirs were found. {NOT_ONE}"))
        })?;
        let meta = environment.files.get(&meta_properties(&directory));
        let meta =
            meta.ok_or_else(|| Refusal::terse(format!("Unable to read meta.properties from {directory}")))?;
        let directory_id = meta.lines().find_map(|line| line.trim().strip_prefix("directory.id="));
        let directory_id = directory_id.and_then(|id| id.trim().parse().ok());
        let directory =
            directory_id.ok_or_else(|| Refusal::terse(format!("No directory id found in {directory}")))?;
        let names = property("controller.listener.names")
            .ok_or_else(|| Refusal::terse(format!("controller.listener.names was not found. {NOT_ONE}")))?;
        let known = ["advertised.listeners", "listeners"].map(|key| property(key).unwrap_or_default());
        let known: Vec<_> = known.iter().flat_map(|list| list.split(',')).filter_map(listener).collect();
        let listeners = names.split(',').map(|name| {
            let name = name.trim().to_ascii_uppercase();
            let found = known.iter().find(|(known, ..)| *known == name).cloned();
            found.ok_or_else(|| {
                Refusal::terse(format!("Cannot find information about controller listener name: {name}"))
            })
        });
        Ok(Self { id, directory, listeners: listeners.collect::<Result<_, _>>()? })
    }
}

/// The directory that a node's configuration has its metadata in.
pub fn metadata_directory(properties: &str) -> Option<String> {
    let properties = parse_properties(properties).ok()?;
    let property = |key: &str| properties.iter().rev().find(|property| property.key == key);
    let chosen = property("metadata.log.dir").or_else(|| property("log.dirs"))?;
    chosen.value.trim().split(',').next().map(str::to_owned)
}

/// The file in it that says which directory it is.
pub fn meta_properties(directory: &str) -> String {
    format!("{directory}/meta.properties")
}

/// `NAME://host:port`.
fn listener(text: &str) -> Option<(String, String, u16)> {
    let (name, address) = text.trim().split_once("://")?;
    let (host, port) = address.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = if host.is_empty() { "localhost" } else { host };
    Some((name.to_ascii_uppercase(), host.to_owned(), port.parse().ok()?))
}

fn endpoint(name: &str, host: &str, port: u16) -> String {
    if host.contains(':') { format!("{name}://[{host}]:{port}") } else { format!("{name}://{host}:{port}") }
}

impl Steps for MetadataQuorum {
    fn ask(&mut self, now: Instant, admin: &mut Admin) {
        let to = admin.anyone();
        match self {
            Self::Status | Self::Replication { .. } => {
                let partitions = vec![PartitionData { partition_index: 0 }];
                let topic = TopicData { topic_name: "__cluster_metadata".into(), partitions };
                admin.ask(now, &to, (0, 2), DescribeQuorumRequest { topics: vec![topic] });
            }
            Self::Add { dry_run: true, .. } | Self::Remove { dry_run: true, .. } => {}
            Self::Add { voter, .. } => {
                let listeners = voter.listeners.iter().map(|(name, host, port)| Listener {
                    name: name.as_str().into(),
                    host: host.as_str().into(),
                    port: *port,
                });
                let request = AddRaftVoterRequest {
                    cluster_id: None,
                    timeout_ms: 30_000,
                    voter_id: voter.id,
                    voter_directory_id: voter.directory,
                    listeners: listeners.collect(),
                    ..Default::default()
                };
                admin.ask(now, &to, (0, 1), request);
            }
            Self::Remove { voter, .. } => {
                let request = RemoveRaftVoterRequest {
                    cluster_id: None,
                    voter_id: voter.id,
                    voter_directory_id: voter.directory,
                };
                admin.ask(now, &to, (0, 0), request);
            }
        }
    }

    fn answered(&mut self, cx: &mut ToolCx<'_>, admin: &Admin, replies: &[Reply]) -> Result<Next, Refusal> {
        let out = &mut cx.output.stdout;
        match self {
            Self::Add { voter, dry_run } => {
                if let Some(reply) = replies.first() {
                    let answer: AddRaftVoterResponse = reply.decode()?;
                    accepted(answer.error_code, answer.error_message.as_deref())?;
                }
                let done = if *dry_run { "DRY RUN of adding" } else { "Added" };
                let listeners = voter.listeners.iter().map(|(name, host, port)| endpoint(name, host, *port));
                let listeners = listeners.collect::<Vec<_>>().join(", ");
                out.push_str(&format!(
                    "{done} controller {} with directory id {} and endpoints: {listeners}\n",
                    voter.id, voter.directory
                ));
            }
            Self::Remove { voter, dry_run } => {
                if let Some(reply) = replies.first() {
                    let answer: RemoveRaftVoterResponse = reply.decode()?;
                    accepted(answer.error_code, answer.error_message.as_deref())?;
                }
                let done = if *dry_run { "DRY RUN of removing " } else { "Removed " };
                let Voter { id, directory, .. } = voter;
                out.push_str(&format!("{done} KRaft controller {id} with directory id {directory}\n"));
            }
            Self::Status | Self::Replication { .. } => {
                let Some(reply) = replies.first() else { return Ok(Next::Again) };
                let answer: DescribeQuorumResponse = reply.decode()?;
                accepted(answer.error_code, answer.error_message.as_deref())?;
                let Some(quorum) = answer.topics.first().and_then(|topic| topic.partitions.first()) else {
                    return Ok(Next::Again);
                };
                accepted(quorum.error_code, quorum.error_message.as_deref())?;
                let voters = &quorum.current_voters;
                let Some(leader) = voters.iter().find(|voter| voter.replica_id == quorum.leader_id) else {
                    return Err(Refusal::new("NoSuchElementException", "No value present"));
                };
                if let Self::Replication { human_readable } = self {
                    let now = human_readable.then_some(cx.now.wall);
                    out.push_str(&replication(quorum, leader, now));
                } else {
                    let cluster_id = admin.cluster().cluster_id.clone().unwrap_or_default();
                    out.push_str(&status(&cluster_id, quorum, leader, &answer.nodes));
                }
            }
        }
        Ok(Next::Exit(0))
    }
}

fn accepted(code: i16, message: Option<&str>) -> Result<(), Refusal> {
    match error_of(code) {
        ErrorCode::None => Ok(()),
        error => Err(refusal(error, message)),
    }
}

/// A line for each replica; with the time, how long ago things were.
fn replication(quorum: &Quorum, leader: &ReplicaState, now: Option<i64>) -> String {
    let time = |at: i64| match now {
        _ if at < 0 => "-1".to_owned(),
        Some(now) => format!("{} ms ago", now.saturating_sub(at).max(0)),
        None => at.to_string(),
    };
    let row = |replica: &ReplicaState, status: &str| {
        vec![
            replica.replica_id.to_string(),
            replica.replica_directory_id.to_string(),
            replica.log_end_offset.to_string(),
            leader.log_end_offset.saturating_sub(replica.log_end_offset).to_string(),
            time(replica.last_fetch_timestamp),
            time(replica.last_caught_up_timestamp),
            status.to_owned(),
        ]
    };
    let head = [
        "NodeId",
        "DirectoryId",
        "LogEndOffset",
        "Lag",
        "LastFetchTimestamp",
        "LastCaughtUpTimestamp",
        "Status",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec(), row(leader, "Leader")];
    let followers = quorum.current_voters.iter().filter(|voter| voter.replica_id != quorum.leader_id);
    rows.extend(followers.map(|follower| row(follower, "Follower")));
    rows.extend(quorum.observers.iter().map(|observer| row(observer, "Observer")));
    tabbed(&rows)
}

fn status(cluster_id: &Str, quorum: &Quorum, leader: &ReplicaState, nodes: &[Node]) -> String {
    let slowest = quorum.current_voters.iter().min_by_key(|voter| voter.log_end_offset).unwrap_or(leader);
    let lag_time = if slowest.replica_id == leader.replica_id {
        0
    } else if leader.last_caught_up_timestamp >= 0 && slowest.last_caught_up_timestamp >= 0 {
        leader.last_caught_up_timestamp.saturating_sub(slowest.last_caught_up_timestamp)
    } else {
        -1
    };
    let replica = |replica: &ReplicaState| {
        let mut text = format!("{{\"id\": {}", replica.replica_id);
        if replica.replica_directory_id != Uuid::default() {
            text.push_str(&format!(", \"directoryId\": \"{}\"", replica.replica_directory_id));
        }
        let node = nodes.iter().find(|node| node.node_id == replica.replica_id);
        let endpoints = node.map_or(&[][..], |node| &node.listeners).iter();
        let endpoints: Vec<String> = endpoints
            .map(|listener| format!("\"{}\"", endpoint(&listener.name, &listener.host, listener.port)))
            .collect();
        if !endpoints.is_empty() {
            text.push_str(&format!(", \"endpoints\": [{}]", endpoints.join(", ")));
        }
        text + "}"
    };
    let replicas = |replicas: &[ReplicaState]| replicas.iter().map(replica).collect::<Vec<_>>().join(", ");
    let rows = [
        ("ClusterId:", cluster_id.to_string()),
        ("LeaderId:", quorum.leader_id.to_string()),
        ("LeaderEpoch:", quorum.leader_epoch.to_string()),
        ("HighWatermark:", quorum.high_watermark.to_string()),
        ("MaxFollowerLag:", leader.log_end_offset.saturating_sub(slowest.log_end_offset).to_string()),
        ("MaxFollowerLagTimeMs:", lag_time.to_string()),
        ("CurrentVoters:", format!("[{}]", replicas(&quorum.current_voters))),
        ("CurrentObservers:", format!("[{}]", replicas(&quorum.observers))),
    ];
    rows.iter().map(|(name, value)| format!("{name:<24}{value}\n")).collect()
}
