//! Delegation tokens (KIP-48, KIP-900).

use ottla_protocol::Str;
use ottla_protocol::records::metadata::DelegationTokenRecord;
use rpds::RedBlackTreeMapSync;

/// A delegation token, without its secret, which every node derives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelegationToken {
    /// Who is acted for.
    pub owner: Str,
    /// Who asked for it.
    pub requester: Str,
    /// Who may renew it.
    pub renewers: Vec<Str>,
    /// ms since the epoch.
    pub issue_timestamp: i64,
    /// ms since the epoch; no renewal reaches past it.
    pub max_timestamp: i64,
    /// ms since the epoch.
    pub expiration_timestamp: i64,
}

impl DelegationToken {
    /// As a record.
    pub fn to_record(&self, id: &Str) -> DelegationTokenRecord {
        DelegationTokenRecord {
            owner: self.owner.clone(),
            requester: self.requester.clone(),
            renewers: self.renewers.clone(),
            issue_timestamp: self.issue_timestamp,
            max_timestamp: self.max_timestamp,
            expiration_timestamp: self.expiration_timestamp,
            token_id: id.clone(),
        }
    }
}

/// All tokens by id.
pub type DelegationTokensImage = RedBlackTreeMapSync<Str, DelegationToken>;
