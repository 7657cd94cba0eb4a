//! DescribeLogDirs: what is in each log directory of this node, and how much of it (KIP-113, KIP-827, KIP-1066).

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_protocol::messages::describe_log_dirs_request::DescribeLogDirsRequest;
use ottla_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use ottla_protocol::{ErrorCode, Str};

use super::{Env, Handled, Outcome, Pending};
use crate::broker::data::{DataRequest, DescribedLogs};
use crate::broker::request::Request;
use crate::broker::{Message, ShardEvent};
use crate::ids::ShardId;
use crate::log::LogStore;

/// What the shards have said so far.
#[derive(Clone, Debug)]
pub struct Join {
    /// Of these topics, whole or these partitions of them; `None` for all.
    wanted: Option<Vec<(Str, Vec<i32>)>>,
    found: DescribedLogs,
    waiting: u16,
}

pub fn handle<S: LogStore>(env: &mut Env<'_, '_, S>, request: &Request, body: Bytes) -> Handled<S> {
    let asked: DescribeLogDirsRequest = request.decode(body)?;
    let wanted = asked
        .topics
        .map(|topics| topics.into_iter().map(|topic| (topic.topic.detached(), topic.partitions)).collect());
    let token = env.token(request);
    for shard in 0..env.shards {
        let event = ShardEvent::Data { token, request: DataRequest::DescribeLogs };
        env.cx.effects.tell(Message::Shard(ShardId(shard), event));
    }
    let join = Join { wanted, found: DescribedLogs::default(), waiting: env.shards };
    Ok(Outcome::Wait(Box::new(Pending::DescribeLogDirs(join))))
}

pub fn resume<S: LogStore>(
    env: &Env<'_, '_, S>,
    request: &Request,
    mut join: Join,
    part: DescribedLogs,
) -> Outcome<S> {
    join.found.logs.extend(part.logs);
    join.found.offline.extend(part.offline);
    join.waiting = join.waiting.saturating_sub(1);
    match join.waiting {
        0 => Outcome::Reply(request.respond(&response(env, &join), [])),
        _ => Outcome::Wait(Box::new(Pending::DescribeLogDirs(join))),
    }
}

/// −1 where it is not known.
fn bytes(known: Option<u64>) -> i64 {
    known.map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
}

fn response<S: LogStore>(env: &Env<'_, '_, S>, join: &Join) -> DescribeLogDirsResponse {
    let is_wanted = |topic: &str, partition: i32| {
        let asks = |(name, partitions): &(Str, Vec<i32>)| **name == *topic && partitions.contains(&partition);
        join.wanted.as_ref().is_none_or(|wanted| wanted.iter().any(asks))
    };
    let mut by_directory: BTreeMap<u16, BTreeMap<Str, Vec<DescribeLogDirsPartition>>> = BTreeMap::new();
    for log in &join.found.logs {
        let Some(topic) = env.image().topic_by_id(log.partition.topic_id) else { continue };
        if is_wanted(&topic.name, log.partition.partition) {
            let of_topic = by_directory.entry(log.log_dir.0).or_default().entry(topic.name.clone());
            of_topic.or_default().push(DescribeLogDirsPartition {
                partition_index: log.partition.partition,
                partition_size: i64::try_from(log.size).unwrap_or(i64::MAX),
                offset_lag: 0,
                is_future_key: false,
            });
        }
    }
    let results = (0..).zip(&env.config.log_dirs).map(|(index, log_dir)| {
        let is_offline = join.found.offline.iter().any(|offline| offline.0 == index);
        let (error, topics) = match is_offline {
            true => (ErrorCode::KafkaStorageError, BTreeMap::new()),
            false => (ErrorCode::None, by_directory.remove(&index).unwrap_or_default()),
        };
        let volume = env.cx.store.volume(log_dir).filter(|_| !is_offline);
        let topics = topics.into_iter().map(|(name, mut partitions)| {
            partitions.sort_unstable_by_key(|partition| partition.partition_index);
            DescribeLogDirsTopic { name, partitions }
        });
        DescribeLogDirsResult {
            error_code: error.code(),
            log_dir: log_dir.as_str().into(),
            topics: topics.collect(),
            total_bytes: bytes(volume.map(|volume| volume.total)),
            usable_bytes: bytes(volume.map(|volume| volume.usable)),
            ..DescribeLogDirsResult::default()
        }
    });
    DescribeLogDirsResponse { results: results.collect(), ..DescribeLogDirsResponse::default() }
}
