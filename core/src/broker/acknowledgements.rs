//! Answers that wait until what they acknowledge is durable (`ottla.log.sync=batch`).

use std::collections::VecDeque;

use ottla_protocol::ErrorCode;

use super::data::{DataResponse, ProduceError};
use crate::coordinator::Token;
use crate::ids::TopicIdPartition;
use crate::log::LogStore;

/// The answers of one shard, in the order of their appends.
#[derive(Clone, Debug)]
pub(super) struct Acknowledgements<S: LogStore> {
    waiting: VecDeque<Waiting<S>>,
}

/// An answer, and what it waits for.
#[derive(Clone, Debug)]
struct Waiting<S: LogStore> {
    token: Token,
    response: DataResponse<S>,
    unsynced: Vec<Unsynced>,
}

/// A partition that has to be durable below `up_to`, and the place of its answer in the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unsynced {
    pub(super) partition: TopicIdPartition,
    pub(super) up_to: i64,
    pub(super) index: usize,
}

impl<S: LogStore> Acknowledgements<S> {
    pub(super) fn add(&mut self, token: Token, response: DataResponse<S>, unsynced: Vec<Unsynced>) {
        self.waiting.push_back(Waiting { token, response, unsynced });
    }

    /// A partition is durable below `up_to`. The answers that wait for nothing more.
    pub(super) fn synced(
        &mut self,
        partition: TopicIdPartition,
        up_to: i64,
    ) -> Vec<(Token, DataResponse<S>)> {
        self.settle(|_, unsynced| unsynced.partition != partition || unsynced.up_to > up_to)
    }

    /// Nothing more of this partition will be durable.
    pub(super) fn failed(
        &mut self,
        partition: TopicIdPartition,
        error: ErrorCode,
    ) -> Vec<(Token, DataResponse<S>)> {
        self.settle(|response, unsynced| {
            if unsynced.partition == partition {
                refuse(response, unsynced.index, error);
            }
            unsynced.partition != partition
        })
    }

    fn settle(
        &mut self,
        mut waits: impl FnMut(&mut DataResponse<S>, &Unsynced) -> bool,
    ) -> Vec<(Token, DataResponse<S>)> {
        let mut settled = Vec::new();
        for mut waiting in std::mem::take(&mut self.waiting) {
            let response = &mut waiting.response;
            waiting.unsynced.retain(|unsynced| waits(response, unsynced));
            if waiting.unsynced.is_empty() {
                settled.push((waiting.token, waiting.response));
            } else {
                self.waiting.push_back(waiting);
            }
        }
        settled
    }
}

impl<S: LogStore> Default for Acknowledgements<S> {
    fn default() -> Self {
        Self { waiting: VecDeque::new() }
    }
}

fn refuse<S: LogStore>(response: &mut DataResponse<S>, index: usize, error: ErrorCode) {
    match response {
        DataResponse::Produced(answers) => {
            let answer = answers.iter_mut().find(|(place, _)| *place == index);
            answer.into_iter().for_each(|(_, answer)| *answer = Err(ProduceError::of(error)));
        }
        DataResponse::Marked(answers) => {
            let answer = answers.iter_mut().find(|(place, _)| *place == index);
            answer.into_iter().for_each(|(_, answer)| *answer = Err(error));
        }
        _ => {}
    }
}
