//! `kafka-delete-records`: moves the beginnings of partitions.

use std::collections::BTreeMap;

use ottla_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use ottla_protocol::messages::{DeleteRecordsResponse, MetadataResponse};
use ottla_protocol::{ErrorCode, Str};

use super::admin::Admin;
use super::client_config::admin_session;
use super::decode_json::{self, field, number, text as text_of};
use super::failure::{Refusal, refusal};
use super::json::Json;
use super::options::{BOOTSTRAP, Manual, OptionSpec, value};
use super::partitions::{ByLeader, TopicPartition, ask_metadata, by_leader, error_of};
use super::runner::{Next, Runner, Steps};
use super::{Environment, Exit, Output, ToolCx};
use crate::client::{Destination, Reply};
use crate::time::Instant;

const MANUAL: Manual = Manual {
    about: "This tool helps to delete records of the given partitions down to the specified offset.",
    specs: &SPECS,
};

static SPECS: [OptionSpec; 2] = [
    BOOTSTRAP,
    value(
        "offset-json-file",
        "file",
        r#"REQUIRED: {"partitions": [{"topic": "t", "partition": 0, "offset": 7}], "version": 1}; offset -1 is the high watermark."#,
    ),
];

/// How long the leaders may take, in ms.
const TIMEOUT_MS: i32 = 60_000;

#[derive(Clone, Debug)]
struct DeleteRecords {
    offsets: BTreeMap<TopicPartition, i64>,
    leaders: Option<ByLeader>,
}

/// Reads the arguments.
pub fn start(arguments: &[String], environment: &Environment) -> Result<Runner, Exit> {
    let failed = |refusal: Refusal| Exit { stdout: String::new(), stderr: refusal.complaint(), code: 1 };
    let options =
        MANUAL.read(arguments, |message| failed(Refusal::new("UnrecognizedOptionException", message)))?;
    let needed = options.require(&["bootstrap-server", "offset-json-file"]);
    needed.map_err(|message| MANUAL.usage(&message))?;
    let path = options.value("offset-json-file").unwrap_or_default();
    let unread = || failed(Refusal::new("IOException", format!("Unable to read file {path}")));
    let text = environment.files.get(path).ok_or_else(unread)?;
    let offsets = offsets(text).map_err(failed)?;
    let steps = DeleteRecords { offsets, leaders: None };
    let stdout = "Executing records delete operation\n".to_owned();
    let greeting = Output { stdout, ..Output::default() };
    Ok(Runner::new(admin_session(&options, environment)?, steps).greets(greeting))
}

fn offsets(text: &str) -> Result<BTreeMap<TopicPartition, i64>, Refusal> {
    let operation = |message: &str| Refusal::new("AdminOperationException", message);
    let plan = Json::parse(text).ok_or_else(|| operation("The input string is not a valid JSON"))?;
    decode_json::check_version(&plan)?;
    let partitions = plan.get("partitions").ok_or_else(|| operation("Missing partitions field"))?;
    let mut offsets = BTreeMap::new();
    let mut duplicates = Vec::new();
    for partition in decode_json::array(partitions)? {
        let topic = text_of(field(partition, "topic")?)?;
        let place = (topic, number::<i32>(field(partition, "partition")?, "Integer")?);
        if offsets.insert(place.clone(), number(field(partition, "offset")?, "Long")?).is_some() {
            duplicates.push(format!("{}-{}", place.0, place.1));
        }
    }
    if duplicates.is_empty() {
        return Ok(offsets);
    }
    duplicates.sort_unstable();
    duplicates.dedup();
    let sentence = "Offset json file contains duplicate topic partitions";
    Err(Refusal::new("AdminCommandFailedException", format!("{sentence}: {}", duplicates.join(","))))
}

impl Steps for DeleteRecords {
    fn ask(&mut self, now: Instant, admin: &mut Admin) {
        let Some(leaders) = &self.leaders else {
            let mut topics: Vec<Str> = self.offsets.keys().map(|(topic, _)| topic.clone()).collect();
            topics.dedup();
            return ask_metadata(now, admin, Some(&mut topics.into_iter()));
        };
        for (leader, partitions) in leaders {
            let mut topics: BTreeMap<&Str, Vec<DeleteRecordsPartition>> = BTreeMap::new();
            for place in partitions {
                let Some(offset) = self.offsets.get(place) else { continue };
                let partition = DeleteRecordsPartition { partition_index: place.1, offset: *offset };
                topics.entry(&place.0).or_default().push(partition);
            }
            let topics = topics.into_iter();
            let topics =
                topics.map(|(name, partitions)| DeleteRecordsTopic { name: name.clone(), partitions });
            let request = DeleteRecordsRequest { topics: topics.collect(), timeout_ms: TIMEOUT_MS };
            admin.ask(now, &Destination::Node(*leader), (0, 2), request);
        }
    }

    fn answered(&mut self, cx: &mut ToolCx<'_>, _admin: &Admin, replies: &[Reply]) -> Result<Next, Refusal> {
        if self.leaders.is_none() {
            let Some(reply) = replies.first() else { return Ok(Next::Again) };
            let answer: MetadataResponse = reply.decode()?;
            let wanted = |topic: &Str, partition| self.offsets.contains_key(&(topic.clone(), partition));
            let found = by_leader(&answer, wanted);
            let count = |leaders: &ByLeader| leaders.values().map(Vec::len).sum::<usize>();
            // One that is not there may be on its way: Java's client waits for it, too.
            self.leaders = found.filter(|leaders| count(leaders) == self.offsets.len());
            return Ok(if self.leaders.is_some() { Next::Proceed } else { Next::Again });
        }
        let mut lines = Vec::new();
        for reply in replies {
            let answer: DeleteRecordsResponse = reply.decode()?;
            for topic in &answer.topics {
                for partition in &topic.partitions {
                    let place = format!("{}-{}", topic.name, partition.partition_index);
                    lines.push(match error_of(partition.error_code) {
                        ErrorCode::None => {
                            format!("partition: {place}\tlow_watermark: {}\n", partition.low_watermark)
                        }
                        error if error.is_retriable() => {
                            self.leaders = None;
                            return Ok(Next::Again);
                        }
                        error => format!("partition: {place}\terror: {}\n", refusal(error, None)),
                    });
                }
            }
        }
        lines.sort_unstable();
        cx.output.stdout.push_str("Records delete operation completed:\n");
        lines.iter().for_each(|line| cx.output.stdout.push_str(line));
        Ok(Next::Exit(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_checked_before_anybody_is_asked() {
        let good = r#"{"partitions":[{"topic":"t","partition":0,"offset":2},{"topic":"t","partition":1,"offset":-1}]}"#;
        let read = offsets(good).unwrap();
        assert_eq!(read.into_iter().collect::<Vec<_>>(), [(("t".into(), 0), 2), (("t".into(), 1), -1)]);
        let refused = [
            ("{nope", "The input string is not a valid JSON"),
            (r#"{"version":1}"#, "Missing partitions field"),
            (r#"{"version":2,"partitions":[]}"#, "Not supported version field value 2"),
            (r#"{"partitions":3}"#, "Expected JSON array, received 3"),
            (r#"{"partitions":[{"topic":"t","offset":2}]}"#, "No such field exists: `partition`"),
            (r#"{"partitions":[{"topic":"t","partition":"x"}]}"#, "Expected `Integer` value, received \"x\""),
        ];
        for (text, expected) in refused {
            assert_eq!(offsets(text).unwrap_err().message, expected, "{text}");
        }
    }
}
