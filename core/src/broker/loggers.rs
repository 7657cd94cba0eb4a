//! Loggers: what a node logs, each at a level that can be changed while it runs (KIP-412). The shell writes the log, and keeps the levels.

use std::fmt;
use std::str::FromStr;

use crate::config::{AlterOp, Alteration};
use crate::controller::ApiError;
use crate::metadata::ConfigResourceType;
use crate::small_map::SmallMap;
use ottla_protocol::ErrorCode;

/// The logger that stands for all that have no level of their own.
pub const ROOT: &str = "root";
/// The others, by name: the metadata log and who leads it; groups; logs, their disks and compaction; connections; requests; the process; who
/// leads what here.
pub const LOGGERS: [&str; 7] = [
    "kafka.controller",
    "kafka.coordinator.group",
    "kafka.log",
    "kafka.network",
    "kafka.request.logger",
    "kafka.server",
    "state.change.logger",
];

/// How much a logger says: each level what those before it say, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As `Error`: nothing is worse.
    Fatal,
    /// Something does not serve.
    Error,
    /// Something was mended, or is about to fail.
    Warn,
    /// What an operator wants to know.
    #[default]
    Info,
    /// Every event.
    Debug,
    /// Every message.
    Trace,
}

/// In the order in which Kafka lists them.
const LEVELS: [(&str, Level); 6] = [
    ("DEBUG", Level::Debug),
    ("ERROR", Level::Error),
    ("FATAL", Level::Fatal),
    ("INFO", Level::Info),
    ("TRACE", Level::Trace),
    ("WARN", Level::Warn),
];

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = LEVELS.iter().find(|(_, level)| level == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

impl FromStr for Level {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        LEVELS.iter().find(|(known, _)| *known == name).map(|(_, level)| *level).ok_or(())
    }
}

/// A logger and its new level; `None`: that of the root.
pub type LevelChange = (&'static str, Option<Level>);

/// The levels of a node's loggers.
#[derive(Clone, Debug, Default)]
pub struct Levels {
    root: Level,
    own: SmallMap<&'static str, Level>,
}

impl Levels {
    /// Reads `LEVEL` and `LOGGER=LEVEL`, with commas between them; the error says what is wrong.
    pub fn parse(directives: &str) -> Result<Self, String> {
        let mut levels = Self::default();
        for directive in directives.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
            let (name, level) = directive.split_once('=').unwrap_or((ROOT, directive));
            let logger = known(name).ok_or_else(|| {
                format!("there is no logger '{name}'; there are {ROOT} and {}", LOGGERS.join(", "))
            })?;
            let level = level.to_ascii_uppercase().parse().map_err(|()| {
                format!("'{level}' is no level; there are {}", LEVELS.map(|(name, _)| name).join(", "))
            })?;
            levels.apply(&[(logger, Some(level))]);
        }
        Ok(levels)
    }

    /// Changes some.
    pub fn apply(&mut self, changes: &[LevelChange]) {
        for (logger, level) in changes {
            match (*logger, level) {
                (ROOT, level) => self.root = level.unwrap_or_default(),
                (logger, Some(level)) => _ = self.own.insert(logger, *level),
                (logger, None) => _ = self.own.remove(&logger),
            }
        }
    }

    /// Every logger with the level that counts, the root first.
    pub fn all(&self) -> Vec<(&'static str, Level)> {
        let level = |logger| self.own.get(&logger).copied().unwrap_or(self.root);
        std::iter::once((ROOT, self.root)).chain(LOGGERS.map(|logger| (logger, level(logger)))).collect()
    }
}

fn known(name: &str) -> Option<&'static str> {
    std::iter::once(ROOT).chain(LOGGERS).find(|logger| *logger == name)
}

/// What an IncrementalAlterConfigs of the loggers changes, or why it cannot.
pub fn changes(alterations: &[Alteration]) -> Result<Vec<LevelChange>, ApiError> {
    let invalid_config = |sentence: String| ApiError::new(ErrorCode::InvalidConfig, sentence);
    let change = |Alteration { name, op, value }: &Alteration| {
        let known = || known(name).ok_or_else(|| invalid_config(format!("Logger {name} does not exist!")));
        match op {
            AlterOp::Set => {
                let (logger, value) = (known()?, value.as_deref().unwrap_or_default());
                let level = value.parse().map_err(|()| {
                    let valid = LEVELS.map(|(name, _)| name).join(", ");
                    invalid_config(format!(
                        "Cannot set the log level of {name} to {value} as it is not a supported log level. Valid log levels are {valid}"
                    ))
                })?;
                Ok((logger, Some(level)))
            }
            AlterOp::Delete => match known()? {
                ROOT => Err(ApiError::new(
                    ErrorCode::InvalidRequest,
                    "Removing the log level of the root logger is not allowed",
                )),
                logger => Ok((logger, None)),
            },
            AlterOp::Append | AlterOp::Subtract => {
                let kind = ConfigResourceType::BrokerLogger.name();
                let sentence = format!("{} operation is not allowed for the {kind} resource", op.name());
                Err(ApiError::new(ErrorCode::InvalidRequest, sentence))
            }
        }
    };
    alterations.iter().map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_changed_and_inherited() {
        let mut levels = Levels::parse("warn, kafka.log=debug").expect("levels");
        let level = |levels: &Levels, name| levels.all().into_iter().find(|(logger, _)| *logger == name);
        assert_eq!(level(&levels, "kafka.log"), Some(("kafka.log", Level::Debug)));
        assert_eq!(level(&levels, "kafka.server"), Some(("kafka.server", Level::Warn)));
        levels.apply(&[("kafka.log", None), (ROOT, Some(Level::Error))]);
        assert_eq!(level(&levels, "kafka.log"), Some(("kafka.log", Level::Error)));
        assert_eq!(levels.all().first(), Some(&(ROOT, Level::Error)));
        for (wrong, says) in [("loud", "'loud' is no level"), ("kafka.nothing=info", "no logger")] {
            assert!(Levels::parse(wrong).expect_err(wrong).contains(says), "{wrong}");
        }
    }
}
