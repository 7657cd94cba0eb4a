//! `kafka-topics --describe`: partitions, then settings, then the lines.

use std::collections::{BTreeMap, VecDeque};

use ottla_protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use ottla_protocol::messages::describe_topic_partitions_request::{
    Cursor, DescribeTopicPartitionsRequest, TopicRequest,
};
use ottla_protocol::messages::{
    DescribeConfigsResponse, DescribeTopicPartitionsResponse, ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse, MetadataRequest, MetadataResponse,
    metadata_request::MetadataRequestTopic,
};
use ottla_protocol::{ErrorCode, Str, Uuid};

use super::Next;
use super::options::{Command, Only};
use crate::client::{Destination, Failure, Reply};
use crate::time::Instant;
use crate::tools::ToolCx;
use crate::tools::admin::Admin;
use crate::tools::failure::{Refusal, refusal};

/// DescribeConfigs' number for topics.
const RESOURCE_TOPIC: i8 = 2;
/// DescribeConfigs' number for a default of the table.
const SOURCE_DEFAULT: i8 = 5;

/// What has been learned so far.
#[derive(Clone, Debug)]
pub struct Description {
    names: Vec<Str>,
    limit: i32,
    stage: Stage,
    topics: BTreeMap<Str, Topic>,
    configs: BTreeMap<Str, Vec<Setting>>,
    /// Adding and removing replicas of partitions that are being reassigned.
    moving: BTreeMap<(Str, i32), (Vec<i32>, Vec<i32>)>,
}

#[derive(Clone, Debug)]
enum Stage {
    Partitions {
        cursor: Option<Cursor>,
    },
    /// For a broker that does not know DescribeTopicPartitions.
    Metadata,
    Configs,
    Reassignments,
}

#[derive(Clone, Debug, Default)]
struct Topic {
    id: Uuid,
    partitions: VecDeque<Partition>,
}

#[derive(Clone, Debug, Default)]
struct Partition {
    index: i32,
    leader: i32,
    replicas: Vec<i32>,
    isr: Vec<i32>,
    /// None from brokers that do not tell.
    elr: Option<Vec<i32>>,
    last_known_elr: Option<Vec<i32>>,
}

#[derive(Clone, Debug)]
struct Setting {
    name: Str,
    value: Str,
    source: i8,
}

impl Description {
    /// Of these topics; so many partitions in one answer.
    pub fn new(names: Vec<Str>, limit: i32) -> Self {
        Self {
            names,
            limit,
            stage: Stage::Partitions { cursor: None },
            topics: BTreeMap::new(),
            configs: BTreeMap::new(),
            moving: BTreeMap::new(),
        }
    }

    /// Sends the request of the stage.
    pub fn ask(&self, now: Instant, admin: &mut Admin) {
        match &self.stage {
            Stage::Partitions { cursor } => {
                let topics = self.names.iter().map(|name| TopicRequest { name: name.clone() });
                let request = DescribeTopicPartitionsRequest {
                    topics: topics.collect(),
                    response_partition_limit: self.limit,
                    cursor: cursor.clone(),
                };
                admin.ask(now, &Destination::Any, (0, 0), request);
            }
            Stage::Metadata => {
                let named =
                    |name: &Str| MetadataRequestTopic { name: Some(name.clone()), ..Default::default() };
                let request = MetadataRequest {
                    topics: Some(self.names.iter().map(named).collect()),
                    allow_auto_topic_creation: false,
                    ..Default::default()
                };
                admin.ask(now, &Destination::Any, (4, 13), request);
            }
            Stage::Configs => {
                let resource = |name: &Str| DescribeConfigsResource {
                    resource_type: RESOURCE_TOPIC,
                    resource_name: name.clone(),
                    configuration_keys: None,
                };
                let request = DescribeConfigsRequest {
                    resources: self.topics.keys().map(resource).collect(),
                    ..Default::default()
                };
                admin.ask(now, &Destination::Any, (1, 4), request);
            }
            Stage::Reassignments => {
                let request = ListPartitionReassignmentsRequest { topics: None, ..Default::default() };
                admin.ask(now, &Destination::Any, (0, 0), request);
            }
        }
    }

    /// Takes the answer of the stage; prints when all is known.
    pub fn answered(
        &mut self,
        cx: &mut ToolCx<'_>,
        command: &Command,
        reply: &Reply,
    ) -> Result<Next, Refusal> {
        match &self.stage {
            Stage::Partitions { .. } => match reply.decode::<DescribeTopicPartitionsResponse>() {
                Ok(answer) => self.partitions_known(&answer, command)?,
                Err(Failure::UnsupportedVersion { .. }) => self.stage = Stage::Metadata,
                Err(failure) => return Err(failure.into()),
            },
            Stage::Metadata => {
                self.metadata_known(&reply.decode()?);
                self.stage = Stage::Configs;
            }
            Stage::Configs => {
                self.configs_known(&reply.decode()?)?;
                self.stage = Stage::Reassignments;
            }
            Stage::Reassignments => {
                // A broker that does not know of reassignments has none to tell of.
                if let Ok(answer) = reply.decode::<ListPartitionReassignmentsResponse>() {
                    self.reassignments_known(&answer);
                }
                self.topics
                    .iter()
                    .for_each(|(name, topic)| self.print(name, topic, command, &mut cx.output.stdout));
                return Ok(Next::Exit);
            }
        }
        Ok(Next::Proceed)
    }

    fn partitions_known(
        &mut self,
        answer: &DescribeTopicPartitionsResponse,
        command: &Command,
    ) -> Result<(), Refusal> {
        for topic in &answer.topics {
            let Some(name) = &topic.name else { continue };
            match ErrorCode::from_code(topic.error_code).unwrap_or(ErrorCode::UnknownServerError) {
                ErrorCode::None => {}
                ErrorCode::UnknownTopicOrPartition if command.if_exists => continue,
                error => return Err(refusal(error, None)),
            }
            let known = self.topics.entry(name.detached()).or_default();
            known.id = topic.topic_id;
            known.partitions.extend(topic.partitions.iter().map(|partition| Partition {
                index: partition.partition_index,
                leader: partition.leader_id,
                replicas: partition.replica_nodes.clone(),
                isr: partition.isr_nodes.clone(),
                elr: Some(partition.eligible_leader_replicas.clone().unwrap_or_default()),
                last_known_elr: Some(partition.last_known_elr.clone().unwrap_or_default()),
            }));
        }
        self.stage = match &answer.next_cursor {
            Some(next) => Stage::Partitions {
                cursor: Some(Cursor {
                    topic_name: next.topic_name.detached(),
                    partition_index: next.partition_index,
                }),
            },
            None => Stage::Configs,
        };
        Ok(())
    }

    fn metadata_known(&mut self, answer: &MetadataResponse) {
        for topic in answer.topics.iter().filter(|topic| topic.error_code == 0) {
            let Some(name) = &topic.name else { continue };
            let partitions = topic.partitions.iter().map(|partition| Partition {
                index: partition.partition_index,
                leader: partition.leader_id,
                replicas: partition.replica_nodes.clone(),
                isr: partition.isr_nodes.clone(),
                elr: None,
                last_known_elr: None,
            });
            let known = Topic { id: topic.topic_id, partitions: partitions.collect() };
            self.topics.insert(name.detached(), known);
        }
    }

    fn configs_known(&mut self, answer: &DescribeConfigsResponse) -> Result<(), Refusal> {
        for topic in &answer.results {
            match ErrorCode::from_code(topic.error_code).unwrap_or(ErrorCode::UnknownServerError) {
                ErrorCode::None => {}
                ErrorCode::UnknownTopicOrPartition => continue,
                error => return Err(refusal(error, topic.error_message.as_deref())),
            }
            let settings = topic.configs.iter().map(|config| Setting {
                name: config.name.detached(),
                value: config.value.as_ref().map(Str::detached).unwrap_or_default(),
                source: config.config_source,
            });
            self.configs.insert(topic.resource_name.detached(), settings.collect());
        }
        Ok(())
    }

    fn reassignments_known(&mut self, answer: &ListPartitionReassignmentsResponse) {
        for topic in &answer.topics {
            for partition in &topic.partitions {
                let moving = (partition.adding_replicas.clone(), partition.removing_replicas.clone());
                self.moving.insert((topic.name.detached(), partition.partition_index), moving);
            }
        }
    }

    fn print(&self, name: &Str, topic: &Topic, command: &Command, out: &mut String) {
        let settings = self.configs.get(name).map(Vec::as_slice).unwrap_or_default();
        let set: Vec<&Setting> = settings.iter().filter(|setting| setting.source != SOURCE_DEFAULT).collect();
        let head = match command.only {
            None => true,
            Some(Only::Overrides) => !set.is_empty(),
            Some(_) => false,
        };
        if head {
            let replicas = topic.partitions.front().map_or(0, |partition| partition.replicas.len());
            let set: Vec<String> =
                set.iter().map(|setting| format!("{}={}", setting.name, setting.value)).collect();
            out.push_str(&format!(
                "Topic: {name}\tTopicId: {}\tPartitionCount: {}\tReplicationFactor: {replicas}\tConfigs: {}\n",
                topic.id,
                topic.partitions.len(),
                set.join(",")
            ));
        }
        let min_isr = settings.iter().find(|setting| &*setting.name == "min.insync.replicas");
        let min_isr = min_isr.and_then(|setting| setting.value.parse().ok()).unwrap_or(1);
        for partition in &topic.partitions {
            if self.is_shown(name, partition, command.only, min_isr) {
                self.print_partition(name, partition, out);
            }
        }
    }

    fn is_shown(&self, name: &Str, partition: &Partition, only: Option<Only>, min_isr: usize) -> bool {
        match only {
            None => true,
            Some(Only::Overrides) => false,
            Some(Only::UnderReplicated) => {
                let adding =
                    self.moving.get(&(name.clone(), partition.index)).map_or(0, |(adding, _)| adding.len());
                partition.replicas.len().saturating_sub(adding) > partition.isr.len()
            }
            Some(Only::Unavailable) => partition.leader < 0,
            Some(Only::UnderMinIsr) => partition.isr.len() < min_isr,
            Some(Only::AtMinIsr) => partition.isr.len() == min_isr,
        }
    }

    fn print_partition(&self, name: &Str, partition: &Partition, out: &mut String) {
        let leader = if partition.leader < 0 { "none".to_owned() } else { partition.leader.to_string() };
        out.push_str(&format!(
            "\tTopic: {name}\tPartition: {}\tLeader: {leader}\tReplicas: {}\tIsr: {}",
            partition.index,
            ids(&partition.replicas),
            ids(&partition.isr)
        ));
        if let Some((adding, removing)) = self.moving.get(&(name.clone(), partition.index)) {
            out.push_str(&format!(
                "\tAdding Replicas: {}\tRemoving Replicas: {}",
                ids(adding),
                ids(removing)
            ));
        }
        let elr = |elr: &Option<Vec<i32>>| elr.as_deref().map_or_else(|| "N/A".to_owned(), ids);
        out.push_str(&format!(
            "\tElr: {}\tLastKnownElr: {}\n",
            elr(&partition.elr),
            elr(&partition.last_known_elr)
        ));
    }
}

fn ids(brokers: &[i32]) -> String {
    brokers.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}
