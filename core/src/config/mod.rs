//! Configuration: every broker, topic, group and client-metrics key declared once, and what follows from the table:
//! the properties parser, [`BrokerConfig`] and [`TopicConfig`], validation, incremental changes and DescribeConfigs.
//!
//! Nothing here reads a file: the shell hands text in and prints what comes back.

mod broker;
mod error;
mod fields;
mod key;
mod listener;
mod settings;
mod synonym;
mod table;
mod topic;
mod value;

pub use broker::BrokerConfig;
pub use error::ConfigError;
pub use key::{Bounds, ConfigKey, ConfigType, Importance, Preset, Scope, Status, UpdateMode};
pub use listener::{Listener, SecurityProtocol};
pub use settings::{Notice, Origin, Resolved, Setting, Settings, StartError};
pub use synonym::{Conversion, Synonym, broker_synonyms, topic_synonyms};
pub use table::{key, keys};
pub use topic::{CleanupPolicy, CompressionType, TimestampType, TopicConfig};
pub use value::Value;
