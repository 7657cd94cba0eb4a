//! `kafka-get-offsets`: the offsets of partitions at a time.

use ottla_protocol::messages::MetadataResponse;

use super::admin::Admin;
use super::client_config::admin_session;
use super::failure::{Refusal, refusal};
use super::options::{BOOTSTRAP, Manual, OptionSpec, Options, flag, value};
use super::partitions::{ByLeader, LATEST, ask_metadata, ask_offsets, by_leader, offsets};
use super::pattern::Pattern;
use super::runner::{Next, Runner, Steps};
use super::{Environment, Exit, Output, ToolCx};
use crate::client::Reply;
use crate::time::Instant;

const MANUAL: Manual =
    Manual { about: "An interactive shell for getting topic-partition offsets.", specs: &SPECS };

static SPECS: [OptionSpec; 6] = [
    BOOTSTRAP,
    flag("exclude-internal-topics", "Leaves internal topics out."),
    value("partitions", "ids", "Only these partitions, with commas between them."),
    value(
        "time",
        "timestamp",
        "ms since 1970, or latest (-1, which is the default), earliest (-2), max-timestamp (-3), earliest-local (-4), latest-tiered (-5), earliest-pending-upload (-6).",
    ),
    value("topic", "pattern", "Only topics that this regular expression matches."),
    value(
        "topic-partitions",
        "t:0,u:1-3",
        "Patterns of topics with a partition, or a range whose end is not in it.",
    ),
];

/// Timestamps that have a name.
const TIMES: [(&str, i64); 6] = [
    ("latest", LATEST),
    ("earliest", -2),
    ("max-timestamp", -3),
    ("earliest-local", -4),
    ("latest-tiered", -5),
    ("earliest-pending-upload", -6),
];

/// The tool at work.
#[derive(Clone, Debug)]
struct GetOffsets {
    rules: Vec<Rule>,
    without_internal: bool,
    timestamp: i64,
    /// Once they are known.
    leaders: Option<ByLeader>,
}

/// Partitions of the topics that a pattern matches.
#[derive(Clone, Debug)]
struct Rule {
    topics: Pattern,
    partitions: Which,
}

#[derive(Clone, Debug)]
enum Which {
    /// Any of these; all, when there are none.
    These(Vec<i32>),
    /// From the first, up to and without the second.
    Range(i32, i32),
}

/// Reads the arguments.
pub fn start(arguments: &[String], environment: &Environment) -> Result<Runner, Exit> {
    let occurred = |refusal: &Refusal| Exit {
        stdout: String::new(),
        stderr: format!("Error occurred: {}", refusal.complaint()),
        code: 1,
    };
    let options = MANUAL.read(arguments, |message| occurred(&Refusal::terse(message)))?;
    options.require(&["bootstrap-server"]).map_err(|message| MANUAL.usage(&message))?;
    let servers = options.value("bootstrap-server").unwrap_or_default();
    let is_address =
        |server: &str| server.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if !servers.split(',').all(is_address) {
        return Err(MANUAL.usage("Please provide valid host:port like host1:9091,host2:9092\n"));
    }
    let steps = GetOffsets::understand(&options).map_err(|refusal| occurred(&refusal))?;
    Ok(Runner::new(admin_session(&options, environment)?, steps))
}

impl GetOffsets {
    fn understand(options: &Options) -> Result<Self, Refusal> {
        let patterns = options.value("topic-partitions");
        if patterns.is_some() && (options.has("topic") || options.has("partitions")) {
            return Err(Refusal::terse("--topic-partitions cannot be used with --topic or --partitions"));
        }
        let timestamp = timestamp(options.value("time").unwrap_or("latest"))?;
        let rules = match patterns {
            Some(patterns) => patterns.split(',').map(Rule::parse).collect::<Result<_, _>>()?,
            None => {
                let topics = Rule::topics(options.value("topic").unwrap_or_default())?;
                vec![Rule { topics, partitions: Which::These(partitions(options.value("partitions"))?) }]
            }
        };
        let without_internal = options.has("exclude-internal-topics");
        Ok(Self { rules, without_internal, timestamp, leaders: None })
    }
}

fn timestamp(text: &str) -> Result<i64, Refusal> {
    let named = TIMES.iter().find(|(name, _)| *name == text).map(|(_, timestamp)| *timestamp);
    let malformed = || {
        let others: Vec<String> = TIMES.iter().map(|(name, number)| format!("{number} or {name}")).collect();
        let others = others.join(" / ");
        Refusal::terse(format!(
            "Malformed time argument {text}. Please use {others}, or a specified long format timestamp"
        ))
    };
    named.or_else(|| text.parse().ok()).ok_or_else(malformed)
}

fn partitions(list: Option<&str>) -> Result<Vec<i32>, Refusal> {
    let Some(list) = list.filter(|list| !list.is_empty()) else { return Ok(Vec::new()) };
    let read = list.split(',').map(str::parse).collect::<Result<_, _>>();
    read.map_err(|_| {
        Refusal::terse(format!(
            "--partitions expects a comma separated list of numeric partition ids, but received: {list}"
        ))
    })
}

impl Rule {
    fn topics(pattern: &str) -> Result<Pattern, Refusal> {
        if pattern.is_empty() {
            return Ok(Pattern::any());
        }
        Pattern::parse(pattern).map_err(|message| Refusal::new("RuntimeException", message))
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        let invalid = || {
            let cause = "org.apache.kafka.tools.TerseException";
            Refusal::new("RuntimeException", format!("{cause}: Invalid rule specification: {text}"))
        };
        let (topics, rest) = text.split_once(':').unwrap_or((text, ""));
        let number = |text: &str, default: i32| match text {
            "" => Ok(default),
            text if text.bytes().all(|digit| digit.is_ascii_digit()) => text.parse().map_err(|_| invalid()),
            _ => Err(invalid()),
        };
        let partitions = match rest.split_once('-') {
            Some((from, to)) => Which::Range(number(from, 0)?, number(to, i32::MAX)?),
            None if rest.is_empty() => Which::Range(0, i32::MAX),
            None => Which::These(vec![number(rest, 0)?]),
        };
        Ok(Self { topics: Self::topics(topics)?, partitions })
    }

    fn matches(&self, topic: &str, partition: i32) -> bool {
        self.topics.matches(topic)
            && match &self.partitions {
                Which::These(these) => these.is_empty() || these.contains(&partition),
                Which::Range(from, to) => (*from..*to).contains(&partition),
            }
    }
}

impl Steps for GetOffsets {
    fn ask(&mut self, now: Instant, admin: &mut Admin) {
        match &self.leaders {
            None => ask_metadata(now, admin, None),
            Some(leaders) => ask_offsets(now, admin, leaders, self.timestamp),
        }
    }

    fn answered(&mut self, cx: &mut ToolCx<'_>, _admin: &Admin, replies: &[Reply]) -> Result<Next, Refusal> {
        if self.leaders.is_none() {
            let Some(reply) = replies.first() else { return Ok(Next::Again) };
            let mut answer: MetadataResponse = reply.decode()?;
            answer.topics.retain(|topic| !(self.without_internal && topic.is_internal));
            let wanted = |topic: &ottla_protocol::Str, partition| {
                self.rules.iter().any(|rule| rule.matches(topic, partition))
            };
            let Some(leaders) = by_leader(&answer, wanted) else { return Ok(Next::Again) };
            if leaders.is_empty() {
                let sentence = "Could not match any topic-partitions with the specified filters";
                return Err(Refusal::terse(sentence));
            }
            self.leaders = Some(leaders);
            return Ok(Next::Proceed);
        }
        let offsets = offsets(replies)?;
        if offsets.values().any(|offset| offset.is_err_and(|error| error.is_retriable())) {
            self.leaders = None;
            return Ok(Next::Again);
        }
        let mut lines = Vec::new();
        for ((topic, partition), offset) in offsets {
            match offset {
                Ok(offset) if offset >= 0 => {
                    lines.push((format!("{topic}-{partition}"), format!("{topic}:{partition}:{offset}\n")));
                }
                Ok(_) => {}
                Err(error) => {
                    let reason = refusal(error, None);
                    let skip = "Skip getting offsets for topic-partition";
                    let said = format!("{skip} {topic}-{partition} due to error: {reason}\n");
                    cx.output.stderr.push_str(&said);
                }
            }
        }
        lines.sort_unstable();
        lines.iter().for_each(|(_, line)| cx.output.stdout.push_str(line));
        Ok(Next::Exit(0))
    }

    fn refused(&self, output: &mut Output, refusal: Refusal) -> i32 {
        output.stderr.push_str(&format!("Error occurred: {}", refusal.executed().complaint()));
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_topics_and_partitions() {
        let matching = |rule: &str, topic: &str| -> Vec<i32> {
            let rule = Rule::parse(rule).unwrap();
            (0..6).filter(|partition| rule.matches(topic, *partition)).collect()
        };
        assert_eq!(matching("t:2", "t"), [2]);
        assert_eq!(matching("t.*:1-3", "two"), [1, 2]);
        assert_eq!(matching("t:4-", "t"), [4, 5]);
        assert_eq!(matching(":-2", "any"), [0, 1]);
        assert_eq!(matching("t", "t").len(), 6);
        assert_eq!(matching("t", "u").len(), 0);
        assert!(Rule::parse("t:x").is_err() && Rule::parse("(").is_err());
    }
}
