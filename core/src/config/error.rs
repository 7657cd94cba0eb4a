//! What is wrong with a configuration. The sentences that clients match on are Kafka's.

use std::fmt;

use super::key::Scope;

/// Why a key or a value was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// No such key on this kind of thing.
    UnknownKey { scope: Scope, name: String },
    /// The value does not parse as the key's type, or is out of bounds.
    InvalidValue { name: String, value: String, reason: String },
    /// A list is empty, or has duplicate or empty elements; or keys contradict each other.
    Rule(String),
    /// A feature that we do not have, asked for by a value away from the default.
    NotBuilt { name: String, value: String },
}

impl ConfigError {
    pub(super) fn invalid(name: &str, value: impl Into<String>, reason: impl Into<String>) -> Self {
        ConfigError::InvalidValue { name: name.into(), value: value.into(), reason: reason.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::UnknownKey { scope: Scope::Topic, name } => {
                write!(f, "Unknown topic config name: {name}")
            }
            ConfigError::UnknownKey { scope: Scope::Group, name } => {
                write!(f, "Unknown group config name: {name}")
            }
            ConfigError::UnknownKey { scope: Scope::ClientMetrics, name } => {
                write!(f, "Unknown client metrics configuration: {name}")
            }
            ConfigError::UnknownKey { scope: Scope::Broker, name } => {
                write!(f, "Unknown broker config name: {name}")
            }
            ConfigError::UnknownKey { scope: Scope::ClientQuota | Scope::IpQuota, name } => {
                write!(f, "Invalid configuration key {name}")
            }
            ConfigError::InvalidValue { name, value, reason } => {
                write!(f, "Invalid value {value} for configuration {name}: {reason}")
            }
            ConfigError::Rule(sentence) => f.write_str(sentence),
            ConfigError::NotBuilt { name, value } => {
                write!(f, "{name}={value} asks for something that Ottla does not have yet")
            }
        }
    }
}

impl std::error::Error for ConfigError {}
