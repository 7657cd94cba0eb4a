//! Delegation tokens (KIP-48, KIP-900).

use ottla_protocol::Str;
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

/// All tokens by id.
pub type DelegationTokensImage = RedBlackTreeMapSync<Str, DelegationToken>;
