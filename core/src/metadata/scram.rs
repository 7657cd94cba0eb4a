//! SCRAM credentials (KIP-900).

use ottla_protocol::{Bytes, Str};
use rpds::RedBlackTreeMapSync;

/// What a server needs to know of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramCredential {
    /// The salt.
    pub salt: Bytes,
    /// `H(ClientKey)`.
    pub stored_key: Bytes,
    /// `HMAC(SaltedPassword, "Server Key")`.
    pub server_key: Bytes,
    /// Rounds of PBKDF2.
    pub iterations: i32,
}

impl std::fmt::Debug for ScramCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ScramCredential {{ iterations: {}, .. }}", self.iterations)
    }
}

/// All credentials by (mechanism: 1 SCRAM-SHA-256, 2 SCRAM-SHA-512; user).
pub type ScramImage = RedBlackTreeMapSync<(i8, Str), ScramCredential>;
