//! Settings as they were given: by a file, by the command line, and later by the cluster, each over the one before.

use std::collections::BTreeMap;
use std::fmt;

use super::error::ConfigError;
use super::key::{ConfigKey, Scope, Status, UpdateMode};
use super::synonym::broker_synonyms;
use super::table;
use super::value::Value;
use crate::small_map::SmallMap;

/// Who wrote a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The defaults of a single node that was started without a file.
    SingleNode,
    File {
        name: String,
        /// From 1.
        line: u32,
    },
    /// `--override key=value`.
    Override,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::SingleNode => f.write_str("built-in"),
            Origin::File { name, line } => write!(f, "{name}:{line}"),
            Origin::Override => f.write_str("--override"),
        }
    }
}

/// One key with the text of its value.
#[derive(Clone, PartialEq, Eq)]
pub struct Setting {
    pub value: String,
    pub origin: Origin,
}

/// The value may be a secret.
impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setting").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// All settings of a broker; what is not here has its default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// From the file and the command line.
    pub fixed: SmallMap<String, Setting>,
    /// Set for all brokers at run time (DYNAMIC_DEFAULT_BROKER_CONFIG).
    pub cluster: BTreeMap<String, String>,
    /// Set for this broker at run time (DYNAMIC_BROKER_CONFIG).
    pub broker: BTreeMap<String, String>,
}

impl Settings {
    /// The text that holds for `name`, if anybody set it.
    pub fn text(&self, name: &str) -> Option<&str> {
        let dynamic = self.broker.get(name).or_else(|| self.cluster.get(name)).map(String::as_str);
        dynamic.or_else(|| self.fixed.get(name).map(|s| s.value.as_str()))
    }

    /// The value that holds for a broker key: the strongest setting that parses, or the default. A dynamic setting
    /// also takes the place of its synonyms beneath it: `log.retention.ms` set at run time undoes the file's
    /// `log.retention.hours`.
    pub fn effective(&self, name: &str) -> Value {
        let Some(key) = table::key(Scope::Broker, name) else { return Value::Null };
        for layer in [&self.broker, &self.cluster] {
            if let Some(value) = layer.get(name).and_then(|text| key.parse(text).ok()) {
                return value;
            }
            if layer.keys().any(|other| broker_synonyms(other).contains(&name)) {
                return key.default_value();
            }
        }
        self.fixed_value(key)
    }

    /// The value that the broker works with: what is read-only stays as it was at the start, whatever the cluster says
    /// of its synonyms.
    pub(super) fn in_force(&self, name: &str) -> Value {
        match table::key(Scope::Broker, name) {
            Some(key) if key.update_mode == UpdateMode::ReadOnly => self.fixed_value(key),
            _ => self.effective(name),
        }
    }

    fn fixed_value(&self, key: &ConfigKey) -> Value {
        let fixed = self.fixed.get(key.name).and_then(|setting| key.parse(&setting.value).ok());
        fixed.unwrap_or_else(|| key.default_value())
    }

    /// Checks every fixed setting against the table.
    pub(super) fn check(&self) -> (Vec<StartError>, Vec<Notice>) {
        let (mut errors, mut notices) = (Vec::new(), Vec::new());
        for (name, setting) in &self.fixed {
            let Some((key, of_listener)) = find(name) else {
                let meant = table::nearest(Scope::Broker, name);
                notices.push(Notice::UnknownKey {
                    name: name.clone(),
                    origin: setting.origin.clone(),
                    meant,
                });
                continue;
            };
            if let Err(error) = check_one(key, name, &setting.value) {
                errors.push(StartError {
                    origin: Some(setting.origin.clone()),
                    error,
                    allowed: key.allowed(),
                });
                continue;
            }
            let reason = match key.status {
                Status::Ignored(reason) => reason,
                _ if of_listener && key.name != "max.connection.creation.rate" => {
                    "it is honoured for all listeners, not for one"
                }
                _ => continue,
            };
            if setting.origin != Origin::SingleNode && (of_listener || !is_default(key, &setting.value)) {
                notices.push(Notice::WithoutEffect {
                    name: name.clone(),
                    origin: setting.origin.clone(),
                    reason,
                });
            }
        }
        (errors, notices)
    }
}

/// The row for a name, also when it is qualified as `listener.name.{listener}.{key}`.
fn find(name: &str) -> Option<(&'static ConfigKey, bool)> {
    if let Some(key) = table::key(Scope::Broker, name) {
        return Some((key, false));
    }
    let (_, mut rest) = name.strip_prefix("listener.name.")?.split_once('.')?;
    // SASL keys carry the mechanism too: `listener.name.x.scram-sha-256.sasl.jaas.config`.
    loop {
        if let Some(key) = table::key(Scope::Broker, rest) {
            return Some((key, true));
        }
        rest = rest.split_once('.')?.1;
    }
}

fn check_one(key: &ConfigKey, name: &str, text: &str) -> Result<(), ConfigError> {
    key.parse(text).map_err(|e| {
        if key.is_sensitive() { ConfigError::invalid(name, "[hidden]", "it is malformed") } else { e }
    })?;
    if key.status == Status::NotBuilt && !is_default(key, text) {
        let value = if key.is_sensitive() { "[hidden]" } else { text };
        return Err(ConfigError::NotBuilt { name: name.into(), value: value.into() });
    }
    Ok(())
}

fn is_default(key: &ConfigKey, text: &str) -> bool {
    let value = key.parse(text).ok();
    let blank = matches!(&value, Some(Value::Text(text)) if text.is_empty());
    let default = key.default_value();
    value.as_ref() == Some(&default) || (blank && default == Value::Null)
}

/// Why a broker does not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartError {
    /// Where the setting stands, unless several keys are at fault together.
    pub origin: Option<Origin>,
    pub error: ConfigError,
    /// What the key takes.
    pub allowed: String,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        write!(f, "{}", self.error)?;
        if !self.allowed.is_empty() {
            write!(f, " (allowed: {})", self.allowed)?;
        }
        Ok(())
    }
}

impl std::error::Error for StartError {}

/// What the operator should know although the broker starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    UnknownKey {
        name: String,
        origin: Origin,
        /// The key that was probably meant.
        meant: Option<&'static str>,
    },
    WithoutEffect {
        name: String,
        origin: Origin,
        reason: &'static str,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::UnknownKey { name, origin, meant: None } => write!(f, "{origin}: unknown key {name}"),
            Notice::UnknownKey { name, origin, meant: Some(key) } => {
                write!(f, "{origin}: unknown key {name}; is {key} meant?")
            }
            Notice::WithoutEffect { name, origin, reason } => {
                write!(f, "{origin}: {name} is accepted without effect: {reason}")
            }
        }
    }
}

/// A configuration that a broker can start with.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    pub config: super::BrokerConfig,
    pub notices: Vec<Notice>,
}
