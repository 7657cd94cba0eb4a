//! IncrementalAlterConfigs (KIP-339) and AlterConfigs as functions on a resource's settings.

use std::collections::BTreeMap;

use super::error::ConfigError;
use super::key::{ConfigType, Scope};
use super::table;

/// What to do with one key; the numbers are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum AlterOp {
    Set = 0,
    Delete = 1,
    Append = 2,
    Subtract = 3,
}

impl AlterOp {
    /// `None` for a number that Kafka does not have: the request is invalid.
    pub const fn from_id(id: i8) -> Option<Self> {
        match id {
            0 => Some(AlterOp::Set),
            1 => Some(AlterOp::Delete),
            2 => Some(AlterOp::Append),
            3 => Some(AlterOp::Subtract),
            _ => None,
        }
    }

    /// Kafka's name of it, as in its messages.
    pub const fn name(self) -> &'static str {
        match self {
            AlterOp::Set => "SET",
            AlterOp::Delete => "DELETE",
            AlterOp::Append => "APPEND",
            AlterOp::Subtract => "SUBTRACT",
        }
    }
}

/// One change of one key. `value` is ignored by DELETE; the handler has refused `None` for the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alteration {
    pub name: String,
    pub op: AlterOp,
    pub value: Option<String>,
}

/// A `ConfigRecord` holds a string of the protocol, so a value has as many bytes at most.
const VALUE_BYTES_MAX: usize = i16::MAX as usize;

/// The changes to `current` that `alterations` ask for: `(name, new value)`, `None` to remove. They are not validated
/// yet: apply them to a copy and call `validate_…` on it. A broker's keys are given even when nothing changes, so that
/// it reloads what they name.
pub fn alter_configs(
    scope: Scope,
    current: &BTreeMap<String, String>,
    alterations: &[Alteration],
) -> Result<Vec<(String, Option<String>)>, ConfigError> {
    let mut changes = Vec::new();
    for Alteration { name, op, value } in alterations {
        let before = current.get(name).cloned();
        let operand = value.as_deref().unwrap_or_default();
        let after = match op {
            AlterOp::Set => value.clone(),
            AlterOp::Delete => None,
            AlterOp::Append | AlterOp::Subtract => {
                Some(alter_list(scope, name, *op, before.as_deref(), operand)?)
            }
        };
        if after.as_ref().is_some_and(|text| text.len() > VALUE_BYTES_MAX) {
            return Err(ConfigError::Rule(format!(
                "The configuration value cannot be added because it exceeds the maximum value size of \
                 {VALUE_BYTES_MAX} bytes."
            )));
        }
        if after != before || scope == Scope::Broker {
            changes.push((name.clone(), after));
        }
    }
    Ok(changes)
}

fn alter_list(
    scope: Scope,
    name: &str,
    op: AlterOp,
    before: Option<&str>,
    operand: &str,
) -> Result<String, ConfigError> {
    let key = table::key(scope, name).filter(|key| key.config_type == ConfigType::List);
    let Some(key) = key else {
        let op = op.name();
        return Err(ConfigError::Rule(format!("Can't {op} to key {name} because its type is not LIST.")));
    };
    // A list that was never set starts from Kafka's default, not from the broker's.
    let start = before.map(str::to_owned).or_else(|| key.default_value().render()).unwrap_or_default();
    let mut elements: Vec<&str> = start.split(',').map(str::trim).filter(|e| !e.is_empty()).collect();
    for element in operand.split(',').map(str::trim) {
        match op {
            AlterOp::Append if !elements.contains(&element) => elements.push(element),
            AlterOp::Subtract => {
                if let Some(at) = elements.iter().position(|e| *e == element) {
                    elements.remove(at);
                }
            }
            _ => {}
        }
    }
    Ok(elements.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alter(
        current: &[(&str, &str)],
        name: &str,
        op: AlterOp,
        value: &str,
    ) -> Result<Vec<(String, Option<String>)>, ConfigError> {
        let current = current.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let alteration = Alteration { name: name.into(), op, value: Some(value.into()) };
        alter_configs(Scope::Topic, &current, &[alteration])
    }

    fn changed(name: &str, value: Option<&str>) -> Vec<(String, Option<String>)> {
        vec![(name.to_owned(), value.map(str::to_owned))]
    }

    #[test]
    fn set_and_delete() {
        let set = alter(&[], "retention.ms", AlterOp::Set, "5").unwrap();
        assert_eq!(set, changed("retention.ms", Some("5")));
        assert_eq!(alter(&[("retention.ms", "5")], "retention.ms", AlterOp::Set, "5").unwrap(), []);
        let deleted = alter(&[("retention.ms", "5")], "retention.ms", AlterOp::Delete, "").unwrap();
        assert_eq!(deleted, changed("retention.ms", None));
        assert_eq!(alter(&[], "retention.ms", AlterOp::Delete, "").unwrap(), []);
    }

    #[test]
    fn append_and_subtract_start_from_the_default() {
        const KEY: &str = "cleanup.policy";
        let appended = alter(&[], KEY, AlterOp::Append, "compact").unwrap();
        assert_eq!(appended, changed(KEY, Some("delete,compact")));
        let subtracted = alter(&[(KEY, "delete, compact")], KEY, AlterOp::Subtract, "delete").unwrap();
        assert_eq!(subtracted, changed(KEY, Some("compact")));
        assert_eq!(alter(&[], KEY, AlterOp::Subtract, "delete").unwrap(), changed(KEY, Some("")));
        let error = alter(&[], "retention.ms", AlterOp::Append, "5").unwrap_err();
        assert_eq!(error.to_string(), "Can't APPEND to key retention.ms because its type is not LIST.");
        assert!(alter(&[], "no.such.key", AlterOp::Subtract, "5").is_err());
    }

    #[test]
    fn a_value_fits_a_record() {
        assert!(alter(&[], KEY, AlterOp::Set, &"x".repeat(32_768)).is_err());
        assert!(alter(&[], KEY, AlterOp::Set, &"x".repeat(32_767)).is_ok());
        const KEY: &str = "follower.replication.throttled.replicas";
    }
}
