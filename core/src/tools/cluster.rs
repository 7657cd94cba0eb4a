//! `kafka-cluster`: the id of a cluster, its endpoints, and brokers that are taken off its register.

use ottla_protocol::messages::{
    DescribeClusterRequest, DescribeClusterResponse, UnregisterBrokerRequest, UnregisterBrokerResponse,
};
use ottla_protocol::{ErrorCode, Str};

use super::admin::Admin;
use super::client_config::admin_session;
use super::failure::{Refusal, refusal};
use super::options::{OptionSpec, flag, value};
use super::partitions::error_of;
use super::runner::{Next, Runner, Steps};
use super::subcommands::{CLUSTER, Command, Grammar, Typed};
use super::{Environment, Exit, Output, ToolCx};
use crate::client::{Failure, Reply};
use crate::time::Instant;

const OLD_CONFIG: OptionSpec = value("config", "file", "The old name of --command-config.");
const CONFIG: OptionSpec = value("command-config", "file", "A properties file for the admin client.");
static OPTIONS: [OptionSpec; 4] = [OLD_CONFIG, CONFIG, CLUSTER[0], CLUSTER[1]];
static UNREGISTER: [OptionSpec; 5] =
    [OLD_CONFIG, CONFIG, value("id", "id", "REQUIRED: the broker."), CLUSTER[0], CLUSTER[1]];
static ENDPOINTS: [OptionSpec; 5] = [
    OLD_CONFIG,
    CONFIG,
    flag("include-fenced-brokers", "Lists brokers that are fenced, too."),
    CLUSTER[0],
    CLUSTER[1],
];

static GRAMMAR: Grammar = Grammar {
    name: "kafka-cluster",
    about: "The Kafka cluster tool.",
    options: &[],
    commands: &[
        Command {
            name: "cluster-id",
            help: "Prints the id of the cluster.",
            options: &OPTIONS,
            required: &[],
            typed: &[],
            exclusive: &[],
        },
        Command {
            name: "unregister",
            help: "Takes a broker that is gone off the register.",
            options: &UNREGISTER,
            required: &["id"],
            typed: &[("id", Typed::Integer)],
            exclusive: &[],
        },
        Command {
            name: "list-endpoints",
            help: "Lists the nodes and where they listen.",
            options: &ENDPOINTS,
            required: &[],
            typed: &[],
            exclusive: &[],
        },
    ],
    letters: &[
        ('b', "bootstrap-server"),
        ('C', "bootstrap-controller"),
        ('c', "command-config"),
        ('i', "id"),
    ],
    needs_cluster: true,
};

#[derive(Clone, Copy, Debug)]
enum ClusterTool {
    Id,
    Unregister(i32),
    Endpoints { controllers: bool, with_fenced: bool },
}

/// Reads the arguments.
pub fn start(arguments: &[String], environment: &Environment) -> Result<Runner, Exit> {
    let (command, mut options) = GRAMMAR.read(arguments).map_err(|misread| misread.exit(GRAMMAR.name, 1))?;
    let mut greeting = Output::default();
    if let Some(path) = options.value("config").map(str::to_owned) {
        let sentence = "Option --config has been deprecated and will be removed in a future version. Use --command-config instead.\n";
        greeting.stdout.push_str(sentence);
        options.give("command-config", path);
    }
    let controllers = options.has("bootstrap-controller");
    let with_fenced = options.has("include-fenced-brokers");
    let steps = match command.name {
        "cluster-id" => ClusterTool::Id,
        "unregister" => ClusterTool::Unregister(options.number("id").ok().flatten().unwrap_or(-1)),
        _ if controllers && with_fenced => {
            let sentence =
                "The option --include-fenced-brokers is only supported with --bootstrap-server option";
            let stderr = Refusal::new("IllegalArgumentException", sentence).complaint();
            return Err(Exit { stdout: String::new(), stderr, code: 1 });
        }
        _ => ClusterTool::Endpoints { controllers, with_fenced },
    };
    Ok(Runner::new(admin_session(&options, environment)?, steps).greets(greeting))
}

impl Steps for ClusterTool {
    fn ask(&mut self, now: Instant, admin: &mut Admin) {
        match *self {
            Self::Id => {}
            Self::Unregister(broker_id) => {
                let request = UnregisterBrokerRequest { broker_id };
                admin.ask(now, &admin.anyone(), (0, 0), request);
            }
            Self::Endpoints { controllers, with_fenced } => {
                let request = DescribeClusterRequest {
                    endpoint_type: if controllers { 2 } else { 1 },
                    include_fenced_brokers: with_fenced,
                    ..Default::default()
                };
                admin.ask(now, &admin.anyone(), (0, 2), request);
            }
        }
    }

    fn answered(&mut self, cx: &mut ToolCx<'_>, admin: &Admin, replies: &[Reply]) -> Result<Next, Refusal> {
        let out = &mut cx.output.stdout;
        match (*self, replies.first()) {
            (Self::Id, _) => out.push_str(&match &admin.cluster().cluster_id {
                Some(id) => format!("Cluster ID: {id}\n"),
                None => "No cluster ID found. The Kafka version is probably too old.\n".to_owned(),
            }),
            (_, None) => return Ok(Next::Again),
            (Self::Unregister(id), Some(reply)) => match reply.decode::<UnregisterBrokerResponse>() {
                Ok(answer) => match error_of(answer.error_code) {
                    ErrorCode::None => out.push_str(&format!("Broker {id} is no longer registered.\n")),
                    error if error.is_retriable() => return Ok(Next::Again),
                    error => return Err(refusal(error, answer.error_message.as_deref())),
                },
                Err(Failure::UnsupportedVersion { .. }) => {
                    out.push_str("The target cluster does not support the broker unregistration API.\n");
                }
                Err(failure) => return Err(failure.into()),
            },
            (Self::Endpoints { controllers, .. }, Some(reply)) => {
                let mut answer: DescribeClusterResponse = reply.decode()?;
                match error_of(answer.error_code) {
                    ErrorCode::None => {}
                    error => return Err(refusal(error, answer.error_message.as_deref())),
                }
                answer.brokers.sort_unstable_by_key(|node| node.broker_id);
                endpoints(out, &answer, controllers);
            }
        }
        Ok(Next::Exit(0))
    }
}

fn endpoints(out: &mut String, answer: &DescribeClusterResponse, controllers: bool) {
    let longest = |words: &mut dyn Iterator<Item = &Str>| words.map(|word| word.chars().count()).max();
    let host_width = longest(&mut answer.brokers.iter().map(|node| &node.host)).unwrap_or(100);
    let rack_width = longest(&mut answer.brokers.iter().filter_map(|node| node.rack.as_ref())).unwrap_or(10);
    let mut row = |id: &str, host: &str, port: &str, rack: &str, state: &str, kind: &str| {
        let state = if controllers { String::new() } else { format!("{state:<10} ") };
        let (host, rack) = (format!("{host:<host_width$}"), format!("{rack:<rack_width$}"));
        out.push_str(&format!("{id:<10} {host} {port:<10} {rack} {state}{kind:<15}\n"));
    };
    row("ID", "HOST", "PORT", "RACK", "STATE", "ENDPOINT_TYPE");
    let kind = if controllers { "controller" } else { "broker" };
    for node in &answer.brokers {
        let rack = node.rack.as_ref().map_or("null", |rack| rack);
        let state = if node.is_fenced { "fenced" } else { "unfenced" };
        row(&node.broker_id.to_string(), &node.host, &node.port.to_string(), rack, state, kind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_commands_are_refused_in_the_words_of_the_original() {
        let error = |line: &str| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let exit = start(&words, &Environment::default()).unwrap_err();
            exit.stderr.lines().last().unwrap_or_default().replace("kafka-cluster: error: ", "")
        };
        assert_eq!(error(""), "too few arguments");
        assert_eq!(
            error("bogus"),
            "invalid choice: 'bogus' (choose from 'cluster-id', 'unregister', 'list-endpoints')"
        );
        let one_of = "one of the arguments --bootstrap-server/-b --bootstrap-controller/-C is required";
        assert_eq!(error("cluster-id"), one_of);
        assert_eq!(error("unregister -b a:1"), "argument --id/-i is required");
        assert_eq!(
            error("unregister -b a:1 --id x"),
            "argument --id/-i: could not convert 'x' to Integer (For input string: \"x\")"
        );
        assert_eq!(
            error("cluster-id -b a:1 -C b:1"),
            "argument --bootstrap-controller/-C: not allowed with argument --bootstrap-server/-b"
        );
        assert_eq!(error("cluster-id -b a:1 --bogus"), "unrecognized arguments: '--bogus'");
        assert_eq!(error("cluster-id -b"), "argument --bootstrap-server/-b: expected one argument");
    }
}
