//! Fetches that wait at a shard for bytes.

use std::collections::{BTreeMap, BTreeSet};

use super::data::{Reader, WatchPart};
use crate::coordinator::Token;
use crate::ids::{ConnectionId, TopicIdPartition};

/// The fetches that one shard keeps informed.
#[derive(Clone, Debug, Default)]
pub struct Watches {
    by_token: BTreeMap<Token, Watch>,
    by_partition: BTreeMap<TopicIdPartition, BTreeSet<Token>>,
}

/// What one fetch waits for at this shard.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Its partitions here.
    pub parts: Vec<WatchPart>,
    /// Who waits.
    pub reader: Reader,
}

impl Watches {
    /// Begins to keep a fetch informed.
    pub fn add(&mut self, token: Token, watch: Watch) {
        for part in &watch.parts {
            self.by_partition.entry(part.partition).or_default().insert(token);
        }
        self.by_token.insert(token, watch);
    }

    /// How many fetches wait.
    pub fn len(&self) -> usize {
        self.by_token.len()
    }

    /// Stops; nothing happens when there is no such watch.
    pub fn remove(&mut self, token: Token) {
        let Some(watch) = self.by_token.remove(&token) else { return };
        for part in &watch.parts {
            if let Some(tokens) = self.by_partition.get_mut(&part.partition) {
                tokens.remove(&token);
                if tokens.is_empty() {
                    self.by_partition.remove(&part.partition);
                }
            }
        }
    }

    /// Stops for all fetches of a connection (it has at most one).
    pub fn remove_connection(&mut self, connection: ConnectionId) {
        let first = Token { connection, request: 0 };
        let last = Token { connection, request: u64::MAX };
        let tokens: Vec<Token> = self.by_token.range(first..=last).map(|(token, _)| *token).collect();
        for token in tokens {
            self.remove(token);
        }
    }

    /// The fetches that wait for this partition, with their parts of it.
    pub fn of(&self, partition: TopicIdPartition) -> Vec<(Token, WatchPart, Reader)> {
        let tokens = self.by_partition.get(&partition).into_iter().flatten();
        let mut found = Vec::new();
        for token in tokens {
            let Some(watch) = self.by_token.get(token) else { continue };
            let parts = watch.parts.iter().filter(|part| part.partition == partition);
            found.extend(parts.map(|part| (*token, part.clone(), watch.reader.clone())));
        }
        found
    }
}
