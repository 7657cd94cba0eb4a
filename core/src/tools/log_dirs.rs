//! `kafka-log-dirs`: what is in the log directories of brokers, as JSON.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;
use ottla_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};

use super::admin::Admin;
use super::client_config::admin_session;
use super::failure::{Refusal, class, refusal};
use super::json::quoted;
use super::options::{BOOTSTRAP, Manual, OptionSpec, flag, value};
use super::partitions::error_of;
use super::runner::{Next, Runner, Steps};
use super::{Environment, Exit, ToolCx};
use crate::client::{Destination, Reply};
use crate::time::Instant;

const MANUAL: Manual =
    Manual { about: "This tool helps to query log directory usage on the specified brokers.", specs: &SPECS };

static SPECS: [OptionSpec; 4] = [
    BOOTSTRAP,
    value("broker-list", "ids", "Only these brokers, with commas between them."),
    flag("describe", "REQUIRED: shows the log directories."),
    value("topic-list", "names", "Only these topics, with commas between them."),
];

#[derive(Clone, Debug)]
struct LogDirs {
    topics: Vec<String>,
    /// None for all.
    brokers: Vec<i32>,
    /// That the brokers exist has been looked at.
    checked: bool,
}

/// Reads the arguments.
pub fn start(arguments: &[String], environment: &Environment) -> Result<Runner, Exit> {
    let failed = |refusal: Refusal| Exit { stdout: String::new(), stderr: refusal.complaint(), code: 1 };
    let options =
        MANUAL.read(arguments, |message| failed(Refusal::new("UnrecognizedOptionException", message)))?;
    options.require(&["bootstrap-server", "describe"]).map_err(|message| MANUAL.usage(&message))?;
    let listed = |name| options.split(name).filter(|word| !word.is_empty());
    let number = |word: &str| {
        let unread =
            |_| failed(Refusal::new("NumberFormatException", format!("For input string: \"{word}\"")));
        word.parse().map_err(unread)
    };
    let mut brokers = listed("broker-list").map(number).collect::<Result<Vec<i32>, _>>()?;
    brokers.sort_unstable();
    brokers.dedup();
    let topics = listed("topic-list").map(str::to_owned).collect();
    let steps = LogDirs { topics, brokers, checked: false };
    Ok(Runner::new(admin_session(&options, environment)?, steps))
}

fn list(ids: &[i32]) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

impl LogDirs {
    fn directory(&self, directory: &DescribeLogDirsResult) -> String {
        let wanted = |name: &str| self.topics.is_empty() || self.topics.iter().any(|topic| topic == name);
        let mut partitions = Vec::new();
        for topic in directory.topics.iter().filter(|topic| wanted(&topic.name)) {
            for partition in &topic.partitions {
                let place = quoted(&format!("{}-{}", topic.name, partition.partition_index));
                let (size, lag) = (partition.partition_size, partition.offset_lag);
                let is_future = partition.is_future_key;
                partitions.push(format!(
                    "{{\"partition\":{place},\"size\":{size},\"offsetLag\":{lag},\"isFuture\":{is_future}}}"
                ));
            }
        }
        let error = match error_of(directory.error_code) {
            ErrorCode::None => "null".to_owned(),
            error => quoted(&Refusal::new(&class(error), "").class),
        };
        let (partitions, place) = (partitions.join(","), quoted(&directory.log_dir));
        format!("{{\"partitions\":[{partitions}],\"error\":{error},\"logDir\":{place}}}")
    }
}

impl Steps for LogDirs {
    fn ask(&mut self, now: Instant, admin: &mut Admin) {
        if self.checked {
            for broker in &self.brokers {
                let request = DescribeLogDirsRequest { topics: None };
                admin.ask(now, &Destination::Node(*broker), (1, 5), request);
            }
        }
    }

    fn answered(&mut self, cx: &mut ToolCx<'_>, admin: &Admin, replies: &[Reply]) -> Result<Next, Refusal> {
        if !self.checked {
            let there = admin.brokers();
            let missing: Vec<i32> = self.brokers.iter().copied().filter(|id| !there.contains(id)).collect();
            if !missing.is_empty() {
                return Err(Refusal::terse(format!(
                    "ERROR: The given brokers do not exist from --broker-list: {}. Current existent brokers: {}",
                    list(&missing),
                    list(&there)
                )));
            }
            if self.brokers.is_empty() {
                self.brokers = there;
            }
            self.checked = true;
            cx.output.stdout.push_str("Querying brokers for log directories information\n");
            return Ok(Next::Proceed);
        }
        let mut brokers = Vec::new();
        for (id, reply) in self.brokers.iter().zip(replies) {
            let answer: DescribeLogDirsResponse = reply.decode()?;
            match error_of(answer.error_code) {
                ErrorCode::None => {}
                error => return Err(refusal(error, None)),
            }
            let directories: Vec<String> =
                answer.results.iter().map(|directory| self.directory(directory)).collect();
            brokers.push(format!("{{\"broker\":{id},\"logDirs\":[{}]}}", directories.join(",")));
        }
        let brokers = brokers.join(",");
        cx.output.stdout.push_str(&format!(
            "Received log directory information from brokers {}\n{{\"brokers\":[{brokers}],\"version\":1}}\n",
            list(&self.brokers)
        ));
        Ok(Next::Exit(0))
    }
}
