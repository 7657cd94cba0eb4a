//! The purgatory of a shard: answers that wait until what they acknowledge is replicated, or durable (`ottla.log.sync=batch`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ottla_protocol::ErrorCode;

use super::data::{DataResponse, ProduceError, Produced};
use crate::coordinator::Token;
use crate::ids::TopicIdPartition;
use crate::log::LogStore;
use crate::time::Instant;

/// What an answer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Until {
    /// The leader has it on its disk.
    Durable,
    /// It is below the high watermark.
    Committed,
    /// No replica has anything below.
    Deleted,
    /// The next leader has answered; `up_to` is the number under which it was asked.
    PassedOn,
}

/// A partition has to come to `up_to` in a way; its place in the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Awaited {
    pub(super) partition: TopicIdPartition,
    pub(super) until: Until,
    pub(super) up_to: i64,
    pub(super) index: usize,
}

/// The answers of one shard.
#[derive(Clone, Debug)]
pub(super) struct Acknowledgements<S: LogStore> {
    /// In the order of their appends.
    waiting: BTreeMap<u64, Waiting<S>>,
    next: u64,
    /// What each partition is waited for, in the order of offsets, which is mostly that of arrival.
    parts: BTreeMap<(TopicIdPartition, Until), VecDeque<(i64, u64, usize)>>,
    deadlines: BTreeSet<(Instant, u64)>,
}

/// An answer, and what it waits for.
#[derive(Clone, Debug)]
struct Waiting<S: LogStore> {
    token: Token,
    response: DataResponse<S>,
    awaited: Vec<Awaited>,
    deadline: Option<Instant>,
}

impl<S: LogStore> Acknowledgements<S> {
    /// How many answers wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Has an answer wait, until `deadline` at most.
    pub(super) fn add(
        &mut self,
        token: Token,
        response: DataResponse<S>,
        awaited: Vec<Awaited>,
        deadline: Option<Instant>,
    ) {
        let key = self.next;
        self.next = self.next.wrapping_add(1);
        for part in &awaited {
            let parts = self.parts.entry((part.partition, part.until)).or_default();
            let at = parts.partition_point(|(up_to, ..)| *up_to <= part.up_to);
            parts.insert(at, (part.up_to, key, part.index));
        }
        self.deadlines.extend(deadline.map(|deadline| (deadline, key)));
        self.waiting.insert(key, Waiting { token, response, awaited, deadline });
    }

    /// Whether anybody waits for a partition in this way.
    pub(super) fn awaits(&self, partition: TopicIdPartition, until: Until) -> bool {
        self.parts.contains_key(&(partition, until))
    }

    /// A partition has come to `up_to`; what is told to those that waited for that, if it is not success. The answers that wait for nothing
    /// more.
    pub(super) fn reached(
        &mut self,
        partition: TopicIdPartition,
        until: Until,
        up_to: i64,
        error: Option<ErrorCode>,
    ) -> Vec<(Token, DataResponse<S>)> {
        let Some(parts) = self.parts.get_mut(&(partition, until)) else { return Vec::new() };
        let count = parts.iter().take_while(|(awaited, ..)| *awaited <= up_to).count();
        let reached: Vec<_> = parts.drain(..count).collect();
        if parts.is_empty() {
            self.parts.remove(&(partition, until));
        }
        reached.into_iter().filter_map(|(_, key, index)| self.settle(key, partition, index, error)).collect()
    }

    /// A partition will not come any further.
    pub(super) fn failed(
        &mut self,
        partition: TopicIdPartition,
        error: ErrorCode,
    ) -> Vec<(Token, DataResponse<S>)> {
        let all = [Until::Durable, Until::Committed, Until::Deleted];
        all.into_iter().flat_map(|until| self.reached(partition, until, i64::MAX, Some(error))).collect()
    }

    /// A log ends at `end` now: what was appended above is lost.
    pub(super) fn cut(
        &mut self,
        partition: TopicIdPartition,
        end: i64,
        error: ErrorCode,
    ) -> Vec<(Token, DataResponse<S>)> {
        let Some(parts) = self.parts.get_mut(&(partition, Until::Committed)) else { return Vec::new() };
        let lost = parts.split_off(parts.partition_point(|(up_to, ..)| *up_to <= end));
        if parts.is_empty() {
            self.parts.remove(&(partition, Until::Committed));
        }
        lost.into_iter()
            .filter_map(|(_, key, index)| self.settle(key, partition, index, Some(error)))
            .collect()
    }

    /// The next leader answered what was passed on to it as `number`.
    pub(super) fn answered(
        &mut self,
        partition: TopicIdPartition,
        number: i64,
        outcome: Result<Produced, ProduceError>,
    ) -> Option<(Token, DataResponse<S>)> {
        let parts = self.parts.get_mut(&(partition, Until::PassedOn))?;
        let at = parts.iter().position(|(up_to, ..)| *up_to == number)?;
        let (_, key, index) = parts.remove(at)?;
        if parts.is_empty() {
            self.parts.remove(&(partition, Until::PassedOn));
        }
        if let DataResponse::Produced(answers) = &mut self.waiting.get_mut(&key)?.response
            && let Some((_, answer)) = answers.iter_mut().find(|(place, _)| *place == index)
        {
            *answer = outcome;
        }
        self.settle(key, partition, index, None)
    }

    /// One place of an answer is settled; the answer, if that was the last.
    fn settle(
        &mut self,
        key: u64,
        partition: TopicIdPartition,
        index: usize,
        error: Option<ErrorCode>,
    ) -> Option<(Token, DataResponse<S>)> {
        let waiting = self.waiting.get_mut(&key)?;
        waiting.awaited.retain(|part| (part.partition, part.index) != (partition, index));
        if let Some(error) = error {
            refuse(&mut waiting.response, index, error);
        }
        if !waiting.awaited.is_empty() {
            return None;
        }
        let Waiting { token, response, deadline, .. } = self.waiting.remove(&key)?;
        deadline.map(|deadline| self.deadlines.remove(&(deadline, key)));
        Some((token, response))
    }

    /// The answers whose time has passed: what they still wait for timed out.
    pub(super) fn expired(&mut self, now: Instant) -> Vec<(Token, DataResponse<S>)> {
        let mut expired = Vec::new();
        while let Some((deadline, key)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.deadlines.remove(&(deadline, key));
            let Some(Waiting { token, mut response, awaited, .. }) = self.waiting.remove(&key) else {
                continue;
            };
            for part in awaited {
                if let Some(parts) = self.parts.get_mut(&(part.partition, part.until)) {
                    parts.retain(|(_, other, _)| *other != key);
                    if parts.is_empty() {
                        self.parts.remove(&(part.partition, part.until));
                    }
                }
                refuse(&mut response, part.index, ErrorCode::RequestTimedOut);
            }
            expired.push((token, response));
        }
        expired
    }

    /// When [`Acknowledgements::expired`] has something.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }
}

impl<S: LogStore> Default for Acknowledgements<S> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), next: 0, parts: BTreeMap::new(), deadlines: BTreeSet::new() }
    }
}

fn refuse<S: LogStore>(response: &mut DataResponse<S>, index: usize, error: ErrorCode) {
    match response {
        DataResponse::Produced(answers) => {
            let answer = answers.iter_mut().find(|(place, _)| *place == index);
            answer.into_iter().for_each(|(_, answer)| {
                let appended = answer.as_ref().ok().copied();
                let log_start_offset = appended.map_or(-1, |appended| appended.log_start_offset);
                *answer = Err(ProduceError { appended, log_start_offset, ..ProduceError::of(error) });
            });
        }
        DataResponse::Marked(answers) => {
            let answer = answers.iter_mut().find(|(place, _)| *place == index);
            answer.into_iter().for_each(|(_, answer)| *answer = Err(error));
        }
        DataResponse::Deleted(answers) => {
            let answer = answers.iter_mut().find(|(place, _)| *place == index);
            answer.into_iter().for_each(|(_, answer)| *answer = Err(error));
        }
        _ => {}
    }
}
