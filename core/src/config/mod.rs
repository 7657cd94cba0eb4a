//! Configuration: every broker, topic, group and client-metrics key declared once, and what follows from the table:
//! the properties parser, [`BrokerConfig`] and [`TopicConfig`], validation, incremental changes and DescribeConfigs.
//!
//! Nothing here reads a file: the shell hands text in and prints what comes back.

mod alter;
mod broker;
mod describe;
mod double;
mod error;
mod fields;
mod key;
mod listener;
mod properties;
mod rules;
mod settings;
mod synonym;
mod table;
mod topic;
mod validate;
mod value;

pub use alter::{AlterOp, Alteration, alter_configs};
pub use broker::{BrokerConfig, Roles};
pub use describe::{
    ConfigSource, DescribedConfig, DescribedSynonym, describe_broker, describe_client_metrics,
    describe_cluster_default, describe_group, describe_topic,
};
pub use error::ConfigError;
pub use key::{Bounds, ConfigKey, ConfigType, Importance, Preset, Scope, Status, UpdateMode};
pub use listener::{Listener, SecurityProtocol};
pub use properties::{PropertiesError, Property, file_settings, override_setting, parse_properties};
pub use settings::{Notice, Origin, Resolved, Setting, Settings, StartError};
pub use synonym::{Conversion, Synonym, broker_synonyms, group_synonym, topic_synonyms};
pub use table::{key, keys};
pub use topic::{CleanupPolicy, CompressionType, TimestampType, TopicConfig};
pub use validate::{
    validate_broker_configs, validate_client_metrics_configs, validate_group_configs, validate_topic_config,
    validate_topic_configs,
};
pub use value::Value;
