//! Values of configuration keys: parsed, checked and rendered as Kafka does.

use super::double;
use super::error::ConfigError;
use super::key::{Bounds, ConfigKey, ConfigType, Preset};

/// A parsed value. Two values compare equal when Kafka would call them the same.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Boolean(bool),
    /// STRING, CLASS and PASSWORD.
    Text(String),
    /// SHORT, INT and LONG, already within their type's range.
    Number(i64),
    Double(f64),
    List(Vec<String>),
}

impl Value {
    /// As Kafka's DescribeConfigs shows it; `None` for null.
    pub fn render(&self) -> Option<String> {
        match self {
            Value::Null => None,
            Value::Boolean(value) => Some(value.to_string()),
            Value::Text(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Double(number) => Some(java_double(*number)),
            Value::List(elements) => Some(elements.join(",")),
        }
    }
}

impl ConfigKey {
    /// Parses and checks one value.
    pub fn parse(&self, text: &str) -> Result<Value, ConfigError> {
        let value = self.parse_type(text)?;
        self.check(&value)?;
        Ok(value)
    }

    /// The value when nobody set the key.
    pub fn default_value(&self) -> Value {
        match self.preset {
            Preset::Required | Preset::Null => Value::Null,
            Preset::Is(text) => self.parse_type(text).unwrap_or(Value::Null),
        }
    }

    fn parse_type(&self, text: &str) -> Result<Value, ConfigError> {
        let trimmed = java_trim(text);
        let number = |low: i64, high: i64| {
            trimmed
                .parse::<i64>()
                .ok()
                .filter(|n| (low..=high).contains(n))
                .map(Value::Number)
                .ok_or_else(|| self.not_a_number(text))
        };
        match self.config_type {
            ConfigType::Boolean if trimmed.eq_ignore_ascii_case("true") => Ok(Value::Boolean(true)),
            ConfigType::Boolean if trimmed.eq_ignore_ascii_case("false") => Ok(Value::Boolean(false)),
            ConfigType::Boolean => {
                Err(ConfigError::invalid(self.name, text, "Expected value to be either true or false"))
            }
            ConfigType::String | ConfigType::Class | ConfigType::Password => {
                Ok(Value::Text(trimmed.to_owned()))
            }
            ConfigType::Short => number(i16::MIN.into(), i16::MAX.into()),
            ConfigType::Int => number(i32::MIN.into(), i32::MAX.into()),
            ConfigType::Long => number(i64::MIN, i64::MAX),
            ConfigType::Double => {
                parse_double(trimmed).map(Value::Double).ok_or_else(|| self.not_a_number(text))
            }
            ConfigType::List => Ok(Value::List(split_list(text))),
        }
    }

    fn not_a_number(&self, text: &str) -> ConfigError {
        ConfigError::invalid(self.name, text, format!("Not a number of type {}", self.config_type.name()))
    }

    fn check(&self, value: &Value) -> Result<(), ConfigError> {
        match value {
            Value::Number(number) => self.check_number(*number),
            Value::Double(number) => self.check_double(*number),
            Value::Text(text) => self.check_text(text),
            Value::List(elements) => self.check_list(elements),
            Value::Null | Value::Boolean(_) => Ok(()),
        }
    }

    fn check_number(&self, number: i64) -> Result<(), ConfigError> {
        let refuse = |reason: String| Err(ConfigError::invalid(self.name, number.to_string(), reason));
        match self.bounds {
            Bounds::AtLeast(low) | Bounds::Between(low, _) if number < low => {
                refuse(format!("Value must be at least {low}"))
            }
            Bounds::Between(_, high) if number > high => refuse(format!("Value must be no more than {high}")),
            Bounds::LevelOrMinusOne(low, high) if number != -1 && !(low..=high).contains(&number) => {
                refuse(format!("Value must be between {low} and {high} or equal to -1"))
            }
            _ => Ok(()),
        }
    }

    fn check_double(&self, number: f64) -> Result<(), ConfigError> {
        let refuse = |reason: String| Err(ConfigError::invalid(self.name, java_double(number), reason));
        match self.bounds {
            Bounds::UpTo(_) if number < 0.0 => refuse("Value must be at least 0".into()),
            Bounds::UpTo(high) if number > high => refuse(format!("Value must be no more than {high}")),
            _ => Ok(()),
        }
    }

    fn check_text(&self, text: &str) -> Result<(), ConfigError> {
        let refuse = |reason: String| Err(ConfigError::invalid(self.name, text, reason));
        match self.bounds {
            Bounds::OneOf(allowed) if !allowed.contains(&text) => {
                refuse(format!("String must be one of: {}", allowed.join(", ")))
            }
            Bounds::OneOfIgnoringCase(allowed) if !allowed.iter().any(|a| a.eq_ignore_ascii_case(text)) => {
                refuse(format!("String must be one of (case insensitive): {}", allowed.join(", ")))
            }
            Bounds::NonEmptyString if text.is_empty() => refuse("String must be non-empty".into()),
            Bounds::ShareOffsetReset if !is_share_offset_reset(text) => refuse(format!(
                "Invalid value `{text}` for configuration {}. The value must be either 'earliest', 'latest' or of the \
                 format 'by_duration:<PnDTnHnMn.nS>'.",
                self.name
            )),
            _ => Ok(()),
        }
    }

    fn check_list(&self, elements: &[String]) -> Result<(), ConfigError> {
        match self.bounds {
            Bounds::Distinct => self.check_distinct(elements, None),
            Bounds::SetOf(allowed) => self.check_distinct(elements, Some(allowed)),
            Bounds::DistinctNonEmpty => {
                self.check_non_empty(elements, "any non-empty value")?;
                self.check_distinct(elements, None)
            }
            Bounds::NonEmptySetOf(allowed) => {
                self.check_non_empty(elements, &format!("[{}]", allowed.join(", ")))?;
                self.check_distinct(elements, Some(allowed))
            }
            Bounds::ThrottledReplicas if !is_throttled_replicas(elements) => Err(ConfigError::invalid(
                self.name,
                format!("[{}]", elements.join(", ")),
                format!(
                    "{} must be the literal '*' or a list of replicas in the following format: \
                     [partitionId]:[brokerId],[partitionId]:[brokerId],...",
                    self.name
                ),
            )),
            Bounds::QuorumVoters => elements.iter().try_for_each(|entry| self.check_voter(entry)),
            Bounds::BootstrapServers => match elements.iter().find(|e| !is_host_and_port(e)) {
                Some(entry) => Err(ConfigError::Rule(format!(
                    "Failed to parse host name from {entry} for the configuration {}. Each entry should be in the \
                     form \"{{host}}:{{port}}\"",
                    self.name
                ))),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// `{id}@{host}:{port}`
    fn check_voter(&self, entry: &str) -> Result<(), ConfigError> {
        let form = format!(
            "configuration {}. Each entry should be in the form `{{id}}@{{host}}:{{port}}`.",
            self.name
        );
        let Some((id, address)) = entry.split_once('@').filter(|(_, address)| !address.contains('@')) else {
            let form = form.replacen("configuration ", "", 1);
            return Err(ConfigError::Rule(format!("Invalid configuration value for {form}")));
        };
        if id.parse::<i32>().is_err() {
            return Err(ConfigError::Rule(format!("Failed to parse voter ID as an integer from {id}")));
        }
        if !is_host_and_port(address) {
            return Err(ConfigError::Rule(format!(
                "Failed to parse host name from entry {entry} for the {form}"
            )));
        }
        Ok(())
    }

    fn check_non_empty(&self, elements: &[String], valid: &str) -> Result<(), ConfigError> {
        if elements.is_empty() {
            return Err(ConfigError::Rule(format!(
                "Configuration '{}' must not be empty. Valid values include: {valid}",
                self.name
            )));
        }
        Ok(())
    }

    fn check_distinct(&self, elements: &[String], allowed: Option<&[&str]>) -> Result<(), ConfigError> {
        let rule = |what: &str| {
            Err(ConfigError::Rule(format!("Configuration '{}' values must not be {what}.", self.name)))
        };
        if (1..elements.len()).any(|i| elements[..i].contains(&elements[i])) {
            return rule("duplicated");
        }
        for element in elements {
            if element.is_empty() {
                return rule("empty");
            }
            if let Some(allowed) = allowed.filter(|a| !a.contains(&element.as_str())) {
                let reason = format!("String must be one of: {}", allowed.join(", "));
                return Err(ConfigError::invalid(self.name, element, reason));
            }
        }
        Ok(())
    }
}

/// Java's `String.trim`: everything up to the space goes.
pub(super) fn java_trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

/// Elements between commas, trimmed; blank text is the empty list.
pub(super) fn split_list(text: &str) -> Vec<String> {
    let text = java_trim(text);
    if text.is_empty() {
        return Vec::new();
    }
    text.split(',').map(|e| e.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']).to_owned()).collect()
}

fn parse_double(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    match unsigned {
        "NaN" => return Some(sign * f64::NAN),
        "Infinity" => return Some(sign * f64::INFINITY),
        _ => {}
    }
    let digits = text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text);
    double::parse(digits)
}

/// Java's `Double.toString`: shortest digits, scientific below 10^-3 and from 10^7.
fn java_double(number: f64) -> String {
    let magnitude = number.abs();
    if number.is_nan() {
        "NaN".into()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity".into() } else { "-Infinity".into() }
    } else if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        format!("{number:?}")
    } else {
        let text = format!("{number:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let point = if mantissa.contains('.') { "" } else { ".0" };
        format!("{mantissa}{point}E{exponent}")
    }
}

fn is_throttled_replicas(elements: &[String]) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let pair = |element: &String| {
        element.split_once(':').is_some_and(|(partition, broker)| number(partition) && number(broker))
    };
    // Kafka lets empty elements pass.
    elements == ["*"] || elements.iter().all(|e| e.is_empty() || pair(e))
}

/// `host:port`, as lenient as Kafka: a scheme before it and an empty host pass.
fn is_host_and_port(entry: &str) -> bool {
    let name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'%' | b'.' | b'_');
    let address = match entry.split_once("://") {
        Some((scheme, address)) if scheme.bytes().all(name) => address,
        _ => entry,
    };
    address.rsplit_once(':').is_some_and(|(host, port)| {
        let host = host.strip_prefix('[').unwrap_or(host);
        let host = host.strip_suffix(']').unwrap_or(host);
        host.bytes().all(|b| name(b) || b == b':') && port.parse::<u16>().is_ok()
    })
}

fn is_share_offset_reset(text: &str) -> bool {
    matches!(text, "latest" | "earliest") || text.strip_prefix("by_duration:").is_some_and(is_iso_duration)
}

/// `PnDTnHnMn.nS`, any part of which may be missing, but not all of them.
fn is_iso_duration(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(['P', 'p']) else { return false };
    let (days, time) = match rest.split_once(['T', 't']) {
        Some((days, time)) => (days, Some(time)),
        None => (rest, None),
    };
    let mut any = false;
    let mut part = |text: &mut &str, unit: char, fraction: bool| {
        let end = text.find([unit, unit.to_ascii_lowercase()]);
        if let Some(end) = end {
            let number = &text[..end];
            let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
            let well_formed = match number.split_once('.') {
                Some((whole, tail)) => fraction && digits(whole) && digits(tail),
                None => digits(number),
            };
            *text = &text[end + 1..];
            any |= well_formed;
            return well_formed;
        }
        true
    };
    let mut days = days;
    let mut ok = part(&mut days, 'D', false) && days.is_empty();
    if let Some(mut time) = time {
        ok &= !time.is_empty();
        ok &= part(&mut time, 'H', false) && part(&mut time, 'M', false) && part(&mut time, 'S', true);
        ok &= time.is_empty();
    }
    ok && any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_shown_as_java_shows_them() {
        let shown = |text: &str| java_double(parse_double(text).unwrap_or(f64::NAN));
        for (given, expected) in [
            ("0.5", "0.5"),
            ("1", "1.0"),
            ("1e-5", "1.0E-5"),
            ("0.25f", "0.25"),
            ("1e7", "1.0E7"),
            ("123456789.5", "1.234567895E8"),
            ("9999999", "9999999.0"),
            ("1.7976931348623157E308", "1.7976931348623157E308"),
            ("NaN", "NaN"),
        ] {
            assert_eq!(shown(given), expected);
        }
        for wrong in ["", "abc", "inf", "nan", "1.2.3", "0x10"] {
            assert_eq!(parse_double(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn durations() {
        for good in ["PT1H", "P1D", "P1DT2H3M4.5S", "PT0.5S", "pt5m"] {
            assert!(is_iso_duration(good), "{good}");
        }
        for bad in ["", "P", "PT", "1H", "PT1", "P1H", "PT1S1H", "PTxS", "P1.5D"] {
            assert!(!is_iso_duration(bad), "{bad}");
        }
    }
}
