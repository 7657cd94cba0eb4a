//! `kafka-leader-election`: has preferred leaders lead again, or, unclean, any replica that is there.

use ottla_protocol::messages::ElectLeadersResponse;
use ottla_protocol::messages::elect_leaders_request::{ElectLeadersRequest, TopicPartitions};
use ottla_protocol::{ErrorCode, Str};

use super::admin::Admin;
use super::client_config::admin_session;
use super::decode_json::{array, field, number, object, text};
use super::failure::{Refusal, refusal};
use super::json::Json;
use super::options::{BOOTSTRAP, Manual, OptionSpec, Options, flag, value};
use super::partitions::{TopicPartition, error_of};
use super::runner::{Next, Runner, Steps};
use super::{Environment, Exit, Output, ToolCx};
use crate::client::Reply;
use crate::time::Instant;

const MANUAL: Manual = Manual {
    about: "This tool attempts to elect a new leader for a set of topic partitions. The type of elections supported are preferred replicas and unclean replicas.",
    specs: &SPECS,
};

static SPECS: [OptionSpec; 7] = [
    value("admin.config", "file", "The old name of --command-config."),
    flag("all-topic-partitions", "Elects in all partitions that it is of use for."),
    BOOTSTRAP,
    value("election-type", "type", "REQUIRED: preferred or unclean."),
    value("partition", "index", "With --topic: the partition."),
    value("path-to-json-file", "file", r#"{"partitions": [{"topic": "t", "partition": 0}]}"#),
    value("topic", "topic", "The topic of the partition."),
];

/// ElectLeaders' types.
const TYPES: [&str; 2] = ["PREFERRED", "UNCLEAN"];
/// How long the controller may take, in ms.
const TIMEOUT_MS: i32 = 15_000;

#[derive(Clone, Debug)]
struct LeaderElection {
    /// Its place in [`TYPES`].
    election_type: i8,
    /// None for all.
    partitions: Option<Vec<TopicPartition>>,
}

/// Reads the arguments.
pub fn start(arguments: &[String], environment: &Environment) -> Result<Runner, Exit> {
    let failed = |refusal: Refusal| Exit { stdout: String::new(), stderr: refusal.complaint(), code: 1 };
    let mut options =
        MANUAL.read(arguments, |message| failed(Refusal::new("UnrecognizedOptionException", message)))?;
    let missing = ["bootstrap-server", "election-type"];
    let missing: Vec<&str> = missing.into_iter().filter(|name| !options.has(name)).collect();
    if !missing.is_empty() {
        let sentence = format!("Missing required option(s): {}", missing.join(", "));
        return Err(failed(Refusal::new("AdminCommandFailedException", sentence)));
    }
    let clash = options.exclude("admin.config", &["command-config"]);
    clash.map_err(|message| MANUAL.usage(&message))?;
    let steps = understand(&options, environment).map_err(failed)?;
    let mut greeting = Output::default();
    if let Some(path) = options.value("admin.config").map(str::to_owned) {
        greeting.stdout = "Option --admin.config has been deprecated and will be removed in a future version. Use --command-config instead.\n".to_owned();
        options.give("command-config", path);
    }
    if let Some(path) = options.value("command-config").filter(|path| !environment.files.contains_key(*path))
    {
        let exit = failed(Refusal::new("NoSuchFileException", path));
        return Err(Exit { stdout: greeting.stdout, ..exit });
    }
    Ok(Runner::new(admin_session(&options, environment)?, steps).greets(greeting))
}

fn understand(options: &Options, environment: &Environment) -> Result<LeaderElection, Refusal> {
    let wrong = |sentence: &str| Refusal::new("AdminCommandFailedException", sentence);
    let unread = |sentence| Refusal::new("OptionArgumentConversionException", sentence);
    if options.only(&["topic", "all-topic-partitions", "path-to-json-file"]).is_none() {
        return Err(wrong(
            "One and only one of the following options is required: topic, all-topic-partitions, path-to-json-file",
        ));
    }
    match (options.has("topic"), options.has("partition")) {
        (true, false) => return Err(wrong("Missing required option(s): partition")),
        (false, true) => return Err(wrong("Option partition is only allowed if topic is used")),
        _ => {}
    }
    let given = options.value("election-type").unwrap_or_default();
    let election_type = TYPES.iter().position(|name| name.eq_ignore_ascii_case(given));
    let election_type = election_type
        .and_then(|at| i8::try_from(at).ok())
        .ok_or_else(|| unread(format!("Cannot parse argument '{given}' of option election-type")))?;
    let partition: Option<i32> = options.number("partition").map_err(unread)?;
    let partitions = match (options.value("path-to-json-file"), options.value("topic")) {
        (Some(path), _) => Some(plan(path, environment)?),
        (None, Some(topic)) => Some(vec![(Str::from(topic), partition.unwrap_or(-1))]),
        (None, None) => None,
    };
    Ok(LeaderElection { election_type, partitions })
}

fn plan(path: &str, environment: &Environment) -> Result<Vec<TopicPartition>, Refusal> {
    let within = |cause: Refusal| Refusal::new("RuntimeException", cause.to_string());
    let operation = |sentence: &str| Refusal::new("AdminOperationException", sentence);
    let unread = || within(Refusal::new("IOException", format!("Unable to read file {path}")));
    let text = environment.files.get(path).ok_or_else(unread)?;
    let plan = Json::parse(text).ok_or_else(|| operation("Replica election data is empty"))?;
    let listed = object(&plan).map_err(within)?.get("partitions");
    let listed = listed.ok_or_else(|| operation("Replica election data is missing \"partitions\" field"))?;
    let mut partitions =
        array(listed).and_then(|items| items.iter().map(partition).collect::<Result<Vec<_>, _>>());
    let partitions = partitions.as_mut().map_err(|refusal| within(refusal.clone()))?;
    partitions.sort_unstable();
    let mut twice: Vec<String> = partitions
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .map(|pair| format!("{}-{}", pair[0].0, pair[0].1))
        .collect();
    twice.dedup();
    if !twice.is_empty() {
        let twice = twice.join(", ");
        return Err(operation(&format!("Replica election data contains duplicate partitions: [{twice}]")));
    }
    Ok(std::mem::take(partitions))
}

fn partition(item: &Json) -> Result<TopicPartition, Refusal> {
    Ok((text(field(item, "topic")?)?, number(field(item, "partition")?, "Integer")?))
}

impl Steps for LeaderElection {
    fn ask(&mut self, now: Instant, admin: &mut Admin) {
        let topic_partitions = self.partitions.as_ref().map(|partitions| {
            let mut topics: Vec<TopicPartitions> = Vec::new();
            for (topic, partition) in partitions {
                match topics.last_mut().filter(|last| last.topic == *topic) {
                    Some(last) => last.partitions.push(*partition),
                    None => {
                        topics.push(TopicPartitions { topic: topic.clone(), partitions: vec![*partition] });
                    }
                }
            }
            topics
        });
        let request = ElectLeadersRequest {
            election_type: self.election_type,
            topic_partitions,
            timeout_ms: TIMEOUT_MS,
        };
        // Before version 1 every election is one of preferred leaders.
        let lowest = i16::from(self.election_type > 0);
        admin.ask(now, &admin.anyone(), (lowest, 2), request);
    }

    fn answered(&mut self, cx: &mut ToolCx<'_>, _admin: &Admin, replies: &[Reply]) -> Result<Next, Refusal> {
        let Some(reply) = replies.first() else { return Ok(Next::Again) };
        let answer: ElectLeadersResponse = reply.decode()?;
        match error_of(answer.error_code) {
            ErrorCode::None => {}
            ErrorCode::NotController => return Ok(Next::Again),
            error => return Err(refusal(error, None)),
        }
        let kind = TYPES[usize::from(self.election_type > 0)];
        let (mut elected, mut needless, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        for topic in &answer.replica_election_results {
            for result in &topic.partition_result {
                let place = format!("{}-{}", topic.topic, result.partition_id);
                match error_of(result.error_code) {
                    ErrorCode::None => elected.push(place),
                    ErrorCode::ElectionNotNeeded => needless.push(place),
                    error => failures.push((place, refusal(error, result.error_message.as_deref()))),
                }
            }
        }
        let out = &mut cx.output.stdout;
        if !elected.is_empty() {
            let elected = elected.join(", ");
            out.push_str(&format!(
                "Successfully completed leader election ({kind}) for partitions {elected}\n"
            ));
        }
        if !needless.is_empty() {
            out.push_str(&format!("Valid replica already elected for partitions {}\n", needless.join(", ")));
        }
        for (place, why) in &failures {
            out.push_str(&format!(
                "Error completing leader election ({kind}) for partition: {place}: {why}\n"
            ));
        }
        if failures.is_empty() {
            return Ok(Next::Exit(0));
        }
        let sentence = format!("{} replica(s) could not be elected", failures.len());
        Err(Refusal::new("AdminCommandFailedException", sentence))
    }

    fn refused(&self, output: &mut Output, refusal: Refusal) -> i32 {
        let known = [
            ("TimeoutException", "Timeout waiting for election results"),
            ("ClusterAuthorizationException", "Not authorized to perform leader election"),
        ];
        let refusal = match known.iter().find(|(class, _)| refusal.class.ends_with(class)) {
            Some((_, sentence)) => {
                output.stdout.push_str(&format!("{sentence}\n"));
                Refusal::new("AdminCommandFailedException", *sentence)
            }
            None if refusal.class.ends_with("AdminCommandFailedException") => refusal,
            None => Refusal::new("RuntimeException", refusal.executed().to_string()),
        };
        output.stderr.push_str(&refusal.complaint());
        1
    }
}
